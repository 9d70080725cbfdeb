"""Claims about the recipe for drawings: what its ingredients are worth on a generated loop."""

from __future__ import annotations

import numpy as np

from thesis.claim import Verdict, claim, judged, listed
from thesis.evidence import Ruling
from thesis.statistics import estimate
from thesis.study import Results

PAGE, SECTION = "drawings/recipe", "our recipe for drawings"
TRIED = (
    "a generated loop that crosses itself: four uneven strokes train, three are kept; the recipe's "
    "network, 500 updates"
)
FOLLOWED = 1.25
"""Multiple of the distance between people up to which a drawing counts as followed (the aim)."""
WORTH = 0.1
"""Nats per action that an ingredient must be worth."""


def less(results: Results, one: str, other: str, quantity: str = "nats") -> np.ndarray:
    """The quantity of one condition less that of another, seed by seed."""
    return results.values(f"drawings/{one}", quantity) - results.values(
        f"drawings/{other}", quantity
    )


@claim(
    "D01",
    section=SECTION,
    page=PAGE,
    statement="Fresh noise on states and actions at every update keeps the density of a few "
    "drawings from over-training.",
    number="nats that noise is worth per kept action",
    unit="nats",
    bound=(WORTH, None),
    merit="nats per kept action, without noise less with it, paired by seed",
    rule=f"Reproduced if the difference lies above {WORTH} nats.",
    tried=TRIED,
    studies=("drawings",),
)
def d01(drawings: Results) -> Verdict:
    """Without noise against the recipe."""
    worse = estimate(less(drawings, "no-noise", "recipe"))
    table = listed(
        *(
            (
                f"without noise on {name}s",
                estimate(less(drawings, f"no-{name}-noise", "recipe")).text(2),
            )
            for name in ("state", "action")
        ),
        head=("", "Nats worse than with both"),
    )
    stopped = estimate(
        drawings.values("drawings/no-noise", "nats_stopped")
        - drawings.values("drawings/recipe", "nats_last")
    )
    reading = (
        f"Without noise a kept action is {worse.text(2)} nats less likely, and still "
        f"{stopped.text(2)} nats if a kept stroke stops the training early."
    )
    return judged(Ruling(worse.above(WORTH)), worse, reading, table=table)


@claim(
    "D02",
    section=SECTION,
    page=PAGE,
    statement="Where a drawing crosses itself the position is not enough as the state; the elapsed "
    "fraction is.",
    number="distance of a rollout over the distance between people, with the clock",
    unit="times",
    bound=(None, FOLLOWED),
    merit="DTW of a rollout to the kept strokes over that between people, with the clock",
    rule=f"Reproduced if the multiple lies below {FOLLOWED} with the clock and above it with the "
    "position alone.",
    tried=TRIED,
    studies=("drawings",),
)
def d02(drawings: Results) -> Verdict:
    """Position against position and clock."""
    clock, alone, history = (
        estimate(drawings.values(f"drawings/{name}", "dtw"))
        for name in ("recipe", "position", "history")
    )
    reading = (
        f"With the clock the rollout's distance to kept strokes is {clock.text(2)} times that "
        f"between people, and with the position alone {alone.text(2)} times."
    )
    table = listed(("position and last actions", history.text(2)), head=("State", "Times"))
    followed = clock.below(FOLLOWED) & alone.above(FOLLOWED)
    return judged(Ruling(followed), clock, reading, table=table)


@claim(
    "D03",
    section=SECTION,
    page=PAGE,
    statement="Which of the noise-contrastive objectives learns the energy matters less than the "
    "noise.",
    number="nats by which noise is worth more than the choice of the objective",
    unit="nats",
    bound=(0.0, None),
    merit="what the noise is worth (nats, as in D01) less the largest difference that another "
    "objective makes, by seed",
    rule="Reproduced if it lies above 0.",
    tried=f"{TRIED}; NCE and the likelihood by importance sampling instead of ranking NCE",
    studies=("drawings",),
)
def d03(drawings: Results) -> Verdict:
    """Objectives against noise."""
    others = np.abs([less(drawings, name, "recipe") for name in ("nce", "importance")])
    noise = less(drawings, "no-noise", "recipe")
    margin = estimate(noise - others.max(axis=0))
    nce, importance = (estimate(less(drawings, name, "recipe")) for name in ("nce", "importance"))
    reading = (
        f"Noise is worth {estimate(noise).text(2)} nats per kept action, while NCE is "
        f"{nce.text(2)} nats worse than ranking NCE and importance sampling {importance.text(2)} "
        "nats (more than 100 count as 100)."
    )
    return judged(Ruling(margin.above(0)), margin, reading)


@claim(
    "D04",
    section=SECTION,
    page=PAGE,
    statement="The energy predicts kept strokes better than a kernel density of the same state.",
    number="nats per kept action, energy less kernel density",
    unit="nats",
    bound=(None, 0.0),
    merit="nats per kept action, energy less kernel density, by seed",
    rule="Reproduced if the difference lies below 0.",
    tried=TRIED,
    studies=("drawings",),
)
def d04(drawings: Results) -> Verdict:
    """Energy against the kernel density it was smoothed like."""
    gap = {
        name: estimate(
            drawings.values(f"drawings/{name}", "nats")
            - drawings.values(f"drawings/{name}", "kernel")
        )
        for name in ("recipe", "position", "history")
    }
    reading = (
        f"With the clock the energy needs {gap['recipe'].text(2)} nats per kept action more than a "
        "kernel density with widths along and across the action (negative: it predicts better)."
    )
    table = listed(
        ("position alone", gap["position"].text(2)),
        ("position and last actions", gap["history"].text(2)),
        head=("State", "Energy less kernel density, in nats"),
    )
    return judged(Ruling(gap["recipe"].below(0)), gap["recipe"], reading, table=table)


@claim(
    "D05",
    section=SECTION,
    page=PAGE,
    statement="States and actions must be standardised.",
    number="nats that standardisation is worth per kept action",
    unit="nats",
    bound=(WORTH, None),
    merit="nats per kept action, as given less standardised, by seed",
    rule=f"Reproduced if the difference lies above {WORTH} nats.",
    tried=TRIED,
    studies=("drawings",),
)
def d05(drawings: Results) -> Verdict:
    """As given against standardised."""
    worse = estimate(less(drawings, "as-given", "recipe"))
    follows = estimate(drawings.values("drawings/as-given", "dtw"))
    reading = (
        f"As given, a kept action is {worse.text(2)} nats less likely, and the rollout's distance "
        f"to kept strokes is {follows.text(2)} times that between people."
    )
    return judged(Ruling(worse.above(WORTH)), worse, reading)
