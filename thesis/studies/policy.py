"""Where trajectories of ML and EXP go: distance to the demonstrations, spread, return (3.3).

Distances are to the nearest point of the nearest demonstration, in normalised units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.evaluation import metrics
from ebmlib.policies import EXP, ML, Policy, rollout
from thesis.study import Cell, Study

STARTS = 4
"""Rollouts from the origin; their starts carry the demonstrations' own noise."""

STEPS = 90
"""Of 100 demonstrated ones, so that a policy that is a little too fast does not pass the end."""

PLACES = (15, 40, 65)
"""Steps of the mean demonstration beside which rollouts start."""

OFFSETS = (0.1, 0.3)
"""Distances at which they start, on both sides; a demonstrated step is 0.064 long."""

RETURN_STEPS = 25
LAST = 5
"""A rollout has returned if its mean distance over its last five steps is below the reach."""


def reach(demonstrations: Demonstrations) -> float:
    """How far the demonstrations' added noise carries a state: three standard deviations."""
    return 3 * demonstrations.sigma


def distance(states: np.ndarray, demonstrations: Demonstrations) -> np.ndarray:
    """Distance of states (..., d) to the nearest demonstration, taken as polylines, (...)."""
    every = [metrics.distance_to_polyline(states, path) for path in demonstrations.trajectories]
    return np.min(every, axis=0)


def spread(states: np.ndarray) -> np.ndarray:
    """Root mean square distance of rollouts (b, t, d) to their mean at equal step, (t,)."""
    away = states - states.mean(axis=0)
    return np.sqrt((away**2).sum(axis=-1).mean(axis=0))


def beside(demonstrations: Demonstrations, offset: float) -> np.ndarray:
    """Starts at ``offset`` left and right of the mean demonstration, (places, 2, d)."""
    mean = np.mean(demonstrations.trajectories, axis=0)
    sides = (offset, -offset)
    return np.array([[metrics.beside(mean, place, side) for side in sides] for place in PLACES])


def _rolled(policy: Policy, starts: np.ndarray, steps: int, cell: Cell, stream: str) -> np.ndarray:
    """Rollouts from starts (..., d), as float64 (..., steps + 1, d)."""
    flat = torch.tensor(starts.reshape(-1, starts.shape[-1]), dtype=torch.float32)
    found = rollout(policy, flat.to(cell.device), steps, generator=cell.generator(stream))
    return found.states.double().cpu().numpy().reshape(*starts.shape[:-1], steps + 1, -1)


def measure(cell: Cell) -> dict[str, Any]:
    """Both policies from the origin and from beside the demonstrations.

    Returns:
        ``reach``; for P in EXP and ML: ``P_distance`` and ``P_spread`` (at every step, from the
        origin), ``P_early`` and ``P_late`` (mean distance over the first and the last third of the
        steps), ``P_late_spread``; for every offset ``P_return_<offset>`` (share of rollouts that
        have returned), ``P_beside_<offset>`` (mean distance at every step) and
        ``P_gap_<offset>`` (root mean square distance of the two rollouts of a place to their mean,
        at the end).
    """
    data, sampler = cell.trained.demonstrations, cell.sampler
    steps, back = (12, 4) if cell.small else (STEPS, RETURN_STEPS)
    noise = np.random.default_rng(cell.seed).standard_normal((STARTS, data.dim))
    model = cell.trained.model
    population = 4 if cell.small else 64
    numbers: dict[str, Any] = {"reach": reach(data)}
    for name, policy in (("EXP", EXP(model, sampler, population)), ("ML", ML(model, sampler))):
        states = _rolled(policy, data.sigma * noise, steps, cell, f"{name}/origin")
        away = distance(states, data).mean(axis=0)
        wide, third = spread(states), (steps + 1) // 3
        numbers |= {f"{name}_distance": away, f"{name}_spread": wide}
        numbers |= {f"{name}_early": away[:third].mean(), f"{name}_late": away[-third:].mean()}
        numbers[f"{name}_late_spread"] = wide[-third:].mean()
        for offset in OFFSETS:
            states = _rolled(policy, beside(data, offset), back, cell, f"{name}/beside/{offset}")
            away = distance(states, data)
            returned = away[..., -LAST:].mean(axis=-1) < reach(data)
            pairs = np.moveaxis(states[:, :, -1], 1, 0)  # (2, places, d)
            numbers |= {
                f"{name}_return_{offset}": returned.mean(),
                f"{name}_beside_{offset}": away.mean(axis=(0, 1)),
                f"{name}_gap_{offset}": spread(pairs).mean(),
            }
    return numbers


STUDIES = (Study("policy", ("path1", "circle", "mouse1", "mouse2"), measure),)
