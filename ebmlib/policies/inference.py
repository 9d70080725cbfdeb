"""Policies by their configuration."""

from __future__ import annotations

from ebmlib.demonstrations.features import POSITION, StateFeatures
from ebmlib.models.energy import EnergyModel
from ebmlib.policies.chains import ChainPolicy
from ebmlib.policies.draw import Draw
from ebmlib.policies.exp import EXP
from ebmlib.policies.ml import ML
from ebmlib.sampling.inference import Inference

KINDS: dict[str, type[ChainPolicy]] = {"exp": EXP, "ml": ML, "draw": Draw}
"""The policies by the names of :data:`ebmlib.sampling.inference.ESTIMATES`."""


def policy_of(
    model: EnergyModel, inference: Inference, features: StateFeatures = POSITION
) -> ChainPolicy:
    """The policy of a trained model that ``inference`` describes.

    Args:
        model: the trained model.
        inference: how actions are drawn; its noise level in the units of the action.
        features: how the model's states are made from positions.
    """
    options: dict[str, int] = {}
    if inference.population is not None:
        options["population"] = inference.population
    if inference.estimate == "exp" and features != POSITION:
        options["positions"] = model.action_dim  # a position has as many numbers as a displacement
    return KINDS[inference.estimate](model, inference.kernel, **options)
