"""Trajectory error, gradients and loss of the architecture variants (sections 3.2.1 and 4.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.errors import DivergenceError
from ebmlib.evaluation import diagnostics, metrics
from ebmlib.models.energy import EnergyModel, effective_weight
from ebmlib.policies import EXP, Policy, rollout
from ebmlib.sampling import fused
from ebmlib.sampling.sgld import SGLD
from ebmlib.training.run import execute
from thesis.runs import sampler_of
from thesis.study import Cell, Study

EPOCHS = (0, 50, 100, 150, 200, 300, 500, 1000, 3000)
"""When trajectories are sampled, where a condition has a snapshot."""

EARLY = (3, 24)
"""Three epochs, and three passes over the circle's 2000 pairs in batches of 256."""

OFFSETS = (-0.05, 0.05)
"""Where trajectories start: on either side of the reference's first state, normalised units."""

POPULATION = 16
"""Chains that EXP averages. With fewer, the noise of the mean itself walks off an open path."""

WORST = 2.0
"""Errors are cut here, at the circle's diameter: how far away is away does not matter."""

VARIANTS = ("figure-3-2", "half", "sn-fcn-0-2", "sn-all", "plain", "plain-path1", "plain-tanh")


@dataclass(frozen=True)
class Fused:
    """A policy whose chains are fused: one rollout is too short for that, many are not."""

    policy: EXP

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """Actions of the policy."""
        with fused.permitted(True):
            return self.policy.act(states, generator=generator)


def modified_hausdorff(path: NDArray[Any], reference: NDArray[Any]) -> float:
    """Distance of two paths (n, 2) and (m, 2) as lines, whatever their pace.

    The larger of the two mean distances, of the points of one to the line of the other (Dubuisson
    and Jain 1994). A path that stays where it starts lies on the reference, but the reference does
    not lie on it; a path that goes on beyond the reference has points that do not lie on it.
    """
    there = metrics.distance_to_polyline(path, reference).mean()
    back = metrics.distance_to_polyline(reference, path).mean()
    return float(max(there, back))


def trajectory_error(
    policy: Policy, demonstrations: Demonstrations, *, generator: torch.Generator
) -> float:
    """Mean over :data:`OFFSETS` of the distance of a sampled trajectory to the reference path.

    A trajectory has as many steps as the reference; it starts beside the reference's first state.
    Normalised units; at most :data:`WORST`, which a trajectory that leaves the finite
    numbers gets.
    """
    reference = np.asarray(demonstrations.reference)
    starts = np.stack([metrics.beside(reference, 0, offset) for offset in OFFSETS])
    like = torch.as_tensor(starts, dtype=torch.float32, device=generator.device)
    try:
        found = rollout(policy, like, len(reference) - 1, generator=generator)
    except DivergenceError:
        return WORST
    paths = found.states.double().cpu().numpy()
    errors = [min(WORST, modified_hausdorff(path, reference)) for path in paths]
    return float(np.mean(errors))


def action_error(
    policy: Policy, demonstrations: Demonstrations, *, generator: torch.Generator
) -> float:
    """Mean distance of the policy's action to the reference's step, at every fourth state of it."""
    reference = np.asarray(demonstrations.reference)
    states, steps = reference[:-1:4], np.diff(reference, axis=0)[::4]
    like = torch.tensor(states, dtype=torch.float32, device=generator.device)
    try:
        with torch.no_grad():
            acted = policy.act(like, generator=generator).double().cpu().numpy()
    except DivergenceError:
        return WORST
    return float(min(WORST, np.linalg.norm(acted - steps, axis=1).mean()))


def errors(
    models: Iterable[EnergyModel], sampler: SGLD, cell: Cell, purpose: str
) -> tuple[list[float], list[float]]:
    """Trajectory and action error of several models, every one from the same random numbers."""
    trajectories, actions = [], []
    data = cell.trained.demonstrations
    for model in models:
        policy = Fused(EXP(model.to(cell.device), sampler, population=POPULATION))
        generator = cell.generator(purpose)
        trajectories.append(trajectory_error(policy, data, generator=generator))
        actions.append(action_error(policy, data, generator=generator))
    return trajectories, actions


def spectral_norms(model: EnergyModel) -> dict[str, float]:
    """Largest singular value of every layer's weight as it multiplies, by the layer's name."""
    return {
        name: float(torch.linalg.matrix_norm(effective_weight(layer), 2))
        for name, layer in model.layers().items()
    }


def measure(cell: Cell) -> dict[str, Any]:
    """Errors over epochs, and what the training's history says.

    Returns:
        ``epochs`` with ``error`` and ``action_error`` at them; ``early_error`` after :data:`EARLY`
        updates (the first updates again, of the condition ``figure-3-2`` alone); ``loss_largest``
        (magnitude), ``loss_late_spread`` (standard deviation over the second half), ``R_largest``
        and ``R_plateau`` over the noise floor; ``gradient_norm`` (median over layers and epochs),
        ``gradient_norm/LAYER`` (median over epochs), ``spectral_norm/LAYER`` at the end.
    """
    trained, run = cell.trained, cell.trained.run
    sampler = sampler_of(run)
    kept = trained.result.snapshots
    epochs = [epoch for epoch in EPOCHS if epoch in kept] or [max(kept)]
    models = (trained.result.at(epoch) for epoch in epochs)
    error, action = errors(models, sampler, cell, "trajectories")
    numbers: dict[str, Any] = {"epochs": epochs, "error": error, "action_error": action}
    if cell.condition == "architecture/figure-3-2" and not cell.small:
        first = run.with_(epochs=max(EARLY), snapshot_every=min(EARLY))
        result = execute(first, trained.demonstrations, device=cell.device)
        early = (result.at(epoch) for epoch in EARLY)
        numbers["early_error"] = errors(early, sampler, cell, "trajectories")[0]
    history = trained.history
    loss = np.asarray(history["loss"])
    R = diagnostics.relative_mean_step(history["R"], sampler.alpha, trained.demonstrations.dim)
    norms = {
        name: np.asarray(column)
        for name, column in history.items()
        if name.startswith("gradient_norm/") and not name.endswith(".bias")
    }
    return numbers | {
        "loss_largest": np.abs(loss).max(),
        "loss_late_spread": loss[len(loss) // 2 :].std(),
        "R_largest": R.max(),
        "R_plateau": R[-len(R) // 5 :].mean(),
        "gradient_norm": np.median(list(norms.values())),
        **{name: np.median(column) for name, column in norms.items()},
        **{f"spectral_norm/{n}": size for n, size in spectral_norms(trained.model).items()},
    }


STUDIES = (Study("architecture", tuple(f"architecture/{name}" for name in VARIANTS), measure),)
