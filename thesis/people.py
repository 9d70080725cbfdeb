"""How well people's drawings are followed: a table of what ``benchmarks/drawings.py`` measured.

The drawings themselves are no part of the project; the numbers are, with their command.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ebmlib.errors import InputError

MEASURED = Path(__file__).parents[1] / "benchmarks" / "results" / "drawings.json"
COLUMNS = {
    "nats": "nats per action",
    "dtw": "rollout, DTW / floor",
    "dtw_draws": "draws, DTW / floor",
    "runaways": "runaways",
}
NAMES = {
    "recipe": "the recipe",
    "energy, position": "its energy, position alone",
    "energy, history": "its energy, position and last actions",
    "kernel, position": "kernel density, position alone",
    "kernel oriented, position": "the same, widths along and across",
    "kernel, history": "kernel density, position and last actions",
    "kernel oriented, history": "the same with last actions, widths along and across",
    "kernel, recipe's state": "kernel density, the recipe's state",
    "kernel oriented, recipe's state": "the same with the recipe's state, widths along and across",
}


@dataclass(frozen=True)
class People:
    """Means over shapes with 95 % bootstrap intervals, a row for every method.

    Attributes:
        record: the file as it was written.
    """

    record: dict[str, Any]

    @classmethod
    def measured(cls, path: Path = MEASURED) -> People:
        """What is committed.

        Raises:
            InputError: the file is not there.
        """
        if not path.is_file():
            raise InputError(
                f"There is no {path}; python -m benchmarks.drawings FOLDER writes it from a folder "
                "of shapes."
            )
        return cls(json.loads(path.read_text(encoding="utf-8")))

    @property
    def shapes(self) -> Sequence[str]:
        """Names of the shapes."""
        return [str(name) for name in self.record["shapes"]]

    def mean(self, method: str, column: str) -> tuple[float, float, float]:
        """Mean over shapes and its interval."""
        mean, low, high = self.record["summary"]["methods"][method][column]
        return float(mean), float(low), float(high)

    def gap(self, ours: str, theirs: str) -> tuple[float, float, float]:
        """Nats of one method less those of another, paired by shape, with its interval."""
        mean, low, high = self.record["summary"]["paired nats"][f"{ours} less {theirs}"]
        return float(mean), float(low), float(high)

    def _repr_markdown_(self) -> str:
        lines = [f"| | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 1) + "|"]
        for method in self.record["summary"]["methods"]:
            cells = []
            for column in COLUMNS:
                mean, low, high = self.mean(method, column)
                interval = f" [{low:.2f}, {high:.2f}]" if column != "runaways" else ""
                cells.append(f"{mean:.2f}{interval}")
            lines.append(f"| {NAMES.get(method, method)} | {' | '.join(cells)} |")
        return "\n".join(lines)


def text(estimate: tuple[float, float, float]) -> str:
    """``-0.07 [-0.12, -0.02]``."""
    mean, low, high = estimate
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]"
