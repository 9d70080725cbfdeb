"""Gradient norms of the layers and the level of f, from the histories (3.2.1 and 3.4)."""

from __future__ import annotations

from typing import Any

import numpy as np

from thesis.study import Cell, Study

EPOCHS = 500
"""Every training is looked at over its first 500 epochs, which all of them have."""

EARLY, LATE = slice(0, 50), slice(250, 500)
BEFORE = ("FE_x", "FE_a", "FCN[0]")
"""Layers whose gradient has come through the hidden layers."""


def geometric_mean(values: np.ndarray) -> float:
    """Exponential of the mean logarithm; a norm of 0 counts as 1e-30."""
    return float(np.exp(np.log(np.maximum(values, 1e-30)).mean()))


def measure(cell: Cell) -> dict[str, Any]:
    """Norms and levels of one training.

    Returns:
        ``norm_<layer>_early`` and ``_late``: geometric mean gradient norm; ``carried_early`` and
        ``carried_late``: that of the layers before the hidden ones over that of the output layer;
        ``largest``: the largest norm of any layer and epoch; with an output bias, ``bias_largest``
        and ``bias_ratio``, its largest norm and the largest ratio to the layers of its epoch;
        ``f_largest`` (whole training), ``f_late`` (median largest abs f of an update, late).
    """
    history = cell.trained.history
    norms = {
        name.removeprefix("gradient_norm/"): np.asarray(column)[:EPOCHS]
        for name, column in history.items()
        if name.startswith("gradient_norm/")
    }
    bias = {name: norms.pop(name) for name in list(norms) if name.endswith(".bias")}
    every = np.array(list(norms.values()))
    numbers: dict[str, Any] = {"largest": every.max()}
    epochs = every.shape[1]
    windows = {"early": EARLY, "late": slice(epochs // 2, epochs) if epochs < EPOCHS else LATE}
    for window, part in windows.items():
        for layer, column in norms.items():
            numbers[f"norm_{layer}_{window}"] = geometric_mean(column[part])
        before = [numbers[f"norm_{layer}_{window}"] for layer in BEFORE if layer in norms]
        output = numbers[f"norm_{list(norms)[-1]}_{window}"]
        numbers[f"carried_{window}"] = geometric_mean(np.array(before)) / output
    for column in bias.values():
        numbers["bias_largest"] = column.max()
        numbers["bias_ratio"] = (column / every.max(axis=0)).max()
    level = np.asarray(history["f_magnitude"])
    numbers |= {"f_largest": level.max(), "f_late": np.median(level[:EPOCHS][windows["late"]])}
    return numbers


STUDIES = (
    Study(
        "network",
        (
            *("path1", "circle", "mouse1", "mouse2", "fork", "architecture/figure-3-2"),
            *("architecture/no-residual", "architecture/bias", "architecture/regularised"),
        ),
        measure,
    ),
)
