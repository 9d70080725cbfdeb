"""When a trajectory ends, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from scipy.spatial import cKDTree

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.demonstrations.polyline import FloatArray, as_float_array
from ebmlib.errors import InputError

ARRIVED, LIMIT, LEFT = "arrived", "step limit", "left the data"


@runtime_checkable
class EndRule(Protocol):
    """When trajectories end."""

    @property
    def steps(self) -> int:
        """Most actions of a trajectory."""
        ...

    @property
    def horizon(self) -> int:
        """Actions of a whole demonstration, in units of which a clock counts."""
        ...

    def end(self, path: FloatArray, states: FloatArray | None) -> tuple[int, str]:
        """How many actions of a path (t + 1, d) are taken, and why it ends there.

        Args:
            path: positions.
            states: demonstrated positions (n, d), or None if they are not known.
        """
        ...


@register("FixedSteps")
@dataclass(frozen=True)
class FixedSteps:
    """A trajectory ends after so many actions.

    Attributes:
        steps: the number of actions.
    """

    steps: int = 100

    def __post_init__(self) -> None:
        checks.count("steps", self.steps)

    @property
    def horizon(self) -> int:
        """The number of actions."""
        return self.steps

    def end(self, path: FloatArray, states: FloatArray | None) -> tuple[int, str]:
        """See :class:`EndRule`."""
        return min(self.steps, len(path) - 1), LIMIT


@register("Arrival")
@dataclass(frozen=True)
class Arrival:
    """A trajectory ends where demonstrations end.

    It has arrived at its first closest approach to the end of a demonstration, if that is within
    ``radius`` and not before ``earliest`` actions (a figure that closes passes its end when it
    begins). It has left the data once it is farther than ``away`` from every demonstrated position.

    Raises:
        InputError: ends that are not positions, or a number out of bounds.

    Attributes:
        ends: where the demonstrations ended.
        radius: how near counts as arrived.
        earliest: actions before which nothing has arrived.
        steps: most actions of a trajectory.
        horizon: actions of a demonstration, on average.
        away: how far from every demonstrated position counts as having left.
    """

    ends: tuple[tuple[float, ...], ...]
    radius: float
    earliest: int
    steps: int
    horizon: int
    away: float

    def __post_init__(self) -> None:
        ends = as_float_array(self.ends, "ends")
        if ends.ndim != 2 or ends.size == 0 or not np.isfinite(ends).all():
            raise InputError(
                "ends must be finite positions, at least one, of the same dimension each, got "
                f"{checks.short(self.ends)}; take those of Arrival.of(demonstrations)."
            )
        # as JSON gives them back: lists
        object.__setattr__(self, "ends", tuple(map(tuple, ends.tolist())))
        checks.positive("radius", self.radius, most=checks.LARGEST_SQUARED)
        checks.positive("away", self.away, most=checks.LARGEST_SQUARED)
        checks.count("earliest", self.earliest, least=0, most=checks.MOST_UPDATES)
        checks.count("horizon", self.horizon, most=checks.MOST_UPDATES)
        checks.count("steps", self.steps, most=checks.MOST_UPDATES)

    @classmethod
    def of(cls, demonstrations: Demonstrations) -> Arrival:
        """The rule for demonstrations.

        The radius is twice the median distance of an end to the nearest other end, and at least a
        step. Trajectories arrive after at least 3/4 of the shortest demonstration and go on for at
        most 3/2 of the longest. They have left the data at a quarter of the data's extent.
        """
        paths = demonstrations.trajectories
        ends = np.array([x[-1] for x in paths])
        counts = [len(x) - 1 for x in paths]
        beside = 0.0
        if len(ends) > 1:
            beside = float(np.median(cKDTree(ends).query(ends, k=2)[0][:, 1]))
        extent = float(np.ptp(np.concatenate(paths), axis=0).max())
        return cls(
            ends=tuple(map(tuple, ends.tolist())),
            radius=max(2 * beside, demonstrations.step_length),
            earliest=3 * min(counts) // 4,
            steps=max(1, 3 * max(counts) // 2),
            horizon=max(1, round(sum(counts) / len(counts))),
            away=0.25 * extent,
        )

    def end(self, path: FloatArray, states: FloatArray | None) -> tuple[int, str]:
        """See :class:`EndRule`."""
        gap = cKDTree(np.array(self.ends)).query(path)[0]
        turns = np.append(gap[1:] >= gap[:-1], True)
        there = (gap <= self.radius) & turns & (np.arange(len(path)) >= self.earliest)
        arrived = int(there.argmax()) if there.any() else len(path)
        left = len(path)
        if states is not None:
            beyond = cKDTree(states).query(path)[0] > self.away
            left = int(beyond.argmax()) if beyond.any() else left
        if min(arrived, left) < len(path) and min(arrived, left) <= self.steps:
            return (arrived, ARRIVED) if arrived < left else (left, LEFT)
        return min(self.steps, len(path) - 1), LIMIT


class Followed(NamedTuple):
    """One trajectory up to its end: positions (t + 1, d), actions (t, d), and why it ended."""

    points: FloatArray
    actions: FloatArray
    why: str
