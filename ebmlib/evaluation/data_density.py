"""The exact density of demonstrated actions, where the demonstrations are a path with known noise.

Copies of one reference path y_0, y_1, ... with independent noise N(0, sigma^2 I) on every point
have states x_j = y_j + n_j and actions a_j = x_{j+1} - x_j. Of an action given only its state,

    p(a | x) = sum_j w_j(x) N(a; y_{j+1} - x, sigma^2 I),    w_j(x) ~ N(x; y_j, sigma^2 I),

a mixture: the state says where on the path it is, and the action leads to a noisy next point.
So every divergence between data and model can use the data's density, not only samples of it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ebmlib import _moved
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.errors import InputError
from ebmlib.evaluation.exact import Grid, GridDensity, density

__getattr__ = _moved.renamed(__name__)


def has_known_density(demonstrations: Demonstrations) -> bool:
    """Whether the density is known: copies of one reference path with noise."""
    return demonstrations.reference is not None and demonstrations.sigma > 0


def _mixture(demonstrations: Demonstrations, states: Tensor) -> tuple[Tensor, Tensor]:
    """Weights w (n, m) and means (n, m, d) of the mixture, without the first point (no noise)."""
    if not has_known_density(demonstrations):
        raise InputError(
            f"The action density of {demonstrations.name} is not known; only noisy copies of one "
            "reference path have it (circle, path1)."
        )
    assert demonstrations.reference is not None
    path = torch.as_tensor(demonstrations.reference.copy(), dtype=states.dtype)
    path = path.to(states.device)
    here, following = path[1:-1], path[2:]
    square = (states[:, None] - here).square().sum(dim=2)
    weights = torch.softmax(-square / (2 * demonstrations.sigma**2), dim=1)
    return weights, following[None] - states[:, None]


def action_density(demonstrations: Demonstrations, states: Tensor, grid: Grid) -> GridDensity:
    """p(a | x) of the demonstrations at states (n, d), on a grid.

    Raises:
        InputError: the density is not known (see :func:`has_known_density`).
    """
    weights, means = _mixture(demonstrations, states)

    def log_density(actions: Tensor) -> Tensor:
        square = (actions[None, :, None] - means[:, None]).square().sum(dim=3)
        exponent = -square / (2 * demonstrations.sigma**2)
        return torch.logsumexp(exponent + weights.log()[:, None], dim=2)

    return density(log_density, grid, states)


def sample_actions(
    demonstrations: Demonstrations, states: Tensor, *, generator: torch.Generator
) -> Tensor:
    """One action of another demonstration at every state (n, d), drawn from p(a | x), (n, d)."""
    weights, means = _mixture(demonstrations, states)
    chosen = torch.multinomial(weights, 1, generator=generator)
    mean = means[torch.arange(len(means), device=means.device), chosen[:, 0]]
    noise = torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
    return mean + demonstrations.sigma * noise


def expected_action(demonstrations: Demonstrations, states: Tensor) -> Tensor:
    """E[a | x] of the demonstrations, (n, d): the best action in squared error."""
    weights, means = _mixture(demonstrations, states)
    return (weights[:, :, None] * means).sum(dim=1)
