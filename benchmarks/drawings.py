"""How well people's drawings are followed: the recipe and kernel densities on a folder of shapes.

    python -m benchmarks.drawings FOLDER [--seeds 3] [--methods NAME ...] [--out FILE.json]

FOLDER holds a folder for every shape, with one demonstration in every .npy file, (1, N, 2), y
downwards. The protocol is that of ``ebmlib/comparison/protocol.py``: 100 steps uniform in the
samples, four demonstrations train, three are kept. What is written are numbers, no curves.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import RESULTS, provenance, warn_if_busy
from ebmlib.comparison.methods import Kernels, Recipe
from ebmlib.comparison.protocol import Method, Row, Split, measure, read_shape
from ebmlib.recipe import TRAINING

METHODS: dict[str, Method] = {
    "recipe": Recipe(),
    "energy, position": Recipe("position", epochs=TRAINING.epochs),
    "energy, history": Recipe("position+mean3", epochs=TRAINING.epochs),
    "kernel, position": Kernels("position"),
    "kernel oriented, position": Kernels("position", oriented=True),
    "kernel, history": Kernels("position+mean3"),
    "kernel oriented, history": Kernels("position+mean3", oriented=True),
    "kernel, recipe's state": Kernels(None),
    "kernel oriented, recipe's state": Kernels(None, oriented=True),
}
PAIRS = (
    ("energy, position", "kernel, position"),
    ("energy, position", "kernel oriented, position"),
    ("energy, history", "kernel, history"),
    ("energy, history", "kernel oriented, history"),
    ("recipe", "kernel, recipe's state"),
    ("recipe", "kernel oriented, recipe's state"),
)
COLUMNS = ("nats", "dtw", "dtw_draws", "frechet", "branch", "runaways", "seconds")


def interval(values: Sequence[float], draws: int = 2000) -> tuple[float, float, float]:
    """Mean and a 95 % bootstrap interval over shapes (seeds are averaged before)."""
    found = np.array([value for value in values if not math.isnan(value)])
    if len(found) == 0:
        return math.nan, math.nan, math.nan
    rng = np.random.default_rng(0)
    means = found[rng.integers(len(found), size=(draws, len(found)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(found.mean()), float(low), float(high)


def over_seeds(rows: Sequence[Row], method: str, column: str) -> dict[str, float]:
    """Mean over seeds of a column, by shape."""
    shapes = sorted({row.shape for row in rows})
    return {
        shape: float(
            np.mean([getattr(r, column) for r in rows if (r.shape, r.method) == (shape, method)])
        )
        for shape in shapes
    }


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Means over shapes with intervals, worst shapes, and differences paired by shape."""
    table: dict[str, Any] = {}
    for name in dict.fromkeys(row.method for row in rows):
        table[name] = {column: interval(list(over_seeds(rows, name, column).values()))
                       for column in COLUMNS}  # fmt: skip
        of_shape = over_seeds(rows, name, "dtw")
        table[name]["dtw_median"] = float(np.median(list(of_shape.values())))
        table[name]["dtw_worst"] = max((value, shape) for shape, value in of_shape.items())
        table[name]["dtw_worst_of_a_seed"] = max(r.dtw for r in rows if r.method == name)
    paired = {}
    for ours, theirs in PAIRS:
        if ours in table and theirs in table:
            a, b = (over_seeds(rows, name, "nats") for name in (ours, theirs))
            paired[f"{ours} less {theirs}"] = interval([a[shape] - b[shape] for shape in a])
    return {"methods": table, "paired nats": paired}


def read_rows(path: Path | None) -> dict[tuple[str, str, int], Row]:
    """Rows that were measured before, by shape, method and seed."""
    if path is None or not path.exists():
        return {}
    rows = [Row(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(row.shape, row.method, row.seed): row for row in rows}


def write_row(path: Path | None, row: Row) -> None:
    """Keep a row."""
    if path is not None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(row)) + "\n")


def show(made: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"\n{'':34}" + "".join(f"{c:>22}" for c in COLUMNS) + f"{'worst shape':>24}")
    for name, row in made["methods"].items():
        cells = []
        for column in COLUMNS:
            mean, low, high = row[column]
            cells.append("" if math.isnan(mean) else f"{mean:.3g} [{low:.3g}, {high:.3g}]")
        worst, shape = row["dtw_worst"]
        print(f"{name:34}" + "".join(f"{cell:>22}" for cell in cells) + f"{worst:>14.2f} {shape}")
    for name, (mean, low, high) in made["paired nats"].items():
        print(f"{name:60} {mean:+.3f} [{low:+.3f}, {high:+.3f}] nats")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--out", type=Path, default=RESULTS / "drawings.json")
    parser.add_argument("--rows", type=Path, help="rows that are done: a killed run goes on there")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    warn_if_busy()
    folders = sorted(path for path in settings.folder.iterdir() if path.is_dir())
    splits = [Split.of(folder.name, read_shape(folder)) for folder in folders]
    kept = read_rows(settings.rows)
    rows: list[Row] = []
    for seed in range(settings.seeds):
        for split in splits:
            for name in settings.methods:
                method = METHODS[name]
                if seed > 0 and not isinstance(method, Recipe):
                    continue
                row = kept.get((split.name, name, seed))
                if row is None:
                    row = measure(split, name, method, seed)
                    write_row(settings.rows, row)
                rows.append(row)
                print(
                    f"{row.shape:12} {name:32} seed {seed}  nats {row.nats:6.3f}  dtw "
                    f"{row.dtw:5.2f}  draws {row.dtw_draws:5.2f}  branch {row.branch:5.2f}  share "
                    f"{row.shares[0]:.2f} of {row.shares[1]:.2f}  away {row.runaways:.2f}  "
                    f"{row.seconds:5.1f} s  {row.choice}",
                    flush=True,
                )
    made = summary(rows)
    show(made)
    record = provenance() | {
        "command": f"python -m benchmarks.drawings FOLDER --seeds {settings.seeds}",
        "methods": settings.methods,
        "threads": settings.threads,
        "shapes": sorted({row.shape for row in rows}),
        "summary": made,
        "rows": [dataclasses.asdict(row) for row in rows],
    }
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    settings.out.write_text(json.dumps(_plain(record), indent=1) + "\n", encoding="utf-8")
    print(f"\nWritten to {settings.out}")


def _plain(value: Any) -> Any:
    """NaN as null: JSON has none."""
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 5)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value


if __name__ == "__main__":
    main()
