"""Batches: what they refuse, what they leave, what they survive."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from build_support import ROOT, Project, Result, environment, make_project, wait_for

from workflow import batch, batch_report, batch_run, chapters, options
from workflow.batch import Batch, Cost, Request
from workflow.paths import WorkflowError

NOISY = """\
---
kernelspec: {display_name: Python 3, language: python, name: python3}
---
# Noisy

```{code-cell} ipython3
:tags: [parameters]
level = 0.5
count = 3
drawing = "none"
device = "unset"
```

```{code-cell} ipython3
from pathlib import Path
from myst_nb import glue
if level > 9:
    raise ValueError("it ran away")
with open("build/executed", "a") as file:
    file.write(f"{level} {count}\\n")
content = Path(drawing).read_text() if drawing != "none" else ""
glue("result", level * count, display=False)
glue("words", f"{level:.2f} {content}", display=False)
```

The result is {glue:text}`result`.
"""
DRAW = "draw"  # a real chapter whose only parameter is `seed = 0`


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = make_project(tmp_path / "project")
    (made.root / "book" / "noisy.md").write_text(NOISY)
    listed = made.root / "book" / "chapters.toml"
    listed.write_text(listed.read_text() + '[chapter.noisy]\nsource = "book/noisy.md"\n')
    return made


def batch_command(project: Project, *arguments: str) -> list[str]:
    command = project.command()
    return [*command[:3], "batch", *command[3:], *arguments]


def run_batch(project: Project, *arguments: str) -> Result:
    return project.run(command=batch_command(project, *arguments))


def start_batch(project: Project, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        batch_command(project, *arguments), cwd=project.root, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def table(project: Project, name: str) -> list[dict[str, str]]:
    with project.build("batch", name, "numbers.csv").open(newline="") as file:
        return list(csv.DictReader(file))


# --- what is refused, in one sentence -----------------------------------------------------------


def described(*given: tuple[str, str], chapter: str = DRAW, **more: Any) -> Batch:
    return batch.describe(Request(chapter, given, **more), chapters.load())


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ([("alpha", "0.1")], "has no parameter 'alpha'; it has: seed"),
        ([("seed", "one")], "'seed' takes a whole number, got 'one'"),
        ([("seed", "1.5")], "'seed' takes a whole number, got '1.5'"),
        ([("seed", "true")], "'seed' takes a whole number, got 'true'"),
        ([("seed", "-1")], "seed must be a whole number of at least 0, got -1"),
        ([("seed", "3:3")], "the batch has no run"),
        ([("seed", "1,,2")], "-p seed has an empty value"),
        ([("seed", "1"), ("seed", "2")], "given twice"),
        ([("device", "cpu")], "use --device"),
        ([("seed", "0:99999999")], "at most 1,000,000 runs"),
        ([("seed", f"0:{10**30}")], "at most 1,000,000 runs"),
    ],
)
def test_a_bad_parameter_gets_one_sentence(given: list[tuple[str, str]], told: str) -> None:
    with pytest.raises(WorkflowError, match=r"^[^\n]*$") as error:
        described(*given)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("alpha", -1.0, "above 0"), ("K", 0, "at least 1"), ("policy", "best", "one of draw, exp, ml"),
     ("objective", "x", "one of contrastive"), ("dataset", "no.svg", "no file no.svg")],
)  # fmt: skip
def test_hyper_parameters_have_the_library_s_ranges(name: str, value: Any, told: str) -> None:
    with pytest.raises(WorkflowError, match=told):
        batch.check_range(name, value)
    batch.check_range("level", value)  # a name that only its chapter knows


def test_a_chapter_without_parameters_says_so(tmp_path: Path) -> None:
    source = tmp_path / "page.md"
    source.write_text('# P\n\n```{code-cell}\n:tags: [parameters]\nprofile = "default"\n```\n')
    with pytest.raises(WorkflowError, match="'page' declares no parameters"):
        batch.parameters(chapters.Chapter("page", source, "page"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "takes a chapter, or --file"),
        (["draw", "--file", "b.toml"], "takes a chapter, or --file"),
        (["--file", "b.toml", "-p", "seed", "1"], "--file describes the whole batch"),
        (["draw", "-p", "seed"], "-p"),
        (["draw", "--jobs", "0"], "from 1 up, got '0'"),
    ],
)
def test_a_wrong_command_line_has_status_2(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        options.parse(["batch", *arguments])
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


def test_a_large_batch_is_asked_for_before_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batch, "BATCHES", tmp_path)
    monkeypatch.setattr("sys.stdin", open(os.devnull))
    request = Request(DRAW, (("seed", "0:10001"),), device="cpu")
    with pytest.raises(WorkflowError, match="10,001 runs, more than 10,000; --yes starts it"):
        batch.main(request, chapters.load())
    assert "10,001 runs" in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_a_damaged_table_or_file_is_one_sentence(tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("seed,other\n1\n")
    with pytest.raises(WorkflowError, match=r"row 1 of .* one value for every column"):
        described(table=bad)
    for text, told in (
        ("chapter =", "cannot read the batch"),
        ('chapter = "draw"\nspeed = 1\n', "unknown key 'speed'"),
        ('chapter = "draw"\n[grid]\nseed = 1\n', "a \\[grid\\] of lists"),
    ):
        (tmp_path / "batch.toml").write_text(text)
        with pytest.raises(WorkflowError, match=told):
            batch.describe(Request(file=tmp_path / "batch.toml"), chapters.load())


# --- the batch and its file ----------------------------------------------------------------------


def test_values_are_lists_ranges_and_of_the_default_s_kind(tmp_path: Path) -> None:
    assert list(described(("seed", "3,0:5:2")).runs()) == [{"seed": s} for s in (3, 0, 2, 4)]
    assert batch.fit("x", "1", 0.5, tmp_path) == 1.0
    assert isinstance(batch.fit("x", "1", 0.5, tmp_path), float)
    assert batch.fit("x", "false", True, tmp_path) is False
    assert batch.fit("x", "1", "word", tmp_path) == "1"
    for wrong in ("nan", "Infinity", "[1]", "null"):
        with pytest.raises(WorkflowError, match="'x' takes a number"):
            batch.fit("x", wrong, 0.5, tmp_path)


def test_a_grid_is_every_combination_and_its_file_says_the_same(tmp_path: Path) -> None:
    rows = ({"seed": 1}, {"seed": 2})
    made = Batch("draw", "smoke", rows, {"a": (0.5, 1e-7), "b": ('a "word"', "é")}, "mine")
    runs = list(made.runs())
    assert len(runs) == len(made) == 8
    assert runs[1] == {"seed": 1, "a": 0.5, "b": "é"}
    path = tmp_path / "batch.toml"
    path.write_text(made.text(), encoding="utf-8")
    again = batch._from_file(path)
    assert list(again.runs()) == runs and again.text() == made.text()


def test_the_cost_is_learnt_from_earlier_runs(tmp_path: Path) -> None:
    assert batch.measured_cost("lab", "default", tmp_path) == Cost()
    injected = {"epochs": 10, "sgld_dim": 20, "K": 5}
    for number, (training, updates) in enumerate(((2.0, 10), (0.0, 10), (6.0, 30))):
        record = {"chapter": "lab", "injected": injected | {"epochs": updates}}
        record |= {"seconds": 7.0 + training, "training_seconds": training}
        path = tmp_path / "one" / "runs" / f"{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record))
    (tmp_path / "one" / "runs" / "9.json").write_text("{half")
    cost = batch.measured_cost("lab", "default", tmp_path)
    assert batch.measured_cost("lab", "smoke", tmp_path) == Cost()
    assert cost.measured == 3 and cost.beside == pytest.approx(7)
    # 8 s for 40 x 20 x 5 steps; the run whose model was loaded says nothing about training
    assert cost.of(injected) == pytest.approx(7 + 8.0 / 4000 * 1000)


def test_numbers_are_what_cells_glued() -> None:
    def output(name: str, text: str) -> dict[str, Any]:
        data = {f"{batch_run.GLUED}text/plain": text}
        return {"data": data, "metadata": {"scrapbook": {"name": name}}}

    outputs = [output("a", "'0.25'"), output("b", "3"), output("c", "nan"), output("d", "'no'")]
    outputs += [output("e", "<Figure>"), {"data": {"text/plain": "7"}, "metadata": {}}]
    found = batch_run.numbers({"cells": [{"outputs": outputs}, {"source": "text"}]})
    assert {name: repr(value) for name, value in found.items()} == {
        "a": "0.25", "b": "3", "c": "nan", "d": "'no'", "e": "'<Figure>'",
    }  # fmt: skip


def test_a_page_s_labels_are_its_own() -> None:
    import nbformat

    cell = nbformat.v4.new_code_cell("1")
    cell.metadata["mystnb"] = {"figure": {"name": "fig-a", "caption": "As {numref}`fig-a-b`."}}
    text = nbformat.v4.new_markdown_cell(
        "(fig-a-b)=\nSee {numref}`fig-a`, not fig-abc or sub-fig-a."
    )
    made = batch_report.own_labels(nbformat.v4.new_notebook(cells=[cell, text]), "007")
    assert made.cells[0].metadata.mystnb.figure == {
        "name": "fig-a-007", "caption": "As {numref}`fig-a-b-007`.",
    }  # fmt: skip
    assert (
        made.cells[1].source == "(fig-a-b-007)=\nSee {numref}`fig-a-007`, not fig-abc or sub-fig-a."
    )


@pytest.mark.browser
def test_the_plot_s_interval_is_student_s() -> None:
    """The index's own script, against SciPy."""
    from scipy.stats import t

    from workflow.node import NODE

    page = (ROOT / "workflow" / "batch.html").read_text(encoding="utf-8")
    script = re.search(r"^const T = .*?^}\n", page, re.DOTALL | re.MULTILINE)
    assert script is not None
    rng = np.random.default_rng(0)
    for count in (2, 3, 5, 31, 40):
        values = rng.normal(size=count)
        code = f"{script[0]}; console.log(JSON.stringify(interval({values.tolist()})))"
        done = subprocess.run([str(NODE), "-e", code], capture_output=True, text=True, check=True)
        found = json.loads(done.stdout)
        error = values.std(ddof=1) / count**0.5
        low, high = t.interval(0.95, count - 1, loc=values.mean(), scale=error)
        close = 1e-3 if count <= 31 else 0.07  # beyond the table the normal's
        wanted = {"mean": values.mean(), "low": low, "high": high}
        assert found == pytest.approx(wanted, abs=close * error)


# --- the whole way --------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_batch_leaves_a_table_beside_failures_and_is_not_done_twice(project: Project) -> None:
    drawing = project.root / "own.txt"
    drawing.write_text("strokes")
    given = ("noisy", "-p", "level", "0.5,10", "-p", "drawing", "own.txt", "--name", "n")
    told = run_batch(project, *given, "--dry-run")
    assert told.code == 0 and "2 runs of 'noisy'" in told.out, str(told)
    assert not project.build("batch").exists()

    done = run_batch(project, *given)
    assert done.code == 1 and "Run '002' failed: cell 3: ValueError: it ran away" in done.err
    rows = table(project, "n")
    assert list(rows[0])[:3] == ["run", "level", "drawing"]
    assert rows[0]["status"] == "done" and float(rows[0]["result"]) == 1.5
    assert rows[0]["words"] == "0.50 strokes"  # the file reached the page
    assert rows[1]["status"] == "failed" and "it ran away" in rows[1]["reason"]
    page = project.build("batch", "n", "html", "book", "noisy-001.html").read_text()
    assert "The result is" in page and "1.5" in page and "level = 0.5" in page
    index = project.build("batch", "n", "index.html").read_text()
    assert "html/book/noisy-001.html" in index and "http" not in index.replace(
        "http://www.w3.org/2000/svg", ""
    )

    # the same again redoes only what failed; another batch of this name is refused
    run_batch(project, *given)
    assert project.build("executed").read_text() == "0.5 3\n"
    before = project.build("batch", "n", "batch.toml").read_text()
    refused = run_batch(project, "noisy", "-p", "level", "1", "--name", "n")
    assert refused.code == 1 and "has other parameters" in refused.err, str(refused)
    assert project.build("batch", "n", "batch.toml").read_text() == before

    # a colleague has the file and the drawing, and no more
    elsewhere = project.root.parent / "elsewhere"
    project.build("batch", "n").rename(elsewhere)
    run_batch(project, "--file", str(elsewhere / "batch.toml"))
    again = table(project, "n")
    assert [row["words"] for row in again] == [row["words"] for row in rows]


@pytest.mark.slow
def test_a_batch_that_is_killed_five_times_ends_as_any_other(project: Project) -> None:
    grid = ("-p", "level", "1:5", "-p", "count", "1:4", "--jobs", "2")
    whole = run_batch(project, "noisy", *grid, "--name", "whole")
    assert whole.code == 0, str(whole)
    records = project.build("batch", "n", "runs")
    when = np.random.default_rng(0)
    killed = 0
    while killed < 5:
        process = start_batch(project, "noisy", *grid, "--name", "n")
        more = len(list(records.glob("*.json"))) + int(when.integers(0, 3))
        wait_for(lambda: len(list(records.glob("*.json"))) >= more or process.poll() is not None,  # noqa: B023
                 "runs that end", 240)  # fmt: skip
        time.sleep(float(when.uniform(0, 3)))
        assert process.poll() is None, "nothing was left to kill"
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
    done = run_batch(project, "noisy", *grid, "--name", "n")
    assert done.code == 0, str(done)

    def found(name: str) -> list[dict[str, str]]:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in table(project, name)]

    assert len(found("n")) == 12 and found("n") == found("whole")
    for number in ("001", "012"):  # a page of its own, not a half
        assert project.build("batch", "n", "html", "book", f"noisy-{number}.html").is_file()
    again = run_batch(project, "noisy", *grid, "--name", "n")
    assert again.code == 0 and "Everything is up to date" in again.out


MEETING = """\
---
kernelspec: {display_name: Python 3, language: python, name: python3}
---
# Meeting

```{code-cell} ipython3
:tags: [parameters]
number = 0
together = 2
device = "unset"
```

```{code-cell} ipython3
import os, time
from pathlib import Path
from myst_nb import glue
gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
here = Path("build/here")
here.mkdir(exist_ok=True)
(here / str(number)).write_text(gpu)
if device == "cuda":
    busy = Path(f"build/busy-{gpu}")
    busy.touch(exist_ok=False)  # nobody else is on this card
end = time.monotonic() + 60
while len(list(here.iterdir())) < together and time.monotonic() < end:
    time.sleep(0.05)
met = len(list(here.iterdir()))
if device == "cuda":
    time.sleep(0.5)
    busy.unlink()
glue("met", met, display=False)
glue("card", f"card {gpu}", display=False)
```

Met {glue:text}`met` on {glue:text}`card`.
"""


@pytest.fixture
def meeting(project: Project) -> Project:
    (project.root / "book" / "meeting.md").write_text(MEETING)
    listed = project.root / "book" / "chapters.toml"
    listed.write_text(listed.read_text() + '[chapter.meeting]\nsource = "book/meeting.md"\n')
    return project


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--jobs", "2"), ("--executor", "local", "--jobs", "2")])
def test_two_workers_are_both_used(meeting: Project, options: tuple[str, ...]) -> None:
    """Each run waits for the other: one after the other they would never meet."""
    done = run_batch(meeting, "meeting", "-p", "number", "0,1", "--name", "n", *options)
    assert done.code == 0, str(done)
    assert [row["met"] for row in table(meeting, "n")] == ["2", "2"]


@pytest.mark.slow
def test_gpus_are_counted_and_given_to_one_run_each(meeting: Project) -> None:
    """Two cards that only the front end believes in, four runs, room for four."""
    devices = meeting.root / "workflow" / "devices.py"
    ask = "device = _ask_torch(sys.argv[1])"
    text = devices.read_text()
    assert ask in text
    devices.write_text(text.replace(ask, 'device = Device("cuda", ("0", "1"))'))
    given = ("meeting", "-p", "number", "0:4", "--name", "n", "--jobs", "4")
    command = batch_command(meeting, *given)
    command[command.index("cpu")] = "cuda"
    done = meeting.run(command=command)
    assert done.code == 0, str(done)  # a card that two runs had would have failed one
    rows = table(meeting, "n")
    assert {row["card"] for row in rows} == {"card 0", "card 1"} and len(rows) == 4
    assert min(int(row["met"]) for row in rows) >= 2  # both cards were used at once


@pytest.mark.slow
def test_an_executor_that_is_not_installed_is_one_sentence(project: Project) -> None:
    done = run_batch(project, "noisy", "-p", "level", "1", "--executor", "kubernets")
    assert done.code == 1 and done.err.count("\n") == 1
    assert "no executor 'kubernets' here" in done.err and "local" in done.err


# --- without the front end ------------------------------------------------------------------------


def in_environment(folder: Path, module: str, *arguments: str) -> None:
    """Run a tool of the environment in a folder that is not the project's."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=folder, capture_output=True, text=True,
        env={**environment(), "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_plain_jupytext_and_papermill_execute_a_chapter_again_and_again(tmp_path: Path) -> None:
    import nbformat

    (tmp_path / "build").mkdir()
    (tmp_path / "noisy.md").write_text(NOISY)
    in_environment(tmp_path, "jupytext", "--to", "ipynb", "noisy.md")
    in_environment(tmp_path, "papermill", "noisy.ipynb", "one.ipynb", "-p", "level", "0.25")
    one = nbformat.read(tmp_path / "one.ipynb", as_version=4)
    assert batch_run.numbers(one)["result"] == 0.75
    one.metadata["papermill"] = {}  # as the build leaves it
    nbformat.write(one, tmp_path / "one.ipynb")
    in_environment(tmp_path, "papermill", "one.ipynb", "two.ipynb", "-p", "count", "8")
    two = batch_run.numbers(nbformat.read(tmp_path / "two.ipynb", as_version=4))
    assert two["result"] == 4  # the first injection is replaced, not kept


@pytest.mark.slow
def test_the_laboratory_executes_with_other_values_from_any_folder(tmp_path: Path) -> None:
    import nbformat

    in_environment(
        tmp_path, "jupytext", "--to", "ipynb", "--output", "lab.ipynb", str(ROOT / "book/lab.md")
    )
    given = {"dataset": "path1", "alpha": "0.02", "K": "7", "epochs": "6", "seed": "3"}
    given |= {"policy": "draw", "device": "cpu", "profile": "smoke"}
    options = [word for name, value in given.items() for word in ("-p", name, value)]
    in_environment(tmp_path, "papermill", "lab.ipynb", "out.ipynb", *options)
    out = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    found = batch_run.numbers(out)
    assert (found["dataset"], found["level"], found["steps"]) == ("path1", 0.02, 7)
    assert (found["updates"], found["seed"], found["policy"]) == (6, 3, "draw")
    assert found["alpha_over_s"] == pytest.approx(0.02 / found["s"])
    for name in ("kl", "tv", "distance_on", "distance_inside", "returned", "loss_end"):
        assert isinstance(found[name], float), name
    # what the text shows was recorded by a cell
    text = "\n".join(cell.source for cell in out.cells if cell.cell_type == "markdown")
    captions = json.dumps([cell.metadata.get("mystnb", {}) for cell in out.cells])
    assert set(re.findall(r"\{glue:text\}`(\w+)", text + captions)) <= found.keys()


def test_the_laboratory_s_prose_has_no_number_of_its_own() -> None:
    source = (ROOT / "book" / "lab.md").read_text(encoding="utf-8").split("---", 2)[2]
    prose = re.sub(r"```\{code-cell\}.*?```", "", source, flags=re.DOTALL)
    prose = re.sub(r"`[^`]*`|\$[^$]*\$", "", prose)  # commands, glued numbers, formulas
    prose = re.sub(r"(?:Eq|chapter|section|Table)\s[\d.]*\d", "", prose)  # of the thesis
    assert re.findall(r"\d[\d.,]*", prose) == []
