"""Render the book: ``python -m workflow.book --profile P [--draft] --done STAMP``.

Rendered aside and put in place by renaming, so that a book that fails to build leaves the last good
one where it was. Warnings are errors, except in a draft: a book in which chapters are missing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workflow import chapters, completeness, locks, progress, surroundings
from workflow.paths import (
    BUILD,
    CONFIG,
    FRONTEND,
    ROOT,
    TOC,
    WorkflowError,
    html,
    notebook,
    progress_file,
)
from workflow.slim import slim
from workflow.stage import stage

# What decides how the book looks, in workflow/.
_CODE = (
    *("book.py", "completeness.py", "stage.py", "slim.py", "slim.mjs"),
    *("references.py", "reference.py", "glossary.py", "provenance.py"),
)
_TROUBLE = re.compile(r"\b(WARNING|ERROR|CRITICAL)\b")


def inputs() -> list[str]:
    """Return what the book is made from, beside the executed notebooks, relative to ROOT."""
    code = (ROOT / "workflow" / name for name in _CODE)
    parts = [CONFIG, TOC, *code]
    stamp = FRONTEND / ".installed"
    data = sorted((ROOT / "data").glob("*.svg"))
    named = [path.relative_to(ROOT).as_posix() for path in (*parts, *data)]
    if stamp.exists():
        named.append(stamp.relative_to(ROOT).as_posix())
    return named + chapters.book_files()


def render(profile: str, draft: bool) -> None:
    """Stage and render a profile's book.

    Raises:
        WorkflowError: staging or rendering failed, or an equation is wrong; the log says more.
    """
    source = BUILD / profile / "src"
    missing = stage(profile, source, draft)
    aside = BUILD / profile / ".rendering"
    strict = [] if missing else ["-W", "--keep-going"]
    rendered = run_sphinx(source, TOC, aside, strict)
    if missing:
        print("not executed yet, shown without results: " + ", ".join(missing))
    elif chapters.load().complete:
        completeness.check(rendered)
    say_how_to_run(rendered)
    slim(rendered)
    complete_front_door(rendered / "index.html")
    replace_folder(rendered, html(profile))
    shutil.rmtree(aside, ignore_errors=True)


def run_sphinx(source: Path, toc: Path, aside: Path, options: Sequence[str] = ()) -> Path:
    """Render a staged tree in a folder of its own; return the folder of its HTML.

    Raises:
        WorkflowError: rendering failed; it says why, and the log says more.
    """
    shutil.rmtree(aside, ignore_errors=True)
    command = [
        *(sys.executable, "-c", locks.JUPYTER_BOOK, "build"),
        *(str(source), "--config", str(CONFIG), "--toc", str(toc), "--path-output", str(aside)),
        *("-n", *options),
    ]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", errors="replace", env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    trouble = []
    assert process.stdout is not None
    for line in process.stdout:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
        print(plain, end="", flush=True)
        if _TROUBLE.search(plain):
            trouble.append(plain.strip().replace(f"{source}{os.sep}", ""))
    rendered = aside / "_build" / "html"
    if process.wait() or not (rendered / "index.html").is_file():
        more = f" (and {len(trouble) - 1} more)" if len(trouble) > 1 else ""
        raise WorkflowError((trouble or ["jupyter-book failed"])[0] + more)
    return rendered


HOW_TO_RUN = """\
**To run this notebook** you need the project's folder. In a terminal there:

```bash
./run_all.sh setup                            # once: makes .venv
.venv/bin/python -m pip install -e '.[lab]'   # once: adds JupyterLab
.venv/bin/jupyter lab
```

Put this file into the folder and open it in JupyterLab. Models that a cell asks for are trained
once, which takes a minute or two each, and kept in `build/store`.
"""


def say_how_to_run(rendered: Path) -> None:
    """Begin every notebook that readers can download with a cell that says how to run it."""
    for path in sorted((rendered / "_sources").rglob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        first: dict[str, Any] = {
            "cell_type": "markdown", "id": "how-to-run", "metadata": {},
            "source": HOW_TO_RUN.splitlines(keepends=True),
        }  # fmt: skip
        notebook["cells"].insert(0, first)
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False), encoding="utf-8")


def complete_front_door(index: Path) -> None:
    """Make Jupyter Book's one-line redirect a whole page: with a title, a link and an icon.

    Without an icon of its own the browser asks for /favicon.ico, which is not there; the icon is
    empty, because a request under way when the browser goes on would count as failed.
    """
    found = re.search(r"url=([^\"]+)", index.read_text(encoding="utf-8"))
    if found:
        first = found[1]
        index.write_text(
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            "<title>Imitation learning with energy-based models</title>"
            '<link rel="icon" href="data:,">'
            f'<meta http-equiv="refresh" content="0; url={first}"></head>'
            f'<body><a href="{first}">Read the book</a></body></html>\n',
            encoding="utf-8",
        )


def replace_folder(new: Path, place: Path) -> None:
    """Put a folder in another's place; a kill in between leaves the old one as ``<place>.old``."""
    old = place.with_name(place.name + ".old")
    if not place.exists() and old.exists():
        os.rename(old, place)
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        os.rename(place, old)
    os.rename(new, place)
    shutil.rmtree(old, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Render the book; return 0, or 1 with the reason as the last line."""
    parser = argparse.ArgumentParser(prog="python -m workflow.book")
    parser.add_argument("--profile", required=True)
    parser.add_argument("--draft", action="store_true")
    parser.add_argument("--done", type=Path, required=True)
    given = parser.parse_args(arguments)
    surroundings.adopt()
    told = progress_file(given.profile, "book")
    with locks.hold_jobs_lock():
        locks.die_with_parent(lambda: print("stopped with the run that began it", flush=True))
        begun = progress.begin(told)
        reason = ""
        try:
            render(given.profile, given.draft)
        except (WorkflowError, OSError) as error:
            reason = str(error)
            print(f"failed: {reason}", flush=True)
        else:
            count = sum(notebook(given.profile, c.name).is_file() for c in chapters.load())
            given.done.write_text(f"{count} chapters\n", encoding="utf-8")
        seconds = round(time.time() - begun, 1)
        progress.append(told, event="end", ok=not reason, seconds=seconds, reason=reason)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
