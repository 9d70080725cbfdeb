"""A Sphinx extension for the reference of ebmlib: names in docstrings and signatures.

A name that the reference documents becomes a link, by any of its paths: what is imported as
``ebmlib.Store`` is defined in ``ebmlib.training.store``. A name of another package, or one of ours
that is not public, stays text, if it exists; a name that nobody has fails the build.
"""

from __future__ import annotations

import builtins
import importlib
import re
import sys
import typing
from typing import Any

from docutils import nodes

FOR_TYPES = {"Figure": "matplotlib.figure.Figure", "Axes": "matplotlib.axes.Axes", "t": "typing"}
"""Names that modules import for signatures only, under TYPE_CHECKING."""

_LITERAL = re.compile(r"(``.+?``|`[^`]+`|(?<!\S)\*[A-Za-z][\w -]*\*(?=[\s.,;:)]))", re.DOTALL)
_OF_THE_THESIS = re.compile(
    r"(?<!thesis )\b([Ss]ections?|Eqs?|Figures?|Table) (\d\.\d+(?:\.\d+)?)(?! of the thesis)"
)
_NAMES = re.compile(r"    \w+(?:, \w+)*,")
_SEVERAL = re.compile(r"    ((?:\w+, )+\w+): (.+)")


def find(name: str, module: str | None = None) -> Any:
    """The object of a dotted name, or of a name as a module's code sees it.

    Args:
        name: such as ``ebmlib.training.store.Store.load``, ``torch.Tensor``, ``Tensor`` or ``int``.
        module: where a name without a path is looked up.

    Raises:
        LookupError: nothing has this name.
    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ImportError:
            continue
        if _has(found, parts[length:]):
            return _take(found, parts[length:])
    if parts[0] in FOR_TYPES:
        return find(".".join([FOR_TYPES[parts[0]], *parts[1:]]))
    # A public name's signature is that of the module which defines it, wherever it is shown.
    ours = [m for n, m in sorted(sys.modules.items()) if n.partition(".")[0] == "ebmlib"]
    first = [importlib.import_module(module)] if module is not None else []
    for place in (*first, *ours, builtins, typing):
        if _has(place, parts):
            return _take(place, parts)
    raise LookupError(name)


def _has(place: Any, parts: list[str]) -> bool:
    for part in parts:
        if not hasattr(place, part) and part not in getattr(place, "__annotations__", {}):
            return False
        place = getattr(place, part, None)
    return True


def _take(place: Any, parts: list[str]) -> Any:
    for part in parts:
        place = getattr(place, part, None)
    return place


def defined_as(found: Any) -> str:
    """The dotted name under which an object was defined; nothing for values, which have none."""
    name = getattr(found, "__qualname__", "")
    return f"{found.__module__}.{name}" if name else ""


def resolve(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """Link a name that Sphinx did not find, or leave it as text where it exists all the same."""
    if node.get("refdomain") != "py":
        return None
    target, module = node.get("reftarget", ""), node.get("py:module")
    owner = node.get("py:class")
    for name in filter(None, (target, owner and f"{owner}.{target}")):
        try:
            found = find(name, module)
        except LookupError:
            continue
        domain = env.get_domain("py")
        known = _by_definition(domain)
        for path in (defined_as(found), name):
            if entry := known.get(path) or domain.objects.get(path):
                page = app.builder.get_relative_uri(node["refdoc"], entry.docname)
                link = nodes.reference("", "", internal=True, refuri=f"{page}#{entry.node_id}")
                link += contnode
                return link
        return contnode
    return contnode if _plain(target) else None


def _by_definition(domain: Any) -> dict[str, Any]:
    """What the reference documents, by where it is defined; made anew when the reference grows."""
    kept = domain.data.get("ebmlib_defined")
    if kept is None or kept[0] != len(domain.objects):
        table = {}
        for name, entry in domain.objects.items():
            try:
                table[defined_as(find(name)) or name] = entry
            except LookupError:
                continue
        kept = domain.data["ebmlib_defined"] = (len(domain.objects), table)
    table = kept[1]
    return typing.cast(dict[str, Any], table)


def _plain(target: str) -> bool:
    """Whether a signature's text is no name at all: a number, a string, an ellipsis."""
    return not all(part.isidentifier() for part in target.split("."))


def as_restructured(app: Any, what: str, name: str, found: Any, options: Any, lines: Any) -> None:
    """Keep a docstring's mathematics: bars and stars are signs, an indented line is an equation."""
    if what in ("attribute", "property", "data") and lines:  # "shape: words" is no type
        lines[0] = re.sub(r"^([^:`]+): ", r"\1 – ", lines[0])
    for number in range(len(lines) - 1, 0, -1):  # names of one entry may take two lines
        if _NAMES.fullmatch(lines[number - 1]) and lines[number].startswith("        "):
            lines[number - 1] += f" {lines.pop(number).strip()}"
    for number in range(len(lines) - 1, -1, -1):  # "a, b: words" is two entries
        if found_names := _SEVERAL.match(lines[number]):
            *first, last = found_names[1].split(", ")
            lines[number] = f"    {last}: {found_names[2]}"
            lines[number:number] = [f"    {each}: see ``{last}``" for each in first]
    kept, before = [], ""
    for number, line in enumerate(lines):
        after_gap = number > 0 and not lines[number - 1].strip()
        if line.startswith("    ") and after_gap and before and not before.startswith(" "):
            if not before.endswith("::"):
                kept += [".. code-block:: text", ""]
        if line.strip():
            before = line
        kept.append(line)
    literal = False
    for number, line in enumerate(kept):
        if line.strip() and not line.startswith(" "):
            literal = line.startswith(".. code-block")
        if not literal and not line.lstrip().startswith(">>>"):
            line = _OF_THE_THESIS.sub(_marked, line)
            pieces = _LITERAL.split(line)
            pieces[::2] = [re.sub(r"(?<!\\)([|*])", r"\\\1", piece) for piece in pieces[::2]]
            kept[number] = "".join(pieces)
    lines[:] = kept


def _marked(found: re.Match[str]) -> str:
    """A number of the thesis, which says that it is the thesis's."""
    kind = "" if found[1].lower().startswith("section") else f"{found[1]} "
    return f"thesis {kind}{found[2]}"


def signature(
    app: Any, what: str, name: str, found: Any, options: Any, arguments: str | None, returned: Any
) -> tuple[str, Any] | None:
    """What stands behind a name: nothing for an interface or an error, which nobody calls.

    A default that is made anew for each instance reads ``...``; Sphinx cannot parse ``<factory>``.
    """
    error = isinstance(found, type) and issubclass(found, BaseException)
    if error or getattr(found, "_is_protocol", False):
        return "", ""
    return None if arguments is None else (arguments.replace("<factory>", "..."), returned)


def setup(app: Any) -> dict[str, bool]:
    """Connect to the events of a docstring and of a name without a target."""
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-process-docstring", as_restructured, priority=100)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
