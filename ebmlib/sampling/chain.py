"""Chains: a kernel's K updates on a target, and what they report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import NamedTuple

import torch
from torch import Tensor

from ebmlib.arrays import as_tensor, like_of
from ebmlib.errors import DivergenceError, InputError
from ebmlib.sampling import fused
from ebmlib.sampling.kernel import Kernel
from ebmlib.sampling.target import Target, as_target, values_at


class Chain(NamedTuple):
    """What n chains of K steps in d dimensions report.

    Attributes:
        actions: end positions, (n, d).
        length: sum of step lengths of every chain, (n,) in float64, or None without ``length``.
        steps: K.
        recorded: the recorded step numbers, ascending; 0 is the start.
        positions: positions after the recorded steps, (len(recorded), n, d).
        values: f there, (len(recorded), n), or None if the target has no value.
        acceptance: mean acceptance probability of every chain, (n,) in float64; None for a kernel
            that never rejects.
    """

    actions: Tensor
    length: Tensor | None
    steps: int
    recorded: tuple[int, ...]
    positions: Tensor
    values: Tensor | None
    acceptance: Tensor | None = None

    @property
    def mean_step(self) -> Tensor:
        """R of every chain (section 2.4), shape (n,): its K step lengths, averaged.

        The thesis sums K + 1 terms and divides by K; there are K steps.
        """
        if self.length is None:
            raise InputError("The chain was run without step lengths; pass length=True.")
        return self.length / self.steps


def run_chain(
    kernel: Kernel,
    target: Target | Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    generator: torch.Generator,
    length: bool = False,
    record: Sequence[int] = (),
) -> Chain:
    """Run the kernel's K updates from ``start`` (n, d).

    ``length`` and ``record`` change what is reported, never the positions: the noise of every step
    is drawn on its own, so the same seed gives the same chain whatever is recorded. Updates
    are made by a fused chain where one is permitted and found (:mod:`ebmlib.sampling.fused`).

    Args:
        kernel: the kernel.
        target: the log density; a bare function is taken for a -> grad_a f.
        start: a^0, shape (n, d), a tensor, an array or lists of any real type; it is not changed.
            The chain computes in the dtype of the target if that has one (``like``).
        generator: draws the noise, on the device of ``start``.
        length: report the summed step length of every chain.
        record: step numbers from 0 (the start) to K at which to report positions and f.

    Raises:
        InputError: a record outside 0 ... K, a start that is not finite or not (n, d), or a noise
            level that is still in units of the data.
        DivergenceError: a position that is not finite.

    Example:
        >>> import torch
        >>> from ebmlib import SGLD, run_chain, seeding
        >>> chain = run_chain(SGLD(alpha=0.01, steps=10), lambda a: -a, torch.zeros(3, 2),
        ...                   generator=seeding.generator(0, "example"), record=(0, 10))
        >>> chain.actions.shape
        torch.Size([3, 2])
    """
    start = as_tensor("Starts", start, like_of(target))
    recorded = _checked(kernel, start, record)
    target = as_target(target)
    total = torch.zeros(len(start), dtype=torch.float64, device=start.device) if length else None
    accepted: Tensor | None = None
    chain = fused.find(target, kernel, start.device) if fused.is_permitted() else None
    state = None if chain else kernel.init(target, start)
    a, done, positions = start, 0, []
    for stop in dict.fromkeys((*recorded, kernel.steps)):
        if chain is not None:
            a = chain(a, done, stop, generator=generator, length=total) if stop > done else a
        else:
            assert state is not None
            for k in range(done, stop):
                state, info = kernel.step(target, k, state, generator=generator)
                if total is not None:
                    total += torch.linalg.vector_norm(info.moved, dim=1)
                if info.acceptance is not None:
                    accepted = info.acceptance.double() + (0 if accepted is None else accepted)
            a = state.actions
        done = stop
        if stop in recorded:
            positions.append(a)
    if not torch.isfinite(a).all():
        raise DivergenceError(
            f"A chain's position is not finite after {kernel.steps} steps at alpha = "
            f"{kernel.alpha:g}; lower alpha or train with regularisation."
        )
    return Chain(
        actions=a,
        length=total,
        steps=kernel.steps,
        recorded=recorded,
        positions=torch.stack(positions) if positions else a.new_empty((0, *a.shape)),
        values=values_at(target, positions),
        acceptance=None if accepted is None else accepted / kernel.steps,
    )


def _checked(kernel: Kernel, start: Tensor, record: Sequence[int]) -> tuple[int, ...]:
    if kernel.unit != "action":
        raise InputError(
            f"The noise level {kernel.alpha:g} is in units of the data's own scale s; turn it into "
            "the action's first: kernel.in_actions(demonstrations.action_scale())."
        )
    if start.ndim != 2:
        raise InputError(f"Chains must start from shape (n, d), got {tuple(start.shape)}.")
    try:
        recorded = tuple(sorted({index(step) for step in record}))
    except TypeError as error:
        raise InputError(f"record must hold whole step numbers, got {record!r}.") from error
    if recorded and not 0 <= recorded[0] <= recorded[-1] <= kernel.steps:
        raise InputError(f"record must lie in 0 ... K = {kernel.steps}, got {list(record)}.")
    return recorded
