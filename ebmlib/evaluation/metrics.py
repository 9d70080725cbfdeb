"""Distances between trajectories and demonstrations, in the normalised units of the data."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from ebmlib.errors import InputError

Array = NDArray[np.float64]


def distance_to_polyline(points: ArrayLike, polyline: ArrayLike) -> Array:
    """Shortest distance of every point (..., d) to the segments of a polyline (n, d), (...)."""
    p = np.asarray(points, dtype=np.float64)
    line = np.asarray(polyline, dtype=np.float64)
    if line.ndim != 2 or len(line) < 2 or p.ndim == 0 or p.shape[-1] != line.shape[1]:
        raise InputError(
            f"Points (..., d) and a polyline (n > 1, d) are needed, got {p.shape} and {line.shape}."
        )
    begin, direction = line[:-1], np.diff(line, axis=0)
    square = np.maximum((direction**2).sum(axis=1), np.finfo(float).tiny)
    away = p[..., None, :] - begin
    along = np.clip((away * direction).sum(axis=-1) / square, 0, 1)
    gap = away - along[..., None] * direction
    return np.sqrt((gap**2).sum(axis=-1)).min(axis=-1)


def distance_to_states(points: ArrayLike, states: ArrayLike) -> Array:
    """Distance of every point (..., d) to the nearest of many demonstrated states (n, d)."""
    p, known = np.asarray(points, dtype=np.float64), np.asarray(states, dtype=np.float64)
    if known.ndim != 2 or len(known) == 0 or p.ndim == 0 or p.shape[-1] != known.shape[1]:
        raise InputError(
            f"Points (..., d) and states (n > 0, d) are needed, got {p.shape} and {known.shape}."
        )
    distance, _ = cKDTree(known).query(p)
    return np.asarray(distance, dtype=np.float64)


def action_error(actions: ArrayLike, truth: ArrayLike) -> float:
    """Mean squared Euclidean error of actions (n, d): the Bayes risk that EXP minimises (2.1)."""
    a, b = np.asarray(actions, dtype=np.float64), np.asarray(truth, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 2 or len(a) == 0:
        raise InputError(f"Two arrays of actions (n > 0, d) are needed, got {a.shape}, {b.shape}.")
    return float(((a - b) ** 2).sum(axis=-1).mean())


def beside(polyline: ArrayLike, place: int, offset: float) -> Array:
    """The point ``offset`` to the left of a 2-D polyline (n, 2) at its vertex ``place``, (2,).

    Left is seen in the direction of travel, so a negative offset lies on the right.
    """
    line = np.asarray(polyline, dtype=np.float64)
    if line.ndim != 2 or line.shape[1] != 2 or not 0 <= place < len(line):
        raise InputError(f"Vertex {place} of a polyline (n, 2) was asked for, got {line.shape}.")
    before, after = max(place - 1, 0), min(place + 1, len(line) - 1)
    along = line[after] - line[before]
    left = np.array([-along[1], along[0]]) / np.hypot(*along)
    return np.asarray(line[place] + offset * left, dtype=np.float64)


def distance_to_nearest(points: ArrayLike, polylines: Iterable[ArrayLike]) -> Array:
    """Distance of every point (..., d) to the nearest of several polylines, (...)."""
    distances = [distance_to_polyline(points, polyline) for polyline in polylines]
    if not distances:
        raise InputError("At least one polyline is needed to measure a distance to.")
    return np.asarray(np.min(distances, axis=0), dtype=np.float64)


def held_distance(distances: ArrayLike, steps: int) -> Array:
    """The smallest distance that a trajectory keeps for ``steps`` steps in a row.

    That is the minimum over windows of the largest distance within them: a trajectory that only
    crosses the demonstrations does not have a small one. Steps that were not taken are NaN.

    Args:
        distances: over time, (..., t + 1).
        steps: length of the windows, counted in states.

    Returns:
        (...): infinite where no window is complete.
    """
    given = np.asarray(distances, dtype=np.float64)
    if given.ndim == 0 or not 1 <= steps <= given.shape[-1]:
        raise InputError(f"Windows of {steps} steps were asked for over {given.shape} distances.")
    windows = np.lib.stride_tricks.sliding_window_view(given, steps, axis=-1).max(axis=-1)
    return np.asarray(np.where(np.isnan(windows), np.inf, windows).min(axis=-1))


def centre_line(trajectories: Iterable[ArrayLike]) -> Array:
    """Mean of trajectories with the same number of steps, step by step, (t + 1, d)."""
    arrays = [np.asarray(trajectory, dtype=np.float64) for trajectory in trajectories]
    if not arrays or len({array.shape for array in arrays}) != 1:
        raise InputError("A centre line needs trajectories that have the same number of steps.")
    return np.asarray(np.mean(arrays, axis=0), dtype=np.float64)


def concave_side(polyline: ArrayLike) -> float:
    """The side to which the first half of a 2-D polyline (n, 2) bends: 1 left, -1 right.

    It is the inside of a circle or a hook; on an S, of its first bend.
    """
    line = np.asarray(polyline, dtype=np.float64)
    if line.ndim != 2 or line.shape[1] != 2 or len(line) < 5:
        raise InputError(f"A polyline (n > 4, 2) was expected, got {line.shape}.")
    steps = np.diff(line[: len(line) // 2 + 1], axis=0)
    angles = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    return 1.0 if angles[-1] >= angles[0] else -1.0
