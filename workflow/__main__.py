"""The front end of the build: what run_all.sh calls. Standard library only.

Options, set-up, the lock, then Snakemake in two stages (chapters, book) with its progress shown.
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

from workflow import chapters, devices, environment, locks, options, terminal
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
        begun = time.monotonic()
        python = environment.ensure() if wanted.setup else Path(sys.executable)
        setup_seconds = time.monotonic() - begun
        if wanted.command == "test":
            return test(python, wanted.pytest)
        return build(wanted, chapter_list, python, setup_seconds)
    except WorkflowError as error:
        print(f"run_all.sh: {error}", file=sys.stderr)
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
    with locks.exclusive(locks.RUN_LOCK, WAITING), locks.after_orphans() as jobs_lock:
        book = html(wanted.profile)
        if not (book / "index.html").exists():
            (BUILD / wanted.profile / "book.done").unlink(missing_ok=True)
        print(f"Profile {wanted.profile}, device {where}, {jobs} at once.", flush=True)
        begun = time.monotonic()
        failed = stage([*command, "chapters"], environ, wanted.profile, jobs_lock, names)
        chapter_seconds = time.monotonic() - begun
        begun = time.monotonic()
        done = BUILD / wanted.profile / "book.done"
        before = done.stat().st_mtime_ns if done.exists() else None
        if not failed:
            failed = stage([*command, "book"], environ, wanted.profile, jobs_lock, [])
            if not failed and done.stat().st_mtime_ns == before:
                print("Book: nothing to do.")
        book_seconds = time.monotonic() - begun
    for reason in failed:
        print(reason, file=sys.stderr)
    print(
        f"Set-up {duration(setup_seconds)}, chapters {duration(chapter_seconds)}, "
        f"book {duration(book_seconds)}."
    )
    index = book / "index.html"
    if failed:
        last = f" The last good book is {index.relative_to(ROOT)}." if index.exists() else ""
        print(
            f"Not everything was built; the same command redoes only what failed.{last}",
            file=sys.stderr,
        )
        return 1
    print(f"The book is {index.relative_to(ROOT)}")
    return 0


def stage(
    command: list[str], environ: dict[str, str], profile: str, jobs_lock: int, names: list[str]
) -> list[str]:
    """Run Snakemake for one target, showing progress; return one sentence per failure."""
    target = command[-1]
    log_path = logs(profile) / f"snakemake-{target}.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    since = time.time()
    with log_path.open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, pass_fds=(jobs_lock,), start_new_session=True,
        )  # fmt: skip
        display = terminal.Display(logs(profile), names, since, log_path)
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
        return []
    return display.failures() or [_last_trouble(target, log_path, logs(profile) / "book.log")]


def _last_trouble(target: str, log: Path, book_log: Path) -> str:
    """Say why a stage failed when no chapter did."""
    if target == "book" and book_log.exists():
        found = re.findall(r"^failed: (.*)$", book_log.read_text(errors="replace"), re.MULTILINE)
        if found:
            return f"The book failed: {found[-1]} (log: {book_log.relative_to(ROOT)})"
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    telling = [line for line in lines if re.match(r"\w*(Error|Exception)\b", line)]
    told = (telling or [line for line in lines if line] or ["no output"])[-1]
    return f"The {target} stage stopped: {told} (log: {log.relative_to(ROOT)})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
