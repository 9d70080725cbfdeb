"""Distances between trajectories and demonstrations, in the normalised units of the data."""

from __future__ import annotations

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
