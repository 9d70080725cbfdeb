"""One run at a time in one project folder, and no leftovers of a killed one.

Locks are ``flock`` locks: the kernel releases them with the process that holds them, however it
dies, so nothing ever has to be unlocked by hand.

- ``build/.run.lock`` is held by the front end (run_all.sh) while it builds.
- ``build/.setup.lock`` is held by the front end and by every installation that it starts.
- ``build/.jobs.lock`` is held, shared, by every process that a run has started. A new run waits
  until nobody holds it, so that it never meets the orphans of a run that was killed. They do not
  live long: each of them watches its parent (see die_with_parent).

By hand, because the first two are needed before any package is installed, and because filelock has
neither shared ``flock`` locks nor locks that a child inherits. GPUs are claimed with filelock.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from workflow.paths import BUILD, WorkflowError

if TYPE_CHECKING:
    from filelock import BaseFileLock

RUN_LOCK = ".run.lock"
JOBS_LOCK = ".jobs.lock"
SETUP_LOCK = ".setup.lock"
WAITING = (
    "Another run (process {process}) is at work in this folder; waiting until it has finished."
)
JUPYTER_BOOK = (
    "from workflow import locks; locks.die_with_parent(lambda: None);"
    "from jupyter_book.cli.main import main; main()"
)
"""Jupyter Book, which ends when the process that started it is gone."""


def _open(name: str) -> IO[str]:
    BUILD.mkdir(parents=True, exist_ok=True)
    return open(BUILD / name, "a+", encoding="utf-8")


@contextmanager
def exclusive(name: str, waiting: str) -> Iterator[int]:
    """Hold a lock of the build folder; say ``waiting`` once if somebody else has it.

    Yields the lock's descriptor: a child that inherits it keeps the lock as long as it lives.

    Args:
        name: file name of the lock.
        waiting: the sentence to print; ``{process}`` stands for the holder's process number.
    """
    with _open(name) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            print(waiting.format(process=lock.read().strip() or "unknown"), flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            raise WorkflowError(
                f"the file system of {BUILD} has no locks (flock: {error.strerror}), without which "
                "two runs would damage each other's work; put the project on one that has them"
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield lock.fileno()


@contextmanager
def after_orphans() -> Iterator[int]:
    """Wait until no process of an earlier run is left; yield a descriptor for this run's processes.

    The descriptor holds the jobs lock, shared; a child that inherits it keeps the lock as long as
    it lives.
    """
    waiting = "An interrupted run is still shutting down; waiting for it."
    with exclusive(JOBS_LOCK, waiting) as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield lock


def hold_jobs_lock() -> IO[str]:
    """Hold the jobs lock, shared, as long as the returned file is open."""
    lock = _open(JOBS_LOCK)
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def die_with_parent(last_act: Callable[[], None], every: float = 0.5) -> None:
    """Watch, in a thread, for the death of the parent process; then do ``last_act`` and exit."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every)
        try:
            last_act()
        finally:
            os._exit(1)

    threading.Thread(target=watch, name="die-with-parent", daemon=True).start()


def claim_gpu(pool: list[str], folder: Path = BUILD) -> tuple[str, BaseFileLock]:
    """Claim one GPU of the pool for this process; return its identifier and the lock to keep.

    Snakemake counts GPUs but does not say which one is free; a lock per GPU does.
    """
    from filelock import FileLock, Timeout

    while True:
        for gpu in pool:
            lock = FileLock(folder / f".gpu-{gpu.replace('/', '-')}.lock")
            try:
                lock.acquire(blocking=False)
                return gpu, lock
            except Timeout:
                continue
        time.sleep(0.5)
