"""From rows to blocks, ranks and comparisons.

After Demsar, "Statistical comparisons of classifiers over multiple data sets", 2006.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ebmlib.errors import InputError
from thesis import evidence
from thesis.benchmark.problems import NAMES, SIZES
from thesis.benchmark.runner import ALL, FOLDER, Row, read

CONTROL = "exact-likelihood"
LEVEL = 0.05
NEARLY = 0.8
"""Share of the frozen methods that must have been run on a problem for it to count; a method that
is missing there is left out of everything."""
Block = tuple[str, int]


@dataclass(frozen=True)
class Rank:
    """Mean ranks of methods over blocks.

    Attributes:
        methods: best first.
        ranks: their mean ranks, 1 is best.
        critical: Nemenyi's critical difference.
        friedman: p of Friedman's test that all methods are alike.
        blocks: how many.
    """

    methods: tuple[str, ...]
    ranks: tuple[float, ...]
    critical: float
    friedman: float
    blocks: int


@dataclass(frozen=True)
class Comparison:
    """A method against the control over blocks.

    Attributes:
        method: which.
        ratio: geometric mean of KL over the control's.
        p: of Wilcoxon's signed-rank test.
        corrected: p after Holm's correction.
    """

    method: str
    ratio: float
    p: float
    corrected: float


@dataclass(frozen=True)
class Report:
    """Rows of the runs of one profile.

    Attributes:
        rows: all of them.
        frozen: the settings, by method.
    """

    rows: tuple[Row, ...]
    frozen: dict[str, dict[str, float]]

    @cached_property
    def methods(self) -> list[str]:
        """Those with a row for every block, in the order of families."""
        return [m for m in ALL if all(self.of(m, *block) for block in self.blocks)]

    @cached_property
    def blocks(self) -> list[Block]:
        """Problem and size, of those problems on which nearly every method has been run."""
        there = {(row["problem"], row["size"]) for row in self.rows}
        methods = set(self.frozen) or {row["method"] for row in self.rows}
        ran = {p: {r["method"] for r in self.rows if r["problem"] == p} for p in NAMES}
        done = {p for p in NAMES if len(ran[p] & methods) >= NEARLY * len(methods)}
        return [(p, n) for p in NAMES for n in SIZES if (p, n) in there and p in done]

    @property
    def seeds(self) -> int:
        """Runs of a method in a block."""
        return len({row["seed"] for row in self.rows})

    @cached_property
    def _by_block(self) -> dict[tuple[str, str, int], list[Row]]:
        found: dict[tuple[str, str, int], list[Row]] = {}
        for row in sorted(self.rows, key=lambda row: row["seed"]):
            found.setdefault((row["method"], row["problem"], row["size"]), []).append(row)
        return found

    def of(self, method: str, problem: str, size: int) -> list[Row]:
        """The rows of a method in a block, by seed."""
        return self._by_block.get((method, problem, size), [])

    def values(self, method: str, name: str, problem: str, size: int) -> NDArray[np.float64]:
        """A number of every seed; a diverged run has KL = I and no other number."""
        return np.array([value_of(row, name) for row in self.of(method, problem, size)])

    def log_kl(self, methods: Sequence[str] | None = None) -> NDArray[np.float64]:
        """Mean over seeds of log KL, (methods, blocks)."""
        return np.array(
            [
                [np.log(self.values(m, "kl", *b)).mean() for b in self.blocks]
                for m in (methods or self.methods)
            ]
        )

    def mean(self, method: str, name: str, problem: str, size: int) -> float:
        """Mean over the seeds that have the number; NaN if none has."""
        found = self.values(method, name, problem, size)
        found = found[np.isfinite(found)]
        return float(found.mean()) if len(found) else math.nan

    def failures(self, method: str) -> tuple[int, int]:
        """How many runs diverged, and how many were no better than the marginal beside them."""
        problems = {problem for problem, _ in self.blocks}
        own = [r for r in self.rows if r["method"] == method and r["problem"] in problems]
        diverged = sum(row["diverged"] for row in own)
        useless = sum(not row["diverged"] and row["kl"] >= row["information"] for row in own)
        return diverged, useless

    def rank(self) -> Rank:
        """Mean ranks, Friedman's test and Nemenyi's critical difference at 5 %."""
        methods = self.methods
        return ranked(methods, self.log_kl(methods))

    def against_control(self, control: str = CONTROL) -> list[Comparison]:
        """Every other method against one."""
        own = self.log_kl([control])[0]
        others = [m for m in self.methods if m != control]
        gaps = [row - own for row in self.log_kl(others)]
        p = [signed_rank(gap) for gap in gaps]
        return [
            Comparison(m, float(np.exp(gap.mean())), one, corrected)
            for m, gap, one, corrected in zip(others, gaps, p, holm(p), strict=True)
        ]


def value_of(row: Row, name: str) -> float:
    """A number of a row; of a diverged run KL is I, and what was not measured is NaN."""
    if name == "kl" and row["diverged"]:
        return float(row["information"])
    return float(row.get(name, math.nan))


def ranked(methods: Sequence[str], values: NDArray[np.float64]) -> Rank:
    """Ranks of values (methods, blocks), the lowest first; equal ones share theirs.

    The critical difference is q sqrt(k (k + 1) / 6 N), q being the upper 5 % point of the range of
    k standard normal variables, over sqrt 2.
    """
    k, n = values.shape
    mean = stats.rankdata(values, axis=0).mean(axis=1)
    q = float(stats.studentized_range.ppf(1 - LEVEL, k, np.inf)) / math.sqrt(2)
    order = np.argsort(mean, kind="stable")
    friedman = float(stats.friedmanchisquare(*values).pvalue) if k > 2 and n > 1 else math.nan
    return Rank(
        tuple(methods[i] for i in order),
        tuple(float(mean[i]) for i in order),
        q * math.sqrt(k * (k + 1) / (6 * n)),
        friedman,
        n,
    )


def signed_rank(gaps: NDArray[np.float64]) -> float:
    """P of Wilcoxon's two-sided signed-rank test; 1 where all gaps are 0."""
    return float(stats.wilcoxon(gaps).pvalue) if np.any(gaps != 0) else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """Values of p corrected for their number, in their order (:func:`thesis.evidence.holm`)."""
    numbered = {str(i): value for i, value in enumerate(p)}
    return list(evidence.holm(numbered).values())


@lru_cache(maxsize=4)
def load(profile: str = "committed", folder: Path = FOLDER) -> Report:
    """The rows of a profile.

    Raises:
        InputError: it was not run.
    """
    path = folder / f"{profile}-run.jsonl"
    if not path.exists():
        raise InputError(
            f"The benchmark has no rows {path.name} in {folder}; "
            f"python -m thesis benchmark run --profile {profile}."
        )
    frozen = json.loads((folder / f"{profile}-frozen.json").read_text(encoding="utf-8"))
    return Report(tuple(read(path)), frozen)
