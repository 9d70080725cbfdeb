"""Polylines: arrays of positions (n, d), their checks, and resampling along them."""

from typing import Literal

import numpy as np
import numpy.typing as npt

from ebmlib import checks
from ebmlib.errors import InputError

FloatArray = npt.NDArray[np.float64]

MAX_COORDINATE = 1e9  # beyond it float64 no longer resolves a drawing's details


def resample(
    points: npt.ArrayLike,
    n_steps: int,
    by: Literal["arclength", "time"] = "arclength",
    times: npt.ArrayLike | None = None,
) -> FloatArray:
    """Points at equal distances along a polyline, or at equal intervals of time.

    The first and last point are kept exactly; between vertices the interpolation is linear.

    Args:
        points: (n, d) vertices, n >= 2, d >= 1.
        n_steps: number of steps; the result has one point more.
        by: "arclength" for equal distances along the line, "time" for equal intervals.
        times: (n,) increasing time stamps for ``by="time"``; equally spaced if None.

    Returns:
        (n_steps + 1, d) float64.

    Raises:
        InputError: the points or the time stamps do not describe a polyline with a length.
    """
    vertices = as_float_array(points, "points")
    check_polyline(vertices, "points")
    checks.count("n_steps", n_steps)
    checks.one_of("by", by, ("arclength", "time"))
    if by == "arclength":
        clock = np.concatenate([[0.0], np.cumsum(step_lengths(vertices))])
    elif times is None:
        clock = np.arange(len(vertices), dtype=np.float64)
    else:
        clock = check_times(times, len(vertices), "points")
    ticks = np.linspace(clock[0], clock[-1], n_steps + 1)
    result = np.stack([np.interp(ticks, clock, column) for column in vertices.T], axis=1)
    # A first step too short to move the clock would otherwise replace the start by its end.
    result[0], result[-1] = vertices[0], vertices[-1]
    return result


def step_lengths(points: FloatArray) -> FloatArray:
    """Distance between neighbours, ||x_{j+1} - x_j||: (n, d) to (n - 1,)."""
    return np.linalg.norm(np.diff(points, axis=0), axis=1)


def as_float_array(values: npt.ArrayLike, label: str) -> FloatArray:
    """A float64 copy of ``values``, or an InputError that names them."""
    if np.ma.is_masked(values):
        raise InputError(
            f"{label}: has masked entries, which have no position; remove their rows first."
        )
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"entries of type {array.dtype}")
        return np.array(array, dtype=np.float64)
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise InputError(f"{label}: expected an array of real numbers, got {error}.") from error


def check_polyline(points: FloatArray, label: str) -> None:
    """Raise InputError unless ``points`` is a finite (n >= 2, d >= 1) array with a length."""
    if points.ndim != 2 or points.shape[1] == 0:
        raise InputError(
            f"{label}: expected positions of shape (n, d), got an array of shape {points.shape}."
        )
    if len(points) < 2:
        raise InputError(f"{label}: expected at least two points, got {len(points)}; remove it.")
    if not np.isfinite(points).all():
        raise InputError(f"{label}: has coordinates that are not finite numbers; remove them.")
    if np.abs(points).max() > MAX_COORDINATE:
        raise InputError(
            f"{label}: has coordinates beyond {MAX_COORDINATE:g}, got {np.abs(points).max():g}; "
            "scale it down."
        )
    # A length of a few rounding errors is no length: dividing by it would only scale up the errors.
    if step_lengths(points).sum() <= 1e-12 * max(np.abs(points).max(), 1e-100):
        raise InputError(f"{label}: has length zero, all its points coincide; remove it.")


def check_times(times: npt.ArrayLike, n_points: int, label: str) -> FloatArray:
    """Return the time stamps as (n_points,) float64, or raise InputError."""
    stamps = as_float_array(times, f"time stamps of {label}")
    if stamps.shape != (n_points,):
        raise InputError(
            f"{label}: expected {n_points} time stamps, one per point, got shape {stamps.shape}."
        )
    if not np.isfinite(stamps).all() or (np.diff(stamps) <= 0).any():
        raise InputError(
            f"{label}: time stamps must be finite and increase from point to point; "
            "keep one point per time stamp."
        )
    return stamps
