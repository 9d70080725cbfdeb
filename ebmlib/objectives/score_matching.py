"""Score matching with the exact trace (section 2.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import InputError
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.data import FromData, report_of
from ebmlib.objectives.scores import demand_smooth, scored

_MOST_DIMENSIONS = 3


@register("ScoreMatching")
@dataclass(frozen=True)
class ScoreMatching(FromData):
    """The Fisher divergence of the data to the model, up to a constant.

        L(theta) = mean [ tr grad_a^2 f(x, a) + |grad_a f(x, a)|^2 / 2 ]

    (Hyvarinen, "Estimation of non-normalized statistical models by score matching", 2005). log Z
    cancels and nothing is sampled. At the optimum grad_a f is the score of the data's density; how
    mass is shared between modes that are far apart does not show in it. Needs a network with two
    derivatives: ``activation="silu"``.

    An update costs batch_size evaluations of the network and d backward passes through its
    gradient.

    Attributes:
        batch_size, data_noise: see :class:`~ebmlib.objectives.data.FromData`.
    """

    def check(self, model: EnergyModel) -> None:
        """Refuse a score that is not differentiable, and more than three dimensions."""
        demand_smooth(self, model)
        if model.action_dim > _MOST_DIMENSIONS:
            raise InputError(
                f"ScoreMatching takes the exact trace in up to {_MOST_DIMENSIONS} dimensions, got "
                f'{model.action_dim}; use objective="sliced-score-matching".'
            )

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
        loss = (at.trace() + at.score.square().sum(dim=1) / 2).mean()
        return Outcome({MODEL: loss}, carry, report_of(loss, at.f))
