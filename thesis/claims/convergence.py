"""Claims on chains that converge or only seem to (section 4.3.3, conclusion)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from ebmlib.sampling.starts import NoiseStart
from thesis.claim import Verdict, claim, judged, listed
from thesis.conditions import NOISE_GRID, condition
from thesis.evidence import Evidence, Ruling, all_of, any_of, by_parts, fact
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
    def drifts(self) -> Evidence:
        """Behind, on and past the demonstrated action."""
        return (
            self.before.below(1 - TOLERANCE)
            & self.at.within(1 - TOLERANCE, 1 + TOLERANCE)
            & self.after.above(1 + TOLERANCE)
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
    drifting = [cell for cell, name in cells.items() if stage(convergence, name).drifts.answer]
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
    statement="$K$ times the step scale comes to match $r_k$ when training converges.",
    number="summed gradient steps over the distance gained, at the end of training (reading 2)",
    unit="times",
    bound=(0.8, 1.25),
    merit="the ratio at the end of training, by two readings: (1) $K$ times a step of pure noise "
    "over the chain's path length $K R$; (2) the summed gradient steps over the distance from the "
    "chain's start to its end; the number is that of reading 2",
    rule="A reading holds if the ratio ends within 0.8 to 1.25 (the margin within which two "
    "lengths "
    "count as matching) and nearer to 1 than it began, on the circle, whose chains converge. "
    "Reproduced if both hold, in a stated range if one does, or if reading 2 does for a training "
    "whose chains do not converge.",
    tried="circle, $\\alpha$ 0.01 and 0.001, $K = 100$, 500 and 1000 epochs",
    studies=("step-scale",),
    figure="step-scale",
)
def c28(scale: Results) -> Verdict:
    """Both readings, on the circle and at a noise level whose chains do not converge."""
    usual, small = "architecture/figure-3-2", "noise/alpha-0.001-K-100"
    first = {name: _ratio(scale, name, "noise", "path") for name in (usual, small)}
    second = {name: _ratio(scale, name, "drift", "net") for name in (usual, small)}
    holds = [_comes_to_match(reading[usual]) for reading in (first, second)]
    number = estimate(second[usual][:, -1])
    begins, ends = (estimate(first[usual][:, k]) for k in (0, -1))
    reading = (
        f"$K$ noise steps match the path's length from the start ({begins.value:.2f}, at the end "
        f"{ends.value:.2f}), not because of training; the summed gradient steps come to "
        f"{number.text(2)} times the distance gained."
    )
    table = (
        ("", "begin", "end"),
        *(
            (f"reading {n}, {words}", *(estimate(r[name][:, k]).text(3) for k in (0, -1)))
            for words, name in (("$\\alpha = 0.01$", usual), ("$\\alpha = 0.001$", small))
            for n, r in ((1, first), (2, second))
        ),
    )
    ranges = {f"reading {n} on the circle": found for n, found in enumerate(holds, 1)}
    ranges["reading 2 where chains do not converge ($\\alpha = 0.001$)"] = _comes_to_match(
        second[small]
    )
    return judged(Ruling(all_of(holds), ranges), number, reading, before="by ", table=table)


@claim(
    "C29",
    section="4.3.3",
    page="experiments/non-converging",
    statement="A model trained at $K = 100$ is on target exactly at $K = 100$: behind at 46 steps, "
    "past it at 150.",
    number="progress of a chain towards the demonstrated action after $1.5\\,K$ steps",
    unit="1 is the demonstrated action",
    bound=(1.1, None),
    merit="signed progress of the chains' mean along the demonstrated action after $1.5\\,K$ steps "
    "(0 is the start, 1 the demonstrated action), $K = 100$, at the largest $\\alpha$ that shows "
    "the pattern, or at the preset's if none does",
    rule="A chain is behind, on or past its target if its progress is below 0.9, within 0.9 to 1.1 "
    "or above 1.1. A condition shows the pattern if it is behind at $0.46\\,K$, on target at $K$ "
    "and past it at $1.5\\,K$. Reproduced if the circle's preset shows it; in a stated range if "
    "other noise levels do at $K = 100$.",
    tried="circle, $\\alpha$ 0.001 to 0.02, $K$ 25 to 1000",
    studies=("convergence",),
    figure="4.8",
)
def c29(convergence: Results) -> Verdict:
    """The pattern at the preset, and where on the grid it appears."""
    preset = stage(convergence, "circle")
    cells = grid(convergence)
    stages = {cell: stage(convergence, name) for cell, name in cells.items()}
    drifting = [cell for cell, found in stages.items() if found.drifts.answer]
    at_100 = sorted(alpha for alpha, K in drifting if K == 100)
    shown = stages[max(at_100), 100] if at_100 else preset
    rows = {row["condition"]: relaxations(row) for row in convergence.rows if "s" in row}
    yes = [rows[cells[cell]] for cell in drifting]
    no = [rows[cells[cell]] for cell in stages if cell not in drifting]
    level = f"$\\alpha = {max(at_100):g}$" if at_100 else "the preset's noise level"
    reading = (
        f"At {level} a chain is at {shown.before.value:.2f} after 46 steps, {shown.at.value:.2f} "
        f"after 100 and {shown.after.value:.2f} after 150."
    )
    table = (
        ("Progress", "$0.46\\,K$", "$K$", "$1.5\\,K$"),
        *((words, *(each.text(2) for each in found[:3]))
          for words, found in (("preset, $\\alpha = 0.01$", preset), (level, shown))),
        ("conditions with the pattern", f"{len(drifting)} of {len(stages)}", "", ""),
        ("their $K$ over the relaxation time, largest", f"{max(yes):.2g}" if yes else "", "", ""),
        ("that of the others, smallest", f"{min(no):.2g}" if no else "", "", ""),
    )  # fmt: skip
    told = ", ".join(f"{alpha:g}" for alpha in at_100)
    others = any_of(found.drifts for (alpha, K), found in stages.items() if K == 100)
    ranges = {f"at $K = 100$ for $\\alpha = {told}$" if told else "at another noise level": others}
    parts = {"0.46 K": shown.before, "K": shown.at, "1.5 K": shown.after}
    number = preset.after if preset.drifts.answer else shown.after
    return judged(Ruling(preset.drifts, ranges), number, reading, table=table, parts=parts)


@claim(
    "C30",
    section="4.3.3",
    page="experiments/non-converging",
    statement="The dependence on the sampler needs about ten times the steps to go away.",
    number="how many times its $K$ a condition needs until the dependence is gone",
    unit="times",
    bound=(5.0, 20.0),
    merit="times its $K$ that a condition with the pattern of C29 needs at the same $\\alpha$ "
    "until "
    "the dependence is gone, median over these conditions",
    rule="The dependence is gone if the chains' mean is within 0.1 of its place at $K$ after "
    "$1.5\\,K$ and after $10\\,K$ steps ($4\\,K$ for $K = 1000$). Reproduced if every condition "
    "with the pattern needs 5 to 20 times its $K$ (the margin that counts as about ten), in a "
    "stated "
    "range if some do; those for which the grid has no $K$ that is large enough do not count.",
    tried="circle, $\\alpha$ 0.001 to 0.01, $K$ 25 to 200, $\\alpha = 0.0025$ also 400 and 1000",
    studies=("convergence",),
    figure="drift",
)
def c30(convergence: Results) -> Verdict:
    """Factors between the K of a drifting condition and that of one that stays."""
    by_seed = [free_factors(convergence, seed) for seed in convergence.seeds()]
    cells = [cell for cell in by_seed[0] if all(np.isfinite(found[cell]) for found in by_seed)]
    if not cells:
        reading = "No condition drifts at a $K$ that a larger one of the grid frees."
        return judged(Ruling(fact(False)), estimate([0.0]), reading)
    factors = {cell: estimate([found[cell] for found in by_seed]) for cell in sorted(cells)}
    number = estimate([np.median([found[cell] for cell in cells]) for found in by_seed])
    open_ends = len(by_seed[0]) - len(cells)
    holds = {
        f"at $\\alpha = {alpha:g}$ from $K = {K}$": factor.within(*TEN)
        for (alpha, K), factor in factors.items()
    }
    reading = (
        f"The conditions that can be judged need {min(f.value for f in factors.values()):.2g} to "
        f"{max(f.value for f in factors.values()):.2g} times their $K$; for {open_ends} more "
        f"no $K$ "
        "tried is large enough."
    )
    table = listed(
        *((f"$\\alpha = {alpha:g}$, $K = {K}$", factor.text())
          for (alpha, K), factor in factors.items()),
        head=("Condition", "Times its $K$ that it needs"),
    )  # fmt: skip
    parts = {f"α {alpha:g}, K {K}": factor for (alpha, K), factor in factors.items()}
    return judged(by_parts(holds), number, reading, table=table, parts=parts)


@claim(
    "C38",
    section="5",
    page="experiments/non-converging",
    statement="Noise starts together with $R$ tell whether a chain has converged.",
    number="balanced accuracy of what $R$ says",
    unit="0.5 is a coin, 1 always right",
    bound=(0.9, None),
    merit="balanced accuracy (mean of sensitivity and specificity; 0.5 is a coin) of what $R$ says "
    "against the exact answer, over all models trained with noise starts",
    rule="$R$ says converged if its last fifth is at least 2 % above the noise floor and moves by "
    "less than 2 %. The exact answer is yes if the excess total variation of the $K$-step chain to "
    "the model's exact density (0 for as many exact samples, 1 for nothing in common) is at most "
    "0.2. Reproduced if the balanced accuracy lies above 0.9; in a stated range if it does "
    "once $R$ "
    "must also lie within 5 % of its closed form on the data's scale.",
    tried="four data sets, $\\alpha$ 0.001 to 0.02, $K$ 20 to 1000",
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
    caught, spared = rates(noise)
    reading = (
        f"Of the chains that have converged $R$ recognises {100 * caught:.0f} %, of those "
        f"that have "
        f"not it rejects {100 * spared:.0f} %."
    )
    table = (
        ("", "models", "sensitivity", "specificity", "balanced accuracy"),
        ("$R$ alone", f"{len(noise)}", *_rates(noise, False), alone.text(2)),
        ("$R$ with its closed form as a ceiling", f"{len(noise)}", *_rates(noise, True),
         sharper.text(2)),
        ("$R$ alone, other starts", f"{len(other)}", *_rates(other, False), ""),
    )  # fmt: skip
    where = (
        "where $R$ is compared with its closed form, $1 / \\sqrt{1 - \\alpha^2 / 4 s^2}$ noise "
        "floors"
    )
    parts = {"R alone": alone, "with ceiling": sharper}
    ruling = Ruling(alone.above(0.9), {where: sharper.above(0.9)})
    return judged(ruling, alone, reading, table=table, parts=parts)


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


def _rates(rows: list[Row], closed: bool) -> tuple[str, str]:
    sensitivity, specificity = rates(rows, closed)
    told = "no chain failed" if np.isnan(specificity) else f"{specificity:.2f}"
    return f"{sensitivity:.2f}", told


def _ratio(scale: Results, name: str, above: str, below: str) -> np.ndarray:
    """Ratio of two lengths, (seeds, epochs)."""
    return scale.values(name, above) / scale.values(name, below)


def _comes_to_match(ratio: np.ndarray) -> Evidence:
    """The end within 0.8 to 1.25 and, in every seed's own terms, nearer to 1 than the begin."""
    first, last = (np.abs(np.log(np.maximum(ratio[:, k], 1e-9))) for k in (0, -1))
    return estimate(ratio[:, -1]).within(0.8, 1.25) & estimate(last - first).below(0)
