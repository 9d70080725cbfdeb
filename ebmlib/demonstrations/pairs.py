"""State-action pairs as tensors: what models are trained on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ebmlib.demonstrations.dataset import Demonstrations


class Pairs(NamedTuple):
    """State-action pairs: states (n, d_x), actions (n, d_a), their places in the data ids (n,)."""

    states: Tensor
    actions: Tensor
    ids: Tensor


def pairs_of(demonstrations: Demonstrations, device: torch.device | str = "cpu") -> Pairs:
    """All demonstrated pairs as float32 tensors on a device."""
    states, actions = demonstrations.tensors(dtype=torch.float32, device=device)
    return Pairs(states, actions, torch.arange(len(states), device=device))
