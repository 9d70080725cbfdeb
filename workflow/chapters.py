"""Which chapters are executed, from which source, with which parameters.

book/chapters.toml is the only place that says so. A chapter is a named execution of a source: one
source may be executed several times with different parameters. Reading the list needs the standard
library only; reading a source's own parameters needs jupytext.
"""

from __future__ import annotations

import ast
import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workflow.paths import BOOK, CHAPTERS, PROFILES, ROOT, WorkflowError

_KEYS = {"source", "page", "needs", "models", "text", "fixed", "parameters", *PROFILES}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@dataclass(frozen=True)
class Chapter:
    """One execution of one source.

    Attributes:
        name: what ``--chapter`` takes, and the name of logs and notebooks.
        source: the MyST source, relative to the project.
        page: the page of the book, as _toc.yml names it (relative to the project, no suffix).
        parameters: values for the source's parameters cell, whatever the profile.
        by_profile: values that a profile adds or replaces.
        needs: chapters whose results this one reads; they are executed first.
        models: conditions whose models it shows; each is trained first, in a job of its own.
        text: what ``<<key>>`` in the source's prose and cell metadata stands for.
        fixed: parameters that make the page what it is, so that a batch may not set them.
    """

    name: str
    source: Path
    page: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    by_profile: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    text: Mapping[str, str] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChapterList:
    """All chapters by name, and what a profile gives to every source that declares it."""

    chapters: Mapping[str, Chapter]
    profiles: Mapping[str, Mapping[str, Any]]
    complete: bool = False  # the built book must hold the whole thesis
    long: tuple[str, ...] = ()  # conditions whose training takes longest

    def __getitem__(self, name: str) -> Chapter:
        """Return a chapter; raise WorkflowError with the names that exist."""
        try:
            return self.chapters[name]
        except KeyError:
            close = difflib.get_close_matches(name, self.chapters, n=1)
            known = f"the chapters are: {', '.join(self.chapters)}"
            hint = f"did you mean '{close[0]}'?" if close else known
            raise WorkflowError(f"there is no chapter '{name}'; {hint}") from None

    def __iter__(self) -> Any:
        """Iterate over the chapters in the order of the file."""
        return iter(self.chapters.values())

    def with_needs(self, names: list[str]) -> list[str]:
        """Return the named chapters and all that they need, needs first."""
        ordered: list[str] = []

        def visit(name: str, path: tuple[str, ...]) -> None:
            if name in path:
                raise WorkflowError(
                    f"{CHAPTERS.name}: chapters need each other in a circle: "
                    + " -> ".join((*path, name))
                )
            for need in self[name].needs:
                visit(need, (*path, name))
            if name not in ordered:
                ordered.append(name)

        for name in names:
            visit(name, ())
        return ordered

    def models(self, names: list[str]) -> list[str]:
        """Return the conditions that the named chapters show, each once."""
        return list(dict.fromkeys(model for name in names for model in self[name].models))

    def parameters(
        self, name: str, profile: str, device: str, seeds: int | None = None
    ) -> dict[str, Any]:
        """Return what papermill injects into a chapter: only names that its source declares.

        From weak to strong: the profile's values for everyone, the chapter's own, the chapter's
        for this profile, the command line.

        Raises:
            WorkflowError: a chapter sets a parameter that its source does not declare.
        """
        chapter = self[name]
        declared = declared_parameters(chapter.source)
        own = {**chapter.parameters, **chapter.by_profile.get(profile, {})}
        for key in own:
            if key not in declared:
                raise WorkflowError(
                    f"{CHAPTERS.name}: chapter '{name}' sets '{key}', which the parameters cell of "
                    f"{chapter.source} does not declare (it declares: {', '.join(declared)})"
                )
        given = {**self.profiles.get(profile, {}), **own, "profile": profile, "device": device}
        if seeds is not None:
            given["seeds"] = seeds
        return {key: given[key] for key in declared if key in given}


def load(path: Path = CHAPTERS) -> ChapterList:
    """Read chapters.toml.

    Raises:
        WorkflowError: the file is not valid, or a source does not exist.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise WorkflowError(f"cannot read the chapter list {path.name}: {error}") from None
    chapters: dict[str, Chapter] = {}
    for name, entry in table.get("chapter", {}).items():
        chapters[name] = _chapter(path.name, name, entry)
    profiles = table.get("profiles", {})
    if unknown := set(profiles) - set(PROFILES):
        raise WorkflowError(f"{path.name}: unknown profile '{unknown.pop()}'")
    chapter_list = ChapterList(
        chapters, profiles, bool(table.get("complete", False)), tuple(table.get("long", ()))
    )
    chapter_list.with_needs(list(chapters))
    return chapter_list


def _chapter(file: str, name: str, entry: Mapping[str, Any]) -> Chapter:
    if not _NAME.fullmatch(name) or name == "book":
        raise WorkflowError(
            f"{file}: '{name}' cannot name a chapter; use lower-case letters, digits and hyphens, "
            "and not 'book'"
        )
    if unknown := set(entry) - _KEYS:
        raise WorkflowError(
            f"{file}: chapter '{name}' has an unknown key '{unknown.pop()}'; "
            f"the keys are: {', '.join(sorted(_KEYS))}"
        )
    if "source" not in entry:
        raise WorkflowError(f"{file}: chapter '{name}' names no source")
    source = Path(entry["source"])
    if not (ROOT / source).is_file():
        raise WorkflowError(f"{file}: the source {source} of chapter '{name}' does not exist")
    return Chapter(
        name=name,
        source=source,
        page=entry.get("page", source.with_suffix("").as_posix()),
        parameters=entry.get("parameters", {}),
        by_profile={profile: entry[profile] for profile in PROFILES if profile in entry},
        needs=tuple(entry.get("needs", ())),
        models=tuple(entry.get("models", ())),
        text={key: str(value) for key, value in entry.get("text", {}).items()},
        fixed=tuple(entry.get("fixed", ())),
    )


def declared_parameters(source: Path) -> list[str]:
    """Return the names assigned in the cells tagged ``parameters`` of a source."""
    return list(parameter_defaults(source))


def parameter_defaults(source: Path) -> dict[str, Any]:
    """Return the parameters of a source with their defaults; None for what is no plain value."""
    import jupytext

    found: dict[str, Any] = {}
    for cell in jupytext.read(ROOT / source).cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", []):
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.Assign):
                    targets = node.targets
                elif isinstance(node, ast.AnnAssign):
                    targets = [node.target]
                else:
                    continue
                try:
                    value = ast.literal_eval(node.value or ast.Constant(None))
                except ValueError:
                    value = None
                found |= {target.id: value for target in targets if isinstance(target, ast.Name)}
    return found


def training_files() -> list[str]:
    """Return the files that decide what a model is trained to, relative to ROOT."""
    beside = ("figures", "widgets")
    return ["thesis/conditions.py", "thesis/drawings.py"] + [
        name
        for name in library_files()
        if not name.startswith("thesis/")
        and Path(name).parts[1] not in beside
        and not name.endswith((".js", ".mjs", ".css"))
    ]


def study_files() -> list[str]:
    """Return the files that decide what a study measures, beside the models, relative to ROOT."""
    studies = (ROOT / "thesis/studies").glob("*.py")
    named = sorted(path.relative_to(ROOT).as_posix() for path in studies)
    shared = ("code", "provenance", "runs", "study")
    return [*(f"thesis/{name}.py" for name in shared), *named]


def library_files() -> list[str]:
    """Return the files whose change makes an executed chapter out of date, relative to ROOT."""
    suffixes = {".py", ".c", ".js", ".mjs", ".css", ".mplstyle", ".json"}
    packages = (path for name in ("ebmlib", "thesis") for path in (ROOT / name).rglob("*"))
    library = (path for path in packages if path.suffix in suffixes)
    data = (ROOT / "data").glob("*.svg")
    return sorted(path.relative_to(ROOT).as_posix() for path in (*library, *data))


def benchmark_files() -> list[str]:
    """Return what benchmarks measured, relative to ROOT; pages show it, no model is made of it."""
    results = (ROOT / "benchmarks" / "results").glob("*.json")
    return sorted(path.relative_to(ROOT).as_posix() for path in results)


def book_files() -> list[str]:
    """Return every file that the rendered book is made from, beside the executed notebooks."""
    frontend = BOOK / "frontend"
    return sorted(
        path.relative_to(ROOT).as_posix()
        for path in BOOK.rglob("*")
        if path.is_file() and frontend not in path.parents and "__pycache__" not in path.parts
    )
