"""The implicit action of Eq 3.4: a state energy whose gradient is the action.

    a = grad_x E(x),        E(x) = sum_k w_k exp(-|x - c_k|^2 / 2 l^2)

The gradient is linear in the weights, so that the energy that fits the demonstrated actions best is
a linear least-squares problem with one solution; nothing is trained. It is no model of the thesis,
which states the equation and leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.evaluation.data_density import expected_action, has_known_density
from thesis.study import Cell, Study

SPACING = 0.25
"""Between neighbouring centres, and the width l of the bumps, in normalised units."""

RIDGE = 1e-4


@dataclass(frozen=True)
class StateEnergy:
    """E(x) with its centres (k, d) and weights (k,)."""

    centres: NDArray[np.float64]
    weights: NDArray[np.float64]

    def gradients(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """grad_x of every bump at states (n, d), (n, d, k)."""
        away = self.centres[None] - x[:, None]
        bumps = np.exp(-(away**2).sum(axis=-1) / (2 * SPACING**2))
        return (away * bumps[..., None] / SPACING**2).transpose(0, 2, 1)

    def value(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """E at states (n, d), (n,)."""
        away = self.centres[None] - x[:, None]
        return np.exp(-(away**2).sum(axis=-1) / (2 * SPACING**2)) @ self.weights

    def action(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """The action grad_x E(x) (Eq 3.4) at states (n, d), (n, d)."""
        return self.gradients(x) @ self.weights


def fit(data: Demonstrations, margin: float = 0.5) -> StateEnergy:
    """The state energy that fits the demonstrated actions best, by ridge regression.

    Args:
        data: 2-D demonstrations.
        margin: how far beyond the data's box there are bumps.
    """
    low, high = data.states.min(axis=0) - margin, data.states.max(axis=0) + margin
    axes = [np.arange(a, b + SPACING, SPACING) for a, b in zip(low, high, strict=True)]
    centres = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, data.dim)
    empty = StateEnergy(centres, np.zeros(len(centres)))
    design = empty.gradients(data.states).reshape(-1, len(centres))
    normal = design.T @ design + RIDGE * len(design) * np.eye(len(centres))
    weights = np.linalg.solve(normal, design.T @ data.actions.reshape(-1))
    return StateEnergy(centres, np.asarray(weights, dtype=np.float64))


def explained(data: Demonstrations, energy: StateEnergy) -> float:
    """1 - mean squared action error over the mean squared action: 1 is perfect, 0 no action."""
    return _share(energy.action(data.states), data.actions)


def _share(found: NDArray[np.float64], actions: NDArray[np.float64]) -> float:
    error = ((found - actions) ** 2).sum(axis=1).mean()
    return float(1 - error / (actions**2).sum(axis=1).mean())


def attainable(data: Demonstrations) -> float:
    """What the expected action explains and no function of the state can better, NaN if unknown."""
    if not has_known_density(data):
        return float("nan")
    expected = expected_action(data, torch.tensor(data.states)).numpy()
    return _share(expected, data.actions)


def measure(cell: Cell) -> dict[str, Any]:
    """Share of the demonstrated actions that the best gradient field explains.

    Returns:
        ``explained``, of the mean square of the actions, and ``attainable``, the most that a
        function of the state can explain, where that is known.
    """
    data = cell.trained.demonstrations
    return {"explained": explained(data, fit(data)), "attainable": attainable(data)}


STUDIES = (Study("implicit", ("path1", "circle", "mouse1", "mouse2"), measure, seeds=1),)
