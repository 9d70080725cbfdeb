"""Claims on where the two policies go, on the action set and on several modes (3.1 to 3.3)."""

from __future__ import annotations

import numpy as np

from thesis.claim import Table, Verdict, claim, judged
from thesis.conditions import DATASETS
from thesis.evidence import Evidence, Ruling, by_parts, every
from thesis.statistics import Estimate, estimate, short
from thesis.study import Results

GROWTH = 2.0
RETURNED = 0.9


def over_datasets(results: Results, quantity: str) -> Estimate:
    """A quantity's mean over the data sets, per seed, estimated over the seeds all of them have."""
    seeds = results.seeds()
    rows = {(row["condition"], row["seed"]): row[quantity] for row in results.rows}
    return estimate([np.mean([rows[name, seed] for name in DATASETS]) for seed in seeds])


def by_data(results: Results, *quantities: tuple[str, str], head: str = "") -> Table:
    """A table of quantities on every data set, from pairs of words and a quantity."""
    rows = [
        (words, *(short(estimate(results.values(n, quantity)).value, 2) for n in DATASETS))
        for words, quantity in quantities
    ]
    return ((head, *DATASETS), *rows)


def drifts(late: Estimate, early: Estimate, reach: float) -> Evidence:
    """The rule of C09 for a data set."""
    return late.above(reach) & late.above(GROWTH * early.value)


def comes_back(returned: Estimate, gap: Estimate) -> Evidence:
    """The rule of C10 for a data set: the share that returns, and EXP's gap less ML's."""
    return returned.at_least(RETURNED) & gap.below(0)


def in_time(time: Estimate, step: float) -> Evidence:
    """The rule of C39 for a data set: an action's time and that of a demonstrated step."""
    return time.below(step)


def fails_at_modes(exp: Estimate, draw: Estimate) -> Ruling:
    """The rule of C17 from how far the expected action and single draws stray, in steps."""
    return Ruling(exp.above(1) & draw.below(1))


@claim(
    "C09",
    section="3.1.1, 3.3",
    page="method/sampling",
    statement="Trajectories of the most probable action (ML) drift away from the demonstrations.",
    number="late distance of ML trajectories to the demonstrations, mean of the four data sets",
    unit="normalised units",
    bound=(0.03, None),
    merit="distance of ML rollouts from the origin to the nearest demonstration, mean over the "
    "last third of 90 steps (normalised units), mean of the four data sets",
    rule="ML drifts on a data set if over the seeds this distance lies above the reach of the "
    "demonstrations' noise (three standard deviations, 0.03), and above twice its value in the "
    "first third. Reproduced if it drifts on all four, in a stated range if on some.",
    tried="path1, circle, mouse1, mouse2; 4 starts a model",
    studies=("policy",),
    figure="3.3",
)
def c09(policy: Results) -> Verdict:
    """Late distance of ML against the reach of the data's noise and against its own beginning."""
    late = {name: estimate(policy.values(name, "ML_late")) for name in DATASETS}
    holds = {}
    for name in DATASETS:
        early = estimate(policy.values(name, "ML_early"))
        holds[name] = drifts(late[name], early, policy.values(name, "reach")[0])
    number = over_datasets(policy, "ML_late")
    reading = (
        f"ML ends {number.text(2)} from the demonstrations on average, but seeds differ so "
        "much that a drift is certain on "
        + (", ".join(n for n in DATASETS if holds[n].answer) or "no data set")
        + "."
    )
    table = by_data(
        policy,
        ("ML, last third", "ML_late"),
        ("ML, first third", "ML_early"),
        ("EXP, last third", "EXP_late"),
        head="Distance to the demonstrations",
    )
    return judged(by_parts(holds), number, reading, before="on ", table=table, parts=late)


@claim(
    "C10",
    section="3.3, 5",
    page="method/sampling",
    statement="EXP trajectories return to the demonstrations when the state is not far from them, "
    "with a smaller variance than ML's.",
    number="share of EXP trajectories from 0.1 beside that come back within the data's noise, mean "
    "of the four data sets",
    unit="share",
    bound=(RETURNED, None),
    merit="share of EXP rollouts from 0.1 (one and a half steps) beside the demonstrations that "
    "*come back within the data's noise*: over the last 5 of 25 steps their mean distance to the "
    "nearest demonstration is below 0.03, the reach of the noise; mean of the four data sets",
    rule="Holds on a data set if the share that comes back is at least 0.9 and the gap between the "
    "two rollouts that started left and right of one place is smaller for EXP than for ML, in the "
    "paired differences over seeds. Reproduced if on all four, in a stated range if on some.",
    tried="path1, circle, mouse1, mouse2; 3 places, both sides, 0.1 and 0.3 beside",
    studies=("policy",),
    figure="3.4",
)
def c10(policy: Results) -> Verdict:
    """Return and gap, paired per seed."""
    back = {name: estimate(policy.values(name, "EXP_return_0.1")) for name in DATASETS}
    holds = {}
    for name in DATASETS:
        gap = policy.values(name, "EXP_gap_0.1") - policy.values(name, "ML_gap_0.1")
        holds[name] = comes_back(back[name], estimate(gap))
    exp, ml = (over_datasets(policy, f"{p}_return_0.1") for p in ("EXP", "ML"))
    reading = (
        f"Within 25 steps EXP comes back in {100 * exp.value:.0f} % of the trajectories from 0.1 "
        f"beside, and ML in {100 * ml.value:.0f} %."
    )
    table = by_data(
        policy,
        ("EXP comes back from 0.1 beside (share)", "EXP_return_0.1"),
        ("ML comes back from 0.1 beside (share)", "ML_return_0.1"),
        ("EXP comes back from 0.3 beside (share)", "EXP_return_0.3"),
        ("gap that is left, EXP", "EXP_gap_0.1"),
        ("gap that is left, ML", "ML_gap_0.1"),
        ("late spread from nearly one start, EXP", "EXP_late_spread"),
        ("late spread from nearly one start, ML", "ML_late_spread"),
    )
    return judged(by_parts(holds), exp, reading, before="on ", table=table, parts=back)


@claim(
    "C11",
    section="3.2",
    page="method/policy",
    statement="The mode of the action lies in $B_\\varepsilon(0)$, $\\varepsilon$ being twice the "
    "longest step.",
    number="share of demonstrated states whose mode lies in $B_\\varepsilon(0)$",
    unit="share",
    bound=(1.0, None),
    merit="share of demonstrated states whose exact mode lies in $B_\\varepsilon(0)$, mean of the "
    "four data sets; the grid reaches to $4\\,\\varepsilon$",
    rule="Reproduced on a data set if the share is 1 for every seed; in a stated range if on some.",
    tried="path1, circle, mouse1, mouse2; 24 demonstrated states a model, and 24 states drawn "
    "uniformly around the data",
    studies=("modes",),
    figure="action-density",
)
def c11(modes: Results) -> Verdict:
    """Modes at demonstrated states, and around them for comparison."""
    holds = {name: every(modes.values(name, "inside") >= 1) for name in DATASETS}
    number = over_datasets(modes, "inside")
    reading = (
        f"The mode lies in the ball at {100 * number.value:.4g} % of the demonstrated states, and "
        f"its length is {over_datasets(modes, 'length').text(2)} $\\varepsilon$ in the mean."
    )
    table = by_data(
        modes,
        ("share at demonstrated states", "inside"),
        ("share anywhere around the data", "inside_around"),
        ("length of the mode (in $\\varepsilon$)", "length"),
        ("probability of $B_\\varepsilon(0)$", "mass_inside"),
    )
    return judged(by_parts(holds), number, reading, before="on ", table=table)


@claim(
    "C17",
    section="3.3",
    page="method/sampling",
    statement="EXP fails when the action distribution has several modes.",
    number="how far EXP trajectories stray from all demonstrations of fork",
    unit="demonstrated steps",
    bound=(1.0, None),
    merit="largest distance of an EXP rollout through the fork from every demonstration, mean over "
    "6 rollouts, in demonstrated steps",
    rule="Reproduced if it lies above one step while single draws from the same model, which can "
    "choose a mode, stay below it: else it is not the expectation that fails.",
    tried="fork: strokes that turn left or right by 60 degrees after a common stem",
    studies=("fork",),
    figure="fork",
)
def c17(fork: Results) -> Verdict:
    """Rollouts through the fork, and the exact density there."""
    found = {name: estimate(fork.values("fork", f"{name}_stray")) for name in ("EXP", "draw", "ML")}
    at = {name: estimate(fork.values("fork", f"fork_{name}")) for name in ("EXP", "draw", "ML")}
    ratio = estimate(fork.values("fork", "ratio"))
    reading = (
        f"EXP strays by {found['EXP'].text(2)} steps, but single draws stray by "
        f"{found['draw'].text(2)}."
    )
    table = (
        ("", "EXP", "single draws", "ML"),
        ("strays by (steps)", *(found[n].text(2) for n in ("EXP", "draw", "ML"))),
        ("at the splitting point: from the nearer arm's mean action (steps)",
         *(at[n].text(2) for n in ("EXP", "draw", "ML"))),
        ("density there over the mode's", ratio.text(2), "", "1"),
    )  # fmt: skip
    ruling = fails_at_modes(found["EXP"], found["draw"])
    parts = {"EXP (above 1)": found["EXP"], "draws (below 1)": found["draw"]}
    return judged(ruling, found["EXP"], reading, table=table, parts=parts)


@claim(
    "C39",
    section="1.2",
    page="method/sampling",
    statement="Inference by gradient steps is cheap enough to plan just in time.",
    number="time of one EXP action, mean of the four data sets",
    unit="milliseconds",
    bound=(None, None),
    merit="milliseconds for one EXP action (64 chains), median of 12 in a row, mean of the four "
    "data sets; on a CPU processor time, on a GPU wall clock, on the device that the results name",
    rule="Just in time means not slower than the hand that demonstrated: on mouse1 and mouse2, "
    "which carry times (of a reconstruction, 125 positions a second), the time lies below the mean "
    "time of a demonstrated step. Reproduced if on both, in a stated range if on one.",
    tried="one state, 64 chains, $K = 100$ (mouse1: 256)",
    studies=("timing",),
)
def c39(timing: Results) -> Verdict:
    """Time of an action against the time of a demonstrated step; depends on the machine."""
    timed = ("mouse1", "mouse2")
    step = {name: timing.values(name, "step")[0] for name in timed}
    times = {name: estimate(timing.values(name, "EXP")) for name in timed}
    holds = {name: in_time(times[name], step[name]) for name in timed}
    reading = (
        f"An EXP action takes {times['mouse1'].value:.2g} ms on mouse1 and "
        f"{times['mouse2'].value:.2g} ms on mouse2, a demonstrated step "
        f"{step['mouse1']:.2g} and {step['mouse2']:.2g} ms; this depends on the machine."
    )
    table = by_data(
        timing, ("EXP action", "EXP"), ("ML action", "ML"),
        head=f"Milliseconds ({timing.provenance['device']})",
    )  # fmt: skip
    return judged(
        by_parts(holds), over_datasets(timing, "EXP"), reading, before="on ", table=table,
        parts=times, bound=(None, float(min(step.values()))),
    )  # fmt: skip
