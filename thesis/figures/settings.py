"""Maps of the settings other than ours at which claims were looked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter

from ebmlib import figures
from thesis.claims import searches
from thesis.claims.settings import INEXACT
from thesis.figure import Source, figure
from thesis.statistics import estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

HOLDS, FAILS = "#0072B2", "#D55E00"


def _plain(axis: Axis, span: float) -> None:
    """Numbers written out on a logarithmic axis: 1, 2, 5, 10, or decades alone where it is long."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if span < 100 else (1,), numticks=5))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def settings(axes: Axes, source: Source, id: str, *, log: bool = False) -> None:
    """The settings of a claim's search, one a line: its number, its interval, whether it holds."""
    found = searches()[id].found(source.results)
    for holds, colour, marker, face in ((True, HOLDS, "o", HOLDS), (False, FAILS, "s", "none")):
        rows = [row for row, each in enumerate(found) if each.holds is holds]
        if not rows:
            continue
        numbers = [found[row].number for row in rows]
        value = np.array([number.value for number in numbers])
        reach = np.array([(n.value - n.low, n.high - n.value) for n in numbers]).reshape(-1, 2)
        axes.errorbar(
            value, rows, xerr=np.maximum(reach, 0).T, fmt=marker, color=colour,
            markerfacecolor=face, markersize=5, capsize=2, linewidth=1,
            label="the claim holds" if holds else "it is not shown to hold",
        )  # fmt: skip
    for bound in searches()[id].bound:
        axes.axvline(bound, color="black", linestyle="--", linewidth=0.8, label="_bound")
    axes.set_yticks(range(len(found)), [each.setting for each in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)
    if log:
        axes.set_xscale("log")
        ends = [end for n in (each.number for each in found) for end in (n.low, n.high)]
        ends += searches()[id].bound
        _plain(axes.xaxis, max(ends) / min(ends))
    axes.margins(x=0.08)
    axes.set_xlabel(searches()[id].number)
    axes.set_title(id)


@figure(
    "other-rates",
    title="Higher learning rates: the claims on loss, level and epochs",
    alt=(
        "Five panels of marks with whiskers at learning rates from 0.01 to 0.1. All marks but "
        "two are hollow. The ratio of epochs with and without normalisation lies about one "
        "with whiskers from nearly zero to above four; that of circle to path1 is above one at "
        "the lowest rate, with a long whisker, and below it at the others; the loss with ReLU "
        "stays at one, far below a thousand; the plain network's error rises to its bound; the "
        "largest f rises from below the bound to a hundred times it and is filled at 0.03 and "
        "0.05."
    ),
    studies=("learning-rate", "level", "early"),
)
def rates(source: Source) -> Figure:
    """C12, C16, C19, C20 and C33 over the learning rate."""
    sheet, axes = figures.new(3, 2, width=7.5, height=6.0)
    shown = (("C12", False), ("C33", True), ("C19", True), ("C20", False), ("C16", True))
    for panel, (id, log) in zip(axes.flat, shown, strict=False):
        settings(panel, source, id, log=log)
    for panel in axes[:, 1]:
        panel.set_yticklabels([])  # the same rates as on the left
    axes.flat[-1].set_visible(False)
    figures.legend_below(sheet)
    return sheet


@figure(
    "other-depths",
    title="Deeper networks: the claims on residual layers and on full spectral normalisation",
    alt=(
        "Two panels. Left, the ratio of gradients lies near one late in training at 4, 8 and 16 "
        "hidden layers, and early it rises from two to five to nearly sixty; the last two are "
        "filled. Right, the gradient norm with full normalisation falls from 0.07 at 2 hidden "
        "layers to 0.005 at 16, to the right of the band between the two dashed lines."
    ),
    studies=("depth", "normalised-depth", "architecture"),
)
def depths(source: Source) -> Figure:
    """C13 and C18 over the number of hidden layers."""
    sheet, axes = figures.new(1, 2, width=8.0, height=2.8)
    settings(axes[0], source, "C13", log=True)
    settings(axes[1], source, "C18", log=True)
    figures.legend_below(sheet)
    return sheet


@figure(
    "other-data",
    title="Data with less and with more noise: the claims on drift, return and copying",
    alt=(
        "Three panels. ML's late distance has wide whiskers across the bound for path1 with both "
        "noises, the middle above it with 0.05, and lies below the bound elsewhere. The share of "
        "EXP rollouts that return is one, but for whiskers with noise 0.02 on path1 and circle; "
        "all its marks are hollow. The angle is three times that on the line with noise 0.003, "
        "filled, and just below twice with 0.02."
    ),
    studies=("data-noise", "offsets-noise"),
)
def data(source: Source) -> Figure:
    """C09, C10 and C36 over the noise on the demonstrated positions."""
    sheet, axes = figures.new(1, 3, width=10.0, height=3.2)
    settings(axes[0], source, "C09")
    settings(axes[1], source, "C10")
    settings(axes[2], source, "C36")
    figures.legend_below(sheet)
    return sheet


@figure(
    "other-trainings",
    title="Other sizes, trainings and places: the claims on the fork, the size and the mouse",
    alt=(
        "Four panels. EXP strays from the fork by one to two steps, least with 3000 epochs; a "
        "network of half the size takes over twice the epochs, among the two smaller pairs, "
        "filled; the settling time on mouse1 lies between the two bounds; the shares that end "
        "between the branches are 0.1 to 0.2 with whiskers across the bound."
    ),
    studies=("fork-settings", "architecture", "sizes", "mixing", "tail-starts"),
)
def trainings(source: Source) -> Figure:
    """C17, C21, C31 and C35."""
    sheet, axes = figures.new(2, 2, width=8.0, height=4.2)
    settings(axes[0, 0], source, "C17")
    settings(axes[0, 1], source, "C21")
    settings(axes[1, 0], source, "C31")
    settings(axes[1, 1], source, "C35")
    figures.legend_below(sheet)
    return sheet


@figure(
    "other-budgets",
    title="Time and error of an action by chains and steps",
    alt=(
        "Two panels, mouse1 and mouse2, of error over time with a curve for each number of "
        "chains. More chains lie lower, more steps further right. With 64 chains the error "
        "falls steeply from 12 to 25 steps and little after; at 25 and 50 steps it is below the "
        "error bound and left of the time bound, at 100 steps right of it."
    ),
    studies=("budget",),
)
def budgets(source: Source) -> Figure:
    """C39: what fewer chains and steps save, and what they cost in exactness."""
    results = source.results("budget")
    sheet, axes = figures.new(1, 2, width=8.0, height=3.6, sharex=True, sharey=True)
    styles = {4: ("#E69F00", "s"), 16: ("#009E73", "^"), 64: ("#0072B2", "o")}
    for panel, name in zip(axes, ("mouse1", "mouse2"), strict=True):
        chains, steps = (np.array(results.of(name)[0][key]) for key in ("chains", "steps"))
        time = results.values(name, "milliseconds") / results.values(name, "step")[:, None]
        error = results.values(name, "error")
        for count, (colour, marker) in styles.items():
            chosen = np.flatnonzero(chains == count)
            x = [estimate(time[:, k]).value for k in chosen]
            y = [estimate(error[:, k]).value for k in chosen]
            panel.plot(x, y, "-", color=colour, marker=marker, label=f"{count} chains")
            for k, at in zip(chosen, zip(x, y, strict=True), strict=True):
                panel.annotate(f"{steps[k]}", at, xytext=(3, 4), textcoords="offset points")
        panel.axvline(1, color="black", linestyle="--", linewidth=0.8, label="_in time")
        panel.axhline(INEXACT, color="black", linestyle="--", linewidth=0.8, label="_exact enough")
        panel.set_xscale("log")
        panel.set_yscale("log")
        _plain(panel.xaxis, 10)
        _plain(panel.yaxis, 10)
        panel.set_title(name)
        panel.set_xlabel("time of an action over that of a step")
    axes[0].set_ylabel("error of the action (steps)")
    figures.legend_below(sheet)
    return sheet
