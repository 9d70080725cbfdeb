"""Claims on where chains start and on what loss and R prove (sections 2.3.2 and 2.4)."""

from __future__ import annotations

import math

import numpy as np

from thesis.claim import IN_RANGE, NOT_REPRODUCED, REPRODUCED, Verdict, claim
from thesis.conditions import ALPHAS, DATASETS, STEPS
from thesis.statistics import epochs_until, estimate
from thesis.study import Results

STUDY = "foundations-convergence"
THRESHOLD = 1.5
"""Nats of KL(data || model), a third of a flat density's, that C40 waits for."""

NOISE = "architecture/figure-3-2"
"""The circle with noise starts and K = 100; the other starts are called start/..."""


def of_seeds(results: Results, name: str, quantity: str) -> np.ndarray:
    """A number over the seeds; infinite where a training diverged and has none."""
    found = [row.get(quantity) for row in results.of(name)]
    return np.array([math.inf if value is None else value for value in found], dtype=float)


def _level(alpha: float, steps: int) -> str:
    return f"noise/alpha-{alpha:g}-K-{steps}"


@claim(
    "C03",
    section="2.4",
    page="foundations/sgld",
    statement="With chains that start from noise R rises during training, to a plateau.",
    merit="R over the noise floor on circle, mean of the last fifth of the epochs minus that of "
    "the first five",
    rule="R rises if its mean over the last fifth exceeds that of the first five epochs by more "
    "than 3 standard deviations of the last fifth; it is on a plateau if the last two fifths "
    "differ by less than 15 % of the rise. Reproduced if both hold in all noise-started ones; "
    "in a range if they hold for every K at some of the noise levels, and on the four data sets.",
    tried="the four presets, mouse1 at K 100, and circle at alpha 0.001 to 0.02 with K 25 to 200",
    studies=(STUDY,),
    figure="2.2",
)
def c03(results: Results) -> Verdict:
    """Rise and plateau of R."""

    def holds(name: str) -> bool:
        first, before, late, spread = (
            of_seeds(results, name, f"R_{key}") for key in ("first", "before", "late", "spread")
        )
        if not np.isfinite(late).all():
            return False
        rise = late - first
        return bool(((rise > 3 * spread) & (np.abs(late - before) < 0.15 * rise)).all())

    rise = estimate(results.values("circle", "R_late") - results.values("circle", "R_first"))
    data = {name: holds(name) for name in (*DATASETS, "mouse1-K-100")}
    levels = {alpha: [holds(_level(alpha, steps)) for steps in STEPS] for alpha in ALPHAS}
    good = [alpha for alpha in ALPHAS if all(levels[alpha])]
    held = sum(data.values()) + sum(map(sum, levels.values()))
    total = len(data) + len(ALPHAS) * len(STEPS)
    reading = f"R rises to a plateau in {held} of {total} noise-started conditions."
    if held == total:
        return Verdict(REPRODUCED, rise, reading)
    if good and all(data.values()):
        listed = ", ".join(f"{alpha:g}" for alpha in good)
        return Verdict(IN_RANGE, rise, reading, where=f"on all data sets; alpha {listed}")
    return Verdict(NOT_REPRODUCED, rise, reading)


@claim(
    "C05",
    section="2.3.2",
    page="foundations/training",
    statement="With chains that start at data and move little, a flat density also reaches loss 0; "
    "noise starts avoid this.",
    merit="exact KL(data || model) after training with data starts over that of a flat density",
    rule="The first half holds if the data-started loss is within 0.1 nats of 0 over the last "
    "fifth (mean and standard deviation) and the KL is above three quarters of a flat density's. "
    "Reproduced if moreover the noise-started model of the same alpha and K ends below half of the "
    "flat density's KL; in a range if that model only stops being flat (its R exceeds the floor by "
    "more than 5 %) without ending there.",
    tried="circle, K 20, alpha 0.002; for comparison alpha 0.01 with K 20 and 100",
    studies=(STUDY,),
    figure="flat-density",
)
def c05(results: Results) -> Verdict:
    """Data against noise starts at a small noise level."""
    data, noise = (f"start/{start}-K-20-alpha-0.002" for start in ("data", "noise"))
    flat = results.values(data, "kl_flat")
    kl = results.values(data, "kl_late")
    share = estimate(kl / flat)
    loss = np.abs(results.values(data, "loss_late")) + results.values(data, "loss_spread")
    first = bool((loss < 0.1).all() and (kl > 0.75 * flat).all())
    other = results.values(noise, "kl_late")
    converged = bool((other < 0.5 * flat).all())
    steep = bool((results.values(noise, "R_late") > 1.05).all())
    reading = (
        f"Data starts: the loss stays within {loss.max():.2g} of 0 and the KL is "
        f"{estimate(kl).text()} nats, {share.text()} of a flat density's. Noise starts: the KL is "
        f"{estimate(other).text()} nats."
    )
    if first and converged:
        return Verdict(REPRODUCED, share, reading)
    if first and steep:
        where = (
            "the flat density with loss 0 is there; noise starts avoid that it is flat, but with "
            "so few steps of this size they end farther from the data than a flat density"
        )
        return Verdict(IN_RANGE, share, reading, where=where)
    return Verdict(NOT_REPRODUCED, share, reading)


@claim(
    "C06",
    section="2.3.2",
    page="foundations/training",
    statement="A loss that oscillates around 0 does not prove that the model has converged.",
    merit="largest exact KL(data || model), nats, among conditions whose loss oscillates around 0 "
    "(mean of the last fifth of the epochs smaller than its standard deviation)",
    rule="Reproduced if among these conditions one has in every seed a KL above a flat density's, "
    "and another one below a third of it.",
    tried="circle: its preset, eleven combinations of start, K and alpha, and alpha 0.001 to 0.02 "
    "with K 25 to 200 from noise; the preset of path1",
    studies=(STUDY,),
    figure="loss-and-kl",
)
def c06(results: Results) -> Verdict:
    """KL where the loss says nothing."""
    known = [row["condition"] for row in results.rows if row.get("kl_late") is not None]
    found = {}
    for name in dict.fromkeys(known):
        loss, spread = (of_seeds(results, name, f"loss_{key}") for key in ("late", "spread"))
        if (np.abs(loss) < spread).all():  # false where a training diverged
            found[name] = of_seeds(results, name, "kl_late")
    flat = float(results.values(NOISE, "kl_flat").mean())
    worst = max(found, key=lambda name: float(found[name].min()))
    best = min(found, key=lambda name: float(found[name].max()))
    above = sum(bool((kl > flat).all()) for kl in found.values())
    holds = bool((found[worst] > flat).all() and (found[best] < flat / 3).all())
    reading = (
        f"The loss oscillates around 0 in {len(found)} conditions. Their KL reaches from "
        f"{estimate(found[best]).text()} ({best}) to {estimate(found[worst]).text()} nats "
        f"({worst}); in {above} of them it is above that of a flat density, {flat:.3g}."
    )
    return Verdict(REPRODUCED if holds else NOT_REPRODUCED, estimate(found[worst]), reading)


def epochs_to(results: Results, name: str) -> np.ndarray:
    """Epochs until KL(data || model) first falls to the threshold, per seed; infinite if never."""
    return np.array(
        [
            epochs_until(row.get("kl_epochs", []), row.get("kl", []), THRESHOLD)
            for row in results.of(name)
        ]
    )


@claim(
    "C40",
    section="2.4",
    page="foundations/sgld",
    statement="Persistent chains and a replay buffer speed up convergence.",
    merit=f"epochs until the exact KL(data || model) falls to {THRESHOLD:g} nats, a third of a "
    "flat density's, with persistent chains over that with noise starts, K 20",
    rule="A start is faster if the ratio's 95 % interval lies below 1 at K 20 and at K 100, and "
    f"its KL is still below {THRESHOLD:g} nats at the end. Reproduced if both are; in a range "
    "if one is.",
    tried="circle, alpha 0.01, K 20 and 100, 1000 epochs; replay of five ends a pair with 5 % "
    "restarts; the KL is measured every 50 epochs and interpolated",
    studies=(STUDY,),
    figure="starts",
)
def c40(results: Results) -> Verdict:
    """Epochs to a stated KL by start."""
    faster, notes = [], []
    first = None
    for start in ("persistent", "replay"):
        holds = True
        for steps in (20, 100):
            name = f"start/{start}-K-{steps}"
            noise = NOISE if steps == 100 else "start/noise-K-20"
            ratios = epochs_to(results, name) / epochs_to(results, noise)
            late = of_seeds(results, name, "kl_late")
            if not np.isfinite(ratios).all() or not (late <= THRESHOLD).all():
                holds = False
                notes.append(f"{start} at K {steps} ends at {late.max():.2g} nats")
                continue
            ratio = estimate(ratios)
            first = first or ratio
            holds &= ratio.high < 1
            notes.append(f"{start} at K {steps} needs {ratio.text()} times the epochs of noise")
        if holds:
            faster.append(start)
    reading = "; ".join(notes) + "."
    reading = reading[0].upper() + reading[1:]
    number = first or estimate([0.0])
    if len(faster) == 2:
        return Verdict(REPRODUCED, number, reading)
    if faster:
        return Verdict(IN_RANGE, number, reading, where=f"{faster[0]} chains only")
    return Verdict(NOT_REPRODUCED, number, reading)
