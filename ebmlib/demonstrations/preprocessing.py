"""Preprocessing: recorded positions become normalised trajectories.

The preprocessing enforces the four assumptions of section 3.1 of the thesis:

1. trajectories may have different numbers of steps n_i;
2. steps need not be equidistant, and may be zero where a pointer rested;
3. all trajectories have the same length, sum_j ||x_{j+1} - x_j|| (``length``, by default 2 pi, so
   that a closed circle has radius 1), up to a relative ``DELTA``;
4. every trajectory starts at the origin.

Each demonstration is moved and scaled, nothing else, so that it can be put back where it was drawn:
x_normalised = (x - offset_i) * scale_i.

*One* path is a reference path: scaled so that the drawn curve has the common length, resampled to
``steps`` equal distances along it (equal times if it carries time stamps), and repeated with
Gaussian noise of standard deviation ``sigma``. *Several* paths are several demonstrations:
resampled to ``steps`` equal intervals of time where they carry time stamps, then scaled so that the
sampled trajectory has the common length. Without time stamps it depends on their origin:

- a *recording* (arrays, tables) has samples that are equally spaced in time;
- a *drawing* (SVG paths) has vertices that say nothing about time: a straight line has two and a
  curve many. It is resampled to equal distances along it (``by="arclength"``).

Steps of equal length put the actions of a drawing on a circle, where they have no density: without
noise the likelihood has no bound. The noise ``sigma`` gives the density its width, and so decides
what is learned there; its default for files is 0.01.

``scaling="together"`` gives all demonstrations the same scale, so that their mean length is the
common one (assumption 3 then holds on average only). People draw a shape longer or shorter; if each
is scaled by itself, ends and corners that were at one place move apart.

Noise is added last, in normalised units, to every point but the first, which stays at the origin.
It lengthens trajectories, so assumption 3 holds before it. The rule: ``repetitions`` copies with
noise are made of a single path; several paths are kept once each, with noise on each.
"""

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ebmlib import checks
from ebmlib.demonstrations.polyline import (
    FloatArray,
    as_float_array,
    check_polyline,
    check_times,
    resample,
    step_lengths,
)
from ebmlib.errors import InputError, InputWarning

LENGTH = 2 * math.pi
DELTA = 0.01  # of assumption 3, relative; what prepare() makes differs by rounding only
MAX_NUMBERS = 50_000_000
SCALINGS = ("each", "together")


class Prepared(NamedTuple):
    """What :func:`prepare` makes; the fields of :class:`ebmlib.demonstrations.Demonstrations`."""

    trajectories: tuple[FloatArray, ...]
    scales: FloatArray
    offsets: FloatArray
    times: tuple[FloatArray, ...] | None
    reference: FloatArray | None


def prepare(
    arrays: Iterable[npt.ArrayLike],
    times: Sequence[npt.ArrayLike | None] | None,
    steps: int | None,
    length: float,
    sigma: float,
    repetitions: int,
    generator: np.random.Generator | None,
    name: str,
    by: Literal["time", "arclength"] = "time",
    scaling: str = "each",
) -> Prepared:
    """Check, resample, move, scale, repeat and add noise, as the module's docstring says.

    Arguments and errors are those of :meth:`ebmlib.demonstrations.Demonstrations.from_arrays`.
    """
    if steps is not None:
        checks.count("steps", steps)
    checks.count("repetitions", repetitions)
    checks.non_negative("sigma", sigma)
    checks.positive("length", length)
    checks.one_of("by", by, ("time", "arclength"))
    checks.one_of("scaling", scaling, SCALINGS)
    if sigma > 0 and not isinstance(generator, np.random.Generator):
        raise InputError(
            f"sigma {sigma:g} adds noise: pass generator=numpy.random.default_rng(seed), "
            f"got {generator!r}."
        )
    raw = _checked_arrays(arrays, name)
    clocks = _checked_times(times, raw, name)
    single = len(raw) == 1
    copies = repetitions if single else 1
    numbers = sum(len(x) if steps is None else steps + 1 for x in raw) * copies * raw[0].shape[1]
    if numbers > MAX_NUMBERS:
        raise InputError(
            f"{name}: steps {steps} and repetitions {copies} make {numbers} coordinates; at most "
            f"{MAX_NUMBERS} are kept in memory, use fewer."
        )

    clean: list[FloatArray] = []
    scales: list[float] = []
    for points, clock in zip(raw, clocks, strict=True):
        sampled = points
        if steps is not None:
            by_distance = clock is None and (single or by == "arclength")
            sampled = resample(points, steps, "arclength" if by_distance else "time", clock)
        # A reference path's scale is computed from the drawn curve, so it does not depend on steps.
        total = step_lengths(points if single else sampled).sum()
        if total <= 0:
            raise InputError(f"{name}: a demonstration has no length at steps {steps}; use more.")
        clean.append((sampled - points[0]) * (length / total))
        scales.append(length / total)
    if scaling == "together":
        common = len(scales) * length / sum(length / scale for scale in scales)
        clean = [x * (common / scale) for x, scale in zip(clean, scales, strict=True)]
        scales = [common] * len(scales)
    ticks = [_ticks(clock, steps) for clock in clocks if clock is not None]
    return Prepared(
        trajectories=tuple(_noisy(x, sigma, generator) for x in clean for _ in range(copies)),
        scales=np.repeat(scales, copies),
        offsets=np.repeat([x[0] for x in raw], copies, axis=0),
        times=tuple(t.copy() for t in ticks for _ in range(copies))
        if len(ticks) == len(raw)
        else None,
        reference=clean[0].copy() if single else None,
    )


def check_assumptions(trajectories: Sequence[FloatArray], *, delta: float | None = DELTA) -> None:
    """Raise InputError unless the trajectories satisfy the assumptions of section 3.1.

    Args:
        trajectories: (n_i + 1, d) each. Assumptions 1 and 2 only permit, so n_i and single steps
            are not checked; assumption 4 demands that each starts exactly at the origin.
        delta: largest relative deviation of a length from the mean length (assumption 3); None
            to leave it out, as for trajectories with noise.
    """
    if len(trajectories) == 0:
        raise InputError("There are no demonstrations; pass at least one array of shape (n, d).")
    for i, points in enumerate(trajectories):
        check_polyline(points, f"trajectory {i}")
        if points.shape[1] != trajectories[0].shape[1]:
            raise InputError(
                f"trajectory {i} has {points.shape[1]} dimensions, trajectory 0 has "
                f"{trajectories[0].shape[1]}; all must have the same."
            )
        if (points[0] != 0).any():
            raise InputError(f"trajectory {i} must start at the origin, got {points[0]}; move it.")
    if delta is None:
        return
    lengths = np.array([step_lengths(points).sum() for points in trajectories])
    deviation = np.abs(lengths / lengths.mean() - 1)
    if deviation.max() > delta:
        worst = int(deviation.argmax())
        raise InputError(
            f"trajectory {worst} has length {lengths[worst]:.3g}, the mean is "
            f"{lengths.mean():.3g}; lengths must agree within {delta:.0%}, scale it."
        )


def _checked_arrays(arrays: Iterable[npt.ArrayLike], name: str) -> list[FloatArray]:
    if getattr(arrays, "ndim", None) == 2:
        raise InputError(f"{name}: expected a list of (n, d) arrays, got one array; pass [array].")
    try:
        items = list(arrays)
    except TypeError as error:
        raise InputError(f"{name}: expected a list of (n, d) arrays, got {arrays!r}.") from error
    raw = [as_float_array(x, f"demonstration {i} of {name}") for i, x in enumerate(items)]
    if not raw:
        raise InputError(f"{name}: there are no demonstrations; pass at least one (n, d) array.")
    for i, points in enumerate(raw):
        check_polyline(points, f"demonstration {i} of {name}")
        if points.shape[1] != raw[0].shape[1]:
            raise InputError(
                f"demonstration {i} of {name} has {points.shape[1]} dimensions, the first has "
                f"{raw[0].shape[1]}; all must have the same."
            )
    n, d = min(len(points) for points in raw), raw[0].shape[1]
    if d > max(n, 3):
        warnings.warn(
            f"{name} has {d} dimensions and only {n} samples in a demonstration; if the axes are "
            "swapped, pass the transpose.",
            InputWarning,
            stacklevel=4,
        )
    return raw


def _checked_times(
    times: Sequence[npt.ArrayLike | None] | None, raw: list[FloatArray], name: str
) -> list[FloatArray | None]:
    if times is None:
        return [None] * len(raw)
    if len(times) != len(raw):
        raise InputError(f"{name}: expected {len(raw)} lists of time stamps, got {len(times)}.")
    return [
        None if t is None else check_times(t, len(x), f"demonstration {i} of {name}")
        for i, (t, x) in enumerate(zip(times, raw, strict=True))
    ]


def _ticks(clock: FloatArray, steps: int | None) -> FloatArray:
    return clock if steps is None else np.linspace(clock[0], clock[-1], steps + 1)


def _noisy(points: FloatArray, sigma: float, generator: np.random.Generator | None) -> FloatArray:
    """A copy with Gaussian noise on every point but the first."""
    noisy = points.copy()
    if generator is not None and sigma > 0:
        noisy[1:] += sigma * generator.standard_normal(noisy[1:].shape)
    return noisy
