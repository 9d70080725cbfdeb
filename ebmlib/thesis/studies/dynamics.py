"""What a training's history says: loss, R, gradient norms (sections 4.3.2 and 4.3.3)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ebmlib import diagnostics
from ebmlib.thesis.study import Cell, Study

POINTS = 100
"""Curves are kept as means over so many equal parts of the training."""


def parts(column: list[float]) -> list[float]:
    """A history column as at most :data:`POINTS` means over consecutive parts."""
    values = np.asarray(column, dtype=float)
    return [float(part.mean()) for part in np.array_split(values, min(POINTS, len(values)))]


def measure(cell: Cell) -> dict[str, Any]:
    """Loss and R of one training.

    Returns:
        ``loss_lowest``, ``loss_first``, ``loss_late_mean`` and ``loss_late_spread`` (second half of
        the epochs), and R over its noise floor: ``R_first``, ``R_plateau`` (last fifth), ``R`` (the
        curve).
    """
    history = cell.trained.history
    loss = np.asarray(history["loss"])
    alpha = cell.trained.run.objective.sampler.alpha
    R = diagnostics.relative_mean_step(history["R"], alpha, cell.trained.demonstrations.dim)
    late = loss[len(loss) // 2 :]
    return {
        "loss_first": loss[:3].mean(),
        "loss_lowest": loss.min(),
        "loss_lowest_epoch": int(loss.argmin()),
        "loss_late_mean": late.mean(),
        "loss_late_spread": late.std(),
        "R_first": R[:5].mean(),
        "R_plateau": R[-len(R) // 5 :].mean(),
        "R": parts(list(R)),
    }


STUDIES = (Study("dynamics", ("path1", "circle", "mouse1", "mouse2", "mouse1-K-100"), measure),)
