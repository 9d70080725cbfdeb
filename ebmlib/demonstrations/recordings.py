"""Recordings on disk: drawings and arrays, as lists of positions with optional time stamps.

========  =====================================================================================
``.svg``  one demonstration per stroke, ``data-t`` in milliseconds (``svg/reading.py``)
``.npy``  one array of shape (n, d), or (m, n, d) for m demonstrations
``.npz``  (n, d) or (m, n, d) arrays in file order; ``NAME_t`` of shape (n,) holds the time stamps
          of ``NAME``, an array ``t`` or ``time`` those of all; ``x`` and ``y`` are coordinates of
          the same positions; velocities and other derived quantities are left out (``layouts.py``)
``.mat``  the same, and the LASA layout: structures with fields ``pos`` (d, n) and ``t``
``.csv``  a header line, then one row per position: a column ``demo`` (any label; the rows of a
          demonstration keep their order), an optional column ``t``, all others are coordinates
          (``tables.py``)
========  =====================================================================================

``Recording.notes`` says what was left out, transposed or interpreted.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ebmlib.demonstrations import archives
from ebmlib.demonstrations.layouts import (
    Recording,
    recording_of_arrays,
    recording_of_matlab,
    split_stack,
)
from ebmlib.demonstrations.svg import read_drawing
from ebmlib.demonstrations.tables import read_table
from ebmlib.errors import InputError

__all__ = ["Recording", "Source", "read_recording"]

_CHOICE = re.compile(r"(?P<path>.+)#(?P<choice>(?:columns|time)=.*)", re.DOTALL)
SUFFIXES = (".csv", ".mat", ".npy", ".npz", ".svg")


class Source(NamedTuple):
    """A file, and which of its columns or arrays to read.

    As one text (``DemonstrationConfig.source``) it is ``FILE#columns=x,y&time=t``.
    """

    path: str
    columns: tuple[str, ...] | None = None
    time: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Source":
        """Read the text form.

        Raises:
            InputError: a choice that is not known.
        """
        match = _CHOICE.fullmatch(text)
        if match is None or os.path.exists(text):
            return cls(text)
        chosen: dict[str, str] = {}
        for part in match["choice"].split("&"):
            name, equals, value = part.partition("=")
            if name not in ("columns", "time") or not equals or not value or name in chosen:
                raise InputError(
                    f"{text}: expected a choice such as FILE#columns=x,y&time=t, got {part!r}."
                )
            chosen[name] = value
        columns = tuple(chosen["columns"].split(",")) if "columns" in chosen else None
        return cls(match["path"], columns, chosen.get("time"))

    def __str__(self) -> str:
        """The text form."""
        parts = [f"columns={','.join(self.columns)}"] if self.columns else []
        parts += [f"time={self.time}"] if self.time else []
        return self.path + ("#" + "&".join(parts) if parts else "")


def read_recording(
    path: str | os.PathLike[str],
    *,
    columns: Sequence[str] | None = None,
    time: str | None = None,
) -> Recording:
    """Read a drawing or arrays by the file's suffix (see the module's table).

    Args:
        path: the file.
        columns: names of the coordinates (``.csv``) or of the arrays (``.npz``, ``.mat``).
        time: name of the column or array of time stamps.

    Raises:
        InputError: the suffix is unknown, the file does not hold what its suffix promises, or
            names were given for a file that has none.
    """
    name = os.fspath(path)
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{name}: expected a file ending in {', '.join(SUFFIXES)}.")
    if suffix in (".svg", ".npy") and (columns is not None or time is not None):
        raise InputError(f"{name} has no named columns to choose from; only tables and .npz have.")
    try:
        if suffix == ".svg":
            return Recording(*read_drawing(name), drawn=True)
        if suffix == ".npy":
            return _read_npy(name)
        if suffix == ".npz":
            return recording_of_arrays(archives.load_npz(name), name, columns, time)
        if suffix == ".mat":
            return recording_of_matlab(archives.load_mat(name), name, columns, time)
        return read_table(name, columns, time)
    except FileNotFoundError as error:
        raise InputError(f"There is no file {name}; check the path.") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}.") from error


def _read_npy(name: str) -> Recording:
    notes: list[str] = []
    positions = split_stack(archives.load_npy(name), "the array", notes)
    sources, times = ("array",) * len(positions), (None,) * len(positions)
    return Recording(tuple(positions), times, sources, tuple(notes))
