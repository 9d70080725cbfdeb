"""Curves over seeds, and maps of where trajectories return from (sections 4.4 and 5)."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from numpy.typing import ArrayLike, NDArray

from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.figures.style import label_axes

Array = NDArray[np.float64]


def over_seeds(
    axes: Axes, x: ArrayLike, curves: ArrayLike, *, label: str | None = None, **style: Any
) -> None:
    """The median of curves (seeds, n) over x (n,), with a band from the lowest to the highest."""
    values = np.atleast_2d(np.asarray(curves, dtype=float))
    (drawn,) = axes.plot(x, np.median(values, axis=0), label=label, **style)
    if len(values) > 1:
        axes.fill_between(
            np.asarray(x, dtype=float), values.min(axis=0), values.max(axis=0),
            color=drawn.get_color(), alpha=0.2, linewidth=0,
        )  # fmt: skip


def basin(
    axes: Axes,
    data: Demonstrations,
    columns: ArrayLike,
    rows: ArrayLike,
    distance: ArrayLike,
    near: float,
) -> None:
    """A map of starts, coloured by the closest distance that is kept; a dot marks a return.

    Args:
        axes: where to draw.
        data: 2-D demonstrations, drawn over the map.
        columns: x_1 of the starts.
        rows: x_2 of the starts.
        distance: (rows, columns), infinite where a trajectory was lost.
        near: distance up to which a trajectory has returned.
    """
    x, y = np.asarray(columns, dtype=float), np.asarray(rows, dtype=float)
    z = np.asarray(distance, dtype=float)
    colours = axes.pcolormesh(
        x, y, np.clip(z, 0.01, 2.5), shading="nearest", cmap="cividis", norm=LogNorm(0.01, 2.5),
        rasterized=True,
    )  # fmt: skip
    for trajectory in data.trajectories:
        axes.plot(*trajectory.T, color="white", linewidth=0.7, alpha=0.7)
    back = z <= near
    grid = np.meshgrid(x, y)
    axes.plot(
        grid[0][back], grid[1][back], "o", color="white", markeredgecolor="black",
        markeredgewidth=0.5, markersize=4, label=f"start that returns (stays within {near:g})",
    )  # fmt: skip
    assert axes.figure is not None
    axes.figure.colorbar(
        colours, ax=axes, label="closest distance kept for\nten steps (normalised length)",
        shrink=0.85, extend="both",
    )  # fmt: skip
    axes.set_aspect("equal")
    axes.grid(visible=False)
    label_axes(axes, "$x_1$ of the start (normalised length)", "$x_2$ of the start (norm. length)")
