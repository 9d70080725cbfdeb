"""The Metropolis-adjusted Langevin algorithm: SGLD's step as a proposal that is accepted or not.

Roberts and Tweedie, "Exponential convergence of Langevin distributions and their discrete
approximations" (1996). From a, with drift lambda = alpha^2 / 2 and xi ~ N(0, I),

    a* = a + lambda grad f(a) + alpha xi

is proposed and accepted with probability min(1, r), where

    log r = f(a*) - f(a) + log q(a | a*) - log q(a* | a),
    log q(b | a) = -|b - a - lambda grad f(a)|^2 / (2 alpha^2) + constant,

which leaves exp f invariant at any noise level: on a Gaussian of standard deviation s the variance
is s^2, where SGLD gives s^2 / (1 - alpha^2 / 4 s^2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ebmlib import checks
from ebmlib.config import register
from ebmlib.sampling.chain import Chain, run_chain
from ebmlib.sampling.kernel import UNITS, Info, KernelState, noise_start
from ebmlib.sampling.sgld import SGLD
from ebmlib.sampling.target import Target


@register("MALA")
@dataclass(frozen=True)
class MALA:
    """The sampler, as a value; the target must have a value beside its score.

    Attributes:
        alpha: noise level of the proposal.
        steps: K, the number of updates; 0 returns the start.
        unit: what alpha is measured in: ``"action"``, or ``"s"``, the data's own noise scale.
    """

    alpha: float = 0.01
    steps: int = 100
    unit: str = "action"

    def __post_init__(self) -> None:
        checks.positive("alpha", self.alpha, most=checks.LARGEST_SQUARED)
        checks.count("K (steps)", self.steps, least=0)
        checks.one_of("unit", self.unit, UNITS)

    def init(self, target: Target, a: Tensor) -> KernelState:
        """See :class:`~ebmlib.sampling.kernel.Kernel`; keeps f and its gradient."""
        return KernelState(a, target.value(a), target.score(a))

    def step(
        self, target: Target, k: int, state: KernelState, *, generator: torch.Generator
    ) -> tuple[KernelState, Info]:
        """One proposal for each of n chains, accepted or not; see the equations above."""
        a, f, score = state
        assert f is not None and score is not None
        drift = self.alpha**2 / 2
        xi = a.new_empty(a.shape).normal_(generator=generator)
        proposed = a + drift * score + self.alpha * xi
        f_proposed, score_proposed = target.value(proposed), target.score(proposed)
        back = a - proposed - drift * score_proposed
        log_forth = -xi.square().sum(dim=1) / 2
        log_back = -back.square().sum(dim=1) / (2 * self.alpha**2)
        log_r = f_proposed - f + log_back - log_forth
        log_r = torch.nan_to_num(log_r, nan=-torch.inf)  # a proposal out of range is rejected
        acceptance = log_r.clamp(max=0).exp()
        uniform = torch.rand(len(a), generator=generator, dtype=a.dtype, device=a.device)
        accept = uniform < acceptance
        after = KernelState(
            torch.where(accept[:, None], proposed, a),
            torch.where(accept, f_proposed, f),
            torch.where(accept[:, None], score_proposed, score),
        )
        return after, Info(after.actions - a, acceptance)

    def start(
        self, n: int, d: int, *, generator: torch.Generator, like: Tensor | None = None
    ) -> Tensor:
        """Starts from noise, N(0, alpha^2 I), shape (n, d), in the dtype and device of ``like``."""
        return noise_start(self.alpha, n, d, generator, like)

    def ascent(self) -> SGLD:
        """Gradient ascent by steps of the proposal's drift."""
        return SGLD(alpha=self.alpha, steps=self.steps, temperature=0.0, unit=self.unit)

    def in_actions(self, scale: float) -> MALA:
        """The sampler with its noise level in the units of the action, ``scale`` being s."""
        if self.unit == "action":
            return self
        checks.positive("the data's own noise scale s", scale)
        return replace(self, alpha=self.alpha * scale, unit="action")

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
