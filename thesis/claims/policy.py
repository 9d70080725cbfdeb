"""Claims on where the two policies go, on the action set and on several modes (3.1 to 3.3)."""

from __future__ import annotations

import numpy as np

from thesis.claim import NOT_REPRODUCED, REPRODUCED, Verdict, by_parts, claim
from thesis.conditions import DATASETS
from thesis.statistics import Estimate, estimate
from thesis.study import Results

GROWTH = 2.0
RETURNED = 0.9


def over_datasets(results: Results, quantity: str) -> Estimate:
    """A quantity's mean over the data sets, per seed, estimated over the seeds all of them have."""
    seeds = results.seeds()
    rows = {(row["condition"], row["seed"]): row[quantity] for row in results.rows}
    return estimate([np.mean([rows[name, seed] for name in DATASETS]) for seed in seeds])


def each(results: Results, quantity: str, digits: int = 2) -> str:
    """A quantity on every data set in words: ``path1 0.01, circle 0.02``."""
    found = {name: estimate(results.values(name, quantity)).value for name in DATASETS}
    return ", ".join(f"{name} {value:.{digits}g}" for name, value in found.items())


def drifts(late: Estimate, early: Estimate, reach: float) -> bool:
    """The rule of C09 for a data set."""
    return late.low > reach and late.value > GROWTH * early.value


def comes_back(returned: Estimate, gap: Estimate) -> bool:
    """The rule of C10 for a data set: the share that returns, and EXP's gap less ML's."""
    return returned.value >= RETURNED and gap.high < 0


def in_time(time: Estimate, step: float) -> bool:
    """The rule of C39 for a data set: an action's time and that of a demonstrated step."""
    return time.high < step


def fails_at_modes(exp: Estimate, draw: Estimate) -> str:
    """The rule of C17 from how far the expected action and single draws stray, in steps."""
    return REPRODUCED if exp.low > 1 and draw.high < 1 else NOT_REPRODUCED


@claim(
    "C09",
    section="3.1.1, 3.3",
    page="method/sampling",
    statement="Trajectories of the most probable action (ML) drift away from the demonstrations.",
    merit="Distance of ML rollouts from the origin to the nearest demonstration, mean over the "
    "last third of 90 steps (normalised units), mean of the four data sets",
    rule="ML drifts on a data set if over the seeds the 95 % interval of this distance lies above "
    "the reach of the demonstrations' noise (three standard deviations, 0.03), and its estimate "
    "above twice that of the first third. Reproduced if it drifts on all four, in a stated range "
    "if on some.",
    tried="path1, circle, mouse1, mouse2; 4 starts a model",
    studies=("policy",),
    figure="3.3",
)
def c09(policy: Results) -> Verdict:
    """Late distance of ML against the reach of the data's noise and against its own beginning."""
    holds = {}
    for name in DATASETS:
        late = estimate(policy.values(name, "ML_late"))
        early = estimate(policy.values(name, "ML_early"))
        holds[name] = drifts(late, early, policy.values(name, "reach")[0])
    reading = (
        f"ML's late distance is {each(policy, 'ML_late')}; in the first third it is "
        f"{each(policy, 'ML_early')}. EXP's late distance is {each(policy, 'EXP_late')}."
    )
    return by_parts(holds, over_datasets(policy, "ML_late"), reading, "on ")


@claim(
    "C10",
    section="3.3, 5",
    page="method/sampling",
    statement="EXP trajectories return to the demonstrations when the state is not far from them, "
    "with a smaller variance than ML's.",
    merit="Share of EXP rollouts from 0.1 (one and a half steps) beside the demonstrations that "
    "return, mean of the four data sets; a rollout has returned if over the last 5 of 25 steps its "
    "mean distance to the nearest demonstration is below 0.03, the reach of their noise",
    rule="Holds on a data set if the mean share that returns is at least 0.9 and the gap between "
    "the two rollouts that started left and right of one place is smaller for EXP than for ML in "
    "the mean of the paired differences over seeds, with its 95 % interval below 0. Reproduced if "
    "on all four, in a stated range if on some.",
    tried="path1, circle, mouse1, mouse2; 3 places, both sides, 0.1 and 0.3 beside",
    studies=("policy",),
    figure="3.4",
)
def c10(policy: Results) -> Verdict:
    """Return and gap, paired per seed."""
    holds = {}
    for name in DATASETS:
        gap = policy.values(name, "EXP_gap_0.1") - policy.values(name, "ML_gap_0.1")
        holds[name] = comes_back(estimate(policy.values(name, "EXP_return_0.1")), estimate(gap))
    reading = (
        f"From 0.1 beside, EXP returns in {each(policy, 'EXP_return_0.1')} of the rollouts and ML "
        f"in {each(policy, 'ML_return_0.1')}; from 0.3, EXP in {each(policy, 'EXP_return_0.3')}. "
        f"The gap that is left is {each(policy, 'EXP_gap_0.1')} for EXP and "
        f"{each(policy, 'ML_gap_0.1')} for ML. Rollouts from nearly one start spread by "
        f"{each(policy, 'EXP_late_spread')} (EXP) and {each(policy, 'ML_late_spread')} (ML) late."
    )
    return by_parts(holds, over_datasets(policy, "EXP_return_0.1"), reading, "on ")


@claim(
    "C11",
    section="3.2",
    page="method/policy",
    statement="The mode of the action lies in B_eps(0), eps being twice the longest step.",
    merit="Share of demonstrated states whose exact mode lies in B_eps(0), mean of the four data "
    "sets; the grid reaches to 4 eps",
    rule="Reproduced on a data set if the share is 1 for every seed; in a stated range if on some.",
    tried="path1, circle, mouse1, mouse2; 24 demonstrated states a model, and 24 states drawn "
    "uniformly around the data",
    studies=("modes",),
    figure="action-density",
)
def c11(modes: Results) -> Verdict:
    """Modes at demonstrated states, and around them for comparison."""
    holds = {name: bool(modes.values(name, "inside").min() == 1) for name in DATASETS}
    reading = (
        f"At demonstrated states the share is {each(modes, 'inside')}, the mode is as long as "
        f"{each(modes, 'length')} eps, and B_eps(0) holds a probability of "
        f"{each(modes, 'mass_inside')}. Anywhere in the data's box, widened by a fifth, the share "
        f"is {each(modes, 'inside_around')}."
    )
    return by_parts(holds, over_datasets(modes, "inside"), reading, "on ")


@claim(
    "C17",
    section="3.3",
    page="method/sampling",
    statement="EXP fails when the action distribution has several modes.",
    merit="Largest distance of an EXP rollout through the fork from every demonstration, mean over "
    "6 rollouts, in demonstrated steps",
    rule="Reproduced if its 95 % interval lies above one step while single draws from the same "
    "model, which can choose a mode, stay below it: else it is not the expectation that fails.",
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
        f"EXP strays by {found['EXP'].text(2)} steps, single draws by {found['draw'].text(2)}, ML "
        f"by {found['ML'].text(2)}. At the splitting point the exact expected action is "
        f"{at['EXP'].text(2)} steps from the nearer arm's mean action, the mode {at['ML'].text(2)} "
        f"and a draw {at['draw'].text(2)}; the density at the expected action is "
        f"{ratio.text(2)} of the mode's."
    )
    return Verdict(fails_at_modes(found["EXP"], found["draw"]), found["EXP"], reading)


@claim(
    "C39",
    section="1.2",
    page="method/sampling",
    statement="Inference by gradient steps is cheap enough to plan just in time.",
    merit="Milliseconds for one EXP action (64 chains), median of 12 in a row, mean of the four "
    "data sets; on a CPU processor time, on a GPU wall clock, on the device that the results name",
    rule="Just in time means not slower than the hand that demonstrated: on mouse1 and mouse2, "
    "which carry times (of a reconstruction, 125 positions a second), the 95 % interval lies below "
    "the mean time of a demonstrated step. Reproduced if on both, in a stated range if on one.",
    tried="one state, 64 chains, K 100 (mouse1: 256)",
    studies=("timing",),
)
def c39(timing: Results) -> Verdict:
    """Time of an action against the time of a demonstrated step; depends on the machine."""
    timed = ("mouse1", "mouse2")
    step = {name: timing.values(name, "step")[0] for name in timed}
    holds = {name: in_time(estimate(timing.values(name, "EXP")), step[name]) for name in timed}
    reading = (
        f"An EXP action takes {each(timing, 'EXP')} ms and an ML action {each(timing, 'ML')} ms on "
        f"{timing.provenance['device']}; a demonstrated step takes {step['mouse1']:.2g} ms "
        f"(mouse1) and {step['mouse2']:.2g} ms (mouse2). This number depends on the machine."
    )
    return by_parts(holds, over_datasets(timing, "EXP"), reading, "on ")
