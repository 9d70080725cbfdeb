"""How many threads, and whether they spin or wait: a whole training, alone and among others.

    python -m benchmarks.threads [--epochs 40] [--repeats 3] [--busy 0 3] [--limit 120]

Every job trains the circle preset in a process of its own and reports the seconds of the training.
It runs three ways:

- ``default``: as a user gets it, with a thread per core; the threads of PyTorch's OpenMP spin for
  a while when they have nothing to do;
- ``one``: one thread;
- ``passive``: a thread per core, which sleep when they have nothing to do.

Each way runs with and without the compiled kernel, and beside so many processes that do nothing but
keep a core busy. The rounds are interleaved, and what counts are the ratios to ``one`` within a
round: what else runs on the machine disturbs all ways of a round. Every job also tells the digest
of the weights that it came to. A job that takes longer than the limit is stopped, and its seconds
are the limit: at least so many.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from statistics import median
from typing import Any

from benchmarks.measuring import RESULTS, provenance, summary, warn_if_busy, write

WAYS = {
    "default": {},
    "one": {"OMP_NUM_THREADS": "1"},
    "passive": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
}
THREADS = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "MKL_NUM_THREADS")
_JOB = """
import hashlib, json, sys, time
import torch
from ebmlib import execute, preset
from ebmlib.sampling import compiled
compiled.worthwhile = lambda *size: True
run = preset("circle").with_(epochs=int(sys.argv[1]))
execute(run.with_(epochs=1))  # builds or loads the kernel, and starts the threads
begun = time.perf_counter()
trained = execute(run)
seconds = time.perf_counter() - begun
digest = hashlib.sha256()
for value in trained.model.state_dict().values():
    digest.update(value.numpy().tobytes())
print(json.dumps({"seconds": seconds, "weights": digest.hexdigest()[:16],
                  "threads": torch.get_num_threads()}))
"""


def job(way: str, compiled: bool, epochs: int, limit: float, cache: str) -> dict[str, Any]:
    """Train in a fresh process; its seconds, weights and number of threads."""
    environment = {name: value for name, value in os.environ.items() if name not in THREADS}
    environment |= {**WAYS[way], "EBMLIB_CACHE": cache, "EBMLIB_COMPILE": str(int(compiled))}
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _JOB, str(epochs)], timeout=limit,
            env=environment, check=True, cwd=RESULTS.parents[1], stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"seconds": limit, "weights": None, "threads": None}
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@contextlib.contextmanager
def company(count: int) -> Iterator[None]:
    """Keep so many processes busy meanwhile."""
    command = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    """Measure, print a table, write results/threads.json."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 3])
    parser.add_argument("--limit", type=float, default=120.0, help="seconds of a whole process")
    parser.add_argument("--note", default="", help="kept with the figures")
    settings = parser.parse_args()
    record = provenance() | {"note": settings.note, "epochs": settings.epochs}
    record |= {"limit": settings.limit, "trainings": []}
    warn_if_busy()
    print("Seconds of a training, median (fastest - slowest), and the median ratio to one thread")
    with tempfile.TemporaryDirectory() as cache:
        for busy in settings.busy:
            for compiled in (True, False):
                load = os.getloadavg()[0]
                told: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
                with company(busy):
                    for _ in range(settings.repeats):
                        for way in WAYS:
                            told[way].append(
                                job(way, compiled, settings.epochs, settings.limit, cache)
                            )
                one = [each["seconds"] for each in told["one"]]
                ways = {}
                for way, each in told.items():
                    seconds = [t["seconds"] for t in each]
                    ratios = [mine / its for mine, its in zip(seconds, one, strict=True)]
                    ways[way] = {
                        "seconds": summary(seconds), "ratio_to_one": median(ratios),
                        "ratios": ratios, "threads": each[0]["threads"],
                        "stopped": sum(t["weights"] is None for t in each),
                    }  # fmt: skip
                weights = {t["weights"] for each in told.values() for t in each} - {None}
                record["trainings"].append(
                    {"busy": busy, "load_before": load, "compiled": compiled, "ways": ways,
                     "same_weights": len(weights) == 1}
                )  # fmt: skip
                said = ", ".join(
                    f"{way} {w['seconds']['median']:.2f} ({w['seconds']['fastest']:.2f} - "
                    f"{w['seconds']['slowest']:.2f}) x {w['ratio_to_one']:.2f}"
                    for way, w in ways.items()
                )
                kind = "compiled" if compiled else "eager"
                print(f"{busy} busy, load {load:.1f}, {kind}: {said}", flush=True)
                write("threads", record)  # after each, since a long one may be cut short


if __name__ == "__main__":
    main()
