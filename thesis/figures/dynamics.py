"""Figures of section 4.3.2 and of R in 4.3.3: what a training's history says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ebmlib import figures
from ebmlib.evaluation import diagnostics
from ebmlib.figures.style import label_axes
from thesis.figure import Source, figure
from thesis.runs import sampler_of
from thesis.studies.dynamics import BLOCK, first_order_lag, parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@figure(
    "4.5",
    title="The typical loss curve: circle, K = 100",
    alt=(
        "Line plot of the loss over a thousand epochs. It starts at zero, falls to a minimum below "
        "minus one at about epoch fifty, is back near zero by epoch one hundred and fifty and "
        "oscillates around zero from then on, mostly by a tenth of the minimum's depth."
    ),
    conditions=("circle",),
)
def loss_curve(source: Source) -> Figure:
    """Loss of the circle's preset, with its minimum marked."""
    history = source.trained("circle").history
    sheet, axes = figures.new()
    figures.loss(axes, history, label="loss")
    lowest = int(np.argmin(history["loss"]))
    colour = figures.COLOURS["limit"]
    axes.plot(lowest, history["loss"][lowest], "o", color=colour, label="minimum", markersize=5)
    figures.legend_below(sheet)
    return sheet


@figure(
    "4.6",
    title="Mean step R over training on circle, K = 100",
    alt=(
        "Line plot of R over epochs. It starts on the dotted noise floor, rises steeply until "
        "about epoch one hundred and only slightly from then on, to a plateau between the noise "
        "floor and the dashed line of a converged chain on a Gaussian of the data's narrowest "
        "scale."
    ),
    conditions=("circle",),
)
def mean_step_on_circle(source: Source) -> Figure:
    """R of the circle's preset."""
    trained = source.trained("circle")
    sheet, axes = figures.new()
    alpha = sampler_of(trained.run).alpha
    figures.mean_step(axes, trained.history, alpha, scale=trained.demonstrations.action_scale())
    figures.legend_below(sheet)
    return sheet


@figure(
    "4.7",
    title="R over training on mouse1, K = 100 (top) and K = 256 (bottom), with a first-order lag",
    alt=(
        "Two panels, one above the other, with R over its noise floor over 1500 epochs for K = 100 "
        "and K = 256. Both curves stay on the floor for some sixty epochs, rise steeply until "
        "epoch one hundred and fifty and then ever more slowly until the end; the fitted lag cuts "
        "that corner. Its settling time, a dashed vertical line, lies near epoch one thousand in "
        "both, before the dash-dotted line at the thesis's 1100."
    ),
    conditions=("mouse1-K-100", "mouse1"),
)
def mean_step_on_mouse1(source: Source) -> Figure:
    """R for both K, the fitted lag and its settling time."""
    sheet, axes = figures.new(2, 1, height=5.2, sharex=True, sharey=True)
    for panel, name in zip(axes, ("mouse1-K-100", "mouse1"), strict=True):
        trained = source.trained(name)
        sampler = sampler_of(trained.run)
        R = diagnostics.relative_mean_step(
            trained.history["R"], sampler.alpha, trained.demonstrations.dim
        )
        lag = first_order_lag(list(R))
        epochs = np.arange(len(R))
        colours = figures.COLOURS
        panel.axhline(1, color=colours["reference"], linestyle=":", label="noise floor")
        panel.plot(R, linewidth=0.7, color=colours["chain"], alpha=0.8, label="$R$ over the floor")
        panel.plot(epochs, lag(epochs), color=colours["limit"], linewidth=1.8, label="fitted lag")
        if lag.settled < len(R):
            panel.axvline(lag.settled, color=colours["limit"], linestyle="--", linewidth=1.2,
                          label="settled, $3u_0$")  # fmt: skip
        panel.axvline(min(1100, len(R)), color=colours["reference"], linestyle="-.", linewidth=1,
                      label="epoch 1100")  # fmt: skip
        label_axes(panel, "epoch", "$R$ / noise floor")
        panel.set_title(f"$K = {sampler.steps}$", loc="left")
    axes[0].set_xlabel("")
    figures.legend_below(sheet)
    return sheet


@figure(
    "gradient-norms",
    title="Magnitude of the loss and gradient norm of every layer over training, circle",
    alt=(
        "Two panels over a thousand epochs with logarithmic vertical axes. The magnitude of the "
        "loss rises to its peak at about epoch fifty and falls to a low, noisy level. The gradient "
        "norms of all six layers rise with it; those of FCN[2] and of the output layer FCN[3] fall "
        "back to a fifth and less, those of the four layers nearer to the input stay high."
    ),
    conditions=("circle",),
)
def loss_and_gradients(source: Source) -> Figure:
    """|L| above, per-layer gradient norms below."""
    history = source.trained("circle").history
    size = np.abs(np.asarray(history["loss"]))
    blocks = max(3, len(size) // BLOCK)
    middle = np.linspace(0, len(size), blocks, endpoint=False) + len(size) / blocks / 2
    sheet, axes = figures.new(2, 1, height=5.4, sharex=True, height_ratios=(1, 1.8))
    axes[0].plot(middle, parts(list(size), blocks), color=figures.COLOURS["chain"])
    axes[0].set_yscale("log")
    label_axes(axes[0], "", "$|L(\\theta)|$ (nats)")
    figures.gradient_norms(axes[1], history)
    axes[1].legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    return sheet
