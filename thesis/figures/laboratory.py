"""The panels of the laboratory page (book/lab.md), for any run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from ebmlib import figures
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.evaluation.exact import Grid, model_density
from ebmlib.figures.convergence import particles
from ebmlib.policies import Trajectories
from ebmlib.training.store import Trained
from ebmlib.widgets.sgld import ParticleExplorer, demonstrated_near
from thesis import laboratory

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LeftOut:
    """In place of a picture that data of these dimensions do not have, a sentence.

    Its metadata tells the build what to leave out with it (``workflow/page_settings.py``).

    Attributes:
        what: the picture, as the sentence's subject.
        needs: ``plane`` (two dimensions) or ``grid`` (one or two).
        dim: the data's dimensions.
    """

    what: str
    needs: str
    dim: int

    def __str__(self) -> str:
        wanted = {"plane": "two dimensions", "grid": "one or two dimensions"}[self.needs]
        return f"{self.what} is left out: it needs data of {wanted}, and these have {self.dim}."

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        text = str(self)
        return {"text/plain": text, "text/markdown": text}, {"ebmlib": {"left_out": self.needs}}


def _lengths(axes: Any, actions: Array, title: str) -> None:
    """A histogram of the lengths of actions (..., d): any dimensions."""
    lengths = np.linalg.norm(actions.reshape(-1, actions.shape[-1]), axis=1)
    axes.hist(lengths, bins=30, color=figures.COLOURS["data"])
    axes.set_title(title)
    figures.label_axes(axes, "length of the action", "number")


def demonstrations(data: Demonstrations) -> Figure:
    """The demonstrations with their direction, and their actions within the action set.

    Where they are not of two dimensions: the coordinates over the steps, and the actions' lengths.
    """
    sheet, (left, right) = figures.new(1, 2, width=9, height=4)
    if data.dim == 2:
        figures.demonstrations(left, data, arrows=True)
        figures.actions(right, data)
        return sheet
    for axis in range(data.dim):
        for number, path in enumerate(data.trajectories):
            label = f"$x_{axis + 1}$" if not number else None
            left.plot(path[:, axis], color=f"C{axis}", linewidth=0.7, alpha=0.6, label=label)
    figures.label_axes(left, "step $j$", "position (normalised length)")
    _lengths(right, data.actions, "demonstrated")
    right.axvline(data.eps, color=figures.COLOURS["limit"], linestyle="--", label="action set")
    figures.legend_below(sheet)
    return sheet


def training(trained: Trained) -> Figure:
    """Loss, R (where the objective runs chains) and gradient norms over the epochs."""
    history, data = trained.history, trained.demonstrations
    shown = ["loss", *(["R"] if "R" in history else []), "norms"]
    sheet, axes = figures.new(1, len(shown), width=min(10, 4 * len(shown)), height=3.8)
    figures.loss(axes[0], history)
    if "R" in shown:
        alpha = trained.inference.kernel.alpha
        figures.mean_step(axes[1], history, alpha, data.dim, data.action_scale())
    figures.gradient_norms(axes[-1], history)
    for panel in axes[1:]:
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=7, ncols=2)
    return sheet


def populations(data: Demonstrations, starts: Array, ends: Array) -> Figure:
    """Starts and ends of chains, (n, m, d), beside the demonstrated actions; lengths if not 2-D."""
    if data.dim != 2:
        sheet, axes = figures.new(1, 3, width=10, height=3.6, sharex=True)
        shown = {"starts": starts, "chain ends": ends, "demonstrated": data.actions}
        for panel, (title, taken) in zip(axes, shown.items(), strict=True):
            _lengths(panel, taken, title)
        return sheet
    sheet, axes = figures.new(1, 3, width=10, height=3.6, sharex=True, sharey=True)
    titles = ("starts", "chain ends", "demonstrated")
    for panel, actions, title in zip(axes, (starts, ends, None), titles, strict=True):
        figures.actions(panel, data)
        if actions is not None:
            panel.lines[0].set(
                data=actions.reshape(-1, 2).T, color=figures.COLOURS["chain"], alpha=0.6
            )
        panel.set_title(title)
    return sheet


def particles_over_steps(trained: Trained, chains: int = 60) -> Figure | LeftOut:
    """Particles at four neighbouring states after 0, K / 10, K and 5 K steps, in the plane."""
    data = trained.demonstrations
    if data.dim != 2:
        return LeftOut("The picture of particles", "plane", data.dim)
    first = len(data.trajectories[0]) // 4
    rows = np.minimum([first, first + 3, first + 6, first + 9], data.n_pairs - 1)
    steps = trained.inference.kernel.steps
    sheet, axes = figures.new(2, 2, width=8.5, height=7.6, sharex=True, sharey=True)
    for panel, k in zip(axes.flat, (0, steps // 10, steps, 5 * steps), strict=True):
        moved = laboratory.particles_after(trained, data.states[rows], k, chains)
        particles(panel, data, data.states[rows], data.actions[rows], moved)
        panel.set_title(f"{k} steps")
    figures.legend_below(sheet)
    return sheet


def explorer(trained: Trained) -> ParticleExplorer | LeftOut:
    """The widget in which the particles move, in the plane."""
    if trained.demonstrations.dim != 2:
        return LeftOut("The widget with moving particles", "plane", trained.demonstrations.dim)
    return ParticleExplorer(trained, k=min(trained.inference.kernel.steps, 500))


def density(trained: Trained) -> Figure | LeftOut:
    """The model's density of actions at a state, with the actions demonstrated nearby."""
    data = trained.demonstrations
    if data.dim > 2:
        return LeftOut("The exact density", "grid", data.dim)
    state = data.states[len(data.trajectories[0]) // 4]
    device = next(trained.model.parameters()).device
    at = torch.tensor(state[None], dtype=torch.float32, device=device)
    sheet, axes = figures.new(width=5.5, height=4.4)
    found = model_density(trained.model, at, Grid(radius=2 * data.eps, points=121, d=data.dim))
    near = demonstrated_near(data, state)
    if data.dim == 1:
        axes.plot(found.grid.axis(found.log_p).cpu(), found.log_p[0].exp().cpu(), label="model")
        axes.plot(near[:, 0], np.zeros(len(near)), "|", color=figures.COLOURS["limit"],
                  label="demonstrated nearby")  # fmt: skip
        figures.label_axes(axes, "action", "density")
        axes.legend(fontsize=7)
        return sheet
    figures.action_density(axes, found, data.eps)
    axes.plot(*near.T, ".", color=figures.COLOURS["limit"], label="demonstrated nearby")
    axes.legend(loc="upper right", fontsize=7)
    return sheet


def trajectories(
    data: Demonstrations, sampled: Mapping[tuple[str, str], Trajectories]
) -> Figure | LeftOut:
    """Sampled trajectories: a row for each kind of start, a column for each policy."""
    if data.dim != 2:
        return LeftOut("The picture of trajectories", "plane", data.dim)
    kinds = list(dict.fromkeys(kind for kind, _ in sampled))
    policies = list(dict.fromkeys(policy for _, policy in sampled))
    shape = (len(kinds), len(policies))
    sheet, axes = figures.new(*shape, width=10, height=10, sharex=True, sharey=True, squeeze=False)
    for (kind, policy), found in sampled.items():
        panel = axes[kinds.index(kind), policies.index(policy)]
        figures.demonstrations(panel, data)
        figures.trajectories(panel, found, label=policy.upper())
        panel.set_title(f"{policy.upper()}, start {kind}")
    low, high = data.states.min(axis=0) - 0.8, data.states.max(axis=0) + 0.8
    axes[0, 0].set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    return sheet


def distances(found: Mapping[str, Array]) -> Figure:
    """Distances over the steps, (starts, steps + 1), by kind of start: median and range."""
    sheet, axes = figures.new()
    for kind, curves in found.items():
        figures.over_seeds(axes, np.arange(curves.shape[1]), curves, label=f"start {kind}")
    figures.label_axes(axes, "step $j$", "distance (normalised length)")
    figures.legend_below(sheet)
    return sheet


def basin(data: Demonstrations, found: laboratory.Basin) -> Figure | LeftOut:
    """The map of starts from which trajectories return."""
    if data.dim != 2:
        return LeftOut("The map of starts", "plane", data.dim)
    sheet, axes = figures.new(width=6.5, height=5)
    figures.basin(axes, data, found.columns, found.rows, found.distance, found.near)
    return sheet
