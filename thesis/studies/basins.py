"""From where EXP trajectories return to the demonstrations (sections 4.4 and 5).

A trajectory *returns* if, within as many steps as a demonstration has (100; on a closed path two
laps, 200, since near its centre a trajectory takes its time to spiral out), it comes within 0.1 of
the demonstrations and stays there for ten steps in a row. 0.1 is ten times the noise
``dataset_sigma`` on the demonstrated positions, and one and a half mean steps; the distance is that
to the nearest demonstration, so demonstrations that spread widely are wide a target. Ten steps
exclude a trajectory that merely crosses. On open paths it cannot stay for longer: one that has
returned is carried past the end of the path sooner or later.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ebmlib.evaluation import metrics
from ebmlib.policies import EXP, Policy
from thesis.studies.trajectories import beside, closed, line, roll
from thesis.study import Cell, Study

Array = NDArray[np.float64]

NEAR = 0.1
"""Distance that counts as with the demonstrations: ten times ``dataset_sigma``."""

HELD = 10
"""Steps in a row for which it is kept."""

GONE = 2.5
"""Distance at which a trajectory is given up."""

OFFSETS = (0.1, 0.25, 0.5, 0.75, 1.0)
"""Distances from the centre line at which starts lie, on either side."""

FAR = (1.5, 2.0)
"""More of them, outside a closed path."""

GRID = 13
"""Starts of a map along either axis."""

POPULATION = 2
"""p of Algorithm 2: small, for the cost. On the circle, seed 0, the map with 16 was the same."""


def closest_hold(
    policy: Policy,
    points: Array,
    demonstrations: tuple[Array, ...],
    generator: torch.Generator,
    device: torch.device,
    steps: int,
) -> Array:
    """The smallest distance to the demonstrations that is kept for ten steps, by start (b,).

    A trajectory is followed until it has returned, is gone, or has made all its steps; infinite
    where it was gone before it kept any distance.
    """
    count = len(points)
    distance = np.full((count, steps + 1), np.nan)
    distance[:, 0] = metrics.distance_to_nearest(points, demonstrations)
    held = np.full(count, np.inf)
    place, active = points.copy(), np.arange(count)
    for done in range(0, steps, HELD):
        states = roll(policy, place[active], HELD, generator, device)
        place[active] = states[:, -1]
        reached = metrics.distance_to_nearest(states[:, 1:], demonstrations)
        distance[active, done + 1 : done + HELD + 1] = reached
        held[active] = metrics.held_distance(distance[active, : done + HELD + 1], HELD)
        active = active[(held[active] > NEAR) & (reached[:, -1] < GONE)]
        if not len(active):
            break
    return held


def grid(cell: Cell, size: int) -> tuple[Array, Array]:
    """Coordinates of a map's columns and rows: the demonstrations and a margin around them."""
    states = cell.trained.demonstrations.states
    margin = 1.5 if closed(cell.trained.demonstrations) else 1.0
    low, high = states.min(axis=0) - margin, states.max(axis=0) + margin
    return np.linspace(low[0], high[0], size), np.linspace(low[1], high[1], size)


def measure(cell: Cell) -> dict[str, Any]:
    """Who returns, from a grid of starts and from starts beside the demonstrations.

    Starts beside the demonstrations lie at nine places of a closed path, and at five in the first
    half of an open one, so that enough of it is left to return to.

    Returns:
        ``columns``, ``rows``, ``map``: the grid and the closest distance held at each start, row by
        row (not returned if above 0.1; null if the trajectory was gone). ``offsets``: signed
        distances from the centre line, positive inside; ``returned``: the share of starts at each
        that return. ``radius``: the largest distance up to which at least 90 % return on either
        side.
    """
    demonstrations, sampler = cell.trained.demonstrations, cell.sampler
    policy = EXP(cell.trained.model, sampler, POPULATION)
    around = closed(demonstrations)
    count = len(line(demonstrations)) - 1
    size, steps = (3, 20) if cell.small else (GRID, 2 * count if around else count)

    def held(points: Array, stream: str) -> Array:
        generator = cell.generator(stream)
        shown = demonstrations.trajectories
        return closest_hold(policy, points, shown, generator, cell.device, steps)

    columns, rows = grid(cell, size)
    points = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    offsets = sorted({*OFFSETS, *(-offset for offset in OFFSETS), *(-far for far in FAR if around)})
    places = range(0, count, count // 9) if around else range(5, count // 2, count // 10)
    beside_it = np.array([[beside(demonstrations, p, o) for p in places] for o in offsets])
    returned = held(beside_it.reshape(-1, 2), "beside").reshape(len(offsets), -1) <= NEAR
    return {
        "columns": columns,
        "rows": rows,
        "map": held(points, "map"),
        "offsets": offsets,
        "returned": returned.mean(axis=1),
        "radius": radius(offsets, returned.mean(axis=1)),
    }


def radius(offsets: Any, returned: Any, share: float = 0.9) -> float:
    """The largest distance up to which at least ``share`` return, on either side; 0 if none."""
    lowest: dict[float, float] = {}
    for offset, found in zip(offsets, returned, strict=True):
        lowest[abs(offset)] = min(lowest.get(abs(offset), 1.0), float(found))
    reached = 0.0
    for distance in sorted(lowest):
        if lowest[distance] < share:
            break
        reached = distance
    return reached


STUDIES = (Study("basins", ("path1", "circle", "mouse1", "mouse2"), measure),)
