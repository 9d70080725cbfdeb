"""Fields over the plane: an action's density on its grid, actions as arrows over states."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from numpy.typing import NDArray

from ebmlib.evaluation.exact import GridDensity
from ebmlib.figures.style import COLOURS, label_axes

Array = NDArray[np.float64]


def action_density(axes: Axes, density: GridDensity, eps: float, number: int = 0) -> None:
    """The log density of one state's actions as shades, with B_eps(0) (Eq 3.3); equal aspect.

    Args:
        axes: where to draw.
        density: of one or more states with 2-D actions.
        eps: radius of the action set.
        number: which of the states.
    """
    points, radius = density.grid.points, density.grid.radius
    values = density.log_p[number].reshape(points, points).T.cpu().numpy()
    shades = axes.imshow(
        values - values.max(), origin="lower", extent=(-radius, radius, -radius, radius),
        cmap="Blues", vmin=-12, vmax=0, interpolation="nearest", zorder=0,
    )  # fmt: skip
    axes.grid(False)
    axes.figure.colorbar(shades, ax=axes, shrink=0.75, label="$\\log p$ below its maximum (nats)")
    axes.add_patch(
        Circle((0, 0), eps, fill=False, color=COLOURS["limit"], linestyle="--", linewidth=1.2)
    )
    axes.text(0, -1.03 * eps, "$B_\\varepsilon(0)$", color=COLOURS["limit"], ha="center", va="top")
    label_axes(axes, "$a_1$ (normalised length)", "$a_2$ (normalised length)")
    axes.set_aspect("equal")


def vector_field(axes: Axes, states: Array, actions: Array, label: str | None = None) -> None:
    """Actions (n, 2) as arrows at states (n, 2), all of one length; equal aspect."""
    length = np.linalg.norm(actions, axis=1, keepdims=True)
    unit = actions / np.maximum(length, 1e-12)
    axes.quiver(
        *states.T, *unit.T, angles="xy", color=COLOURS["EXP"], width=0.004, scale=24, pivot="mid",
        zorder=4, label=label,
    )  # fmt: skip
    axes.set_aspect("equal")
    label_axes(axes, "$x_1$ (normalised length)", "$x_2$ (normalised length)")
