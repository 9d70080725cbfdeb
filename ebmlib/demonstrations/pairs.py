"""State-action pairs as tensors: what models are trained on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.demonstrations.features import POSITION, StateFeatures


class Pairs(NamedTuple):
    """State-action pairs: states (n, d_x), actions (n, d_a), ids (n,): rows in the data."""

    states: Tensor
    actions: Tensor
    ids: Tensor


def pairs_of(
    demonstrations: Demonstrations,
    device: torch.device | str = "cpu",
    features: StateFeatures = POSITION,
) -> Pairs:
    """All demonstrated pairs as float32 tensors on a device, states made of ``features``.

    Example:
        >>> from ebmlib import DemonstrationConfig, load_demonstrations, pairs_of
        >>> pairs = pairs_of(load_demonstrations(DemonstrationConfig("path1")))
        >>> pairs.states.shape, pairs.actions.shape
        (torch.Size([2000, 2]), torch.Size([2000, 2]))
    """
    states, actions = demonstrations.tensors(torch.float32, device, features)
    return Pairs(states, actions, torch.arange(len(states), device=device))
