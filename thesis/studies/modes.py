"""Modes of the exact action density: inside B_eps (section 3.2), and two of them (section 3.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ebmlib.evaluation import metrics
from ebmlib.evaluation.exact import Grid, model_density
from ebmlib.policies import EXP, ML, Draw, Policy, rollout
from thesis.study import Cell, Study

STATES = 24
OUTSIDE = 4.0
"""The grid reaches to so many eps: a mode outside B_eps has room to show itself."""

STEM, FORK = 25, 50
"""Steps of the fork's demonstrations: amid the stem, and where it splits."""

BEFORE, ROLLED, ROLLOUTS = 40, 35, 6
"""Rollouts start at demonstrated states so many steps along and take so many steps."""


def modes(cell: Cell) -> dict[str, Any]:
    """Where the most probable action lies, at demonstrated states and anywhere around them.

    Returns:
        ``inside``: share of demonstrated states whose mode lies in B_eps(0); ``inside_around``: of
        states drawn uniformly from the data's box, widened by a fifth on every side;
        ``mass_inside``: mean probability of B_eps(0) at demonstrated states; ``length``: mean
        length of the mode over eps there; ``border``: largest mass on the grid's border.
    """
    data = cell.trained.demonstrations
    grid = Grid(OUTSIDE * data.eps, points=31 if cell.small else 81)
    count = 4 if cell.small else STATES
    known = data.states[np.linspace(0, data.n_pairs - 1, count).astype(int)]
    low, high = data.states.min(axis=0), data.states.max(axis=0)
    margin = 0.2 * (high - low)
    rng = np.random.default_rng(cell.seed)
    around = rng.uniform(low - margin, high + margin, size=(count, data.dim))
    numbers: dict[str, Any] = {}
    for name, states in (("", known), ("_around", around)):
        x = torch.tensor(states, dtype=torch.float32, device=cell.device)
        density = model_density(cell.trained.model, x, grid)
        mode = density.mode().cpu().numpy()
        numbers[f"inside{name}"] = data.in_action_set(mode).mean()
        if not name:
            inside = data.in_action_set(grid.actions(x).cpu().numpy())
            numbers["mass_inside"] = density.mass.cpu().numpy()[:, inside].sum(axis=1).mean()
            numbers["length"] = np.linalg.norm(mode, axis=1).mean() / data.eps
            numbers["border"] = float(density.border_mass().max())
    return numbers


def fork(cell: Cell) -> dict[str, Any]:
    """What the policies do where the demonstrations part, and the exact density there.

    Returns:
        For P in EXP, ML and draw: ``P_stray``, the largest distance of a rollout from the
        demonstrations, mean over rollouts, in demonstrated steps; ``stem_P`` and ``fork_P``, the
        distance of the exact expected action, of the mode and of an action drawn from the density
        to the nearest mean action of an arm, amid the stem and at the fork, in steps; ``ratio``,
        the density at the expected action over that at the mode, at the fork.
    """
    data, model = cell.trained.demonstrations, cell.trained.model
    numbers: dict[str, Any] = {}
    sampler = cell.sampler
    count, steps = (2, 3) if cell.small else (ROLLOUTS, ROLLED)
    starts = torch.tensor(
        np.array([path[BEFORE] for path in data.trajectories[:count]]), dtype=torch.float32
    )
    policies: dict[str, Policy] = {
        "EXP": EXP(model, sampler, 4 if cell.small else 64),
        "ML": ML(model, sampler),
        "draw": Draw(model, sampler),
    }
    for name, policy in policies.items():
        generator = cell.generator(f"rollout/{name}")
        found = rollout(policy, starts.to(cell.device), steps, generator=generator)
        states = found.states.double().cpu().numpy()
        every = [metrics.distance_to_polyline(states, path) for path in data.trajectories]
        stray = np.min(every, axis=0).max(axis=1).mean()
        numbers[f"{name}_stray"] = stray / data.step_length
    grid = Grid(1.2 * data.eps, points=31 if cell.small else 81)
    for name, place in (("stem", STEM), ("fork", FORK)):
        taken = np.array([path[place + 1] - path[place] for path in data.trajectories])
        left = np.array([path[-1, 0] < 0 for path in data.trajectories])
        arms = np.array([taken[left].mean(axis=0), taken[~left].mean(axis=0)])
        at = np.mean([path[place] for path in data.trajectories], axis=0)
        x = torch.tensor(at[None], dtype=torch.float32, device=cell.device)
        density = model_density(model, x, grid)
        chosen = torch.multinomial(
            density.mass[0], 256, replacement=True, generator=cell.generator(name)
        )
        actions = {
            "EXP": density.mean(),
            "ML": density.mode(),
            "draw": grid.actions(x)[chosen],
        }
        for policy_name, action in actions.items():
            away = np.linalg.norm(action.cpu().numpy()[:, None] - arms[None], axis=-1)
            numbers[f"{name}_{policy_name}"] = away.min(axis=1).mean() / data.step_length
        with torch.no_grad():
            ratio = (model(x, density.mean()) - model(x, density.mode())).exp()
    numbers["ratio"] = float(ratio.mean())  # at the last place, the fork
    return numbers


STUDIES = (
    Study("modes", ("path1", "circle", "mouse1", "mouse2"), modes),
    Study("fork", ("fork",), fork),
)
