"""Targets with known answers, and comparisons whose tolerance is a standard error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ebmlib import SGLD

STANDARD_ERRORS = 5.5  # a correct sampler fails one comparison in 26 million


def assert_mean(draws: Tensor, expected: float | Tensor, what: str = "mean") -> None:
    """The mean of independent draws (n, ...) is ``expected``, within its standard error."""
    draws = draws.double()
    error = draws.std(dim=0) / math.sqrt(len(draws))
    gap = (draws.mean(dim=0) - expected).abs()
    assert (gap <= STANDARD_ERRORS * error).all(), (
        f"{what}: {draws.mean(dim=0)} is not {expected} within {STANDARD_ERRORS} x {error}"
    )


def assert_variance(draws: Tensor, expected: float | Tensor) -> None:
    """The variance of independent draws (n, ...) is ``expected``; works for any distribution."""
    draws = draws.double()
    away = (draws - draws.mean(dim=0)).square() * len(draws) / (len(draws) - 1)
    assert_mean(away, expected, "variance")


def is_variance(draws: Tensor, expected: float) -> bool:
    """Whether :func:`assert_variance` would pass: for tests that must tell two values apart."""
    try:
        assert_variance(draws, expected)
    except AssertionError:
        return False
    return True


@dataclass(frozen=True)
class Gaussian:
    """f(a) = -(a - m)^T P (a - m) / 2, a target whose chains have closed forms."""

    precision: Tensor
    mean: Tensor

    @classmethod
    def round(cls, s: float, d: int, dtype: torch.dtype = torch.float64) -> Gaussian:
        """Standard deviation ``s`` in every direction, around the origin."""
        return cls(torch.eye(d, dtype=dtype) / s**2, torch.zeros(d, dtype=dtype))

    def value(self, a: Tensor) -> Tensor:
        """The unnormalised log density f at actions (..., d)."""
        away = a - self.mean
        return -0.5 * (away @ self.precision * away).sum(dim=-1)

    def __call__(self, a: Tensor) -> Tensor:
        """grad_a f, in closed form."""
        return -(a - self.mean) @ self.precision

    def score(self, a: Tensor) -> Tensor:
        """The same, as a target has it."""
        return self(a)


@dataclass(frozen=True)
class Target:
    """Any density: its score is the automatic derivative of ``value`` (n, d) -> (n,)."""

    value: Callable[[Tensor], Tensor]

    def __call__(self, a: Tensor) -> Tensor:
        """grad_a f, by automatic differentiation."""
        with torch.enable_grad():
            a = a.detach().requires_grad_()
            return torch.autograd.grad(self.value(a).sum(), a)[0]


def mala(
    target: Gaussian | Target, a: Tensor, alpha: float, steps: int, generator: torch.Generator
) -> Tensor:
    """Metropolis-adjusted Langevin: SGLD's own steps as proposals, accepted to be exact.

    The acceptance ratio takes the proposal for N(a + (alpha^2 / 2) grad f(a), alpha^2 I), so a
    sampler whose step is another is not corrected to the target.
    """
    step = SGLD(alpha=alpha, steps=1)

    def log_q(to: Tensor, origin: Tensor) -> Tensor:
        mean = origin + alpha**2 / 2 * target(origin)
        return -(to - mean).square().sum(dim=-1) / (2 * alpha**2)

    for _ in range(steps):
        proposal = step.chain(target, a, generator=generator).actions
        log_ratio = target.value(proposal) - target.value(a) + log_q(a, proposal)
        log_ratio = log_ratio - log_q(proposal, a)
        accept = torch.rand(len(a), generator=generator, dtype=a.dtype).log() < log_ratio
        a = torch.where(accept[:, None], proposal, a)
    return a
