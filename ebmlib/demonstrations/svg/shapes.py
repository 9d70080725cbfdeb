"""The shapes of SVG (SVG 2, chapter 10) and paths as subpaths.

Each begins where SVG 2 says that it begins: circles and ellipses at three o'clock, clockwise
on the screen, rectangles at the top left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from xml.etree.ElementTree import Element

from svgpathtools.path import Arc, Line

from ebmlib.demonstrations.svg import pathdata
from ebmlib.demonstrations.svg.cascade import Value
from ebmlib.demonstrations.svg.document import tag
from ebmlib.demonstrations.svg.pathdata import PathDataError, Subpath
from ebmlib.demonstrations.svg.values import (
    CannotEvaluateError,
    Lengths,
    keyword,
    length,
    text,
    tokens,
    words,
)

SHAPES = {"path", "line", "polyline", "polygon", "rect", "circle", "ellipse"}
_NUMBERS = re.compile(r"[-+]?(?:[0-9]*\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?")


def subpaths(element: Element, declared: Mapping[str, Value], by: Lengths) -> list[Subpath]:
    """The pieces of a shape, y downwards; none where it draws nothing (a width of 0).

    Args:
        element: the shape.
        declared: its declarations.
        by: what its relative lengths refer to.

    Raises:
        CannotEvaluateError, PathDataError: a value that cannot be read.
    """
    kind = tag(element)
    if kind == "path":
        return pathdata.subpaths(_path_data(declared))
    if kind in ("polyline", "polygon"):
        return _points(element.get("points", ""), closed=kind == "polygon")
    if kind == "line":
        x1, y1, x2, y2 = (
            length(tokens(element.get(name, "0")), name[0], by) for name in ("x1", "y1", "x2", "y2")
        )
        return [[Line(complex(x1, y1), complex(x2, y2))]]
    if kind == "rect":
        return _rect(declared, by)
    rx, ry = _radii(kind, declared, by)
    if rx <= 0 or ry <= 0:
        return []
    centre = complex(size(declared, "cx", by, 0.0) or 0.0, size(declared, "cy", by, 0.0) or 0.0)
    radius = complex(rx, ry)
    right, left = centre + rx, centre - rx
    return [[Arc(right, radius, 0, 0, 1, left), Arc(left, radius, 0, 0, 1, right)]]


def size(
    declared: Mapping[str, Value], name: str, by: Lengths, default: float | None
) -> float | None:
    """The length that a property of the geometry has; ``default`` for ``auto`` or none."""
    value = declared.get(name)
    if value is None or keyword(value.tokens) == "auto":
        return default
    axis = {"width": "x", "height": "y"}.get(name, name[-1])
    if not value.tokens:
        return default
    try:
        return length(value.tokens, axis, by)  # browsers take bare numbers in styles too
    except CannotEvaluateError as error:
        raise CannotEvaluateError(f"{name}: {error}") from error


def _path_data(declared: Mapping[str, Value]) -> str:
    value = declared.get("d")
    if value is None or keyword(value.tokens) == "none":
        return ""
    parts = words(value.tokens)
    if len(parts) == 1 and parts[0].type == "string" and value.attribute:
        return str(parts[0].value)
    if len(parts) == 1 and parts[0].type == "function" and parts[0].lower_name == "path":
        inner = words(parts[0].arguments)
        if len(inner) == 1 and inner[0].type == "string":
            return str(inner[0].value)
    raise CannotEvaluateError(f"d: {text(value.tokens)} is not evaluated here")


def _points(written: str, closed: bool) -> list[Subpath]:
    numbers = [float(word) for word in _NUMBERS.findall(written)]
    leftover = re.sub(r"[\s,]+", "", _NUMBERS.sub("", written))
    if leftover:
        raise PathDataError(f"unexpected {leftover[:20]!r}")
    if len(numbers) % 2:
        raise PathDataError(f"points must hold pairs of numbers, got {len(numbers)} numbers")
    corners = [complex(x, y) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
    if closed and len(corners) > 1 and corners[-1] != corners[0]:
        corners.append(corners[0])
    lines = [Line(a, b) for a, b in pairwise(corners)]
    return [lines] if lines else []


def _rect(declared: Mapping[str, Value], by: Lengths) -> list[Subpath]:
    x, y, w, h = (size(declared, name, by, 0.0) or 0.0 for name in ("x", "y", "width", "height"))
    if w <= 0 or h <= 0:
        return []
    rx, ry = size(declared, "rx", by, None), size(declared, "ry", by, None)
    rx, ry = (None if r is not None and r < 0 else r for r in (rx, ry))
    rx, ry = (ry if rx is None else rx) or 0.0, (rx if ry is None else ry) or 0.0
    rx, ry = min(rx, w / 2), min(ry, h / 2)  # a radius reaches to the middle at most
    if rx == 0 or ry == 0:
        corners = [complex(x, y), complex(x + w, y), complex(x + w, y + h), complex(x, y + h)]
        around = [*corners, corners[0]]
        return [[Line(a, b) for a, b in pairwise(around)]]
    left, right, top, bottom = x + rx, x + w - rx, y + ry, y + h - ry
    stations = [
        *(complex(left, y), complex(right, y), complex(x + w, top), complex(x + w, bottom)),
        *(complex(right, y + h), complex(left, y + h), complex(x, bottom), complex(x, top)),
        complex(left, y),
    ]
    segments: Subpath = []
    for i, (a, b) in enumerate(pairwise(stations)):
        if a != b:
            segments.append(Arc(a, complex(rx, ry), 0, 0, 1, b) if i % 2 else Line(a, b))
    return [segments]


def _radii(kind: str, declared: Mapping[str, Value], by: Lengths) -> tuple[float, float]:
    if kind == "circle":
        r = size(declared, "r", by, 0.0) or 0.0
        return r, r
    rx, ry = size(declared, "rx", by, None), size(declared, "ry", by, None)
    return (ry if rx is None else rx) or 0.0, (rx if ry is None else ry) or 0.0
