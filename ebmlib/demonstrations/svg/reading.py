"""Which strokes an SVG file holds: what a browser draws, where it draws it, and nothing else.

A walk over the tree, as SVG 2 says how it is rendered (chapter 5): ``svg``, ``g``, ``a``, the first
fitting branch of a ``switch`` and what ``use`` names are entered; shapes become strokes. Everything
else is ignored: ``defs``, ``symbol``, clip paths, masks, markers, patterns, text, images,
children of ``desc``, of shapes and of foreign namespaces, and elements that SVG does not know.

What counts as a demonstration:

- a shape that is stroked;
- where *nothing* in the file is stroked, also the outlines of shapes that are only filled (icons
  and letters are drawn so). Where something is stroked, a shape that is only filled is taken for a
  background or a decoration and left out, with a note;
- where nothing says how a line is painted (no ``fill`` and no ``stroke`` at all), a browser shows
  nothing of it; it is read all the same, with a note, since nothing else can have been meant.

A stroke of width or opacity 0, a ``transparent`` or missing paint, ``opacity: 0``, ``visibility:
hidden``, ``display: none`` and a transform without extent are not drawn. Clip paths, masks of
opaque shapes and the edges of nested drawings cut (``clips.py``): a stroke is read as far as its
centre line is seen, and a note says how many are cut. Other masks, and areas that are cut, are
refused by name. Filters and the edge of the page do not cut; a note says how many strokes are
wholly outside the page. Language tests are answered for English, media tests
for a light screen. What the file alone does not determine (style sheets under unknown conditions,
units of the window, animations that move a shape) is refused by name.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from ebmlib.demonstrations.polyline import FloatArray, check_polyline, check_times, step_lengths
from ebmlib.demonstrations.svg import clips, document, pathdata, shapes, transforms
from ebmlib.demonstrations.svg.document import tag
from ebmlib.demonstrations.svg.paint import Paint
from ebmlib.demonstrations.svg.pathdata import PathDataError
from ebmlib.demonstrations.svg.tree import Drawn, drawn_shapes
from ebmlib.demonstrations.svg.values import CannotEvaluateError
from ebmlib.errors import InputError

MAX_VERTICES = 2_000_000
_PARSER_ERRORS = (ValueError, TypeError, IndexError, KeyError, AssertionError, ArithmeticError)


class Drawing(NamedTuple):
    """The strokes of a drawing in document order.

    Attributes:
        strokes: one (n, 2) float64 array per stroke, in user units, y upwards.
        times: per stroke, (n,) increasing time stamps in milliseconds, or None where unknown.
    """

    strokes: tuple[FloatArray, ...]
    times: tuple[FloatArray | None, ...]


class DrawnStrokes(NamedTuple):
    """A drawing, with what its strokes are made from.

    Attributes:
        strokes, times: as in :class:`Drawing`.
        elements: the name of the element of each stroke, such as ``path``.
        notes: one clause for each thing that was left out or read in a way that may surprise.
    """

    strokes: tuple[FloatArray, ...]
    times: tuple[FloatArray | None, ...]
    elements: tuple[str, ...]
    notes: tuple[str, ...]


def read_svg(path: str | os.PathLike[str]) -> Drawing:
    """Read every path, line, polyline, polygon, circle, ellipse and rectangle that is drawn.

    Curves become polylines of ``pathdata.CURVE_POINTS`` chords per segment; straight segments keep
    their vertices, repeated ones included. y is negated, so that up is up. Every ``M`` begins a
    stroke, since a pen would be lifted there. A shape may carry ``data-t="t0 t1 ..."``: one time
    stamp in milliseconds per vertex. Positions are in the user units of the outermost ``svg``.

    Raises:
        InputError: the file is missing, unreadable, not an SVG, uses entities, shows no shape, or
            something in it cannot be evaluated (see the module's docstring).
    """
    return Drawing(*read_drawing(path)[:2])


def read_drawing(path: str | os.PathLike[str]) -> DrawnStrokes:
    """:func:`read_svg`, with the names of the elements and notes on what was left out."""
    name = os.fspath(path)
    root = document.parse(name)
    found: list[_Stroke] = []
    notes: list[str] = []
    left_out: Counter[str] = Counter()
    vertices = 0
    for number, shape in enumerate(drawn_shapes(root, name, left_out, notes), start=1):
        label = f"shape {number} ({tag(shape.element)}) of {name}"
        strokes = _strokes(shape, label, MAX_VERTICES - vertices, left_out)
        vertices += sum(len(stroke.points) for stroke in strokes)
        found.extend(strokes)
    if any(stroke.stroked for stroke in found):
        left_out["filled without a stroke"] += sum(not stroke.stroked for stroke in found)
        found = [stroke for stroke in found if stroke.stroked]
    elif any(stroke.area for stroke in found):
        left_out["without a stroke or an area"] += sum(not stroke.area for stroke in found)
        found = [stroke for stroke in found if stroke.area]
    if unpainted := sum(not (stroke.stroked or stroke.area) for stroke in found):
        notes.append(
            f"{unpainted} of them without a stroke or an area, so that a browser shows nothing"
        )
    if any(stroke.cut and not stroke.stroked for stroke in found):
        raise InputError(
            f"{name} has a filled shape that is cut by a clip path or a mask, so that its outline "
            "is not drawn as it stands; release the clip path in the drawing program."
        )
    if cut := sum(stroke.cut for stroke in found):
        notes.append(f"{cut} of them cut off by a clip path or a mask")
    if away := _outside(root, found):
        notes.append(f"{away} of them outside the page, where a browser shows nothing")
    if not found:
        why = f" (left out: {_listed(left_out)})" if left_out.total() else ""
        raise InputError(
            f"{name} has no paths{why}: expected at least one path, line, polyline, polygon, "
            "circle, ellipse or rect that is drawn; convert text and images to paths first."
        )
    if left_out.total():
        notes.append(f"left out: {_listed(left_out)}")
    return DrawnStrokes(
        tuple(stroke.points for stroke in found),
        tuple(stroke.times for stroke in found),
        tuple(stroke.element for stroke in found),
        tuple(notes),
    )


class _Stroke(NamedTuple):
    points: FloatArray
    times: FloatArray | None
    element: str
    stroked: bool
    area: bool
    cut: bool


@np.errstate(all="ignore")  # an overflow is refused by name below
def _strokes(shape: Drawn, label: str, budget: int, left_out: Counter[str]) -> list[_Stroke]:
    """The pieces of a shape with a length, where they are drawn."""
    try:
        pieces = shapes.subpaths(shape.element, shape.declared, shape.lengths)
        if sum(map(pathdata.n_points, pieces)) > budget:
            raise InputError(f"{label}: more than {MAX_VERTICES} points; simplify it.")
        local = [pathdata.polyline(segments) for segments in pieces]
        matrix = shape.matrix(local)
        regions = shape.regions(local, matrix) if local else ()
    except InputError:
        raise
    except (PathDataError, CannotEvaluateError, *_PARSER_ERRORS) as error:
        raise InputError(f"{label}: cannot be read: {error or 'an arc without extent'}.") from error
    if not pieces:
        left_out["empty"] += 1
        return []
    filled = [points for points in local if shape.style.filled and _area(points)]
    undeclared = not shape.style.paint_declared and shape.style.filled
    boxed = shape.style.stroke is Paint.BOXED and not filled
    flat = boxed and (np.ptp(np.concatenate(local), axis=0) == 0).any()
    if flat or not (shape.style.stroked or filled or undeclared):
        left_out["not painted"] += 1
        return []
    stamps = _time_stamps(shape.element, local, label)
    kind = tag(shape.element)
    result = []
    for points, stamp in zip(local, stamps, strict=True):
        if step_lengths(points).sum() == 0:
            left_out["of length zero"] += 1
            continue
        points = points @ matrix[:2, :2].T + matrix[:2, 2]
        check_polyline(points, label)
        try:
            spans = _seen(shape, points, regions, matrix)
        except CannotEvaluateError as error:
            raise InputError(f"{label}: cannot be read: {error}.") from error
        if not spans:
            left_out["clipped away"] += 1
        for span in spans:
            part = clips.piece(points, *span) * (1.0, -1.0) + 0.0  # + 0.0 turns -0.0 into 0.0
            times = None if stamp is None else clips.piece(stamp, *span)
            check_polyline(part, label)
            area = kind != "line" and _area(part)
            cut = span != (0, len(points) - 1)
            result.append(_Stroke(part, times, kind, shape.style.stroked, area, cut))
    return result


def _seen(
    shape: Drawn, points: FloatArray, regions: Sequence[clips.Region], matrix: FloatArray
) -> list[tuple[float, float]]:
    """Which parts of an outline are let through; (0, n - 1) for all of it (``clips.kept``)."""
    whole = [(0.0, len(points) - 1.0)]
    if not regions:
        return whole
    extent = float(np.abs(points).max())
    if shape.style.stroked:
        scale = np.sqrt(abs(np.linalg.det(matrix[:2, :2])))
        return clips.kept(points, regions, 0.5 * float(shape.style.stroke_width * scale))
    spans = clips.kept(points, regions, 1e-6 * extent)
    if spans == whole or not all(region.shapes for region in regions):
        return spans
    # The outline of an area: parts of it are hidden, or the area reaches beyond the clip path.
    covered = all(clips.Shape((points,)).holds(region.edges()[0]).any() for region in regions)
    return [(0.0, len(points) - 1.5)] if spans or covered else []


def _outside(root: Element, strokes: list[_Stroke]) -> int:
    """How many strokes lie wholly outside the page; 0 for a file without a view box."""
    page = transforms.view_box(root.get("viewBox"))
    if page is None or page.width is None or page.height is None:
        return 0
    left, bottom = page.x, -(page.y + page.height)
    low, high = np.array([left, bottom]), np.array([left + page.width, bottom + page.height])
    boxes = [(stroke.points.min(axis=0), stroke.points.max(axis=0)) for stroke in strokes]
    return sum(bool((most < low).any() or (least > high).any()) for least, most in boxes)


def _area(points: FloatArray) -> bool:
    """Whether the points do not all lie on one straight line."""
    away = points - points[0]
    far = away[np.argmax(np.abs(away).sum(axis=1))]
    return bool(np.any(away[:, 0] * far[1] != away[:, 1] * far[0]))


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


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{n} {what}" for what, n in sorted(counts.items()) if n)
