"""Contrastive divergence with short Langevin chains: the thesis's objective (section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ebmlib import checks
from ebmlib.energy import EnergyModel
from ebmlib.objectives.base import Outcome, State
from ebmlib.sgld import SGLD
from ebmlib.starts import NoiseStart, Pairs, Start


@dataclass(frozen=True)
class ContrastiveDivergence:
    """Approximate maximum likelihood: chain ends stand in for samples of the model.

    With demonstrated pairs (x, a) and chain ends (x^, a^) of K SGLD steps (Eq 3.5, section 2.3.2),

        L(theta) = mean f(x^, a^) - mean f(x, a) + l1 mean |f| + l2 mean f^2,

    so that following -grad L raises f where the demonstrations are and lowers it where the chains
    ended. Eq 3.5 leaves out the parameter gradient on the negative term; it belongs there. The
    regularisers hold the energy level, which the difference alone leaves free, and run over both
    kinds of points.

    Attributes:
        sampler: the chain (thesis: ``sgld_al``, ``sgld_K``).
        start: where chains start.
        sgld_dim: negatives of an update, and demonstrated pairs of a batch.
        reg_l1, reg_l2: weights l1 and l2 of the energy-level regularisers.
        data_noise: standard deviation of Gaussian noise added to the demonstrated actions of each
            batch, in the action's units (smooths the data's density; Nijkamp et al. 2019).
    """

    sampler: SGLD = field(default_factory=SGLD)
    start: Start = field(default_factory=NoiseStart)
    sgld_dim: int = 512
    reg_l1: float = 0.0
    reg_l2: float = 0.0
    data_noise: float = 0.0

    def __post_init__(self) -> None:
        checks.instance("sampler", self.sampler, SGLD, "SGLD(alpha=0.01, steps=100)")
        checks.instance("start", self.start, Start, "NoiseStart() or PersistentStart()")
        checks.count("sgld_dim", self.sgld_dim)
        checks.non_negative("reg_l1", self.reg_l1)
        checks.non_negative("reg_l2", self.reg_l2)
        checks.non_negative("data_noise", self.data_noise)
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
        """The bank of the start."""
        return self.start.bank(pairs, self.sampler, generator=generator)

    def __call__(
        self, model: EnergyModel, batch: Pairs, state: State, *, generator: torch.Generator
    ) -> Outcome:
        """The loss of one batch; reports loss, R and the levels of f on data and chain ends."""
        if self.data_noise > 0:
            noise = torch.empty_like(batch.actions).normal_(generator=generator)
            batch = batch._replace(actions=batch.actions + self.data_noise * noise)
        negatives = self.start.draw(batch, self.sgld_dim, state, self.sampler, generator=generator)
        chain = self.sampler.chain(
            model.score(negatives.states), negatives.start, generator=generator, length=True
        )
        # one pass over both kinds of points: spectral normalisation then advances once an update
        f = model(
            torch.cat([batch.states, negatives.states]), torch.cat([batch.actions, chain.actions])
        )
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
        return Outcome(loss, self.start.keep(state, negatives, chain.actions), report)
