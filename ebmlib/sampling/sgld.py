"""Stochastic gradient Langevin dynamics, the thesis's sampler (section 2.4).

One update at noise level alpha and temperature T, for an unnormalised log density f, is

    a' = a + (alpha^2 / 2) grad_a f(a) + alpha sqrt(T) xi,        xi ~ N(0, I).

With T = 1 (the thesis) the stationary density is exp f up to the discretisation; T = 0 is plain
gradient ascent. What a correct sampler does on a Gaussian is in :mod:`ebmlib.evaluation.gaussian`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import NamedTuple

import torch
from torch import Tensor

from ebmlib import checks
from ebmlib.errors import DivergenceError, InputError
from ebmlib.models.score import Score

_NOISE_BLOCK = 1 << 21  # numbers of noise held at once: 8 MB in float32


class Chain(NamedTuple):
    """What n chains of K steps in d dimensions report.

    Attributes:
        actions: end positions, (n, d).
        length: sum of step lengths of every chain, (n,) in float64, or None if not asked for.
        steps: K.
        recorded: the step numbers asked for, 0 being the start, ascending.
        positions: positions after the recorded steps, (len(recorded), n, d).
        values: f there, (len(recorded), n), or None if the score cannot tell it.
    """

    actions: Tensor
    length: Tensor | None
    steps: int
    recorded: tuple[int, ...]
    positions: Tensor
    values: Tensor | None

    @property
    def mean_step(self) -> Tensor:
        """R of every chain (section 2.4), shape (n,): its K step lengths, averaged.

        The thesis sums K + 1 terms and divides by K; there are K steps.
        """
        if self.length is None:
            raise InputError("The chain was run without step lengths; pass length=True.")
        return self.length / self.steps


@dataclass(frozen=True)
class SGLD:
    """The sampler, as a value: it has no state, and device and dtype come from the start.

    Attributes:
        alpha: noise level (thesis: ``sgld_al``), in the units of the action.
        steps: K, the number of updates (thesis: ``sgld_K``); 0 returns the start.
        temperature: T above; the ML estimate is T = 0.
        drift: step along the score; alpha^2 / 2 if None. Set apart from alpha, the effective
            temperature becomes about alpha^2 T / (2 drift) (ORACLES).
        final_alpha: anneal the noise level geometrically from alpha to this over the K steps
            (the annealing that section 2.4 calls correct); constant if None.
    """

    alpha: float = 0.01
    steps: int = 100
    temperature: float = 1.0
    drift: float | None = None
    final_alpha: float | None = None

    def __post_init__(self) -> None:
        checks.positive("alpha", self.alpha)
        checks.count("K (steps)", self.steps, least=0)
        checks.non_negative("temperature", self.temperature)
        if self.drift is not None:
            checks.positive("drift", self.drift)
        if self.final_alpha is not None:
            checks.positive("final_alpha", self.final_alpha)

    def alphas(self) -> list[float]:
        """Noise level of each of the K updates."""
        if self.final_alpha is None or self.steps < 2:
            return [self.alpha] * self.steps
        ratio = self.final_alpha / self.alpha
        return [self.alpha * ratio ** (k / (self.steps - 1)) for k in range(self.steps)]

    def drifts(self) -> list[float]:
        """Drift of each of the K updates: alpha_k^2 / 2, or ``drift`` where it was given."""
        return [alpha**2 / 2 if self.drift is None else self.drift for alpha in self.alphas()]

    def start(
        self, n: int, d: int, *, generator: torch.Generator, like: Tensor | None = None
    ) -> Tensor:
        """Starts from noise, N(0, alpha^2 I), shape (n, d), in the dtype and device of ``like``.

        Algorithm 2 writes N(0, alpha I); the standard deviation of SGLD's own noise is alpha.
        """
        like = torch.empty(0, device=generator.device) if like is None else like
        return like.new_empty((n, d)).normal_(generator=generator).mul_(self.alpha)

    def chain(
        self,
        score: Score,
        start: Tensor,
        *,
        generator: torch.Generator,
        length: bool = False,
        record: Sequence[int] = (),
    ) -> Chain:
        """Run K updates from ``start`` (n, d).

        What is asked for changes what is reported, never the positions: the noise of every step
        is drawn on its own, so the same seed gives the same chain whatever is recorded.

        Args:
            score: a -> grad_a f. If it has a ``walk`` that is not None, that does the updates.
            start: a^0, shape (n, d); it is not changed.
            generator: draws the noise, on the device of ``start``.
            length: report the summed step length of every chain.
            record: step numbers from 0 (the start) to K at which to report positions and f.

        Raises:
            InputError: a record outside 0 ... K, or a start that is not (n, d).
            DivergenceError: a position that is not finite.
        """
        if start.ndim != 2:
            raise InputError(f"Chains must start from shape (n, d), got {tuple(start.shape)}.")
        try:
            recorded = tuple(sorted({index(step) for step in record}))
        except TypeError as error:
            raise InputError(f"record must hold whole step numbers, got {record!r}.") from error
        if recorded and not 0 <= recorded[0] <= recorded[-1] <= self.steps:
            raise InputError(f"record must lie in 0 ... K = {self.steps}, got {list(record)}.")
        total = (
            torch.zeros(len(start), dtype=torch.float64, device=start.device) if length else None
        )
        a, done = start, 0
        positions: list[Tensor] = []
        drifts = self.drifts()
        scales = [alpha * math.sqrt(self.temperature) for alpha in self.alphas()]
        block = max(1, _NOISE_BLOCK // max(1, start.numel()))
        for stop in (*recorded, self.steps):
            while done < stop:
                end = min(stop, done + block)
                noise = _noise(a, scales[done:end], generator)
                a = _advance(score, a, noise, drifts[done:end], total)
                done = end
            if stop in recorded and len(positions) < len(recorded):
                positions.append(a)
        if not torch.isfinite(a).all():
            raise DivergenceError(
                f"The chain left the finite numbers within {self.steps} steps at alpha = "
                f"{self.alpha:g}; lower alpha or train with regularisation."
            )
        stacked = torch.stack(positions) if positions else a.new_empty((0, *a.shape))
        value = getattr(score, "value", None)
        values = torch.stack([value(p) for p in positions]) if value and positions else None
        return Chain(a, total, self.steps, recorded, stacked, values)


def _noise(like: Tensor, scales: Sequence[float], generator: torch.Generator) -> Tensor:
    """alpha_k sqrt(T) xi_k for consecutive steps, shape (len(scales), n, d)."""
    noise = like.new_empty((len(scales), *like.shape))
    for k, scale in enumerate(scales):
        if scale == 0:
            noise[k].zero_()
        else:
            noise[k].normal_(generator=generator).mul_(scale)
    return noise


def _advance(
    score: Score, a: Tensor, noise: Tensor, drifts: Sequence[float], length: Tensor | None
) -> Tensor:
    """The updates of consecutive steps; adds their lengths to ``length`` in place."""
    walk = getattr(score, "walk", None)
    if walk is not None:
        return walk(a, noise, drifts, length)
    for drift, xi in zip(drifts, noise, strict=True):
        step = score(a).mul(drift).add_(xi)  # (alpha^2 / 2) grad f + alpha sqrt(T) xi
        a = a + step
        if length is not None:
            length += torch.linalg.vector_norm(step, dim=1)
    return a
