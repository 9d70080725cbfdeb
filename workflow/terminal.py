"""Show the progress of the chapters while Snakemake runs.

In a terminal one line per running job, redrawn in place by rich; elsewhere a plain line per
running job every ten seconds. A job that ends leaves one line for good. The book counts as one more
chapter, named "book", which comes last.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from workflow import cluster
from workflow.paths import ROOT
from workflow.progress import Progress, duration

REDRAW_EVERY = 0.5
PLAIN_EVERY = 10.0
BOOK = "book"


class Display:
    """Reads the progress files of a run's chapters and writes to standard output."""

    def __init__(
        self, folder: Path, names: list[str], since: float, log: Path, *, remote: bool = False
    ) -> None:
        self.handed = cluster.Handed(log) if remote else None
        self.folder = folder
        self.since = since
        self.log = log
        self.chapters = {name: Progress(folder / f"{name}.progress") for name in names}
        self.reported: dict[str, float] = {}  # and when that attempt of it began
        self.planned: int | None = None
        self.last_time = time.monotonic()
        # What is printed meanwhile goes above the lines that are redrawn: rich sees to that.
        self.live = Live(
            get_renderable=self._running,
            console=Console(force_terminal=sys.stdout.isatty()),
            auto_refresh=False,
            transient=True,
        )
        self.live.start()
        self.live.console.show_cursor(True)  # nobody would show it again after a kill

    def _read(self) -> None:
        """Read what is new, also of models and studies, which no list names beforehand."""
        for path in self.folder.glob("*.progress"):
            if path.stem.startswith(("model.", "study.")):
                self.chapters.setdefault(path.stem, Progress(path))
        for chapter in self.chapters.values():
            chapter.read()

    def _of_this_run(self) -> dict[str, Progress]:
        return {
            name: chapter
            for name, chapter in self.chapters.items()
            if chapter.started is not None and chapter.started >= self.since
        }

    def update(self) -> None:
        """Read and show what is new."""
        now = time.monotonic()
        if now - self.last_time < REDRAW_EVERY:
            return
        self._report_ends()
        if self.live.console.is_terminal:
            self.live.refresh()
        elif now - self.last_time >= PLAIN_EVERY:
            for line in self._lines():
                print(line, flush=True)
        else:
            return
        self.last_time = now

    def finish(self) -> None:
        """Show the last ends and leave the terminal clean."""
        self._report_ends()
        self.live.stop()

    def outcome(self, name: str) -> Progress | None:
        """Return what a chapter, or the book, did in this run; None if there was nothing to do."""
        return self._of_this_run().get(name)

    def failures(self) -> list[str]:
        """Return one sentence for each chapter that failed in this run, or for the book."""
        jobs = self._of_this_run().items()
        said = cluster.reasons(self.log.read_text("utf-8", "replace")) if self.handed else {}
        sentences = []
        for name, job in jobs:
            why = said.pop(name, "")  # of its last attempt that failed; another one may have ended
            if not (job.ended and job.ok):
                sentences.append(_failure(self.folder, name, job, why))
        return sentences + [f"{_called(name)} failed: {why}" for name, why in said.items()]

    def _report_ends(self) -> None:
        self._read()
        for name, chapter in self._of_this_run().items():
            begun = chapter.started or 0.0
            if chapter.ended and self.reported.get(name) != begun:
                self.reported[name] = begun
                word = "done" if chapter.ok else "FAILED"
                took = duration(chapter.seconds or 0)
                # With the reason at once: nothing may come after this line.
                why = "" if chapter.ok else f": {chapter.reason}"
                print(f"  {name}: {word} in {took}{self._overall()}{why}", flush=True)

    def _lines(self) -> list[str]:
        """Return a line for each running job."""
        jobs = self._of_this_run()
        lines = [f"  {name}: {job.describe()}" for name, job in jobs.items() if not job.ended]
        if self.handed and (waiting := self.handed.read() - set(jobs)):
            lines.append(f"  in the queue: {len(waiting)} jobs that have not begun")
        return lines

    def _running(self) -> Group:
        return Group(*(Text(line, no_wrap=True, overflow="ellipsis") for line in self._lines()))

    def _overall(self) -> str:
        """Say how many jobs are done, and roughly how long the rest will take."""
        if BOOK in self.reported:
            return ""
        if self.planned is None and self.log.exists():
            jobs = r"^(?:chapter|run|(?:long_)?model|study)\s+(\d+)\s*$"
            found = re.findall(jobs, self.log.read_text("utf-8", "replace"), re.MULTILINE)
            self.planned = sum(map(int, found)) if found else None
        if self.planned is None:
            return ""
        done = len(self.reported)
        text = f" ({done} of {self.planned})"
        if done < self.planned:
            left = (time.time() - self.since) / done * (self.planned - done)
            text = f"{text[:-1]}, about {duration(left)} left)"
        return text


def failures(folder: Path, names: list[str], since: float) -> list[str]:
    """Return one sentence for each job that began after ``since`` and has failed since then."""
    jobs = {path.stem: Progress(path) for path in sorted(folder.glob("*.progress"))}
    sentences = []
    for name, job in jobs.items():
        job.read()
        ours = name in names or name.startswith(("model.", "study."))
        if ours and job.started is not None and job.started >= since and job.ended and not job.ok:
            sentences.append(_failure(folder, name, job))
    return sentences


def _failure(folder: Path, name: str, job: Progress, why: str = "") -> str:
    reason = job.reason if job.ended and job.reason else why or "it was killed, or memory ran out"
    shown = folder.relative_to(ROOT) / name
    sentence = f"{_called(name)} failed: {reason} (log: {shown}.log"
    if (folder / f"{name}.failed.ipynb").exists():
        sentence += f", notebook: {shown}.failed.ipynb"
    return sentence + ")"


def _called(name: str) -> str:
    """Return what a job is called in a sentence."""
    if name == BOOK:
        return "The book"
    kind, dot, rest = name.partition(".")
    return f"{kind.capitalize()} '{rest}'" if dot else f"Chapter '{name}'"
