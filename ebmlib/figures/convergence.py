"""Chains under way: particles over the demonstrations (Fig 4.8 - 4.11), maps over (alpha, K)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.figures.style import COLOURS, label_axes

UNSTABLE = 10.0
"""Larger values are marked, not coloured: the chain has run away."""


def particles(
    axes: Axes,
    data: Demonstrations,
    states: NDArray[np.float64],
    actions: NDArray[np.float64],
    chains: NDArray[np.float64],
    margin: float = 0.12,
) -> None:
    """Where chains would move to from a few states, over the demonstrations; equal aspect.

    Args:
        axes: where to draw.
        data: 2-D demonstrations.
        states: (n, 2).
        actions: the demonstrated action at each, (n, 2).
        chains: actions of the chains there, (n, m, 2).
        margin: room around states and their next states, in normalised units.
    """
    for number, trajectory in enumerate(data.trajectories):
        label = "demonstrations" if number == 0 else None
        axes.plot(*trajectory.T, color=COLOURS["demonstration"], linewidth=0.5, alpha=0.6,
                  label=label, zorder=1)  # fmt: skip
    moved = (states[:, None] + chains).reshape(-1, 2)
    axes.plot(*moved.T, ".", color=COLOURS["chain"], markersize=3, alpha=0.6, zorder=3,
              markeredgewidth=0, label="particles $x + a^k$")  # fmt: skip
    axes.plot(*states.T, "o", color=COLOURS["reference"], markersize=7, markerfacecolor="none",
              zorder=4, label="state $x$")  # fmt: skip
    axes.plot(*(states + actions).T, "+", color=COLOURS["limit"], markersize=9, markeredgewidth=1.8,
              zorder=5, label="demonstrated next state")  # fmt: skip
    corners = np.concatenate([states, states + actions])
    low, high = corners.min(axis=0) - margin, corners.max(axis=0) + margin
    axes.set_xlim(low[0], high[0])
    axes.set_ylim(low[1], high[1])
    axes.set_aspect("equal", adjustable="box")
    label_axes(axes, "$x_1$ (normalised length)", "$x_2$ (normalised length)")


def phase_map(
    axes: Axes,
    values: Mapping[tuple[float, int], float],
    *,
    scale: float,
    centre: float | None = None,
    limits: tuple[float, float] = (0.0, 2.0),
) -> AxesImage:
    """A number for every (alpha, K), written into its cell; alpha over the data's scale s.

    Args:
        axes: where to draw.
        values: (alpha, K) -> number; NaN or beyond :data:`UNSTABLE` means that the chain ran away.
        scale: s.
        centre: the number that is white, for a colour map with two ends.
        limits: the range of the colours.
    """
    alphas, steps = (sorted({key[part] for key in values}) for part in (0, 1))
    table = np.full((len(steps), len(alphas)), np.nan)
    for (alpha, K), value in values.items():
        table[steps.index(K), alphas.index(alpha)] = value
    wild = ~np.isfinite(table) | (np.abs(table) > UNSTABLE)
    shown = np.ma.masked_array(table, wild)
    if centre is None:
        image = axes.imshow(shown, cmap="cividis_r", vmin=limits[0], vmax=limits[1],
                            origin="lower", aspect="auto")  # fmt: skip
    else:
        norm = CenteredNorm(centre, halfrange=max(abs(limit - centre) for limit in limits))
        image = axes.imshow(shown, cmap="PuOr", norm=norm, origin="lower", aspect="auto")
    for (alpha, K), value in values.items():
        row, column = steps.index(K), alphas.index(alpha)
        text = "runs\naway" if wild[row, column] else f"{value:.2f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=7.5,
                  color=_ink(image, value) if not wild[row, column] else "black")  # fmt: skip
    axes.set_xticks(range(len(alphas)), [f"{alpha / scale:.2f}" for alpha in alphas])
    axes.set_yticks(range(len(steps)), [str(K) for K in steps])
    axes.grid(False)
    label_axes(axes, "noise level over the data's scale, $\\alpha/s$", "steps $K$ of the training")
    return image


def _ink(image: AxesImage, value: float) -> str:
    """Black on a light cell, white on a dark one."""
    red, green, blue, _ = np.asarray(image.cmap(np.asarray(image.norm(np.array([value])))))[0]
    return "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
