"""The claim that joint and conditional models give the same actions (sections 3.2 and 3.3)."""

from __future__ import annotations

import numpy as np

from thesis.claim import NOT_TESTABLE, Verdict, claim, judged, listed
from thesis.evidence import Ruling
from thesis.statistics import estimate
from thesis.study import Results

SAME = 1.5


def total_variation(one: np.ndarray, other: np.ndarray) -> float:
    """Mean total variation of binned densities (states, bins)."""
    return float(0.5 * np.abs(one - other).sum(axis=-1).mean())


@claim(
    "C14",
    section="3.2, 3.3",
    page="method/policy",
    statement="Learning the joint or the conditional density gives the same action inference.",
    number="difference of joint and conditional model over that of two conditional models",
    unit="times",
    bound=(None, SAME),
    merit="total variation between the exact $p(a \\mid x)$ of a joint and a conditional model on "
    "held-out states, over that between two conditional models of different seeds",
    rule="Two trainings never agree exactly, so two seeds of the conditional model are the "
    "measure of sameness: reproduced if the ratio lies below 1.5 (the margin within which the two "
    "count as the same).",
    tried="circle, 256 pairs, $K = 100$, 500 epochs; 6 held-out states; joint chains start "
    "0.1 around demonstrated states",
    studies=("joint",),
)
def c14(joint: Results) -> Verdict:
    """Each seed's joint model against the next seed's conditional one."""
    if len(joint.seeds()) < 2:
        return Verdict(
            NOT_TESTABLE,
            None,
            f"Measured with {len(joint.seeds())} seeds so far; the comparison needs two.",
            "it takes two seeds of the conditional model to say what is the same",
        )
    both = {name: joint.values("joint/circle", name) for name in ("joint", "conditional")}
    between, within = [], []
    for number in range(len(joint.seeds())):
        other = both["conditional"][number - 1]
        between.append(total_variation(both["joint"][number], other))
        within.append(total_variation(both["conditional"][number], other))
    ratio = estimate(np.array(between) / np.array(within))
    errors = {
        name: estimate(joint.values("joint/circle", f"{name}_error")).text(2)
        for name in ("joint", "conditional")
    }
    reading = (
        f"A joint and a conditional model differ {ratio.text()} times as much as two seeds of the "
        "conditional model do."
    )
    table = listed(
        ("total variation, joint against conditional", estimate(between).text(2)),
        ("total variation, conditional against conditional", estimate(within).text(2)),
        ("expected action to the held-out one, joint (steps)", errors["joint"]),
        ("expected action to the held-out one, conditional (steps)", errors["conditional"]),
    )
    return judged(Ruling(ratio.below(SAME)), ratio, reading, table=table)
