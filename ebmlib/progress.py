"""Progress of long work: a bar in a terminal, or lines in a file for a program that watches.

When the environment names a file in ``EBMLIB_PROGRESS`` every update is appended to it as one JSON
object ``{"time", "task", "done", "total", "unit"}``; the build draws its status line from it.
In a notebook, whose output is kept, nothing is printed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType

from tqdm import tqdm

_SECONDS_BETWEEN = 1.0

_listener: ContextVar[Callable[[int, int, str], None] | None] = ContextVar("listener", default=None)


@contextmanager
def listening(tell: Callable[[int, int, str], None]) -> Iterator[None]:
    """Have ``tell(done, total, unit)`` called at every update of work of this thread.

    What ``tell`` raises stops the work; a training then goes on from its last checkpoint.
    """
    before = _listener.set(tell)
    try:
        yield
    finally:
        _listener.reset(before)


class Progress:
    """Report how far ``task`` is; use as a context manager.

    Args:
        task: what is being done, for a person.
        total: updates until done.
        done: updates already done (a resumed run).
        unit: what is counted.
    """

    def __init__(self, task: str, total: int, done: int = 0, unit: str = "epoch") -> None:
        self._record = {"task": task, "done": done, "total": total, "unit": unit}
        self._path = os.environ.get("EBMLIB_PROGRESS")
        self._last_report = 0.0
        terminal = sys.stderr is not None and sys.stderr.isatty() and not self._path
        self._bar = tqdm(
            total=total, initial=done, desc=task, unit=unit, disable=not terminal, leave=False
        )

    def __enter__(self) -> Progress:
        self._report()
        return self

    def update(self, done: int) -> None:
        """Report that ``done`` of the total are done."""
        self._bar.update(done - self._record["done"])  # type: ignore[operator]
        self._record["done"] = done
        if tell := _listener.get():
            tell(done, self._record["total"], self._record["unit"])  # type: ignore[arg-type]
        if time.monotonic() - self._last_report >= _SECONDS_BETWEEN:
            self._report()

    def _report(self) -> None:
        self._last_report = time.monotonic()
        if self._path:
            try:
                with open(self._path, "a", encoding="utf-8") as file:
                    file.write(json.dumps({"time": time.time()} | self._record) + "\n")
            except OSError:
                self._path = None  # progress is a courtesy: a full disk must not stop the work

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._report()
        self._bar.close()
