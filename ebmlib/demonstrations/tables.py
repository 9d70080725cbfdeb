"""Tables of numbers: CSV files with a header, one row per position."""

from __future__ import annotations

import codecs
import csv
import math
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from ebmlib.demonstrations.containers import other_kind_of_file
from ebmlib.demonstrations.layouts import TIME_NAMES, Recording
from ebmlib.errors import InputError

MAX_BYTES = 256 * 2**20
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?(nan|inf|infinity)?", re.IGNORECASE)
_NO_COORDINATES = {
    "pressure", "force", "button", "buttons", "pen", "pen_down", "pendown", "down", "pressed",
    "click", "event", "type", "state", "status", "tilt", "tilt_x", "tilt_y", "azimuth",
    "altitude", "device", "pointer", "pointer_id", "pointerid", "vx", "vy",
    "vz", "ax", "ay", "az", "dt", "speed", "row", "rows", "row_id", "id", "idx", "frame",
    "frame_id", "step", "sample", "seq", "sequence", "number", "no", "count", "counter",
}  # fmt: skip
_DERIVED = {  # in any place of a name: left_button, vel_x
    "pressure", "force", "button", "buttons", "vel", "velocity", "speed", "acc", "accel",
    "acceleration", "jerk", "torque", "tilt", "azimuth", "mask", "quat", "quaternion",
}  # fmt: skip
_UNIT = re.compile(r"\s*(?:\[[^\]]*\]|\([^)]*\))$")  # x [m], time (s)
_INVISIBLE = str.maketrans("", "", "\u200b\u200c\u200d\u2060\ufeff")


class _Columns(NamedTuple):
    """Which columns of a row hold what."""

    label: int | None
    clock: int | None
    axes: tuple[int, ...]
    counter: int | None  # an unnamed column, which must count the rows
    notes: tuple[str, ...]


def read_table(
    name: str, columns: Sequence[str] | None = None, time: str | None = None
) -> Recording:
    """The demonstrations of a table.

    Args:
        name: the file. Commas, semicolons or tabs separate its columns. The rows with one label in
            the column ``demo`` are a demonstration, in their order; blanks around labels are
            ignored. A column ``t`` (or ``time``, ``timestamp``) holds time stamps; a unit behind a
            name (``x [m]``) is ignored. An unnamed column that counts the rows is left out, and so
            are columns called like ``pressure``, ``button``, ``vel_x``, ``frame`` or ``id``; all
            others are coordinates.
        columns: names of the coordinates instead; then ``demo`` may be missing.
        time: name of the column of time stamps instead.

    Raises:
        InputError: what is wrong, with the line and the column.
    """
    try:
        with open(name, "rb") as head:
            begin = head.read(64)
        if problem := other_kind_of_file(begin):
            raise InputError(f"{name} {problem}.")
        if begin.startswith(b"PK\x03\x04"):
            raise InputError(
                f"{name} is a workbook or an archive; export the sheet as CSV (UTF-8)."
            )
        wide = begin.startswith(
            (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        )  # Excel's "Unicode text"
        with open(name, newline="", encoding="utf-16" if wide else "utf-8-sig") as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise InputError(f"{name} has {size} bytes; tables of up to {MAX_BYTES} are read.")
            first = file.readline()
            file.seek(0)
            # csv counts the lines from here on, the header among them.
            separator = max(",;\t", key=first.count)
            rows = csv.reader(file, skipinitialspace=True, delimiter=separator, strict=True)
            header = [column.strip() for column in next(rows, [])]
            where = _columns(name, header, columns, time)
            return _collected(name, header, where, rows)
    except InputError:
        raise
    except UnicodeError as error:
        raise InputError(
            f"{name} is not text in UTF-8 ({error}); save the table as CSV in UTF-8."
        ) from error
    except (ValueError, csv.Error) as error:
        raise InputError(f"{name} is not a table of numbers: {error}.") from error


def _columns(
    name: str, header: list[str], columns: Sequence[str] | None, time: str | None
) -> _Columns:
    lower = [_UNIT.sub("", column.lower()) for column in header]
    named = [column for column in lower if column]
    label = lower.index("demo") if "demo" in lower else None
    if (label is None and columns is None) or len(set(named)) < len(named) or not named:
        raise InputError(
            f"{name}: expected a header line such as demo,x,y or demo,t,x,y, "
            f"got {','.join(header)[:80] or 'nothing'}."
        )

    def place(wanted: str) -> int:
        for names in (header, [column.lower() for column in header], lower):
            if wanted.strip() in names:
                return names.index(wanted.strip())
        raise InputError(f"{name} has no column {wanted!r}; it has {', '.join(header)}.")

    notes = []
    clock = None if time is None else place(time)
    if clock is None:
        clock = next((lower.index(word) for word in TIME_NAMES if word in lower), None)
        if columns is not None and clock is not None and header[clock] in columns:
            clock = None
        if clock is not None and header[clock] != "t":
            notes.append(f"the column {header[clock]} is the time")
    if columns is not None:
        axes = tuple(place(column) for column in columns)
        if not axes or len(set(axes)) < len(axes) or {label, clock} & set(axes):
            raise InputError(f"{name}: columns must name different coordinates, got {columns}.")
        return _Columns(label, clock, axes, None, tuple(notes))
    index = next((i for i, word in enumerate(lower) if _is_index(word)), None)
    unused = [
        i
        for i, word in enumerate(lower)
        if word in _NO_COORDINATES
        or _DERIVED & set(re.split(r"[^a-z]+", word))
        or (word in TIME_NAMES and i != clock)
        or (word and _is_index(word) and i != index)
    ]
    axes = tuple(i for i in range(len(header)) if i not in (label, clock, index, *unused))
    if not axes or "" in [lower[i] for i in axes]:
        raise InputError(
            f"{name}: expected a header line such as demo,x,y with a name for each coordinate, "
            f"got {','.join(header)[:80]}."
        )
    if index is not None:
        called = header[index] or "without a name"
        notes.append(f"the column {called} counts the rows and is not used")
    if unused:
        notes.append(f"columns not used: {', '.join(header[i] for i in unused)}")
    return _Columns(label, clock, axes, index, tuple(notes))


def _collected(
    name: str, header: list[str], where: _Columns, rows: Iterator[list[str]]
) -> Recording:
    positions: dict[str, list[list[float]]] = {}
    clocks: dict[str, list[float]] = {}
    spelt: dict[str, set[str]] = {}
    start: float | None = None
    for count, row in enumerate(row for row in rows if row):
        line = rows.line_num  # type: ignore[attr-defined]
        if len(row) != len(header):
            raise ValueError(f"line {line} has {len(row)} columns, the header has {len(header)}")

        def value(i: int, row: list[str] = row, line: int = line) -> float:
            return _number(row[i], f"line {line}, column {header[i] or i + 1}")

        if where.counter is not None:
            start = value(where.counter) if start is None else start
            if value(where.counter) != start + count:
                raise InputError(
                    f"{name}: column {where.counter + 1} has no name and does not count the rows "
                    f"(line {line}); name it, or choose the coordinates with columns (--columns)."
                )
        label = "" if where.label is None else _label(row[where.label])
        if where.label is not None:
            spelt.setdefault(label, set()).add(row[where.label])
        positions.setdefault(label, []).append([value(i) for i in where.axes])
        if where.clock is not None:
            clocks.setdefault(label, []).append(value(where.clock))
    notes = list(where.notes)
    if blank := [label for label, ways in spelt.items() if len(ways) > 1]:
        notes.append(f"labels that differ by blanks are one demonstration: {', '.join(blank[:5])}")
    return Recording(
        tuple(np.array(values) for values in positions.values()),
        tuple(np.array(clocks[label]) if clocks else None for label in positions),
        (f"columns {', '.join(header[i] for i in where.axes)}",) * len(positions),
        tuple(notes),
    )


def _is_index(word: str) -> bool:
    """Whether a column's name is that of an index, as pandas and R write it."""
    return word in ("", "index") or word.startswith("unnamed: ")


def _label(written: str) -> str:
    """A label without what cannot be seen: blanks around it, several for one, no width."""
    return " ".join(written.translate(_INVISIBLE).split())


def _number(written: str, place: str) -> float:
    text = written.strip()
    if _NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    kind = "finite number" if _NOT_FINITE.fullmatch(text) and text else "number"
    remedy = "; write decimals with a point" if text.count(",") == 1 else ""
    raise ValueError(f"{place}: expected a {kind}, got {text[:40]!r}{remedy}")
