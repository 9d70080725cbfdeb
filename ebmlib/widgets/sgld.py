"""The particle explorer: SGLD of a trained policy, live (Figures 4.3, 4.4, 4.8 to 4.11)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets

from ebmlib import figures, seeding
from ebmlib.exact import Grid, model_density
from ebmlib.sgld import SGLD
from ebmlib.store import Trained
from ebmlib.widgets.base import Explorer, script, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STATES_ALONG = 60  # as in particles.js
_GRID_POINTS = 61


class ParticleExplorer(Explorer):
    """Particles of a policy from their noise start, over demonstrations and the exact density.

    Traits can be read and set from Python and joined to other widgets
    (``ipywidgets.jslink((FloatLogSlider(...), "value"), (explorer, "alpha"))``); the computation
    runs in the page, so all of it works without a kernel too.

    Attributes:
        policies: the policy set; ``dataset`` and ``trained_k`` choose from it.
        dataset: name of the demonstrations.
        trained_k: K with which the policy was trained. The sampler's own K is ``k``.
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
        numbers: told by the page once it has settled: ``step``, ``r_over_floor`` (R over the noise
            floor; None at step 0), ``mean_energy``, ``distance`` (of the particles' mean to the
            mean demonstrated action nearby, averaged over states).
        actions: told with it: the particles on display, a1, a2, a1, a2, ...
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
        trained = self.trained
        demonstrations, model = trained.demonstrations, trained.model
        one = self.where == "state"
        if one:
            states = torch.tensor([self.state], dtype=torch.float32)
        else:
            rows = [
                x[int(i * (len(x) - 1) / _STATES_ALONG)]
                for i in range(_STATES_ALONG)
                for x in [demonstrations.trajectories[i % len(demonstrations)]]
            ]
            states = torch.tensor(np.array(rows), dtype=torch.float32)
        population = max(1, round(self.particles / len(states)))
        sampler = SGLD(alpha=self.alpha, steps=self.step, temperature=self.temperature)
        source = seeding.generator(self.seed, "particles")
        start = sampler.start(len(states) * population, 2, generator=source)
        score = model.score(states).repeat(population)
        actions = sampler.chain(score, start, generator=source).actions.numpy()
        positions = states.repeat_interleave(population, dim=0).numpy() + actions
        figure, (left, right) = figures.new(1, 2, width=7.6, height=3.7)
        figures.demonstrations(left, demonstrations)
        left.plot(*positions.T, ".", color=figures.COLOURS["chain"], markersize=2.5, zorder=5)
        left.set_title("positions x + a")
        radius = 1.03 * demonstrations.eps
        if one and self.background != "none":
            grid = Grid(radius=radius, points=_GRID_POINTS)
            log_p = model_density(model, states, grid).log_p[0].reshape(_GRID_POINTS, -1)
            values = log_p.exp() if self.background == "density" else -log_p
            right.imshow(
                values.T.numpy(), origin="lower", extent=(-radius, radius, -radius, radius),
                cmap="YlOrBr" if self.background == "density" else "YlOrBr_r", alpha=0.5,
            )  # fmt: skip
        figures.actions(right, demonstrations)
        right.plot(*actions.T, ".", color=figures.COLOURS["chain"], markersize=3, zorder=5)
        right.set_title(f"actions after {self.step} steps")
        return figure
