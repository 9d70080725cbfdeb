"""Demonstrations (Fig 3.1, 4.12, 4.13, 4.20, 4.21) and trajectories sampled over them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.evaluation import metrics
from ebmlib.figures.style import COLOURS, label_axes
from ebmlib.policies import Trajectories


def demonstrations(axes: Axes, data: Demonstrations, arrows: bool = False) -> None:
    """All demonstrations, equal aspect, in normalised units; the start is marked.

    Args:
        axes: where to draw.
        data: 2-D demonstrations.
        arrows: draw every sixth action of the first demonstration as an arrow.
    """
    for number, trajectory in enumerate(data.trajectories):
        label = f"{len(data.trajectories)} demonstrations" if number == 0 else None
        colour = COLOURS["demonstration"]
        axes.plot(*trajectory.T, color=colour, linewidth=0.6, alpha=0.7, label=label, zorder=1)
    if arrows:
        states = data.trajectories[0][:-1:6]
        steps = np.diff(data.trajectories[0], axis=0)[::6]
        axes.quiver(
            *states.T, *steps.T, angles="xy", scale_units="xy", scale=0.4, width=0.007,
            color=COLOURS["EXP"], zorder=3, label="action, two and a half times its length",
        )  # fmt: skip
    axes.plot(0, 0, "o", color=COLOURS["reference"], markersize=4, zorder=4)
    axes.annotate("start", (0, 0), xytext=(5, 5), textcoords="offset points", fontsize=8)
    _plane(axes)


def actions(axes: Axes, data: Demonstrations) -> None:
    """All demonstrated actions and the action set B_eps(0) of Eq 3.3, equal aspect."""
    axes.plot(*data.actions.T, ".", color=COLOURS["data"], markersize=1.5, alpha=0.5)
    axes.add_patch(Circle((0, 0), data.eps, fill=False, color=COLOURS["limit"], linestyle="--"))
    axes.annotate("$B_\\varepsilon(0)$", (0.72 * data.eps, 0.72 * data.eps), color=COLOURS["limit"])
    axes.set_aspect("equal")
    axes.set_xlim(-1.15 * data.eps, 1.15 * data.eps)
    axes.set_ylim(-1.15 * data.eps, 1.15 * data.eps)
    label_axes(axes, "$a_1$ (normalised length)", "$a_2$ (normalised length)")


def trajectories(
    axes: Axes,
    sampled: Trajectories,
    label: str = "EXP",
    only: int | None = None,
    *,
    faint: bool = False,
    named: bool = True,
) -> None:
    """Sampled trajectories over the demonstrations; a dot marks each start, a square each end.

    Args:
        axes: where to draw.
        sampled: 2-D trajectories.
        label: name in the legend; ``EXP``, ``ML`` and ``DRAW`` have their own colours.
        only: draw this one of them alone.
        faint: thin and pale, for comparison beside others.
        named: whether they have a name in the legend.
    """
    colour = COLOURS.get(label, COLOURS["EXP"])
    pale: dict[str, Any] = {"linewidth": 0.9, "alpha": 0.6} if faint else {"linewidth": 1.1}
    chosen = sampled.states if only is None else sampled.states[only : only + 1]
    for number, states in enumerate(chosen.cpu().numpy()):
        name = label if named and number == 0 else None
        above = 5 - faint
        axes.plot(*states.T, color=colour, label=name, zorder=above, **pale)
        axes.plot(*states[0], "o", color=colour, markersize=5 - faint, zorder=above + 1)
        axes.plot(
            *states[-1], "s", color=colour, markersize=4, markerfacecolor="white", zorder=above + 1
        )
    _plane(axes)


def distance_over_time(
    axes: Axes, sampled: Trajectories, reference: np.ndarray, label: str = "EXP"
) -> None:
    """Distance of every sampled state to the reference path (n, 2) over the steps."""
    distance = metrics.distance_to_polyline(sampled.states.cpu().numpy(), reference)
    for number, column in enumerate(distance):
        name = label if number == 0 else None
        axes.plot(column, color=COLOURS.get(label, COLOURS["EXP"]), label=name, linewidth=1.1)
    label_axes(axes, "step $j$", "distance to the reference")
    axes.set_ylim(bottom=0)


def _plane(axes: Axes) -> None:
    axes.set_aspect("equal", adjustable="box")
    label_axes(axes, "$x_1$ (normalised length)", "$x_2$ (normalised length)")
