"""The data's own location and scale, carried along for networks that are parts of an objective.

A part sees (x - m_x) / s_x and (a - m_a) / s_a: the scale of a state is the standard deviation of
each dimension (1 for a constant), that of actions is one number, averaged over directions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ebmlib.demonstrations.pairs import Pairs
from ebmlib.objectives.base import Carry
from ebmlib.sampling.proposals import spread_of


def scales_of(pairs: Pairs) -> Carry:
    """Keys ``state_mean``, ``state_scale`` (d_x,), ``action_mean`` (d,), ``action_scale`` ()."""
    spread = pairs.states.std(dim=0, unbiased=False)
    return {
        "state_mean": pairs.states.mean(dim=0),
        "state_scale": torch.where(spread > 0, spread, 1.0),
        "action_mean": pairs.actions.mean(dim=0),
        "action_scale": spread_of(pairs.actions),
    }


def scaled_states(carry: Carry, x: Tensor) -> Tensor:
    """(x - m_x) / s_x."""
    return (x - carry["state_mean"]) / carry["state_scale"]


def scaled_actions(carry: Carry, a: Tensor) -> Tensor:
    """(a - m_a) / s_a."""
    return (a - carry["action_mean"]) / carry["action_scale"]


def in_action_units(carry: Carry, a: Tensor) -> Tensor:
    """The inverse of :func:`scaled_actions`."""
    return carry["action_mean"] + carry["action_scale"] * a
