"""Policies by their configuration."""

from __future__ import annotations

from ebmlib.models.energy import EnergyModel
from ebmlib.policies.chains import ChainPolicy
from ebmlib.policies.draw import Draw
from ebmlib.policies.exp import EXP
from ebmlib.policies.ml import ML
from ebmlib.sampling.inference import Inference

KINDS: dict[str, type[ChainPolicy]] = {"exp": EXP, "ml": ML, "draw": Draw}
"""The policies by the names of :data:`ebmlib.sampling.inference.ESTIMATES`."""


def policy_of(model: EnergyModel, inference: Inference) -> ChainPolicy:
    """The policy of a trained model that ``inference`` describes."""
    kind = KINDS[inference.estimate]
    if inference.population is None:
        return kind(model, inference.kernel)
    return kind(model, inference.kernel, inference.population)
