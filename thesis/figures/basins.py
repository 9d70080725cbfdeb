"""Basins of attraction, and the action field along lines across the demonstrations."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ebmlib import figures
from thesis.conditions import DATASETS, condition
from thesis.figure import Source, figure
from thesis.studies.basins import NEAR
from thesis.studies.offsets import DISTANCES
from thesis.studies.trajectories import closed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def basin(source: Source, name: str) -> Figure:
    """From where trajectories return: the median over seeds of the closest distance kept."""
    results, demonstrations = source.results("basins"), condition(name).demonstrations()
    columns, rows = (results.values(name, key)[0] for key in ("columns", "rows"))
    held = results.values(name, "map").reshape(-1, len(rows), len(columns))
    held = np.where(np.isnan(held), np.inf, held)
    sheet, axes = figures.new(height=4.6)
    figures.basin(axes, demonstrations, columns, rows, np.median(held, axis=0), NEAR)
    if closed(demonstrations):
        from matplotlib.patches import Circle

        ring = Circle((-1, 0), 1.5, fill=False, linestyle="--", color="#E69F00", linewidth=1.6)
        ring.set_label("1.5 radii")
        axes.add_patch(ring)
    figures.legend_below(sheet)
    return sheet


def returned(source: Source, name: str) -> Figure:
    """Share of starts that return, over their signed distance from the centre line."""
    results = source.results("basins")
    sheet, axes = figures.new()
    share = 100 * results.values(name, "returned")
    figures.over_seeds(
        axes, results.values(name, "offsets")[0], share, marker="o", markersize=4, label="EXP"
    )
    axes.axhline(90, color=figures.COLOURS["limit"], linestyle="--", label="90 %")
    if name == "circle":
        axes.axvspan(-0.75, -0.25, color="#eeeeee", zorder=0, label="1.25 to 1.75 radii")
    axes.set_xlabel("distance of the start from the centre line (normalised length), + inside")
    axes.set_ylabel("starts that return (%)")
    axes.set_ylim(-3, 103)
    figures.legend_below(sheet)
    return sheet


def neighbourhood(source: Source) -> Figure:
    """The share that returns by distance from the demonstrations, for all four data sets."""
    results = source.results("basins")
    sheet, axes = figures.new()
    for name, marker in zip(DATASETS, "osD^", strict=True):
        offsets = results.values(name, "offsets")[0]
        share = results.values(name, "returned")
        distance = [d for d in sorted(set(np.abs(offsets))) if {d, -d} <= set(offsets)]
        worse = [100 * share[:, np.abs(offsets) == d].min(axis=1) for d in distance]
        figures.over_seeds(
            axes, distance, np.array(worse).T, label=name, marker=marker, markersize=4
        )
    axes.axhline(90, color=figures.COLOURS["reference"], linestyle="--", label="90 %")
    axes.set_xlabel("distance of the start from the centre line (normalised length)")
    axes.set_ylabel("starts that return (%),\nthe worse side")
    axes.set_ylim(-3, 103)
    figures.legend_below(sheet)
    return sheet


def field(source: Source, name: str) -> Figure:
    """How the mean action changes across the demonstrations: its length and direction."""
    results = source.results("offsets")
    sheet, (whole, parts) = figures.new(1, 2, width=9, height=3.4)
    figures.over_seeds(
        whole, DISTANCES, results.values(name, "change"), marker="o", markersize=4,
        label="EXP against EXP on the line",
    )  # fmt: skip
    scatter = float(np.median(results.values(name, "scatter")))
    whole.axhline(
        scatter, color=figures.COLOURS["limit"], linestyle="--",
        label="scatter in the data",
    )  # fmt: skip
    whole.set_ylabel("difference over length of action")
    turned, smooth = results.values(name, "turn"), results.values(name, "nearest_turn")
    figures.over_seeds(parts, DISTANCES, turned, label="turn of EXP", color=figures.COLOURS["EXP"])
    figures.over_seeds(
        parts, DISTANCES, smooth, label="turn of the nearest data",
        color=figures.COLOURS["reference"], linestyle="--",
    )  # fmt: skip
    parts.set_ylabel("turn against the line (degrees)")
    for panel in (whole, parts):
        panel.set_xlabel("distance from the line (normalised length)")
        panel.set_ylim(bottom=0)
    figures.legend_below(sheet)
    return sheet


for _name in DATASETS:
    figure(
        f"basin-{_name}",
        title=f"From where trajectories return to {_name}",
        alt=f"A map of squares, one for each start around {_name}, coloured by the distance that "
        "its trajectory keeps to the demonstrations; starts that return carry a dot.",
        studies=("basins",),
    )(partial(basin, name=_name))
    figure(
        f"returned-{_name}",
        title=f"Share of starts that return to {_name}, by distance",
        alt="Curve with band: the share of starts that return over their signed distance from "
        f"the centre line of {_name}, with a dashed line at ninety per cent.",
        studies=("basins",),
    )(partial(returned, name=_name))
    figure(
        f"field-{_name}",
        title=f"The expected action across {_name}",
        alt="Two panels over the distance from the centre line: the relative difference of the "
        "mean action to the one on the line, and the angle by which it turns.",
        studies=("offsets",),
    )(partial(field, name=_name))
figure(
    "neighbourhood",
    title="Share of starts that return, by distance, on all four data sets",
    alt="Four curves with bands over the distance of the start, with a dashed line at ninety per "
    "cent. All medians begin at one hundred per cent close to the demonstrations; path1 and mouse1 "
    "fall at once, mouse2 later, and circle stays at the top.",
    studies=("basins",),
)(neighbourhood)
