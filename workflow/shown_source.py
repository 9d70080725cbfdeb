"""A Sphinx extension: the source of every figure, study and rule, on demand, in the page.

Below a figure of the thesis a closed box holds the function that draws it and the measures of the
studies that it shows; below a verdict another one holds the function that judges. The code is that
of the book's own commit, highlighted, with a link to the whole file, which the book carries along.
"""

from __future__ import annotations

import inspect
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes

from workflow.paths import ROOT
from workflow.provenance import executed, parameters

FILES = "_code"
"""Folder of the built book that holds the files which boxes link to."""

PANEL = re.compile(r"\bpanels\.(\w+)\(")
"""A picture of the laboratory (``thesis.figures.laboratory``)."""

VERDICT = re.compile(r"\.verdict\((?:\"([A-Z]\d\d)\"|(\w+))\)")

Function = Callable[..., Any]


def of_figure(name: str) -> dict[str, Function]:
    """The functions behind a figure: what each does -> it."""
    from thesis import figures

    known = figures.get(name)
    return {f"draws Figure {known.name}": known.draw, **_measures(known.studies)}


def of_verdict(id: str) -> dict[str, Function]:
    """The functions behind a verdict: the rule, and the measures that it judges."""
    from thesis import claims

    known = claims.get(id)
    return {f"judges claim {id}": known.judge, **_measures(known.studies)}


def _measures(names: Iterable[str]) -> dict[str, Function]:
    from thesis import studies

    return {f"measures the study {name}": studies.study(name).measure for name in names}


def plain(function: Function) -> Function:
    """The function itself, without what was bound to it or wrapped around it."""
    while isinstance(function, partial):
        function = function.func
    return inspect.unwrap(function)


def with_helpers(function: Function) -> list[Function]:
    """A function and those of its own module that it calls, the ones that these call, and so on."""
    found, waiting = [], [plain(function)]
    while waiting:
        known = waiting.pop(0)
        if known in found:
            continue
        found.append(known)
        called = (known.__globals__.get(name) for name in known.__code__.co_names)
        own = (each for each in called if inspect.isfunction(each))
        waiting += [each for each in own if each.__module__ == known.__module__]
    return found


def source_of(function: Function) -> tuple[str, str, int]:
    """Text of a function and its helpers, its file relative to the project, and its first line."""
    texts = [inspect.getsource(each).rstrip() for each in with_helpers(function)]
    function = plain(function)
    path = Path(inspect.getsourcefile(function) or "").resolve().relative_to(ROOT)
    return "\n\n\n".join(texts) + "\n", path.as_posix(), inspect.getsourcelines(function)[1]


def asked_for(cell: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Function]:
    """The functions behind what a cell shows; empty for a cell that shows neither."""
    text = "".join(cell["source"])
    found: dict[str, Function] = {}
    if panels := PANEL.findall(text):
        from thesis.figures import laboratory

        found |= {
            f"draws the picture of {name.replace('_', ' ')}": getattr(laboratory, name)
            for name in panels
        }
    for output in cell.get("outputs", []):
        name = output.get("metadata", {}).get("ebmlib", {}).get("figure")
        found |= of_figure(name) if name else {}
    if "remove-cell" not in cell["metadata"].get("tags", []):
        for literal, variable in VERDICT.findall(text):
            id = literal or values.get(variable)
            found |= of_verdict(id) if isinstance(id, str) else {}
    return found


def add(app: Any, document: nodes.document) -> None:
    """Add the boxes of a page that is an executed notebook."""
    notebook = executed(app)
    if notebook is None:
        return
    page, values = app.env.docname, parameters(notebook)
    shown: set[str] = set()  # a function stands on a page once
    cells = [c for c in document.findall(nodes.container) if c.get("nb_element") == "cell_code"]
    for node in cells:
        cell = notebook["cells"][node["cell_index"]]
        for what, function in asked_for(cell, values).items():
            if what in shown:
                continue
            shown.add(what)
            node += box(what, function, "../" * page.count("/"))


def box(what: str, function: Function, top: str) -> list[nodes.Node]:
    """A closed box with the source of a function.

    Args:
        what: what the function does, for the box's line.
        function: it.
        top: the way from the page to the book's first folder.
    """
    text, path, line = source_of(function)
    place = f"{top}{FILES}/{path}.txt"
    title = f"What {what}: <code>{escape(path)}</code>, line {line}"
    whole = f'<p>The whole file: <a href="{escape(place)}">{escape(path)}</a>.</p>'
    block = nodes.literal_block(text, text, language="python")
    return [
        nodes.raw("", f'<details class="ebmlib-source"><summary>{title}</summary>', format="html"),
        block,
        nodes.raw("", f"{whole}</details>", format="html"),
    ]


def copy_files(app: Any, error: Exception | None) -> None:
    """Put the files that boxes link to into the built book."""
    if error is not None:
        return
    out = Path(app.outdir)
    linked = re.compile(rf'href="(?:\.\./)*{FILES}/([\w/.]+)\.txt"')
    texts = (page.read_text(encoding="utf-8") for page in out.rglob("*.html"))
    names = {name for text in texts for name in linked.findall(text)}
    for name in sorted(names):
        target = out / FILES / f"{name}.txt"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, target)


def setup(app: Any) -> dict[str, bool]:
    """Add the boxes as soon as a page has been read, and the files at the end."""
    app.connect("doctree-read", add)
    app.connect("build-finished", copy_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
