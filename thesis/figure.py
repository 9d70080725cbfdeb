"""The thesis's figures by number. A drawing takes trained models and results; it never trains.

``python -m thesis figure 4.7`` and the book's chapters call the same function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from ebmlib.errors import InputError
from ebmlib.training.store import Trained
from thesis.study import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebmlib.demonstrations.dataset import Demonstrations

NUMBERS = (
    *("2.1", "2.2", "3.1", "3.2", "3.3", "3.4"),
    *(f"4.{number}" for number in range(1, 28)),
)
"""All figures of the thesis."""


class Source(Protocol):
    """What a drawing may ask for; :class:`~thesis.companion.Companion` has it."""

    @property
    def seed(self) -> int:
        """The seed whose models are shown."""
        ...

    @property
    def small(self) -> bool:
        """Whether everything is to be tiny."""
        ...

    @property
    def where(self) -> torch.device:
        """The device of the models."""
        ...

    def trained(self, name: str, seed: int | None = None) -> Trained:
        """The trained model of a condition."""
        ...

    def demonstrations(self, name: str) -> Demonstrations:
        """The demonstrations of a condition, where no model is asked for."""
        ...

    def results(self, name: str) -> Results:
        """The results of a study."""
        ...


@dataclass(frozen=True)
class ThesisFigure:
    """A figure (or several that belong on one sheet).

    Attributes:
        numbers: the thesis's numbers that it regenerates; empty for a figure of our own.
        name: what it is called: its first number, or a word for our own.
        title: what it shows, in a phrase.
        alt: what it shows in words, for readers who cannot see it.
        conditions: the models it needs (what the build trains before the chapter).
        studies: the results it needs.
        draw: source -> figure.
    """

    numbers: tuple[str, ...]
    name: str
    title: str
    alt: str
    conditions: tuple[str, ...]
    studies: tuple[str, ...]
    draw: Callable[[Source], Figure]


REGISTRY: dict[str, ThesisFigure] = {}
"""What :func:`figure` registered; :func:`thesis.figures.figures` is sure to have all."""


def figure(
    *names: str,
    title: str,
    alt: str,
    conditions: tuple[str, ...] = (),
    studies: tuple[str, ...] = (),
) -> Callable[[Callable[[Source], Any]], ThesisFigure]:
    """Register the decorated drawing: ``@figure("4.8", "4.9", ...)`` or ``@figure("drift")``."""

    def register(draw: Callable[[Source], Any]) -> ThesisFigure:
        numbers = tuple(name for name in names if name in NUMBERS)
        made = ThesisFigure(numbers, names[0], title, alt, conditions, studies, draw)
        for name in names:
            if name in REGISTRY:
                raise InputError(f"Figure {name} is registered twice; rename one.")
            REGISTRY[name] = made
        return made

    return register
