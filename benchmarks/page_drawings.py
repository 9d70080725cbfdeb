"""How well, and how fast, the page follows scribbles.

    .venv/bin/python -m benchmarks.page_drawings [--out FILE.json] [--set epochs=500]

Four shapes over five seeds (tests/scribbles.py): four strokes train, three are kept. The distance
is DTW per point of the trajectory to the kept strokes, the median, over that of the training
strokes to them (the floor). Seconds are node's for a whole session, pictures on the way included,
and the CPU's for it, since other work on the machine slows the former. Needs node (the book's
packages).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ebmlib import Demonstrations
from ebmlib.evaluation.metrics import dtw_per_point

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import scribbles  # noqa: E402

RUNNER = ROOT / "tests" / "js" / "strokes.mjs"


def sessions(strokes: list[dict[str, Any]], settings: dict[str, float]) -> dict[str, Any]:
    """One training as the page does it."""
    from workflow.node import NODE

    call = {"name": "session", "strokes": strokes, "settings": settings, "slice": 50}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("in.json", "out.json")]
        engine = (ROOT / "ebmlib" / "widgets" / "js").as_uri()
        files[0].write_text(json.dumps({"folder": engine, "calls": [call]}))
        subprocess.run([str(NODE), str(RUNNER), *map(str, files)], check=True)
        told: dict[str, Any] = json.loads(files[1].read_text())[0]
    return told


def resampled(path: np.ndarray, scale: float) -> np.ndarray:
    """A path at 101 equal ticks from the origin, in the page's normalised units."""
    u, ticks = np.linspace(0, 1, len(path)), np.linspace(0, 1, 101)
    return scale * (np.stack([np.interp(ticks, u, c) for c in path.T], axis=1) - path[0])


def measure(shape: str, seed: int, changes: dict[str, float]) -> dict[str, Any]:
    """A row: distance over the floor, why it ended, seconds."""
    from ebmlib.widgets.recorder import TRAINING

    paths = scribbles.repetitions(shape, 7, seed)
    told = sessions(scribbles.strokes(paths[:4]), TRAINING | {"seed": seed} | changes)
    scale = float(Demonstrations.from_arrays(paths[:4], steps=100, scaling="together").scales[0])
    train, kept = ([resampled(p, scale) for p in some] for some in (paths[:4], paths[4:]))
    floor = np.median([dtw_per_point(one, other) for one in train for other in kept])
    last = np.reshape(told["trajectories"][-1][0], (-1, 2))
    far = np.median([dtw_per_point(last, other) for other in kept]) / floor
    return {
        "shape": shape,
        "seed": seed,
        "over_floor": round(float(far), 3),
        "ended": told["why"][0],
        "seconds": round(told["seconds"], 2),
        "cpu_seconds": round(told["cpuSeconds"], 2),
    }


def main() -> None:
    """Print a row as soon as it is there, then the summary; keep them with --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="+", default=[*scribbles.SHAPES])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    changes = {name: float(value) if "." in value or "e" in value else int(value)
               for name, value in (pair.split("=") for pair in options.set)}  # fmt: skip
    rows = []
    for shape in options.shapes:
        for seed in range(options.seeds):
            rows.append(measure(shape, seed, changes))
            print(json.dumps(rows[-1]), flush=True)
    far = [row["over_floor"] for row in rows]
    summary = {"median": float(np.median(far)), "worst": max(far), "settings": changes,
               "cpu_seconds": max(row["cpu_seconds"] for row in rows)}  # fmt: skip
    print(json.dumps(summary))
    if options.out:
        options.out.write_text(json.dumps({"summary": summary, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
