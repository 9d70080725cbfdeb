"""Whole training jobs: what compiling costs a short one, and how long the circle takes.

    python -m benchmarks.jobs [--epochs 5 130 1000] [--repeats 3]

Every job trains the circle preset in a process of its own. It runs three ways:

- ``eager``: without the kernel;
- ``cold``: the kernel used in any case, and built by this process;
- ``chosen``: as a user gets it, from an empty cache. `worthwhile` decides by the job's size
  alone, so a short job must come out like ``eager`` and a long one like ``cold``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable

import torch

from benchmarks.measuring import RESULTS, interleaved, provenance, summary, warn_if_busy, write
from ebmlib import EnergyModel, preset, seeding
from ebmlib.sampling import fused

WAYS = ("eager", "cold", "chosen")
_JOB = """
import sys
from ebmlib import execute, preset
from ebmlib.sampling import fused
if sys.argv[1] == "cold":
    fused.worthwhile = lambda operations: True
execute(preset("circle").with_(epochs=int(sys.argv[2])))
"""


def job(way: str, epochs: int) -> Callable[[], None]:
    """Train in a fresh process, with an empty cache of its own."""

    def run() -> None:
        with tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, "EBMLIB_CACHE": cache}
            environment.pop("EBMLIB_COMPILE", None)
            if way == "eager":
                environment["EBMLIB_COMPILE"] = "0"
            command = [sys.executable, "-W", "ignore", "-c", _JOB, way, str(epochs)]
            subprocess.run(
                command, env=environment, check=True, cwd=RESULTS.parents[1], capture_output=True
            )

    return run


def main() -> None:
    """Measure, print a table, write results/jobs.json."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, nargs="+", default=[5, 130, 1000])
    parser.add_argument("--repeats", type=int, default=3, help="of jobs under 500 epochs")
    parser.add_argument("--ways", choices=WAYS, nargs="+", default=WAYS)
    parser.add_argument("--note", default="", help="kept with the figures")
    settings = parser.parse_args()
    record = provenance() | {"note": settings.note, "jobs": {}}
    warn_if_busy()
    print("Seconds of a whole process, imports included: median (fastest - slowest)")
    per_epoch = preset("circle").objective.chain_steps
    model = EnergyModel(preset("circle").energy, 2, 2, generator=seeding.generator(0, "weights"))
    operations = model.score(torch.zeros(1, 2)).operations()
    for epochs in settings.epochs:
        repeats = settings.repeats if epochs < 500 else 1
        taken = interleaved(
            {way: job(way, epochs) for way in settings.ways}, repeats, warm_up=epochs < 500
        )
        times = {way: summary(seconds) for way, seconds in taken.items()}
        uses = fused.worthwhile(epochs * per_epoch * operations)
        record["jobs"][epochs] = {
            "chain_steps": epochs * per_epoch,
            "kernel_chosen": uses,
            "seconds": times,
        }
        said = ", ".join(
            f"{way} {t['median']:.2f} ({t['fastest']:.2f} - {t['slowest']:.2f})"
            for way, t in times.items()
        )
        kernel = "chosen" if uses else "not chosen"
        print(f"{epochs:>5} epochs, kernel {kernel}: {said}", flush=True)
        write("jobs", record)  # after each, since a long one may be cut short


if __name__ == "__main__":
    main()
