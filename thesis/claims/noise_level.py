"""Claims on tuning the noise level of the sampler (section 4.3.1)."""

from __future__ import annotations

import numpy as np

from thesis.claim import IN_RANGE, NOT_REPRODUCED, REPRODUCED, Verdict, claim
from thesis.conditions import DATASETS, condition
from thesis.runs import sampler_of
from thesis.statistics import Estimate, estimate
from thesis.study import Results, Row

PAGE = "experiments/noise-level"
GRID = "circle, alpha 0.001 to 0.02 (0.11 to 2.2 s), K 25 to 200, 500 epochs"
LONG = (100, 200)
"""Numbers of steps K at which chains have the time to arrive at alpha of about s."""

TOO_HIGH = 1.5
"""A noise level above so many s is too high: a chain's variance is over twice the target's."""


def steps_of(row: Row) -> int:
    """K of a condition of the noise grid."""
    return sampler_of(condition(row["condition"])).steps


def too_high(row: Row) -> bool:
    """Whether a training's noise level is above 1.5 s."""
    return bool(row["alpha_over_s"] > TOO_HIGH)


def wide_at_the_mean(row: Row) -> bool:
    """The thesis's sign: means close (below s), variance large (above 2), from epoch 200 on."""
    seen = [
        gap < 1 and ratio > 2
        for epoch, gap, ratio in zip(
            row["epochs"], row["mean_gap"], row["variance_ratio"], strict=True
        )
        if epoch >= 200
    ]
    return bool(seen) and all(seen)


def passing(found: list[Row]) -> int:
    """How many of the trainings pass the sanity check at 99 %."""
    return sum(row["start_inside"] >= 0.99 and row["end_inside"] >= 0.99 for row in found)


def escape_at(escape: Results, condition: str, alpha_over_s: float) -> Estimate:
    """Escape share at the sampled noise level nearest to ``alpha_over_s``, over seeds."""
    places = escape.values(condition, "alphas_over_s")
    shares = escape.values(condition, "escaped")
    nearest = np.abs(places[0] - alpha_over_s).argmin()
    return estimate(shares[:, nearest])


@claim(
    "C22",
    section="4.3.1",
    page=PAGE,
    statement="A noise level that is too high drives chains out of the mode even when started "
    "there.",
    merit="Share of chains, started at the demonstrated mean action, that are farther than 4 s "
    "from it after 100 steps at the sampled noise level nearest to 2 s, 1.88 s (s: the data's own "
    "scale, in its narrowest direction)",
    rule="Reproduced if the share is below 5 % at alpha = s / 2, above 50 % at the stability limit "
    "2 s, and of the chains that are out at half time fewer than half are back at the end there "
    "(each at the sampled level nearest to it). "
    "In a stated range if the two shares are passed, and chains do not come back, from a higher "
    "sampled noise level on.",
    tried="one trained circle (alpha 0.01, K 100) sampled at alpha 0.0025 to 0.03",
    studies=("escape",),
    figure="noise-escape",
)
def c22(escape: Results) -> Verdict:
    """Escape share below and at the stability limit."""
    low, high = (escape_at(escape, "circle", place) for place in (0.5, 2.0))
    places = escape.values("circle", "alphas_over_s")[0]
    near = [places[np.abs(places - place).argmin()] for place in (0.5, 2.0)]
    back = escape.values("circle", "returned")[:, np.abs(places - 2.0).argmin()]
    returned = estimate(np.nan_to_num(back, nan=1.0))
    reading = (
        f"{100 * low.value:.1f} % of the chains are out of the mode at {near[0]:.2f} s and "
        f"{100 * high.value:.0f} % at {near[1]:.2f} s; of those that are out at half time, "
        f"{100 * returned.value:.0f} % are back at the end."
    )
    if low.high >= 0.05:
        return Verdict(NOT_REPRODUCED, high, reading)
    if high.low > 0.5 and returned.high < 0.5:
        return Verdict(REPRODUCED, high, reading)
    away = [
        place
        for place, out, in_ in zip(
            places,
            escape.values("circle", "escaped").T,
            escape.values("circle", "returned").T,
            strict=True,
        )
        if estimate(out).low > 0.5 and estimate(np.nan_to_num(in_, nan=1.0)).high < 0.5
    ]
    if not away:
        return Verdict(NOT_REPRODUCED, high, reading)
    last = ", the largest sampled" if min(away) == max(places) else " on"
    where = f"from alpha = {min(away):.1f} s{last}"
    return Verdict(IN_RANGE, high, reading, where=where)


@claim(
    "C23",
    section="4.3.1",
    page=PAGE,
    statement="Sanity check: initial actions lie within 10 alpha of the state (Eq 4.1), and after "
    "100 steps within B_eps.",
    merit="Share of chain ends in B_eps, the smallest over the data sets",
    rule="Reproduced if on every data set at least 99 % of the starts lie in B_10alpha and at "
    "least 99 % of the chain ends in B_eps (lower ends of the intervals).",
    tried="path1, circle, mouse1 (K 256) and mouse2 at alpha 0.01; and " + GRID,
    studies=("sanity", "noise-level"),
    figure="4.3",
)
def c23(sanity: Results, noise_level: Results) -> Verdict:
    """The two shares, and whether the check tells good noise levels from bad ones."""
    starts = [estimate(sanity.values(name, "start_inside")) for name in DATASETS]
    found = [estimate(sanity.values(name, "end_inside")) for name in DATASETS]
    worst = min(found, key=lambda share: share.low)
    grid = noise_level.completed()
    chains = [row for row in grid if row["mean_gap"][-1] > 3 or row["variance_ratio"][-1] > 3]
    density = [row for row in grid if row["density_mean_gap"] > 3]
    reading = (
        f"{100 * min(share.value for share in starts):.1f} % of the starts and "
        f"{100 * worst.value:.1f} % of the ends pass, at least. Over the noise level the check "
        f"passes {passing(chains)} of the {len(chains)} trainings (of {len(grid)}) whose chains "
        "miss the demonstrated actions (mean off by over 3 s, or over three times their variance), "
        f"and {passing(density)} of the {len(density)} whose exact density has its mean off by "
        "over 3 s."
    )
    holds = worst.low >= 0.99 and min(share.low for share in starts) >= 0.99
    return Verdict(REPRODUCED if holds else NOT_REPRODUCED, worst, reading)


@claim(
    "C24",
    section="4.3.1",
    page=PAGE,
    statement="Means close but variance large for many epochs: the noise level is too high.",
    merit="Share of trainings in which the sign (from epoch 200 to 500 the mean is off by less "
    "than s and the variance is over twice the data's) tells a noise level above 1.5 s from a "
    "lower one",
    rule="Reproduced if over 90 % of the trainings with K of 100 and more are told right, above "
    "and below 1.5 s each. In a stated range if at the first measurement (epoch 100) alone every "
    "mean above 1.5 s is off by less than s and every variance there is larger than all below.",
    tried="circle, alpha 0.001 to 0.02 (0.11 to 2.2 s), K 100 and 200, 500 epochs",
    studies=("noise-level",),
    figure="noise-gap",
)
def c24(noise_level: Results) -> Verdict:
    """The sign against the noise level."""
    classified: dict[bool, list[bool]] = {True: [], False: []}
    by_seed: dict[int, list[bool]] = {}
    long = [row for row in noise_level.completed() if steps_of(row) in LONG]
    for row in long:
        high_ = too_high(row)
        right = wide_at_the_mean(row) == high_
        classified[high_].append(right)
        by_seed.setdefault(row["seed"], []).append(right)
    share = estimate([float(np.mean(right)) for right in by_seed.values()])
    above, below = (
        float(np.mean(classified[True] or [False])),
        float(np.mean(classified[False] or [False])),
    )
    high, low = ([row for row in long if too_high(row) == side] for side in (True, False))
    first = estimate([row["variance_ratio"][0] for row in high])
    last = estimate([row["mean_gap"][-1] for row in high])
    largest = max(row["variance_ratio"][0] for row in low)
    reading = (
        f"The sign appears in {100 * above:.0f} % of the {len(classified[True])} trainings above "
        f"1.5 s and is absent from {100 * below:.0f} % of the {len(classified[False])} below. "
        f"Above, the variance is {first.text()} times the data's at epoch 100 (below, "
        f"{largest:.2g} at most) "
        f"and the mean is off by {last.text(2)} s at the end."
    )
    if above > 0.9 and below > 0.9:
        return Verdict(REPRODUCED, share, reading)
    close = all(row["mean_gap"][0] < 1 for row in high)
    if close and min(row["variance_ratio"][0] for row in high) > largest:
        return Verdict(IN_RANGE, share, reading, where="at epoch 100, before training runs away")
    return Verdict(NOT_REPRODUCED, share, reading)


def cell(noise_level: Results, alpha: float, steps: int, quantity: str) -> Estimate | None:
    """A quantity at the end of training in one cell of the grid; None if all trainings diverged."""
    name = f"noise/alpha-{alpha:g}-K-{steps}"
    found = [row[quantity] for row in noise_level.completed() if row["condition"] == name]
    values = [value[-1] if isinstance(value, list) else value for value in found]
    return estimate(values) if values else None
