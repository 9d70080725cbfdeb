"""Conditional attributes, and which branch of a ``switch`` is drawn (SVG 2, section 5.8)."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from ebmlib.demonstrations.svg.document import namespace, tag
from ebmlib.demonstrations.svg.shapes import SHAPES

_EXTENSIONS = {"http://www.w3.org/1999/xhtml", "http://www.w3.org/1998/Math/MathML"}
_TESTED = SHAPES | {"svg", "g", "a", "switch", "use", "text", "image", "foreignObject", "defs"}


def branch(switch: Element, space: str) -> list[Element]:
    """The first child of a ``switch`` whose conditional attributes hold."""
    for child in switch:
        if namespace(child) == space and tag(child) in _TESTED and conditions_hold(child):
            return [child]
    return []


def conditions_hold(element: Element) -> bool:
    """Whether the conditional attributes of an element hold for an English reader."""
    languages = element.get("systemLanguage")
    if languages is not None:
        wanted = [word.strip().lower() for word in languages.split(",")]
        if not any(word == "en" or word.startswith("en-") for word in wanted):
            return False
    extensions = element.get("requiredExtensions")
    if extensions is not None:
        named = extensions.split()
        return bool(named) and set(named) <= _EXTENSIONS
    return True
