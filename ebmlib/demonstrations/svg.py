"""Drawings: SVG files to polylines and back.

``svgpathtools`` parses path data, transforms and the basic shapes. Around it this module

- parses the XML with ``defusedxml`` (entities and external references are refused, since drawings
  come from strangers) and walks the tree in document order;
- refuses path data that svgpathtools would quietly repair: it skips characters that it cannot read,
  so a ``nan`` can vanish from a path;
- applies a transform to the points of a curve, not to the curve: ``svgpathtools.path.transform``
  ignores an elliptical arc's own rotation and misjudges the arc's direction under some reflections;
- cuts a path at every ``M``, where a pen would be lifted, also where the next piece begins at the
  point the last one ended at.

What is not drawn is not read: ``display="none"``, ``<defs>``, markers, clip paths, text, images.
"""

import math
import os
import re
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, ParseError
from xml.sax.saxutils import escape

import defusedxml.ElementTree
import numpy as np
import numpy.typing as npt
from defusedxml import DefusedXmlException
from svgpathtools.parser import parse_path, parse_transform
from svgpathtools.path import Line
from svgpathtools.svg_to_paths import ellipse2pathd, line2pathd, path2pathd, rect2pathd

from ebmlib import checks
from ebmlib.demonstrations.polyline import FloatArray, as_float_array, check_polyline, check_times
from ebmlib.errors import InputError

CURVE_POINTS = 256  # chords per curved segment; a half circle is then 6e-6 of its length too short
MAX_BYTES = 64 * 2**20
MAX_VERTICES = 2_000_000

_NUMBER = r"[-+]?(?:\d*\.\d+|\d+)(?:[eE][-+]?\d+)?"
_NUMBER_LIST = re.compile(rf"{_NUMBER}|[\s,]+", re.ASCII)
_PATH_DATA = re.compile(rf"{_NUMBER}|[\s,]+|[MmZzLlHhVvCcSsQqTtAa]", re.ASCII)
_TO_PATH_DATA = {
    "path": path2pathd,
    "circle": ellipse2pathd,
    "ellipse": ellipse2pathd,
    "line": line2pathd,
    "rect": rect2pathd,
    # svgpathtools' own conversion of these two drops an odd coordinate and repeats a vertex.
    "polyline": lambda element: _points_data(element),
    "polygon": lambda element: _points_data(element, end="z"),
}
_NOT_DRAWN = {"defs", "symbol", "clipPath", "mask", "marker", "pattern", "metadata"}
_NOT_READ = {"use", "svg"}  # below the root: they place a drawing by rules that are not read here
_PARSER_ERRORS = (ValueError, TypeError, IndexError, KeyError, AssertionError, ArithmeticError)


class Drawing(NamedTuple):
    """The strokes of a drawing in document order.

    Attributes:
        strokes: one (n, 2) float64 array per stroke, in user units, y upwards.
        times: per stroke, (n,) increasing time stamps in milliseconds, or None where unknown.
    """

    strokes: tuple[FloatArray, ...]
    times: tuple[FloatArray | None, ...]


def read_svg(path: str | os.PathLike[str]) -> Drawing:
    """Read every path, line, polyline, polygon, circle, ellipse and rectangle of an SVG file.

    Curves become polylines of :data:`CURVE_POINTS` chords per segment; straight segments keep their
    vertices, repeated ones included. y is negated, so that up is up. A shape may carry
    ``data-t="t0 t1 ..."``: one time stamp in milliseconds per vertex. Circles and ellipses begin at
    their leftmost point and run counterclockwise, as svgpathtools draws them; use a path where the
    start matters.

    Raises:
        InputError: the file is missing, unreadable, not an SVG, uses entities or ``<use>``, has no
            shapes, or a shape has one point, no length, or coordinates that are not numbers.
    """
    name = os.fspath(path)
    strokes: list[FloatArray] = []
    times: list[FloatArray | None] = []
    vertices = 0
    for number, (element, matrix) in enumerate(_shapes(_parse(name), name), start=1):
        label = f"shape {number} ({_tag(element)}) of {name}"
        pieces = _polylines(element, label, MAX_VERTICES - vertices)
        stamps = _time_stamps(element, pieces, label)
        for points, stamp in zip(pieces, stamps, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                points = points @ matrix[:2, :2].T + matrix[:2, 2]
            points = points * (1.0, -1.0) + 0.0  # + 0.0 turns -0.0 into 0.0
            check_polyline(points, label)
            vertices += len(points)
            strokes.append(points)
            times.append(stamp)
    if not strokes:
        raise InputError(
            f"{name} has no paths: expected at least one path, line, polyline, polygon, circle, "
            "ellipse or rect that is drawn; convert text and images to paths first."
        )
    return Drawing(tuple(strokes), tuple(times))


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
        description: a longer text, shown by viewers that show it.

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


def _parse(name: str) -> Element:
    """The root element of an SVG file."""
    try:
        size = os.stat(name).st_size
        if os.path.isdir(name):
            raise InputError(f"{name} is a folder; expected an SVG file.")
        if size == 0:
            raise InputError(f"{name} is empty; expected an SVG file.")
        if size > MAX_BYTES:
            raise InputError(f"{name} has {size} bytes; drawings of up to {MAX_BYTES} are read.")
        root = defusedxml.ElementTree.parse(name).getroot()
    except FileNotFoundError as error:
        raise InputError(f"There is no file {name}; check the path.") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror}.") from error
    except DefusedXmlException as error:
        raise InputError(
            f"{name} declares XML entities or refers to other files, which is refused; "
            "save it as plain SVG."
        ) from error
    except InputError:
        raise
    except (ParseError, ValueError, LookupError) as error:
        raise InputError(f"{name} is not well-formed XML ({error}); save it as SVG.") from error
    if _tag(root) != "svg":
        raise InputError(f"{name} is not an SVG: its outermost element is <{_tag(root)}>.")
    return root


def _shapes(root: Element, name: str) -> Iterator[tuple[Element, FloatArray]]:
    """Every drawn shape in document order with the (3, 3) matrix that takes it to user units."""
    stack = [(root, np.eye(3))]
    while stack:
        element, outer = stack.pop()
        tag, style = _tag(element), element.get("style", "").replace(" ", "")
        if tag in _NOT_DRAWN or element.get("display") == "none" or "display:none" in style:
            continue
        if tag in _NOT_READ and element is not root:
            raise InputError(f"{name} has a <{tag}> inside; expand it to plain paths and save.")
        if re.search(r"(?:^|;)(?:transform|translate|rotate|scale):", style):
            raise InputError(f"{name} has a transform in a style; write it as an attribute.")
        try:
            own = parse_transform(element.get("transform"), strict=True)
        except ValueError as error:
            raise InputError(f"{name} has a transform that cannot be read: {error}.") from error
        matrix = outer @ own
        if tag in _TO_PATH_DATA:
            yield element, matrix
        stack.extend((child, matrix) for child in reversed(element))


def _polylines(element: Element, label: str, budget: int) -> list[FloatArray]:
    """The shape's pieces, one (n, 2) array per subpath, y still downwards."""
    pieces = []
    try:
        data = _TO_PATH_DATA[_tag(element)](element).strip()
        data = re.sub(r"(?<=\d)\.(?!\d)", "", data)  # svgpathtools reads "1.e5" as two numbers
        leftover = _PATH_DATA.sub("", data)
        if leftover or (data and data[0] not in "Mm"):
            raise ValueError(f"unexpected {(leftover or data)[:20]!r}")
        position = 0j
        for subpath in re.split(r"(?=[Mm])", data)[1:]:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # an arc of radius 0 is a line, as SVG says
                segments = parse_path(subpath, current_pos=position)
                if len(segments) == 0:
                    raise InputError(f"{label}: a part of it is a single point; remove it.")
                budget -= sum(_n_chords(segment) for segment in segments) + 1
                if budget < 0:
                    raise InputError(f"{label}: more than {MAX_VERTICES} points; simplify it.")
                corners = [np.array([segments[0].start]), *map(_chords, segments)]
            position = segments[-1].end
            points = np.concatenate(corners)
            pieces.append(np.stack([points.real, points.imag], axis=1))
    except InputError:
        raise
    except _PARSER_ERRORS as error:
        raise InputError(f"{label}: cannot be read: {error or 'an arc without extent'}.") from error
    return pieces


def _n_chords(segment: Any) -> int:
    return 1 if isinstance(segment, Line) else CURVE_POINTS


def _chords(segment: Any) -> npt.NDArray[np.complex128]:
    """Points along a segment without its first one, as complex numbers."""
    if isinstance(segment, Line):
        return np.array([segment.end])
    points = np.array(segment.point(np.linspace(0, 1, CURVE_POINTS + 1)[1:]), dtype=np.complex128)
    points[-1] = segment.end  # exactly, so that closed shapes close
    return points


def _time_stamps(element: Element, pieces: list[FloatArray], label: str) -> list[FloatArray | None]:
    """The shape's ``data-t`` split like its pieces."""
    text = element.get("data-t")
    if text is None or not pieces:
        return [None] * len(pieces)
    try:
        stamps = np.array([float(word) for word in text.replace(",", " ").split()])
    except ValueError as error:
        raise InputError(f"{label}: data-t must hold numbers only: {error}.") from error
    ends = np.cumsum([len(piece) for piece in pieces])
    checked = check_times(stamps, int(ends[-1]), f"data-t of {label}")
    return list(np.split(checked, ends[:-1]))


def _tag(element: Element) -> str:
    """An element's name without its namespace; empty for comments."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _points_data(element: Element, end: str = "") -> str:
    """Path data of a polyline's ``points``: coordinates after a moveto are linetos."""
    points = element.get("points", "")
    leftover = _NUMBER_LIST.sub("", points)
    if leftover:
        raise ValueError(f"unexpected {leftover[:20]!r}")
    return f"M {points} {end}" if points.strip() else ""


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
