"""The interface of Markov kernels: ``init`` and ``step`` on any target."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from ebmlib.sampling.target import Target


class KernelState(NamedTuple):
    """Where n chains are, and what the kernel has already computed there.

    Attributes:
        actions: positions a, (n, d).
        value: f(a), (n,), if the kernel keeps it.
        score: grad_a f(a), (n, d), if the kernel keeps it.
    """

    actions: Tensor
    value: Tensor | None = None
    score: Tensor | None = None


class Info(NamedTuple):
    """What one update of n chains reports.

    Attributes:
        moved: a' - a, (n, d).
        acceptance: probability with which each proposal was accepted, (n,); None where nothing is
            ever rejected.
    """

    moved: Tensor
    acceptance: Tensor | None = None


@runtime_checkable
class Kernel(Protocol):
    """A frozen dataclass that moves chains; it has no state of its own.

    Every kernel has a noise level ``alpha`` in the units of the action and a number of updates
    ``steps`` (K of the thesis); device and dtype come from the positions.
    """

    @property
    def alpha(self) -> float:
        """The noise level."""
        ...

    @property
    def steps(self) -> int:
        """K, the number of updates of a chain."""
        ...

    @property
    def unit(self) -> str:
        """What ``alpha`` is measured in (:data:`UNITS`)."""
        ...

    def init(self, target: Target, a: Tensor) -> KernelState:
        """The state of chains that are at ``a`` (n, d)."""
        ...

    def step(
        self, target: Target, k: int, state: KernelState, *, generator: torch.Generator
    ) -> tuple[KernelState, Info]:
        """Update number ``k``, counted from 0."""
        ...

    def start(
        self, n: int, d: int, *, generator: torch.Generator, like: Tensor | None = None
    ) -> Tensor:
        """Where chains of this kernel start from noise: N(0, alpha^2 I), shape (n, d)."""
        ...

    def ascent(self) -> Kernel:
        """The kernel of gradient ascent with this kernel's steps: no noise."""
        ...

    def in_actions(self, scale: float) -> Kernel:
        """The kernel with its noise level in the units of the action (see :data:`UNITS`)."""
        ...


UNITS = ("action", "s")
"""Units of a noise level: those of the action, or the data's own noise scale s, so that
``alpha=0.75, unit="s"`` means the same on every data set."""


def noise_start(
    alpha: float, n: int, d: int, generator: torch.Generator, like: Tensor | None
) -> Tensor:
    """N(0, alpha^2 I), shape (n, d), in the dtype and on the device of ``like``.

    If ``like`` is None, in float32 on the generator's device.
    Algorithm 2 writes N(0, alpha I); the standard deviation of SGLD's own noise is alpha.
    """
    like = torch.empty(0, dtype=torch.float32, device=generator.device) if like is None else like
    return like.new_empty((n, d)).normal_(generator=generator).mul_(alpha)
