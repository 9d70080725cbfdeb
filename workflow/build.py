"""A build: Snakemake, watched, with its progress shown."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from workflow import chapters, cluster, devices, locks, options, seal, terminal
from workflow.paths import BUILD, ROOT, html, logs
from workflow.progress import duration


def build(wanted: options.Options, chapter_list: chapters.ChapterList) -> int:
    """Execute the chapters and render the book; return 0, or 1 if anything failed."""
    where = wanted.executor
    if where is None:
        device = devices.resolve(wanted.device)
    else:
        cluster.check(where)
        device = devices.elsewhere(wanted.device, where.gpus)
    names = chapter_list.with_needs(list(wanted.chapters) or list(chapter_list.chapters))
    cores = os.cpu_count() or 1
    jobs = wanted.jobs or max(1, min(cores, len(names)))
    threads = max(1, cores // jobs) if where is None else cluster.CORES
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    # Threads that spin while they wait take the cores from those they wait for, if others are at
    # work (benchmarks/threads.py); the bits of a result do not depend on it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    config = [f"profile={wanted.profile}", f"device={device.kind}"]
    if device.gpus:
        config.append("gpus='" + ",".join(device.gpus) + "'")
    if wanted.seeds is not None:
        config.append(f"seeds={wanted.seeds}")
    if wanted.chapters:
        config.append("only='" + ",".join(wanted.chapters) + "'")
    if where is None:
        workers = ["--cores", str(jobs), "--resources", f"gpu={len(device.gpus)}"]
    else:
        workers = cluster.arguments(where, wanted.jobs, logs(wanted.profile) / where.name)
    index = html(wanted.profile) / "index.html"
    with (
        locks.exclusive(locks.RUN_LOCK, locks.WAITING),
        cluster.at_work(where) as run,
        locks.after_orphans() as jobs_lock,
    ):
        if where is not None:
            config += cluster.configuration(where, device.kind, run)
        command = [
            *(sys.executable, "-m", "workflow.engine", *workers),
            # Our own lock is held already, and a kernel lock needs no unlocking after a crash.
            *("--nolock", "--rerun-incomplete", "--keep-going", "--config", *config, "--"),
        ]
        if not index.exists():
            (BUILD / wanted.profile / "book.done").unlink(missing_ok=True)
        print(f"Profile {wanted.profile}, {_described(device, wanted, jobs)}.", flush=True)
        _tell_untold(wanted.profile, names, "Before the last run was killed: ")
        for path in discard_damaged(wanted.profile):
            print(f"{path.relative_to(ROOT)} is damaged and is made again.", flush=True)
        begun = time.time()
        command.append("book" if wanted.book else "chapters")
        try:
            display, failed = engine(command, wanted.profile, jobs_lock, names, run)
        except BaseException:  # stopped by hand, most probably
            _tell_untold(wanted.profile, names)
            raise
        ended = time.time()
    for reason in failed:
        print(reason, file=sys.stderr)
    _under_way(wanted.profile).unlink(missing_ok=True)
    book = display.outcome(terminal.BOOK)
    rendering = book.seconds or 0.0 if book else 0.0
    executed = [name for name in names if display.outcome(name)]
    if not executed and not book and not failed:
        print("Everything is up to date.")
    print(
        f"Chapters {duration(ended - begun - rendering)} "
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


def _described(device: devices.Device, wanted: options.Options, jobs: int) -> str:
    if wanted.executor is not None:
        at_once = f"at most {wanted.jobs} jobs at once" if wanted.jobs else "jobs"
        return f"device {device.kind} of the cluster, {at_once} through {wanted.executor.name}"
    if device.kind == "cpu":
        return f"device cpu, {jobs} at once"
    # A GPU is one job's: no more of them at once than there are GPUs.
    count = len(device.gpus)
    return f"device cuda ({count} GPU(s)), {min(jobs, count)} at once"


def engine(
    command: list[str], profile: str, jobs_lock: int, names: list[str], run: str = ""
) -> tuple[terminal.Display, list[str]]:
    """Run Snakemake, showing progress; return what happened and one sentence per failure.

    Args:
        command: that runs it.
        profile: whose logs it writes.
        jobs_lock: the lock that its processes keep.
        names: of the chapters that may be executed.
        run: name of the run, if its jobs are on other machines (:mod:`workflow.cluster`).
    """
    log_path = logs(profile) / "snakemake.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    since = time.time()
    _under_way(profile).write_text(f"{since}\n", encoding="utf-8")
    jobs = [*names, terminal.BOOK]
    display = terminal.Display(logs(profile), jobs, since, log_path, remote=bool(run))
    with log_path.open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, pass_fds=(jobs_lock,), start_new_session=True,
            env={**os.environ, cluster.RUN: run} if run else None,
        )  # fmt: skip
        try:
            while process.poll() is None:
                display.update()
                time.sleep(0.1)
        finally:
            if run and process.poll() is None:  # its jobs are in a queue: it takes them out
                print("Taking the jobs out of the queue ...", flush=True)
                with suppress(subprocess.TimeoutExpired, ProcessLookupError):
                    process.send_signal(signal.SIGINT)
                    process.wait(cluster.GRACE)
            # Nothing half-made counts as made, so stopping at once is safe. Of a Snakemake that was
            # killed alone the jobs are left.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            display.finish()
    if process.returncode == 0:
        return display, []
    return display, display.failures() or [_last_trouble(log_path)]


def _under_way(profile: str) -> Path:
    """Return the mark of a run that has not yet said what failed in it."""
    return logs(profile) / ".under-way"


def _tell_untold(profile: str, names: list[str], before: str = "") -> None:
    """Say, once, what failed in a run that was stopped or killed before it could say so."""
    try:
        since = float(_under_way(profile).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for sentence in terminal.failures(logs(profile), [*names, terminal.BOOK], since):
        print(f"{before}{sentence}", file=sys.stderr)
    _under_way(profile).unlink(missing_ok=True)


def discard_damaged(profile: str) -> list[Path]:
    """Remove executed notebooks and results that are not what was written; return their places.

    Snakemake goes by the age of a file. One that a full disk or a crash of the machine has cut
    short is younger than what it is made from, and would stay.
    """
    notebooks = [path for path in (BUILD / profile / "notebooks").glob("[!.]*.ipynb")]
    results = (BUILD / profile / "results").glob("[!.]*.json")
    damaged = [path for path in notebooks if not seal.unbroken(path)]
    damaged += [path for path in results if not seal.readable(path)]
    for path in damaged:
        path.unlink(missing_ok=True)
    return sorted(damaged)


def _last_trouble(log: Path) -> str:
    """Say why Snakemake failed when no chapter did."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines()]
    telling = [line for line in lines if re.match(r"\w*(Error|Exception)\b", line)]
    told = (telling or [line for line in lines if line] or ["no output"])[-1]
    return f"The build stopped: {told} (log: {log.relative_to(ROOT)})"
