"""Claims on the training dynamic and on the mean step R (sections 4.3.2 and 4.3.3)."""

from __future__ import annotations

import numpy as np

from thesis.claim import IN_RANGE, NOT_REPRODUCED, REPRODUCED, Verdict, by_parts, claim
from thesis.claims.convergence import EXCESS
from thesis.conditions import DATASETS
from thesis.statistics import Estimate, estimate
from thesis.study import Results

LAYERS = ("FE_x", "FE_a", "FCN[0]", "FCN[1]", "FCN[2]", "FCN[3]")

RETURNED, FIRST, ALTERNATES = 0.10, 0.05, (0.2, 0.8)
"""C25: late mean and first loss over the depth of the minimum; share of late epochs below 0."""

CORRELATED = 0.3
"""C26: from here on a rank correlation counts as one."""

SETTLES, STILL = (825, 1375), 0.05
"""C31: epochs that count as near 1100; a last fifth that moves by less of the rise is flat."""


@claim(
    "C25",
    section="4.3.2",
    page="experiments/dynamic",
    statement="In every model that converges the loss starts at 0, falls, and returns to oscillate "
    "around 0.",
    merit="mean loss of the second half of the epochs over the depth of the loss's minimum (0: it "
    "is back), the largest of the four data sets",
    rule="Reproduced if in each of the four data sets the first loss is within 5 % of the depth of "
    "the minimum, the minimum is deeper than five standard deviations of the late loss, the mean "
    "of the second half is within 10 % of the depth, and 20 to 80 % of its epochs are below 0.",
    tried="path1, circle, mouse1 (K 256), mouse2; alpha 0.01, K 100, 1000 to 1500 epochs",
    studies=("dynamics",),
    figure="4.5",
)
def c25(dynamics: Results) -> Verdict:
    """The three phases of the loss in every data set."""
    back, holds = [], {}
    for name in DATASETS:
        depth = np.abs(dynamics.values(name, "loss_lowest"))
        back.append(np.abs(dynamics.values(name, "loss_late_mean")) / depth)
        negative = estimate(dynamics.values(name, "loss_late_negative")).value
        holds[name] = (
            estimate(np.abs(dynamics.values(name, "loss_first")) / depth).value <= FIRST
            and bool((depth > 5 * dynamics.values(name, "loss_late_spread")).all())
            and estimate(back[-1]).high <= RETURNED
            and ALTERNATES[0] <= negative <= ALTERNATES[1]
        )
    number = estimate(np.max(back, axis=0))
    epochs = [estimate(dynamics.values(name, "loss_lowest_epoch")).value for name in DATASETS]
    lengths = f"{min(epochs):.0f} to {max(epochs):.0f}"
    reading = (
        f"The loss is lowest at epoch {lengths}, not at half of the epochs as the thesis draws it; "
        f"the mean of the second half is at most {100 * number.value:.1f} % of that depth."
    )
    return by_parts(holds, number, reading)


@claim(
    "C26",
    section="4.3.2",
    page="experiments/dynamic",
    statement="The gradient norm of every layer grows with the magnitude of the loss.",
    merit="Spearman's rank correlation between the magnitude of the loss and a layer's gradient "
    "norm over the whole training, both averaged over ten epochs; the smallest of six layers and "
    "four data sets",
    rule="Reproduced if the 95 % interval lies above 0.3 for every layer and data set; in a stated "
    "range if that holds for every layer while the loss falls (up to its minimum), or over the "
    "whole training for some layers in all data sets.",
    tried="path1, circle, mouse1 (K 256), mouse2; Figure 3.2 without spectral normalisation",
    studies=("dynamics",),
    figure="gradient-norms",
)
def c26(dynamics: Results) -> Verdict:
    """Which layers follow the loss, over the training and while the loss falls."""
    whole = {layer: _correlated(dynamics, "correlation", layer) for layer in LAYERS}
    falling = {layer: _correlated(dynamics, "falling", layer) for layer in LAYERS}
    follow = [layer for layer, low in whole.items() if low > CORRELATED]
    smallest = [
        np.min([row[f"correlation/{layer}"] for layer in LAYERS])
        for row in dynamics.rows
        if row["condition"] in DATASETS
    ]
    seeds = np.array(smallest).reshape(len(DATASETS), -1).min(axis=0)
    number = estimate(seeds)
    always = all(low > CORRELATED for low in falling.values())
    reading = (
        f"While the loss falls, the correlation of no layer is below "
        f"{min(falling.values()):.2f} (the lower end of its interval). Over the whole training "
        f"the loss is followed in all data sets by {_list(follow)}; the weakest layer has "
        f"{number.value:.2f}."
    )
    if len(follow) == len(LAYERS):
        return Verdict(REPRODUCED, number, reading)
    if always or follow:
        where = [] if not always else ["every layer, until the loss has reached its minimum"]
        where += [f"{_list(follow)} over the whole training"] if follow else []
        return Verdict(IN_RANGE, number, reading, "; ".join(where))
    return Verdict(NOT_REPRODUCED, number, reading)


@claim(
    "C27",
    section="4.3.3",
    page="experiments/non-converging",
    statement="On circle with K = 100, R rises slightly to a plateau.",
    merit="R over the noise floor alpha sqrt(pi/2), mean of the last fifth of the epochs",
    rule="Reproduced if the 95 % interval of the plateau lies between 1.02 and 1.5, the first five "
    "epochs lie within 1 % of the floor, and a line through the last fifth moves by less than 1 %.",
    tried="circle, alpha 0.01, K 100, 1000 epochs",
    studies=("dynamics",),
    figure="4.6",
)
def c27(dynamics: Results) -> Verdict:
    """R of the circle's preset, first and last."""
    plateau = estimate(dynamics.values("circle", "R_plateau"))
    first = estimate(dynamics.values("circle", "R_first"))
    change = estimate(dynamics.values("circle", "R_change"))
    flat = max(abs(change.low), abs(change.high)) < 0.01
    holds = 1.02 < plateau.low and plateau.high < 1.5 and abs(first.value - 1) < 0.01 and flat
    reading = (
        f"R starts at {first.value:.3f} and ends at {plateau.text(4)} times the noise floor; over "
        f"the last fifth it moves by {change.value:+.4f}."
    )
    return Verdict(REPRODUCED if holds else NOT_REPRODUCED, plateau, reading)


Settling = tuple[Estimate, Estimate]
"""Settling time in epochs, and the change of R over the last fifth as a share of its rise."""


def settling(dynamics: Results, condition: str) -> Settling:
    """How R settled in the trainings of a condition."""
    moved, rise = (dynamics.values(condition, q) for q in ("R_change", "lag_rise"))
    return estimate(dynamics.values(condition, "lag_settled")), estimate(moved / rise)


def settles_and_mixes(long: Settling, short: Settling, excess: Estimate) -> str:
    """The rule of C31 from the settling with many steps and with few, and the latter's excess."""
    near = long[0].high >= SETTLES[0] and long[0].low <= SETTLES[1]
    if not near or max(abs(long[1].low), abs(long[1].high)) >= STILL:
        return NOT_REPRODUCED
    late = short[0].low > 1500 or short[1].low >= STILL
    return REPRODUCED if late and excess.low > EXCESS else IN_RANGE


@claim(
    "C31",
    section="4.3.3, 4.4.3",
    page="experiments/non-converging",
    statement="On mouse1, R of K = 256 rises like a first-order lag and settles near epoch 1100; "
    "with K = 100 the chain is still mixing.",
    merit="settling time of K = 256: three time constants of a first-order lag fitted to R, epochs",
    rule="Reproduced if with K = 256 the 95 % interval of the settling time meets 825 to 1375 and "
    "that of R's change over the last fifth of 1500 epochs stays below 5 % of its rise, and with "
    "K = 100 one of these intervals lies beyond 1500 or at 5 % and more, and that of its chains' "
    "excess total variation to the model's exact density (C38) above 0.2. In a stated range if "
    "only the part on K = 256 holds.",
    tried="mouse1 (a reconstruction), alpha 0.01, K 100 and 256, 1500 epochs",
    studies=("dynamics", "convergence"),
    figure="4.7",
)
def c31(dynamics: Results, convergence: Results) -> Verdict:
    """Does 256 settle where the thesis saw it, and does 100 not?"""
    settled, still, explained = {}, {}, {}
    for name in ("mouse1", "mouse1-K-100"):
        settled[name], still[name] = settling(dynamics, name)
        explained[name] = estimate(dynamics.values(name, "lag_explained")).value
    excess = estimate(convergence.values("mouse1-K-100", "excess"))
    change, share = (
        {name: f"{each} %" for name, each in part.items()}
        for part in (
            {
                name: Estimate(100 * s.value, 100 * s.low, 100 * s.high, s.n).text(2)
                for name, s in still.items()
            },
            {name: f"{100 * part:.0f}" for name, part in explained.items()},
        )
    )
    a, b = "mouse1", "mouse1-K-100"
    reading = (
        f"K = 256 settles after {settled[a].text(4)} epochs and moves by {change[a]} of its "
        f"rise over the last fifth; K = 100 settles after {settled[b].text(4)} and moves by "
        f"{change[b]}. The lag explains {share[a]} and {share[b]} of the variance. Against the "
        f"exact density the chains of K = 100 have an excess total variation of {excess.value:.2f} "
        "(0 for exact samples, 1 for nothing in common)."
    )
    outcome = settles_and_mixes((settled[a], still[a]), (settled[b], still[b]), excess)
    if max(abs(still[a].low), abs(still[a].high)) >= STILL:
        reading += (
            " By its interval K = 256 may be moving by 5 % and more: it is not sure to settle."
        )
    where = "K = 256 settles where the thesis says; K = 100 settles as well"
    return Verdict(outcome, settled[a], reading, where if outcome == IN_RANGE else "")


def _correlated(dynamics: Results, kind: str, layer: str) -> float:
    """Lower end of the interval in the data set where it is lowest."""
    return min(estimate(dynamics.values(name, f"{kind}/{layer}")).low for name in DATASETS)


def _list(names: list[str]) -> str:
    return ", ".join(names) or "none"
