"""Rollouts of every method over the demonstrations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ebmlib.errors import InputError
from ebmlib.figures import style


def rollouts_of_methods(
    demonstrations: Sequence[NDArray[np.float64]],
    held_out: Sequence[NDArray[np.float64]],
    paths: Mapping[str, NDArray[np.float64]],
    titles: Mapping[str, str] | None = None,
) -> Figure:
    """One panel for every method: rollouts, training data (grey) and held-out data (dashed).

    Args:
        demonstrations: (n_i + 1, 2) each, what the methods learned from.
        held_out: (m_i + 1, 2) each, what they did not see.
        paths: rollouts (b, t + 1, 2) by method.
        titles: of the panels, by method; the methods' names if None.

    Raises:
        InputError: paths that are not 2-D.
    """
    if any(x.shape[-1] != 2 for x in (*demonstrations, *paths.values())):
        raise InputError("Pictures show 2-D trajectories; use the table and the CSV instead.")
    columns = min(4, len(paths))
    rows = math.ceil(len(paths) / columns)
    figure, panels = style.new(rows, columns, width=3 * columns, height=3 * rows, squeeze=False)
    axes = panels.flatten()
    every = np.concatenate([*demonstrations, *held_out])
    low, high = every.min(axis=0), every.max(axis=0)
    margin = 0.15 * (high - low).max()
    for ax, (name, drawn) in zip(axes, paths.items(), strict=False):
        for points in demonstrations:
            ax.plot(*points.T, color=style.COLOURS["demonstration"], linewidth=1)
        for points in held_out:
            ax.plot(*points.T, color=style.COLOURS["reference"], linewidth=1, linestyle="--")
        for points in np.nan_to_num(drawn, nan=1e6):
            ax.plot(*points.T, color=style.COLOURS["EXP"], linewidth=0.8, alpha=0.6)
        ax.set(
            title=(titles or {}).get(name, name),
            xlim=(low[0] - margin, high[0] + margin),
            ylim=(low[1] - margin, high[1] + margin),
            aspect="equal",
        )
        ax.set_axis_off()
        ax.title.set_visible(True)
    for ax in axes[len(paths) :]:
        ax.set_visible(False)
    return figure
