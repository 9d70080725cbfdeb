"""Execute one run of a batch: ``python -m workflow.batch_run BATCH NUMBER --parameters JSON ...``.

Called by batch.smk. Beside the executed notebook it leaves a record: the parameters, the numbers
that the page recorded (myst_nb's ``glue``), how long it took and how much of that was training.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from workflow import chapters, execute, job
from workflow.batch import BATCHES, write_if_changed
from workflow.paths import ROOT, progress_file
from workflow.progress import Progress

GLUED = "application/papermill.record/"


def numbers(notebook: Mapping[str, Any]) -> dict[str, float | str]:
    """What a notebook's cells glued, by name; a number where the text is one.

    A picture or a table that was glued is left out.
    """
    found: dict[str, float | str] = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            text = output.get("data", {}).get(f"{GLUED}text/plain")
            if name is None or text is None:
                continue
            try:
                value = ast.literal_eval("".join(text))
            except (ValueError, SyntaxError):
                value = _number("".join(text))  # nan, inf
            if isinstance(value, str):
                value = _number(value)
            if isinstance(value, (bool, int, float, str)):
                found[name] = value
    return found


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def training_seconds(told: Progress) -> float:
    """How long the tasks that count epochs took."""
    return sum(t.time - t.first_time for t in told.tasks.values() if t.unit == "epoch")


def main(arguments: list[str]) -> int:
    """Execute one run; return 0, or 1 if it failed. Standard output is its log."""
    parser = argparse.ArgumentParser(prog="python -m workflow.batch_run")
    parser.add_argument("batch")
    parser.add_argument("number")
    parser.add_argument("--parameters", type=json.loads, required=True)
    parser.add_argument("--notebook", type=Path, required=True)
    parser.add_argument("--record", type=Path, required=True)
    parser.add_argument("--gpus", default="")
    given = parser.parse_args(arguments)
    name, place = f"run.{given.number}", f"batch/{given.batch}"

    def work() -> None:
        import nbformat

        runs = json.loads((BATCHES / given.batch / "runs.json").read_text(encoding="utf-8"))
        chapter = replace(chapters.load()[runs["chapter"]], name=name)
        begun = time.time()
        execute.execute(chapter, place, given.parameters, ROOT / given.notebook)
        told = Progress(progress_file(place, name))
        told.read()
        record = {
            "chapter": runs["chapter"],
            "given": runs["runs"][given.number]["given"],
            "injected": given.parameters,
            "seconds": round(time.time() - begun, 2),
            "training_seconds": round(training_seconds(told), 2),
            "numbers": numbers(nbformat.read(ROOT / given.notebook, as_version=4)),
        }
        write_if_changed(ROOT / given.record, json.dumps(record, indent=1).encode())

    title = str(given.parameters)
    return job.run(name, place, work, gpus=given.gpus, title=title, explain=execute._reason)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
