"""Sliced score matching: the trace along random directions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.data import FromData, report_of
from ebmlib.objectives.scores import demand_smooth, scored


@register("SlicedScoreMatching")
@dataclass(frozen=True)
class SlicedScoreMatching(FromData):
    """Score matching with v^T (grad_a^2 f) v in place of the trace, v ~ N(0, I).

        L(theta) = mean [ v^T grad_a^2 f(x, a) v + |grad_a f(x, a)|^2 / 2 ]

    (Song et al., "Sliced score matching: a scalable approach to density and score estimation",
    2019, with reduced variance). Its expectation is the loss of score matching, in any dimension.

    An update costs batch_size evaluations of the network and ``slices`` backward passes through
    its gradient.

    Attributes:
        batch_size, data_noise: see :class:`~ebmlib.objectives.data.FromData`.
        slices: directions v for each pair.
    """

    slices: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("slices", self.slices)

    def check(self, model: EnergyModel) -> None:
        """Refuse a score that is not differentiable."""
        demand_smooth(self, model)

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The loss of one batch; reports it and the level of f."""
        states, actions, _ = self.noisy(batch, generator)
        at = scored(model, states, actions)
        loss = at.score.square().sum(dim=1).mean() / 2
        for _ in range(self.slices):
            v = torch.empty_like(actions).normal_(generator=generator)
            loss = loss + (v * at.derivative(v)).sum(dim=1).mean() / self.slices
        return Outcome({MODEL: loss}, carry, report_of(loss, at.f))
