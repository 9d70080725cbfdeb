"""Exact action densities of a joint and of a conditional model on held-out states (section 3.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebmlib.demonstrations.dataset import load_demonstrations
from ebmlib.evaluation.exact import Grid, model_density
from ebmlib.models.energy import EnergyModel
from thesis.study import Cell, Study

CONDITIONAL, EPOCHS = "architecture/figure-3-2", 500
"""The conditional model: the same network, batch and K; its snapshot at the joint one's epochs."""

STATES = 6
BINS, FINE = 16, 6
"""Bins per axis that densities are kept in, and grid cells per axis in a bin."""

HELD_OUT = 1
"""Seed of the data's noise for the held-out states; the models saw seed 0."""


def binned(model: EnergyModel, states: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    """Probabilities (n, BINS^2) of the exact p(a | x), and the expected actions (n, d)."""
    density = model_density(model, states, Grid(radius, points=BINS * FINE))
    cells = density.mass.reshape(-1, BINS, FINE, BINS, FINE)
    return cells.sum(dim=(2, 4)).flatten(1), density.mean()


def measure(cell: Cell) -> dict[str, Any]:
    """Both models' densities, so that any two of any seeds can be compared.

    Returns:
        ``joint`` and ``conditional``: probabilities of the bins, (states, bins^2);
        ``joint_mean`` and ``conditional_mean``: expected actions in demonstrated steps, (states,
        d); ``joint_error`` and ``conditional_error``: mean distance of the expected action to the
        held-out demonstrated one, in demonstrated steps.
    """
    run = cell.trained.run
    held_out = load_demonstrations(replace(run.data, seed=HELD_OUT))
    other = cell.load(CONDITIONAL).result
    chosen = np.linspace(0, held_out.n_pairs - 1, STATES + 2).astype(int)[1:-1]
    x = torch.tensor(held_out.states[chosen], dtype=torch.float32, device=cell.device)
    numbers: dict[str, Any] = {}
    conditional = other.at(max(other.snapshots) if cell.small else EPOCHS).to(cell.device)
    for name, model in (("joint", cell.trained.model), ("conditional", conditional)):
        mass, mean = binned(model, x, 0.75 * held_out.eps)
        away = np.linalg.norm(mean.cpu().numpy() - held_out.actions[chosen], axis=1)
        numbers |= {name: mass, f"{name}_mean": mean / held_out.step_length}
        numbers[f"{name}_error"] = away.mean() / held_out.step_length
    return numbers


STUDIES = (Study("joint", ("joint/circle",), measure, loads=(CONDITIONAL,)),)
