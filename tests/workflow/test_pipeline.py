"""The build behind run_all.sh: what it refuses, what it redoes, what it survives."""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from build_support import (
    CHAPTER,
    ROOT,
    Project,
    alive,
    environment,
    make_project,
    wait_for,
)  # fmt: skip
from packaging.requirements import Requirement
from packaging.version import Version
from papermill.engines import NBClientEngine, papermill_engines

from workflow import chapters, execute, locks, options, stage
from workflow import environment as setup
from workflow import terminal as shown_by
from workflow.paths import WorkflowError
from workflow.progress import Progress, duration
from workflow.terminal import Display


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


# --- the command line -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--profil", "smoke"], "--profil"),
        (["--profile", "huge"], "expected smoke, default, full, got 'huge'"),
        (["--chapter", "cirle"], "did you mean 'circle'?"),
        (["--chapter", "zzz"], "the chapters are: front, learned"),
        (["--seeds", "0"], "expected a whole number from 1 up, got '0'"),
        (["--seeds", "two"], "got 'two'"),
        (["--jobs", "-1"], "got '-1'"),
        (["--jobs", "1.5"], "got '1.5'"),
        (["--device", "tpu"], "expected auto, cpu, cuda or cuda:I, got 'tpu'"),
        (["--device"], "--device"),
        (["publish"], "publish"),
        (["clean", "everything"], "everything"),
        (["setup", "--fast"], "--fast"),
    ],
)
def test_a_wrong_command_line_gets_one_sentence_and_status_2(
    arguments: list[str], told: str
) -> None:
    done = subprocess.run(
        ["bash", str(ROOT / "run_all.sh"), *arguments], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == ""


def test_tests_use_all_cores_and_fast_ones_are_chosen_by_their_markers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def given(*arguments: str) -> tuple[str, ...]:
        return options.parse(["test", *arguments]).pytest

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    both = ("-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder")
    assert given() == both
    assert given("-k", "score", "-x") == (*both, "-k", "score", "-x")
    assert given("--fast", "-x") == ("-m", options.FAST, *both, "-x")
    assert given("--fast", "--", "--fast", "-n0") == ("-m", options.FAST, "--fast", "-n0")
    for own in ("-n0", "-n4", "--pdb", "--dist=load", "--collect-only"):
        assert given(own) == (own,)
    assert given("--no-setup", "tests/js") == (*both, "tests/js")
    assert not options.parse(["test", "--no-setup"]).setup
    assert options.parse(["test", "--fast", "--", "-x"]).setup
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert given()[1] == str(options.MOST_WORKERS)


def test_help_names_every_option() -> None:
    done = subprocess.run(
        ["bash", str(ROOT / "run_all.sh"), "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0
    for option in (
        "--profile",
        "--chapter",
        "--seeds",
        "--device",
        "--jobs",
        "test",
        "setup",
        "clean",
    ):
        assert option in done.stdout


@pytest.mark.slow
def test_a_gpu_that_is_not_there_gets_one_sentence() -> None:
    command = [sys.executable, "-m", "workflow", "--no-setup", "--device", "cuda:7"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True,
        env={**environment(), "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    assert done.returncode == 1
    assert "--device cuda:7 asks for a GPU" in done.stderr and "--device cpu" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_suitable_python_one_sentence_says_so(tmp_path: Path) -> None:
    for tool in ("bash", "dirname"):
        found = shutil.which(tool)
        assert found is not None
        (tmp_path / tool).symlink_to(found)
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 1\n")  # an old one: the version check fails
    (tmp_path / "python3").chmod(0o755)
    done = subprocess.run(
        [str(tmp_path / "bash"), str(ROOT / "run_all.sh")], capture_output=True, text=True,
        env={"PATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr and done.stderr.count("\n") == 1


# --- what is redone, what is kept, what is survived -------------------------------------------


@pytest.mark.slow
def test_a_build_is_complete_and_only_what_is_out_of_date_is_redone(project: Project) -> None:
    assert_built(project.run())
    names = ("waiting", "other")
    text = project.notebook("waiting").read_text()
    assert "first on cpu with 1 seeds, library 1" in text  # the parameters arrived
    assert "unset on cpu with 1 seeds, library 1" in project.notebook("other").read_text()
    index = project.build("default", "html", "index.html")

    def times() -> list[int]:
        return [path.stat().st_mtime_ns for path in (*map(project.notebook, names), index)]

    before = times()
    for path in (project.root / "ebmlib" / "__init__.py", project.root / "book" / "waiting.md"):
        os.utime(path)  # touched, not changed
    again = project.run()
    assert_built(again)
    assert times() == before and "Everything is up to date." in again.out, again

    with (project.root / "book" / "other.md").open("a") as source:
        source.write("\nOne more sentence.\n")
    assert_built(project.run())
    after = times()
    assert after[0] == before[0] and after[1] > before[1] and after[2] > before[2]
    page = project.build("default", "html", "book", "other.html")
    assert "One more sentence." in page.read_text()

    (project.root / "ebmlib" / "__init__.py").write_text("VERSION = 2\n")
    assert_built(project.run("--no-book"))
    assert all("library 2" in project.notebook(name).read_text() for name in names)
    before = times()
    assert_built(project.run("--chapter", "waiting", "--seeds", "3", "--no-book"))
    assert "first on cpu with 3 seeds" in project.notebook("waiting").read_text()
    assert times()[1:] == before[1:]


@pytest.mark.slow
def test_a_killed_build_leaves_nothing_running_and_the_same_command_goes_on(
    project: Project,
) -> None:
    hold = project.build("hold")
    hold.touch()
    kernel = project.build("kernel")
    run = project.start("--no-book")
    wait_for(lambda: kernel.exists() and kernel.read_text(), "the kernel of the waiting chapter")
    log = project.build("default", "logs", "snakemake.log")
    wait_for(lambda: "Finished jobid" in log.read_text(), "the other chapter")
    first_kernel = int(kernel.read_text())
    run.kill()  # no chance to clean up
    run.communicate()
    wait_for(lambda: not alive(first_kernel), "the end of the orphaned kernel")
    assert not project.notebook("waiting").exists()
    before = project.notebook("other").stat().st_mtime_ns

    # Now the engine alone: the front end sees it.
    kernel.unlink()
    run = project.start("--no-book")
    wait_for(lambda: kernel.exists() and kernel.read_text(), "the kernel of the second run")
    os.kill(_child(run.pid), signal.SIGKILL)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1 and "Traceback" not in err, err

    # And the kernel alone: its chapter fails with a reason.
    wait_for(lambda: not alive(int(kernel.read_text())), "the end of the second kernel")
    kernel.unlink()
    run = project.start("--no-book")
    wait_for(lambda: kernel.exists() and kernel.read_text(), "the kernel of the third run")
    os.kill(int(kernel.read_text()), signal.SIGKILL)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 1 and "its kernel died" in err, out + err

    # Interrupted by hand, with half a notebook in place.
    project.build("half").touch()
    kernel.unlink()
    run = project.start("--no-book")
    wait_for(lambda: kernel.exists() and kernel.read_text(), "the kernel of the fourth run")
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130 and "same command continues" in err, out + err

    assert project.notebook("waiting").read_text() == "half a notebook"
    for leftover in (hold, project.build("half")):
        leftover.unlink()
    assert_built(project.run("--no-book"))
    assert "first on cpu" in project.notebook("waiting").read_text()
    assert project.notebook("other").stat().st_mtime_ns == before  # it was done: not done again
    assert not list(project.notebook("waiting").parent.glob(".*"))  # no half notebooks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("says", "deaths", "starts"),
    [("Kernel died before replying to kernel_info", 2, 3), ("another failure", 1, 1),
     ("Kernel died before replying to kernel_info", 9, 3)],
)  # fmt: skip
def test_a_kernel_that_dies_at_its_start_is_started_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: str, deaths: int, starts: int
) -> None:
    """Two that start at one time may choose one port; what fails later is not tried again."""
    started = []

    def start(notebook: object, kernel_name: str, **options: object) -> str:
        started.append(kernel_name)
        if len(started) <= deaths:
            raise RuntimeError(says)
        return "executed"

    monkeypatch.setenv("EBMLIB_PROGRESS", str(tmp_path / "progress"))
    monkeypatch.setattr(NBClientEngine, "execute_managed_notebook", start)
    engine = papermill_engines.get_engine(execute._reporting_engine())
    manager = SimpleNamespace(nb=SimpleNamespace(cells=[]), cell_start=None)
    if deaths < starts:
        assert engine.execute_managed_notebook(manager, "python3") == "executed"
    else:
        with pytest.raises(RuntimeError, match=says):
            engine.execute_managed_notebook(manager, "python3")
    assert len(started) == starts


@pytest.mark.slow
def test_a_second_run_waits_and_says_so(project: Project) -> None:
    hold, kernel = project.build("hold"), project.build("kernel")
    hold.touch()
    first = project.start("--chapter", "waiting", "--no-book")
    wait_for(kernel.exists, "the first run")
    second = project.start("--chapter", "waiting", "--no-book")
    assert second.stdout is not None
    line = second.stdout.readline()
    assert f"Another run (process {first.pid})" in line
    hold.unlink()
    assert first.communicate(timeout=120) and first.returncode == 0
    out, err = second.communicate(timeout=120)
    assert second.returncode == 0 and "Everything is up to date." in out, out + err


@pytest.mark.slow
def test_a_failing_chapter_leaves_the_others_and_the_last_good_book(project: Project) -> None:
    index = project.build("default", "html", "index.html")
    index.parent.mkdir(parents=True)
    index.write_text("the last good book")
    project.build("break").touch()
    result = project.run("--jobs", "1")  # one after the other: the second begins after the failure
    assert result.code == 1
    failed, other = sorted(("waiting", "other"), key=lambda name: project.notebook(name).exists())
    assert f"Chapter '{failed}' failed: cell 3: ValueError: asked to break" in result.err, result
    assert project.notebook(other).exists() and not project.notebook(failed).exists()
    assert index.read_text() == "the last good book"
    kept = project.build("default", "logs", f"{failed}.failed.ipynb")
    assert "asked to break" in kept.read_text()
    assert "asked to break" in project.build("default", "logs", f"{failed}.log").read_text()

    # A book that does not build leaves the last one, too, and its first warning is told.
    done = project.notebook(other).stat().st_mtime_ns
    page = project.root / "book" / "intro.md"
    page.write_text("# A tiny book\n\nSee {ref}`nowhere`.\n")
    result = project.run()
    assert result.code == 1 and "nowhere" in result.err and "book/intro.md:3" in result.err, result
    assert index.read_text() == "the last good book" and not kept.exists()
    assert project.notebook(other).stat().st_mtime_ns == done

    page.write_text("# A tiny book\n")
    assert_built(project.run())
    assert index.read_text() != "the last good book"


@pytest.mark.slow
def test_a_draft_shows_the_chapters_that_exist(project: Project) -> None:
    # With a set-up that finds all there: the build goes on in the Python that it names.
    code = (
        "import sys; from pathlib import Path; from workflow import __main__, environment\n"
        f"environment.ensure = lambda: Path({sys.executable!r})\n"
        "sys.exit(__main__.main(sys.argv[1:]))"
    )
    wanted = ["--device", "cpu", "--chapter", "other", "--profile", "smoke"]
    built = project.run(command=[sys.executable, "-c", code, *wanted])
    assert_built(built)
    assert built.out.startswith("Everything is installed") and "1 of 1 executed" in built.out
    assert "tiny on cpu" in project.build("smoke", "notebooks", "other.ipynb").read_text()
    assert not project.build("smoke", "notebooks", "waiting.ipynb").exists()
    assert project.build("smoke", "html", "book", "waiting.html").exists()
    assert not project.build("default", "html").exists()


@pytest.mark.slow
def test_a_chapter_that_sets_an_undeclared_parameter_is_told_of(project: Project) -> None:
    with (project.root / "book" / "chapters.toml").open("a") as file:
        file.write("smoke = { epocs = 3 }\n")
    failed = project.run("--profile", "smoke")
    assert failed.code == 1 and "Traceback" not in failed.err
    assert "sets 'epocs'" in failed.err and "it declares: text, device, seeds" in failed.err, failed


def assert_built(result: object) -> None:
    assert getattr(result, "code") == 0, str(result)  # noqa: B009


def _child(parent: int) -> int:
    """Return the process that a process has started."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            return int(stat.parent.name)
    raise AssertionError(f"process {parent} has no child")


# --- chapters, parameters, staging ------------------------------------------------------------


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of sources that the chapter list reads instead of the project's."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "a.md").write_text(CHAPTER.format(title="A <<name>>", code="pass"))
    monkeypatch.setattr(chapters, "ROOT", tmp_path)
    monkeypatch.setattr(execute, "ROOT", tmp_path)
    yield tmp_path


def chapter_list(sources: Path, text: str) -> chapters.ChapterList:
    path = sources / "chapters.toml"
    path.write_text(text)
    return chapters.load(path)


def test_parameters_come_from_profile_then_chapter_then_command_line(sources: Path) -> None:
    listed = chapter_list(
        sources,
        '[profiles.smoke]\ntext = "everyone"\nseeds = 2\nunknown = 1\n'
        '[chapter.one]\nsource = "book/a.md"\n'
        '[chapter.two]\nsource = "book/a.md"\npage = "book/two"\nparameters = { text = "own" }\n'
        "smoke = { seeds = 3 }\n",
    )
    assert listed.parameters("one", "default", "cpu") == {"device": "cpu"}
    assert listed.parameters("one", "smoke", "cpu") == {
        "text": "everyone", "device": "cpu", "seeds": 2,
    }  # fmt: skip
    assert listed.parameters("two", "smoke", "cuda")["seeds"] == 3
    assert listed.parameters("two", "smoke", "cuda", seeds=7) == {
        "text": "own", "device": "cuda", "seeds": 7,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[chapter.one]\n", "names no source"),
        ('[chapter.one]\nsource = "book/b.md"\n', "does not exist"),
        ('[chapter.one]\nsource = "book/a.md"\nsmok = {}\n', "unknown key 'smok'"),
        ('[chapter.One]\nsource = "book/a.md"\n', "cannot name a chapter"),
        ("[profiles.huge]\n", "unknown profile 'huge'"),
        ("[chapter.one\n", "cannot read the chapter list"),
        ('[chapter.one]\nsource = "book/a.md"\nneeds = ["two"]\n', "no chapter 'two'"),
        (
            '[chapter.one]\nsource = "book/a.md"\nneeds = ["two"]\n'
            '[chapter.two]\nsource = "book/a.md"\nneeds = ["one"]\n',
            "one -> two -> one",
        ),
    ],
)
def test_a_wrong_chapter_list_is_told_of(sources: Path, text: str, told: str) -> None:
    with pytest.raises(WorkflowError, match=re.escape(told)):
        chapter_list(sources, text)


def test_one_source_makes_pages_with_texts_of_their_own(sources: Path) -> None:
    listed = chapter_list(
        sources,
        '[chapter.one]\nsource = "book/a.md"\ntext = { name = "circle" }\n'
        '[chapter.two]\nsource = "book/a.md"\n',
    )
    assert execute.prepare(listed["one"]).cells[0].source == "# A circle"
    with pytest.raises(WorkflowError, match="uses <<name>>"):
        execute.prepare(listed["two"])


def test_needs_come_first(sources: Path) -> None:
    entry = '[chapter.{}]\nsource = "book/a.md"\nneeds = {}\n'
    listed = chapter_list(
        sources,
        entry.format("a", '["b", "c"]') + entry.format("b", '["c"]') + entry.format("c", []),
    )
    assert listed.with_needs(["a"]) == ["c", "b", "a"]


@pytest.mark.slow
def test_toc_chapters_and_sources_agree() -> None:
    listed = chapters.load()
    stage.check(listed)
    for chapter in listed:
        for profile in ("smoke", "default", "full"):
            listed.parameters(chapter.name, profile, "cpu")  # raises for an undeclared one


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("_toc.yml", "book/waiting\n", "book/elsewhere\n"), "there is no book/elsewhere.md"),
        (("_toc.yml", "  - file: book/waiting\n", ""), "lacks book/waiting"),
        (("_toc.yml", "book/other\n", "book/waiting\n"), "names book/waiting twice"),
        (("book/chapters.toml", "[chapter.other]", "[another]"), "give it a chapter"),
    ],
)
def test_a_page_without_a_source_is_told_of(
    project: Project, change: tuple[str, str, str], told: str
) -> None:
    name, old, new = change
    path = project.root / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    code = "from workflow import chapters, stage; stage.check(chapters.load())"
    failed = project.run(command=[sys.executable, "-c", code])
    assert failed.code == 1 and told in failed.err.splitlines()[-1], failed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loads", "files"),
    [
        ("import thesis.conditions, ebmlib.training.store", chapters.training_files),
        (
            "from thesis import studies, study; studies.studies()",
            lambda: chapters.training_files() + chapters.study_files(),
        ),
        ("import thesis.companion, ebmlib.figures, ebmlib.widgets", chapters.library_files),
    ],
)
def test_jobs_are_redone_when_any_code_changes_that_they_load(
    loads: str, files: Callable[[], list[str]]
) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); {loads}; print(*(loaded.__file__ "
        "for name, loaded in sys.modules.items() if name.split('.')[0] in ('ebmlib', 'thesis')))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    loaded = {str(Path(path).relative_to(ROOT)) for path in done.stdout.split()}
    lists_names_only = {"thesis/__init__.py"}
    assert len(loaded) > 10 and loaded - lists_names_only <= set(files()), done.stderr


# --- progress -----------------------------------------------------------------------------------


def test_progress_survives_half_lines_and_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    seen = Progress(path)
    assert not seen.read()  # nobody has begun
    lines = [
        {"time": 100.0, "event": "start", "expected": 90.0},
        {"time": 100.0, "task": "circle", "done": 0, "total": 1000, "unit": "epoch"},
        {"time": 110.0, "task": "circle", "done": 250, "total": 1000, "unit": "epoch"},
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines) + '\nnot json\n[1]\n{"ti')
    assert seen.read()
    assert seen.tasks["circle"].left(110.0) == pytest.approx(30.0)
    assert seen.describe(112.0) == (
        "12 s · circle: 250 of 1000 epochs, 28 s left · about 1:18 left in all"
    )
    with path.open("a") as file:
        file.write('me": 120, "event": "end", "ok": false, "seconds": 20, "reason": "why"}\n')
    assert seen.read() and seen.ended and not seen.ok and seen.reason == "why"
    path.write_text(json.dumps({"time": 200.0, "event": "start", "expected": None}) + "\n")
    assert seen.read() and not seen.ended and not seen.tasks and seen.started == 200.0


def test_every_kind_of_job_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of all rules of the Snakefile that show progress."""
    named = re.findall(
        r"^rule (\w+)|^use rule \w+ as (\w+)", (ROOT / "Snakefile").read_text(), re.M
    )
    rules = {a or b for a, b in named} - {"all", "chapters", "book"}
    assert {"chapter", "model", "study"} < rules
    log = tmp_path / "log"
    log.write_text(
        "job count\n" + "".join(f"{rule}   2\n" for rule in rules) + "book   1\ntotal  9\n"
    )
    ended = {"event": "end", "ok": True, "seconds": 1, "reason": "", "time": time.time()}
    (tmp_path / "one.progress").write_text(
        json.dumps({"time": time.time(), "event": "start"}) + "\n" + json.dumps(ended) + "\n"
    )
    Display(tmp_path, ["one"], time.time() - 1, log).finish()
    assert f"(1 of {2 * len(rules)}," in capsys.readouterr().out


def tell(path: Path, **entry: object) -> None:
    with path.open("a") as file:
        file.write(json.dumps({"time": time.time(), **entry}) + "\n")


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_redrawn_in_a_terminal_and_plain_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    written = io.StringIO()
    monkeypatch.setattr(written, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdout", written)
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(shown_by, "REDRAW_EVERY", 0.0)
    monkeypatch.setattr(shown_by, "PLAIN_EVERY", 0.0)
    display = Display(tmp_path, ["one", "two"], time.time() - 1, tmp_path / "log")
    long = "a [bold]task[/bold] of many words " + "and words " * 9
    tell(tmp_path / "one.progress", event="start")
    tell(tmp_path / "model.x.progress", event="start")
    tell(tmp_path / "one.progress", task=long, done=3, total=20, unit="epoch")
    display.update()
    shown = written.getvalue()
    tell(tmp_path / "one.progress", event="end", ok=True, seconds=7, reason="")
    display.update()
    display.finish()
    assert "a [bold]task[/bold]" in shown and "  model.x: 0 s" in shown
    # A terminal cuts a line, a file keeps it whole.
    assert ("3 of 20 epochs" in shown) != terminal and ("…" in shown) == terminal
    lines = re.split(r"[\r\n]|\x1b\[[0-9;?]*[A-Za-z]", written.getvalue())
    assert lines.count("  one: done in 7 s") == 1 and "two" not in written.getvalue()
    assert ("\x1b" in written.getvalue()) == terminal
    if terminal:  # nothing is left of what was redrawn, and the cursor is there
        assert written.getvalue().endswith("\x1b[2K") and "\x1b[?25h" in written.getvalue()


def test_a_resumed_task_estimates_from_its_own_rate(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    # Resumed at 900: 10 per second, not 190. Before that, an attempt that came to 990.
    for now, done in ((-9.0, 980), (-8.0, 990), (0.0, 900), (5.0, 950)):
        with path.open("a") as file:
            file.write(json.dumps({"time": now, "task": "t", "done": done, "total": 1000}) + "\n")
    seen = Progress(path)
    seen.read()
    assert seen.tasks["t"].left(5.0) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.6, "1:00"), (85, "1:25"), (3725, "1:02:05")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_gpus_are_given_to_one_chapter_each(tmp_path: Path) -> None:
    first, first_lock = locks.claim_gpu(["0", "1"], tmp_path)
    second, second_lock = locks.claim_gpu(["0", "1"], tmp_path)
    assert {first, second} == {"0", "1"}
    first_lock.release()
    third, third_lock = locks.claim_gpu(["0", "1"], tmp_path)
    assert third == first
    second_lock.release()
    third_lock.release()


# --- what is installed ------------------------------------------------------------------------


def locked() -> dict[str, Version]:
    """Return name and version of every package that the lock gives to this Python."""
    pins = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if line and line[0] not in "# \t":
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate():
                (specifier,) = pin.specifier
                assert specifier.operator == "=="
                pins[_normal(pin.name)] = Version(specifier.version)
    return pins


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def direct() -> list[Requirement]:
    """Return the requirements that pyproject.toml gives to the library, the book and the tests."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = table["optional-dependencies"]
    return [Requirement(r) for r in (*table["dependencies"], *extras["book"], *extras["test"])]


def test_the_lock_pins_every_direct_dependency() -> None:
    pins = locked()
    for requirement in direct():
        assert pins[_normal(requirement.name)] in requirement.specifier


def test_the_lock_is_complete() -> None:
    """Whatever a locked package requires here is locked, in a version that it accepts."""
    pins = locked()
    cuda = re.compile(r"^(nvidia|cuda)-|^triton$")
    for name in pins:
        for text in metadata.requires(name) or []:
            requirement = Requirement(text)
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and not cuda.match(_normal(requirement.name)):
                pinned = pins.get(_normal(requirement.name))
                assert pinned is not None, f"{name} requires {requirement}, which is not locked"
                assert requirement.specifier.contains(pinned, prereleases=True)


def test_what_is_installed_is_what_is_locked() -> None:
    for name, version in locked().items():
        assert Version(metadata.version(name)).public == version.public, name


def test_the_lock_leaves_cuda_to_torch() -> None:
    """A new version of torch may bring one that workflow/lock.py does not name yet."""
    assert not [name for name in locked() if name.startswith(("nvidia-", "cuda-", "triton"))]


def test_the_npm_lock_has_a_digest_and_no_address_for_every_package() -> None:
    lock = json.loads((ROOT / "book" / "frontend" / "package-lock.json").read_text())
    package = json.loads((ROOT / "book" / "frontend" / "package.json").read_text())
    entries = {name: entry for name, entry in lock["packages"].items() if name}
    for name, entry in entries.items():
        assert "resolved" not in entry and entry["integrity"].startswith("sha512-"), name
    for name, version in {**package["dependencies"], **package["devDependencies"]}.items():
        assert entries[f"node_modules/{name}"]["version"] == version


def test_set_up_is_redone_when_and_only_when_it_must_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With commands recorded instead of run: the decisions, not the installation itself."""
    (tmp_path / "thesis").mkdir()
    for name in ("requirements.txt", "pyproject.toml", "thesis/pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    ran: list[str] = []

    def record(command: list[str], failure: str, lock: int, **_: object) -> None:
        ran.append(" ".join(command))
        if "-m venv" in ran[-1]:
            subprocess.run([*command, "--without-pip"], check=True)
        if fail_at and ran[-1].endswith(fail_at):
            raise WorkflowError(failure)

    fail_at = ""
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "PACKAGES", (tmp_path, tmp_path / "thesis"))
    monkeypatch.setattr(setup, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(setup, "LOCK", tmp_path / "requirements.txt")
    monkeypatch.setattr(setup, "SETUP_LOG", tmp_path / "setup.log")
    monkeypatch.setattr(setup, "_run", record)

    def ensure() -> list[str]:
        ran.clear()
        setup._ensure_packages(0)
        return list(ran)

    fail_at = " check"
    with pytest.raises(WorkflowError):
        ensure()
    fail_at = ""
    assert any("-m venv" in command for command in ensure())  # interrupted: made anew
    assert ensure() == []
    (tmp_path / "requirements.txt").write_text("# changed\n")
    for path in setup.PACKAGES:
        table = (path / "pyproject.toml").read_text()
        changed = ensure()
        assert changed and not any("-m venv" in command for command in changed)  # kept, brought up
        (path / "pyproject.toml").write_text(table.replace('version = "', 'version = "1'))
    changed = ensure()
    assert changed and not any("-m venv" in command for command in changed)
    assert f"--editable {tmp_path} --editable {tmp_path / 'thesis'}" in changed[-2]
    (tmp_path / ".venv" / "bin" / "python").unlink()
    assert any("-m venv" in command for command in ensure())  # broken: made anew


@pytest.mark.parametrize(
    ("found", "settings", "fails", "expected"),
    [
        ("program", "", False, ["uv pip install --python {python} --requirement it"]),
        ("module", "", False, ["python -m uv pip install --python {python} --requirement it"]),
        ("", "", False, ["{pip} install --requirement it"]),
        ("program", "global.find-links='/wheels'", False, ["{pip} install --requirement it"]),
        ("program", ":env:.index-url='file:///it'", False, ["{pip} install --requirement it"]),
        ("program", "global.timeout='60'", True,
         ["uv pip install --python {python} --requirement it", "{pip} install --requirement it"]),
    ],
)  # fmt: skip
def test_uv_installs_where_it_is_there_and_pip_otherwise(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    found: str,
    settings: str,
    fails: bool,
    expected: list[str],
) -> None:
    """With a uv and a Python that only write down how they were called."""

    def program(name: str, then: str) -> Path:
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "{tmp_path}/called"\n{then}\n')
        path.chmod(0o755)
        return path

    python = program("python", f'case "$*" in *"config list") echo "{settings}";; esac')
    if found == "program":
        program("uv", "echo 'error: no such build of torch'; exit 2" if fails else "")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(setup, "ROOT", tmp_path)
    monkeypatch.setattr(setup, "SETUP_LOG", tmp_path / "setup.log")
    monkeypatch.setattr(setup, "find_spec", lambda name: found == "module")
    monkeypatch.setattr(sys, "executable", str(python))
    with (tmp_path / "lock").open("w") as lock:
        setup._install(["--requirement", "it"], "It failed", python, lock.fileno())
    called = (tmp_path / "called").read_text().splitlines()
    pip = "python -m pip --disable-pip-version-check --no-input"
    wanted = [line.format(python=python, pip=pip) for line in expected]
    assert [line for line in called if "config list" not in line] == wanted
    told = capsys.readouterr().out
    assert told.count("\n") == fails and ("no such build of torch" in told) == fails


def test_an_installation_keeps_the_lock_of_its_set_up_alive(tmp_path: Path) -> None:
    """A set-up that is killed leaves its pip at work; the next one waits for it."""
    code = (
        "import sys; from pathlib import Path; from workflow import environment, locks\n"
        "folder = Path(sys.argv[1]); locks.BUILD = environment.ROOT = folder\n"
        "environment.SETUP_LOG = folder / 'setup.log'\n"
        "command = 'touch began; while [ ! -e go ]; do sleep 0.05; done'\n"
        "with locks.exclusive(locks.SETUP_LOCK, '') as lock:\n"
        "    environment._run(['sh', '-c', command], '', lock, cwd=folder)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT)
    wait_for((tmp_path / "began").exists, "the installation")
    child.kill()
    child.wait()
    with (tmp_path / locks.SETUP_LOCK).open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (tmp_path / "go").touch()
        fcntl.flock(lock, fcntl.LOCK_EX)


def test_what_runs_before_set_up_needs_the_standard_library_only() -> None:
    """The front end with neither site-packages nor an installed project."""
    code = (
        "import sys, workflow.__main__;"
        "print(sorted({m.split('.')[0] for m in sys.modules} - sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(ROOT)!r}); {code}"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "['__main__', 'workflow']\n", done


def test_both_packages_are_found_from_anywhere(tmp_path: Path) -> None:
    """As jobs and kernels find them: by installation, not by folder or PYTHONPATH."""
    environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    code = "import ebmlib, thesis; print(ebmlib.__file__, thesis.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for name in ("ebmlib", "ebm-thesis"):
        told = metadata.distribution(name).read_text("direct_url.json")
        assert told is not None and json.loads(told)["dir_info"] == {"editable": True}
    assert [Path(path).parent.name for path in done.stdout.split()] == ["ebmlib", "thesis"]


# --- what is committed ------------------------------------------------------------------------


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [path for name in done.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_tracked_file_names_a_registry_or_a_path_of_one_machine() -> None:
    # In pieces, so that this file passes its own test.
    hosts = ["py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com",
             "pytorch" + ".org/whl", "yarn" + "pkg.com"]  # fmt: skip
    folders = ["/ho" + "me/", "/ro" + "ot/", "/Us" + "ers/", "/op" + "t/", str(ROOT) + "/"]
    pattern = re.compile(
        "|".join([*map(re.escape, hosts), *(rf"(?<![\w.>-]){re.escape(f)}" for f in folders)])
    )
    found = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


def test_nothing_that_a_build_makes_is_tracked() -> None:
    made = re.compile(
        r"(^|/)(build|\.venv|\.snakemake|node_modules|vendor|__pycache__)(/|$)|\.ipynb$"
    )
    assert not [path for path in tracked() if made.search(path.relative_to(ROOT).as_posix())]


@pytest.mark.slow
def test_snakemake_by_hand_agrees_with_the_front_end(project: Project) -> None:
    """The Snakefile stands on its own: a dry run plans both chapters and the book."""
    done = project.run(
        command=[sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--config",
                 "profile=smoke", "device=cpu"]
    )  # fmt: skip
    assert done.code == 0, done
    plan = done.out + done.err
    assert re.search(r"^chapter\s+2$", plan, re.MULTILINE), plan
    assert re.search(r"^book\s+1$", plan, re.MULTILINE), plan
    assert not project.build("smoke", "notebooks").exists(), "a dry run does nothing"
