"""The style cascade of a drawing: which declaration of a property wins on which element.

In order of rising precedence (CSS Cascade 4, SVG 2 section 6.6): presentation attributes, rules of
style sheets by specificity and order, ``style`` attributes, then the same again for ``!important``.
A declaration with an invalid value is ignored. Only the properties that decide what is drawn, and
where, are read (:data:`RELEVANT`).

Media queries are evaluated for a light screen. A rule whose condition cannot be evaluated from the
file alone is refused if it sets one of these properties, and ignored if it does not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

import cssselect2
import tinycss2

from ebmlib.demonstrations.svg import paint, pathdata, transforms
from ebmlib.demonstrations.svg.document import SVG, namespace, tag
from ebmlib.demonstrations.svg.values import (
    CannotEvaluateError,
    InvalidValueError,
    Lengths,
    Token,
    keyword,
    length,
    strip,
    text,
    tokens,
    words,
)
from ebmlib.errors import InputError

_GEOMETRY = {"x", "y", "width", "height", "cx", "cy", "r", "rx", "ry", "d"}
_TRANSFORMS = {"transform", "transform-origin", "transform-box", "translate", "rotate", "scale"}
_UNSUPPORTED = {"offset-path", "offset", "zoom", "all", "content-visibility"}
_VISIBILITY = {"display", "visibility", "opacity"}
_PAINTED = {"fill", "stroke", "fill-opacity", "stroke-opacity", "stroke-width", "color"}
_FONT = {"font-size", "font"}
_CUTS = {"clip-path", "clip-rule", "fill-rule", "mask", "mask-image", "mask-type", "overflow"}
_ANIMATED = {"animation", "animation-name"}
RELEVANT = _GEOMETRY | _TRANSFORMS | _UNSUPPORTED | _VISIBILITY | _PAINTED | _FONT
RELEVANT |= _ANIMATED | _CUTS

# Presentation attributes; those of the geometry apply to some elements only.
_ATTRIBUTES = _VISIBILITY | _PAINTED
_ATTRIBUTES |= {"transform", "transform-origin", "font-size"} | _CUTS - {"mask-image"}
_GEOMETRY_OF = {
    "svg": {"x", "y", "width", "height"},  # as attributes only: browsers ignore them in styles
    "rect": {"x", "y", "width", "height", "rx", "ry"},
    "use": {"x", "y", "width", "height"},
    "symbol": {"x", "y", "width", "height"},
    "circle": {"cx", "cy", "r"},
    "ellipse": {"cx", "cy", "rx", "ry"},
    "path": {"d"},
}
_CSS_WIDE = {"inherit", "initial", "unset", "revert", "revert-layer"}
_DISPLAYS = {
    "none", "inline", "block", "contents", "inline-block", "flex", "inline-flex", "grid",
    "flow-root", "inline-grid", "list-item", "run-in", "table", "inline-table", "table-row",
    "table-cell", "table-column", "table-caption", "table-row-group",
    "table-header-group", "table-footer-group", "table-column-group",
    "math", "ruby", "-webkit-box", "-webkit-inline-box", "flow",
}  # fmt: skip
_PROPERTY = re.compile(rf"(?<![-\w])(?:{'|'.join(sorted(RELEVANT - _FONT))})\s*:", re.IGNORECASE)
_HARMLESS = {
    "charset", "font-face", "page", "counter-style", "property", "font-feature-values",
    "color-profile", "font-palette-values", "view-transition", "viewport",
    "-ms-viewport", "position-try",
}  # fmt: skip


# Browsers take numbers without unit for these in style attributes and not in style sheets.
_STRICT = {"width", "height", "font-size"}
_TRIAL = Lengths(100.0, 100.0, plain=False)  # to see whether a value is valid


class Value(NamedTuple):
    """The winning value of a property: its tokens, and whether it stood in an attribute."""

    tokens: tuple[Token, ...]
    attribute: bool


class _Rule(NamedTuple):
    name: str
    tokens: tuple[Token, ...]
    important: bool


class Cascade:
    """The declarations of a document.

    Args:
        root: the outermost element.
        label: the file's name, for messages.

    Attributes:
        notes: one sentence for each thing that was left out.

    Raises:
        InputError: a relevant rule that cannot be evaluated.
    """

    def __init__(self, root: Element, label: str) -> None:
        self.label = label
        self.notes: list[str] = []
        self.servers = paint.servers(root)
        self._matcher = cssselect2.Matcher()
        self._has_rules = False
        self._moving: set[str] = set()
        for element in root.iter():
            if tag(element) == "style" and _is_css(element):
                sheet = tinycss2.parse_stylesheet(
                    "".join(element.itertext()), skip_comments=True, skip_whitespace=True
                )
                if self._medium(tokens(element.get("media", ""))):
                    self._add(sheet, {})
        self._matched = self._match(root) if self._has_rules else {}

    def declared(self, element: Element) -> dict[str, Value]:
        """The declarations of an element, by property; invalid ones are ignored."""
        found: dict[str, Value] = {}
        kind = tag(element)
        for name in element.attrib:
            if name in _ATTRIBUTES or name in _GEOMETRY_OF.get(kind, ()):
                value = self._attribute(name, element.attrib[name])
                if value and self._valid(name, value, attribute=True):
                    found[name] = Value(value, True)
        inline = list(self._rules(tinycss2.parse_blocks_contents(element.get("style", ""))))
        sheets = self._matched.get(element, [])
        for important in (False, True):
            for i, rule in enumerate((*sheets, *inline)):
                strict = rule.name in _STRICT and i < len(sheets) and _is_bare(rule.tokens)
                valid = not strict and self._valid(rule.name, rule.tokens)
                if rule.important == important and valid:
                    found[rule.name] = Value(rule.tokens, False)
        return found

    def animated(self, value: Value | None) -> str | None:
        """The name of an animation in the value that moves or hides its element, if any."""
        for token in value.tokens if value else ():
            name = getattr(token, "value", None)
            if token.type in ("ident", "string") and name in self._moving:
                return str(name)
        return None

    def _attribute(self, name: str, value: str) -> tuple[Token, ...]:
        if name == "d":  # its own language, which shapes.py reads
            return (tinycss2.ast.StringToken(1, 1, value, f'"{value}"'),)
        return tokens(value)

    def _valid(self, name: str, value: Sequence[Token], attribute: bool = False) -> bool:
        """Whether a browser accepts the declaration; values evaluated later are accepted here."""
        word = keyword(value)
        if word in _CSS_WIDE or _has_variable(value):
            return True
        if name == "display":
            names = [token.lower_value for token in value if token.type == "ident"]
            return bool(names) and set(names) <= _DISPLAYS
        if name == "visibility":
            return word in ("visible", "hidden", "collapse")
        if name in ("fill", "stroke"):
            return paint.read(value, self.servers) is not None
        if name == "overflow":
            names = [getattr(token, "lower_value", "") for token in words(value)]
            return bool(names) and set(names) <= {"visible", "hidden", "scroll", "auto", "clip"}
        if name == "color":
            return paint.colour(value) is not None
        if name in ("opacity", "fill-opacity", "stroke-opacity"):
            return len(value) == 1 and value[0].type in ("number", "percentage", "function")
        if name == "stroke-width":
            kinds = ("number", "percentage", "dimension", "function")
            return len(value) == 1 and value[0].type in kinds and getattr(value[0], "value", 1) >= 0
        if name == "transform-origin":
            return _is_origin(value, attribute)
        if name == "d" and not attribute:
            return word == "none" or _is_path(value)
        if attribute:  # there an unreadable value is refused by name, not ignored
            return True
        try:
            if name in _GEOMETRY - {"d"} and word != "auto":
                least = -math.inf if name in ("x", "y", "cx", "cy") else 0.0
                return length(value, "x", _TRIAL._replace(plain=True)) >= least
            if name == "transform":
                transforms.of_list(value, False, _TRIAL)
        except InvalidValueError:
            return False
        except CannotEvaluateError:
            return True  # valid, and refused by name where it is used
        return True

    def _rules(self, nodes: Sequence[Any]) -> Iterator[_Rule]:
        """The relevant declarations of a block."""
        for node in nodes:
            if node.type == "declaration":
                custom = node.name.startswith("--")
                name = node.name if custom else node.lower_name
                name = name.removeprefix("-webkit-")
                if custom or name in RELEVANT:
                    yield _Rule(name, strip(node.value), node.important)
            elif node.type in ("qualified-rule", "at-rule") and _is_relevant(node):
                raise InputError(
                    f"{self.label} has a nested style rule ({text(node.prelude)}), which is not "
                    "read; write it as a rule of its own."
                )

    def _add(self, nodes: Sequence[Any], namespaces: dict[str | None, str]) -> None:
        """Add the rules of a style sheet, or of a block in it whose condition holds."""
        for node in nodes:
            if node.type == "qualified-rule":
                rules = list(self._rules(tinycss2.parse_blocks_contents(node.content)))
                if rules:
                    self._add_rule(node, rules, namespaces)
            elif node.type == "at-rule":
                self._add_at_rule(node, namespaces)

    def _add_rule(
        self, node: Any, rules: list[_Rule], namespaces: Mapping[str | None, str]
    ) -> None:
        try:
            selectors = cssselect2.compile_selector_list(node.prelude, namespaces)
        except cssselect2.SelectorError as error:
            raise InputError(
                f"{self.label} has a style rule for {text(node.prelude)!r}, which cannot be read "
                f"({error}); save it as plain SVG."
            ) from error
        self._has_rules = True
        for selector in selectors:
            if selector.pseudo_element is None:
                self._matcher.add_selector(selector, rules)

    def _add_at_rule(self, node: Any, namespaces: dict[str | None, str]) -> None:
        name = node.lower_at_keyword
        if name == "namespace":
            parts = [t for t in node.prelude if t.type in ("ident", "string", "url", "function")]
            if parts:
                url = parts[-1]
                if url.type == "function":
                    url = next((t for t in url.arguments if t.type == "string"), url)
                prefix = parts[0].value if parts[0].type == "ident" else None
                namespaces[prefix] = getattr(url, "value", "")
        elif name == "import":
            self.notes.append(f"an imported style sheet is not read (@import {text(node.prelude)})")
        elif name.endswith("keyframes"):
            if node.content is not None and _is_relevant(node):
                self._moving |= {t.value for t in node.prelude if t.type in ("ident", "string")}
        elif name not in _HARMLESS and node.content is not None and _is_relevant(node):
            holds = self._medium(node.prelude) if name == "media" else self._unknown(node)
            if holds:
                inner = tinycss2.parse_rule_list(
                    node.content, skip_comments=True, skip_whitespace=True
                )
                self._add(inner, namespaces)

    def _unknown(self, node: Any) -> bool:
        raise InputError(
            f"{self.label} has style rules under @{node.lower_at_keyword} {text(node.prelude)}, "
            "which is not evaluated; save it as plain SVG."
        )

    def _medium(self, query: Sequence[Token]) -> bool:
        """Whether a media query holds for a light screen."""
        written = " ".join(tinycss2.serialize(list(query)).lower().split())
        return any(self._one_medium(part.strip(), written) for part in written.split(","))

    def _one_medium(self, part: str, written: str) -> bool:
        if part in ("", "all", "screen", "only screen", "only all"):
            return True
        if re.fullmatch(r"(only )?(?!not\b)[a-z]+( and .*)?", part):
            kind = part.removeprefix("only ").split()[0]
            if kind not in ("all", "screen"):
                return False
            part = part.partition(" and ")[2]
        if re.fullmatch(r"not (all|screen)", part):
            return False
        if re.fullmatch(r"not [a-z]+", part):
            return True
        scheme = re.fullmatch(r"\( ?prefers-color-scheme ?: ?(light|dark) ?\)", part)
        if scheme is None:
            raise InputError(
                f"{self.label} has styles for the media {written!r}, which is not evaluated; save "
                "it as plain SVG."
            )
        return scheme[1] == "light"

    def _match(self, root: Element) -> dict[Element, list[_Rule]]:
        """For each element the declarations of the rules that match it, in rising precedence."""
        matched = {}
        try:
            for wrapper in cssselect2.ElementWrapper.from_xml_root(root).iter_subtree():
                found = [
                    rule
                    for _, _, pseudo, rules in self._sorted(wrapper)
                    if pseudo is None
                    for rule in rules
                ]
                if found:
                    matched[wrapper.etree_element] = found
        except RecursionError as error:
            raise InputError(f"{self.label} is nested too deeply for its style rules.") from error
        return matched

    def _sorted(self, wrapper: Any) -> list[Any]:
        return list(self._matcher.match(wrapper))


def _is_css(element: Element) -> bool:
    known = namespace(element) in ("", SVG, "http://www.w3.org/1999/xhtml")
    return known and element.get("type", "").strip().lower() in ("", "text/css")


def _is_relevant(node: Any) -> bool:
    """Whether a block sets a relevant property."""
    return bool(_PROPERTY.search(tinycss2.serialize(node.content or [])))


def _is_bare(value: Sequence[Token]) -> bool:
    return len(value) == 1 and value[0].type == "number" and value[0].value != 0


def _is_path(value: Sequence[Token]) -> bool:
    """Whether a value is ``path("...")`` with path data that can be read to its end."""
    parts = words(value)
    if len(parts) != 1 or parts[0].type != "function" or parts[0].lower_name != "path":
        return False
    inner = words(parts[0].arguments)
    if len(inner) != 1 or inner[0].type != "string":
        return False
    try:
        pathdata.commands(inner[0].value)
    except pathdata.PathDataError:
        return False
    return True


def _is_origin(value: Sequence[Token], attribute: bool) -> bool:
    """Whether the words of a ``transform-origin`` stand where they may."""
    if not attribute and any(token.type == "number" and token.value != 0 for token in value):
        return False
    kinds = [getattr(token, "lower_value", "") for token in words(value)[:2]]
    known = {"left", "right", "top", "bottom", "center", ""}
    if not set(kinds) <= known:
        return False
    if len(kinds) == 2 and "" in kinds:
        return kinds[0] not in ("top", "bottom") and kinds[1] not in ("left", "right")
    across = [kind for kind in kinds if kind in ("left", "right")]
    return len(kinds) < 2 or (len(across) < 2 and not set(kinds) <= {"top", "bottom"})


def _has_variable(values: Sequence[Token]) -> bool:
    for value in values:
        if value.type == "function" and (
            value.lower_name in ("var", "env") or _has_variable(value.arguments)
        ):
            return True
    return False
