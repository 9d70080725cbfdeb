"""Claims on the training dynamic and on the mean step R (sections 4.3.2 and 4.3.3)."""

from __future__ import annotations

import numpy as np

from thesis.claim import Verdict, claim, judged
from thesis.claims.convergence import EXCESS
from thesis.conditions import DATASETS
from thesis.evidence import Ruling, all_of, by_parts, every
from thesis.statistics import Estimate, estimate
from thesis.study import Results

LAYERS = {
    "FE_x": "FE$_x$",
    "FE_a": "FE$_a$",
    "FCN[0]": "layer 0 of FCN",
    "FCN[1]": "layer 1 of FCN",
    "FCN[2]": "layer 2 of FCN",
    "FCN[3]": "the output layer of FCN",
}
"""Layer -> its name in a text."""

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
    number="mean loss of the second half of training over the depth of its minimum",
    unit="times",
    bound=(None, RETURNED),
    merit="mean loss of the second half of the epochs over the depth of the loss's minimum (0: it "
    "is back), the largest of the four data sets",
    rule="Reproduced if in each of the four data sets the first loss is within 5 % of the depth of "
    "the minimum, the minimum is deeper than five standard deviations of the late loss, the mean "
    "of the second half is within 10 % of the depth, and 20 to 80 % of its epochs are below "
    "0; in a "
    "range if on some.",
    tried="path1, circle, mouse1 ($K = 256$), mouse2; $\\alpha = 0.01$, $K = 100$, 1000 to "
    "1500 epochs",
    studies=("dynamics",),
    figure="4.5",
)
def c25(dynamics: Results) -> Verdict:
    """The three phases of the loss in every data set."""
    back, holds = {}, {}
    for name in DATASETS:
        depth = np.abs(dynamics.values(name, "loss_lowest"))
        back[name] = estimate(np.abs(dynamics.values(name, "loss_late_mean")) / depth)
        holds[name] = (
            estimate(np.abs(dynamics.values(name, "loss_first")) / depth).at_most(FIRST)
            & every(depth > 5 * dynamics.values(name, "loss_late_spread"))
            & back[name].at_most(RETURNED)
            & estimate(dynamics.values(name, "loss_late_negative")).within(*ALTERNATES)
        )
    number = estimate(np.max([back[name].values for name in DATASETS], axis=0))
    epochs = {name: estimate(dynamics.values(name, "loss_lowest_epoch")) for name in DATASETS}
    lowest = [found.value for found in epochs.values()]
    reading = (
        f"The loss is lowest at epoch {min(lowest):.0f} to {max(lowest):.0f} and comes back to "
        f"within {100 * number.value:.1f} % of that depth."
    )
    table = (
        ("", *DATASETS),
        ("late loss over the depth of the minimum", *(back[n].text(2) for n in DATASETS)),
        ("epoch of the lowest loss", *(f"{epochs[n].value:.0f}" for n in DATASETS)),
        ("share of late epochs below 0",
         *(estimate(dynamics.values(n, "loss_late_negative")).text(2) for n in DATASETS)),
    )  # fmt: skip
    return judged(by_parts(holds), number, reading, before="on ", table=table, parts=back)


@claim(
    "C26",
    section="4.3.2",
    page="experiments/dynamic",
    statement="The gradient norm of every layer grows with the magnitude of the loss.",
    number="rank correlation of gradient norm and loss, weakest layer and data set",
    unit="1 they rise and fall together",
    bound=(CORRELATED, None),
    merit="Spearman's rank correlation between the magnitude of the loss and a layer's gradient "
    "norm over the whole training, both averaged over ten epochs; the smallest of six layers and "
    "four data sets",
    rule="Reproduced if it lies above 0.3 for every layer and data set; in a stated "
    "range if that holds for every layer while the loss falls (up to its minimum), or over the "
    "whole training for some layers in all data sets.",
    tried="path1, circle, mouse1 ($K = 256$), mouse2; Figure 3.2 of the thesis without "
    "spectral normalisation",
    studies=("dynamics",),
    figure="gradient-norms",
)
def c26(dynamics: Results) -> Verdict:
    """Which layers follow the loss, over the training and while the loss falls."""
    whole, falling = (
        {layer: _correlations(dynamics, kind, layer) for layer in LAYERS}
        for kind in ("correlation", "falling")
    )
    follows = {layer: all_of(c.above(CORRELATED) for c in whole[layer]) for layer in LAYERS}
    until = all_of(c.above(CORRELATED) for layer in LAYERS for c in falling[layer])
    smallest = [
        np.min([row[f"correlation/{layer}"] for layer in LAYERS])
        for row in dynamics.rows
        if row["condition"] in DATASETS
    ]
    number = estimate(np.array(smallest).reshape(len(DATASETS), -1).min(axis=0))
    lowest = min(c.low for layer in LAYERS for c in falling[layer])
    reading = (
        f"All layers follow the loss while it falls (correlation {lowest:.2f} or more), but "
        f"over the "
        f"whole training the weakest has {number.value:.2f}."
    )
    table = (
        ("Rank correlation, smallest of four data sets", "while the loss falls", "whole training"),
        *(
            (words, *(_weakest(found[layer]).text(2) for found in (falling, whole)))
            for layer, words in LAYERS.items()
        ),
    )
    ranges = {"for every layer while the loss falls": until}
    ranges |= {f"for {LAYERS[n]} over the whole training": found for n, found in follows.items()}
    parts = {layer.replace("_", " "): _weakest(whole[layer]) for layer in LAYERS}
    return judged(
        Ruling(all_of(follows.values()), ranges), number, reading, table=table, parts=parts
    )


@claim(
    "C27",
    section="4.3.3",
    page="experiments/non-converging",
    statement="On circle with $K = 100$, $R$ rises slightly to a plateau.",
    number="$R$ on its plateau over the noise floor",
    unit="noise floors",
    bound=(1.02, 1.5),
    merit="$R$ over the noise floor $\\alpha\\sqrt{\\pi/2}$, mean of the last fifth of the epochs",
    rule="Reproduced if the plateau lies between 1.02 and 1.5, the first five epochs lie "
    "within 1 % "
    "of the floor, and a line through the last fifth moves by less than 1 % (the margin within "
    "which $R$ counts as flat).",
    tried="circle, $\\alpha = 0.01$, $K = 100$, 1000 epochs",
    studies=("dynamics",),
    figure="4.6",
)
def c27(dynamics: Results) -> Verdict:
    """R of the circle's preset, first and last."""
    plateau = estimate(dynamics.values("circle", "R_plateau"))
    first = estimate(dynamics.values("circle", "R_first"))
    change = estimate(dynamics.values("circle", "R_change"))
    ruling = Ruling(
        plateau.within(1.02, 1.5) & first.within(0.99, 1.01) & change.within(-0.01, 0.01)
    )
    reading = (
        f"$R$ starts at the noise floor and ends at {plateau.text(4)} times it; over the last "
        f"fifth "
        f"it still moves by {100 * change.value:+.1f} %."
    )
    table = (
        ("$R$ over the noise floor", "Value"),
        ("first five epochs", first.text(4)),
        ("last fifth", plateau.text(4)),
        ("change over the last fifth", change.text(2)),
    )
    return judged(ruling, plateau, reading, table=table)


Settling = tuple[Estimate, Estimate]
"""Settling time in epochs, and the change of R over the last fifth as a share of its rise."""


def settling(dynamics: Results, condition: str) -> Settling:
    """How R settled in the trainings of a condition."""
    moved, rise = (dynamics.values(condition, q) for q in ("R_change", "lag_rise"))
    return estimate(dynamics.values(condition, "lag_settled")), estimate(moved / rise)


def settles_and_mixes(long: Settling, short: Settling, excess: Estimate) -> Ruling:
    """The rule of C31 from the settling with many steps and with few, and the latter's excess."""
    settles = long[0].within(*SETTLES) & long[1].within(-STILL, STILL)
    late = short[0].above(1500) | short[1].at_least(STILL)
    return Ruling(settles & late & excess.above(EXCESS), {"for $K = 256$": settles})


@claim(
    "C31",
    section="4.3.3, 4.4.3",
    page="experiments/non-converging",
    statement="On mouse1, $R$ of $K = 256$ rises like a first-order lag and settles near epoch "
    "1100; with $K = 100$ the chain is still mixing.",
    number="epoch at which $R$ of $K = 256$ has settled",
    unit="epochs",
    bound=SETTLES,
    merit="settling time of $K = 256$: three time constants of a first-order lag fitted to $R$, "
    "epochs",
    rule="Reproduced if with $K = 256$ the settling time lies within 825 to 1375 (the margin that "
    "counts as near 1100) and $R$'s change over the last fifth of 1500 epochs stays below 5 % of "
    "its rise, and with $K = 100$ one of these lies beyond 1500 or at 5 % and more, and its "
    "chains' "
    "excess total variation to the model's exact density (see C38) above 0.2. In a stated range if "
    "only the part on $K = 256$ holds.",
    tried="mouse1 (a reconstruction), $\\alpha = 0.01$, $K$ 100 and 256, 1500 epochs",
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
    many, few = "mouse1", "mouse1-K-100"
    change = {name: still[name].times(100) for name in (many, few)}
    reading = (
        f"$K = 256$ settles at epoch {settled[many].text(3)}; so does $K = 100$, at "
        f"{settled[few].text(3)}, and its chains have mixed."
        if excess.at_most(EXCESS).answer
        else f"$K = 256$ settles at epoch {settled[many].text(4)}, and $K = 100$ at "
        f"{settled[few].text(4)}."
    )
    table = (
        ("", "$K = 256$", "$K = 100$"),
        ("settling time (epochs)", settled[many].text(4), settled[few].text(4)),
        ("change over the last fifth (% of the rise)", change[many].text(2), change[few].text(2)),
        ("variance that the lag explains (%)", f"{100 * explained[many]:.0f}",
         f"{100 * explained[few]:.0f}"),
        ("excess total variation of the chains", "", excess.text(2)),
    )  # fmt: skip
    ruling = settles_and_mixes((settled[many], still[many]), (settled[few], still[few]), excess)
    parts = {"K = 256": settled[many], "K = 100": settled[few]}
    return judged(ruling, settled[many], reading, table=table, parts=parts)


def _correlations(dynamics: Results, kind: str, layer: str) -> list[Estimate]:
    """A layer's correlation in every data set."""
    return [estimate(dynamics.values(name, f"{kind}/{layer}")) for name in DATASETS]


def _weakest(found: list[Estimate]) -> Estimate:
    return min(found, key=lambda each: each.low)
