"""Recordings on disk: drawings and arrays, as lists of positions with optional time stamps.

========  =====================================================================================
``.svg``  one demonstration per stroke, ``data-t`` in milliseconds (``svg.py``)
``.npy``  one array of shape (n, d), or (m, n, d) for m demonstrations
``.npz``  one (n, d) array per demonstration, in file order; an array ``NAME_t`` of shape (n,)
          holds the time stamps of ``NAME``
``.csv``  a header line, then one row per position: a column ``demo`` (any label; the rows of a
          demonstration keep their order), an optional column ``t``, all others are coordinates
========  =====================================================================================
"""

import csv
import os
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np

from ebmlib.demonstrations.polyline import FloatArray, as_float_array
from ebmlib.demonstrations.svg import read_svg
from ebmlib.errors import InputError


class Recording(NamedTuple):
    """What a file holds, unscaled: positions (n_i, d) and times (n_i,) or None for each."""

    positions: tuple[FloatArray, ...]
    times: tuple[FloatArray | None, ...]


def read_recording(path: str | os.PathLike[str]) -> Recording:
    """Read a drawing or arrays by the file's suffix (see the module's table).

    Raises:
        InputError: the suffix is unknown or the file does not hold what its suffix promises.
    """
    name = os.fspath(path)
    readers = {".svg": _read_svg, ".npy": _read_npy, ".npz": _read_npz, ".csv": _read_csv}
    reader = readers.get(Path(name).suffix.lower())
    if reader is None:
        raise InputError(f"{name}: expected a file ending in {', '.join(sorted(readers))}.")
    try:
        return reader(name)
    except FileNotFoundError as error:
        raise InputError(f"There is no file {name}; check the path.") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}.") from error


def _read_svg(name: str) -> Recording:
    return Recording(*read_svg(name))


def _read_npy(name: str) -> Recording:
    array = as_float_array(_load(name), name)
    if array.ndim not in (2, 3):
        raise InputError(f"{name}: expected shape (n, d) or (m, n, d), got {array.shape}.")
    positions = tuple(array) if array.ndim == 3 else (array,)
    return Recording(positions, (None,) * len(positions))


def _read_npz(name: str) -> Recording:
    arrays = _load(name)
    keys = [key for key in arrays if not (key.endswith("_t") and key[:-2] in arrays)]
    return Recording(
        tuple(as_float_array(arrays[key], f"{key} in {name}") for key in keys),
        tuple(
            as_float_array(arrays[f"{key}_t"], f"{key}_t in {name}")
            if f"{key}_t" in arrays
            else None
            for key in keys
        ),
    )


def _load(name: str):  # type: ignore[no-untyped-def]
    """One array of an .npy file, or a dictionary of arrays of an .npz file; never a pickle."""
    try:
        loaded = np.load(name, allow_pickle=False)
        return dict(loaded) if hasattr(loaded, "files") else loaded
    except (ValueError, EOFError, BadZipFile) as error:
        raise InputError(f"{name} is not a file of plain numeric arrays: {error}.") from error


def _read_csv(name: str) -> Recording:
    rows: dict[str, list[list[float]]] = {}
    clocks: dict[str, list[float]] = {}
    try:
        with open(name, newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, skipinitialspace=True)
            header = [column.strip() for column in table.fieldnames or []]
            table.fieldnames = header
            axes = [column for column in header if column not in ("demo", "t")]
            if "demo" not in header or not axes or len(set(header)) < len(header):
                raise InputError(
                    f"{name}: expected a header line such as demo,x,y or demo,t,x,y, "
                    f"got {','.join(header) or 'nothing'}."
                )
            for row in table:
                if None in row or None in row.values():
                    raise ValueError(f"line {table.line_num} has not {len(header)} columns")
                rows.setdefault(row["demo"], []).append([float(row[axis]) for axis in axes])
                if "t" in header:
                    clocks.setdefault(row["demo"], []).append(float(row["t"]))
    except InputError:
        raise
    except (ValueError, csv.Error) as error:
        raise InputError(f"{name} is not a table of numbers: {error}.") from error
    return Recording(
        tuple(np.array(values) for values in rows.values()),
        tuple(np.array(clocks[demo]) if clocks else None for demo in rows),
    )
