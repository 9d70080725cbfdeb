"""The exact law of a Langevin chain on a grid: its density after any number of steps.

One SGLD update takes a density p_l of actions to

    p_{l+1}(a') = int p_l(a) N(a'; a + lambda grad f(a), sigma^2 I) da,

lambda the drift (alpha^2 / 2) and sigma = alpha sqrt(T). In one or two dimensions the integral is
a sum over a ``Grid`` of actions, so the density after K steps and the mean step length are known
without the Monte-Carlo error of a sampler. The Gaussian is a product over axes,
which makes one update in 2-D a product of two matrices (points x points^2 and its transpose).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from scipy import special
from torch import Tensor

from ebmlib.errors import InputError
from ebmlib.evaluation.exact import Grid
from ebmlib.evaluation.gaussian import noise_floor
from ebmlib.sampling.sgld import SGLD

COARSEST = 0.7
"""Least noise in grid spacings: a sum over cells then integrates a Gaussian to 1e-4 (Poisson
summation: 2 exp(-2 pi^2 sigma^2 / h^2))."""


@dataclass(frozen=True, eq=False)
class ChainLaw:
    """One update of a chain as an operator on densities, for one state.

    Mass that leaves the grid is lost, so the sum of the mass shows how much has left.

    Attributes:
        score: a -> grad_a f, actions (n, d).
        grid: where the density lives.
        sampler: noise level, temperature and drift; its K is not used.
        dtype: of the computation.
        device: of the computation; the score is evaluated there.

    Raises:
        InputError: the noise is finer than the grid, or annealed.
    """

    score: Callable[[Tensor], Tensor]
    grid: Grid
    sampler: SGLD
    dtype: torch.dtype = torch.float64
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        if self.sampler.final_alpha is not None:
            raise InputError("An exact law needs a constant noise level; leave final_alpha out.")
        if self.sigma < COARSEST * self.grid.spacing:
            raise InputError(
                f"The noise of a step, {self.sigma:.3g}, is finer than {COARSEST} of the grid "
                f"spacing {self.grid.spacing:.3g}; take more points or a smaller radius."
            )

    @property
    def sigma(self) -> float:
        """Standard deviation of a step's noise, alpha sqrt(T)."""
        return self.sampler.alpha * math.sqrt(self.sampler.temperature)

    @cached_property
    def actions(self) -> Tensor:
        """Cell centres, (points^d, d)."""
        return self.grid.actions(torch.empty(0, dtype=self.dtype, device=self.device))

    @cached_property
    def drift(self) -> Tensor:
        """The drift lambda grad f at the cells, (points^d, d)."""
        rate = self.sampler.alpha**2 / 2 if self.sampler.drift is None else self.sampler.drift
        return rate * self.score(self.actions).detach().to(self.dtype)

    @cached_property
    def _kernels(self) -> list[Tensor]:
        """By axis, the mass that every cell sends to every row of cells, (points^d, points)."""
        axis = self.grid.axis(self.actions)
        target = self.actions + self.drift
        scale = self.grid.spacing / (math.sqrt(2 * math.pi) * self.sigma)
        return [
            scale * (-((axis - t[:, None]) ** 2) / (2 * self.sigma**2)).exp()
            for t in target.unbind(dim=1)
        ]

    def start(self, mean: Tensor | None = None, std: float | None = None) -> Tensor:
        """Mass (points^d,) of N(mean, std^2 I): the noise start N(0, alpha^2 I) by default."""
        centre = self.actions.new_zeros(self.grid.d) if mean is None else mean.to(self.actions)
        square = (self.actions - centre).square().sum(dim=1)
        return torch.softmax(-square / (2 * (std or self.sampler.alpha) ** 2), dim=0)

    def after(self, mass: Tensor, steps: int) -> Tensor:
        """Mass (points^d,) of the chain that began as ``mass``, after ``steps`` updates."""
        first, *second = self._kernels
        mass = mass.to(self.actions)
        for _ in range(steps):
            if second:
                mass = (first.t() @ (mass[:, None] * second[0])).flatten()
            else:
                mass = mass @ first
        return mass

    @cached_property
    def step_length(self) -> Tensor:
        """E |lambda grad f + sigma xi| at the cells, (points^d,).

        In d dimensions, with v = |lambda grad f| and the noise floor sigma sqrt(2) Gamma((d+1)/2) /
        Gamma(d/2), it is floor 1F1(-1/2; d/2; -v^2 / 2 sigma^2) (the mean of a Rice variable).
        """
        square = self.drift.square().sum(dim=1).cpu().numpy() / (2 * self.sigma**2)
        d = self.grid.d
        relative = special.hyp1f1(-0.5, d / 2, -square)
        length = noise_floor(self.sigma, d) * relative
        return torch.as_tensor(length, dtype=self.dtype, device=self.device)

    def mean_step(self, mass: Tensor) -> float:
        """Mean length of the next step of a chain distributed as ``mass``."""
        return float((mass.to(self.actions) * self.step_length).sum() / mass.sum())


def total_variation(p: Tensor, q: Tensor) -> float:
    """Half the summed difference of two masses on one grid; mass lost by one counts in full."""
    inside = 0.5 * float((p - q).abs().sum())
    return inside + 0.5 * abs(float(p.sum() - q.sum()))
