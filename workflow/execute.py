"""Execute one chapter: MyST source -> notebook -> papermill -> executed notebook.

``python -m workflow.execute NAME --profile P --parameters JSON --output PATH [--gpus 0,1]``, called
by the Snakefile. The executed notebook appears under its name only when every cell has run; a
chapter that fails leaves its notebook, error included, among the logs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from workflow import chapters, job, page_settings, progress, seal
from workflow.paths import ROOT, WorkflowError, logs

KERNEL_STARTS = 3
NOT_STARTED = "Kernel died before replying"
"""What jupyter_client says of a kernel that ended before its first answer."""
UNSEEN = "without-injected"
"""Tag of a parameters cell: the page does not show the values that the build put in its place."""


def prepare(chapter: chapters.Chapter) -> Any:
    """Return a chapter's notebook, not yet executed, with ``<<key>>`` in its text replaced.

    Raises:
        WorkflowError: the text uses a key that the chapter does not give.
    """
    import jupytext

    notebook = jupytext.read(ROOT / chapter.source)
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"  # jupytext draws them at random
        if cell.cell_type == "markdown":
            cell.source = fill(cell.source, chapter)
        else:
            cell.metadata.update(json.loads(fill(json.dumps(cell.metadata), chapter)))
    notebook.metadata["kernelspec"] = {
        "name": "python3", "display_name": "Python 3", "language": "python",
    }  # fmt: skip
    return notebook


def fill(text: str, chapter: chapters.Chapter) -> str:
    """Replace each ``<<key>>`` by the chapter's text for it."""
    for key, value in chapter.text.items():
        text = text.replace(f"<<{key}>>", value)
    start = text.find("<<")
    end = text.find(">>", start)
    if start >= 0 and end > start and text[start + 2 : end].isidentifier():
        raise WorkflowError(
            f"{chapter.source} uses {text[start : end + 2]}, for which chapter '{chapter.name}' "
            "has no text in chapters.toml"
        )
    return text


def execute(
    chapter: chapters.Chapter, profile: str, parameters: dict[str, Any], output: Path
) -> None:
    """Execute a chapter and put its notebook at ``output``.

    Raises:
        Exception: whatever stopped it; the notebook up to there is among the logs.
    """
    import nbformat
    import papermill

    output.parent.mkdir(parents=True, exist_ok=True)
    for leftover in output.parent.glob(f".{chapter.name}.*.ipynb"):
        leftover.unlink(missing_ok=True)
    source = output.parent / f".{chapter.name}.source.ipynb"
    executed = output.parent / f".{chapter.name}.{os.getpid()}.ipynb"
    failed = logs(profile) / f"{chapter.name}.failed.ipynb"
    failed.unlink(missing_ok=True)
    nbformat.write(prepare(chapter), source)
    begun = time.time()
    try:
        notebook = papermill.execute_notebook(
            # Relative paths: papermill takes braces in a path for placeholders.
            *(str(path.relative_to(ROOT)) for path in (source, executed)),
            parameters=parameters,
            engine_name=_reporting_engine(),
            kernel_name="python3",
            progress_bar=False,
            cwd=".",
        )
        unseen = any(UNSEEN in cell.metadata.get("tags", []) for cell in notebook.cells)
        for cell in notebook.cells:
            if "injected-parameters" in cell.metadata.get("tags", []):
                cell.metadata.tags.append("remove-cell" if unseen else "hide-input")
                cell.metadata["mystnb"] = {
                    "code_prompt_show": "Show the parameters of this build",
                    "code_prompt_hide": "Hide the parameters of this build",
                }
        page_settings.adapt(notebook)
        notebook.metadata["papermill"] = {}  # paths and times of this machine
        notebook.metadata["ebmlib"] = {
            "chapter": chapter.name,
            "profile": parameters.get("profile", profile),
            "parameters": parameters,
            "commit": _commit(),
            "python": platform.python_version(),
            "seconds": round(time.time() - begun, 1),
        }
        nbformat.write(notebook, executed)
        # Of the cells as they stand in the file: nbformat splits and joins lines.
        notebook.metadata["ebmlib"]["seal"] = seal.of(
            json.loads(executed.read_text(encoding="utf-8"))["cells"]
        )
        nbformat.write(notebook, executed)
        os.replace(executed, output)
    finally:
        source.unlink(missing_ok=True)
        if executed.exists():
            os.replace(executed, failed)


def _reporting_engine() -> str:
    """Register papermill's engine with a progress line before each code cell; return its name."""
    from papermill.engines import NBClientEngine, papermill_engines

    path = Path(os.environ["EBMLIB_PROGRESS"])

    class ReportingEngine(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
            cells = [cell for cell in nb_man.nb.cells if cell.cell_type == "code"]
            cell_start = nb_man.cell_start

            def report_and_start(cell: Any, *arguments: Any, **keywords: Any) -> Any:
                if cell in cells:
                    done = cells.index(cell) + 1
                    progress.append(path, task="cells", done=done, total=len(cells), unit="cell")
                return cell_start(cell, *arguments, **keywords)

            nb_man.cell_start = report_and_start
            # Two kernels that start at one time may choose one port, and one of them dies of it.
            for _ in range(KERNEL_STARTS - 1):
                try:
                    return super().execute_managed_notebook(nb_man, kernel_name, **options)
                except RuntimeError as error:
                    if NOT_STARTED not in str(error):
                        raise
                    print(f"{error}; starting another one", flush=True)
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register("reporting", ReportingEngine)
    return "reporting"


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _reason(error: BaseException) -> str | None:
    """Say in one line what stopped a chapter, if papermill or the kernel says it."""
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        lines = str(error.evalue).strip().splitlines() or [""]
        return f"cell {error.exec_count}: {error.ename}: {lines[0]}"
    if isinstance(error, DeadKernelError):
        return "its kernel died; it was killed, or the machine ran out of memory"
    return None


def main(arguments: list[str]) -> int:
    """Execute one chapter; return 0, or 1 if it failed. Standard output is the chapter's log."""
    parser = argparse.ArgumentParser(prog="python -m workflow.execute")
    parser.add_argument("name")
    parser.add_argument("--profile", required=True)
    parser.add_argument("--parameters", type=json.loads, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--gpus", default="")
    given = parser.parse_args(arguments)
    output = given.output if given.output.is_absolute() else ROOT / given.output

    def work() -> None:
        execute(chapters.load()[given.name], given.profile, given.parameters, output)

    return job.run(
        given.name, given.profile, work, gpus=given.gpus, title=str(given.parameters),
        explain=_reason,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
