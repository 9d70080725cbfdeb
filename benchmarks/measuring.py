"""What every benchmark shares: interleaved repetitions, and where and with what it was run."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import torch

RESULTS = Path(__file__).with_name("results")


def interleaved(
    tasks: Mapping[str, Callable[[], object]], repeats: int, *, warm_up: bool = True
) -> dict[str, list[float]]:
    """Seconds of every repetition of every task.

    Each round runs every task once, so that what disturbs the machine for a while disturbs all of
    them. With ``warm_up`` a first round is not counted: it fills caches and builds what is built
    at first use.
    """
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(0 if warm_up else 1, repeats + 1):
        for name, task in tasks.items():
            began = time.perf_counter()
            task()
            if turn:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def summary(seconds: list[float]) -> dict[str, float]:
    """Median, fastest and slowest."""
    return {"median": median(seconds), "fastest": min(seconds), "slowest": max(seconds)}


def provenance() -> dict[str, Any]:
    """Date, commit, machine and versions."""
    versions = {}
    for name in ("torch", "torchebm", "numpy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _output("git", "describe", "--always", "--dirty", "--exclude=*"),
        "python": platform.python_version(),
        "versions": versions,
        "compiler": _output("cc", "--version").partition("\n")[0],
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load_before": os.getloadavg()[0],
        "niceness": os.nice(0),
    }


def _output(*command: str) -> str:
    try:
        made = subprocess.run(command, capture_output=True, text=True, cwd=RESULTS.parent)
    except OSError:
        return "unknown"
    return made.stdout.strip() or "unknown"


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((s.partition(":")[2].strip() for s in lines if s.startswith("model name")), "")


def warn_if_busy() -> None:
    """Say so if other programs use the machine: the figures are then theirs as well."""
    if os.getloadavg()[0] > 0.3 * (os.cpu_count() or 1):
        print(f"The machine is busy (load {os.getloadavg()[0]:.1f}): expect scattered figures.")


def write(name: str, record: Mapping[str, Any]) -> None:
    """Write ``results/<name>.json``, whole or not at all."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1) + "\n")
    os.replace(part, path)
    print(
        f"\nWritten to {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}"
    )
