"""The digest of the code that a number runs through: every module of the project, transitively.

From the modules given it follows all imports inside the project, those in functions and those by
``importlib.import_module("name")`` included; a name that a package loads when it is asked for is
followed through the package's ``.pyi`` to the module that has it. A file that a module names as a
string and that lies beside it (``walk.c``) belongs to the module.

What does not enter, and why:

- comments, docstrings, layout, and what stands under ``if TYPE_CHECKING``: nothing runs there;
- the ``__init__`` of a package of which only a module is imported: it makes names available;
- :data:`EXCLUDED`, each with its reason.

The text of error messages is code like any other.

A module is digested as a syntax tree in a spelling of our own, which all Pythons from 3.11 agree on
(``ast.dump`` changes between them). Only the standard library is needed.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ebmlib.errors import InputError

EXCLUDED = {
    "ebmlib.progress": "tells a terminal how far a job is",
    "ebmlib.terminal": "turns errors into an exit status",
    "ebmlib.cli": "the library's commands",
    "ebmlib.figures": "draws what was measured",
    "ebmlib.widgets": "draws what was measured",
    "ebmlib._moved": "old names of modules",
    "ebmlib.training.presets": "makes configurations, which stand in a study's digest themselves",
    "thesis.conditions": "makes configurations, which stand in a study's digest themselves",
    "thesis.code": "makes digests",
    "thesis.provenance": "says what results belong to",
}
"""Module or package -> why no measured number runs through it."""


def canonical(source: str) -> str:
    """A module's code as JSON, the same from every Python from 3.11 on.

    A node is its class name followed by its fields in the order of their names, without positions,
    contexts and whatever is empty. String statements (docstrings) are left out.
    """
    return _spelled(ast.parse(source))


def _spelled(tree: ast.Module) -> str:
    return json.dumps(_node(tree), separators=(",", ":"))


def _node(node: Any) -> Any:
    if isinstance(node, ast.JoinedStr):
        return ["JoinedStr", _f_string(node)]
    if isinstance(node, ast.Constant):
        return [type(node.value).__name__, repr(node.value)]
    if isinstance(node, ast.AST):
        spelled: list[Any] = [type(node).__name__]
        for name in sorted(node._fields):
            value = getattr(node, name, None)
            if isinstance(value, list):
                value = [_node(each) for each in value if not _idle(each)]
            elif isinstance(value, (ast.expr_context, type(None))):
                continue
            else:
                value = _node(value)
            if value != [] and name not in ("type_comment", "kind"):
                spelled += [name, value]
        return spelled
    return node  # a name, a number or None, as in the keys of {**other}


def _f_string(node: ast.JoinedStr) -> list[Any]:
    """The parts of an f-string; neighbouring texts are one, which parsers divide differently."""
    parts: list[Any] = []
    for value in node.values:
        if not isinstance(value, ast.Constant):
            parts.append(_node(value))
        elif value.value:
            joins = bool(parts) and isinstance(parts[-1], str)
            parts[-1:] = [parts[-1] + value.value] if joins else [*parts[-1:], value.value]
    return parts


def _idle(node: Any) -> bool:
    """A statement that does nothing: a string, or an import for types alone."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and (
        node.test.id == "TYPE_CHECKING"
    )  # fmt: skip


@dataclass(frozen=True)
class Module:
    """What is read from one source file.

    Attributes:
        name: in full.
        path: the file.
        is_package: the file is a package's ``__init__.py``.
    """

    name: str
    path: Path
    is_package: bool

    @cached_property
    def source(self) -> str:
        """Its text."""
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.source)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its code and of the files that it names."""
        found = {"code": _spelled(self.tree)}
        for path in self.files():
            found[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        return _digest(found)

    def files(self) -> list[Path]:
        """The files beside it whose names it has as strings."""
        strings = (node.value for node in _walk(self.tree) if isinstance(node, ast.Constant))
        named = {text for text in strings if isinstance(text, str) and _is_file_name(text)}
        beside = (self.path.with_name(text) for text in sorted(named))
        return [path for path in beside if path.is_file()]

    @cached_property
    def reexported(self) -> dict[str, str]:
        """Name -> full name of what the package's stub says it loads when asked."""
        stub = self.path.with_suffix(".pyi")
        if not self.is_package or not stub.is_file():
            return {}
        tree = ast.parse(stub.read_text(encoding="utf-8"))
        return {
            alias.asname or alias.name: f"{self._base(node)}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }

    def imported(self) -> Iterator[str]:
        """Full names of everything that it imports."""
        for node in _walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (f"{self._base(node)}.{alias.name}" for alias in node.names)
            elif isinstance(node, ast.Call):
                if name := _asked_for(node):
                    yield name
                if self.is_package and _called(node) == "iter_modules":
                    yield from (f"{self.name}.{path.stem}" for path in self._beside())

    def _beside(self) -> list[Path]:
        return [path for path in sorted(self.path.parent.glob("*.py")) if path != self.path]

    def _base(self, node: ast.ImportFrom) -> str:
        """What ``from ... import`` of this module imports from."""
        parts = self.name.split(".")
        parts = parts[: len(parts) - node.level + self.is_package] if node.level else []
        return ".".join([*parts, node.module] if node.module else parts)


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those that only a type checker sees."""
    for child in ast.iter_child_nodes(tree):
        if not _idle(child):
            yield child
            yield from _walk(child)


def _asked_for(call: ast.Call) -> str:
    """The module that ``importlib.import_module("name")`` imports, if the name is a constant."""
    if call.args and _called(call) == "import_module":
        name = call.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            return name.value
    return ""


def _called(call: ast.Call) -> str:
    """The last part of the name that is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _is_file_name(text: str) -> bool:
    stem, dot, suffix = text.rpartition(".")
    return bool(dot and stem) and suffix.isalnum() and "/" not in text and len(text) < 80


def _digest(data: Any) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Project:
    """The packages whose imports are followed.

    Attributes:
        packages: folders of the packages, by name.
        excluded: modules and packages that do not enter.
    """

    packages: dict[str, Path]
    excluded: Iterable[str] = field(default_factory=lambda: tuple(EXCLUDED))

    @cached_property
    def _modules(self) -> dict[str, Module]:
        found = {}
        for package, folder in self.packages.items():
            for path in sorted(folder.rglob("*.py")):
                parts = [package, *path.relative_to(folder).with_suffix("").parts]
                is_package = parts[-1] == "__init__"
                name = ".".join(parts[:-1] if is_package else parts)
                found[name] = Module(name, path, is_package)
        return found

    def modules(self, roots: Iterable[str]) -> list[str]:
        """The modules given and all that they import, transitively, by name.

        Raises:
            InputError: a module given is not one of the project.
        """
        found: set[str] = set()
        waiting = sorted(roots)
        for name in waiting:
            if name not in self._modules:
                raise InputError(
                    f"Measured code must be in {' or '.join(self.packages)}, got module {name}; "
                    "put it there, so that the digest of its results covers it."
                )
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self._imports(name)
        return sorted(found)

    def digest(self, roots: Iterable[str]) -> str:
        """SHA-256 (hex) of the code of the modules given and of all that they import."""
        return _digest({name: self._modules[name].digest for name in self.modules(roots)})

    def _imports(self, name: str) -> list[str]:
        made = self._resolved.get(name)
        if made is None:
            found = (self._resolve(target) for target in self._modules[name].imported())
            made = sorted({each for names in found for each in names if self._enters(each)})
            self._resolved[name] = made
        return made

    @cached_property
    def _resolved(self) -> dict[str, list[str]]:
        return {}

    def _enters(self, name: str) -> bool:
        parts = name.split(".")
        above = {".".join(parts[: k + 1]) for k in range(len(parts))}
        return name in self._modules and not above & set(self.excluded)

    def _resolve(self, target: str) -> list[str]:
        """The modules that an imported name stands for; none outside the project."""
        if target.split(".")[0] not in self.packages:
            return []
        if target in self._modules:
            whole = self._modules[target]
            loads = [name for full in whole.reexported.values() for name in self._resolve(full)]
            return [target, *loads]
        head, _, last = target.rpartition(".")
        if head in self._modules and last in self._modules[head].reexported:
            return self._resolve(self._modules[head].reexported[last])
        return self._resolve(head) if head not in self._modules else [head]


@cache
def project() -> Project:
    """The library and the thesis, where they are installed."""
    folders = {"thesis": Path(__file__).resolve().parent}
    spec = find_spec("ebmlib")
    assert spec is not None and spec.origin is not None
    folders["ebmlib"] = Path(spec.origin).resolve().parent
    return Project(folders)


def digest(roots: Iterable[str]) -> str:
    """SHA-256 (hex) of the project's code that the modules of these names run through."""
    return project().digest(roots)
