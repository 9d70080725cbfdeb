"""Has the model converged? Exact divergence against loss and R, over training (2.3.2, 2.4)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ebmlib.demonstrations.dataset import load_demonstrations
from ebmlib.demonstrations.pairs import pairs_of
from ebmlib.evaluation import gaussian
from ebmlib.evaluation.data_density import action_density, has_known_density
from ebmlib.evaluation.exact import Grid, GridDensity, model_density
from thesis.conditions import ALPHAS, DATASETS, STARTS, STEPS
from thesis.study import Cell, Study

GRID = Grid(0.2, points=51)
"""Grid of the exact densities; its spacing is 0.8 of the data's standard deviation."""

PARTS = 50
"""Curves of loss and R are kept as means over so many equal parts of the training."""


def _states(cell: Cell, n: int) -> torch.Tensor:
    """States of the same demonstrations with fresh noise, without the noiseless first points."""
    data = replace(cell.trained.run.data, seed=cell.trained.run.data.seed + 1000)
    states = pairs_of(load_demonstrations(data), cell.device).states
    states = states[states.norm(dim=1) > 0]
    generator = cell.generator("states")
    chosen = torch.randperm(len(states), generator=generator, device=states.device)[:n]
    return states[chosen]


def parts(column: np.ndarray) -> list[float]:
    """A curve as means over at most :data:`PARTS` consecutive parts."""
    return [float(part.mean()) for part in np.array_split(column, min(PARTS, len(column)))]


def _curves(cell: Cell) -> dict[str, Any]:
    """Loss and R: curves, and what the last fifth of the epochs says."""
    history = cell.trained.history
    alpha = cell.sampler.alpha
    loss = np.asarray(history["loss"], dtype=float)
    R = np.asarray(history["R"], dtype=float) / gaussian.noise_floor(alpha, 2)
    fifth = max(1, len(loss) // 5)
    late, before = R[-fifth:], R[-2 * fifth : -fifth]
    return {
        "epochs": len(loss),
        "loss": parts(loss),
        "loss_late": loss[-fifth:].mean(),
        "loss_spread": loss[-fifth:].std(),
        "R": parts(R),
        "R_first": R[:5].mean(),
        "R_late": late.mean(),
        "R_before": before.mean() if len(before) else math.nan,
        "R_spread": late.std(),
    }


def _model_to_data(cell: Cell, data: GridDensity, states: torch.Tensor) -> dict[str, Any]:
    """KL of the snapshots and of the last model."""
    result = cell.trained.result
    epochs = sorted(result.snapshots)
    models = [result.at(epoch) for epoch in epochs] or [result.model]
    kls = [float(data.kl(model_density(model, states, GRID)).mean()) for model in models]
    final = model_density(result.model, states, GRID)
    return {
        "kl_epochs": epochs or [len(cell.trained.history["loss"])],
        "kl": kls,
        "kl_late": float(data.kl(final).mean()),
        "model_std": float(final.covariance().diagonal(dim1=1, dim2=2).mean().sqrt()),
        "border": float(final.border_mass().mean()),
    }


def convergence(cell: Cell) -> dict[str, Any]:
    """Loss, R and the exact KL(data || model) over one training.

    Returns:
        ``loss``, ``R`` (over the noise floor) as curves; ``loss_late``, ``loss_spread``,
        ``R_late``, ``R_spread`` of the last fifth of the epochs, ``R_before`` of the fifth before,
        ``R_first`` of five epochs; and where the data's density is known ``kl_epochs``, ``kl``
        (nats, mean over held-out states, at the snapshots), ``kl_late`` (at the end), ``kl_flat``
        (of a constant density on the grid), ``model_std`` and ``border`` of the last model.
    """
    found = _curves(cell)
    if not has_known_density(cell.trained.demonstrations):
        return found
    states = _states(cell, 3 if cell.small else 12)
    data = action_density(cell.trained.demonstrations, states, GRID)
    flat = math.log((2 * GRID.radius) ** 2) - float(data.entropy().mean())
    return found | {"kl_flat": flat} | _model_to_data(cell, data, states)


FULL = "architecture/figure-3-2"
LEVELS = tuple(f"noise/alpha-{alpha:g}-K-{steps}" for steps in STEPS for alpha in ALPHAS)

STUDIES = (
    Study(
        "foundations-convergence", (*DATASETS, "mouse1-K-100", FULL, *STARTS, *LEVELS), convergence
    ),
)
