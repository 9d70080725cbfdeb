"""Proposals: densities q(a | x) that can be sampled and evaluated, for contrast with noise.

A proposal is a configuration. What it takes from the data (:meth:`Proposal.fit`) is a dictionary of
tensors, so that an objective can carry it along and a checkpoint can hold it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import InputError

Fitted = dict[str, Tensor]


@runtime_checkable
class Proposal(Protocol):
    """A density of actions that is sampled and evaluated in closed form."""

    def fit(self, pairs: Pairs) -> Fitted:
        """What the proposal takes from the data."""
        ...

    def sample(self, fitted: Fitted, x: Tensor, m: int, *, generator: torch.Generator) -> Tensor:
        """``m`` actions for each of the states x (n, d_x), shape (n, m, d)."""
        ...

    def log_prob(self, fitted: Fitted, x: Tensor, a: Tensor) -> Tensor:
        """Log q(a | x) in nats, shape (n, m), for actions (n, m, d)."""
        ...


def spread_of(actions: Tensor) -> Tensor:
    """Standard deviation of actions (n, d) averaged over directions; a scalar above 0."""
    spread = actions.var(dim=0, unbiased=False).mean().sqrt()
    if not spread > 0:
        raise InputError(
            "A proposal needs actions that vary, got equal ones; add noise to the data (sigma)."
        )
    return spread


def widths_of(given: Any) -> tuple[float, ...]:
    """Widths of Gaussians as a tuple, whatever sequence they came in.

    Raises:
        InputError: not a sequence of numbers above 0, or an empty one.
    """
    try:
        widths = tuple(
            checks.positive("width", width, most=checks.LARGEST_SQUARED) for width in given
        )
    except (TypeError, InputError):
        widths = ()
    if not widths:
        raise InputError(f"widths must be numbers above 0 in a list, got {given!r}.")
    return widths


@register("GaussianProposal")
@dataclass(frozen=True)
class GaussianProposal:
    """q(a) = N(mean, b^2 C) with the mean and covariance C of all demonstrated actions.

    Attributes:
        broaden: b; above 1 the tails of q stay above those of the data.
    """

    broaden: float = 1.5

    def __post_init__(self) -> None:
        checks.positive("broaden", self.broaden, most=checks.LARGEST_SQUARED)

    def fit(self, pairs: Pairs) -> Fitted:
        """Keys ``mean`` (d,) and ``factor`` (d, d), the Cholesky factor of b^2 C."""
        spread = spread_of(pairs.actions)
        away = pairs.actions - pairs.actions.mean(dim=0)
        covariance = away.T @ away / len(away)
        eye = torch.eye(away.shape[1], dtype=away.dtype, device=away.device)
        floor = (1e-3 * spread) ** 2 * eye  # for a direction without spread
        return {
            "mean": pairs.actions.mean(dim=0),
            "factor": torch.linalg.cholesky(self.broaden**2 * (covariance + floor)),
        }

    def sample(self, fitted: Fitted, x: Tensor, m: int, *, generator: torch.Generator) -> Tensor:
        """See :class:`Proposal`."""
        mean, factor = fitted["mean"], fitted["factor"]
        xi = mean.new_empty((len(x), m, len(mean))).normal_(generator=generator)
        return mean + xi @ factor.T

    def log_prob(self, fitted: Fitted, x: Tensor, a: Tensor) -> Tensor:
        """Log q = -|L^-1 (a - mean)|^2 / 2 - log det L - (d / 2) log 2 pi, L the factor."""
        mean, factor = fitted["mean"], fitted["factor"]
        away = (a - mean).reshape(-1, len(mean)).T
        xi = torch.linalg.solve_triangular(factor, away, upper=False)
        constant = factor.diagonal().log().sum() + len(mean) / 2 * math.log(2 * math.pi)
        return (-xi.square().sum(dim=0) / 2 - constant).reshape(a.shape[:-1])


@register("UniformProposal")
@dataclass(frozen=True)
class UniformProposal:
    """A uniform q(a) in the box around all demonstrated actions, with a margin.

    Attributes:
        margin: width added on each side, as a share of the box's width in that direction.

    Example:
        >>> from ebmlib import UniformProposal, preset
        >>> run = preset("circle").with_(objective="ranking-nce", proposal="uniform")
        >>> isinstance(run.objective.proposal, UniformProposal)
        True
    """

    margin: float = 0.5

    def __post_init__(self) -> None:
        checks.non_negative("margin", self.margin, most=checks.LARGEST_SQUARED)

    def fit(self, pairs: Pairs) -> Fitted:
        """Keys ``low`` and ``width``, (d,) each."""
        spread = spread_of(pairs.actions)
        low, high = pairs.actions.amin(dim=0), pairs.actions.amax(dim=0)
        width = (high - low).clamp(min=1e-3 * spread)
        return {"low": low - self.margin * width, "width": (1 + 2 * self.margin) * width}

    def sample(self, fitted: Fitted, x: Tensor, m: int, *, generator: torch.Generator) -> Tensor:
        """See :class:`Proposal`."""
        low, width = fitted["low"], fitted["width"]
        uniform = torch.rand(
            (len(x), m, len(low)), generator=generator, dtype=low.dtype, device=low.device
        )
        return low + width * uniform

    def log_prob(self, fitted: Fitted, x: Tensor, a: Tensor) -> Tensor:
        """Log q = -sum log width inside the box, minus infinity outside."""
        low, width = fitted["low"], fitted["width"]
        place = (a - low) / width
        inside = ((place >= 0) & (place <= 1)).all(dim=-1)
        return torch.where(inside, -width.log().sum(), -torch.inf)


@register("MixtureProposal")
@dataclass(frozen=True)
class MixtureProposal:
    """An equal mixture q(a) of round Gaussians around demonstrated actions of any state.

    q(a) = mean over centres c and widths w of N(a; c, w^2 spread^2 I), spread being the standard
    deviation of all actions, averaged over directions.

    Attributes:
        widths: w, as shares of the spread; a narrow and a broad one cover detail and tails.
        centres: how many demonstrated actions are centres, evenly spaced through the data.
    """

    widths: tuple[float, ...] = (0.2, 1.0)
    centres: int = 256

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", widths_of(self.widths))  # JSON gives back a list
        checks.count("centres", self.centres)

    def fit(self, pairs: Pairs) -> Fitted:
        """Keys ``centres`` (c, d) and ``widths`` (w,), in the units of the action."""
        spread = spread_of(pairs.actions)
        count = min(self.centres, len(pairs.actions))
        chosen = torch.linspace(0, len(pairs.actions) - 1, count, device=spread.device)
        chosen = chosen.round().long()
        widths = torch.tensor(self.widths, dtype=spread.dtype, device=spread.device)
        return {
            "centres": pairs.actions[chosen],
            "widths": widths * spread,
        }

    def sample(self, fitted: Fitted, x: Tensor, m: int, *, generator: torch.Generator) -> Tensor:
        """See :class:`Proposal`."""
        centres, widths = fitted["centres"], fitted["widths"]
        shape, device = (len(x), m), centres.device
        centre = torch.randint(len(centres), shape, generator=generator, device=device)
        width = torch.randint(len(widths), shape, generator=generator, device=device)
        xi = centres.new_empty((*shape, centres.shape[1])).normal_(generator=generator)
        return centres[centre] + widths[width][..., None] * xi

    def log_prob(self, fitted: Fitted, x: Tensor, a: Tensor) -> Tensor:
        """The equation above, as a log of a sum of exponentials."""
        centres, widths = fitted["centres"], fitted["widths"]
        d = centres.shape[1]
        away = (a[..., None, :] - centres).square().sum(dim=-1)  # (n, m, c)
        scaled = -away[..., None] / (2 * widths.square())
        log_each = scaled - d * widths.log() - d / 2 * math.log(2 * math.pi)
        return log_each.flatten(-2).logsumexp(dim=-1) - math.log(len(centres) * len(widths))
