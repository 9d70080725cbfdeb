"""Shared by the objectives that need only demonstrated pairs: no chains, no proposal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.objectives.base import WithoutParts


def with_noise(
    batch: Pairs,
    sigma: float,
    generator: torch.Generator,
    unit: Tensor | float = 1.0,
    across: float | None = None,
) -> Pairs:
    """The batch with N(0, (sigma unit)^2 I) added to its actions; at sigma 0 nothing is drawn.

    With ``across`` c the standard deviation is ``sigma unit`` along each demonstrated action and
    ``c unit`` across it.
    """
    if sigma == 0 and not across:
        return batch
    xi = torch.empty_like(batch.actions).normal_(generator=generator)
    if across is not None:
        direction = nn.functional.normalize(batch.actions, dim=1)  # 0 for an action of no length
        along = (xi * direction).sum(dim=1, keepdim=True) * direction
        return batch._replace(
            actions=batch.actions + unit * (sigma * along + across * (xi - along))
        )
    return batch._replace(actions=batch.actions + sigma * unit * xi)


def report_of(loss: Tensor, f: Tensor) -> dict[str, Tensor]:
    """Scalars for the history: the loss, the level of f on the data, and its largest magnitude."""
    f = f.detach()
    return {"loss": loss.detach(), "f_data": f.mean(), "f_magnitude": f.abs().max()}


@dataclass(frozen=True)
class FromData(WithoutParts):
    """The loss is a mean over demonstrated pairs.

    Attributes:
        batch_size: demonstrated pairs of an update.
        data_noise: standard deviation of Gaussian noise added to the demonstrated actions of each
            batch, in the action's units.
    """

    batch_size: int = 512
    data_noise: float = 0.0

    def __post_init__(self) -> None:
        checks.count("batch_size", self.batch_size)
        checks.non_negative("data_noise", self.data_noise, most=checks.LARGEST_SQUARED)

    def noisy(self, batch: Pairs, generator: torch.Generator) -> Pairs:
        """The batch with noise of standard deviation ``data_noise`` on its actions."""
        return with_noise(batch, self.data_noise, generator)

    @property
    def chain_steps(self) -> int:
        """0: there are no chains."""
        return 0
