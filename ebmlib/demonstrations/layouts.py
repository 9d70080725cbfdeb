"""Which arrays of a file are demonstrations, which are time stamps, and which are neither."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ebmlib.demonstrations.polyline import FloatArray, as_float_array
from ebmlib.errors import InputError

TIME_NAMES = ("t", "time", "times", "timestamp", "timestamps", "time_stamp", "time_ms", "time_s",
              "t_ms", "t_s", "time_us", "t_us", "time_ns", "t_ns", "time_sec", "t_sec", "ms", "us",
              "ns", "sec", "secs", "millis", "milliseconds", "microseconds", "seconds", "elapsed",
              "elapsed_time", "date", "datetime")  # fmt: skip
_DERIVED = ("vel", "velocity", "velocities", "speed", "acc", "acceleration", "accelerations",
            "jerk", "force", "forces", "torque", "torques", "action", "actions", "reward",
            "rewards", "done", "dones", "terminal", "terminals", "terminated", "truncated",
            "timeouts",
            "pressure", "button", "buttons", "orientation", "orientations", "quat", "quaternion",
            "quaternions", "euler", "rpy")  # fmt: skip
_MASKS = ("mask", "masks")
_DERIVATIVES = ("{}d", "{}dd", "{}_d", "{}_dd", "{}dot", "{}_dot", "{}ddot", "{}_ddot", "d{}",
                "dd{}", "d_{}", "delta_{}", "next_{}")  # fmt: skip
FEW, MANY = 3, 8  # at most 3 rows and at least 8 columns: probably (d, n), not (n, d)


class Recording(NamedTuple):
    """The demonstrations that a file holds, unscaled.

    Attributes:
        positions: (n_i, d) per demonstration.
        times: (n_i,) time stamps, or None where unknown.
        sources: what each demonstration was read from, such as ``path`` or ``array``.
        notes: one clause for each thing that was left out, transposed or interpreted.
        drawn: whether it is a drawing, whose vertices say nothing about time.
    """

    positions: tuple[FloatArray, ...]
    times: tuple[FloatArray | None, ...]
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    drawn: bool = False


def split_stack(array: FloatArray, label: str, notes: list[str]) -> list[FloatArray]:
    """The demonstrations of an array of shape (n, d) or (m, n, d).

    An array of at most :data:`FEW` rows and at least :data:`MANY` columns is transposed, and noted.

    Raises:
        InputError: another shape, or one that holds no demonstrations in this order of axes.
    """
    if array.ndim not in (2, 3):
        raise InputError(f"{label}: expected shape (n, d) or (m, n, d), got {array.shape}.")
    n, d = array.shape[-2:]
    if n <= FEW and d >= MANY:
        notes.append(
            f"{label} has shape {array.shape} and was transposed: taken for {d} samples in {n} "
            "dimensions (transpose it in the file if it is the other way round)"
        )
        array = np.swapaxes(array, -1, -2)
    elif array.ndim == 3 and n <= FEW and d > n and len(array) >= MANY:
        raise InputError(
            f"{label}: shape {array.shape} reads as {len(array)} demonstrations of {n} points in "
            f"{d} dimensions; order the axes as (demonstration, sample, dimension)."
        )
    elif array.ndim == 3 and len(array) > 2 * n:
        notes.append(
            f"{label} has shape {array.shape}, taken for {len(array)} demonstrations of {n} samples"
        )
    return list(array) if array.ndim == 3 else [array]


def recording_of_arrays(
    arrays: Mapping[str, FloatArray],
    label: str,
    columns: Sequence[str] | None = None,
    time: str | None = None,
) -> Recording:
    """The demonstrations among the named arrays of a file.

    Args:
        arrays: by name. ``NAME_t`` holds the time stamps of ``NAME``. An array with the name of a
            time (``t``, ``time``) holds those of every demonstration of its length. ``x`` and ``y``
            (and ``z``) of one shape are coordinates of the same positions.
        label: the file's name, for messages.
        columns: names of the arrays that are demonstrations (``x,y``: of the coordinates); None
            takes what does not look like a clock, a velocity or another derived quantity.
        time: the name of the array of time stamps.

    Raises:
        InputError: an unknown name, or an array that is not a demonstration.
    """
    notes: list[str] = []
    for name in (*(columns or ()), *([time] if time else [])):
        if name not in arrays:
            raise InputError(f"{label} has no array {name!r}; it has {', '.join(arrays)}.")
    clocks = {key for key in arrays if key.endswith("_t") and key[:-2] in arrays}
    common = time or next(
        (
            key
            for word in TIME_NAMES
            for key in arrays
            if key.lower() == word and _is_clock(arrays[key], arrays)
        ),
        None,
    )
    left = [key for key in arrays if key not in clocks and key != common]
    if columns is not None:
        left = list(columns)
    else:
        if masks := [key for key in left if _role(key) in _MASKS and arrays[key].any()]:
            raise InputError(
                f"{label} has masked entries (the array {masks[0]}), which have no position; "
                "remove their rows first, or choose the arrays with columns (--columns)."
            )
        derived = [key for key in left if _is_derived(key, arrays)]
        if len(derived) < len(left) and derived:
            notes.append(f"not used: {', '.join(derived)}")
            left = [key for key in left if key not in derived]
    lower = [key.lower() for key in left]
    chosen = columns is not None and all(arrays[key].ndim == 1 for key in left)
    if chosen or lower in (["x", "y"], ["x", "y", "z"]):
        if len({arrays[key].shape for key in left}) > 1 or arrays[left[0]].ndim not in (1, 2):
            raise InputError(f"{label}: {', '.join(left)} must have one shape (n,) or (m, n).")
        arrays = {**arrays, ", ".join(left): np.stack([arrays[key] for key in left], axis=-1)}
        left = [", ".join(left)]
    positions: list[FloatArray] = []
    times: list[FloatArray | None] = []
    without = []
    for key in left:
        stack = split_stack(arrays[key], f"the array {key}", notes)
        for i, points in enumerate(stack):
            positions.append(points)
            clock = arrays.get(f"{key}_t")
            if clock is None and common is not None:
                clock = arrays[common]
                clock = clock[i] if clock.shape == (len(stack), len(points)) else clock.ravel()
                clock = clock if clock.size == len(points) else None
                without += [key] if clock is None else []
            times.append(clock)
    if without and len(without) == len(positions):
        raise InputError(
            f"{label}: the array {common} has {arrays[str(common)].size} time stamps, and no "
            f"demonstration has as many samples (the first has {len(positions[0])})."
        )
    if without:
        notes.append(f"no time stamps for {', '.join(dict.fromkeys(without))}")
    return Recording(tuple(positions), tuple(times), ("array",) * len(positions), tuple(notes))


def recording_of_matlab(
    variables: Mapping[str, Any],
    label: str,
    columns: Sequence[str] | None = None,
    time: str | None = None,
) -> Recording:
    """The demonstrations among the variables of a MATLAB file.

    A list of structures with a field ``pos`` (dimensions first) and perhaps ``t`` is the layout of
    the LASA handwriting set; other variables are taken as in :func:`recording_of_arrays`.

    Raises:
        InputError: there are none.
    """
    for name, value in variables.items():
        entries = [value] if isinstance(value, Mapping) else value
        if (
            isinstance(entries, (list, np.ndarray))
            and len(entries)
            and all(
                isinstance(entry, Mapping) and (columns or ["pos"])[0] in entry for entry in entries
            )
        ):
            return _structures(list(entries), f"{name} of {label}", (columns or ["pos"])[0], time)
    arrays = {}
    for key, value in _entries(variables):
        array = np.asarray(value)
        if array.dtype.kind in "biuf":
            arrays[key] = as_float_array(array, f"{key} of {label}")
    if not arrays:
        raise InputError(
            f"{label} holds no numeric arrays and no structures with a field pos; it has "
            f"{', '.join(variables) or 'nothing'}."
        )
    return recording_of_arrays(arrays, label, columns, time)


def _structures(
    entries: Sequence[Mapping[str, Any]], label: str, field: str, time: str | None
) -> Recording:
    positions, times, others = [], [], set()
    for i, entry in enumerate(entries):
        points = as_float_array(entry[field], f"{field} of entry {i + 1} in {label}")
        if points.ndim == 2 and points.shape[0] < points.shape[1]:
            points = points.T.copy()  # the layout of that set, which needs no note
        positions.append(points)
        name = time or ("t" if "t" in entry else None)
        if name is not None and name not in entry:
            raise InputError(f"entry {i + 1} in {label} has no field {name!r}.")
        clock = None if name is None else as_float_array(entry[name], f"{name} in {label}").ravel()
        times.append(clock)
        others |= set(entry) - {field, name}
    notes = [f"not used: {', '.join(sorted(others))}"] if others else []
    return Recording(tuple(positions), tuple(times), ("struct",) * len(positions), tuple(notes))


def _entries(variables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The variables, a cell of arrays as one variable for each of them."""
    for name, value in variables.items():
        cell = isinstance(value, list) or getattr(value, "dtype", np.dtype("f")).hasobject
        if cell and len(value) and all(getattr(entry, "ndim", 0) == 2 for entry in value):
            yield from ((f"{name}_{i}", entry) for i, entry in enumerate(value, start=1))
        else:
            yield name, value


def _is_clock(array: FloatArray, arrays: Mapping[str, FloatArray]) -> bool:
    """Whether an array is a row of time stamps, or has one for every sample of a stack."""
    stacked = array.ndim == 2 and any(array.shape == other.shape[:-1] for other in arrays.values())
    return stacked or array.size == max(array.shape, default=0) > 1


def _is_derived(key: str, arrays: Mapping[str, FloatArray]) -> bool:
    """Whether an array is no position: a velocity, a mask, ``qd`` beside ``q``, a single number."""
    name = key.lower()
    if arrays[key].ndim == 0 or _role(key) in _DERIVED + _MASKS:
        return True
    return any(
        name == pattern.format(other.lower())
        for other in arrays
        for pattern in _DERIVATIVES
        if other != key and arrays[other].shape == arrays[key].shape
    )


def _role(key: str) -> str:
    """The last word of a name: ``hand_vel`` is a ``vel``."""
    return key.lower().rpartition("_")[2]
