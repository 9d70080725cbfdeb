"""Stochastic gradient Langevin dynamics, the thesis's sampler (section 2.4).

One update at noise level alpha and temperature T, for an unnormalised log density f, is

    a' = a + (alpha^2 / 2) grad_a f(a) + alpha sqrt(T) xi,        xi ~ N(0, I).

With T = 1 (the thesis) the stationary density is exp f up to the discretisation; T = 0 is plain
gradient ascent. What a correct sampler does on a Gaussian is in :mod:`ebmlib.evaluation.gaussian`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from ebmlib import checks
from ebmlib.config import register
from ebmlib.sampling.chain import Chain, run_chain
from ebmlib.sampling.kernel import UNITS, Info, KernelState, noise_start
from ebmlib.sampling.target import Target


@register("SGLD")
@dataclass(frozen=True)
class SGLD:
    """The sampler, as a value: it has no state, and device and dtype come from the start.

    Attributes:
        alpha: noise level (thesis: ``sgld_al``).
        steps: K, the number of updates (thesis: ``sgld_K``); 0 returns the start.
        temperature: T above; the ML estimate is T = 0.
        drift: step along the score; alpha^2 / 2 if None. Set apart from alpha, the effective
            temperature becomes about alpha^2 T / (2 drift).
        final_alpha: anneal the noise level geometrically from alpha to this over the K steps
            (the annealing that section 2.4 calls correct); constant if None.
        unit: what alpha, final_alpha and the square root of drift are measured in: ``"action"``,
            or ``"s"``, the data's own noise scale.

    Example:
        >>> import torch
        >>> from ebmlib import SGLD, run_chain, seeding
        >>> sampler = SGLD(alpha=0.1, steps=1000)
        >>> score = lambda a: -a  # of a standard normal density
        >>> draws = seeding.generator(0, "example")
        >>> ends = run_chain(sampler, score, torch.zeros(2000, 2), generator=draws).actions
        >>> abs(float(ends.std()) - 1) < 0.05
        True
    """

    alpha: float = 0.01
    steps: int = 100
    temperature: float = 1.0
    drift: float | None = None
    final_alpha: float | None = None
    unit: str = "action"

    def __post_init__(self) -> None:
        checks.positive("alpha", self.alpha, most=checks.LARGEST_SQUARED)
        checks.count("K (steps)", self.steps, least=0)
        checks.non_negative("temperature", self.temperature)
        if self.drift is not None:
            checks.positive("drift", self.drift)
        if self.final_alpha is not None:
            checks.positive("final_alpha", self.final_alpha, most=checks.LARGEST_SQUARED)
        checks.one_of("unit", self.unit, UNITS)

    def alphas(self) -> list[float]:
        """Noise level of each of the K updates."""
        if self.final_alpha is None or self.steps < 2:
            return [self.alpha] * self.steps
        ratio = self.final_alpha / self.alpha
        return [self.alpha * ratio ** (k / (self.steps - 1)) for k in range(self.steps)]

    def drifts(self) -> list[float]:
        """Drift of each of the K updates: alpha_k^2 / 2, or ``drift`` where it was given."""
        return [alpha**2 / 2 if self.drift is None else self.drift for alpha in self.alphas()]

    def noises(self) -> list[float]:
        """Standard deviation of the noise of each of the K updates: alpha_k sqrt(T)."""
        return [alpha * math.sqrt(self.temperature) for alpha in self.alphas()]

    @cached_property
    def _schedule(self) -> list[tuple[float, float]]:
        return list(zip(self.drifts(), self.noises(), strict=True))

    def init(self, target: Target, a: Tensor) -> KernelState:
        """See :class:`~ebmlib.sampling.kernel.Kernel`; nothing is kept beside the positions."""
        return KernelState(a)

    def step(
        self, target: Target, k: int, state: KernelState, *, generator: torch.Generator
    ) -> tuple[KernelState, Info]:
        """One update of n chains, a' = a + drift_k grad f(a) + alpha_k sqrt(T) xi."""
        a = state.actions
        drift, scale = self._schedule[k]
        xi = noise(a.new_empty(a.shape), scale, generator)
        moved = target.score(a).mul(drift).add_(xi)
        return KernelState(a + moved), Info(moved)

    def start(
        self, n: int, d: int, *, generator: torch.Generator, like: Tensor | None = None
    ) -> Tensor:
        """Starts from noise, N(0, alpha^2 I), shape (n, d), in the dtype and device of ``like``."""
        return noise_start(self.alpha, n, d, generator, like)

    def ascent(self) -> SGLD:
        """This sampler at temperature 0: gradient ascent by the same steps."""
        return replace(self, temperature=0.0)

    def in_actions(self, scale: float) -> SGLD:
        """The sampler with its noise level in the units of the action, ``scale`` being s."""
        if self.unit == "action":
            return self
        checks.positive("the data's own noise scale s", scale)
        return replace(
            self,
            alpha=self.alpha * scale,
            drift=None if self.drift is None else self.drift * scale**2,
            final_alpha=None if self.final_alpha is None else self.final_alpha * scale,
            unit="action",
        )

    def chain(
        self,
        target: Target | Callable[[Tensor], Tensor],
        start: Tensor,
        *,
        generator: torch.Generator,
        length: bool = False,
        record: Sequence[int] = (),
    ) -> Chain:
        """Run K updates from ``start`` (n, d): see :func:`ebmlib.sampling.chain.run_chain`."""
        return run_chain(self, target, start, generator=generator, length=length, record=record)


def noise(out: Tensor, scale: float, generator: torch.Generator) -> Tensor:
    """Fill ``out`` with scale xi, xi ~ N(0, I); at scale 0 the generator is not asked."""
    if scale == 0:
        return out.zero_()
    return out.normal_(generator=generator).mul_(scale)
