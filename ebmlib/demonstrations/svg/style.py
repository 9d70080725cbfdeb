"""What an element inherits and computes: visible, painted, its font, its variables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ebmlib.demonstrations.svg import paint
from ebmlib.demonstrations.svg.cascade import Cascade, Value
from ebmlib.demonstrations.svg.paint import Paint
from ebmlib.demonstrations.svg.values import (
    MEDIUM,
    CannotEvaluateError,
    Lengths,
    Token,
    font_size,
    keyword,
    length,
    number,
    substituted,
)

_INHERITED = {
    "visibility", "fill", "stroke", "stroke-width", "fill-opacity", "stroke-opacity", "color",
    "font-size", "font",
}  # fmt: skip


class Style(NamedTuple):
    """The inherited properties that decide what is drawn, with their initial values.

    Attributes:
        visible: ``visibility``.
        fill, stroke: whether the paint can be seen.
        color: whether ``color`` can be seen.
        stroke_width: in user units.
        fill_opacity, stroke_opacity: 0 to 1.
        font: ``font-size`` in pixels.
        paint_declared: whether a fill or a stroke was declared; else both have initial values.
        variables: custom properties.
        transparent: whether a group around has an ``opacity`` of 0.
    """

    visible: bool = True
    fill: Paint = Paint.SEEN
    stroke: Paint = Paint.NONE
    color: bool = True
    stroke_width: float = 1.0
    fill_opacity: float = 1.0
    stroke_opacity: float = 1.0
    font: float = MEDIUM
    paint_declared: bool = False
    variables: Mapping[str, tuple[Token, ...]] = {}
    transparent: bool = False

    @property
    def filled(self) -> bool:
        """Whether a fill would be seen."""
        return self._seen(self.fill) and self.fill_opacity > 0 and not self.transparent

    @property
    def stroked(self) -> bool:
        """Whether a stroke is seen."""
        shown = self.stroke_opacity > 0 and self.stroke_width > 0 and not self.transparent
        return self._seen(self.stroke) and shown

    def _seen(self, value: Paint) -> bool:
        return value in (Paint.SEEN, Paint.BOXED) or (value is Paint.CURRENT and self.color)


def resolved(declared: Mapping[str, Value], outer: Style) -> tuple[dict[str, Value], Style]:
    """Replace variables and the words ``inherit``, ``initial``, ``unset`` and the like.

    Returns:
        The other declarations; and the parent's style with the element's variables, in which each
        property that is declared ``initial`` is reset.
    """
    variables = dict(outer.variables)
    for name, value in declared.items():
        if name.startswith("--"):
            word = keyword(value.tokens)
            if word == "initial":
                variables.pop(name, None)
            elif word not in ("inherit", "unset", "revert", "revert-layer"):
                variables[name] = value.tokens
    kept: dict[str, Value] = {}
    base = outer._replace(variables=variables) if variables != outer.variables else outer
    for name, value in declared.items():
        if name.startswith("--"):
            continue
        found = substituted(value.tokens, variables)
        word = "unset" if found is None else keyword(found)
        if word in ("inherit", "initial", "unset", "revert", "revert-layer"):
            if name in _INHERITED:
                if word == "initial":
                    base = base._replace(**_initial(name))
            elif word == "inherit":
                raise CannotEvaluateError(f"{name}: inherit is not evaluated here")
            continue
        assert found is not None
        kept[name] = Value(found, value.attribute)
    return kept, base


def _initial(name: str) -> dict[str, Any]:
    field = {"visibility": "visible", "font-size": "font"}.get(name, name.replace("-", "_"))
    return {field: Style._field_defaults[field]}


def computed(declared: Mapping[str, Value], outer: Style, by: Lengths, cascade: Cascade) -> Style:
    """The style of an element with these declarations within an element of style ``outer``."""
    changes: dict[str, Any] = {}
    for name, value in declared.items():
        values = value.tokens
        if name == "visibility":
            changes["visible"] = keyword(values) == "visible"
        elif name in ("fill", "stroke"):
            # "transparent" by a variable may turn out invalid: then the property is unset.
            if (found := paint.read(values, cascade.servers)) is not None:
                changes[name] = found
                changes["paint_declared"] = True
        elif name == "color":
            colour = paint.colour(values)
            if colour is not None and colour is not Paint.CURRENT:
                changes["color"] = colour is Paint.SEEN
        elif name == "stroke-width":
            width = length(values, "r", by._replace(plain=True)) if values else 1.0
            changes["stroke_width"] = width
        elif name in ("fill-opacity", "stroke-opacity"):
            changes[name.replace("-", "_")] = number(values)
        elif name == "opacity":
            if number(values) <= 0:
                changes["transparent"] = True
    return outer._replace(**changes) if changes else outer


def font(declared: Mapping[str, Value], outer: float, root: float) -> float:
    """The font size of an element with these declarations, in pixels."""
    if "font-size" in declared:
        return font_size(declared["font-size"].tokens, outer, root)
    for token in declared["font"].tokens if "font" in declared else ():
        if token.type in ("dimension", "percentage"):
            return font_size([token], outer, root)
    return outer
