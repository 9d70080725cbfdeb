"""Transforms to (3, 3) matrices: the attribute, the CSS properties, nested viewports."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ebmlib.demonstrations.polyline import FloatArray
from ebmlib.demonstrations.svg.values import (
    CannotEvaluateError,
    InvalidValueError,
    Lengths,
    Token,
    angle,
    keyword,
    length,
    number,
    separated,
    text,
    words,
)


class Box(NamedTuple):
    """A rectangle; ``width`` and ``height`` may be unknown."""

    x: float = 0.0
    y: float = 0.0
    width: float | None = None
    height: float | None = None


def matrix(a: float, b: float, c: float, d: float, e: float, f: float) -> FloatArray:
    """The matrix that SVG calls ``matrix(a b c d e f)``."""
    return np.array([[a, c, e], [b, d, f], [0.0, 0.0, 1.0]])


def translation(x: float, y: float) -> FloatArray:
    """The matrix of ``translate(x, y)``."""
    return matrix(1, 0, 0, 1, x, y)


def rotation(degrees: float) -> FloatArray:
    """The matrix of ``rotate(degrees)``; exact at quarter turns but for rounding."""
    turn = math.radians(degrees)
    return matrix(math.cos(turn), math.sin(turn), -math.sin(turn), math.cos(turn), 0, 0)


def of_list(values: Sequence[Token], attribute: bool, by: Lengths) -> FloatArray:
    """The product of a list of transform functions.

    Args:
        values: component values of the attribute or of the property ``transform``.
        attribute: whether the attribute's grammar holds: numbers without units, commas optional.
        by: what relative lengths refer to; its width and height are those of the reference box.

    Raises:
        CannotEvaluateError: a function that is unknown, three-dimensional, or has wrong arguments.
    """
    if not values or keyword(values) == "none":
        return np.eye(3)
    result = np.eye(3)
    values = words(values)
    i = 0
    while i < len(values):
        value = values[i]
        if attribute and 0 < i < len(values) - 1 and value.type == "literal" and value.value == ",":
            i += 1
            value = values[i]
        if value.type == "function":
            name, inner = value.name, value.arguments
        elif attribute and value.type == "ident" and _is_block(values[i + 1 : i + 2]):
            name, inner = value.value, values[i + 1].content  # "rotate (30)": a blank is allowed
            i += 1
        else:
            raise InvalidValueError(f"transform: unexpected {text(values[i:])}")
        result = result @ (
            _of_attribute(name, inner) if attribute else _of_style(name.lower(), inner, by)
        )
        i += 1
    return result


def _is_block(values: Sequence[Token]) -> bool:
    return bool(values) and values[0].type == "() block"


_ATTRIBUTE_COUNTS = {
    "matrix": (6,), "translate": (1, 2), "scale": (1, 2), "rotate": (1, 3), "skewX": (1,),
    "skewY": (1,),
}  # fmt: skip


def _of_attribute(name: str, inner: Sequence[Token]) -> FloatArray:
    """One function of the attribute: bare numbers, separated by what separates numbers in SVG."""
    numbers = []
    kinds = [value.type for value in words(inner)]
    for i, value in enumerate(words(inner)):
        between = kinds[i - 1 : i] + kinds[i + 1 : i + 2] == ["number", "number"]
        if value.type == "number":
            numbers.append(number([value]))
        elif not (value.type == "literal" and value.value == "," and between):
            raise CannotEvaluateError(f"{name}({text(inner)}): expected numbers")
    if len(numbers) not in _ATTRIBUTE_COUNTS.get(name, ()):
        raise CannotEvaluateError(f"{name}({text(inner)}) is not a transform")
    if name == "matrix":
        return matrix(*numbers)
    if name == "translate":
        return translation(numbers[0], numbers[1] if len(numbers) > 1 else 0.0)
    if name == "scale":
        return matrix(numbers[0], 0, 0, numbers[-1], 0, 0)
    if name == "rotate":
        x, y = numbers[1:] or (0.0, 0.0)
        return translation(x, y) @ rotation(numbers[0]) @ translation(-x, -y)
    slope = math.tan(math.radians(numbers[0]))
    return matrix(1, 0, slope, 1, 0, 0) if name == "skewX" else matrix(1, slope, 0, 1, 0, 0)


def _of_style(name: str, inner: Sequence[Token], by: Lengths) -> FloatArray:
    """One function of the property: lengths and angles with units, commas between arguments."""
    parts = separated(inner)

    def has(*counts: int) -> None:
        if len(parts) not in counts or not all(parts):
            raise InvalidValueError(f"{name}({text(inner)}) is not a transform")

    def flat(values: Sequence[Token], unit: float = 0.0) -> None:
        value = number(values) if unit else length(values, "x", by._replace(width=0.0))
        if value != unit:
            raise CannotEvaluateError(f"{name}({text(inner)}) leaves the plane")

    if name in ("translate3d", "scale3d"):
        has(3)
        flat(parts.pop(), 1.0 if name == "scale3d" else 0.0)
        name = name[:-2]
    if name == "translatez" or name == "scalez":
        has(1)
        flat(parts[0], 1.0 if name == "scalez" else 0.0)
        return np.eye(3)
    if name == "matrix":
        has(6)
        return matrix(*(number(part) for part in parts))
    if name in ("translate", "translatex"):
        has(1, 2) if name == "translate" else has(1)
        y = length(parts[1], "y", by) if len(parts) == 2 else 0.0
        return translation(length(parts[0], "x", by), y)
    if name == "translatey":
        has(1)
        return translation(0, length(parts[0], "y", by))
    if name in ("scale", "scalex", "scaley"):
        has(1, 2) if name == "scale" else has(1)
        first, last = number(parts[0]), number(parts[-1])
        return matrix(1 if name == "scaley" else first, 0, 0, 1 if name == "scalex" else last, 0, 0)
    if name in ("rotate", "rotatez"):
        has(1)
        return rotation(angle(parts[0], plain=by.plain))
    if name in ("skew", "skewx", "skewy"):
        has(1, 2) if name == "skew" else has(1)
        slopes = [math.tan(math.radians(angle(part, plain=by.plain))) for part in parts]
        if name == "skewy":
            return matrix(1, slopes[0], 0, 1, 0, 0)
        return matrix(1, slopes[1] if len(slopes) == 2 else 0, slopes[0], 1, 0, 0)
    raise CannotEvaluateError(f"{name}() is not evaluated here")


def of_longhands(
    translate: Sequence[Token], rotate: Sequence[Token], scale: Sequence[Token], by: Lengths
) -> FloatArray:
    """The product of the properties ``translate``, ``rotate`` and ``scale``, in CSS's order."""
    result = np.eye(3)
    parts = words(translate)
    if parts and keyword(parts) != "none":
        if len(parts) > 2:
            raise CannotEvaluateError(f"translate: {text(translate)} leaves the plane")
        y = length(parts[1:], "y", by) if len(parts) == 2 else 0.0
        result = result @ translation(length(parts[:1], "x", by), y)
    parts = words(rotate)
    if parts and keyword(parts) != "none":
        if len(parts) == 2 and keyword(parts[:1]) == "z":
            parts = parts[1:]
        result = result @ rotation(angle(parts, plain=False))
    parts = words(scale)
    if parts and keyword(parts) != "none":
        if len(parts) > 2:
            raise CannotEvaluateError(f"scale: {text(scale)} leaves the plane")
        result = result @ matrix(number(parts[:1]), 0, 0, number(parts[-1:]), 0, 0)
    return result


def origin(values: Sequence[Token], box: Box, by: Lengths) -> tuple[float, float]:
    """Where ``transform-origin`` lies: the box's own origin if it is empty."""
    parts = words(values)
    if not parts:
        return 0.0, 0.0
    if len(parts) > 2:
        parts = parts[:2] if length(parts[2:], "x", by._replace(width=0.0)) == 0 else parts
    if len(parts) > 2:
        raise CannotEvaluateError(f"transform-origin: {text(values)} leaves the plane")
    first = keyword(parts[:1])
    if first in ("top", "bottom") or (len(parts) == 2 and keyword(parts[1:]) in ("left", "right")):
        parts = parts[::-1] if len(parts) == 2 else [None, parts[0]]
    if len(parts) == 1:
        parts = [parts[0], None]
    sized = by._replace(width=box.width, height=box.height)
    shares = {"left": 0.0, "top": 0.0, "center": 0.5, "right": 1.0, "bottom": 1.0}
    found = []
    for part, axis, corner in zip(parts, "xy", (box.x, box.y), strict=True):
        word = "center" if part is None else keyword([part])
        if word in shares:
            whole = sized.whole(axis)
            if whole is None:
                raise CannotEvaluateError(f"transform-origin: {text(values)} of a box without size")
            found.append(corner + shares[word] * whole)
        else:
            found.append(corner + length([part], axis, sized))
    return found[0], found[1]


def about_point(centre: tuple[float, float], inner: FloatArray) -> FloatArray:
    """A transform carried out about a point."""
    x, y = centre
    if x == 0 and y == 0:
        return inner
    moved: FloatArray = translation(x, y) @ inner @ translation(-x, -y)
    return moved


def view_box(value: str | None) -> Box | None:
    """A ``viewBox``, None where there is none or it is invalid (SVG: ignored)."""
    if value is None:
        return None
    try:
        x, y, width, height = (float(word) for word in value.replace(",", " ").split())
    except ValueError:
        return None
    if not all(map(math.isfinite, (x, y, width, height))) or width < 0 or height < 0:
        return None
    return Box(x, y, width, height)


_ALIGN = {"min": 0.0, "mid": 0.5, "max": 1.0}


def into_viewport(box: Box, viewport: Box, how: str | None) -> FloatArray:
    """The matrix from the units of a ``viewBox`` to those around its viewport.

    Args:
        box: the viewBox, of a positive size.
        viewport: where it is shown.
        how: ``preserveAspectRatio``.
    """
    assert box.width and box.height and viewport.width is not None and viewport.height is not None
    sx, sy = viewport.width / box.width, viewport.height / box.height
    parts = (how or "").split()
    parts = parts[1:] if parts[:1] == ["defer"] else parts
    align = parts[0] if parts else "xMidYMid"
    known = len(align) == 8 and align[1:4].lower() in _ALIGN and align[5:].lower() in _ALIGN
    if align == "none":
        return matrix(sx, 0, 0, sy, viewport.x - sx * box.x, viewport.y - sy * box.y)
    if not known:
        align, parts = "xMidYMid", []
    s = max(sx, sy) if parts[1:] == ["slice"] else min(sx, sy)
    x = viewport.x - s * box.x + _ALIGN[align[1:4].lower()] * (viewport.width - s * box.width)
    y = viewport.y - s * box.y + _ALIGN[align[5:].lower()] * (viewport.height - s * box.height)
    return matrix(s, 0, 0, s, x, y)
