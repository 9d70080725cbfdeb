"""What each ingredient of the recipe for drawings is worth, on strokes that nobody trained on."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ebmlib import recipe
from ebmlib.comparison.methods import fine_log_prob
from ebmlib.comparison.protocol import AWAY, Split
from ebmlib.demonstrations import bundled
from ebmlib.demonstrations.recordings import read_recording
from ebmlib.evaluation.metrics import distance_to_states, dtw_per_point
from ebmlib.policies.trained import TrainedPolicy
from ebmlib.policies.trajectories import rollout
from thesis.drawings import DRAWINGS, KEPT, SOURCE
from thesis.study import Cell, Study

BOUND = 100.0
"""Nats and multiples of the floor that count as no better than this: a run that ran away."""


def split() -> Split:
    """The four strokes that train, the three that are kept, by the protocol of drawings."""
    strokes = [
        x for name in (SOURCE, KEPT) for x in read_recording(bundled.resolve(name)[0]).positions
    ]
    return Split.of(SOURCE, strokes)


def ingredients(cell: Cell) -> dict[str, Any]:
    """How well the kept strokes are predicted and followed.

    Returns:
        ``nats``: mean -log p of a kept action, actions in units of their spread;
        ``nats_stopped``: the same of the snapshot that the first kept stroke is likeliest under,
        on the other two; ``nats_last``: of the last weights, on the same two; ``dtw``: distance of
        a rollout by E[a | x] from the origin to the kept strokes (median), over the distance
        between people (median over training and kept strokes); ``away``: 1 if it left the data by
        half of their extent; ``kernel``: as ``nats``, of a kernel density of the same state with
        widths along and across the action. Nats and distances above 100 count as 100.
    """
    held = split()
    policy = TrainedPolicy.of(cell.trained)
    features, steps = policy.features, held.steps
    actions = torch.tensor(held.train.actions, dtype=torch.float32)
    spread = float(actions.var(dim=0, correction=0).mean().sqrt())
    states, kept = (column.to(cell.device) for column in held.kept_pairs(features))
    every = 20 if cell.small else 2
    rows = torch.arange(0, len(states), every, device=cell.device)

    def nats(chosen: torch.Tensor, model: Any = None) -> float:
        of = policy if model is None else _with_model(policy, model)
        found = -float(fine_log_prob(of, states[chosen], kept[chosen]).double().mean())
        found -= held.train.dim * math.log(spread)
        return min(found, BOUND) if math.isfinite(found) else BOUND

    numbers: dict[str, Any] = {"nats": nats(rows)}
    first, others = rows[rows < steps], rows[rows >= steps]
    numbers["nats_last"] = nats(others)
    snapshots = cell.trained.result.snapshots
    models = {k: cell.trained.result.at(k).to(cell.device) for k in sorted(snapshots) if k > 0}
    if models:
        best = min(models, key=lambda epoch: nats(first, models[epoch]))
        numbers |= {"nats_stopped": nats(others, models[best]), "epoch_stopped": best}
    path = (
        rollout(
            policy.policy("exp"),
            torch.zeros(1, held.train.dim, device=cell.device),
            3 if cell.small else steps,
            generator=cell.generator("rollout"),
            features=features,
            horizon=steps,
        )
        .states.double()
        .cpu()
        .numpy()
    )
    between = np.median([dtw_per_point(path, x) for x in held.kept]) / held.floor()
    extent = max(float(np.ptp(x, axis=0).max()) for x in held.train.trajectories)
    numbers["dtw"] = min(float(between), BOUND)
    far = distance_to_states(path, held.train.states).max()
    numbers["away"] = float(far > AWAY * extent)
    density = recipe.kernel_density(held.train, features, oriented=True)
    of_kernel = density.log_prob(states[rows].cpu(), kept[rows].cpu())
    numbers["kernel"] = -float(of_kernel.mean()) - held.train.dim * math.log(spread)
    return numbers


def _with_model(policy: TrainedPolicy, model: Any) -> TrainedPolicy:
    return replace(policy, model=model)


def exact_densities(cell: Cell) -> dict[str, Any]:
    """Exact p(a | x) at a kept state in the crossing, on a square grid.

    Returns:
        ``mass``: probabilities (n, n) of cells; ``half``: half the width of the square, in units of
        the actions' spread; ``taken``: the kept action there, in the same units, from the centre.
    """
    held = split()
    policy = TrainedPolicy.of(cell.trained)
    states, kept = held.kept_pairs(policy.features)
    actions = torch.tensor(held.train.actions, dtype=torch.float32)
    spread = float(actions.var(dim=0, correction=0).mean().sqrt())
    crossing = int(np.argmin(again(held)))
    n, half = (9, HALF) if cell.small else (CELLS, HALF)
    axis = torch.linspace(-half, half, n) * spread
    points = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).reshape(-1, 2)
    x = states[crossing : crossing + 1].to(cell.device)
    with torch.no_grad():
        f = policy.model(x[:, None], points[None].to(cell.device))
    mass = f.double().softmax(dim=1).reshape(n, n)
    return {"mass": mass, "half": half, "taken": kept[crossing] / spread}


CELLS, HALF = 41, 3.0


def again(held: Split) -> np.ndarray:
    """Distance of every state of the first kept stroke to the nearest one of another passage."""
    path = held.kept[0][:-1]
    apart = np.linalg.norm(path[:, None] - path[None], axis=-1)
    time = np.arange(len(path)) / len(path)
    apart[np.abs(time[:, None] - time[None]) < recipe.OTHER_TIME] = np.inf
    return apart.min(axis=1)


STUDIES = (
    Study("drawings", tuple(DRAWINGS), ingredients, seeds=10),
    Study(
        "drawings-densities",
        ("drawings/no-noise", "drawings/recipe", "drawings/position"),
        exact_densities,
        seeds=1,
    ),
)
