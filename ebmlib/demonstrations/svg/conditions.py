"""The tests on elements: whether they fit the reader, and which branch of a ``switch`` is drawn."""

from __future__ import annotations

from xml.etree.ElementTree import Element

from ebmlib.demonstrations.svg.document import namespace, tag
from ebmlib.demonstrations.svg.shapes import SHAPES

_EXTENSIONS = {"http://www.w3.org/1999/xhtml", "http://www.w3.org/1998/Math/MathML"}
_TESTED = SHAPES | {"svg", "g", "a", "switch", "use", "text", "image", "foreignObject", "defs"}


def branch(switch: Element, space: str) -> list[Element]:
    """The first child of a ``switch`` whose tests hold."""
    for child in switch:
        if namespace(child) == space and tag(child) in _TESTED and fits(child):
            return [child]
    return []


def fits(element: Element) -> bool:
    """Whether the tests on an element hold for an English reader (SVG 2, section 5.8)."""
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
