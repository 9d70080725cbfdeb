"""The Snakefile: what each job is made from and how it is called; and the jobs that measure."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from build_support import ROOT, environment

from ebmlib import Run
from thesis import code, measured, studies, study
from workflow import book, chapters, job, measure, train

SEEDS = 3


@dataclass(frozen=True)
class Job:
    """A job of a dry run, as Snakemake prints it."""

    rule: str
    name: str
    inputs: frozenset[str]
    output: str
    command: list[str]
    gpus: int


@functools.cache
def plan(profile: str, device: str = "cpu") -> tuple[Job, ...]:
    """Return every job of a build from nothing of the real project, which is not built."""
    done = subprocess.run(
        [*(sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--printshellcmds"),
         *("--nolock", "--quiet", "host", "--cores", "1", "--resources", "gpu=1", "--config"),
         *(f"profile={profile}", f"device={device}", f"seeds={SEEDS}", "gpus='0,1'"),
         *("--", "book")],
        cwd=ROOT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    jobs = []
    for text in re.split(r"^(?=rule |localrule )", done.stdout + done.stderr, flags=re.MULTILINE):
        if not (rule := re.match(r"rule (\w+):", text)):
            continue

        def told(field: str, text: str = text) -> str:
            found = re.search(rf"^(?:    )?{field}: (.*)$", text, re.MULTILINE)
            return found[1] if found else ""

        output = told("output")
        gpu = re.search(r"gpu=(\d+)", told("resources"))
        jobs.append(
            Job(
                rule[1], Path(output).name.rpartition(".")[0],
                frozenset(filter(None, told("input").split(", "))), output,
                shlex.split(told("Shell command").partition(" > ")[0]), int(gpu[1]) if gpu else 0,
            )
        )  # fmt: skip
    return tuple(jobs)


def of_rule(jobs: tuple[Job, ...], *rules: str) -> dict[str, Job]:
    return {job.name: job for job in jobs if job.rule in rules}


# What a job of any kind must notice: one file of each part that it runs through, by name, so that a
# list that forgets a folder is seen.
TRAINING = {
    "thesis/conditions.py", "ebmlib/sampling/sgld.py", "ebmlib/sampling/walk.c",
    "ebmlib/objectives/contrastive_divergence.py", "ebmlib/training/loop.py",
    "ebmlib/models/energy.py", "ebmlib/demonstrations/svg/__init__.py", "data/circle.svg",
}  # fmt: skip
MEASURING = {"thesis/study.py", "thesis/code.py", "thesis/studies/basins.py"}
SHOWING = {
    "ebmlib/figures/__init__.py", "ebmlib/widgets/__init__.py", "thesis/claims/__init__.py",
    "requirements.txt", "workflow/execute.py",
}  # fmt: skip


@pytest.mark.parametrize("profile", ["smoke", "default", "full"])
@pytest.mark.slow
def test_every_chapter_is_executed_from_all_that_it_shows(profile: str) -> None:
    jobs = plan(profile)
    listed = chapters.load()
    executed = of_rule(jobs, "chapter")
    assert set(executed) == set(listed.chapters)
    for name, each in executed.items():
        chapter = listed[name]
        assert each.output == f"build/{profile}/notebooks/{name}.ipynb"
        assert each.command[:5] == ["exec", "python", "-m", "workflow.execute", name]
        given = dict(zip(each.command[5::2], each.command[6::2], strict=True))
        assert given["--profile"] == profile and given["--output"] == each.output
        wanted = listed.parameters(name, profile, "cpu", SEEDS)
        assert json.loads(given["--parameters"]) == wanted
        assert (TRAINING | SHOWING | set(chapters.library_files())) <= each.inputs
        assert chapter.source.as_posix() in each.inputs
        made = {path for path in each.inputs if path.startswith("build/")}
        expected = {f"build/{profile}/notebooks/{need}.ipynb" for need in chapter.needs}
        if profile != "smoke":
            expected |= {
                f"build/{profile}/models/model.{m.replace('/', '.')}.done" for m in chapter.models
            }
        if profile == "full":
            expected |= {f"build/full/results/{name}.json" for name in studies.studies()}
        assert made == expected
    (rendered,) = of_rule(jobs, "book").values()
    notebooks = {each.output for each in executed.values()}
    assert notebooks | set(book.inputs()) == rendered.inputs
    assert {"_toc.yml", "_config.yml", "book/assets/book.css", "workflow/slim.py"} < rendered.inputs
    command = ["--profile", profile, "--done", f"build/{profile}/book.done"]
    assert rendered.command == ["exec", "python", "-m", "workflow.book", *command]


@pytest.mark.parametrize(("profile", "device"), [("smoke", "cpu"), ("default", "cuda"),
                                                 ("full", "cpu")])  # fmt: skip
@pytest.mark.slow
def test_models_and_studies_are_jobs_with_inputs_of_their_own(profile: str, device: str) -> None:
    jobs = plan(profile, device)
    listed = chapters.load()
    trained = of_rule(jobs, "model", "long_model")
    shown = {train.job_name(m): m for chapter in listed for m in chapter.models}
    assert set(trained) == (set(shown) if profile != "smoke" else set())
    assert set(of_rule(jobs, "long_model")) == {
        name for name in trained if shown[name] in listed.long
    }
    for name, each in trained.items():
        assert each.command[:5] == ["exec", "python", "-m", "workflow.train", shown[name]]
        assert TRAINING <= each.inputs and set(chapters.training_files()) == each.inputs
    measured_ones = of_rule(jobs, "study")
    assert set(measured_ones) == (set(studies.studies()) if profile == "full" else set())
    for name, each in measured_ones.items():
        assert each.command[:5] == ["exec", "python", "-m", "workflow.measure", name]
        assert each.output == f"build/full/results/{name}.json"
        assert {"--seeds", str(SEEDS)} < set(each.command)
        assert (TRAINING | MEASURING) <= each.inputs
        assert set(chapters.training_files() + chapters.study_files()) == each.inputs
    for each in jobs:
        if each.rule != "book":
            assert each.gpus == (device == "cuda")
            assert each.command[each.command.index("--gpus") + 1] == "0,1"
        if each.rule in ("model", "long_model", "study"):
            assert each.command[each.command.index("--device") + 1] == device
            assert each.command[each.command.index("--output") + 1] == each.output


# --- a study, measured by its job -----------------------------------------------------------------


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_run: Run) -> list[Any]:
    """A registered study of one tiny run, in a build folder of its own; the cells it measured."""
    cells: list[Any] = []

    def take(cell: study.Cell) -> dict[str, float]:
        cells.append(cell)
        if cell.seed > 1:
            raise ValueError("asked to break")
        return {"seed": cell.seed, "epochs": cell.trained.run.training.epochs}

    take.__module__ = "planted"
    monkeypatch.setitem(sys.modules, "planted", types.ModuleType("planted"))
    monkeypatch.setattr(code, "digest", lambda modules: "planted code")
    monkeypatch.setattr(
        study, "condition", lambda name, seed=0: dataclasses.replace(tiny_run, seed=seed)
    )
    made = study.Study("planted", ("circle",), take, seeds=2)
    monkeypatch.setitem(studies.STUDIES, "planted", made)
    for module, name in ((measure, "BUILD"), (measure, "ROOT"), (job, "BUILD")):
        monkeypatch.setattr(module, name, tmp_path)
    monkeypatch.setattr(job, "progress_file", lambda profile, name: tmp_path / f"{name}.progress")
    monkeypatch.setattr(job.locks, "BUILD", tmp_path)
    monkeypatch.setattr(job.locks, "die_with_parent", lambda last_act: None)
    monkeypatch.setattr(job.surroundings, "adopt", lambda: None)
    monkeypatch.setenv("EBMLIB_RESULTS", "")
    monkeypatch.setenv("EBMLIB_PROGRESS", "")
    return cells


@pytest.mark.parametrize(("seeds", "taken"), [([], [0, 1]), (["--seeds", "1"], [0])])
def test_a_study_is_measured_over_the_seeds_asked_for(
    planted: list[Any], tmp_path: Path, seeds: list[str], taken: list[int]
) -> None:
    assert measure.main(["planted", *seeds, "--output", "full/results/planted.json"]) == 0
    assert [(cell.condition, cell.seed, cell.small) for cell in planted] == [
        ("circle", seed, False) for seed in taken
    ]
    results = measured.load("planted", tmp_path / "full" / "results")
    assert [row["seed"] for row in results.rows] == taken
    assert all(row["epochs"] == 6 for row in results.rows)  # the run's own, not those of a test
    assert results.provenance["digest"] == studies.study("planted").digest(small=False)
    assert not measured.stale(results)
    end = json.loads((tmp_path / "study.planted.progress").read_text().splitlines()[-1])
    assert end["event"] == "end" and end["ok"]
    # Rows that are done are not measured again.
    before = len(planted)
    assert measure.main(["planted", *seeds, "--output", "full/results/planted.json"]) == 0
    assert len(planted) == before


def test_a_study_that_breaks_leaves_no_results_and_says_why(
    planted: list[Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert measure.main(["planted", "--seeds", "3", "--output", "full/results/planted.json"]) == 1
    assert not (tmp_path / "full" / "results").exists()
    end = json.loads((tmp_path / "study.planted.progress").read_text().splitlines()[-1])
    assert end["reason"] == "ValueError: asked to break" and not end["ok"]
    assert len(list((tmp_path / "measurements").rglob("circle.?.json"))) == 2  # what was done stays
    assert measure.main(["nowhere", "--output", "full/results/nowhere.json"]) == 1
    assert "No study is called 'nowhere'" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["planted"], ["--output", "somewhere.json"]])
def test_measuring_needs_a_study_and_a_place(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        measure.main(arguments)
    assert stopped.value.code == 2
    assert "a study and --output are needed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("found", "published"),
    [
        ({"one": True, "two": True}, ["one", "two"]),
        ({"one": True, "two": False}, []),  # one that is stale keeps all back
        ({"one": False, "two": True}, []),
        ({"one": False}, []),
        ({}, []),
    ],
)
def test_results_are_published_together_and_only_if_none_is_stale(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    found: dict[str, bool],
    published: list[str],
) -> None:
    """What is told of is what is stale, and what is replaced is what is published."""
    folder, committed = tmp_path / "results", tmp_path / "committed"
    folder.mkdir()
    monkeypatch.setattr(job, "results_folder", lambda profile: folder)
    monkeypatch.setattr(measured, "COMMITTED", committed)
    monkeypatch.setattr(measured.COMMITTED.__class__, "relative_to", lambda path, root: path)
    monkeypatch.setattr(code, "digest", lambda modules: "planted code")
    monkeypatch.setitem(sys.modules, "planted", types.ModuleType("planted"))
    measure_nothing: Callable[[study.Cell], dict[str, float]] = lambda cell: {}  # noqa: E731
    measure_nothing.__module__ = "planted"
    for name, fresh in found.items():
        made = study.Study(name, ("circle",), measure_nothing, seeds=1)
        monkeypatch.setitem(studies.STUDIES, name, made)
        digest = made.digest(small=False) if fresh else "another"
        rows = ({"condition": "circle", "seed": 0},)
        measured.save(study.Results(name, rows, {"digest": digest, "small": False}), folder)
    assert measure.main(["--publish"]) == (0 if published else 1)
    said = capsys.readouterr().out
    assert sorted(path.stem for path in committed.glob("*.json")) == published
    for name, fresh in found.items():
        assert (name in said) == (not fresh)
        if name in published:
            assert measured.load(name, committed).rows[0]["condition"] == "circle"
