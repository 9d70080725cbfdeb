"""The walk over a drawing's tree: every shape that is drawn, with its matrix and its style."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple
from xml.etree.ElementTree import Element

import numpy as np

from ebmlib.demonstrations.polyline import FloatArray
from ebmlib.demonstrations.svg import transforms
from ebmlib.demonstrations.svg.cascade import CUTS, Cascade, Value
from ebmlib.demonstrations.svg.conditions import branch, conditions_hold
from ebmlib.demonstrations.svg.document import SVG, namespace, reference, tag
from ebmlib.demonstrations.svg.shapes import SHAPES, size
from ebmlib.demonstrations.svg.style import Style, computed, font, resolved
from ebmlib.demonstrations.svg.transforms import Box
from ebmlib.demonstrations.svg.values import (
    MEDIUM,
    CannotEvaluateError,
    Lengths,
    keyword,
    text,
    tokens,
)
from ebmlib.errors import InputError

MAX_VISITED = 1_000_000  # elements, counted as often as <use> repeats them
MAX_USES = 50  # <use> of <use>
_CONTAINERS = {"svg", "g", "a", "switch", "use"}
_REPORTED = {
    "text": "text", "image": "image", "foreignObject": "foreignObject", "flowRoot": "text frame",
}  # fmt: skip
_MOVES = {"animateTransform", "animateMotion"}
_SETS = {"animate", "set"}
_HARMLESS = {"opacity", "fill", "stroke", "stroke-width", "stroke-dashoffset", "stroke-dasharray",
            "fill-opacity", "stroke-opacity", "color", "stop-color"}  # fmt: skip


class Drawn(NamedTuple):
    """A shape that is drawn.

    Attributes:
        element: the shape.
        declared: its declarations, resolved.
        style: what it inherits and computes.
        lengths: what its relative lengths refer to.
        outer: the matrix to user units of everything around it.
        cut: whether a clip path or a mask is on it or around it.
    """

    element: Element
    declared: Mapping[str, Value]
    style: Style
    lengths: Lengths
    outer: FloatArray
    cut: bool

    def matrix(self, pieces: list[FloatArray]) -> FloatArray:
        """The (3, 3) matrix from the shape's own coordinates to user units.

        Args:
            pieces: its points, for transforms that refer to its own box.
        """

        def box() -> Box:
            if not pieces:
                return Box(0, 0, 0, 0)
            points = np.concatenate(pieces)
            low, high = points.min(axis=0), points.max(axis=0)
            return Box(*low.tolist(), *(high - low).tolist())

        return self.outer @ _own_matrix(self.declared, self.lengths, box)


@dataclass(frozen=True)
class _Place:
    """An element, and what it takes over from the elements around it."""

    element: Element
    matrix: FloatArray
    style: Style
    lengths: Lengths
    uses: tuple[Element, ...] = ()
    size: Mapping[str, Value] | None = None  # width and height that a <use> gives to its target
    cut: bool = False


def drawn_shapes(
    root: Element, name: str, left_out: Counter[str], notes: list[str]
) -> Iterator[Drawn]:
    """Every shape that is not hidden, in document order, whether painted or not.

    Args:
        root: the outermost element.
        name: the file's name, for messages.
        left_out: a counter of what is left out, which is increased.
        notes: a list of remarks for the user, which is extended.

    Raises:
        InputError: something that decides what is drawn and cannot be evaluated.
    """
    cascade = Cascade(root, name)
    notes.extend(cascade.notes)
    walk = _Walk(root, name, cascade, left_out)
    stack = [_Place(root, np.eye(3), Style(), Lengths())]
    visited = 0
    while stack:
        place = stack.pop()
        visited += 1
        if visited > MAX_VISITED:
            raise InputError(f"{name} draws more than {MAX_VISITED} elements; simplify it.")
        try:
            inside = walk.enter(place)
        except CannotEvaluateError as error:
            raise InputError(
                f"{name}: <{tag(place.element)}> cannot be read: {error}; save it as plain SVG."
            ) from error
        if isinstance(inside, Drawn):
            yield inside
        else:
            stack.extend(reversed(inside))


class _Walk:
    def __init__(self, root: Element, name: str, cascade: Cascade, left_out: Counter[str]) -> None:
        self.root, self.name, self.cascade, self.left_out = root, name, cascade, left_out
        self.root_font = MEDIUM
        self.ids: dict[str, Element] = {}
        for element in root.iter():
            if isinstance(element.tag, str) and element.get("id"):
                self.ids.setdefault(element.get("id", ""), element)

    def enter(self, place: _Place) -> Drawn | list[_Place]:
        """The shape at a place, or the places inside it; an empty list where nothing is drawn."""
        element, kind = place.element, tag(place.element)
        used = bool(place.uses) and place.size is not None
        known = namespace(element) == namespace(self.root)
        if not known or (kind not in SHAPES | _CONTAINERS and not (kind == "symbol" and used)):
            if known and kind in _REPORTED:
                self.left_out[_REPORTED[kind]] += 1
            if kind == "foreignObject" and any(e.tag == f"{{{SVG}}}svg" for e in element.iter()):
                raise CannotEvaluateError("it holds a drawing that is placed by HTML")
            return []
        if element is not self.root and not conditions_hold(element):
            return []
        declared, outer = resolved(self.cascade.declared(element), place.style)
        if "all" in declared:
            raise CannotEvaluateError("the property all is not evaluated here")
        display = keyword(declared["display"].tokens) if "display" in declared else "inline"
        if display == "none":
            self.left_out["hidden"] += 1
            return []
        if display == "contents":
            if kind in SHAPES or kind == "use":
                return []
            raise CannotEvaluateError("display: contents is not evaluated here")
        pixels = font(declared, outer.font, self.root_font)
        if element is self.root:
            self.root_font = pixels
        lengths = place.lengths._replace(font=pixels, root_font=self.root_font)
        style = computed(declared, outer, lengths, self.cascade)._replace(font=pixels)
        self._refuse_movement(element, declared)
        place = replace(place, cut=place.cut or any(map(_is_set, map(declared.get, CUTS))))
        if kind in SHAPES:
            if not style.visible:
                self.left_out["hidden"] += 1
                return []
            shape = Drawn(element, declared, style, lengths, place.matrix, place.cut)
            return self._unless_flat(shape)
        if element is self.root:
            return self._root(replace(place, style=style, lengths=lengths), declared)
        matrix = place.matrix @ _own_matrix(declared, lengths, None)
        if not _extends(matrix):
            self.left_out["without extent"] += 1
            return []
        place = replace(place, matrix=matrix, style=style, lengths=lengths)
        if kind == "use":
            return self._used(place, declared)
        if kind in ("svg", "symbol"):
            return self._viewport(place)
        if kind == "switch":
            return [
                replace(place, element=e, size=None) for e in branch(element, namespace(self.root))
            ]
        return _children(place)

    def _unless_flat(self, shape: Drawn) -> Drawn | list[_Place]:
        """The shape, unless its transform leaves it no extent."""
        if "transform-box" in shape.declared or _extends(shape.matrix([])):
            return shape
        self.left_out["without extent"] += 1
        return []

    def _root(self, place: _Place, declared: Mapping[str, Value]) -> list[_Place]:
        element, lengths = place.element, place.lengths
        box = transforms.view_box(element.get("viewBox"))
        if box is not None and 0 in (box.width, box.height):
            return []
        if box is not None:
            width, height = box.width, box.height
        else:
            width, height = (_own_size(declared, name, lengths) for name in ("width", "height"))
        if 0 in (width, height):
            return []
        # Where the page puts the drawing does not matter; how a transform turns it, does.
        turned = _own_matrix(declared, lengths._replace(width=0.0, height=0.0), None)
        turned[:2, 2] = 0.0
        if not _extends(turned):
            return []
        lengths = lengths._replace(width=width, height=height)
        return _children(replace(place, matrix=turned, lengths=lengths))

    def _used(self, place: _Place, declared: Mapping[str, Value]) -> list[_Place]:
        link = reference(place.element)
        if not link:
            return []
        if not link.startswith("#"):
            raise CannotEvaluateError(f"it refers to another file ({link[:60]})")
        target = self.ids.get(link[1:])
        if target is None:
            self.left_out["use of nothing"] += 1
            return []
        if target in place.uses or len(place.uses) >= MAX_USES or place.element in target.iter():
            raise CannotEvaluateError(f"{link[:60]} uses itself")
        x = size(declared, "x", place.lengths, 0.0) or 0.0
        y = size(declared, "y", place.lengths, 0.0) or 0.0
        given = {name: declared[name] for name in ("width", "height") if name in declared}
        return [
            replace(
                place,
                element=target,
                matrix=place.matrix @ transforms.translation(x, y),
                uses=(*place.uses, target),
                size=given,
            )
        ]

    def _viewport(self, place: _Place) -> list[_Place]:
        """Into a nested ``svg``, or a ``symbol`` that is used: their attributes place them."""
        lengths = place.lengths
        sized: dict[str, Value] = {
            name: Value(tokens(place.element.get(name, "")), True)
            for name in ("x", "y", "width", "height")
            if name in place.element.attrib
        }
        sized |= place.size or {}
        x = size(sized, "x", lengths, 0.0) or 0.0
        y = size(sized, "y", lengths, 0.0) or 0.0
        width, height = (
            size(sized, name, lengths, lengths.whole(axis))
            for name, axis in (("width", "x"), ("height", "y"))
        )
        box = transforms.view_box(place.element.get("viewBox"))
        if (width is not None and width <= 0) or (height is not None and height <= 0):
            return []
        if box is not None:
            if 0 in (box.width, box.height):
                return []
            if width is None or height is None:
                raise CannotEvaluateError("its size depends on a window")
            how = place.element.get("preserveAspectRatio")
            inner = transforms.into_viewport(box, Box(x, y, width, height), how)
            width, height = box.width, box.height
        else:
            inner = transforms.translation(x, y)
        lengths = lengths._replace(width=width, height=height)
        return _children(replace(place, matrix=place.matrix @ inner, lengths=lengths))

    def _refuse_movement(self, element: Element, declared: Mapping[str, Value]) -> None:
        """Refuse animations that move or hide: what is drawn would depend on the time."""
        for name in ("offset-path", "offset", "zoom"):
            value = declared.get(name)
            if value and text(value.tokens) not in ("none", "normal", "1", "100%"):
                raise CannotEvaluateError(f"the property {name} is not evaluated here")
        for name in ("animation", "animation-name"):
            if moving := self.cascade.animated(declared.get(name)):
                raise CannotEvaluateError(f"the animation {moving} moves or hides it")
        for child in element:
            kind = tag(child)
            moves = kind in _MOVES or (
                kind in _SETS and child.get("attributeName", "") not in _HARMLESS
            )
            if moves and child.get("begin", "0s").strip() != "indefinite":
                raise CannotEvaluateError(f"<{kind}> moves or hides it")


def _children(place: _Place) -> list[_Place]:
    return [
        replace(place, element=child, size=None)
        for child in place.element
        if isinstance(child.tag, str)
    ]


def _own_size(declared: Mapping[str, Value], name: str, lengths: Lengths) -> float | None:
    """A width or height of the outermost element, None where it depends on the window."""
    try:
        return size(declared, name, lengths, None)
    except CannotEvaluateError:
        return None


def _own_matrix(
    declared: Mapping[str, Value], lengths: Lengths, own_box: Callable[[], Box] | None
) -> FloatArray:
    """The matrix of an element's own transform properties (CSS Transforms 2, section 8)."""
    if not declared.keys() & {"transform", "translate", "rotate", "scale"}:
        return np.eye(3)
    box = Box(0.0, 0.0, lengths.width, lengths.height)
    if "transform-box" in declared:
        word = keyword(declared["transform-box"].tokens)
        if word in ("fill-box", "content-box"):
            if own_box is None:
                raise CannotEvaluateError(f"transform-box: {word} of a group is not evaluated here")
            box = own_box()
        elif word != "view-box":
            raise CannotEvaluateError(f"transform-box: {word} is not evaluated here")
    sized = lengths._replace(width=box.width, height=box.height, plain=False)
    empty = Value((), False)
    translate, rotate, scale = (
        declared.get(name, empty).tokens for name in ("translate", "rotate", "scale")
    )
    result = transforms.of_longhands(translate, rotate, scale, sized)
    if "transform" in declared:
        value = declared["transform"]
        result = result @ transforms.of_list(value.tokens, value.attribute, sized)
    centre = (box.x, box.y)
    if "transform-origin" in declared:
        value = declared["transform-origin"]
        centre = transforms.origin(value.tokens, box, sized._replace(plain=value.attribute))
    return transforms.about_point(centre, result)


def _is_set(value: Value | None) -> bool:
    """Whether a value says anything but ``none``."""
    return value is not None and keyword(value.tokens) != "none"


def _extends(matrix: FloatArray) -> bool:
    """Whether a matrix leaves a shape an area."""
    with np.errstate(all="ignore"):
        extent = float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])
    return extent != 0 and not math.isnan(extent)
