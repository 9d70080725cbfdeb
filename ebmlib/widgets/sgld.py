"""The particle explorer: SGLD of a trained policy, live (Figures 4.3, 4.4, 4.8 to 4.11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from numpy.typing import NDArray

from ebmlib import figures, seeding
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.evaluation.exact import Grid, model_density
from ebmlib.sampling.sgld import SGLD
from ebmlib.training.store import Trained
from ebmlib.widgets.base import Explorer
from ebmlib.widgets.picture import script, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STATES_ALONG = 60  # this and the next two as in particles.js
_REACH = 1.25
_GRID_POINTS = 61


class ParticleExplorer(Explorer):
    """Particles of a policy from their noise start, over demonstrations and the exact density.

    Traits can be read and set from Python and joined to other widgets
    (``ipywidgets.jslink((FloatLogSlider(...), "value"), (explorer, "alpha"))``); the computation
    runs in the page, so all of it works without a kernel too.

    Attributes:
        policies: the policy set; the next three choose from it.
        dataset: name of the demonstrations.
        trained_k: K with which the policy was trained. The sampler's own K is ``k``.
        trained_alpha: noise level with which it was trained, where policies differ in it.
        alpha: noise level of the sampler, in the action's units.
        k: steps of the sampler; where it changes, the page goes on to show step k.
        step: the step on display.
        seed: seed of start and noise.
        temperature: of the noise; 0 is plain ascent.
        particles: how many.
        state: x, two numbers; ignored where particles start all along the demonstrations.
        where: ``"state"``, or ``"demonstrations"``: at sixty states all along them.
        background: ``"density"`` p(a | x), ``"energy"`` E(x, a) or ``"none"``.
        trail: draw the particles' paths.
        playing: the animation runs.
        speed: its steps per second.
        numbers: sent by the page once it has settled: ``step``, ``r_over_floor`` (R over the noise
            floor; None at step 0), ``mean_energy``, ``distance`` (of the particles' mean to the
            mean demonstrated action nearby, averaged over states).
        actions: sent with it: the particles on display, a1, a2, a1, a2, ...
    """

    _esm = script("particles.js")
    _css = style()

    alpha = traitlets.Float(0.01, min=1e-6).tag(sync=True)
    k = traitlets.Int(100, min=0, max=500).tag(sync=True)
    step = traitlets.Int(0, min=0, max=500).tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)
    temperature = traitlets.Float(1.0, min=0).tag(sync=True)
    particles = traitlets.Int(300, min=1, max=2000).tag(sync=True)
    state = traitlets.List(traitlets.Float(), [0.0, 0.0], minlen=2, maxlen=2).tag(sync=True)
    where = traitlets.Enum(("state", "demonstrations"), "state").tag(sync=True)
    background = traitlets.Enum(("density", "energy", "none"), "energy").tag(sync=True)
    trail = traitlets.Bool(False).tag(sync=True)
    playing = traitlets.Bool(False).tag(sync=True)
    speed = traitlets.Float(40.0, min=1).tag(sync=True)
    actions: Any = traitlets.List().tag(sync=True)

    def _defaults(self, trained: Trained, chosen: Mapping[str, Any]) -> dict[str, Any]:
        path = trained.demonstrations.trajectories[0]
        return {"state": np.round(path[len(path) // 4], 4).tolist(), "step": chosen["k"]}

    @traitlets.validate("state")
    def _finite_state(self, proposal: Any) -> list[float]:
        state = [float(value) for value in proposal["value"]]
        if not np.isfinite(state).all():
            raise traitlets.TraitError(f"state must be two finite numbers, got {state}.")
        return state

    def description(self) -> str:
        """The picture in words."""
        where = (
            f"at the state {self.state[0]:.2f}, {self.state[1]:.2f}"
            if self.where == "state"
            else "at states all along the demonstrations"
        )
        return (
            f"Langevin particles of the policy for {self.dataset} trained with K = "
            f"{self.trained_k}, {where}, after {self.step} steps at noise level {self.alpha:g}: "
            "left in the plane of positions over the demonstrations, right in the plane of actions."
        )

    def picture(self) -> Figure:
        """Positions and actions of the particles at the step on display."""
        demonstrations = self.trained.demonstrations
        states = np.array([self.state]) if self.where == "state" else _along(demonstrations)
        actions = self._sampled(states)
        positions = np.repeat(states, len(actions) // len(states), axis=0) + actions
        near = [demonstrated_near(demonstrations, x) for x in states]
        shown = near[0] if self.where == "state" else np.array([a.mean(axis=0) for a in near])
        figure, (left, right) = figures.new(1, 2, width=7.6, height=3.7)
        figures.demonstrations(left, demonstrations)
        blue, orange = figures.COLOURS["chain"], figures.COLOURS["limit"]
        left.plot(*positions.T, ".", color=blue, markersize=2.5, zorder=5)
        left.set_title("positions x + a")
        radius = _REACH * demonstrations.max_step
        if self.where == "state" and self.background != "none":
            self._draw_background(right, radius)
        right.plot(*actions.T, ".", color=blue, markersize=3, label="particles", zorder=5)
        right.plot(*shown.T, ".", color=orange, markersize=4, label="demonstrated nearby", zorder=6)
        if self.where == "state":
            mean = actions.mean(axis=0)
            right.plot(*mean, "ko", markerfacecolor="none", label="particles' mean", zorder=7)
            right.plot(*shown.mean(axis=0), "x", color=orange, markersize=8, zorder=8)
        right.set(xlim=(-radius, radius), ylim=(-radius, radius), aspect="equal")
        right.set_title(f"actions after {self.step} steps")
        right.set_xlabel("$a_1$ (normalised length)")
        right.set_ylabel("$a_2$ (normalised length)")
        right.legend(loc="upper right", fontsize=7)
        return figure

    def _sampled(self, states: NDArray[np.float64]) -> NDArray[np.float64]:
        """Particles at the states in turn, (n, 2), by the library's own sampler."""
        population = max(1, round(self.particles / len(states)))
        sampler = SGLD(alpha=self.alpha, steps=self.step, temperature=self.temperature)
        source = seeding.generator(self.seed, "particles")
        start = sampler.start(len(states) * population, 2, generator=source)
        score = self.trained.model.score(torch.tensor(states, dtype=torch.float32))
        return sampler.chain(score.repeat(population), start, generator=source).actions.numpy()

    def _draw_background(self, axes: Axes, radius: float) -> None:
        grid = Grid(radius=radius, points=_GRID_POINTS)
        density = model_density(self.trained.model, torch.tensor([self.state]), grid)
        values = density.log_p[0] + density.log_z[0]  # f
        energy = self.background == "energy"
        temperature = self.trained.run.energy.temperature
        values = -temperature * values if energy else density.log_p[0].exp()
        table = values.reshape(_GRID_POINTS, _GRID_POINTS).T.numpy()
        colours = ["#ffffff", "#c9b27c"]
        ramp = LinearSegmentedColormap.from_list("sand", colours[::-1] if energy else colours)
        extent = (-radius, radius, -radius, radius)
        axes.imshow(table, origin="lower", extent=extent, cmap=ramp, interpolation="bilinear")
        levels = np.linspace(table.min(), table.max(), 9)[1:-1] if energy else _share(table)
        axes.contour(table, levels, extent=extent, colors="#604400", linewidths=0.6)


def _share(table: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.array([0.05, 0.5]) * float(table.max())


def _along(demonstrations: Demonstrations) -> NDArray[np.float64]:
    """Sixty states over the length of the demonstrations, from one after the other."""
    paths = [demonstrations.trajectories[i % len(demonstrations)] for i in range(_STATES_ALONG)]
    rows = [x[i * (len(x) - 1) // _STATES_ALONG] for i, x in enumerate(paths)]
    return np.array(rows)


def demonstrated_near(
    demonstrations: Demonstrations, state: Sequence[float] | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Actions demonstrated near a state, (m, d).

    Of every demonstration that comes about as near as the nearest one (within the longest step),
    the action at its nearest state. Their mean is what the explorer measures particles against.
    """
    found = []
    for path in demonstrations.trajectories:
        distance = np.linalg.norm(path[:-1] - np.asarray(state), axis=1)
        j = int(distance.argmin())
        found.append((distance[j], path[j + 1] - path[j]))
    reach = min(distance for distance, _ in found) + demonstrations.max_step
    return np.array([action for distance, action in found if distance <= reach])
