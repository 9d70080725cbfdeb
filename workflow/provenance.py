"""A Sphinx extension: every figure of an executed chapter says where it comes from.

The caption ends with the trained models and results that the figure was drawn from, where the
figure says so (thesis/companion.py), else with the chapter's parameters; then with profile,
device and the library's commit, as the executed notebook records them (workflow/execute.py), and
with a link to the code that drew the figure. No chapter types any of it.
"""

from __future__ import annotations

import ast
import hashlib
import json
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes

CLASS = "provenance"


def parameters(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a notebook's parameters: its own, then those the build injected.

    Values that are not literals are left out.
    """
    found: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if {"parameters", "injected-parameters"}.isdisjoint(cell["metadata"].get("tags", ())):
            continue
        for statement in ast.parse("".join(cell["source"])).body:
            if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
                continue
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            try:
                value = ast.literal_eval(statement.value)
            except ValueError:
                continue
            found.update({name.id: value for name in targets if isinstance(name, ast.Name)})
    return found


SHOWN = 4  # models named in a caption; more are counted


def describe(
    record: Mapping[str, Any], values: Mapping[str, Any], sources: Mapping[str, str] | None = None
) -> str:
    """Return in one line what a chapter's figures were drawn from.

    Args:
        record: what workflow/execute.py notes in a notebook's metadata.
        values: the chapter's parameters.
        sources: what the figure itself was drawn from, with the digest of each; empty for a figure
            that says that it needs none, None for one that says nothing.
    """
    if sources is not None:
        named = [f"{name} ({digest[:8]})" for name, digest in sources.items()]
        left = len(named) - SHOWN
        more = [f"{left} more model{'s' if left > 1 else ''}"] if left > 0 else []
        parts = ["drawn from " + "; ".join(named[:SHOWN] + more)] if named else []
    else:
        rest = {key: value for key, value in values.items() if key not in ("device", "profile")}
        # Data and seed first, whatever the order in the chapter.
        first = [key for key in ("dataset", "datasets", "seed", "seeds") if key in rest]
        parts = [
            f"{key.replace('dataset', 'data set')} {_plain(rest[key])}"
            for key in (*first, *(key for key in rest if key not in first))
        ]
    device = values.get("device", "auto")
    where = "" if device == "auto" else f" on {device}"
    commit, _, changed = (record.get("commit") or "unknown").partition("-")
    local = " with local changes" if changed else ""
    parts += [f"profile {record['profile']}{where}", f"commit {commit}{local}"]
    line = ", ".join(parts)
    return f"{line[0].upper()}{line[1:]}."


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    if isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in value.items())
    return str(value)


def _drawn_by(notebook: Mapping[str, Any]) -> dict[str, int]:
    """Map the name that MyST-NB gives to a picture's file, its digest, to the cell's number."""
    found: dict[str, int] = {}
    for number, cell in enumerate(notebook["cells"]):
        for output in cell.get("outputs", ()):
            for kind, data in output.get("data", {}).items():
                if kind.startswith("image/"):
                    text = "".join(data)
                    content = text.encode() if kind == "image/svg+xml" else b64decode(text)
                    found.setdefault(hashlib.sha256(content).hexdigest(), number)
    return found


def _sources(cell: Mapping[str, Any]) -> Mapping[str, str] | None:
    """What the figures of a cell were drawn from, as they say themselves; None if none says it."""
    told = [output.get("metadata", {}).get("ebmlib", {}) for output in cell.get("outputs", ())]
    found = [about["from"] for about in told if "from" in about]
    return {name: each[name] for each in found for name in each} if found else None


def executed(app: Any) -> dict[str, Any] | None:
    """Return the notebook of the page that Sphinx reads; None if it is none that was executed."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return None
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook if "ebmlib" in notebook["metadata"] else None  # a draft's chapter has none


def add(app: Any, document: nodes.document) -> None:
    """Append its provenance to every figure of a page that is an executed notebook."""
    notebook = executed(app)
    if notebook is None:
        return
    page, record, values = app.env.docname, notebook["metadata"]["ebmlib"], parameters(notebook)
    drawn_by = _drawn_by(notebook)
    cells = {
        cell["cell_index"]: cell
        for cell in document.findall(nodes.container)
        if cell.get("nb_element") == "cell_code"
    }
    for figure in list(document.findall(nodes.figure)):
        images = list(figure.findall(nodes.image))
        numbers = [drawn_by.get(PurePosixPath(image["uri"]).stem) for image in images]
        number = next((number for number in numbers if number is not None), None)
        code = cells.get(number) if number is not None else None
        sources = _sources(notebook["cells"][number]) if number is not None else None
        line = describe(record, values, sources)
        target = _anchor(code, page) if code is not None else ""
        name = "The code that drew it" if target else "The notebook that drew it"
        target = target or "../" * page.count("/") + f"_sources/{page}.ipynb"
        link = nodes.reference("", name, refuri=target, internal=True)
        text = nodes.paragraph("", f"{line} ", link, nodes.Text("."))
        legend = next(iter(figure.findall(nodes.legend)), None)
        if legend is None:
            legend = nodes.legend()
            figure += legend
        legend += nodes.container("", text, classes=[CLASS])


def _anchor(cell: nodes.container, page: str) -> str:
    """Return the address on the page of a cell's code, or nothing where the page hides it."""
    parts = cell.findall(nodes.container)
    shown = next((part for part in parts if part.get("nb_element") == "cell_code_source"), None)
    if shown is None:
        return ""
    # Unique in the whole book, for the edition in one page.
    name = nodes.make_id(f"code-{page}-{cell['cell_index']}")
    if name not in shown["ids"]:
        shown["ids"].append(name)
    return f"#{name}"


def setup(app: Any) -> dict[str, bool]:
    """Add provenance as soon as a page has been read."""
    app.connect("doctree-read", add)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
