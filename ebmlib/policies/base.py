"""The interfaces of policies."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


class Policy(Protocol):
    """An action for every state."""

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """Actions (n, d_a) for states (n, d_x), tensors, arrays or lists of any real type."""
        ...


@runtime_checkable
class Costed(Protocol):
    """A policy that reports what its actions cost, so that a long rollout can fuse its chains."""

    def operations(self, states: Tensor) -> float:
        """Multiplications and additions of one call of ``act`` for states (n, d_x)."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A policy whose actions depend on its own earlier ones."""

    def remembering(self) -> Policy:
        """A policy for one batch of rollouts, from their starts on; it remembers their actions."""
        ...
