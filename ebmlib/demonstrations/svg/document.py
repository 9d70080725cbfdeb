"""The XML of a drawing: bytes to elements, within limits; other files are refused."""

from __future__ import annotations

import os
import re
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
from defusedxml import DefusedXmlException

from ebmlib.demonstrations.containers import other_kind_of_file
from ebmlib.errors import InputError

MAX_BYTES = 64 * 2**20
SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"


def parse(name: str) -> Element:
    """The root element of an SVG file.

    Raises:
        InputError: the file is missing, unreadable, empty, too large, compressed, not XML, not an
            SVG, declares entities, or takes its style from another file.
    """
    try:
        if os.path.isdir(name):
            raise InputError(f"{name} is a folder; expected an SVG file.")
        size = os.stat(name).st_size
        if size > MAX_BYTES:
            raise InputError(f"{name} has {size} bytes; drawings of up to {MAX_BYTES} are read.")
        with open(name, "rb") as file:
            data = file.read(size + 1)
    except FileNotFoundError as error:
        raise InputError(f"There is no file {name}; check the path.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name} cannot be read: {reason}.") from error
    if not data.strip():
        raise InputError(f"{name} is empty; expected an SVG file.")
    if problem := other_kind_of_file(data[:512]):
        raise InputError(f"{name} {problem}.")
    try:
        root: Element = defusedxml.ElementTree.fromstring(data)
    except DefusedXmlException as error:
        raise InputError(
            f"{name} declares XML entities or refers to other files, which is refused; "
            "save it as plain SVG."
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise InputError(f"{name} is not well-formed XML ({error}); save it as SVG.") from error
    if tag(root) != "svg" or namespace(root) not in ("", SVG):
        raise InputError(f"{name} is not an SVG: its outermost element is <{tag(root)}>.")
    if re.search(rb"<\?xml-stylesheet\s", data.replace(b"\0", b"")):  # UTF-16 has zeros between
        raise InputError(f"{name} takes its style from another file; save it as plain SVG.")
    return root


def tag(element: Element) -> str:
    """An element's name without its namespace; empty for comments."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def namespace(element: Element) -> str:
    """An element's namespace; empty where it has none."""
    if not isinstance(element.tag, str) or not element.tag.startswith("{"):
        return ""
    return element.tag[1:].partition("}")[0]


def reference(element: Element) -> str | None:
    """The target of ``href``, or without it that of ``xlink:href``."""
    return element.get("href", element.get(f"{{{XLINK}}}href"))
