"""Figures of section 4.2: trajectories and errors of the architecture variants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ebmlib import figures, seeding
from ebmlib.evaluation import diagnostics, metrics
from ebmlib.policies import EXP, rollout
from thesis.claims.architecture import THRESHOLD
from thesis.figure import Source, figure
from thesis.runs import sampler_of
from thesis.statistics import interquartile_mean
from thesis.studies.architecture import Fused

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ebmlib.training.store import Trained

FULL, HALF = "architecture/figure-3-2", "architecture/half"
STYLES = {
    "figure-3-2": ("#0072B2", "-", "o", "Figure 3.2"),
    "half": ("#E69F00", "--", "s", "half size"),
    "sn-fcn-0-2": ("#009E73", "-.", "^", "normalised: FCN[0], FCN[2]"),
    "sn-all": ("#D55E00", ":", "v", "normalised: FCN, FE_x"),
    "plain": ("#CC79A7", "-", "D", "plain"),
    "plain-tanh": ("#56B4E9", "--", "X", "plain with tanh"),
    "plain-path1": ("#333333", ":", "P", "plain on path1"),
}
"""Colour (Okabe and Ito), line, marker and name of a variant, the same in every figure."""


def _snapshot(trained: Trained, epoch: int) -> int:
    """The last kept epoch up to one."""
    return max(known for known in trained.result.snapshots if known <= epoch)


def _sampled(axes: Axes, trained: Trained, epoch: int, source: Source) -> None:
    data = trained.demonstrations
    model = trained.result.at(_snapshot(trained, epoch)).to(source.where)
    offsets = (0.0, 0.4, -0.4)
    starts = np.stack([metrics.beside(np.asarray(data.reference), 0, o) for o in offsets])
    sampled = rollout(
        Fused(EXP(model, sampler_of(trained.run), population=32)),
        torch.tensor(starts, dtype=torch.float32, device=source.where),
        10 if source.small else 120,
        generator=seeding.generator(source.seed, f"figure 4.1/{epoch}", source.where),
    )
    figures.demonstrations(axes, data)
    axes.texts[-1].remove()  # every start has its dot here
    figures.trajectories(axes, sampled)


@figure(
    "4.1",
    "4.2",
    title="Trajectories at epochs 100 and 500 with full and half z_dim and h_dim",
    alt=(
        "Four panels with sampled trajectories over the grey demonstrated circle, full size on the "
        "left and half size on the right, epoch 100 above epoch 500. At epoch 100 the full size "
        "goes around the circle while the half size sends the start from inside around a small "
        "dented loop; at epoch 500 the trajectories of the full size end on the circle and those "
        "of the half size from inside and outside have come nearer to it but not all the way."
    ),
    conditions=(FULL, HALF),
)
def trajectories(source: Source) -> Figure:
    """EXP trajectories from the reference, from inside and from outside."""
    sheet, axes = figures.new(2, 2, height=6.4, sharex=True, sharey=True)
    for column, name in enumerate((FULL, HALF)):
        trained = source.trained(name)
        table = trained.run.table()
        for row, epoch in enumerate((100, 500)):
            panel = axes[row, column]
            _sampled(panel, trained, epoch, source)
            shown = _snapshot(trained, epoch)
            panel.set_title(f"z_dim {table['z_dim']}, h_dim {table['h_dim']}, epoch {shown}")
            panel.label_outer()
    axes[0, 0].set_xlim(-2.6, 0.8)
    figures.legend_below(sheet)
    return sheet


@figure(
    "architecture-error",
    title="Trajectory error over epochs for every architecture variant",
    alt=(
        "Two log-log panels of trajectory error over epochs with a dashed line at the threshold "
        "of 0.1. On the left the network of Figure 3.2 is close to it at epoch 50, where the "
        "others are near one; it and half size cross it at about epoch 100, "
        "normalised layers 0 and 2 "
        "before 200, and the fully normalised network stays far above. On the right the plain "
        "networks cross it between epochs 200 and 500, and those trained longer go on falling."
    ),
    studies=("architecture",),
)
def error_over_epochs(source: Source) -> Figure:
    """Interquartile mean over seeds, and the range of all seeds."""
    results = source.results("architecture")
    sheet, axes = figures.new(1, 2, height=3.8, sharey=True)
    groups = (
        ("figure-3-2", "half", "sn-fcn-0-2", "sn-all"),
        ("figure-3-2", "plain", "plain-tanh", "plain-path1"),
    )
    for panel, names in zip(axes, groups, strict=True):
        panel.axhline(THRESHOLD, color="black", linestyle="--", linewidth=0.8, label="threshold")
        for name in names:
            found = results.completed(f"architecture/{name}")
            if not found:
                continue
            epochs = np.array(found[0]["epochs"])
            errors = np.array([row["error"] for row in found])[:, epochs > 0]
            epochs = epochs[epochs > 0]
            colour, line, marker, label = STYLES[name]
            panel.plot(
                epochs, interquartile_mean(errors, axis=0), line, color=colour, marker=marker,
                markersize=4, linewidth=1.2, label=label,
            )  # fmt: skip
            panel.fill_between(
                epochs, errors.min(axis=0), errors.max(axis=0), color=colour, alpha=0.15, lw=0
            )
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel("epoch")
    axes[0].set_ylabel("trajectory error (normalised length)")
    figures.legend_below(sheet)
    return sheet


def _smooth(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Medians of consecutive parts of a column, at the parts' middles."""
    parts = np.array_split(column, min(100, len(column)))
    ends = np.cumsum([len(part) for part in parts])
    middles = ends - np.array([len(part) for part in parts]) / 2
    return middles, np.array([np.median(part) for part in parts])


@figure(
    "spectral-norm",
    title="Loss, gradient norm and R with and without spectral normalisation",
    alt=(
        "Three panels over epochs for no, partial and full spectral normalisation. The loss dips "
        "below minus one and returns to zero, more slowly with two normalised layers; with full "
        "normalisation it falls to the end of the training. The gradient norm "
        "settles about ten times lower with full normalisation than without. R over the noise "
        "floor rises to about 1.1 for two networks and stays at one with full normalisation."
    ),
    conditions=(FULL, "architecture/sn-fcn-0-2", "architecture/sn-all"),
)
def spectral_normalisation(source: Source) -> Figure:
    """Histories of one seed."""
    sheet, axes = figures.new(1, 3, width=8.0, height=3.2)
    for name in ("figure-3-2", "sn-fcn-0-2", "sn-all"):
        trained = source.trained(f"architecture/{name}")
        history, sampler = trained.history, sampler_of(trained.run)
        norms = [
            history[layer]
            for layer in history
            if layer.startswith("gradient_norm/") and not layer.endswith(".bias")
        ]
        R = diagnostics.relative_mean_step(history["R"], sampler.alpha, trained.demonstrations.dim)
        colour, line, _, label = STYLES[name]
        label = "no normalisation" if name == "figure-3-2" else label
        columns = (np.asarray(history["loss"]), np.median(norms, axis=0), R)
        for panel, column in zip(axes, columns, strict=True):
            panel.plot(*_smooth(column), line, color=colour, linewidth=1.2, label=label)
            panel.set_xlabel("epoch")
    axes[0].set_ylabel("loss (nats)")
    axes[1].set_ylabel("median gradient norm")
    axes[1].set_yscale("log")
    axes[2].set_ylabel("$R$ over the noise floor")
    axes[2].axhline(1, color="black", linewidth=0.8, linestyle=":", label="noise floor")
    figures.legend_below(sheet)
    return sheet
