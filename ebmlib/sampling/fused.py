"""Fused chains: many updates in one call, found by the types of target, kernel and device.

A fused chain is registered for a type of target, a type of kernel and a type of device
(:func:`register`); nothing of it is stored on a model. It makes the same updates as the eager
path, but for the last bits. So that the same job gives the same bits every time, the code that runs
a whole job (a training, a rollout) decides once, by the job's size alone::

    with fused.permitted(fused.worthwhile(operations_of_the_job)):
        ...

Outside such a block chains take the eager path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch import Tensor

from ebmlib.sampling.kernel import Kernel
from ebmlib.sampling.target import Target

OPERATIONS_WORTH_FUSING = 1e12
"""Multiplications and additions of a job from which on its chains are fused.

Building the compiled kernel takes 0.6 s (2 cores of an AMD EPYC at 2.6 GHz), loading it from the
cache 10 ms. It saves 3 ms or more of every 10^9 operations: 38 against 22 ms for 50 steps of 512
chains, 4.2 10^9 operations, and more in smaller or larger batches or on a busy machine. So
0.2 10^12 operations pay for the building; the limit is five times as many, for other machines: 6
million updates of the default network, 120 epochs of a preset.
"""


class FusedChain(Protocol):
    """Consecutive updates of n chains in one call."""

    def __call__(
        self,
        a: Tensor,
        first: int,
        stop: int,
        *,
        generator: torch.Generator,
        length: Tensor | None,
    ) -> Tensor:
        """Positions (n, d) after the updates ``first`` ... ``stop`` - 1.

        ``length`` (n,), if given, is increased in place by the lengths of the steps.
        """
        ...


Maker = Callable[[Any, Any], FusedChain | None]
_MAKERS: dict[tuple[type, type, str], Maker] = {}
_PERMITTED: ContextVar[bool] = ContextVar("fused chains are permitted", default=False)


def register(target: type, kernel: type, device: str) -> Callable[[Maker], Maker]:
    """Register the decorated maker for a type of target, a type of kernel and a type of device.

    A maker takes the target and the kernel and returns their fused chain, or None where it cannot
    serve them (no compiler, another dtype); the chain is then eager.
    """

    def decorate(maker: Maker) -> Maker:
        _MAKERS[target, kernel, device] = maker
        return maker

    return decorate


def find(target: Target, kernel: Kernel, device: torch.device) -> FusedChain | None:
    """The fused chain of a target and a kernel on a device, or None."""
    maker = _MAKERS.get((type(target), type(kernel), device.type))
    return None if maker is None else maker(target, kernel)


@contextmanager
def permitted(permit: bool) -> Iterator[None]:
    """Let chains within this block be fused, or not."""
    token = _PERMITTED.set(permit)
    try:
        yield
    finally:
        _PERMITTED.reset(token)


def is_permitted() -> bool:
    """Whether chains may be fused here."""
    return _PERMITTED.get()


def operations_of(target: Target) -> float:
    """Multiplications and additions of one score of one chain; 0 if not known."""
    count = getattr(target, "operations", None)
    return 0.0 if count is None else float(count())


def worthwhile(operations: float) -> bool:
    """Whether a job of so many multiplications and additions should fuse its chains.

    The size alone decides, never whether a library is built already: the two paths differ in the
    last bits, and the same job must give the same bits the second time.
    """
    return operations >= OPERATIONS_WORTH_FUSING
