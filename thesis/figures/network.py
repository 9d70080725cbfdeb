"""Figures of section 3.2.1 and of the energy's level: the architecture, its gradients, f."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ebmlib import figures, seeding
from ebmlib.models.energy import EnergyConfig, EnergyModel
from thesis.claims.network import OVERFLOW
from thesis.figure import Source, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@figure(
    "3.2",
    title="The architecture: two extractors and a fully connected network with residual layers",
    alt=(
        "Block diagram. State and action enter an extractor each, FE_x with LeakyReLU, FE_a with "
        "ELU; both feed FCN 0, followed by FCN 1 and FCN 2 with arrows around them that add their "
        "input, and FCN 3, which gives f. FCN 0 and FCN 2 are marked by a dashed edge for spectral "
        "normalisation."
    ),
)
def architecture(source: Source) -> Figure:
    """Sizes and counts of the default network."""
    model = EnergyModel(EnergyConfig(), 2, 2, generator=seeding.generator(0, "figure"))
    sheet, axes = figures.new(width=8.5, height=2.6)
    figures.architecture(axes, model, normalised=("FCN[0]", "FCN[2]"))
    return sheet


@figure(
    "residual",
    title="Gradient norms of the layers with and without residual connections",
    alt=(
        "Two panels, early and late in training, with one column for each layer and a mark for "
        "each seed on a logarithmic axis. Early, the norms without residual layers lie at about "
        "half of those with them, in FCN 1 and FCN 2 less far below; late, all three kinds lie "
        "close together."
    ),
    studies=("network",),
)
def residual(source: Source) -> Figure:
    """Geometric means over the first 50 epochs and over epochs 250 to 500."""
    results = source.results("network")
    layers = ("FE_x", "FE_a", "FCN[0]", "FCN[1]", "FCN[2]", "FCN[3]")
    shown = (
        ("architecture/figure-3-2", "with residual layers", "o"),
        ("architecture/no-residual", "without", "^"),
        ("architecture/bias", "with residual layers and output bias", "x"),
    )
    sheet, axes = figures.new(1, 2, width=10, height=3.4, sharey=True)
    windows = (("early", "epochs 0 to 50"), ("late", "epochs 250 to 500"))
    for panel, (window, title) in zip(axes, windows, strict=True):
        for number, (name, label, marker) in enumerate(shown):
            norms = np.array([results.values(name, f"norm_{key}_{window}") for key in layers])
            place = np.arange(len(layers)) + 0.22 * (number - 1)
            panel.plot(
                np.repeat(place, norms.shape[1]), norms.ravel(), marker, label=label, markersize=5
            )
        panel.set_xticks(range(len(layers)), layers)
        panel.set_yscale("log")
        panel.set_title(title)
        panel.set_xlabel("layer")
    axes[0].set_ylabel("gradient norm")
    figures.legend_below(sheet)
    return sheet


@figure(
    "level",
    title="The level of the energy over training, free and regularised",
    alt=(
        "Line plot of the largest absolute f over five hundred epochs on a logarithmic axis. The "
        "free and the regularised training rise together to nearly ten within eighty epochs; then "
        "both fluctuate between four and fourteen, the regularised one mostly a little lower. Both "
        "stay well below the dashed line where exp f overflows."
    ),
    conditions=("architecture/figure-3-2", "architecture/regularised"),
)
def level(source: Source) -> Figure:
    """Largest abs f of every update."""
    sheet, axes = figures.new()
    shown = (("architecture/figure-3-2", "free"), ("architecture/regularised", "L1 and L2, 0.001"))
    for name, label in shown:
        column = source.trained(name).history["f_magnitude"][:500]
        axes.plot(column, linewidth=0.9, label=label)
    axes.axhline(
        OVERFLOW,
        color=figures.COLOURS["reference"],
        linestyle="--",
        label="exp f overflows float32",
    )
    axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel("largest $|f|$ (nats)")
    figures.legend_below(sheet)
    return sheet
