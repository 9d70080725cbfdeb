"""CSS values to numbers: lengths, percentages, angles, ``calc`` and ``var``, as SVG uses them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import tinycss2

Token = Any  # a node of tinycss2, which ships no types

_PIXELS = {
    "": 1.0, "px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 96 / 25.4, "q": 96 / 101.6,
    "pt": 96 / 72, "pc": 16.0,
}  # fmt: skip
_DEGREES = {"deg": 1.0, "grad": 0.9, "rad": 180 / math.pi, "turn": 360.0}
_SIZES = {
    "xx-small": 9.0, "x-small": 10.0, "small": 13.0, "medium": 16.0, "large": 18.0, "x-large": 24.0,
    "xx-large": 32.0, "xxx-large": 48.0,
}  # fmt: skip
MEDIUM = 16.0  # the font size where none is declared
_MAX_DEPTH = 40  # nested variables and calculations beyond it are refused


class CannotEvaluateError(ValueError):
    """A value that needs more than the file, or a syntax that is not known here."""


class InvalidValueError(CannotEvaluateError):
    """A value that the grammar does not allow: a browser ignores the declaration."""


class Lengths(NamedTuple):
    """What relative lengths refer to, in pixels; None where the file does not say.

    Attributes:
        width, height: of the nearest viewport in its own units.
        font: the font size of the element.
        root_font: the font size of the root.
        plain: whether a number without unit is a length: in attributes and for the properties of
            shapes it is; in the transforms of style sheets only 0 is.
    """

    width: float | None = None
    height: float | None = None
    font: float = MEDIUM
    root_font: float = MEDIUM
    plain: bool = True

    def whole(self, axis: str) -> float | None:
        """What 100 % is along ``"x"`` or ``"y"``, or for a radius (``"r"``)."""
        if axis == "x":
            return self.width
        if axis == "y":
            return self.height
        if self.width is None or self.height is None:
            return None
        return math.sqrt((self.width**2 + self.height**2) / 2)


def tokens(text: str) -> tuple[Token, ...]:
    """The component values of a text, without blanks and comments at its ends."""
    return strip(tinycss2.parse_component_value_list(text, skip_comments=True))


def strip(values: Sequence[Token]) -> tuple[Token, ...]:
    """Component values without comments and without blanks at the ends."""
    kept = [value for value in values if value.type != "comment"]
    while kept and kept[0].type == "whitespace":
        kept.pop(0)
    while kept and kept[-1].type == "whitespace":
        kept.pop()
    return tuple(kept)


def words(values: Sequence[Token]) -> list[Token]:
    """Component values without blanks and comments."""
    return [value for value in values if value.type not in ("whitespace", "comment")]


def text(values: Sequence[Token]) -> str:
    """The values as a short text for messages."""
    written = str(tinycss2.serialize(list(values))).strip()
    return written if len(written) <= 60 else written[:57] + "..."


def keyword(values: Sequence[Token]) -> str:
    """The value's one identifier in lower case, or nothing if it is something else."""
    return values[0].lower_value if len(values) == 1 and values[0].type == "ident" else ""


def separated(values: Sequence[Token]) -> list[tuple[Token, ...]]:
    """The arguments between commas."""
    parts: list[list[Token]] = [[]]
    for value in values:
        if value.type == "literal" and value.value == ",":
            parts.append([])
        else:
            parts[-1].append(value)
    return [strip(part) for part in parts]


def number(values: Sequence[Token]) -> float:
    """A number, or a percentage as a share.

    Raises:
        CannotEvaluateError: it is neither.
    """
    if len(values) == 1 and values[0].type == "number":
        return _finite(values[0].value, values)
    if len(values) == 1 and values[0].type == "percentage":
        return _finite(values[0].value / 100, values)
    if len(values) == 1 and values[0].type == "function":
        return _calculated(values[0], lambda token: number([token]))
    raise InvalidValueError(f"expected a number, got {text(values) or 'nothing'}")


def length(values: Sequence[Token], axis: str, by: Lengths) -> float:
    """A length or percentage in user units.

    Args:
        values: one component value.
        axis: "x", "y" or "r", for percentages.
        by: what relative lengths refer to.

    Raises:
        CannotEvaluateError: not a length, or one that depends on more than the file.
    """
    if len(values) != 1:
        raise InvalidValueError(f"expected a length, got {text(values) or 'nothing'}")
    (value,) = values
    if value.type == "number":
        if not by.plain and value.value != 0:
            raise InvalidValueError(f"a length in a style needs a unit, got {text(values)}")
        return _finite(value.value, values)
    if value.type == "percentage":
        whole = by.whole(axis)
        if whole is None:
            raise CannotEvaluateError(f"{text(values)} of a drawing that states no size or viewBox")
        return _finite(value.value * whole / 100, values)
    if value.type == "dimension":
        unit = value.lower_unit
        size = {**_PIXELS, "em": by.font, "rem": by.root_font}.get(unit)
        if size is None:
            raise CannotEvaluateError(f"{text(values)} depends on more than the file; use px")
        return _finite(value.value * size, values)
    if value.type == "function":
        return _calculated(value, lambda token: _operand(token, axis, by))
    raise InvalidValueError(f"expected a length, got {text(values)}")


def angle(values: Sequence[Token], plain: bool) -> float:
    """An angle in degrees; ``plain`` says whether one without unit is in degrees."""
    if len(values) == 1 and values[0].type == "number" and (plain or values[0].value == 0):
        return _finite(values[0].value, values)
    if len(values) == 1 and values[0].type == "dimension" and values[0].lower_unit in _DEGREES:
        return _finite(values[0].value * _DEGREES[values[0].lower_unit], values)
    if len(values) == 1 and values[0].type == "function":
        return _calculated(values[0], lambda t: t.value if t.type == "number" else angle([t], True))
    raise InvalidValueError(f"expected an angle, got {text(values) or 'nothing'}")


def font_size(values: Sequence[Token], outer: float, root: float) -> float:
    """The ``font-size`` in pixels within an element whose font has ``outer`` pixels."""
    word = keyword(values)
    if word in _SIZES:
        return _SIZES[word]
    if word in ("smaller", "larger"):
        return outer / 1.2 if word == "smaller" else outer * 1.2
    return length(values, "x", Lengths(outer, outer, outer, root))


def substituted(
    values: Sequence[Token], variables: Mapping[str, Sequence[Token]], depth: int = 0
) -> tuple[Token, ...] | None:
    """The values with every ``var()`` replaced, or None where one has no value (CSS: unset)."""
    if depth > _MAX_DEPTH:
        raise CannotEvaluateError("var() nested without end")
    result: list[Token] = []
    for value in values:
        if value.type == "function" and value.lower_name == "var":
            arguments = words(value.arguments)
            if not arguments or arguments[0].type != "ident":
                return None
            found: Sequence[Token] | None = variables.get(arguments[0].value)
            if found is None and len(arguments) > 1:
                comma = value.arguments.index(arguments[1])
                found = value.arguments[comma + 1 :]
            inner = None if found is None else substituted(found, variables, depth + 1)
            if inner is None:
                return None
            result.extend(inner)
        elif value.type in ("function", "() block"):
            attribute = "arguments" if value.type == "function" else "content"
            inner = substituted(getattr(value, attribute), variables, depth + 1)
            if inner is None:
                return None
            copy = tinycss2.parse_one_component_value(tinycss2.serialize([value]))
            setattr(copy, attribute, list(inner))
            result.append(copy)
        else:
            result.append(value)
        if len(result) > 10_000:
            raise CannotEvaluateError("var() grows without end")
    return strip(result)


def _operand(token: Token, axis: str, by: Lengths) -> float:
    return token.value if token.type == "number" else length([token], axis, by)


def _calculated(function: Token, operand: Any) -> float:
    """The value of ``calc(...)``: sums and products of what ``operand`` evaluates."""
    if function.lower_name != "calc":
        raise CannotEvaluateError(f"{function.lower_name}() is not evaluated here")
    return _finite(_sum(words(function.arguments), operand, 0), [function])


def _sum(parts: list[Token], operand: Any, depth: int) -> float:
    def atom(token: Token) -> float:
        if token.type == "() block":
            return _sum(words(token.content), operand, depth + 1)
        return float(operand(token))

    if depth > _MAX_DEPTH or len(parts) % 2 == 0:
        raise CannotEvaluateError(f"calc({text(parts)}) cannot be read")
    total, sign, product = 0.0, 1.0, atom(parts[0])
    for operator, token in zip(parts[1::2], parts[2::2], strict=True):
        symbol = operator.value if operator.type == "literal" else ""
        if symbol in "+-" and symbol:
            total, sign, product = (
                total + sign * product,
                1.0 if symbol == "+" else -1.0,
                atom(token),
            )
        elif symbol == "*":
            product *= atom(token)
        elif symbol == "/" and atom(token) != 0:
            product /= atom(token)
        else:
            raise CannotEvaluateError(f"calc({text(parts)}) cannot be read")
    return total + sign * product


def _finite(value: float, values: Sequence[Token]) -> float:
    if not math.isfinite(value):
        raise CannotEvaluateError(f"{text(values)} is too large")
    return float(value)
