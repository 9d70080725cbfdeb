"""Claims on the training dynamic and on chains that do not converge (sections 4.3.2 and 4.3.3)."""

from __future__ import annotations

from ebmlib.thesis.claim import NOT_REPRODUCED, REPRODUCED, Verdict, claim
from ebmlib.thesis.statistics import estimate
from ebmlib.thesis.study import Results


@claim(
    "C27",
    section="4.3.3",
    page="experiments/non-converging",
    statement="On circle with K = 100, R rises slightly to a plateau.",
    merit="R over the noise floor alpha sqrt(pi/2), mean of the last fifth of the epochs",
    rule="Reproduced if the 95 % interval of the plateau lies between 1.02 and 1.5 and the first "
    "five epochs lie within 1 % of the floor.",
    tried="circle, alpha 0.01, K 100, 1000 epochs",
    studies=("dynamics",),
    figure="4.6",
)
def c27(dynamics: Results) -> Verdict:
    """R of the circle's preset, first and last."""
    plateau = estimate(dynamics.values("circle", "R_plateau"))
    first = estimate(dynamics.values("circle", "R_first"))
    holds = 1.02 < plateau.low and plateau.high < 1.5 and abs(first.value - 1) < 0.01
    reading = f"R starts at {first.value:.3f} and ends at {plateau.text(4)} times the noise floor."
    return Verdict(REPRODUCED if holds else NOT_REPRODUCED, plateau, reading)
