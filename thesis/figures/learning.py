"""Figures of section 3.4: the objective's gradient, where chains start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ebmlib import figures
from thesis.figure import Source, figure
from thesis.statistics import interquartile_mean
from thesis.studies import gradient, starts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONDITION = "architecture/figure-3-2"


def _curve(panel: Any, x: Any, rows: np.ndarray, **style: Any) -> None:
    """Seeds thin, their interquartile mean thick."""
    colour = style["color"]
    panel.plot(x, rows.T, color=colour, linewidth=0.5, alpha=0.5, linestyle=style.get("linestyle"))
    panel.plot(x, interquartile_mean(rows, axis=0), linewidth=1.8, **style)


@figure(
    "gradient",
    title="Error of the contrastive gradient against the exact one",
    alt=(
        "Two log-log panels. Left, the relative error over the number of chains: from exact draws "
        "it falls as one over the square root, with chains of a hundred steps it lies a little "
        "higher and leaves that line above five hundred chains. Right, the bias over the number of "
        "steps: it falls more than tenfold and levels off after about thirty steps, at about 0.1."
    ),
    studies=("gradient",),
)
def gradient_error(source: Source) -> Figure:
    """Error over M (left) and bias over K (right), at two epochs."""
    results = source.results("gradient")
    sheet, axes = figures.new(1, 2, width=10, height=3.8)
    for epoch, style in zip(gradient.EPOCHS, ("--", "-"), strict=True):
        for kind, key, words in (
            ("drawn", "data", "exact draws"),
            ("chain", "chain", "chains, K = 100"),
        ):
            _curve(
                axes[0], gradient.CHAINS, results.values(CONDITION, f"{kind}_{epoch}"),
                color=figures.COLOURS[key], linestyle=style, label=f"{words}, epoch {epoch}",
            )  # fmt: skip
        _curve(
            axes[1], np.maximum(gradient.STEPS, 1), results.values(CONDITION, f"bias_{epoch}"),
            color=figures.COLOURS["chain"], linestyle=style,
        )  # fmt: skip
    first = interquartile_mean(results.values(CONDITION, "drawn_100"), axis=0)[0]
    m = np.array(gradient.CHAINS)
    axes[0].plot(
        m, first * np.sqrt(m[0] / m), ":", color=figures.COLOURS["reference"], label="$1/\\sqrt{M}$"
    )
    axes[0].set_xlabel("number of chains $M$")
    axes[0].set_ylabel("error / norm of the exact gradient")
    axes[1].set_xlabel("steps $K$ (0 is drawn at 1)")
    axes[1].set_ylabel("bias / norm of the exact gradient")
    for panel in axes:
        panel.set_xscale("log")
        panel.set_yscale("log")
    figures.legend_below(sheet)
    return sheet


@figure(
    "chain-starts",
    title="How fast chains from three starts reach the model's density",
    alt=(
        "Two panels, circle and path1: total variation between chains and the exact density over "
        "the steps. Chains from data come down first, within ten steps, those from noise next and "
        "those from the whole action set last, by thirty to a hundred steps; all end a little "
        "above the dotted floor of perfect samples."
    ),
    studies=("starts",),
)
def chain_starts(source: Source) -> Figure:
    """Total variation over the steps from noise, from the ball B_eps and from data."""
    results = source.results("starts")
    sheet, axes = figures.new(1, 2, width=10, height=3.4, sharey=True)
    words = {"noise": "noise", "ball": "uniform in $B_\\varepsilon$", "data": "demonstrated action"}
    colours = {"noise": "#0072B2", "ball": "#D55E00", "data": "#009E73"}
    for panel, name in zip(axes, results.conditions, strict=True):
        for start in starts.STARTS:
            rows = results.values(name, start)
            _curve(panel, starts.STEPS, rows, color=colours[start], label=words[start])
        floor = float(interquartile_mean(results.values(name, "floor")))
        panel.axhline(
            floor, color=figures.COLOURS["reference"], linestyle=":", label="perfect samples"
        )
        panel.set_xscale("symlog", linthresh=3)
        panel.set_xlim(0, starts.STEPS[-1])
        panel.set_ylim(0, 1.05)
        panel.set_title(name)
        panel.set_xlabel("steps $k$")
    axes[0].set_ylabel("total variation")
    figures.legend_below(sheet)
    return sheet
