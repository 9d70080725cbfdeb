"""The walk over a drawing's tree: every shape that is drawn, with its matrix and its style."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree.ElementTree import Element

import numpy as np

from ebmlib.demonstrations.polyline import FloatArray
from ebmlib.demonstrations.svg import clips, paint, pathdata, shapes, transforms
from ebmlib.demonstrations.svg.cascade import Cascade, Value
from ebmlib.demonstrations.svg.clips import Region
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
    length,
    text,
    tokens,
    words,
)
from ebmlib.errors import InputError

MAX_VISITED = 1_000_000  # elements, counted as often as <use> repeats them
MAX_USES = 50  # <use> of <use>
MAX_CLIPS = 10  # clip paths of clip paths
MAX_CLIPPING = 1000  # elements in a clip path, counted as often as <use> repeats them
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
        around: what the clip paths, masks and viewports around it let through, in user units.
        own: what its own clip path and mask let through, from its matrix and its box.
    """

    element: Element
    declared: Mapping[str, Value]
    style: Style
    lengths: Lengths
    outer: FloatArray
    around: tuple[Region, ...]
    own: Callable[[FloatArray, Box | None], tuple[Region, ...]]

    def matrix(self, pieces: list[FloatArray]) -> FloatArray:
        """The (3, 3) matrix from the shape's own coordinates to user units.

        Args:
            pieces: its points, for transforms that refer to its own box.
        """
        return self.outer @ _own_matrix(self.declared, self.lengths, lambda: _box(pieces))

    def regions(self, pieces: list[FloatArray], matrix: FloatArray) -> tuple[Region, ...]:
        """What of the shape is let through, in user units, y downwards.

        Args:
            pieces: its points, for clip paths that refer to its own box.
            matrix: as :meth:`matrix` returned it.
        """
        return self.around + self.own(matrix, _box(pieces))


@dataclass(frozen=True)
class _Place:
    """An element, and what it takes over from the elements around it."""

    element: Element
    matrix: FloatArray
    style: Style
    lengths: Lengths
    uses: tuple[Element, ...] = ()
    size: Mapping[str, Value] | None = None  # width and height that a <use> gives to its target
    around: tuple[Region, ...] = ()


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
        self.open: list[Element] = []  # the clip paths and masks that are being evaluated
        self.parents = {child: parent for parent in root.iter() for child in parent}
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
        if kind in SHAPES:
            if not style.visible:
                self.left_out["hidden"] += 1
                return []
            own = functools.partial(self._regions, declared, lengths)
            shape = Drawn(element, declared, style, lengths, place.matrix, place.around, own)
            return self._unless_flat(shape)
        if element is self.root:
            return self._root(replace(place, style=style, lengths=lengths), declared)
        matrix = place.matrix @ _own_matrix(declared, lengths, None)
        if not _extends(matrix):
            self.left_out["without extent"] += 1
            return []
        around = place.around + self._regions(declared, lengths, matrix, None)
        place = replace(place, matrix=matrix, style=style, lengths=lengths, around=around)
        if kind == "use":
            return self._used(place, declared)
        if kind in ("svg", "symbol"):
            return self._viewport(place, declared)
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
        around = self._regions(declared, lengths, turned, None)
        return _children(replace(place, matrix=turned, lengths=lengths, around=around))

    def _used(self, place: _Place, declared: Mapping[str, Value]) -> list[_Place]:
        link = (reference(place.element) or "").strip()
        if not link:
            return []
        if not link.startswith("#"):
            raise CannotEvaluateError(f"it refers to another file ({link[:60]})")
        target = self._named(link)
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

    def _viewport(self, place: _Place, declared: Mapping[str, Value]) -> list[_Place]:
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
        shown = keyword(declared["overflow"].tokens) if "overflow" in declared else "hidden"
        around = place.around
        if shown not in ("visible", "auto") and width is not None and height is not None:
            around += (clips.rectangle(place.matrix, x, y, width, height),)
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
        matrix = place.matrix @ inner
        return _children(replace(place, matrix=matrix, lengths=lengths, around=around))

    def _regions(
        self,
        declared: Mapping[str, Value],
        lengths: Lengths,
        matrix: FloatArray,
        box: Box | None,
        depth: int = 0,
    ) -> tuple[Region, ...]:
        """What the clip path and the mask of an element let through (CSS Masking 1).

        Args:
            declared: the element's declarations.
            lengths: what its relative lengths refer to.
            matrix: from the element's own coordinates to user units.
            box: the element's box in its own coordinates; None for a group.
            depth: how many clip paths this one is within.
        """
        found: list[Region] = []
        for name, kind in (("clip-path", "clipPath"), ("mask", "mask"), ("mask-image", "mask")):
            value = declared.get(name)
            if value is None or keyword(value.tokens) == "none":
                continue
            link = paint.address(words(value.tokens))
            if link is None or not link.startswith("#"):
                raise CannotEvaluateError(f"{name}: {text(value.tokens)} is not evaluated here")
            target = self._named(link)
            if target is None or tag(target) != kind:
                continue  # browsers ignore it
            if depth >= MAX_CLIPS or target in self.open:
                raise CannotEvaluateError(f"{link[:60]} clips itself")
            before, self.left_out = self.left_out, Counter()
            self.open.append(target)
            try:
                cut = self._clip_path if kind == "clipPath" else self._mask
                found += cut(target, lengths, matrix, box, depth)
            finally:
                self.left_out = before
                self.open.pop()
        return tuple(found)

    def _named(self, link: str) -> Element | None:
        """The element that ``#name`` names; the name may be written as in an address."""
        return self.ids.get(link[1:], self.ids.get(unquote(link[1:])))

    def _clip_path(
        self, element: Element, lengths: Lengths, matrix: FloatArray, box: Box | None, depth: int
    ) -> list[Region]:
        declared, _ = resolved(self.cascade.declared(element), Style())
        further = self._regions(declared, lengths, matrix, box, depth + 1)
        matrix = _in_units(element.get("clipPathUnits", "userSpaceOnUse"), matrix, box)
        matrix = matrix @ _own_matrix(declared, lengths, None)
        drawn = self._drawn_within(element, matrix, lengths, {*SHAPES, "use", "text"})
        return [self._region(drawn, "clip-rule"), *further]

    def _mask(
        self, element: Element, lengths: Lengths, matrix: FloatArray, box: Box | None, depth: int
    ) -> list[Region]:
        """A mask of shapes that are opaque and white; others let parts through in part."""
        declared, _ = resolved(self.cascade.declared(element), Style())
        further = self._regions(declared, lengths, matrix, box, depth + 1)
        regions = list(further)
        units = element.get("maskUnits", "objectBoundingBox")
        if units == "userSpaceOnUse" or {"x", "y", "width", "height"} & set(element.attrib):
            own = lengths if units == "userSpaceOnUse" else lengths._replace(width=1.0, height=1.0)
            defaults = {"x": "-10%", "y": "-10%", "width": "120%", "height": "120%"}
            x, y, width, height = (
                length(
                    tokens(element.get(name, default)), "x" if name in ("x", "width") else "y", own
                )
                for name, default in defaults.items()
            )
            regions.append(clips.rectangle(_in_units(units, matrix, box), x, y, width, height))
        inner = _in_units(element.get("maskContentUnits", "userSpaceOnUse"), matrix, box)
        drawn = self._drawn_within(element, inner, lengths, {*SHAPES, *_CONTAINERS, *_REPORTED})
        by_alpha = "mask-type" in declared and keyword(declared["mask-type"].tokens) == "alpha"
        through = [self._let_through(shape, by_alpha) for shape in drawn]
        if any(through) and not all(through):
            raise CannotEvaluateError(
                "a mask with dark shapes on bright ones is not evaluated here"
            )
        return [self._region(drawn if all(through) else [], "fill-rule"), *regions]

    def _drawn_within(
        self, element: Element, matrix: FloatArray, lengths: Lengths, kinds: set[str]
    ) -> list[Drawn]:
        """The shapes that the children of a clip path or mask draw."""
        if any(tag(child) in _REPORTED for child in element.iter()):
            raise CannotEvaluateError(f"<{tag(element)}> of text or pictures is not evaluated here")
        stack = [
            _Place(child, matrix, Style(), lengths) for child in element if tag(child) in kinds
        ]
        found = []
        visited = 0
        while stack:
            visited += 1
            if visited > MAX_CLIPPING:
                raise CannotEvaluateError(
                    f"<{tag(element)}> holds more than {MAX_CLIPPING} elements"
                )
            inside = self.enter(stack.pop())
            if not isinstance(inside, Drawn):
                stack.extend(inside)
                continue
            if inside.around or inside.own(np.eye(3), Box(0.0, 0.0, 1.0, 1.0)):
                raise CannotEvaluateError(
                    f"<{tag(element)}> of clipped shapes is not evaluated here"
                )
            found.append(inside)
        return found

    def _region(self, drawn: list[Drawn], rule: str) -> Region:
        filled = [self._filled(shape, rule) for shape in drawn]
        return Region(tuple(shape for shape in filled if shape.polygons))

    def _filled(self, shape: Drawn, rule: str) -> clips.Shape:
        """The area of a shape in user units."""
        pieces = shapes.subpaths(shape.element, shape.declared, shape.lengths)
        local = [pathdata.polyline(segments) for segments in pieces]
        matrix = shape.matrix(local)
        with np.errstate(all="ignore"):  # an overflow is refused below
            moved = tuple(points @ matrix[:2, :2].T + matrix[:2, 2] for points in local)
        if not all(np.isfinite(points).all() for points in moved):
            raise CannotEvaluateError("a clip path has coordinates that are not finite")
        return clips.Shape(moved, self._inherited(shape.element, rule) == "evenodd")

    def _let_through(self, shape: Drawn, by_alpha: bool) -> bool:
        """Whether a mask shows everything under this shape; if not, it shows nothing.

        Raises:
            CannotEvaluateError: it shows it in part.
        """
        fill = self.cascade.declared(shape.element).get("fill")
        for around in self._ancestors(shape.element):
            fill = fill or self.cascade.declared(around).get("fill")
        colour = paint.components(fill.tokens if fill else tokens("black"))
        seen = shape.style.filled and not shape.style.stroked and shape.style.fill_opacity == 1
        opacity = shape.declared.get("opacity")
        whole = opacity is None or text(opacity.tokens) in ("1", "100%")
        if not (seen and whole) or colour is None or colour[3] < 1:
            raise CannotEvaluateError("a mask that is partly transparent is not evaluated here")
        if by_alpha or min(colour[:3]) >= 1:
            return True
        if max(colour[:3]) > 0:
            raise CannotEvaluateError("a mask in shades of grey is not evaluated here")
        return False

    def _ancestors(self, element: Element) -> Iterator[Element]:
        while (parent := self.parents.get(element)) is not None:
            yield parent
            element = parent

    def _inherited(self, element: Element, name: str) -> str:
        """The word that an inherited property has on an element."""
        for around in (element, *self._ancestors(element)):
            if name in (declared := self.cascade.declared(around)):
                return keyword(declared[name].tokens)
        return ""

    def _refuse_movement(self, element: Element, declared: Mapping[str, Value]) -> None:
        """Refuse animations that move or hide: what is drawn would depend on the time."""
        for name in ("offset-path", "offset", "zoom", "content-visibility"):
            value = declared.get(name)
            harmless = ("none", "normal", "1", "100%", "visible", "auto")
            if value and text(value.tokens) not in harmless:
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


def _box(pieces: list[FloatArray]) -> Box:
    """The box around points."""
    if not pieces:
        return Box(0, 0, 0, 0)
    points = np.concatenate(pieces)
    low, high = points.min(axis=0), points.max(axis=0)
    return Box(*low.tolist(), *(high - low).tolist())


def _in_units(units: str, matrix: FloatArray, box: Box | None) -> FloatArray:
    """The matrix of the contents of a clip path or mask."""
    if units != "objectBoundingBox":
        return matrix
    if box is None:
        raise CannotEvaluateError("a clip path or mask in units of a group's box is not evaluated")
    assert box.width is not None and box.height is not None
    inner: FloatArray = transforms.matrix(box.width, 0, 0, box.height, box.x, box.y)
    return matrix @ inner


def _extends(matrix: FloatArray) -> bool:
    """Whether a matrix leaves a shape an area."""
    with np.errstate(all="ignore"):
        extent = float(matrix[0, 0] * matrix[1, 1] - matrix[0, 1] * matrix[1, 0])
    return extent != 0 and not math.isnan(extent)
