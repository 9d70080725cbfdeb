"""Whether paint can be seen: colours, gradients, nothing."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element

import tinycss2.color5

from ebmlib.demonstrations.svg.document import reference, tag
from ebmlib.demonstrations.svg.values import Token, keyword, words


class Paint(enum.Enum):
    """Whether a ``fill`` or ``stroke`` can be seen."""

    NONE = "none"
    SEEN = "seen"
    CURRENT = "the element's own color"
    BOXED = "seen, unless the element's box is flat"


def servers(root: Element) -> dict[str, Paint]:
    """Whether the gradients and patterns of a document can be seen, by their ids.

    A gradient without stops paints nothing, and one in units of the element's box (the default)
    paints nothing on a horizontal or vertical line (SVG 2, section 13.2).
    """
    named = {e.get("id", ""): e for e in reversed(list(root.iter())) if e.get("id") is not None}
    found = {}
    for name, element in named.items():
        if tag(element) == "pattern":
            found[name] = Paint.SEEN
        elif tag(element) in ("linearGradient", "radialGradient"):
            chain = [element]
            while (link := reference(chain[-1])) and len(chain) < len(named):
                after = named.get(link.strip()[1:])
                if after is None or after in chain:
                    break
                chain.append(after)
            units = next((e.get("gradientUnits") for e in chain if e.get("gradientUnits")), "")
            stops = any(tag(child) == "stop" for e in chain for child in e)
            seen = Paint.SEEN if units == "userSpaceOnUse" else Paint.BOXED
            found[name] = seen if stops else Paint.NONE
    return found


def read(values: Sequence[Token], servers: Mapping[str, Paint]) -> Paint | None:
    """The paint that a value of ``fill`` or ``stroke`` means, None if it is invalid.

    Args:
        values: the component values.
        servers: the gradients and patterns of the document by their ids.
    """
    values = words(values)
    if not values:
        return None
    word = keyword(values)
    if word in ("none", "context-fill", "context-stroke"):
        return Paint.NONE  # there is no context outside of markers, which are not read
    url = address(values)
    if url is not None:
        if len(values) > 1 and (fallback := read(values[1:], {})) is None:
            return None
        if url.startswith("#") and url[1:] in servers:
            return servers[url[1:]]
        return fallback if len(values) > 1 else Paint.NONE
    return colour(values)


def address(values: Sequence[Token]) -> str | None:
    """What the ``url()`` that values begin with names; None where they begin otherwise."""
    if not values:
        return None
    first = values[0]
    if first.type == "function" and first.lower_name == "url":
        return next((str(t.value) for t in first.arguments if t.type == "string"), "")
    return str(first.value) if first.type == "url" else None


def components(values: Sequence[Token]) -> tuple[float, float, float, float] | None:
    """Red, green, blue and alpha from 0 to 1; None for what is no such colour."""
    values = words(values)
    try:
        found: Any = tinycss2.color5.parse_color(values[0]) if len(values) == 1 else None
        r, g, b = found.to("srgb").coordinates
        return float(r), float(g), float(b), float(found.alpha)
    except (ValueError, TypeError, AttributeError, IndexError, ZeroDivisionError):
        return None


def colour(values: Sequence[Token]) -> Paint | None:
    """Whether a colour can be seen, None if it is not a colour."""
    values = words(values)
    if keyword(values) == "currentcolor":
        return Paint.CURRENT
    if len(values) != 1:
        return None
    try:
        found = tinycss2.color5.parse_color(values[0])
    except (ValueError, TypeError, AttributeError, IndexError, ZeroDivisionError):
        found = None
    if found is not None:
        if found == "currentcolor":
            return Paint.CURRENT
        return Paint.SEEN if found.alpha > 0 else Paint.NONE
    # Mixed colours and those of the system are not evaluated: they count as seen.
    known = {"color-mix", "light-dark", "contrast-color", "rgb", "rgba", "hsl", "hsla", "color"}
    mixed = values[0].type == "function" and values[0].lower_name in known - {"rgb", "rgba"}
    return Paint.SEEN if mixed or keyword(values) in _SYSTEM else None


_SYSTEM = {
    "canvas", "canvastext", "linktext", "visitedtext", "activetext", "buttonface", "buttontext",
    "buttonborder", "field", "fieldtext", "highlight", "highlighttext", "mark", "marktext",
    "graytext",
}  # fmt: skip
