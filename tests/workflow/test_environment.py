"""Where a build is started: hostile environments, each with what is right, and what a kill leaves.

Most rows ask workflow/surroundings.py what the build's processes get. A few builds of the toy
project show that this is what they get, and that it is enough.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from build_support import ROOT, Project, alive, environment, make_project, wait_for

from workflow import build, seal, surroundings
from workflow.surroundings import RULES, SETTINGS, for_children

HOME = str(Path(__file__).parent)  # some folder that can be written to
ITS_OWN = "of the build's own"
KEPT = "kept"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


# --- the table ----------------------------------------------------------------------------------

# Name and value of a variable; what the build's processes get: nothing (None), the same (KEPT), a
# folder of the build (ITS_OWN), or the value given.
HOSTILE: list[tuple[str, str, str | None]] = [
    ("SNAKEMAKE_PROFILE", "prof", None),
    ("SNAKEMAKE_EXECUTOR", "slurm", None),
    ("SNAKEMAKE_OUTPUT_CACHE", "/elsewhere", None),
    ("JUPYTER_PATH", "/elsewhere", None),
    ("JUPYTER_CONFIG_PATH", "/elsewhere", None),
    ("JUPYTER_CONFIG_DIR", "/elsewhere", ITS_OWN),
    ("JUPYTER_DATA_DIR", "/elsewhere", ITS_OWN),
    ("JUPYTER_RUNTIME_DIR", "/elsewhere", ITS_OWN),
    ("JUPYTER_PREFER_ENV_PATH", "0", "1"),
    ("JUPYTER_NO_CONFIG", "", "1"),
    ("IPYTHONDIR", "/elsewhere", ITS_OWN),
    ("PYDEVD_DISABLE_FILE_VALIDATION", "0", None),
    ("MPLCONFIGDIR", "/elsewhere", ITS_OWN),
    ("MATPLOTLIBRC", "/elsewhere", None),
    ("MPLBACKEND", "TkAgg", None),
    ("PYTHONPATH", "/elsewhere", None),
    ("PYTHONHOME", "/elsewhere", None),
    ("PYTHONSAFEPATH", "1", None),
    ("PYTHONSTARTUP", "/elsewhere.py", None),
    ("PYTHONINSPECT", "1", None),
    ("PYTHONWARNINGS", "error", None),
    ("PYTHONOPTIMIZE", "2", None),
    ("PYTHONHASHSEED", "nonsense", None),
    ("PYTHONDEVMODE", "1", None),
    ("PYTHONPLATLIBDIR", "elsewhere", None),
    ("PYTHONIOENCODING", "ascii", None),
    ("PYTHONCOERCECLOCALE", "0", None),
    ("PYTHONUTF8", "0", "1"),
    ("PYTHONNOUSERSITE", "", "1"),
    ("PYTHONDONTWRITEBYTECODE", "1", KEPT),
    ("PYTHONPYCACHEPREFIX", "/elsewhere", KEPT),
    ("VIRTUAL_ENV", "/elsewhere", None),
    ("BASH_ENV", "/elsewhere.sh", None),
    ("ENV", "/elsewhere.sh", None),
    ("BASH_FUNC_cd%%", "() { false; }", None),
    ("SHELLOPTS", "noexec", None),
    ("POSIXLY_CORRECT", "1", None),
    ("CDPATH", "/elsewhere", None),
    ("GIT_DIR", "/elsewhere", None),
    ("GIT_INDEX_FILE", "/elsewhere", None),
    ("GIT_CONFIG_COUNT", "1", KEPT),  # a safe.directory, where the project belongs to another user
    ("PIP_TARGET", "/elsewhere", None),
    ("PIP_USER", "1", None),
    ("PIP_INDEX_URL", "https://example.com", KEPT),  # where packages come from is the user's choice
    ("UV_SYSTEM_PYTHON", "1", None),
    ("UV_INDEX_URL", "https://example.com", KEPT),
    ("NODE_OPTIONS", "--require /elsewhere.js", None),
    ("NODE_PATH", "/elsewhere", None),
    ("NODE_ENV", "production", None),
    ("NODE_EXTRA_CA_CERTS", "/certificates", KEPT),
    ("npm_config_global", "true", None),
    ("NPM_CONFIG_OMIT", "dev", None),
    ("npm_config_registry", "https://example.com", KEPT),
    ("DOCUTILSCONFIG", "/elsewhere", None),
    ("FORCE_COLOR", "1", None),
    ("HOME", "/does/not/exist", ITS_OWN),
    ("HOME", "", ITS_OWN),
    ("HOME", "/proc", ITS_OWN),  # a folder where not even root can make a file
    ("HOME", "relative", ITS_OWN),
    ("HOME", HOME, KEPT),
    ("TMPDIR", "/does/not/exist", None),
    ("TMPDIR", HOME, KEPT),
    ("XDG_CACHE_HOME", "/proc", None),
    ("XDG_CACHE_HOME", HOME, KEPT),
    ("UV_CACHE_DIR", "/does/not/exist", None),
    ("OMP_NUM_THREADS", "1", KEPT),
    ("CUDA_VISIBLE_DEVICES", "", KEPT),
    ("EBMLIB_STORE", "/shared/store", KEPT),
    ("LD_PRELOAD", "/an/allocator.so", KEPT),
    ("https_proxy", "http://example.com", KEPT),
]


@pytest.mark.parametrize(("name", "value", "expected"), HOSTILE)
def test_what_the_processes_of_a_build_inherit(name: str, value: str, expected: str | None) -> None:
    got = for_children({"HOME": HOME, "PATH": "/bin", name: value}).get(name)
    if expected == ITS_OWN:
        assert got is not None and SETTINGS in Path(got).parents
    else:
        assert got == (value if expected == KEPT else expected)


def test_every_rule_has_a_row_and_a_reason() -> None:
    for rule in RULES:
        assert any(rule.fits(name) for name, _, _ in HOSTILE), rule.names
        assert len(rule.why.split()) > 2


def test_what_the_table_makes_it_leaves_as_it_is() -> None:
    """A job makes its environment once more, from that of the front end."""
    hostile = {name: value for name, value, _ in HOSTILE}
    once = for_children({**hostile, "PATH": "/bin"})
    Path(once["HOME"]).mkdir(parents=True, exist_ok=True)
    assert for_children(once) == once


def test_adopting_changes_what_a_child_sees_and_makes_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "SETTINGS", tmp_path / "settings")
    for name in os.environ:  # whatever adopt drops comes back after the test
        monkeypatch.setenv(name, os.environ[name])
    monkeypatch.setenv("HOME", "/does/not/exist")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    for rule in RULES:
        if rule.value is not None:
            for name in rule.names:
                monkeypatch.setenv(name, "theirs")
    surroundings.adopt()
    code = "import os; print(os.environ.get('PYTHONPATH'), os.environ['HOME'])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert told.split() == ["None", str(tmp_path / "settings" / "home")]
    assert (tmp_path / "settings" / "home").is_dir()


# --- run_all.sh, started in all ways ------------------------------------------------------------


def shell(
    command: str, cwd: Path | str, program: str = "bash", **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run a line of shell with this Python as the one that run_all.sh takes."""
    return subprocess.run(
        [program, "-c", command], cwd=cwd, capture_output=True, text=True, timeout=300,
        env={**environment(), "PYTHON": sys.executable, **environ},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("command", "environ"),
    [
        ("./links/far/link.sh", {}),
        ("cd links && bash far/link.sh", {}),
        ("cd links/far && ./link.sh", {}),
        ("cd links/far && bash link.sh", {}),
        ("cd / && $OLDPWD/links/far/link.sh", {}),
        ("PATH=$PWD/links/far:$PATH; link.sh", {}),
        ("bash -- '-a place'/run_all.sh", {"CDPATH": "{root}/decoy"}),
        ("./'-a place'/run_all.sh", {"PYTHONPATH": "{root}/decoy", "PYTHONSAFEPATH": "1"}),
        ("./'-a place'/run_all.sh", {"PYTHONHOME": "/elsewhere"}),
        ("./'-a place'/run_all.sh", {"PYTHONHASHSEED": "nonsense"}),
        ("./'-a place'/run_all.sh", {"PYTHONIOENCODING": "nonsense"}),
        ("./'-a place'/run_all.sh", {"HOME": "/does/not/exist"}),
    ],
)
def test_run_all_runs_through_links_and_from_anywhere(
    tmp_path: Path, command: str, environ: dict[str, str]
) -> None:
    place, far = tmp_path / "-a place", tmp_path / "links" / "far"
    make_project(place)
    far.mkdir(parents=True)
    (tmp_path / "links" / "one.sh").symlink_to("../-a place/run_all.sh")
    (far / "link.sh").symlink_to("../one.sh")
    decoy = tmp_path / "decoy"
    for folder in (decoy, decoy / "-a place"):
        (folder / "workflow").mkdir(parents=True)
        (folder / "workflow" / "__main__.py").write_text("raise SystemExit('a decoy')")
        (folder / "re.py").write_text("raise SystemExit('a decoy')")
    given = {name: value.format(root=tmp_path) for name, value in environ.items()}
    done = shell(f"{command} --chapter zzz", tmp_path, **given)
    assert done.returncode == 2, done
    assert done.stderr.endswith("the chapters are: waiting, other\n"), done
    assert done.stderr.count("\n") == 1 and not done.stdout


@pytest.mark.skipif(not shutil.which("dash"), reason="needs a shell that is not bash: dash")
def test_started_by_another_shell_run_all_says_so_in_one_sentence() -> None:
    done = shell("exec dash run_all.sh --help", ROOT)
    assert done.returncode == 1 and not done.stdout
    assert "needs bash" in done.stderr and done.stderr.count("\n") == 1


# --- output that cannot be shown ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        ("--help >&-", 0, ""),
        ("--help <&- >&-", 0, ""),
        ("--help >&- 2>&-", 0, ""),
        ("--help > /dev/full", 0, "No space left on device"),
        ("--help > /dev/full 2>&1", 0, ""),
        ("--colour 2> /dev/full", 2, ""),
        ("--colour 2>&-", 2, ""),
        ("--help | true; exit ${PIPESTATUS[0]}", 0, None),
    ],
)
def test_output_that_goes_nowhere_is_lost_and_no_more(
    arguments: str, status: int, told: str | None
) -> None:
    done = shell(f"./run_all.sh {arguments}", ROOT)
    assert done.returncode == status, done
    if told is not None:
        assert told in done.stderr and done.stderr.count("\n") == bool(told)
    assert "Traceback" not in done.stderr and not done.stdout


def _unspoken(environ: dict[str, str]) -> dict[str, str]:
    """Without the encoding that ./run_all.sh test itself gives to the tests."""
    return {name: value for name, value in environ.items() if name != "PYTHONIOENCODING"}


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({"PYTHONIOENCODING": "ascii"}, b"'z?'"),
        ({"PYTHONIOENCODING": "ascii:strict"}, b"'z?'"),
        ({"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, b"'z?'"),
        ({"PYTHONIOENCODING": "latin-1"}, b"'z\xe4'"),
        ({"PYTHONUTF8": "1"}, "'zä'".encode()),
        ({"LC_ALL": "nowhere.UTF-8", "PYTHONUTF8": "1"}, "'zä'".encode()),
    ],
)
def test_characters_that_the_terminal_lacks_are_replaced(
    environ: dict[str, str], shown: bytes
) -> None:
    done = subprocess.run(
        ["bash", "run_all.sh", "--device", "zä"], cwd=ROOT, capture_output=True,
        env={**_unspoken(environment()), "PYTHON": sys.executable, **environ},
    )  # fmt: skip
    assert done.returncode == 2
    assert shown in done.stderr and b"Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("command", "status", "told"),
    [
        ("presets > /dev/full", 2, "No space left on device"),
        ("presets >&-", 0, ""),
        ("presets | true; exit ${PIPESTATUS[0]}", 141, ""),
        ("sample nirgends-ä.svg", 2, "nirgends-?.svg"),
    ],
)
@pytest.mark.slow
def test_the_library_s_commands_survive_their_terminal(
    tmp_path: Path, command: str, status: int, told: str
) -> None:
    line = f"exec 3>&1; PYTHONPATH={ROOT} $PYTHON -m ebmlib {command}"
    done = shell(line, tmp_path, PYTHONIOENCODING="ascii:strict" if "ä" not in command else "ascii")
    assert done.returncode == status, done
    assert told.partition("?")[0] in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == bool(told)


@pytest.mark.parametrize(("redirection", "status"), [("", 0), ("> /dev/full", 2)])
def test_a_line_that_a_terminal_lacks_is_no_failure_and_one_that_is_lost_is(
    redirection: str, status: int
) -> None:
    """A line too short to be written before the end."""
    code = (
        "from ebmlib import terminal; parser = terminal.Parser(prog='python -m it');"
        "parser.set_defaults(action=lambda options: print('trained zä'));"
        "raise SystemExit(terminal.run(parser, []))"
    )
    own = {"PYTHONIOENCODING": "ascii:strict", "PYTHONUNBUFFERED": ""}
    done = shell(f'$PYTHON -c "{code}" {redirection}', ROOT, **own)
    assert done.returncode == status and "Traceback" not in done.stderr, done
    assert done.stdout == ("" if status else "trained z?\n")
    assert ("No space left on device" in done.stderr) == bool(status)


# --- whole builds -------------------------------------------------------------------------------


def foreign_kernel(folder: Path) -> None:
    """Lay out a kernel of the name that chapters ask for, which is none."""
    kernel = folder / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = ["sh", "-c", "echo executed by another >&2; exit 3"]
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "another", "language": "python"})
    )


@pytest.mark.slow
def test_a_build_in_a_hostile_environment_is_the_same(project: Project, tmp_path: Path) -> None:
    """All at once; each alone has failed before: nothing done, a foreign kernel, a traceback."""
    profile = tmp_path / "prof"
    profile.mkdir()
    (profile / "config.yaml").write_text("dry-run: true\n")
    foreign = tmp_path / "foreign"
    foreign_kernel(foreign / "jupyter")
    for name in ("ebmlib", "papermill", "snakemake", "sphinx", "rich"):
        (foreign / "modules" / name).mkdir(parents=True)
        (foreign / "modules" / name / "__init__.py").write_text("raise SystemExit('foreign')\n")
    (foreign / "start.py").write_text("raise SystemExit('foreign')\n")
    (foreign / "rc.sh").write_text("cd /\n")
    (foreign / "matplotlibrc").write_text("backend: nowhere\n")
    hostile = {
        "SNAKEMAKE_PROFILE": str(profile), "JUPYTER_PATH": str(foreign / "jupyter"),
        "JUPYTER_PREFER_ENV_PATH": "0", "JUPYTER_DATA_DIR": str(foreign / "jupyter"),
        "PYTHONPATH": str(foreign / "modules"), "PYTHONSAFEPATH": "1", "PYTHONWARNINGS": "error",
        "PYTHONSTARTUP": str(foreign / "start.py"), "PYTHONINSPECT": "1",
        "MATPLOTLIBRC": str(foreign), "IPYTHONDIR": "/proc", "MPLCONFIGDIR": "/proc",
        "HOME": "/does/not/exist", "XDG_CACHE_HOME": "/proc", "XDG_CONFIG_HOME": "/proc",
        "TMPDIR": "/does/not/exist", "CDPATH": str(tmp_path), "VIRTUAL_ENV": str(foreign),
        "NODE_OPTIONS": "--require /does/not/exist.js", "GIT_DIR": "/does/not/exist",
        "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
    }  # fmt: skip
    with (project.root / "book" / "waiting.md").open("a", encoding="utf-8") as page:
        page.write("\nÄpfel\n\n```{code-cell} ipython3\nprint('größer')\n```\n")
    link = tmp_path / "link.sh"
    link.symlink_to(project.root / "run_all.sh")
    line = f"cd /; BASH_ENV={foreign / 'rc.sh'}; export BASH_ENV; {link} --no-setup --device cpu"
    built = shell(f"{line} --profile smoke", tmp_path, **hostile)
    assert built.returncode == 0 and not built.stderr, built
    assert built.stdout.isascii() and "2 of 2 executed" in built.stdout, built
    assert "größer" in project.build("smoke", "notebooks", "waiting.ipynb").read_text("utf-8")
    assert "größer" in project.build("smoke", "html", "book", "waiting.html").read_text("utf-8")
    assert project.build(".settings", "home").is_dir()

    # And with nowhere to write to: nothing is done twice for it.
    again = shell(f"{line} --profile smoke > /dev/full", tmp_path, **hostile)
    assert again.returncode == 0 and again.stderr.count("\n") == 1, again
    assert "No space left on device" in again.stderr and "goes on" in again.stderr


@pytest.mark.slow
def test_a_damaged_notebook_is_executed_again(project: Project) -> None:
    first = project.run("--no-book")
    assert first.code == 0, first
    notebooks = {name: project.notebook(name) for name in ("waiting", "other")}
    whole = {name: json.loads(path.read_text())["cells"] for name, path in notebooks.items()}
    text = notebooks["other"].read_text()
    assert "unset on cpu" in text
    notebooks["other"].write_text(text.replace("unset on cpu", "unset on gpu"))
    os.truncate(notebooks["waiting"], notebooks["waiting"].stat().st_size // 2)
    second = project.run("--no-book")
    assert second.code == 0 and "2 of 2 executed" in second.out, second
    for name, path in notebooks.items():
        assert f"build/default/notebooks/{name}.ipynb is damaged" in second.out
        again = json.loads(path.read_text())["cells"]
        assert [c.get("outputs", [])[-1:] for c in again] == [
            c.get("outputs", [])[-1:] for c in whole[name]
        ]
    third = project.run("--no-book")
    assert "Everything is up to date." in third.out and "damaged" not in third.out, third


def test_only_damaged_files_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "BUILD", tmp_path)
    notebooks, results = tmp_path / "full" / "notebooks", tmp_path / "full" / "results"
    notebooks.mkdir(parents=True)
    results.mkdir()
    cells = [{"cell_type": "code", "source": "1 + 1", "outputs": [{"text": "zwölf"}]}]
    good = json.dumps({"cells": cells, "metadata": {"ebmlib": {"seal": seal.of(cells)}}})
    (notebooks / "good.ipynb").write_text(good)
    (notebooks / ".half.ipynb").write_text("half")  # one that is being executed
    (results / "good.json").write_text("{}")
    damaged = {
        notebooks / "short.ipynb": good[: len(good) // 2],
        notebooks / "empty.ipynb": "",
        notebooks / "list.ipynb": "[1]",
        notebooks / "unsealed.ipynb": json.dumps({"cells": cells, "metadata": {}}),
        notebooks / "changed.ipynb": good.replace("1 + 1", "1 + 2"),
        results / "short.json": '{"rows": [',
    }
    for path, text in damaged.items():
        path.write_text(text)
    assert build.discard_damaged("full") == sorted(damaged)
    assert not any(path.exists() for path in damaged)
    assert {path.name for path in notebooks.iterdir()} == {"good.ipynb", ".half.ipynb"}
    assert (results / "good.json").exists()


# --- after a kill -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.slow
def test_the_reason_of_an_earlier_failure_is_told_after_a_kill(
    project: Project, number: signal.Signals
) -> None:
    for name in ("hold", "break"):
        project.build(name).touch()
    run = project.start("--no-book", "--jobs", "2")
    told = project.build("default", "logs", "other.progress")
    wait_for(lambda: told.exists() and "asked to break" in told.read_text(), "the failure")
    kernel = project.build("kernel")
    wait_for(lambda: kernel.exists() and kernel.read_text(), "the chapter that waits")
    run.send_signal(number)
    _, err = run.communicate(timeout=60)
    reason = "Chapter 'other' failed: cell 3: ValueError: asked to break"
    project.build("hold").unlink()
    after = project.run("--no-book")
    assert after.code == 0, after
    if number == signal.SIGKILL:
        assert after.err.count(f"Before the last run was killed: {reason}") == 1, after
        assert not project.build("default", "logs", ".under-way").exists()  # it is said once
    else:
        assert run.returncode == 128 + number and err.count(reason) == 1, err
        assert "Chapter 'waiting'" not in err and not after.err, after


RENDERING = """\
import os, subprocess, time
from pathlib import Path
def main():
    Path("build/rendering.part").write_text(str(os.getpid()))
    os.rename("build/rendering.part", "build/rendering")
    time.sleep(600)
"""


@pytest.mark.parametrize("killed", ["job", "engine", "front end"])
@pytest.mark.slow
def test_a_killed_render_leaves_no_child(project: Project, killed: str) -> None:
    """With a Jupyter Book that never ends: the project's folder comes first where modules are."""
    package = project.root / "jupyter_book" / "cli"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "main.py").write_text(RENDERING)
    run = project.start()
    rendering = project.build("rendering")
    wait_for(rendering.exists, "the rendering")
    child = int(rendering.read_text())
    job = parent(child)
    victims = {"job": job, "engine": parent(job), "front end": run.pid}
    assert parent(victims["engine"]) == run.pid
    os.kill(victims[killed], signal.SIGKILL)
    _, err = run.communicate(timeout=60)
    for process in (child, *victims.values()):
        wait_for(lambda process=process: not alive(process), f"the end of {process}", 20)
    assert run.returncode != 0 and "Traceback" not in err
    if killed == "job":
        assert "The book failed: it was killed, or memory ran out" in err


def parent(process: int) -> int:
    """Return the process that has started a process."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
