"""A mixture density network: a proposal that is trained beside the model."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ebmlib.models.initial import linear
from ebmlib.objectives.base import Carry
from ebmlib.objectives.scales import in_action_units, scaled_actions, scaled_states

PROPOSAL = "proposal"


class Mixture(NamedTuple):
    """A mixture of K Gaussians for each of n states, in scaled actions.

    Attributes:
        log_weights: logs of the components' weights, (n, K); they sum to 1.
        means: (n, K, d).
        log_widths: logs of the standard deviations in each direction, (n, K, d).
    """

    log_weights: Tensor
    means: Tensor
    log_widths: Tensor


class MixtureDensity(nn.Module):
    """q(a | x) = sum_k pi_k(x) N(a; mu_k(x), diag sigma_k(x)^2) of two hidden layers (Bishop 1994).

    Args:
        state_dim, action_dim: dimensions of x and a.
        components: K.
        width: hidden features.
        generator: draws the initial weights.
    """

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        components: int,
        width: int,
        *,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.shape = (components, action_dim)
        self.first = linear(state_dim, width, generator)
        self.second = linear(width, width, generator)
        self.output = linear(width, components * (1 + 2 * action_dim), generator)

    def forward(self, carry: Carry, x: Tensor) -> Mixture:
        """The mixtures of states (n, d_x); ``carry`` holds the scales of the data."""
        silu, (k, d) = nn.functional.silu, self.shape
        out = self.output(silu(self.second(silu(self.first(scaled_states(carry, x))))))
        logits, means, log_widths = out.split([k, k * d, k * d], dim=1)
        return Mixture(logits.log_softmax(dim=1), means.view(-1, k, d), log_widths.view(-1, k, d))


@torch.no_grad()
def sample(carry: Carry, q: Mixture, m: int, *, generator: torch.Generator) -> Tensor:
    """``m`` actions of each of n mixtures, shape (n, m, d), without a graph."""
    which = torch.multinomial(q.log_weights.exp(), m, replacement=True, generator=generator)
    at = which[..., None].expand(*which.shape, q.means.shape[2])
    means, widths = q.means.gather(1, at), q.log_widths.gather(1, at).exp()
    xi = torch.empty_like(means).normal_(generator=generator)
    return in_action_units(carry, means + widths * xi)


def log_prob(carry: Carry, q: Mixture, a: Tensor) -> Tensor:
    """Log q(a | x) of actions (n, m, d), in nats of the action's own units, shape (n, m)."""
    d = a.shape[-1]
    scaled = scaled_actions(carry, a)[:, :, None]  # (n, m, 1, d)
    z = (scaled - q.means[:, None]) / q.log_widths.exp()[:, None]
    each = -z.square().sum(dim=-1) / 2 - q.log_widths.sum(dim=-1)[:, None]
    mixed = (each + q.log_weights[:, None]).logsumexp(dim=-1)
    return mixed - d * (carry["action_scale"].log() + 0.5 * math.log(2 * math.pi))
