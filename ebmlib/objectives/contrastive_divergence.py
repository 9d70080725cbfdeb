"""Contrastive divergence with short Langevin chains: the thesis's objective (section 3.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import Carry, Outcome
from ebmlib.objectives.contrast import Contrast
from ebmlib.objectives.data import with_noise
from ebmlib.sampling.chain import run_chain
from ebmlib.sampling.starts import NoiseStart, Start


@register("ContrastiveDivergence")
@dataclass(frozen=True)
class ContrastiveDivergence(Contrast):
    """Approximate maximum likelihood of p(a|x): the chains move the action (Eq 3.5, 2.3.2).

        L(theta) = mean f(x, a^) - mean f(x, a) + l1 mean |f| + l2 mean f^2,

    over demonstrated pairs (x, a) and the ends a^ of chains at the states x. Eq 3.5 leaves out
    the parameter gradient on the negative term; it belongs there.

    Attributes:
        sampler, sgld_dim, reg_l1, reg_l2: see :class:`~ebmlib.objectives.contrast.Contrast`.
        start: where chains start.
        data_noise: standard deviation of Gaussian noise added to the demonstrated actions of each
            batch, in the action's units (smooths the data's density; Nijkamp et al. 2019).
    """

    start: Start = field(default_factory=NoiseStart)
    data_noise: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.instance("start", self.start, Start, "NoiseStart() or PersistentStart()")
        checks.non_negative("data_noise", self.data_noise, most=checks.LARGEST_SQUARED)

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """The bank of the start."""
        return self.start.bank(pairs, self.sampler, generator=generator)

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The loss of one batch; reports loss, R and the levels of f on data and chain ends."""
        batch = with_noise(batch, self.data_noise, generator)
        negatives = self.start.draw(batch, self.sgld_dim, carry, self.sampler, generator=generator)
        chain = run_chain(
            self.sampler,
            model.score(negatives.states),
            negatives.start,
            generator=generator,
            length=True,
        )
        kept = self.start.keep(carry, negatives, chain.actions)
        return self.outcome(model, batch, (negatives.states, chain.actions), chain, kept)
