"""Frames per second of the particle explorer, in Chromium on a built book.

    ./run_all.sh
    .venv/bin/python -m benchmarks.frames [--profile default] [--runs 5]

300 particles on the network of Figure 3.2 (z 64, h 128), 500 steps, played from the moment their
chains start: a worker computes them while the page draws, a picture whenever the screen takes one
and there is a new step. Once sixty steps a second are asked for, one for every frame of the screen,
once as many as there are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from statistics import median

from benchmarks.measuring import provenance, warn_if_busy, write
from workflow.node import NODE
from workflow.paths import FRONTEND, html
from workflow.pdf import chromium

SPEEDS = {"sixty steps a second asked for": 60, "all that there are": 10_000}


def main() -> None:
    """Play the explorer some times, print and write what was counted."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.frames")
    parser.add_argument("--profile", default="default")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    warn_if_busy()
    address = f"file://{html(given.profile) / 'book' / 'explore.html'}"
    speeds = [speed for speed in SPEEDS.values() for _ in range(given.runs)]
    wanted = {"address": address, "speeds": speeds, "chromium": chromium()}
    done = subprocess.run(
        [str(NODE), str(Path(__file__).with_name("frames.mjs"))],
        input=json.dumps({**wanted, "modules": str(FRONTEND)}),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout)
    results = {}
    for number, name in enumerate(SPEEDS):
        runs = told[number * given.runs : (number + 1) * given.runs]
        for counted in ("pictures", "steps"):
            found = [run[counted] / run["seconds"] for run in runs]
            results[f"{name}: {counted} per second"] = {
                "median": median(found), "least": min(found), "most": max(found)
            }  # fmt: skip
    for name, found in results.items():
        print(f"{name}: {found['median']:.0f} ({found['least']:.0f} to {found['most']:.0f})")
    settings = {"profile": given.profile, "runs": given.runs, "particles": 300, "steps": 500}
    write("frames", {**provenance(), "settings": settings, "results": results})


if __name__ == "__main__":
    main()
