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

BY_GRID = (*ESTIMATES, "road")
"""What can be made of the density on a grid: these, and one of several roads."""


@register("Inference")
@dataclass(frozen=True)
class Inference:
    """The kernel whose chains end at actions, and what is made of their ends.

    Attributes:
        kernel: the chain; need not be the one that training used, if training used any.
        estimate: one of :data:`ESTIMATES`, or with a grid of :data:`BY_GRID`.
        population: chains for every state; the estimate's own default if None.
        grid: no chains: the density is evaluated on a grid for noise of this standard deviation on
            the actions, in units of their spread (:mod:`ebmlib.policies.grid`).
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
        checks.one_of("estimate", self.estimate, ESTIMATES if self.grid is None else BY_GRID)
        if self.grid is not None:
            checks.positive("grid", self.grid, most=checks.LARGEST_SQUARED)
        if self.jump is not None:
            object.__setattr__(self, "jump", _two_widths(self.jump))  # JSON gives back a list
        if self.population is not None:
            checks.count("population", self.population)


def _two_widths(given: Any) -> tuple[float, float]:
    try:
        along, across = given if isinstance(given, (tuple, list)) else ()
        for width in (along, across):
            checks.non_negative("jump", width, most=checks.LARGEST_SQUARED)
    except (ValueError, InputError):
        raise InputError(
            "jump must be two widths of at least 0, along the action and across it, or None, got "
            f"{given!r}."
        ) from None
    return along, across
