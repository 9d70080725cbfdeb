"""A density for each of several noise levels, of which the model itself is the first.

A network that takes the noise level as an input is many models in one. Only that of the smallest
level is wanted after training, and it must be an ordinary model of states and actions. So the
level enters by a part of the objective,

    f_t(x, a) = f(x, a) + t h(x, t, a),        t = 0 (the smallest level) ... 1 (the largest),

where h is a second network with t appended to its state. At t = 0 it is the model.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ebmlib.models.energy import EnergyConfig, EnergyModel
from ebmlib.objectives.base import Carry
from ebmlib.objectives.scales import scaled_actions, scaled_states

LEVELS = "levels"


class LevelShift(nn.Module):
    """t h(x, t, a): what is added to the model at level t.

    Args:
        state_dim, action_dim: dimensions of x and a.
        width: features of every layer of h.
        generator: draws the initial weights.
    """

    def __init__(
        self, state_dim: int, action_dim: int, width: int, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        smooth = EnergyConfig(z_dim=width, h_dim=width, hidden_layers=1, activation="silu")
        self.network = EnergyModel(smooth, state_dim + 1, action_dim, generator=generator)

    def forward(self, carry: Carry, x: Tensor, a: Tensor, t: Tensor) -> Tensor:
        """The shift t h(x, t, a), shape (n,), for states (n, d_x), actions (n, d), levels (n,).

        ``carry`` holds the scales of the data (``objectives/scales.py``).
        """
        at = torch.cat([scaled_states(carry, x), t[:, None]], dim=1)
        return t * self.network(at, scaled_actions(carry, a))
