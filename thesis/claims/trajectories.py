"""Claims on sampled trajectories (section 4.4)."""

from __future__ import annotations

import numpy as np

from thesis.claim import Verdict, claim, judged, listed
from thesis.evidence import Evidence, Ruling, all_of, by_parts, fact
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
    number="how far the mean action 0.3 beside the path differs from that on the path",
    unit="mean actions",
    bound=(None, None),
    merit="length of the difference between the mean action 0.3 beside the path and the one on the "
    "path, over the length of the latter; median over places and both sides",
    rule="Two actions count as the same if they differ by less than demonstrated actions scatter "
    "around their local mean (the margin). Reproduced if the difference is below this scatter at "
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
    same = {distance: change[distance].below(scatter) for distance in DISTANCES[1:]}
    up_to = {
        distance: all_of(found for at, found in same.items() if at <= distance)
        for distance in DISTANCES[1:]
    }
    farthest = max((d for d in DISTANCES[1:] if up_to[d].answer), default=0.1)
    farthest = max(farthest, 0.1)
    reading = (
        f"The action 0.3 beside the path differs by {change[0.3].text(2)} of a mean action; "
        f"demonstrated actions scatter by {scatter:.2g}."
    )
    table = (
        ("Distance beside the path", *(f"{d:g}" for d in DISTANCES[1:])),
        ("difference of the action (mean actions)",
         *(change[d].text(2) for d in DISTANCES[1:])),
        ("its direction turns by (degrees)", *(turn[d].text(2) for d in DISTANCES[1:])),
    )  # fmt: skip
    parts = {f"{d:g} beside": change[d] for d in (0.1, 0.3, 0.5)}
    ruling = Ruling(up_to[0.5], {f"up to {farthest:g} beside the path": up_to[farthest]})
    return judged(ruling, change[0.3], reading, table=table, parts=parts, bound=(None, scatter))


def between_branches(share: Estimate, smaller: Estimate) -> Evidence:
    """The rule of C35 for trajectories: many end in the gap, or hardly any in one branch."""
    return share.above(0.25) | smaller.below(0.1)


@claim(
    "C35",
    section="4.4.3",
    page="experiments/mouse1",
    statement="Demonstrations of mouse1 spread at their tail, and EXP does not show their several "
    "modes.",
    number="share of EXP trajectories that end between the two branches",
    unit="share",
    bound=(0.25, None),
    merit="share of EXP trajectories that end in the gap between the two branches, in which no "
    "demonstration ends",
    rule="Reproduced if the demonstrations' spread across the movement at least doubles from step "
    "60 to their end, and either the share lies above 0.25 or fewer than a tenth "
    "of the trajectories end in one of the branches.",
    tried="mouse1 (a reconstruction), $K = 256$, from every demonstrated state at step 50",
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
    grows = fact(spread[-1] >= 2 * spread[1])
    reading = (
        f"Of EXP's trajectories {share.text(2)} end between the branches, where no demonstration "
        f"ends, and of single draws {drawn.text(2)}."
    )
    table = listed(
        ("spread of the demonstrations at step 60", f"{spread[1]:.2g}"),
        ("spread of the demonstrations at the end", f"{spread[-1]:.2g}"),
        ("spread of EXP over that of the demonstrations, at the end", narrower.text(2)),
        ("EXP trajectories that end in the emptier branch (share)", smaller.text(2)),
        ("EXP trajectories that end between the branches (share)", share.text(2)),
        ("single draws that end between the branches (share)", drawn.text(2)),
    )
    ruling = Ruling(grows & between_branches(share, smaller))
    return judged(ruling, share, reading, table=table)


def not_copied(angles: dict[float, Estimate]) -> Ruling:
    """The rule of C36 from the angles by distance, which are its ranges."""
    return by_parts(
        {
            f"at {d:g} beside the centre line": angles[d].above(2 * angles[0.0].value)
            for d in (0.3, 0.5, 0.7)
        }
    )


@claim(
    "C36",
    section="4.4.4",
    page="experiments/mouse2",
    statement="Away from the data of mouse2 the model does not copy the action of the "
    "Euclidean-nearest demonstrated state.",
    number="angle to the nearest demonstrated action, 0.5 beside the centre line",
    unit="degrees",
    bound=(None, None),
    merit="angle in degrees between the mean action and that of the nearest demonstrated state, "
    "0.5 beside the centre line; median over places and both sides",
    rule="Reproduced if, at 0.3, 0.5 and 0.7 beside the centre line, the angle lies above twice "
    "the angle on the line itself, where the model does imitate; in a stated range if at one "
    "or two "
    "of these.",
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
        f"The model's action is {angles[0.0].text(2)} degrees from that of the nearest "
        f"demonstrated "
        f"state on the centre line, and {angles[0.5].text(2)} at 0.5 beside it."
    )
    far = (0.0, 0.3, 0.5, 0.7)
    table = (
        ("Angles in degrees, by distance", *(f"{d:g}" for d in far)),
        ("to the nearest demonstrated action", *(angles[d].text(2) for d in far)),
        ("to the mean of the twenty nearest", *(smooth[d].text(2) for d in far)),
        ("the model's action turns by", *(turn[d].text(2) for d in far)),
        ("the nearest neighbours' turns by", *(copy[d].text(2) for d in far)),
    )
    parts = {f"{d:g} beside": angles[d] for d in (0.3, 0.5, 0.7)}
    return judged(
        not_copied(angles), angles[0.5], reading, table=table, parts=parts,
        bound=(2 * angles[0.0].value, None),
    )  # fmt: skip
