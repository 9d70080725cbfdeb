"""Claims on chains that converge or only seem to (section 4.3.3, conclusion)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ebmlib.sampling.starts import NoiseStart
from thesis.claim import IN_RANGE, NOT_REPRODUCED, REPRODUCED, Verdict, claim
from thesis.conditions import NOISE_GRID, condition
from thesis.statistics import Estimate, estimate
from thesis.study import Results, Row

TOLERANCE = 0.1
"""A chain is on target while its mean is within 10 % of the demonstrated action: less than the
data's own scale s, which is 15 % of a step."""

EXCESS = 0.2
"""The chain's distribution is the model's if its total variation to the exact density lies at most
so far on the way from that of as many exact samples (0) to 1."""

TEN = (5, 20)
"""What counts as about ten times."""

ABOVE, FLAT, CLOSED = 1.02, 0.02, 1.05
"""R's verdict: at least 2 % above the floor, and a last fifth that moves by less than 2 %; with the
closed form: also at most 5 % above the R of a converged chain on the data's scale."""


class Stage(NamedTuple):
    """Where the chains of a condition are at 0.46 K, at K and at 1.5 K, over seeds."""

    before: Estimate
    at: Estimate
    after: Estimate
    long: Estimate

    @property
    def drifts(self) -> bool:
        """Behind, on and past the demonstrated action, by the ends of the intervals."""
        return (
            self.before.high < 1 - TOLERANCE
            and self.at.low >= 1 - TOLERANCE
            and self.at.high <= 1 + TOLERANCE
            and self.after.low > 1 + TOLERANCE
        )

    @property
    def stays(self) -> bool:
        """At 1.5 K and at the end of the long chain still where it was at K."""
        later = (self.after.value, self.long.value)
        return all(abs(value - self.at.value) < TOLERANCE for value in later)


_STAGE = ("progress_before", "progress_at", "progress_after", "progress_long")


def stage(convergence: Results, name: str) -> Stage:
    """The stage of a condition."""
    return Stage(*(estimate(convergence.values(name, quantity)) for quantity in _STAGE))


def one(convergence: Results, name: str, seed: int) -> Stage:
    """The stage of a condition in one seed."""
    place = convergence.seeds(name).index(seed)
    return Stage(*(estimate(convergence.values(name, quantity)[place]) for quantity in _STAGE))


def grid(convergence: Results) -> dict[tuple[float, int], str]:
    """(alpha, K) -> condition, for the noise levels whose chains are stable on the data."""
    rows = [row for row in convergence.rows if row["condition"] in NOISE_GRID]
    stable = [row for row in rows if "alpha" in row and row["alpha"] < 2 * row["s"]]
    return {(row["alpha"], row["K"]): row["condition"] for row in stable}


def relaxations(row: Row) -> float:
    """K over the relaxation time 2 s^2 / alpha^2 of a chain on the data's scale s."""
    return float(row["K"] * row["alpha"] ** 2 / (2 * row["s"] ** 2))


def free_factors(convergence: Results, seed: int) -> dict[tuple[float, int], float]:
    """For every drifting condition: how many times its K the dependence takes to go away.

    That is the smallest K on the grid, at the same alpha, whose chains stay in this seed, over the
    condition's own K; inf where the grid has none.
    """
    cells = grid(convergence)
    drifting = [cell for cell, name in cells.items() if stage(convergence, name).drifts]
    stays = {cell: one(convergence, name, seed).stays for cell, name in cells.items()}
    return {
        (alpha, K): min(
            (other / K for (same, other), free in stays.items() if free and same == alpha),
            default=float("inf"),
        )
        for alpha, K in drifting
    }


@claim(
    "C28",
    section="4.3.3",
    page="experiments/non-converging",
    statement="K times the step scale comes to match r_k when training converges.",
    merit="the ratio at the end of training, by two readings: (1) K times a step of pure noise "
    "over the chain's path length K R; (2) the summed gradient steps over the distance from the "
    "chain's start to its end; the number is that of reading 2",
    rule="A reading holds if the ratio ends within 0.8 to 1.25 and nearer to 1 than it began, on "
    "the circle, whose chains converge. Reproduced if both hold, in a stated range if one does, "
    "or if one does for a training whose chains do not converge.",
    tried="circle, alpha 0.01 and 0.001, K 100, 500 and 1000 epochs",
    studies=("step-scale",),
    figure="step-scale",
)
def c28(scale: Results) -> Verdict:
    """Both readings, on the circle and at a noise level whose chains do not converge."""
    usual, small = "architecture/figure-3-2", "noise/alpha-0.001-K-100"
    first = {name: _ratio(scale, name, "noise", "path") for name in (usual, small)}
    second = {name: _ratio(scale, name, "drift", "net") for name in (usual, small)}
    holds = [_comes_to_match(reading[usual]) for reading in (first, second)]
    elsewhere = _comes_to_match(second[small])
    number = estimate(second[usual][:, -1])
    (a, b), (c, d) = ([estimate(r[usual][:, k]).value for k in (0, -1)] for r in (first, second))
    e = estimate(second[small][:, -1]).value
    reading = (
        f"Reading 1 begins at {a:.3f} and ends at {b:.3f}: it matches from the start and not "
        f"because of training. Reading 2 begins at {c:.3f} and ends at {d:.1f}. At alpha 0.001, "
        f"where chains do not converge, reading 2 ends at {e:.2f}."
    )
    if all(holds):
        return Verdict(REPRODUCED, number, reading)
    where = [f"reading {n} on the circle" for n, fine in enumerate(holds, 1) if fine]
    where += ["reading 2 where chains do not converge (alpha 0.001)"] if elsewhere else []
    if where:
        return Verdict(IN_RANGE, number, reading, "; ".join(where))
    return Verdict(NOT_REPRODUCED, number, reading)


@claim(
    "C29",
    section="4.3.3",
    page="experiments/non-converging",
    statement="A model trained at K = 100 is on target exactly at K = 100: behind at 46 steps, "
    "past it at 150.",
    merit="signed progress of the chains' mean along the demonstrated action after 1.5 K steps (0 "
    "is the start, 1 the demonstrated action), K = 100, at the largest alpha that shows the "
    "pattern, or at the preset's if none does",
    rule="A chain is behind, on or past its target if its progress is below 0.9, within 0.9 to 1.1 "
    "or above 1.1. A condition shows the pattern if the 95 % intervals are behind at 0.46 K, on "
    "target at K and past it at 1.5 K. Reproduced if the circle's preset shows it; in a stated "
    "range if other noise levels do at K = 100.",
    tried="circle, alpha 0.001 to 0.02, K 25 to 1000",
    studies=("convergence",),
    figure="4.8",
)
def c29(convergence: Results) -> Verdict:
    """The pattern at the preset, and where on the grid it appears."""
    preset = stage(convergence, "circle")
    cells = grid(convergence)
    stages = {cell: stage(convergence, name) for cell, name in cells.items()}
    drifting = [cell for cell, found in stages.items() if found.drifts]
    at_100 = [alpha for alpha, K in drifting if K == 100]
    shown = stages[max(at_100), 100] if at_100 else preset
    rows = {row["condition"]: relaxations(row) for row in convergence.rows if "s" in row}
    yes = [rows[cells[cell]] for cell in drifting]
    no = [rows[cells[cell]] for cell in stages if cell not in drifting]
    reading = (
        f"At alpha 0.01 the progress is {preset.before.value:.2f}, {preset.at.value:.2f} and "
        f"{preset.after.value:.2f} after 46, 100 and 150 steps. "
    )
    if at_100:
        reading += (
            f"At alpha {max(at_100):g} it is {shown.before.value:.2f}, {shown.at.value:.2f} and "
            f"{shown.after.value:.2f}. "
        )
    if drifting:
        reading += (
            f"{len(drifting)} of {len(stages)} stable cells of the grid show the pattern, all with "
            f"K up to {max(yes):.1f} relaxation times 2 s^2 / alpha^2 of the chain"
            + (f"; the others have {min(no):.1f} and more." if no else ".")
        )
    if preset.drifts:
        return Verdict(REPRODUCED, preset.after, reading)
    if at_100:
        where = f"at K = 100 for alpha {', '.join(f'{alpha:g}' for alpha in sorted(at_100))}"
        return Verdict(IN_RANGE, shown.after, reading, where)
    return Verdict(NOT_REPRODUCED, preset.after, reading)


@claim(
    "C30",
    section="4.3.3",
    page="experiments/non-converging",
    statement="The dependence on the sampler needs about ten times the steps to go away.",
    merit="times its K that a condition with the pattern of C29 needs at the same alpha until the "
    "dependence is gone, median over these conditions",
    rule="The dependence is gone if the chains' mean is within 0.1 of its place at K after 1.5 K "
    "and after 10 K steps (4 K for K = 1000). Reproduced if every condition with the pattern needs "
    "5 to 20 times its K, in a stated range if some do; those for which the grid has no K that is "
    "large enough do not count.",
    tried="circle, alpha 0.001 to 0.01, K 25 to 200, alpha 0.0025 also 400 and 1000",
    studies=("convergence",),
    figure="drift",
)
def c30(convergence: Results) -> Verdict:
    """Factors between the K of a drifting condition and that of one that stays."""
    by_seed = [free_factors(convergence, seed) for seed in convergence.seeds()]
    cells = [cell for cell in by_seed[0] if all(np.isfinite(found[cell]) for found in by_seed)]
    if not cells:
        reading = "No condition drifts at a K that a larger one of the grid frees; the number is 0."
        return Verdict(NOT_REPRODUCED, estimate([0.0]), reading)
    factors = {cell: float(np.median([found[cell] for found in by_seed])) for cell in cells}
    number = estimate([np.median([found[cell] for cell in cells]) for found in by_seed])
    about = [cell for cell, factor in factors.items() if TEN[0] <= factor <= TEN[1]]
    each = "; ".join(
        f"alpha {alpha:g}, K {K}: {factor:g}" for (alpha, K), factor in sorted(factors.items())
    )
    open_ends = len(by_seed[0]) - len(cells)
    reading = (
        f"Times K needed: {each}. For {open_ends} more drifting conditions the grid has no K that "
        "is large enough."
    )
    if len(about) == len(cells):
        return Verdict(REPRODUCED, number, reading)
    if about:
        where = "; ".join(f"alpha {alpha:g} from K {K}" for alpha, K in sorted(about))
        return Verdict(IN_RANGE, number, reading, where)
    return Verdict(NOT_REPRODUCED, number, reading)


@claim(
    "C38",
    section="5",
    page="experiments/non-converging",
    statement="Noise starts together with R tell whether a chain has converged.",
    merit="balanced accuracy (mean of sensitivity and specificity; 0.5 is a coin) of R's verdict "
    "against the exact one, over all models trained with noise starts",
    rule="R says converged if its last fifth is at least 2 % above the noise floor and moves by "
    "less than 2 %. The exact answer is yes if the excess total variation of the K-step chain to "
    "the model's exact density (0 for as many exact samples, 1 for nothing in common) is at most "
    "0.2. Reproduced if the 95 % interval of the balanced accuracy lies above 0.9; in a stated "
    "range if it does once R must also lie within 5 % of its closed form on the data's scale.",
    tried="four data sets, alpha 0.001 to 0.02, K 20 to 1000",
    studies=("convergence",),
    figure="verdict-of-R",
)
def c38(convergence: Results) -> Verdict:
    """Sensitivity and specificity, with R alone and with its closed form."""
    rows = [row for row in convergence.rows if "excess" in row]
    noise = [row for row in rows if noise_started(row)]
    other = [row for row in rows if not noise_started(row)]
    alone = estimate(by_seed(noise, closed=False))
    sharper = estimate(by_seed(noise, closed=True))
    reading = (
        f"Over {len(noise)} models R's verdict has {_rates(noise, False)}; with the closed form as "
        f"a ceiling {_rates(noise, True)}, balanced accuracy {sharper.text()}. Over {len(other)} "
        f"models with other starts R alone has {_rates(other, False)}."
    )
    if alone.low > 0.9:
        return Verdict(REPRODUCED, alone, reading)
    if sharper.low > 0.9:
        where = "where R is compared with its closed form, 1 / sqrt(1 - alpha^2 / 4 s^2) floors"
        return Verdict(IN_RANGE, alone, reading, where)
    return Verdict(NOT_REPRODUCED, alone, reading)


def noise_started(row: Row) -> bool:
    """Whether the model was trained with chains from noise."""
    return getattr(condition(row["condition"]).objective, "start", None) == NoiseStart()


def exact_says(row: Row) -> bool:
    """Whether the K-step chain has the model's exact density."""
    return row["excess"] is not None and row["excess"] <= EXCESS


def R_says(row: Row, closed: bool = False) -> bool:
    """R's verdict; with ``closed``, R must not exceed its closed form by more than 5 %."""
    plateau, change, ceiling = row["R_plateau"], row["R_change"], row["R_closed"]
    if plateau is None or change is None or not (plateau > ABOVE and abs(change) < FLAT):
        return False
    return not closed or (ceiling is not None and plateau <= CLOSED * ceiling)


def rates(rows: Iterable[Row], closed: bool = False) -> tuple[float, float]:
    """Sensitivity and specificity of R's verdict; NaN where no model could show it."""
    said: dict[bool, list[bool]] = {True: [], False: []}
    for row in rows:
        said[exact_says(row)].append(R_says(row, closed))
    right = said[True], [not answer for answer in said[False]]
    sensitivity, specificity = (float(np.mean(r)) if r else float("nan") for r in right)
    return sensitivity, specificity


def by_seed(rows: list[Row], closed: bool) -> list[float]:
    """Balanced accuracy of every seed."""
    seeds = sorted({row["seed"] for row in rows})
    return [
        float(np.nanmean(rates((row for row in rows if row["seed"] == seed), closed)))
        for seed in seeds
    ]


def _rates(rows: list[Row], closed: bool) -> str:
    sensitivity, specificity = rates(rows, closed)
    if np.isnan(specificity):
        return f"sensitivity {sensitivity:.2f} (no chain failed)"
    return f"sensitivity {sensitivity:.2f} and specificity {specificity:.2f}"


def _ratio(scale: Results, name: str, above: str, below: str) -> np.ndarray:
    """Ratio of two lengths, (seeds, epochs)."""
    return scale.values(name, above) / scale.values(name, below)


def _comes_to_match(ratio: np.ndarray) -> bool:
    """The end within 0.8 to 1.25 (both ends of the interval) and nearer to 1 than the begin."""
    first, last = estimate(ratio[:, 0]), estimate(ratio[:, -1])
    nearer = abs(np.log(max(last.value, 1e-9))) < abs(np.log(max(first.value, 1e-9)))
    return bool(last.low >= 0.8 and last.high <= 1.25 and nearer)
