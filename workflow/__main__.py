"""The front end of the build: what run_all.sh calls. Standard library only.

Options, set-up, the lock, then Snakemake with its progress shown.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from workflow import chapters, devices, environment, locks, options, pdf, terminal
from workflow.paths import BUILD, ROOT, WorkflowError, html, logs
from workflow.progress import duration


class Stopped(BaseException):
    """A signal asked this process to stop."""


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)


def main(arguments: list[str]) -> int:
    """Do what the command line asks for; return the exit status."""
    wanted = options.parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        if wanted.command == "clean":
            return clean()
        chapter_list = chapters.load()
        for name in wanted.chapters:
            try:
                chapter_list[name]
            except WorkflowError as error:
                print(f"run_all.sh: {error}", file=sys.stderr)
                return 2
        if wanted.command == "pdf":
            pdf.chromium()  # said before an hour of building, not after
        begun = time.monotonic()
        python = environment.ensure() if wanted.setup else Path(sys.executable)
        setup_seconds = time.monotonic() - begun
        if wanted.command == "setup":
            print(f"Everything is installed (set-up {duration(setup_seconds)}).")
            return 0
        if wanted.command == "test":
            return test(python, wanted.pytest)
        code = build(wanted, chapter_list, python, setup_seconds)
        return code or (print_book(python, wanted.profile) if wanted.command == "pdf" else 0)
    except WorkflowError as error:
        print(f"run_all.sh: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder that cannot be written to
        print(f"run_all.sh: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print("\nStopped. The same command continues from here.", file=sys.stderr)
        return 128 + int(stopped.args[0])


def _process_environment(python: Path) -> dict[str, str]:
    """Return the environment of every process that we start: the project's Python comes first."""
    path = f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**os.environ, "PATH": path, "PYTHONNOUSERSITE": "1"}


def test(python: Path, arguments: tuple[str, ...]) -> int:
    """Run pytest in the project's environment."""
    return subprocess.run(
        [str(python), "-m", "pytest", *arguments], cwd=ROOT, env=_process_environment(python)
    ).returncode


def print_book(python: Path, profile: str) -> int:
    """Print the book, which has been built, to a PDF."""
    command = [str(python), "-m", "workflow.pdf", "--profile", profile]
    with locks.exclusive(locks.RUN_LOCK, WAITING):
        return subprocess.run(command, cwd=ROOT, env=_process_environment(python)).returncode


def clean() -> int:
    """Remove what a build made, except trained models, packages and front-end files."""
    with locks.exclusive(locks.RUN_LOCK, WAITING), locks.after_orphans():
        for profile in options.PROFILES:
            shutil.rmtree(BUILD / profile, ignore_errors=True)
        shutil.rmtree(ROOT / ".snakemake", ignore_errors=True)
    print("Removed the executed chapters and the books; trained models and packages are kept.")
    return 0


WAITING = (
    "Another run (process {process}) is at work in this folder; waiting until it has finished."
)


def build(
    wanted: options.Options,
    chapter_list: chapters.ChapterList,
    python: Path,
    setup_seconds: float,
) -> int:
    """Execute the chapters and render the book; return 0, or 1 if anything failed."""
    device = devices.resolve(wanted.device, python)
    names = chapter_list.with_needs(list(wanted.chapters) or list(chapter_list.chapters))
    cores = os.cpu_count() or 1
    jobs = wanted.jobs or max(1, min(cores, len(names)))
    environ = _process_environment(python)
    environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // jobs)))
    config = [f"profile={wanted.profile}", f"device={device.kind}"]
    if device.gpus:
        config.append("gpus='" + ",".join(device.gpus) + "'")
    if wanted.seeds is not None:
        config.append(f"seeds={wanted.seeds}")
    if wanted.chapters:
        config.append("only='" + ",".join(wanted.chapters) + "'")
    command = [
        *(str(python), "-m", "workflow.engine", "--cores", str(jobs)),
        *("--resources", f"gpu={len(device.gpus)}"),
        # Our own lock is held already, and a kernel lock needs no unlocking after a crash.
        *("--nolock", "--rerun-incomplete", "--keep-going", "--config", *config, "--"),
    ]
    where = "cpu" if device.kind == "cpu" else f"cuda ({len(device.gpus)} GPU(s))"
    index = html(wanted.profile) / "index.html"
    with locks.exclusive(locks.RUN_LOCK, WAITING), locks.after_orphans() as jobs_lock:
        if not index.exists():
            (BUILD / wanted.profile / "book.done").unlink(missing_ok=True)
        print(f"Profile {wanted.profile}, device {where}, {jobs} at once.", flush=True)
        begun = time.time()
        command.append("book" if wanted.book else "chapters")
        display, failed = engine(command, environ, wanted.profile, jobs_lock, names)
        ended = time.time()
    for reason in failed:
        print(reason, file=sys.stderr)
    book = display.outcome(terminal.BOOK)
    rendering = book.seconds or 0.0 if book else 0.0
    executed = [name for name in names if display.outcome(name)]
    if not executed and not book and not failed:
        print("Everything is up to date.")
    print(
        f"Set-up {duration(setup_seconds)}, chapters {duration(ended - begun - rendering)} "
        f"({len(executed)} of {len(names)} executed), book {duration(rendering)}."
    )
    if failed:
        last = f" The last good book is {index.relative_to(ROOT)}." if index.exists() else ""
        print(
            f"Not everything was built; the same command redoes only what failed.{last}",
            file=sys.stderr,
        )
        return 1
    if wanted.book:
        print(f"The book is {index.relative_to(ROOT)}")
    return 0


def engine(
    command: list[str], environ: dict[str, str], profile: str, jobs_lock: int, names: list[str]
) -> tuple[terminal.Display, list[str]]:
    """Run Snakemake, showing progress; return what happened and one sentence per failure."""
    log_path = logs(profile) / "snakemake.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    display = terminal.Display(logs(profile), [*names, terminal.BOOK], time.time(), log_path)
    with log_path.open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, pass_fds=(jobs_lock,), start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None:
                display.update()
                time.sleep(0.1)
        finally:
            if process.poll() is None:
                # Nothing half-made counts as made, so stopping at once is safe.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            display.finish()
    if process.returncode == 0:
        return display, []
    return display, display.failures() or [_last_trouble(log_path)]


def _last_trouble(log: Path) -> str:
    """Say why Snakemake failed when no chapter did."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    telling = [line for line in lines if re.match(r"\w*(Error|Exception)\b", line)]
    told = (telling or [line for line in lines if line] or ["no output"])[-1]
    return f"The build stopped: {told} (log: {log.relative_to(ROOT)})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
