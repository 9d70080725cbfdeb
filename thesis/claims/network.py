"""Claims on residual layers, the last bias and the energy's level (3.2.1 and 3.4)."""

from __future__ import annotations

import numpy as np

from thesis.claim import Verdict, claim, judged, listed
from thesis.evidence import Ruling, by_parts, every, some
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


def carries_gradients(early: Estimate, late: Estimate) -> Ruling:
    """The rule of C13 for both windows, which are its ranges."""
    return by_parts({"early in training": early.above(2), "late in training": late.above(2)})


def keeps_level(free: np.ndarray, kept: np.ndarray) -> Ruling:
    """The rule of C16 from the largest |f| of every seed; some of the seeds are its range."""
    leaves = free > OVERFLOW
    stays = every(kept < OVERFLOW)
    where = f"in {leaves.sum()} of {len(leaves)} seeds"
    return Ruling(stays & every(leaves), {where: stays & some(leaves)})


@claim(
    "C13",
    section="3.2.1",
    page="method/network",
    statement="Residual hidden layers keep gradients from vanishing.",
    number="gradient carried through the hidden layers, with over without residual layers",
    unit="times",
    bound=(2.0, None),
    merit="gradient norm of the layers before the hidden ones over that of the output layer "
    "(geometric means, epochs 250 to 500): this ratio with residual layers over the same without",
    rule="Without residual layers the gradient must lose at least half of what it keeps with them: "
    "reproduced if the ratio lies above 2 both in the first 50 epochs and late, in a stated range "
    "if in one of the two.",
    tried="circle, 256 pairs, two hidden layers of width 128, 500 epochs",
    studies=("network",),
    figure="residual",
)
def c13(network: Results) -> Verdict:
    """What comes through the hidden layers, with and without residuals."""
    early = _ratio(network, "carried_early", WITH, WITHOUT)
    late = _ratio(network, "carried_late", WITH, WITHOUT)
    reading = (
        f"With two hidden layers, residual layers carry {early.text(2)} times the gradient "
        f"early in "
        f"training and {late.text(2)} times late."
    )
    table = listed(
        ("gradient carried, with over without, first 50 epochs", early.text()),
        ("gradient carried, with over without, epochs 250 to 500", late.text()),
        ("gradient norm of the first layer of FCN, with over without, early",
         _ratio(network, "norm_FCN[0]_early", WITH, WITHOUT).text(2)),
        ("gradient norm of the first layer of FCN, with over without, late",
         _ratio(network, "norm_FCN[0]_late", WITH, WITHOUT).text(2)),
    )  # fmt: skip
    parts = {"early": early, "late": late}
    return judged(carries_gradients(early, late), late, reading, table=table, parts=parts)


@claim(
    "C15",
    section="3.4",
    page="method/learning",
    statement="The last layer's bias is negligible: its gradient norm is about $10^{-4}$, against "
    "up to $10^3$ in other layers.",
    number="gradient norm of the output bias over the largest of any layer",
    unit="times",
    bound=(None, 1e-4),
    merit="largest gradient norm of the output bias over the largest norm of any layer in the same "
    "epoch, worst of 500 epochs",
    rule="Negligible means below $10^{-4}$; reproduced if so for every seed.",
    tried="circle, 256 pairs, 500 epochs, bias kept, no regularisation",
    studies=("network",),
    figure="residual",
)
def c15(network: Results) -> Verdict:
    """The bias's gradient: a difference of two means of the constant 1."""
    name = "architecture/bias"
    ratio = estimate(network.values(name, "bias_ratio"))
    largest = network.values(name, "largest").max()
    reading = (
        "The bias has no gradient: it shifts $f$ at data and at chain ends alike, and the loss is "
        "the difference of the two."
    )
    table = listed(
        ("largest gradient norm of the bias",
         f"{network.values(name, 'bias_largest').max():.2g}"),
        ("largest gradient norm of a layer", f"{largest:.3g}"),
    )  # fmt: skip
    ruling = Ruling(every(network.values(name, "bias_ratio") < 1e-4))
    return judged(ruling, ratio, reading, table=table)


@claim(
    "C16",
    section="3.4",
    page="method/learning",
    statement="L1 and L2 regularisation of the energy level keep it inside float32's range.",
    number="largest $\\lvert f \\rvert$ without regularisation over the limit of $\\exp f$ in "
    "float32",
    unit="times",
    bound=(1.0, None),
    merit="largest $\\lvert f \\rvert$ in a training without regularisation, over the largest "
    "$f$ whose "
    "exponential float32 can hold (88.7)",
    rule="Reproduced if without the regularisers $f$ leaves that range in at least one training of "
    "every seed and with them in none: else there is nothing that they keep. In a stated range if "
    "it leaves the range without them in some seeds only.",
    tried="without: circle, path1, mouse1, mouse2, fork, circle with 256 pairs; with weights of "
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
    ratio = estimate(worst / OVERFLOW)
    reading = (
        f"Without regularisation $\\lvert f \\rvert$ reaches {ratio.text(2)} times the limit"
        + (": at our setting there is nothing to keep." if ratio.high < 1 else ".")
    )  # fmt: skip
    table = listed(
        ("largest $\\lvert f \\rvert$ of a seed, without", estimate(worst).text()),
        ("where $\\exp f$ overflows float32", f"{OVERFLOW:.1f}"),
        ("late level of $f$, with over without", late.text(2)),
    )
    ruling = keeps_level(worst, network.values(REGULARISED, "f_largest"))
    return judged(ruling, ratio, reading, table=table)
