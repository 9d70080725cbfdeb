"""Modes of the exact action density: inside B_eps (section 3.2), and two of them (section 3.3)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ebmlib.exact import Grid, model_density
from ebmlib.thesis.study import Cell, Study

STATES = 40
OUTSIDE = 4.0
"""The grid reaches to so many eps: a mode outside B_eps has room to show itself."""

STEM, FORK = 25, 50
"""Steps of the fork's demonstrations: amid the stem, and where it splits."""


def modes(cell: Cell) -> dict[str, Any]:
    """Where the most probable action lies, at demonstrated states and anywhere around them.

    Returns:
        ``inside``: share of demonstrated states whose mode lies in B_eps(0); ``inside_around``: of
        states drawn uniformly from the data's box, widened by a fifth on every side;
        ``mass_inside``: mean probability of B_eps(0) at demonstrated states; ``length``: mean
        length of the mode over eps there; ``border``: largest mass on the grid's border.
    """
    data = cell.trained.demonstrations
    grid = Grid(OUTSIDE * data.eps, points=31 if cell.small else 101)
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
            numbers["border"] = density.border_mass().max()
    return numbers


def fork(cell: Cell) -> dict[str, Any]:
    """The expected action where the demonstrations split, against actions drawn there.

    Returns:
        For the place in ``stem`` and ``fork``, lengths in demonstrated steps, means over the
        demonstrations' states at that step: ``<place>_EXP``, distance of the exact E[a | x] to the
        nearest action demonstrated at that step; ``<place>_draw``, the same of an action drawn
        from the density; ``<place>_ML``, of its mode; ``<place>_ratio``, p(E[a | x] | x) over
        p(mode | x).
    """
    data = cell.trained.demonstrations
    grid = Grid(1.5 * data.eps, points=31 if cell.small else 121)
    numbers: dict[str, Any] = {}
    for name, place in (("stem", STEM), ("fork", FORK)):
        states = np.array([path[place] for path in data.trajectories])
        known = np.array([path[place + 1] - path[place] for path in data.trajectories])
        x = torch.tensor(states, dtype=torch.float32, device=cell.device)
        density = model_density(cell.trained.model, x, grid)
        mean = density.mean()
        chosen = torch.multinomial(density.mass, 1, generator=cell.generator(name))[:, 0]
        actions = grid.actions(x)
        found = {"EXP": mean, "draw": actions[chosen], "ML": density.mode()}
        for policy, action in found.items():
            away = np.linalg.norm(action.cpu().numpy()[:, None] - known[None], axis=-1)
            numbers[f"{name}_{policy}"] = away.min(axis=1).mean() / data.step_length
        f = cell.trained.model
        with torch.no_grad():
            ratio = (f(x, mean) - f(x, density.mode())).exp()
        numbers[f"{name}_ratio"] = ratio.mean()
    return numbers


STUDIES = (
    Study("modes", ("path1", "circle", "mouse1", "mouse2"), modes),
    Study("fork", ("fork",), fork),
)
