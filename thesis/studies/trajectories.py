"""EXP trajectories that start beside and on the demonstrations (section 4.4), and their tails.

*Inside*, *on* and *outside* are places on, and 0.4 (six mean steps) beside, the centre line of the
demonstrations; inside is the concave side of its first half: the interior of the circle, of
mouse2's hook, of the first bend of path1 and mouse1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.evaluation import metrics
from ebmlib.policies import EXP, Draw, Policy, rollout
from thesis.study import Cell, Study

Array = NDArray[np.float64]

OFFSETS = {"inside": 0.4, "on": 0.0, "outside": -0.4}
"""Signed distance from the centre line, positive on its concave side, normalised units."""

PLACES = (0, 15, 30)
"""Steps of the centre line at which trajectories start: its first third."""

POPULATION = 8
"""p of Algorithm 2; a circle's basin came out the same with p = 2 and p = 16."""

BRANCHING = 50
"""The step of mouse1 from which tails are sampled: before the demonstrations part."""


def line(demonstrations: Demonstrations) -> Array:
    """The path without noise where there is one, else the mean demonstration, (t + 1, 2)."""
    if demonstrations.reference is not None:
        return np.asarray(demonstrations.reference, dtype=float)
    return metrics.centre_line(demonstrations.trajectories)


def closed(demonstrations: Demonstrations) -> bool:
    """Whether the demonstrations end where they start."""
    path = line(demonstrations)
    return bool(np.linalg.norm(path[-1] - path[0]) < 2 * demonstrations.step_length)


def beside(demonstrations: Demonstrations, place: int, offset: float) -> Array:
    """The point ``offset`` beside the centre line at a step, positive on the concave side, (2,)."""
    path = line(demonstrations)
    return metrics.beside(path, place, offset * metrics.concave_side(path))


def starts(demonstrations: Demonstrations, kind: str) -> Array:
    """Starts of one kind (``inside``, ``on`` or ``outside``), one for every place, (3, 2)."""
    return np.array([beside(demonstrations, place, OFFSETS[kind]) for place in PLACES])


def roll(
    policy: Policy, points: Array, steps: int, generator: torch.Generator, device: torch.device
) -> Array:
    """States of rollouts from points (b, 2), as an array (b, steps + 1, 2)."""
    at = torch.tensor(points, dtype=torch.float32, device=device)
    found = rollout(policy, at, steps, generator=generator).states
    return found.cpu().numpy().astype(np.float64)


def measure(cell: Cell) -> dict[str, Any]:
    """Distance to the nearest demonstration over time, by kind of start.

    An open path is followed for 70 steps, so that none runs past its end; a closed one for 150.

    Returns:
        For every kind: ``KIND``, the median over the starts at every step; ``KIND_end``, its mean
        over the last 20 steps; ``KIND_worst``, the largest over the starts of the mean distance in
        the last 20 steps.
    """
    demonstrations, sampler = cell.trained.demonstrations, cell.sampler
    steps = 150 if closed(demonstrations) else 70
    population = POPULATION
    if cell.small:
        steps, population = 25, 2
    points = np.concatenate([starts(demonstrations, kind) for kind in OFFSETS])
    policy = EXP(cell.trained.model, sampler, population)
    states = roll(policy, points, steps, cell.generator("starts"), cell.device)
    distance = metrics.distance_to_nearest(states, demonstrations.trajectories)
    found: dict[str, Any] = {}
    for kind, column in zip(OFFSETS, np.split(distance, len(OFFSETS)), strict=True):
        found[kind] = np.median(column, axis=0)
        found[f"{kind}_end"] = np.median(column, axis=0)[-20:].mean()
        found[f"{kind}_worst"] = column[:, -20:].mean(axis=1).max()
    return found


def across(demonstrations: Demonstrations) -> tuple[Array, Array]:
    """Origin and unit normal, (2,) each, of the line across the movement before it branches."""
    path = line(demonstrations)
    origin, along = path[BRANCHING + 10], path[BRANCHING + 13] - path[BRANCHING + 7]
    return origin, np.array([-along[1], along[0]]) / np.hypot(*along)


def gap(ends: Array) -> tuple[float, float]:
    """The widest gap between neighbouring values (n,): its lower and upper edge."""
    ordered = np.sort(ends)
    widest = int(np.diff(ordered).argmax())
    return float(ordered[widest]), float(ordered[widest + 1])


def measure_tail(cell: Cell) -> dict[str, Any]:
    """How far trajectories spread across the movement near its tail.

    From every demonstrated state at step 50, EXP (once) and single draws (three times) go on for
    the 50 steps that the demonstrations take. The coordinate across is measured along the normal
    of the movement at step 60, before the demonstrations part; they end in two branches with a gap
    between them, in which none of them ends.

    Returns:
        ``low``, ``high``: edges of the gap. For ``data``, ``EXP`` and ``DRAW``: ``X``, the standard
        deviation across at every tenth step from 50 on; ``X_ends``, the last coordinates;
        ``X_gap``, the share of ends within the gap; ``X_smaller``, the share of ends beyond it on
        the side that has fewer. ``EXP_spread`` and ``DRAW_spread``: last deviation over the data's.
    """
    demonstrations, sampler = cell.trained.demonstrations, cell.sampler
    model, shown = cell.trained.model, np.stack(demonstrations.trajectories)
    steps = shown.shape[1] - 1 - BRANCHING
    population, repetitions = (2, 1) if cell.small else (POPULATION, 3)
    points = shown[:, BRANCHING]
    paths = {"data": shown[:, BRANCHING:]}
    exp, draw = EXP(model, sampler, population), Draw(model, sampler)
    paths["EXP"] = roll(exp, points, steps, cell.generator("exp"), cell.device)
    points = np.repeat(points, repetitions, axis=0)
    paths["DRAW"] = roll(draw, points, steps, cell.generator("draw"), cell.device)
    origin, normal = across(demonstrations)
    coordinates = {name: (states - origin) @ normal for name, states in paths.items()}
    low, high = gap(coordinates["data"][:, -1])
    found: dict[str, Any] = {"low": low, "high": high}
    for name, u in coordinates.items():
        ends = u[:, -1]
        below, above = float((ends <= low).mean()), float((ends >= high).mean())
        found |= {name: u[:, ::10].std(axis=0), f"{name}_ends": ends}
        found |= {f"{name}_gap": 1 - below - above, f"{name}_smaller": min(below, above)}
        if name != "data":
            found[f"{name}_spread"] = ends.std() / coordinates["data"][:, -1].std()
    return found


STUDIES = (
    Study("trajectories", ("path1", "circle", "mouse1", "mouse2"), measure),
    Study("tail", ("mouse1",), measure_tail),
)
