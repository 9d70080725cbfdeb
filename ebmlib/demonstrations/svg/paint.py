"""Whether paint can be seen: colours, gradients, nothing."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence

import tinycss2.color5

from ebmlib.demonstrations.svg.values import Token, keyword, words


class Paint(enum.Enum):
    """Whether a ``fill`` or ``stroke`` can be seen."""

    NONE = "none"
    SEEN = "seen"
    CURRENT = "the element's own color"


def read(values: Sequence[Token], servers: Collection[str]) -> Paint | None:
    """The paint that a value of ``fill`` or ``stroke`` means, None if it is invalid.

    Args:
        values: the component values.
        servers: ids of the gradients and patterns of the document.
    """
    values = words(values)
    if not values:
        return None
    word = keyword(values)
    if word in ("none", "context-fill", "context-stroke"):
        return Paint.NONE  # there is no context outside of markers, which are not read
    first = values[0]
    url = first.value if first.type == "url" else None
    if first.type == "function" and first.lower_name == "url":
        url = next((t.value for t in first.arguments if t.type == "string"), "")
    if url is not None:
        if len(values) > 1 and (fallback := read(values[1:], ())) is None:
            return None
        if url.startswith("#") and url[1:] in servers:
            return Paint.SEEN
        return fallback if len(values) > 1 else Paint.NONE
    return colour(values)


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
