"""What is no energy, under the same protocol: densities that need no partition function."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ebmlib import seeding
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import InputError
from ebmlib.models.kernel_density import KernelDensity
from ebmlib.objectives import mixture
from ebmlib.objectives.mixture import MixtureDensity
from ebmlib.objectives.networks import Perceptron
from thesis.benchmark.judge import LogDensity
from thesis.benchmark.settings import FINAL_RATE, YARDSTICKS

_FOLDS = 5
_BATCH = 192
_WIDTH = 32


class Fitted(NamedTuple):
    """A density and the seconds that it took."""

    log_density: LogDensity
    seconds: float


def fit(name: str, setting: dict[str, Any], pairs: Pairs, seed: int, updates: int) -> Fitted:
    """Fit a yardstick to a training set.

    Raises:
        InputError: it needs a package that is not installed.
    """
    kinds: dict[str, Callable[..., LogDensity]] = {
        "kernel-density": _kernel_density,
        "mixture-density-network": _mixture_density,
        "mlp": _perceptron,
        "gaussian-mixture-regression": _regression,
    }
    began = time.perf_counter()
    value = YARDSTICKS[name][setting["value"]]
    density = kinds[name](value, setting["lr"], pairs, seed, updates)
    return Fitted(density, time.perf_counter() - began)


def _kernel_density(value: None, lr: float, pairs: Pairs, seed: int, updates: int) -> LogDensity:
    """Widths by leaving a fifth of the pairs out (:class:`KernelDensity`)."""
    kernel = KernelDensity.fit(pairs.states, pairs.actions, pairs.ids % _FOLDS)

    def log_density(states: Tensor, cells: Tensor) -> Tensor:
        weights = kernel.log_weights(states).exp()
        square = torch.cdist(cells / kernel.action_scale, kernel.actions).square()
        kernels = (-square / (2 * kernel.action_width**2)).exp()
        return (weights @ kernels.T).log()

    return log_density


def _minimise(
    network: nn.Module,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    pairs: Pairs,
    lr: float,
    updates: int,
    generator: torch.Generator,
) -> None:
    """Adam with half a cosine of decay, as the energies have it."""
    optimiser = torch.optim.Adam(network.parameters(), lr=lr)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates, lr * FINAL_RATE)
    for _ in range(updates):
        rows = torch.randperm(len(pairs.states), generator=generator)[:_BATCH]
        loss = loss_of(pairs.states[rows], pairs.actions[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        decay.step()


def _scales(pairs: Pairs) -> dict[str, Tensor]:
    """Data come standardised: a part sees them as they are."""
    zero = pairs.states.new_zeros
    return {
        "state_mean": zero(pairs.states.shape[1]),
        "state_scale": zero(pairs.states.shape[1]) + 1,
        "action_mean": zero(pairs.actions.shape[1]),
        "action_scale": torch.tensor(1.0),
    }


def _mixture_density(
    components: int, lr: float, pairs: Pairs, seed: int, updates: int
) -> LogDensity:
    """A mixture density network by its likelihood (Bishop 1994)."""
    dims, carry = (pairs.states.shape[1], pairs.actions.shape[1]), _scales(pairs)
    weights = seeding.generator(seed, "weights")
    network = MixtureDensity(*dims, components, _WIDTH, generator=weights)

    def loss_of(x: Tensor, a: Tensor) -> Tensor:
        return -mixture.log_prob(carry, network(carry, x), a[:, None]).mean()

    _minimise(network, loss_of, pairs, lr, updates, seeding.generator(seed, "training"))

    @torch.no_grad()
    def log_density(states: Tensor, cells: Tensor) -> Tensor:
        a = cells.float()[None]
        each = [mixture.log_prob(carry, network(carry, x[None].float()), a) for x in states]
        return torch.cat(each).double()

    return log_density


def _perceptron(width: int, lr: float, pairs: Pairs, seed: int, updates: int) -> LogDensity:
    """A network for the mean, and the covariance of what it leaves on a fifth it did not see."""
    dims = (pairs.states.shape[1], pairs.actions.shape[1])
    network = Perceptron(*dims, width, generator=seeding.generator(seed, "weights"))
    kept = pairs.ids % _FOLDS == 0
    seen = Pairs(*(column[~kept] for column in pairs))

    def loss_of(x: Tensor, a: Tensor) -> Tensor:
        return (network(x) - a).square().sum(dim=1).mean()

    _minimise(network, loss_of, seen, lr, updates, seeding.generator(seed, "training"))
    with torch.no_grad():
        left = (pairs.actions - network(pairs.states))[kept].double()
    covariance = left.T @ left / len(left)
    law = torch.distributions.MultivariateNormal(torch.zeros(dims[1]).double(), covariance)

    @torch.no_grad()
    def log_density(states: Tensor, cells: Tensor) -> Tensor:
        mean = network(states.float()).double()
        return law.log_prob(cells[None] - mean[:, None])

    return log_density


def _regression(components: int, lr: float, pairs: Pairs, seed: int, updates: int) -> LogDensity:
    """A Gaussian mixture of states and actions, conditioned on the state (scikit-learn)."""
    try:
        from sklearn.mixture import GaussianMixture
    except ImportError as error:
        raise InputError(
            "Gaussian mixture regression needs scikit-learn, which is not installed; "
            "pip install scikit-learn, or leave this yardstick out."
        ) from error
    both = torch.cat([pairs.states, pairs.actions], dim=1).double().numpy()
    found = GaussianMixture(components, random_state=seed, reg_covar=1e-4).fit(both)
    d = pairs.states.shape[1]
    weights, means, covariances = (
        torch.as_tensor(part) for part in (found.weights_, found.means_, found.covariances_)
    )
    own, cross, other = covariances[:, :d, :d], covariances[:, d:, :d], covariances[:, d:, d:]
    gain = cross @ torch.linalg.inv(own)  # (K, d_a, d_x)
    left = other - gain @ cross.transpose(1, 2)
    normal = torch.distributions.MultivariateNormal

    def log_density(states: Tensor, cells: Tensor) -> Tensor:
        share = normal(means[:, :d], own).log_prob(states[:, None]) + weights.log()
        total = []
        for x, row in zip(states, share, strict=True):
            at = means[:, d:] + ((x - means[:, :d])[:, None] @ gain.transpose(1, 2))[:, 0]
            each = normal(at, left).log_prob(cells[:, None]) + row
            total.append(each.logsumexp(dim=1))
        return torch.stack(total)

    return log_density
