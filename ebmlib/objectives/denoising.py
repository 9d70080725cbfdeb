"""Denoising score matching at one noise level."""

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
from ebmlib.sampling.proposals import spread_of


@register("DenoisingScoreMatching")
@dataclass(frozen=True)
class DenoisingScoreMatching(FromData):
    """Predict the noise that was added to a demonstrated action.

        L(theta) = mean |sigma grad_a f(x, a + sigma xi) + xi|^2 / 2,        xi ~ N(0, I)

    (Vincent, "A connection between score matching and denoising autoencoders", 2011). At the
    optimum grad_a f is the score of the density after smoothing by sigma: the variance is
    s^2 + sigma^2, not s^2. The smaller sigma, the noisier the gradient.

    An update costs batch_size evaluations of the network and a backward pass through its gradient.

    Attributes:
        batch_size, data_noise: see :class:`~ebmlib.objectives.data.FromData`.
        smoothing: sigma, as a share of the standard deviation of all actions.
    """

    smoothing: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("smoothing", self.smoothing, most=checks.LARGEST_SQUARED)

    def check(self, model: EnergyModel) -> None:
        """Refuse a score that is not differentiable."""
        demand_smooth(self, model)

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """Key ``sigma``, in the units of the action."""
        return {"sigma": self.smoothing * spread_of(pairs.actions)}

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
        sigma, xi = carry["sigma"], torch.empty_like(actions).normal_(generator=generator)
        at = scored(model, states, actions + sigma * xi)
        loss = (sigma * at.score + xi).square().sum(dim=1).mean() / 2
        return Outcome({MODEL: loss}, carry, report_of(loss, at.f))
