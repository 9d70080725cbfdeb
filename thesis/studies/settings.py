"""Settings other than ours, for claims that do not hold at ours.

Nearly everything here is measured the way the claim's own study does, on other conditions: networks
at higher learning rates, deeper ones, data with more and less noise. New are the time and the error
of an action with fewer chains and steps, the tail of mouse1 from later places, and the embedding
network's first updates.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ebmlib.evaluation.exact import Grid, model_density
from ebmlib.policies import EXP
from ebmlib.sampling import fused
from thesis.conditions import DEPTHS, LEVEL_RATES, NORMALISED_DEPTHS, RATES, SIGMAS, WIDER_DATA
from thesis.studies import architecture, convergence, dynamics, modes, network, offsets, policy
from thesis.studies.trajectories import POPULATION, across, gap, roll
from thesis.study import SEEDS, Cell, Study

BUDGETS = tuple((chains, steps) for chains in (4, 16, 64) for steps in (12, 25, 50, 100))
"""Chains and steps that an action may cost."""

ACTIONS, STATES = 12, 16

LATER = (50, 55, 60, 65, 70)
"""Steps of mouse1's demonstrations from which tails are sampled; the first is claim C35's own."""


def early(cell: Cell) -> dict[str, Any]:
    """Trajectory error of a training that has just begun.

    Returns:
        ``early_error``: at the epochs ``early``, the updates of :data:`architecture.EARLY`.
    """
    result = cell.trained.result
    epochs = [epoch for epoch in architecture.EARLY if epoch in result.snapshots]
    epochs = epochs or [max(result.snapshots)]
    models = (result.at(epoch) for epoch in epochs)
    sampler = cell.sampler
    return {
        "early": epochs,
        "early_error": architecture.errors(models, sampler, cell, "trajectories")[0],
    }


def budget(cell: Cell) -> dict[str, Any]:
    """What an EXP action costs and how exact it is, by the number of chains and of steps.

    Time is taken as in the study of timing: the processor's on a CPU, the wall clock on a GPU.

    Returns:
        over :data:`BUDGETS`: ``chains``, ``steps``, ``milliseconds`` (median over actions in a row)
        and ``error``, the root mean square distance to the exact expected action at demonstrated
        states, in demonstrated steps; ``step``: mean milliseconds between demonstrated positions.
    """
    data, model = cell.trained.demonstrations, cell.trained.model
    sampler = cell.sampler
    count, n = (2, 4) if cell.small else (ACTIONS, STATES)
    places = np.linspace(0, data.n_pairs - 1, n).astype(int)
    x = torch.tensor(data.states[places], dtype=torch.float32, device=cell.device)
    grid = Grid(1.5 * data.eps, points=31 if cell.small else 241)
    model.eval()
    exact = model_density(model, x, grid).mean().to(x.dtype)
    clock = time.perf_counter if cell.device.type == "cuda" else time.process_time
    lists: dict[str, list[float]] = {name: [] for name in ("milliseconds", "error")}
    for chains, steps in BUDGETS:
        acts = EXP(model, replace(sampler, steps=steps), chains)
        generator = cell.generator(f"{chains}/{steps}")
        with fused.permitted(True):
            found = acts.act(x, generator=generator)
            lists["error"].append(float((found - exact).square().sum(dim=1).mean().sqrt()))
            at, taken = x[:1], []
            acts.act(at, generator=generator)
            for _ in range(count):
                began = clock()
                at = at + acts.act(at, generator=generator)
                at.cpu()  # waits for a GPU
                taken.append(1000 * (clock() - began))
            lists["milliseconds"].append(float(np.median(taken)))
    assert data.times is not None
    return {
        "chains": [chains for chains, _ in BUDGETS],
        "steps": [steps for _, steps in BUDGETS],
        "milliseconds": lists["milliseconds"],
        "error": [error / data.step_length for error in lists["error"]],
        "step": np.mean([np.diff(stamps).mean() for stamps in data.times]),
    }


def tails(cell: Cell) -> dict[str, Any]:
    """Where EXP trajectories end across mouse1, by the step at which they set out.

    Returns:
        ``from``: :data:`LATER`; over it ``gap``, the share that ends between the branches, and
        ``smaller``, the share that ends in the branch that has fewer.
    """
    demonstrations = cell.trained.demonstrations
    shown = np.stack(demonstrations.trajectories)
    origin, normal = across(demonstrations)
    low, high = gap((shown[:, -1] - origin) @ normal)
    acts = EXP(cell.trained.model, cell.sampler, 2 if cell.small else POPULATION)
    inside, smaller = [], []
    for place in LATER:
        left = shown.shape[1] - 1 - place
        states = roll(acts, shown[:, place], left, cell.generator(f"from {place}"), cell.device)
        ends = (states[:, -1] - origin) @ normal
        below, above = float((ends <= low).mean()), float((ends >= high).mean())
        inside.append(1 - below - above)
        smaller.append(min(below, above))
    return {"from": LATER, "gap": inside, "smaller": smaller}


def mixing(cell: Cell) -> dict[str, Any]:
    """What the histories say (dynamics) and where the chains are (convergence), in one row."""
    return dynamics.measure(cell) | convergence.measure(cell)


def _at_rates(*kinds: str, rates: tuple[float, ...] = RATES) -> tuple[str, ...]:
    return tuple(f"lr/{kind}-{lr:g}" for kind in kinds for lr in rates)


STUDIES = (
    Study(
        "learning-rate",
        _at_rates("embedding", "sn-fcn-0-2", "plain", "plain-tanh", "plain-path1"),
        architecture.measure,
    ),
    Study("early", _at_rates("early"), early, SEEDS),
    Study("sizes", ("size/quarter", "size/eighth"), architecture.measure, SEEDS),
    Study("level", _at_rates("figure-3-2", "regularised", rates=LEVEL_RATES), network.measure),
    Study(
        "depth",
        tuple(f"depth/{kind}-{depth}" for kind in ("residual", "no-residual") for depth in DEPTHS),
        network.measure,
        SEEDS,  # few updates, but each of up to sixteen layers
    ),
    Study(
        "normalised-depth",
        tuple(f"normalised/no-residual-{depth}" for depth in NORMALISED_DEPTHS),
        architecture.measure,
        SEEDS,
    ),
    Study(
        "data-noise",
        tuple(f"sigma/{name}-{sigma:g}" for name in WIDER_DATA for sigma in SIGMAS),
        policy.measure,
    ),
    Study("offsets-noise", ("sigma/mouse2-0.003", "sigma/mouse2-0.02"), offsets.measure, SEEDS),
    Study("fork-settings", ("fork/lr-0.003", "fork/lr-0.01", "fork/epochs-3000"), modes.fork),
    Study("mixing", tuple(f"mouse1/alpha-0.003-K-{steps}" for steps in (100, 256)), mixing, SEEDS),
    Study("budget", ("mouse1", "mouse2"), budget, clock=("milliseconds",)),
    Study("tail-starts", ("mouse1",), tails),
)
