"""Claims on residual layers, the last bias and the energy's level (3.2.1 and 3.4)."""

from __future__ import annotations

import numpy as np

from thesis.claim import IN_RANGE, NOT_REPRODUCED, REPRODUCED, Verdict, claim
from thesis.statistics import Estimate, estimate
from thesis.study import Results

WITH, WITHOUT = "architecture/figure-3-2", "architecture/no-residual"
REGULARISED = "architecture/regularised"
OVERFLOW = float(np.log(np.finfo(np.float32).max))
"""Where exp f overflows float32, about 88.7."""


def _ratio(network: Results, quantity: str, over: str, under: str) -> Estimate:
    """A quantity of one condition over that of another, paired per seed."""
    seeds = sorted(set(network.seeds(over)) & set(network.seeds(under)))
    rows = {(row["condition"], row["seed"]): row[quantity] for row in network.rows}
    return estimate([rows[over, seed] / rows[under, seed] for seed in seeds])


def carries_gradients(early: Estimate, late: Estimate) -> tuple[str, str]:
    """The rule of C13 for both windows: the outcome, and the window of a range."""
    holds = [name for name, found in (("early", early), ("late", late)) if found.low > 2]
    if len(holds) == 1:
        return IN_RANGE, f"{holds[0]} in training"
    return (REPRODUCED if holds else NOT_REPRODUCED), ""


def keeps_level(free: np.ndarray, kept: np.ndarray) -> tuple[str, str]:
    """The rule of C16 from the largest |f| of every seed: the outcome, and the seeds of a range."""
    leaves = free > OVERFLOW
    if kept.max() >= OVERFLOW or not leaves.any():
        return NOT_REPRODUCED, ""
    if leaves.all():
        return REPRODUCED, ""
    return IN_RANGE, f"without them f leaves the range in {leaves.sum()} of {len(leaves)} seeds"


@claim(
    "C13",
    section="3.2.1",
    page="method/network",
    statement="Residual hidden layers keep gradients from vanishing.",
    merit="Gradient norm of the layers before the hidden ones over that of the output layer "
    "(geometric means, epochs 250 to 500): this ratio with residual layers over the same without",
    rule="Without residual layers the gradient must lose at least half of what it keeps with them: "
    "reproduced if the 95 % interval lies above 2 both in the first 50 epochs and late, in a "
    "stated range if in one of the two.",
    tried="circle, 256 pairs, two hidden layers of width 128, 500 epochs",
    studies=("network",),
    figure="residual",
)
def c13(network: Results) -> Verdict:
    """What comes through the hidden layers, with and without residuals."""
    early = _ratio(network, "carried_early", WITH, WITHOUT)
    late = _ratio(network, "carried_late", WITH, WITHOUT)
    reading = (
        f"The ratio with residual layers is {early.text()} times that without in the first 50 "
        f"epochs and {late.text()} times late. The norms before the hidden layers are "
        f"{_ratio(network, 'norm_FCN[0]_early', WITH, WITHOUT).text(2)} (early) and "
        f"{_ratio(network, 'norm_FCN[0]_late', WITH, WITHOUT).text(2)} (late) times those without "
        "(FCN[0]); without residual layers they are far from 0."
    )
    outcome, where = carries_gradients(early, late)
    return Verdict(outcome, late, reading, where)


@claim(
    "C15",
    section="3.4",
    page="method/learning",
    statement="The last layer's bias is negligible: its gradient norm is about 1e-4, against up to "
    "1e3 in other layers.",
    merit="Largest gradient norm of the output bias over the largest norm of any layer in the same "
    "epoch, worst of 500 epochs",
    rule="Negligible means below 1e-4; reproduced if so for every seed.",
    tried="circle, 256 pairs, 500 epochs, bias kept, no regularisation",
    studies=("network",),
    figure="residual",
)
def c15(network: Results) -> Verdict:
    """The bias's gradient: a difference of two means of the constant 1."""
    name = "architecture/bias"
    ratio = estimate(network.values(name, "bias_ratio"))
    largest = network.values(name, "largest").max()
    holds = bool(network.values(name, "bias_ratio").max() < 1e-4)
    reading = (
        f"The bias's gradient norm is at most {network.values(name, 'bias_largest').max():.2g} in "
        f"any epoch, that of a layer up to {largest:.3g}. It is zero by construction: the bias "
        "shifts f at data and at chain ends alike, and the loss is their difference; without a "
        "regulariser nothing else can remain than rounding."
    )
    return Verdict(REPRODUCED if holds else NOT_REPRODUCED, ratio, reading)


@claim(
    "C16",
    section="3.4",
    page="method/learning",
    statement="L1 and L2 regularisation of the energy level keep it inside float32's range.",
    merit="Largest abs f in a training without regularisation, over the one that exp f in float32 "
    "can hold (88.7)",
    rule="Reproduced if without the regularisers f leaves that range in at least one training of "
    "every seed and with them in none: else there is nothing that they keep. In a stated range if "
    "it leaves the range without them in some seeds only.",
    tried="without: circle, path1, mouse1, mouse2, fork, circle with 256 pairs; with l1 = l2 = "
    "0.001: circle with 256 pairs",
    studies=("network",),
    figure="level",
)
def c16(network: Results) -> Verdict:
    """The level of f, without the regularisers and with them."""
    free = [name for name in network.conditions if name != REGULARISED]
    seeds = network.seeds()
    rows = {(row["condition"], row["seed"]): row["f_largest"] for row in network.rows}
    worst = np.array([max(rows[name, seed] for name in free) for seed in seeds])
    late = _ratio(network, "f_late", REGULARISED, WITH)
    reading = (
        f"Without regularisation the largest abs f of a seed is {estimate(worst).text()}; "
        f"exp f overflows at {OVERFLOW:.1f} and f itself only at 3.4e38. With l1 = l2 = 0.001 the "
        f"late level is {late.text(2)} times the free one."
    )
    outcome, where = keeps_level(worst, network.values(REGULARISED, "f_largest"))
    return Verdict(outcome, estimate(worst / OVERFLOW), reading, where)
