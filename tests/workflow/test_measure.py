"""Jobs that measure studies: what is asked of them, what they publish, what they are made from."""

import re
from pathlib import Path

import pytest

from thesis import measured, studies, study
from thesis.study import Results
from workflow import chapters, job, measure
from workflow.paths import ROOT

ROWS = ({"condition": "circle", "seed": 0, "x": 1.0},)


@pytest.mark.parametrize(("given", "seeds"), [([], None), (["--seeds", "3"], [0, 1, 2])])
def test_a_study_is_measured_over_the_seeds_and_on_the_device_asked_for(
    given: list[str], seeds: list[int] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, ran = [], []

    def measuring(what: study.Study, **options: object) -> Results:
        asked.append((what.name, options))
        return Results(what.name, ROWS, {"digest": "x"})

    def run(name: str, profile: str, work: object, **options: object) -> int:
        ran.append((name, profile, options["gpus"]))
        work()  # type: ignore[operator]
        return 0

    monkeypatch.setattr(study, "measure", measuring)
    monkeypatch.setattr(job, "run", run)
    monkeypatch.setattr("ebmlib.training.run.device_of", lambda name: f"device {name}")
    output = tmp_path / "results" / "escape.json"
    told = ["escape", "--device", "cuda", "--gpus", "0,1", "--output", str(output), *given]
    assert measure.main(told) == 0
    [(name, options)] = asked
    assert name == "escape" and options["device"] == "device cuda"
    assert (None if options["seeds"] is None else list(options["seeds"])) == seeds  # type: ignore[call-overload]
    assert ran == [("study.escape", "full", "0,1")]
    assert measured.load("escape", output.parent).rows == ROWS


@pytest.mark.parametrize("told", [[], ["escape"], ["--output", "x"]])
def test_a_study_and_its_output_are_needed(told: list[str]) -> None:
    with pytest.raises(SystemExit):
        measure.main(told)


def test_nothing_stale_and_nothing_at_all_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    committed = tmp_path / "committed"
    monkeypatch.setattr(measured, "COMMITTED", committed)
    monkeypatch.setattr(measure, "ROOT", tmp_path)
    monkeypatch.setattr(job, "results_folder", lambda profile: tmp_path / profile)
    assert measure.main(["--publish"]) == 1 and "there are none" in capsys.readouterr().out
    for name, digest in (
        ("escape", studies.study("escape").digest()),
        ("sanity", "of another time"),
    ):
        measured.save(Results(name, ROWS, {"digest": digest}), tmp_path / "full")
    assert measure.main(["--publish"]) == 1
    assert "out of date: sanity;" in capsys.readouterr().out and not committed.exists()
    (tmp_path / "full" / "sanity.json").unlink()
    assert measure.main(["--publish"]) == 0
    assert measured.load("escape", committed).rows == ROWS


def rules() -> dict[str, str]:
    """The text of every rule of the Snakefile, by its name."""
    parts = re.split(r"^rule (\w+):$", (ROOT / "Snakefile").read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_what_the_snakefile_says_that_a_job_is_made_from() -> None:
    """The files of each kind of job, and that its rule asks for them."""
    training, of_studies = set(chapters.training_files()), set(chapters.study_files())
    library = set(chapters.library_files())
    assert training | of_studies <= library
    for name in ("loop", "run", "presets"):
        assert f"ebmlib/training/{name}.py" in training
    assert {"ebmlib/sampling/walk.c", "data/circle.svg", "thesis/conditions.py"} <= training
    assert not [name for name in training if "/figures/" in name or name.endswith(".js")]
    measures = {study.measure.__module__ for study in studies.studies().values()}
    assert {module.replace(".", "/") + ".py" for module in measures} <= of_studies
    assert {"ebmlib/widgets/js/sampling.js", "thesis/claims/dynamics.py"} <= library
    results = {f"thesis/results/{name}.json" for name in studies.studies()}
    assert {path for path in results if (ROOT / path).is_file()} <= library
    told = rules()
    asked = {
        "model": ["chapter_list.training_files()"],
        "study": ["chapter_list.training_files()", "chapter_list.study_files()"],
        "chapter": ["chapter_list.library_files()", "CHAPTERS[job.name].source", "models=",
                    "studies=", "needs=", "requirements.txt", "workflow/execute.py"],
        "book": ["rules.chapters.input", "book_inputs()"],
    }  # fmt: skip
    for rule, inputs in asked.items():
        given = told[rule].partition("input:")[2].partition("output:")[0]
        for wanted in inputs:
            assert wanted in given, (rule, wanted)
