"""What every job of the Snakefile has in common: locks, progress, log, one sentence if it fails."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from workflow import cluster, locks, progress, surroundings
from workflow.paths import BUILD, WorkflowError, progress_file

LOG_EVERY = 10.0  # seconds between two progress lines in a job's log


def run(
    name: str,
    profile: str,
    work: Callable[[], None],
    *,
    gpus: str = "",
    title: str = "",
    explain: Callable[[BaseException], str | None] = lambda error: None,
) -> int:
    """Do a job's work; standard output is its log.

    Args:
        name: of the job's progress file, and in the front end's display.
        profile: which build it belongs to.
        work: the work; it raises if it fails.
        gpus: GPUs of which it may claim one, with commas; none if empty.
        title: what the first line of the log says after the name.
        explain: what stopped it, in one line; None leaves that to this module.

    Returns:
        0, or 1 if the work failed.
    """
    jobs_lock = locks.hold_jobs_lock()
    locks.die_with_parent(lambda: print("stopped with the run that began it", flush=True))
    cluster.stop_with_run()
    told = progress_file(profile, name)
    if _failed_before(told):
        return 1
    begun = progress.begin(told)
    _isolate(told, profile)
    if gpus:
        gpu, gpu_lock = locks.claim_gpu(gpus.split(","))
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {name}: {title}", flush=True)
    stop = threading.Event()
    watched = progress.Progress(told)
    threading.Thread(target=_log_progress, args=(watched, stop), daemon=True).start()
    reason, again = "", False
    try:
        work()
    except Exception as error:
        traceback.print_exc(file=sys.stdout)
        reason = explain(error) or _reason(error)
        again = isinstance(error, (OSError, MemoryError))
        again = again or any(words in reason for words in _PERHAPS)
    stop.set()
    seconds = round(time.time() - begun, 1)
    print(f"{'failed: ' + reason if reason else 'done'} after {progress.duration(seconds)}")
    if reason and not again and os.environ.get(cluster.RUN):
        _keep_log(told)
    progress.append(told, event="end", ok=not reason, seconds=seconds, reason=reason)
    if gpus:
        gpu_lock.release()
    jobs_lock.close()
    return 1 if reason else 0


_PERHAPS = ("its kernel died", "MemoryError", "can't allocate memory", "out of memory")
"""In reasons that another node, or more memory, may mend."""


def _failed_before(told: Path) -> bool:
    """Tell whether the work of this run failed already for a reason that no further attempt mends.

    On a cluster a failed job is tried again, since its node, its time or its memory may have been
    at fault. What the work itself has said is then repeated, with its log, and not done again.
    """
    kept, run = _kept_log(told), os.environ.get(cluster.RUN)
    if not run or not kept.exists():
        return False
    of_run, _, log = kept.read_text(encoding="utf-8", errors="replace").partition("\n")
    if of_run == run:
        print(log, end="", flush=True)
    return of_run == run


def _keep_log(told: Path) -> None:
    log = told.with_suffix(".log")
    if log.exists():
        sys.stdout.flush()
        text = log.read_text(encoding="utf-8", errors="replace")
        _kept_log(told).write_text(f"{os.environ[cluster.RUN]}\n{text}", encoding="utf-8")


def _kept_log(told: Path) -> Path:
    return told.with_suffix(".failed.txt")


def results_folder(profile: str) -> Path:
    """Return where a profile's own measurements go; only ``full`` measures."""
    return BUILD / profile / "results"


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [""]
    known = isinstance(error, WorkflowError) or type(error).__module__ == "ebmlib.errors"
    return lines[0] if known else f"{type(error).__name__}: {lines[0]}"


def _isolate(told: Path, profile: str) -> None:
    """Keep the job from the user's own settings, and tell ebmlib where things go."""
    surroundings.adopt()
    os.environ["EBMLIB_PROGRESS"] = str(told)
    os.environ.setdefault("EBMLIB_STORE", str(BUILD / "store"))
    if os.environ.get(cluster.RUN):
        # IPython keeps a data base there, and those of many nodes would meet on the shared disk.
        os.environ["IPYTHONDIR"] = tempfile.mkdtemp(prefix="ipython-")
        atexit.register(shutil.rmtree, os.environ["IPYTHONDIR"], ignore_errors=True)
    if profile == "full":
        os.environ.setdefault("EBMLIB_RESULTS", str(results_folder(profile)))


def _log_progress(source: progress.Progress, stop: threading.Event) -> None:
    told = ""
    while not stop.wait(LOG_EVERY):
        source.read()
        line = source.describe()
        if line != told:
            print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)
        told = line
