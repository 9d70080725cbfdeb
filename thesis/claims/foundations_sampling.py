"""Claims on inference and on the sampler (sections 2.1, 2.3.2 and 2.4)."""

from __future__ import annotations

import numpy as np

from thesis.claim import Verdict, claim, judged, listed
from thesis.conditions import DATASETS
from thesis.evidence import Ruling, by_parts, every
from thesis.statistics import Estimate, estimate
from thesis.study import Results

_PRESETS = "the presets of path1, circle, mouse1 and mouse2"


def _largest(found: dict[str, Estimate]) -> tuple[str, Estimate]:
    """The condition with the largest value, and that value."""
    name = max(found, key=lambda each: found[each].value)
    return name, found[name]


@claim(
    "C01",
    section="2.4",
    page="foundations/sgld",
    statement="A constant noise level, not annealed, samples close to the data.",
    number="energy score with constant noise over that with the best annealing",
    unit="times",
    bound=(None, 1.1),
    merit="energy score of $K$-step samples at held-out states with constant noise, over that with "
    "the best of three annealed schedules of as many steps (geometric, to a third, to a tenth, and "
    "from 1.5 times to half the trained noise level); the data set where it is largest",
    rule="Reproduced if on every data set the ratio lies below 1.1 and the mean distance of a "
    "sample "
    "to the demonstrated action is at most 1.5 times $s\\sqrt{\\pi}$, that of two draws of the "
    "data's own scale $s$ (in its narrowest direction); in a range if on some data sets.",
    tried=f"{_PRESETS}, $\\alpha = 0.01$, $K = 100$ (mouse1: 256), trained with constant noise",
    studies=("foundations-annealing",),
)
def c01(results: Results) -> Verdict:
    """Constant against annealed noise at as many steps."""
    ratios, near = {}, {}
    for name in DATASETS:
        constant = results.values(name, "score/constant")
        annealed = [
            results.values(name, f"score/annealed-{kind}") for kind in ("3", "10", "from-above")
        ]
        ratios[name] = estimate(constant / np.min(annealed, axis=0))
        own = np.sqrt(np.pi) * results.values(name, "scale")
        near[name] = estimate(results.values(name, "distance/constant") / own)
    holds = {name: ratios[name].below(1.1) & near[name].at_most(1.5) for name in DATASETS}
    name, worst = _largest(ratios)
    far, farthest = _largest(near)
    reading = (
        f"Annealing is hardly better than constant noise (largest ratio {worst.text()}, "
        f"{name}), but "
        f"samples lie up to {farthest.text()} times $s\\sqrt{{\\pi}}$ from the demonstrated action "
        f"({far})."
    )
    table = (
        ("", *DATASETS),
        ("Energy score, constant over annealed", *(ratios[n].text() for n in DATASETS)),
        ("Distance to the demonstrated action over $s\\sqrt{\\pi}$, at most 1.5",
         *(near[n].text() for n in DATASETS)),
    )  # fmt: skip
    return judged(by_parts(holds), worst, reading, before="on ", table=table, parts=ratios)


@claim(
    "C02",
    section="2.4",
    page="foundations/sgld",
    statement="A wrong noise level gives a sampling distribution that is not the model's.",
    number="total variation between chain and model at twice the trained noise level",
    unit="0 the same, 1 nothing in common",
    bound=(None, None),
    merit="total variation between the exact law of the chain after $K$ steps and the model's "
    "exact "
    "density, at twice the trained noise level",
    rule="Reproduced if the total variation at the smallest and at the largest noise level tried "
    "(0.3 and 2.5 times the trained one) is in each seed at least three times its minimum over all "
    "levels tried, and that minimum below 0.1.",
    tried="circle, $K = 100$, nine noise levels $\\alpha$ from 0.003 to 0.025",
    studies=("foundations-noise-law",),
    figure="noise-law",
)
def c02(results: Results) -> Verdict:
    """Exact law against exact density over the noise level."""
    variation = results.values("circle", "tv_short")
    least = variation.min(axis=1)
    twice = estimate(variation[:, -2])
    ends = np.minimum(variation[:, 0], variation[:, -1])
    ruling = Ruling(every(ends >= 3 * least) & every(least < 0.1))
    small, large = estimate(variation[:, 0]), estimate(variation[:, -1])
    lowest = estimate(least)
    reading = (
        f"The total variation is {twice.text(2)} at twice the trained noise level, and "
        f"{lowest.text(2)} at the best level tried."
    )
    table = listed(
        ("at 0.3 times the trained level", small.text()),
        ("at the trained level", estimate(variation[:, 3]).text()),
        ("at twice the trained level", twice.text()),
        ("at 2.5 times the trained level", large.text()),
        ("smallest over all levels", lowest.text()),
        head=("Noise level", "Total variation"),
    )
    return judged(ruling, twice, reading, table=table, bound=(3 * lowest.value, None))


@claim(
    "C04",
    section="2.4",
    page="foundations/sgld",
    statement="Once the model has converged, a longer chain adds a predictable length per step.",
    number="measured over predicted length per step, both above the noise floor",
    unit="times",
    bound=(0.9, 1.1),
    merit="length gained per step from $K$ to $2K$ over its noise floor, minus 1, divided by the "
    "same for the exact stationary law of the sampler on the model; the data set farthest from 1",
    rule="Reproduced if on every data set the ratio lies within 0.9 to 1.1 (the margin within "
    "which "
    "two lengths count as equal); in a range if on some.",
    tried=f"{_PRESETS}, and circle at $\\alpha = 0.005$ with $K$ 25 to 200",
    studies=("foundations-length",),
    figure="chain-length",
)
def c04(results: Results) -> Verdict:
    """Measured against predicted gain of length."""
    ratios = {}
    for name in DATASETS:
        gain, exact = (results.values(name, key) - 1 for key in ("gain", "exact"))
        ratios[name] = estimate(gain / exact)
    gaussian = {
        n: estimate((results.values(n, "gain") - 1) / (results.values(n, "gaussian") - 1))
        for n in DATASETS
    }
    holds = {name: ratios[name].within(0.9, 1.1) for name in DATASETS}
    name = max(ratios, key=lambda each: abs(ratios[each].value - 1))
    reading = (
        f"The length gained above the noise floor is {ratios[name].text()} times its exact "
        f"value on "
        f"{name}, where the two differ most."
    )
    table = (
        ("Measured over predicted", *DATASETS),
        ("by the sampler's exact law", *(ratios[n].text() for n in DATASETS)),
        ("by a Gaussian of the data's scale, the thesis's $f(\\sigma)$",
         *(gaussian[n].text() for n in DATASETS)),
    )  # fmt: skip
    return judged(by_parts(holds), ratios[name], reading, before="on ", table=table, parts=ratios)


@claim(
    "C07",
    section="2.3.2",
    page="foundations/training",
    statement="Long chains on a converged model stay on the data.",
    number="energy score after ten times the steps over that after $K$ steps",
    unit="times",
    bound=(None, 1.1),
    merit="energy score of samples at held-out states after $9K$ to $10K$ steps over that after "
    "$K$; the data set where it is largest",
    rule="Reproduced if on every data set's preset the ratio lies below 1.1 (the margin "
    "within which "
    "samples count as no worse); in a range if on some.",
    tried=f"{_PRESETS}; for comparison mouse1 at $K = 100$ and circle at $\\alpha$ 0.001 and "
    f"0.0025",
    studies=("foundations-long-run",),
    figure="long-run",
)
def c07(results: Results) -> Verdict:
    """Long-run drift."""
    ratios = {}
    for name in DATASETS:
        score = results.values(name, "score")
        ratios[name] = estimate(np.nan_to_num(score[:, 2] / score[:, 0], nan=1e9, posinf=1e9))
    holds = {name: ratios[name].below(1.1) for name in DATASETS}
    name, worst = _largest(ratios)
    reading = (
        f"Ten times the steps make the samples no worse: the energy score is at most "
        f"{worst.text()} times that after $K$ steps ({name})."
        if worst.below(1.1).answer
        else f"After ten times the steps the energy score is {worst.text()} times that after $K$ "
        f"steps where it is largest ({name})."
    )
    table = (("", *DATASETS), ("Energy score, 10 K over K", *(ratios[n].text() for n in DATASETS)))
    return judged(by_parts(holds), worst, reading, before="on ", table=table, parts=ratios)


@claim(
    "C08",
    section="2.1",
    page="foundations/inference",
    statement="EXP minimises the Bayes risk, the mean squared action error, among the estimators.",
    number="squared action error of the best other estimator over that of EXP",
    unit="times",
    bound=(1.0, None),
    merit="mean squared error at held-out states of ML, of MAP (prior $N(0, s_0^2 I)$, $s_0$ the "
    "demonstrated root mean square step over $\\sqrt{2}$) and of a single draw, whichever is "
    "least, "
    "over that of EXP; the data set where it is least",
    rule="Reproduced if on every data set, fork included, the ratio lies above 1; in a range if on "
    "some.",
    tried=f"{_PRESETS}, and fork; EXP from 24 chains without jitter, ML and MAP from 4 ascents",
    studies=("foundations-estimators",),
    figure="action-error",
)
def c08(results: Results) -> Verdict:
    """Squared action error of the estimators."""
    names = (*DATASETS, "fork")
    ratios = {}
    for name in names:
        others = [results.values(name, f"risk/{other}") for other in ("ML", "MAP", "DRAW")]
        ratios[name] = estimate(np.min(others, axis=0) / results.values(name, "risk/EXP"))
    holds = {name: ratios[name].above(1) for name in names}
    name = min(ratios, key=lambda each: ratios[each].value)
    most, largest = _largest(ratios)
    reading = (
        f"The best other estimator has {ratios[name].text()} times the error of EXP on "
        f"{name}, where "
        f"it comes nearest, and {largest.value:.3g} times on {most}."
    )
    table = (
        ("", *names),
        ("Error of the best other estimator over that of EXP", *(ratios[n].text() for n in names)),
    )
    return judged(by_parts(holds), ratios[name], reading, before="on ", table=table, parts=ratios)
