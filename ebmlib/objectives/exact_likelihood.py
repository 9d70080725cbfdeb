"""Maximum likelihood with the exact gradient, on a grid of actions, which others approximate."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import InputError
from ebmlib.models.energy import EnergyModel
from ebmlib.models.grid import box
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.data import FromData, report_of
from ebmlib.sampling.proposals import UniformProposal

_MOST_DIMENSIONS = 3


@register("ExactLikelihood")
@dataclass(frozen=True)
class ExactLikelihood(FromData):
    """The negative log-likelihood, with the partition function as a sum over G cells of a box.

        L(theta) = -mean [ f(x, a) - log Z(x) ],    log Z(x) = log sum_g exp f(x, a_g) + log V

    (Eq 2.2 and 2.3 of section 2.3, without their sampler). The box holds all demonstrated actions
    and a margin. Outside of it the density counts as 0, and f is not trained there. Check the
    spacing: it should be no more than the standard deviation of the narrowest peak.

    An update costs batch_size (1 + G) evaluations of the network, forward and backward, and
    memory for all of them. For the same spacing G grows exponentially with the dimension.

    Attributes:
        batch_size, data_noise: see :class:`~ebmlib.objectives.data.FromData`.
        cells: G, shared among the axes: each has the d-th root of it, rounded.
        margin: width added on each side of the data, as a share of their width in that direction.
    """

    batch_size: int = 32
    cells: int = 1024
    margin: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("cells", self.cells, least=8)
        checks.non_negative("margin", self.margin, most=checks.LARGEST_SQUARED)

    def check(self, model: EnergyModel) -> None:
        """Refuse more than three dimensions."""
        if model.action_dim > _MOST_DIMENSIONS:
            raise InputError(
                f"ExactLikelihood sums over a grid of actions with at most {_MOST_DIMENSIONS} "
                f'dimensions, got {model.action_dim}; use objective="ranking-nce".'
            )

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """Keys ``cells`` (G, d), the centres, and ``log_volume``, log V."""
        fitted = UniformProposal(self.margin).fit(pairs)
        points = round(self.cells ** (1 / pairs.actions.shape[1]))
        centres, log_volume = box(fitted["low"], fitted["low"] + fitted["width"], points)
        return {"cells": centres, "log_volume": log_volume}

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The loss of one batch in nats; reports it, the level of f on data, and log Z."""
        states, actions, _ = self.noisy(batch, generator)
        # one pass over both kinds of points: spectral normalisation then advances once an update
        cells = carry["cells"].expand(len(states), -1, -1)
        both = model(states[:, None], torch.cat([actions[:, None], cells], dim=1))
        f, log_z = both[:, 0], both[:, 1:].logsumexp(dim=1) + carry["log_volume"]
        loss = -(f - log_z).mean()
        return Outcome({MODEL: loss}, carry, report_of(loss, f) | {"log_z": log_z.detach().mean()})
