"""Contrastive divergence for the joint density p(x, a): negatives are pairs (section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel, evaluating
from ebmlib.objectives.base import Carry, Outcome
from ebmlib.objectives.contrast import Contrast
from ebmlib.sampling.chain import run_chain


@dataclass(frozen=True)
class PairTarget:
    """f as a log density of the concatenated pair (x, a); autograd computes its score."""

    model: EnergyModel

    def _f(self, pair: Tensor) -> Tensor:
        x, a = pair.split([self.model.state_dim, self.model.action_dim], dim=1)
        return self.model(x, a)

    def value(self, pair: Tensor) -> Tensor:
        """Values f at pairs (n, d_x + d_a), shape (n,)."""
        with torch.no_grad(), evaluating(self.model):
            return self._f(pair)

    def score(self, pair: Tensor) -> Tensor:
        """The gradient at pairs (n, d_x + d_a), of the same shape."""
        with torch.enable_grad(), evaluating(self.model):
            pair = pair.detach().requires_grad_()
            return torch.autograd.grad(self._f(pair).sum(), pair)[0]


@register("JointContrastiveDivergence")
@dataclass(frozen=True)
class JointContrastiveDivergence(Contrast):
    """Approximate maximum likelihood of p(x, a) = exp f(x, a) / Z, one Z for all pairs.

        L(theta) = mean f(x^, a^) - mean f(x, a) + l1 mean |f| + l2 mean f^2,

    over demonstrated pairs (x, a) and the ends (x^, a^) of chains on the pair. Unlike
    :class:`~ebmlib.objectives.ContrastiveDivergence` the chain moves the state too. Its state
    starts at a demonstrated one with noise that is broader than the data's own, its action from
    N(0, alpha^2 I). One alpha serves state and action, and R is the mean step of the pair.

    Attributes:
        sampler, sgld_dim, reg_l1, reg_l2: see :class:`~ebmlib.objectives.contrast.Contrast`.
        state_noise: standard deviation of the noise on the chains' starting states.
    """

    state_noise: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.non_negative("state_noise", self.state_noise, most=checks.LARGEST_SQUARED)

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
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The loss of one batch; reports loss, R (of the pair) and the levels of f."""
        chain = run_chain(
            self.sampler,
            PairTarget(model),
            self.starts(batch, generator=generator),
            generator=generator,
            length=True,
        )
        states, actions = chain.actions.split([model.state_dim, model.action_dim], dim=1)
        return self.outcome(model, batch, (states, actions), chain, carry)
