"""Progress of the chapters: a file per chapter, read by the front end. Standard library only.

The protocol. ``EBMLIB_PROGRESS`` names a file; whoever does long work appends one JSON object per
line, at most a few per second::

    {"time": 1700000000.0, "task": "circle seed 0", "done": 120, "total": 1000, "unit": "epoch"}

``time`` is seconds since 1970. A task has begun with its first line and is over when ``done``
equals ``total``. workflow/execute.py adds the line that begins a chapter and the one that ends it::

    {"time": ..., "event": "start", "expected": 85.0}
    {"time": ..., "event": "end", "ok": false, "seconds": 12.3, "reason": "cell 4: ValueError: ..."}

The rendering of the book does the same. ``expected`` is what the same work took the last time, null
if that is not known. A line that is not such an object is ignored: half a line, left by a killed
process, does no harm.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def duration(seconds: float) -> str:
    """Write seconds as ``8 s``, ``1:25`` or ``1:02:05``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass
class Task:
    """One counted piece of work, as its progress lines tell it."""

    name: str
    unit: str
    first_time: float
    first_done: float
    time: float
    done: float
    total: float

    def left(self, now: float) -> float | None:
        """Estimate the seconds that are left from the rate so far; None before there is a rate."""
        gained, spent = self.done - self.first_done, self.time - self.first_time
        if gained <= 0 or spent <= 0:
            return None
        return max(0.0, (self.total - self.done) * spent / gained - (now - self.time))

    def describe(self, now: float) -> str:
        """Return for instance ``circle seed 0: 120 of 1000 epochs, 1:10 left``."""
        text = f"{self.name}: {self.done:g} of {self.total:g} {self.unit}s"
        left = self.left(now)
        return text if left is None else f"{text}, {duration(left)} left"


@dataclass
class Progress:
    """What a chapter's progress file says so far."""

    path: Path
    offset: int = 0
    started: float | None = None
    expected: float | None = None
    ended: bool = False
    ok: bool = False
    seconds: float | None = None
    reason: str = ""
    tasks: dict[str, Task] = field(default_factory=dict)

    def read(self) -> bool:
        """Read what was appended since the last call; tell whether there was anything."""
        try:
            if self.path.stat().st_size < self.offset:
                self.offset = 0  # the file was begun anew
            with self.path.open("rb") as file:
                file.seek(self.offset)
                new = file.read()
        except FileNotFoundError:
            return False
        complete = new[: new.rfind(b"\n") + 1]
        self.offset += len(complete)
        for line in complete.splitlines():
            try:
                self._take(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue
        return bool(complete)

    def _take(self, entry: dict[str, Any]) -> None:
        now = float(entry["time"])
        if entry.get("event") == "start":
            self.started, self.expected = now, entry.get("expected")
            self.ended, self.tasks = False, {}
        elif entry.get("event") == "end":
            self.ended, self.ok = True, bool(entry["ok"])
            self.seconds, self.reason = float(entry["seconds"]), str(entry.get("reason") or "")
        else:
            name, done, total = str(entry["task"]), float(entry["done"]), float(entry["total"])
            task = self.tasks.get(name)
            if task is None or done < task.done:
                task = Task(name, str(entry.get("unit", "step")), now, done, now, done, total)
                self.tasks[name] = task
            task.time, task.done, task.total = now, done, total

    def describe(self, now: float | None = None) -> str:
        """Return one line on where the chapter is, without its name."""
        now = time.time() if now is None else now
        parts = []
        if self.started is not None:
            parts.append(duration(now - self.started))
        cells = self.tasks.get("cells")
        if cells is not None:
            parts.append(f"cell {cells.done:g} of {cells.total:g}")
        working = [t for t in self.tasks.values() if t.name != "cells" and t.done < t.total]
        if working:
            parts.append(max(working, key=lambda task: task.time).describe(now))
        if self.started is not None and self.expected:
            left = self.started + self.expected - now
            if left >= 1:
                parts.append(f"about {duration(left)} left in all")
        return " · ".join(parts)


def append(path: Path, **entry: Any) -> None:
    """Append one line to a progress file, stamped with the time."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"time": time.time(), **entry}) + "\n")


def begin(path: Path) -> float:
    """Begin a progress file anew, with what the same work took the last time; return the time."""
    before = Progress(path)
    before.read()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    append(path, event="start", expected=before.seconds if before.ended and before.ok else None)
    return time.time()
