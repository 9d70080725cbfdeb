"""Figures of the benchmark of training methods: table, ranks, all runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ebmlib import figures
from thesis.benchmark import report as reports
from thesis.benchmark.report import CONTROL, Report
from thesis.benchmark.settings import METHODS
from thesis.figure import Source, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FAMILY_COLOURS = {
    "likelihood": "#0072B2",
    "chains": "#D55E00",
    "generators": "#CC79A7",
    "scores": "#009E73",
    "noise contrast": "#B8860B",
    "yardsticks": "#555555",
}
"""Okabe and Ito's palette, its yellow darkened; what is no energy is grey."""


def family(method: str) -> str:
    """Of a method's name."""
    return METHODS[method].family if method in METHODS else "yardsticks"


def _named(axes: Axes, methods: list[str]) -> None:
    axes.set_yticks(range(len(methods)), methods, fontsize=7.5)
    for label, method in zip(axes.get_yticklabels(), methods, strict=True):
        label.set_color(FAMILY_COLOURS[family(method)])
    axes.grid(False)
    axes.tick_params(length=0)


@figure(
    "benchmark-table",
    title="KL of the data to the model, methods and problems",
    alt="A table of numbers on coloured cells. Rows are training methods in the order of their "
    "mean rank, columns are problems with a small and a large training set. Cells are dark where "
    "the divergence is small.",
)
def table(source: Source) -> Figure:
    """Geometric mean over seeds of KL(data || model), by block; methods by mean rank."""
    report = reports.load()
    methods = list(report.rank().methods)
    log_kl = report.log_kl(methods)
    sheet, axes = figures.new(width=9.5, height=0.25 * len(methods) + 1.0)
    image = axes.imshow(log_kl / np.log(10), aspect="auto", cmap="viridis", vmin=-2, vmax=1)
    columns = [f"{problem}\n{size}" for problem, size in report.blocks]
    axes.set_xticks(range(len(columns)), columns, fontsize=7.5)
    axes.xaxis.tick_top()
    _named(axes, methods)
    for i, row in enumerate(log_kl):
        for j, value in enumerate(row):
            lost = any(r["diverged"] for r in report.of(methods[i], *report.blocks[j]))
            text = _short(float(np.exp(value))) + ("*" if lost else "")
            dark = value / np.log(10) < -0.3
            axes.text(j, i, text, ha="center", va="center", fontsize=6.8,
                      color="white" if dark else "black")  # fmt: skip
    bar = sheet.colorbar(image, ax=axes, pad=0.01, aspect=40)
    bar.set_label(r"$\log_{10}$ KL(data $\|$ model), nats")
    return sheet


def _short(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.3g}"


@figure(
    "benchmark-ranks",
    title="mean ranks of training methods and the critical difference",
    alt="Dots on horizontal lines: the mean rank of each training method over problems and "
    "training sizes, best at the top, in the colour of its family. A grey band shows how far two "
    "ranks must be apart to be told apart. Filled dots differ from exact likelihood after Holm's "
    "correction.",
)
def ranks(source: Source) -> Figure:
    """Mean ranks over blocks, with Nemenyi's critical difference from the best."""
    report = reports.load()
    rank = report.rank()
    distinct = {c.method for c in report.against_control() if c.corrected < reports.LEVEL}
    methods = list(rank.methods)
    sheet, axes = figures.new(width=8.5, height=0.22 * len(methods) + 1.2)
    best = rank.ranks[0]
    axes.axvspan(best, best + rank.critical, color="#dddddd", alpha=0.6, lw=0)
    for place, (method, value) in enumerate(zip(methods, rank.ranks, strict=True)):
        colour = FAMILY_COLOURS[family(method)]
        filled = method in distinct or method == CONTROL
        axes.plot([0, value], [place, place], color=colour, lw=0.6, alpha=0.5)
        axes.plot(value, place, "s" if method == CONTROL else "o", ms=6, color=colour,
                  mfc=colour if filled else "white")  # fmt: skip
    _named(axes, methods)
    axes.set(xlim=(0, len(methods) + 0.5), ylim=(len(methods) - 0.4, -0.6))
    axes.set_xlabel(f"mean rank over {rank.blocks} blocks (1 is best)")
    handles = [
        axes.plot([], [], "o", color=colour, label=name)[0]
        for name, colour in FAMILY_COLOURS.items()
    ]
    axes.legend(handles=handles, loc="upper right", fontsize=7.5, frameon=True)
    return sheet


@figure(
    "benchmark-runs",
    title="every run of every training method",
    alt="Dots on horizontal lines, one line for each training method and one dot for each run, at "
    "the run's divergence as a share of the mutual information. A vertical line at one marks "
    "models that are no better than one that ignores the state; crosses are runs that diverged.",
)
def runs(source: Source) -> Figure:
    """KL / I of all runs: small training sets above, large ones below each line."""
    report = reports.load()
    methods = list(report.rank().methods)
    sheet, axes = figures.new(width=8.5, height=0.24 * len(methods) + 1.0)
    _dots(axes, report, methods)
    axes.axvline(1, color="#333333", lw=0.8)
    axes.set_xscale("log")
    _named(axes, methods)
    axes.set_ylim(len(methods) - 0.4, -0.6)
    axes.set_xlabel("KL(data || model) over the mutual information of state and action")
    axes.legend(loc="upper right", fontsize=7.5, frameon=True)
    return sheet


def _dots(axes: Axes, report: Report, methods: list[str]) -> None:
    sizes = sorted({size for _, size in report.blocks})
    for place, method in enumerate(methods):
        for at, size in enumerate(sizes):
            own = [r for b in report.blocks if b[1] == size for r in report.of(method, *b)]
            kept = [r["kl"] / r["information"] for r in own if not r["diverged"]]
            y = place + 0.18 * (2 * at - 1)
            colour = FAMILY_COLOURS[family(method)]
            marker: dict[str, Any] = {"color": colour, "ms": 3.2, "alpha": 0.7, "ls": ""}
            axes.plot(kept, [y] * len(kept), marker="o", mfc="none" if at == 0 else None, **marker)
            lost = len(own) - len(kept)
            axes.plot([1.0] * lost, [y] * lost, marker="x", **marker)
    for at, size in enumerate(sizes):
        axes.plot([], [], "o", color="#555555", mfc="none" if at == 0 else None, ms=4,
                  label=f"{size} pairs")  # fmt: skip
