"""The rollout explorer: trajectories of a trained policy from points the reader chooses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import traitlets

from ebmlib import figures, seeding
from ebmlib.policies import EXP, ML, Policy, rollout
from ebmlib.sampling.sgld import SGLD
from ebmlib.training.store import Trained
from ebmlib.widgets.base import Explorer
from ebmlib.widgets.picture import script, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ML_STARTS = 8  # ascents for every action: the library's own default


class RolloutExplorer(Explorer):
    """Trajectories with the EXP or ML estimate from clicked starts, beside the demonstrations.

    Attributes:
        policies: the policy set; the next three choose from it.
        dataset: name of the demonstrations.
        trained_k: K with which the policy was trained. The sampler's own K is ``k``.
        trained_alpha: noise level with which it was trained, where policies differ in it.
        alpha: noise level of the sampler, in the action's units.
        k: steps of every chain.
        estimate: ``"EXP"`` (Algorithm 2) or ``"ML"``.
        population: chains for every action.
        steps: actions in a trajectory.
        seed: seed; every start has its own stream.
        starts: list of points [x1, x2].
        trajectories: sent by the page when all have ended: a list of points for every start.
        numbers: sent with it: ``count``, and of the last trajectory ``taken`` (actions),
            ``mean_distance`` and ``end_distance`` to the nearest demonstrated path.
    """

    _esm = script("rollouts.js")
    _css = style()

    alpha = traitlets.Float(0.01, min=1e-6).tag(sync=True)
    k = traitlets.Int(100, min=1, max=500).tag(sync=True)
    estimate = traitlets.Enum(("EXP", "ML"), "EXP").tag(sync=True)
    population = traitlets.Int(16, min=1, max=256).tag(sync=True)
    steps = traitlets.Int(150, min=1, max=1000).tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)
    starts = traitlets.List(traitlets.List(traitlets.Float(), minlen=2, maxlen=2)).tag(sync=True)
    trajectories: Any = traitlets.List().tag(sync=True)

    def _defaults(self, trained: Trained, chosen: Mapping[str, Any]) -> dict[str, Any]:
        points = np.concatenate(trained.demonstrations.trajectories)
        low, high = points.min(axis=0), points.max(axis=0)
        outside = (low + high) / 2 + 0.2 * (high - low).max()
        return {"starts": [[0.0, 0.0], np.round(outside, 3).tolist()]}

    def description(self) -> str:
        """The picture in words."""
        return (
            f"{len(self.starts)} trajectories of the policy for {self.dataset} trained with K = "
            f"{self.trained_k}, sampled with the {self.estimate} estimate, over its demonstrations."
        )

    def picture(self) -> Figure:
        """The trajectories from all starts."""
        sampler = SGLD(alpha=self.alpha, steps=self.k)
        model = self.trained.model
        policy: Policy = (
            EXP(model, sampler, population=self.population)
            if self.estimate == "EXP"
            else ML(model, sampler, population=_ML_STARTS)
        )
        figure, axes = figures.new(width=4.6, height=4.2)
        if self.starts:
            sampled = rollout(
                policy,
                torch.tensor(self.starts, dtype=torch.float32),
                self.steps,
                generator=seeding.generator(self.seed, "rollout"),
            )
            figures.trajectories(axes, sampled, self.estimate)
        figures.demonstrations(axes, self.trained.demonstrations)
        axes.set_title(f"{self.estimate} trajectories")
        return figure
