"""Claims on sampled trajectories (section 4.4)."""

from __future__ import annotations

import numpy as np

from thesis.claim import IN_RANGE, NOT_REPRODUCED, REPRODUCED, Verdict, claim
from thesis.statistics import Estimate, estimate
from thesis.studies.offsets import DISTANCES
from thesis.study import Results


def by_distance(offsets: Results, condition: str, quantity: str) -> dict[float, Estimate]:
    """A quantity of the study of offsets at every distance, over seeds."""
    table = offsets.values(condition, quantity)
    return {d: estimate(column) for d, column in zip(DISTANCES, table.T, strict=True)}


@claim(
    "C32",
    section="4.4.1",
    page="experiments/path1",
    statement="On path1, the learned action does not change orthogonally to the path.",
    merit="length of the difference between the mean action 0.3 beside the path and the one on the "
    "path, over the length of the latter; median over places and both sides",
    rule="Two actions count as the same if they differ by less than demonstrated actions scatter "
    "around their local mean. Reproduced if the upper end of the interval is below this scatter at "
    "every distance up to 0.5, a twelfth of the path's length; in a stated range if at every "
    "distance up to at least 0.1, ten times the noise on the demonstrated positions.",
    tried="path1, 17 places, distances 0.05 to 0.7",
    studies=("offsets",),
    figure="field-path1",
)
def c32(offsets: Results) -> Verdict:
    """How far the action on the path is also the action beside it."""
    change = by_distance(offsets, "path1", "change")
    turn = by_distance(offsets, "path1", "turn")
    scatter = float(np.median(offsets.values("path1", "scatter")))
    same = 0.0
    for distance in DISTANCES[1:]:
        if change[distance].high >= scatter:
            break
        same = distance
    reading = (
        f"Actions scatter by {scatter:.2g} of a mean step in the data. Beside the path the mean "
        f"action differs by {change[0.1].text(2)} at 0.1, {change[0.3].text(2)} at 0.3 and "
        f"{change[0.5].text(2)} at 0.5; its direction turns by {turn[0.3].text(2)} degrees at 0.3."
    )
    number = change[0.3]
    if same >= 0.5:
        return Verdict(REPRODUCED, number, reading)
    if same >= 0.1:
        return Verdict(IN_RANGE, number, reading, where=f"up to {same:g} beside the path")
    return Verdict(NOT_REPRODUCED, number, reading)


def between_branches(share: Estimate, smaller: Estimate) -> bool:
    """The rule of C35 for trajectories: many end in the gap, or hardly any in one branch."""
    return share.low > 0.25 or smaller.high < 0.1


@claim(
    "C35",
    section="4.4.3",
    page="experiments/mouse1",
    statement="Demonstrations of mouse1 spread at their tail, and EXP does not show their several "
    "modes.",
    merit="share of EXP trajectories that end in the gap between the two branches, in which no "
    "demonstration ends",
    rule="Reproduced if the demonstrations' spread across the movement at least doubles from step "
    "60 to their end, and either the interval of the share lies above 0.25 or fewer than a tenth "
    "of the trajectories end in one of the branches.",
    tried="mouse1 (a reconstruction), K 256, from every demonstrated state at step 50",
    studies=("tail",),
    figure="tail-mouse1",
)
def c35(tail: Results) -> Verdict:
    """Between the branches, or in them."""
    spread = tail.values("mouse1", "data")[0]
    # 1 - shares of either side leaves rounding of 1e-17
    share = estimate(tail.values("mouse1", "EXP_gap").round(9))
    smaller = estimate(tail.values("mouse1", "EXP_smaller"))
    drawn = estimate(tail.values("mouse1", "DRAW_gap").round(9))
    narrower = estimate(tail.values("mouse1", "EXP_spread"))
    holds = spread[-1] >= 2 * spread[1] and between_branches(share, smaller)
    reading = (
        f"The demonstrations' spread grows from {spread[1]:.2g} at step 60 to {spread[-1]:.2g}. "
        f"Of EXP's trajectories {share.text(2)} end in the gap; their spread is "
        f"{narrower.text(2)} of the demonstrations'. Of single draws {drawn.text(2)} end in the "
        "gap too: the action depends on the position alone, and positions do not tell the branches "
        "apart before they part."
    )
    return Verdict(REPRODUCED if holds else NOT_REPRODUCED, share, reading)


def not_copied(angles: dict[float, Estimate]) -> tuple[str, str]:
    """The rule of C36 from the angles by distance: the outcome, and the distances of a range."""
    far = (0.3, 0.5, 0.7)
    apart = [d for d in far if angles[d].low > 2 * angles[0.0].value]
    if len(apart) == len(far):
        return REPRODUCED, ""
    if apart:
        return IN_RANGE, f"at {' and '.join(f'{d:g}' for d in apart)} beside the centre line"
    return NOT_REPRODUCED, ""


@claim(
    "C36",
    section="4.4.4",
    page="experiments/mouse2",
    statement="Away from the data of mouse2 the model does not copy the action of the "
    "Euclidean-nearest demonstrated state.",
    merit="angle in degrees between the mean action and that of the nearest demonstrated state, "
    "0.5 beside the centre line; median over places and both sides",
    rule="Reproduced if, at 0.3, 0.5 and 0.7 beside the centre line, the interval of the angle "
    "lies above twice the angle on the line itself, where the model does imitate; in a stated "
    "range if at one or two of these.",
    tried="mouse2 (a reconstruction), 17 places, distances 0.05 to 0.7",
    studies=("offsets",),
    figure="neighbour-mouse2",
)
def c36(offsets: Results) -> Verdict:
    """The nearest neighbour's action, and the model's."""
    angles = by_distance(offsets, "mouse2", "nearest")
    smooth = by_distance(offsets, "mouse2", "smooth")
    turn, copy = (by_distance(offsets, "mouse2", q) for q in ("turn", "nearest_turn"))
    reading = (
        f"The angle is {angles[0.0].text(2)} degrees on the line, {angles[0.3].text(2)} at 0.3, "
        f"{angles[0.5].text(2)} at 0.5 and {angles[0.7].text(2)} at 0.7. Against the mean of the "
        f"twenty nearest actions, which is free of their noise, it is {smooth[0.0].text(2)} and, "
        f"at 0.7, {smooth[0.7].text(2)}. Moving out to 0.7 turns the model's action by "
        f"{turn[0.7].text(2)} degrees, the nearest neighbours' by {copy[0.7].text(2)}."
    )
    outcome, where = not_copied(angles)
    return Verdict(outcome, angles[0.5], reading, where)
