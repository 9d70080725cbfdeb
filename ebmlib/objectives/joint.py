"""Contrastive divergence for the joint density p(x, a): negatives are pairs (section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ebmlib import checks
from ebmlib.energy import EnergyModel, evaluating
from ebmlib.objectives.base import Outcome, State
from ebmlib.sgld import SGLD
from ebmlib.starts import Pairs


@dataclass(frozen=True)
class PairScore:
    """grad f with respect to the concatenated pair (x, a), by automatic differentiation."""

    model: EnergyModel

    def __call__(self, pair: Tensor) -> Tensor:
        """The gradient at pairs (n, d_x + d_a), of the same shape."""
        with torch.enable_grad(), evaluating(self.model):
            pair = pair.detach().requires_grad_()
            x, a = pair.split([self.model.state_dim, self.model.action_dim], dim=1)
            return torch.autograd.grad(self.model(x, a).sum(), pair)[0]


@dataclass(frozen=True)
class JointContrastiveDivergence:
    """Approximate maximum likelihood of p(x, a) = exp f(x, a) / Z, one Z for all pairs.

    With demonstrated pairs (x, a) and the ends (x^, a^) of K SGLD steps on the pair,

        L(theta) = mean f(x^, a^) - mean f(x, a) + l1 mean |f| + l2 mean f^2.

    Unlike :class:`~ebmlib.objectives.ContrastiveDivergence` the chain moves the state too. Its
    state starts at a demonstrated one with noise that is broad against the data's own, its action
    from N(0, alpha^2 I).

    Attributes:
        sampler: the chain on the pair; one alpha for state and action.
        sgld_dim: negatives of an update, and demonstrated pairs of a batch.
        state_noise: standard deviation of the noise on the chains' starting states.
        reg_l1, reg_l2: weights l1 and l2 of the energy-level regularisers.
    """

    sampler: SGLD = field(default_factory=SGLD)
    sgld_dim: int = 512
    state_noise: float = 0.1
    reg_l1: float = 0.0
    reg_l2: float = 0.0

    def __post_init__(self) -> None:
        checks.instance("sampler", self.sampler, SGLD, "SGLD(alpha=0.01, steps=100)")
        checks.count("sgld_dim", self.sgld_dim)
        checks.non_negative("state_noise", self.state_noise)
        checks.non_negative("reg_l1", self.reg_l1)
        checks.non_negative("reg_l2", self.reg_l2)
        checks.count("sgld_K", self.sampler.steps)

    @property
    def batch_size(self) -> int:
        """Demonstrated pairs in a batch."""
        return self.sgld_dim

    @property
    def chain_steps(self) -> int:
        """Sampler updates that one batch costs."""
        return self.sgld_dim * self.sampler.steps

    def initial_state(self, pairs: Pairs, *, generator: torch.Generator) -> State:
        """Nothing is carried from batch to batch."""
        return {}

    def starts(self, batch: Pairs, *, generator: torch.Generator) -> Tensor:
        """Pairs (sgld_dim, d_x + d_a) where the chains of a batch start."""
        turn = torch.arange(self.sgld_dim, device=batch.states.device) % len(batch.states)
        states = batch.states[turn]
        noise = torch.empty_like(states).normal_(generator=generator)
        actions = self.sampler.start(
            self.sgld_dim, batch.actions.shape[1], generator=generator, like=batch.actions
        )
        return torch.cat([states + self.state_noise * noise, actions], dim=1)

    def __call__(
        self, model: EnergyModel, batch: Pairs, state: State, *, generator: torch.Generator
    ) -> Outcome:
        """The loss of one batch; reports loss, R (of the pair) and the levels of f."""
        chain = self.sampler.chain(
            PairScore(model),
            self.starts(batch, generator=generator),
            generator=generator,
            length=True,
        )
        states, actions = chain.actions.split([model.state_dim, model.action_dim], dim=1)
        f = model(torch.cat([batch.states, states]), torch.cat([batch.actions, actions]))
        data, ends = f[: len(batch.states)], f[len(batch.states) :]
        difference = ends.mean() - data.mean()
        loss = difference + self.reg_l1 * f.abs().mean() + self.reg_l2 * f.square().mean()
        with torch.no_grad():
            report = {
                "loss": difference.detach(),
                "R": chain.mean_step.mean(),
                "f_data": data.mean(),
                "f_chain": ends.mean(),
                "f_magnitude": f.abs().max(),
            }
        return Outcome(loss, state, report)
