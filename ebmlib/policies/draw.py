"""One draw from the policy (Algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ebmlib import config
from ebmlib.policies.chains import ChainPolicy


@config.plain_numbers
@dataclass(frozen=True)
class Draw(ChainPolicy):
    """One action drawn from the policy, a ~ pi(. | x) (Algorithm 1): the end of one chain."""

    population: int = 1

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`~ebmlib.policies.base.Policy`."""
        return self._ends(self._checked(states), generator)
