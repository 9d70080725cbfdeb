"""Policies by their configuration."""

from __future__ import annotations

from ebmlib import checks
from ebmlib.demonstrations.features import POSITION, StateFeatures
from ebmlib.errors import InputError
from ebmlib.models.energy import EnergyModel
from ebmlib.policies.base import Policy
from ebmlib.policies.chains import ChainPolicy
from ebmlib.policies.draw import Draw
from ebmlib.policies.exp import EXP
from ebmlib.policies.grid import (
    SPACING,
    ActionGrid,
    Committed,
    GridDraw,
    GridEXP,
    GridML,
    GridPolicy,
)
from ebmlib.policies.ml import ML
from ebmlib.sampling.inference import Inference

KINDS: dict[str, type[ChainPolicy]] = {"exp": EXP, "ml": ML, "draw": Draw}
"""The policies by the names of :data:`ebmlib.sampling.inference.ESTIMATES`."""

ON_GRIDS: dict[str, type[GridPolicy]] = {
    "exp": GridEXP,
    "ml": GridML,
    "draw": GridDraw,
    "road": Committed,
}
"""The policies by the names of :data:`ebmlib.sampling.inference.BY_GRID`."""


def policy_of(
    model: EnergyModel,
    inference: Inference,
    features: StateFeatures = POSITION,
    grid: ActionGrid | None = None,
) -> Policy:
    """The policy of a trained model that ``inference`` describes.

    Args:
        model: the trained model.
        inference: how actions are drawn; its noise level in the units of the action.
        features: how the model's states are made from positions.
        grid: the grid around the demonstrated actions, where the inference is by a grid.

    Raises:
        InputError: the inference is by a grid, and there is none.
    """
    if inference.grid is not None:
        if grid is None:
            raise InputError(
                "This inference needs a grid: pass grid=ActionGrid.around(actions, width), or use "
                "TrainedPolicy.of(trained)."
            )
        if inference.estimate == "draw" and inference.jump is not None:
            unit = grid.spacing / (SPACING * inference.grid)
            along, across = inference.jump
            return GridDraw(model, grid, noise=(along * unit, across * unit))
        return ON_GRIDS[inference.estimate](model, grid)
    return chains_of(model, inference, features)


def chains_of(
    model: EnergyModel, inference: Inference, features: StateFeatures = POSITION
) -> ChainPolicy:
    """The same by chains, whether or not the inference is by a grid.

    Raises:
        InputError: chains have no such estimate.
    """
    checks.one_of("estimate", inference.estimate, KINDS)
    options: dict[str, int] = {}
    if inference.population is not None:
        options["population"] = inference.population
    if inference.estimate == "exp" and features != POSITION:
        options["positions"] = model.action_dim  # a position has as many numbers as a displacement
    return KINDS[inference.estimate](model, inference.kernel, **options)
