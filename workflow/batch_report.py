"""What a batch leaves beside its notebooks: numbers.csv, numbers.json, pages and index.html.

``python -m workflow.batch_report NAME`` makes the pages; the front end starts it, with a log.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import html
import io
import json
import math
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow import chapters
from workflow.batch import BATCHES, write_if_changed
from workflow.paths import BOOK, ROOT, VENDOR, WorkflowError, progress_file
from workflow.progress import Progress

PAGES_UP_TO = 200
"""A larger batch is not rendered: its table leads to the notebooks."""

PICTURE = "batch-picture"
"""Tag of the cell whose picture stands in the table; without it the last picture does."""

PICTURE_WIDTH = 240
_TEMPLATE = Path(__file__).with_name("batch.html")


@dataclass(frozen=True)
class Report:
    """How many runs are there, and where the table is, relative to the project."""

    done: int
    index: Path


def make(name: str) -> Report:
    """Write all that a batch's folder shows; pages only if a notebook has changed."""
    place = BATCHES / name
    described = json.loads((place / "runs.json").read_text(encoding="utf-8"))
    rows = [row_of(name, number, run["given"]) for number, run in described["runs"].items()]
    write_numbers(place, rows)
    done = [row["run"] for row in rows if row["status"] == "done"]
    stamp = place / ".pages"
    now = _digest(place, done)
    if not stamp.is_file() or stamp.read_text() != now:
        stamp.unlink(missing_ok=True)
        for number in done:
            picture(place, number)
        if _render(name, place, done):
            stamp.write_text(now)
    write_index(name, described, rows)
    return Report(len(done), (place / "index.html").relative_to(ROOT))


def row_of(name: str, number: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """One row of the table: parameters, what became of the run and why, numbers.

    Returns:
        ``run``, ``given``, ``status`` (done, failed or not executed), ``reason``, ``seconds`` and
        ``numbers``.
    """
    row: dict[str, Any] = {
        "run": number,
        "given": dict(given),
        "status": "not executed",
        "reason": "",
    }
    row |= {"seconds": None, "numbers": {}}
    told = Progress(progress_file(f"batch/{name}", f"run.{number}"))
    told.read()
    record = BATCHES / name / "runs" / f"{number}.json"
    if record.is_file():
        found = json.loads(record.read_text(encoding="utf-8"))
        row |= {"status": "done", "seconds": found["seconds"], "numbers": found["numbers"]}
    elif told.started is not None:
        reason = told.reason if told.ended else "it was killed, or memory ran out"
        row |= {"status": "failed", "seconds": told.seconds, "reason": reason}
    return row


def write_numbers(place: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write numbers.csv and numbers.json, parameters in front."""
    given = list(dict.fromkeys(name for row in rows for name in row["given"]))
    found = list(dict.fromkeys(name for row in rows for name in row["numbers"]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    # A number that is called like a parameter is told from it.
    named = [f"{name} (recorded)" if name in given else name for name in found]
    writer.writerow(["run", *given, "status", "reason", "seconds", *named])
    for row in rows:
        values = [row["given"].get(name) for name in given]
        numbers = [row["numbers"].get(name) for name in found]
        writer.writerow([row["run"], *values, row["status"], row["reason"], row["seconds"],
                         *numbers])  # fmt: skip
    write_if_changed(place / "numbers.csv", text.getvalue().encode())
    content = json.dumps(_finite(list(rows)), indent=1, allow_nan=False)
    write_if_changed(place / "numbers.json", content.encode())


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become words."""
    if isinstance(value, Mapping):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _digest(place: Path, done: Sequence[str]) -> str:
    told = hashlib.sha256(_TEMPLATE.read_bytes() + Path(__file__).read_bytes())
    for number in done:
        told.update((place / "notebooks" / f"{number}.ipynb").read_bytes())
    return told.hexdigest()


def picture(place: Path, number: str) -> None:
    """Keep a small copy of the run's picture, if its notebook has one."""
    from PIL import Image

    notebook = json.loads((place / "notebooks" / f"{number}.ipynb").read_text(encoding="utf-8"))
    tagged = [c for c in notebook["cells"] if PICTURE in c["metadata"].get("tags", [])]
    for cell in reversed(tagged or notebook["cells"]):
        for output in reversed(cell.get("outputs", [])):
            content = output.get("data", {}).get("image/png")
            if content is None:
                continue
            with Image.open(io.BytesIO(base64.b64decode("".join(content)))) as whole:
                image = whole.convert("RGB")
                image.thumbnail((PICTURE_WIDTH, 2 * PICTURE_WIDTH))
                small = io.BytesIO()
                image.save(small, "PNG", optimize=True)
            write_if_changed(place / "pictures" / f"{number}.png", small.getvalue())
            return


# --- pages ---------------------------------------------------------------------------------------


def _render(name: str, place: Path, done: Sequence[str]) -> bool:
    """Render the pages in a process whose log is kept; tell whether they are there."""
    if not done or len(done) > PAGES_UP_TO:
        return True
    print(f"Rendering {len(done)} pages.", flush=True)
    log = place / "logs" / "pages.log"
    command = [sys.executable, "-m", "workflow.batch_report", name]
    with log.open("w") as file:
        code = subprocess.run(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT).returncode
    if code:
        where = log.relative_to(ROOT)
        print(f"The pages could not be rendered (log: {where}); the table is complete.")
    return code == 0


def page_of(chapter: chapters.Chapter, number: str) -> str:
    """The page of a run, relative to the folder of pages, no suffix."""
    return f"{chapter.page}-{number}"


def render_pages(name: str) -> None:
    """Render every executed notebook of a batch as a page of build/batch/NAME/html.

    Raises:
        WorkflowError: rendering failed.
    """
    import nbformat

    from workflow.book import replace_folder, run_sphinx
    from workflow.slim import slim

    place = BATCHES / name
    described = json.loads((place / "runs.json").read_text(encoding="utf-8"))
    chapter = chapters.load()[described["chapter"]]
    source = place / ".src"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(BOOK / "assets", source / "book" / "assets")
    shutil.copy(BOOK / "references.bib", source / "book")
    if VENDOR.is_dir():
        shutil.copytree(VENDOR, source / "book" / "assets" / "vendor")
    (source / "front.md").write_text("# Runs\n", encoding="utf-8")
    toc = ["format: jb-book", "root: front", "chapters:"]
    for number, run in described["runs"].items():
        path = place / "notebooks" / f"{number}.ipynb"
        if not path.is_file():
            continue
        notebook = own_labels(nbformat.read(path, as_version=4), number)
        _say_which(notebook, name, number, run["given"])
        page = source / f"{page_of(chapter, number)}.ipynb"
        page.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, page)
        toc.append(f"  - file: {page_of(chapter, number)}")
    (source / "toc.yml").write_text("\n".join(toc) + "\n", encoding="utf-8")
    rendered = run_sphinx(source, source / "toc.yml", place / ".rendering")
    slim(rendered)
    replace_folder(rendered, place / "html")
    shutil.rmtree(place / ".rendering", ignore_errors=True)
    shutil.rmtree(source, ignore_errors=True)


_LABELS = re.compile(r"^\((\S+)\)=\s*$|^:(?:name|label): (\S+)\s*$", re.MULTILINE)


def own_labels(notebook: Any, number: str) -> Any:
    """Give a notebook's labels its number: several executions of one chapter are one book here."""
    labels = set()
    for cell in notebook.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        labels |= {figure["name"]} if "name" in figure else set()
        labels |= {first or second for first, second in _LABELS.findall(cell.source)}
    if not labels:
        return notebook
    longest_first = sorted(map(re.escape, labels), key=len, reverse=True)
    whole = re.compile(rf"(?<![\w-])({'|'.join(longest_first)})(?![\w-])")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = whole.sub(rf"\1-{number}", cell.source)
        elif "mystnb" in cell.metadata:
            told = whole.sub(rf"\1-{number}", json.dumps(cell.metadata["mystnb"]))
            cell.metadata["mystnb"] = json.loads(told)
    return notebook


def _say_which(notebook: Any, name: str, number: str, given: Mapping[str, Any]) -> None:
    """Say below the title which run this is, with a link back to the table."""
    values = ", ".join(f"{key} = {value}" for key, value in given.items())
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and cell.source.lstrip().startswith("# "):
            title, _, rest = cell.source.lstrip().partition("\n")
            cell.source = (
                f"{title}: run {number}\n\nRun {number} of the batch "
                f'<a href="../../index.html">{name}</a>: '
                f"{html.escape(values)}.\n{rest}"
            )
            return


# --- the table -----------------------------------------------------------------------------------


def write_index(name: str, described: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write index.html: everything in one file, but for the small pictures and the pages."""
    place = BATCHES / name
    chapter = chapters.load()[described["chapter"]]
    table = []
    for row in rows:
        page = f"html/{page_of(chapter, row['run'])}.html"
        small, book = f"pictures/{row['run']}.png", f"notebooks/{row['run']}.ipynb"
        log = f"logs/run.{row['run']}.log"
        links = {"page": page, "notebook": book, "picture": small, "log": log}
        there = {kind: path for kind, path in links.items() if (place / path).is_file()}
        table.append({**row, "links": there})
    data = {"name": name, "chapter": described["chapter"], "profile": described["profile"]}
    content = json.dumps(_finite(data | {"rows": table})).replace("<", "\\u003c")
    text = _TEMPLATE.read_text(encoding="utf-8")
    text = text.replace("<<title>>", html.escape(name)).replace("<<data>>", content)
    write_if_changed(place / "index.html", text.encode())


def main(arguments: list[str]) -> int:
    """Render the pages of a batch; return 0, or 1 with the reason as the last line."""
    try:
        render_pages(arguments[0])
    except (WorkflowError, OSError) as error:
        print(f"failed: {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
