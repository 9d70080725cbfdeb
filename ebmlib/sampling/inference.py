"""How actions are drawn from a trained model: a part of a run, apart from how it was trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ebmlib import checks
from ebmlib.config import register
from ebmlib.errors import InputError
from ebmlib.sampling.kernel import Kernel
from ebmlib.sampling.sgld import SGLD

ESTIMATES = ("exp", "ml", "draw")
"""The expectation E[a | x], the most probable action, one draw (section 3.3)."""

GRID_ESTIMATES = (*ESTIMATES, "road")
"""Estimates from the density on a grid: the same, and ``"road"``, the mean of one of several modes,
which a rollout keeps (:class:`ebmlib.policies.grid.Committed`)."""


@register("Inference")
@dataclass(frozen=True)
class Inference:
    """The kernel whose chains end at actions, and the estimate that is made from them.

    Attributes:
        kernel: the chain; need not be the one that training used, if training used any.
        estimate: one of :data:`ESTIMATES`, or with a grid of :data:`GRID_ESTIMATES`.
        population: chains for every state; the estimate's own default if None.
        grid: if given, no chains are run: the density is evaluated on a grid, as fine as a model
            needs that was trained with noise of this standard deviation on the actions, in units of
            their spread (:mod:`ebmlib.policies.grid`).
        jump: with a grid, a draw is moved to the mean of what it was before noise of these standard
            deviations, along the action and across it, in the same units
            (:class:`~ebmlib.policies.grid.GridDraw`); None leaves it as it is.
    """

    kernel: Kernel = field(default_factory=SGLD)
    estimate: str = "exp"
    population: int | None = None
    grid: float | None = None
    jump: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        checks.instance("kernel", self.kernel, Kernel, "SGLD(alpha=0.01, steps=100)")
        known = ESTIMATES if self.grid is None else GRID_ESTIMATES
        checks.one_of("estimate", self.estimate, known)
        if self.grid is not None:
            checks.positive("grid", self.grid, most=checks.LARGEST_SQUARED)
        if self.jump is not None:
            object.__setattr__(self, "jump", _two_widths(self.jump))  # JSON gives back a list
        if self.population is not None:
            checks.count("population", self.population)


def _two_widths(given: Any) -> tuple[float, float]:
    try:
        along, across = given
        for width in (along, across):
            checks.non_negative("jump", width, most=checks.LARGEST_SQUARED)
        return float(along), float(across)
    except (TypeError, ValueError, InputError) as error:
        raise InputError(
            "jump must be two finite widths of at least 0, along and across, got "
            f"{checks.short(given)}."
        ) from error
