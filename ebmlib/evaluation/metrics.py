"""Distances between trajectories and demonstrations, in the normalised units of the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

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
    p, x = np.asarray(points, dtype=np.float64), np.asarray(states, dtype=np.float64)
    if x.ndim != 2 or len(x) == 0 or p.ndim == 0 or p.shape[-1] != x.shape[1]:
        raise InputError(
            f"Points (..., d) and states (n > 0, d) are needed, got {p.shape} and {x.shape}."
        )
    distance, _ = cKDTree(x).query(p)
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
        raise InputError(f"Vertex {place} of a polyline (n, 2) is needed, got {line.shape}.")
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
        raise InputError(f"Windows of {steps} steps need as many distances, got {given.shape}.")
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


def dtw_per_point(paths: ArrayLike, other: ArrayLike) -> Array:
    """Dynamic time warping: mean distance along the best monotone pairing of two paths.

    With d_ij = |p_i - q_j|, a pairing goes from (0, 0) to (n - 1, m - 1) in steps (1, 0), (0, 1)
    and (1, 1). Of all pairings the one with the smallest sum of d_ij is taken,

        D_ij = d_ij + min(D_{i-1,j-1}, D_{i-1,j}, D_{i,j-1})

    (Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition",
    1978), and its sum is divided by its number of pairs. Of equal sums the shorter pairing counts.

    Args:
        paths: (..., n, d).
        other: (m, d).

    Returns:
        (...): in the units of the paths.
    """
    gaps = _gaps(paths, other)
    cost = np.full((gaps.shape[0] + 1, gaps.shape[1] + 1, *gaps.shape[2:]), np.inf)
    pairs = np.zeros(cost.shape)
    cost[0, 0] = 0
    for i, j in _antidiagonals(*gaps.shape[:2]):
        steps = np.stack([cost[i, j], cost[i, j + 1], cost[i + 1, j]])
        counts = np.stack([pairs[i, j], pairs[i, j + 1], pairs[i + 1, j]])
        best = steps.min(axis=0)
        cost[i + 1, j + 1] = gaps[i, j] + best
        pairs[i + 1, j + 1] = 1 + np.where(steps == best, counts, np.inf).min(axis=0)
    return np.asarray(cost[-1, -1] / pairs[-1, -1])


def frechet_distance(paths: ArrayLike, other: ArrayLike) -> Array:
    """The discrete Frechet distance: the largest d_ij of a pairing, at least over all pairings.

        F_ij = max(d_ij, min(F_{i-1,j-1}, F_{i-1,j}, F_{i,j-1}))

    (Eiter and Mannila, "Computing discrete Frechet distance", 1994). Arguments, pairings and shapes
    are those of :func:`dtw_per_point`.
    """
    gaps = _gaps(paths, other)
    largest = np.full((gaps.shape[0] + 1, gaps.shape[1] + 1, *gaps.shape[2:]), np.inf)
    largest[0, 0] = 0
    for i, j in _antidiagonals(*gaps.shape[:2]):
        before = np.minimum(np.minimum(largest[i, j], largest[i, j + 1]), largest[i + 1, j])
        largest[i + 1, j + 1] = np.maximum(gaps[i, j], before)
    return np.asarray(largest[-1, -1])


def _gaps(paths: ArrayLike, other: ArrayLike) -> Array:
    """d_ij of every path, (n, m, ...)."""
    p, q = np.asarray(paths, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if p.ndim < 2 or q.ndim != 2 or p.shape[-1] != q.shape[-1] or 0 in (p.shape[-2], len(q)):
        raise InputError(
            f"Paths (..., n > 0, d) and a path (m > 0, d) are needed, got {p.shape} and {q.shape}."
        )
    gaps = np.linalg.norm(p[..., :, None, :] - q, axis=-1)
    return np.asarray(np.moveaxis(gaps, (-2, -1), (0, 1)))


def _antidiagonals(n: int, m: int) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Places (i, j) of an (n, m) table in the order in which a recursion can fill it."""
    for total in range(n + m - 1):
        i = np.arange(max(0, total - m + 1), min(n, total + 1))
        yield i, total - i
