"""Strokes to SVG files that :func:`ebmlib.demonstrations.svg.read_svg` gives back exactly."""

import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from ebmlib import checks
from ebmlib.demonstrations.polyline import FloatArray, as_float_array, check_polyline, check_times
from ebmlib.errors import InputError


def write_svg(
    path: str | os.PathLike[str],
    strokes: Sequence[npt.ArrayLike],
    times: Sequence[npt.ArrayLike | None] | None = None,
    *,
    decimals: int | None = None,
    title: str = "",
    description: str = "",
) -> None:
    """Write strokes as SVG paths of straight segments, with their time stamps as ``data-t``.

    ``read_svg`` gives back exactly what was written; with ``decimals`` it gives back the values
    rounded to that many digits after the point. The same input gives the same bytes. The file
    appears whole or not at all.

    Args:
        path: the file to write.
        strokes: (n, 2) arrays, y upwards (the file has y downwards, as SVG has).
        times: per stroke, (n,) increasing time stamps in milliseconds, or None.
        decimals: digits after the point; None keeps every bit.
        title: the drawing's title.
        description: a longer text, which some viewers show.

    Raises:
        InputError: a stroke is not a finite (n, 2) array with a length, its time stamps do not fit
            it, or the file cannot be written.
    """
    arrays = [_rounded(stroke, decimals) for stroke in strokes]
    if not arrays:
        raise InputError("There are no strokes to write; pass at least one (n, 2) array.")
    stamps = [None] * len(arrays) if times is None else list(times)
    if len(stamps) != len(arrays):
        raise InputError(f"Expected {len(arrays)} lists of time stamps, got {len(stamps)}.")
    lines = []
    for number, (points, stamp) in enumerate(zip(arrays, stamps, strict=True), start=1):
        label = f"stroke {number}"
        check_polyline(points, label)
        if points.shape[1] != 2:
            raise InputError(f"{label} has shape {points.shape}; an SVG needs (n, 2).")
        flipped = points * (1.0, -1.0) + 0.0
        data = "M" + " L".join(f"{_text(x)} {_text(y)}" for x, y in flipped)
        clock = ""
        if stamp is not None:
            checked = check_times(_rounded(stamp, decimals), len(points), label)
            clock = f' data-t="{" ".join(map(_text, checked))}"'
        lines.append(f'  <path d="{data}"{clock}/>')
    everything = np.concatenate(arrays)
    low, high = everything.min(axis=0), everything.max(axis=0)
    margin = 0.05 * max(high - low)
    box = [low[0] - margin, -high[1] - margin, *(high - low + 2 * margin)]
    head = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="'
        + " ".join(f"{value:.6g}" for value in box)
        + '">',
        *([f"  <title>{escape(title)}</title>"] if title else []),
        *([f"  <desc>{escape(description)}</desc>"] if description else []),
        f'  <g fill="none" stroke="#1f4e79" stroke-width="{0.1 * margin:.3g}">',
    ]
    _write_text(Path(path), "\n".join([*head, *lines, "  </g>", "</svg>", ""]))


def _rounded(values: npt.ArrayLike, decimals: int | None) -> FloatArray:
    array = as_float_array(values, "strokes")
    return array if decimals is None else np.round(array, checks.count("decimals", decimals, 0))


def _text(value: float) -> str:
    """The shortest text that reads back as ``value``."""
    number = float(value)
    return str(int(number)) if number.is_integer() and math.fabs(number) < 2**53 else repr(number)


def _write_text(path: Path, text: str) -> None:
    """Write to a temporary file beside ``path``, then rename it."""
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            dir=path.parent,
            prefix=path.name,
            suffix=".tmp",
            delete=False,
            encoding="utf-8",
            newline="\n",
        ) as file:
            file.write(text)
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as error:
        if "file" in locals():
            Path(file.name).unlink(missing_ok=True)
        raise InputError(f"{path} cannot be written: {error.strerror}.") from error
