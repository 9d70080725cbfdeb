"""Curves over training: loss (Fig 4.5), R (Fig 4.6, 4.7), gradient norms (4.3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from ebmlib.evaluation import gaussian
from ebmlib.figures.style import COLOURS, label_axes

History = Mapping[str, Sequence[float]]


def loss(axes: Axes, history: History, label: str | None = None) -> None:
    """The contrastive-divergence loss over epochs, with a line at zero, where it should end."""
    axes.axhline(0, color="black", linewidth=0.8)
    axes.plot(history["loss"], linewidth=0.9, label=label)
    label_axes(axes, "epoch", "loss $L(\\theta)$ (nats)")


def mean_step(
    axes: Axes,
    history: History,
    alpha: float,
    d: int = 2,
    scale: float | None = None,
    label: str | None = None,
) -> None:
    """R over epochs, its noise floor, and what a converged chain on the data would have.

    Args:
        axes: where to draw.
        history: of a training.
        alpha: the chain's noise level.
        d: dimension of the action.
        scale: standard deviation s of the data's actions given the state, for the second line.
        label: of the curve.
    """
    floor = gaussian.noise_floor(alpha, d)
    axes.axhline(
        floor, color=COLOURS["reference"], linestyle=":", label="noise floor (flat energy)"
    )
    if scale is not None:
        limit = gaussian.stationary_mean_step(alpha, scale, d)
        name = f"stationary at s = {scale:.2g}"
        axes.axhline(limit, color=COLOURS["limit"], linestyle="--", label=name)
    axes.plot(history["R"], linewidth=0.9, color=COLOURS["chain"], label=label or "$R$")
    label_axes(axes, "epoch", "mean step $R$ (units of the action)")


def gradient_norms(axes: Axes, history: History) -> None:
    """Euclidean gradient norm of every layer over epochs, smoothed over 15 epochs, log scale."""
    layers = [name for name in history if name.startswith("gradient_norm/")]
    styles = ["-", "--", "-.", ":"]
    for number, name in enumerate(layers):
        norms = np.asarray(history[name], dtype=float)
        width = min(15, max(1, len(norms) // 10))
        smooth = np.exp(np.convolve(np.log(norms + 1e-12), np.ones(width) / width, mode="valid"))
        epochs = np.arange(len(smooth)) + (width - 1) / 2
        style = styles[number % len(styles)]
        axes.plot(epochs, smooth, style, label=name.removeprefix("gradient_norm/"), linewidth=1.1)
    axes.set_yscale("log")
    label_axes(axes, "epoch", "gradient norm")
