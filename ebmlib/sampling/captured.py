"""Fused SGLD chains on a GPU without a compiler: the eager update, captured as a CUDA graph.

An eager update launches some twenty small operations, and launching takes longer than computing.
A graph launches them all at once. Noise is drawn outside of it, step by step, so a captured chain
makes the very updates of the eager one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ebmlib.models.score import ActionScore
from ebmlib.sampling.checked import form, tensors_of
from ebmlib.sampling.fused import FusedChain
from ebmlib.sampling.sgld import SGLD, noise

_MAX_UPDATES = 4  # captured updates that are kept: of a training, of its policy, and two more
_WARM_UPS = 3  # what PyTorch requires before a capture

Capture = Callable[[Callable[[], None], torch.device], Callable[[], None]]
"""Turns an update into a function that repeats it."""


def cuda_graph(update: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """Capture ``update``, which reads and writes the same memory every time."""
    with torch.cuda.device(device):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(_WARM_UPS):
                update()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            update()
    return graph.replay


class _Update:
    """One update of n chains in memory of its own, and its repetition."""

    def __init__(self, like: ActionScore, d: int, capture: Capture) -> None:
        self._score = replace(
            like,
            context=like.context.clone(),
            embedding=None if like.embedding is None else _copies(*like.embedding),
            first=like.first.clone(),
            hidden=tuple(_copies(*layer) for layer in like.hidden),
            output=like.output.clone(),
            output_bias=None,
        )
        n, made = len(like.context), like.context
        self.a, self.xi = made.new_zeros(n, d), made.new_zeros(n, d)
        self.drift = made.new_zeros(())
        self.length = torch.zeros(n, dtype=torch.float64, device=made.device)
        self.lock = threading.Lock()
        self.repeat = capture(self._update, made.device)

    def _update(self) -> None:
        moved = self._score.score(self.a).mul(self.drift).add_(self.xi)
        self.a.add_(moved)
        self.length.add_(torch.linalg.vector_norm(moved, dim=1))

    def load(self, score: ActionScore) -> None:
        """Take over the states and weights of a score of the same form."""
        for own, given in zip(tensors_of(self._score), tensors_of(score), strict=True):
            own.copy_(given.detach())


def _copies(matrix: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    return matrix.clone(), bias.clone()


@dataclass(frozen=True)
class CapturedChain:
    """Consecutive updates of an SGLD chain by repetitions of a captured one."""

    update: _Update
    target: ActionScore
    kernel: SGLD
    drifts: Tensor

    def __call__(
        self,
        a: Tensor,
        first: int,
        stop: int,
        *,
        generator: torch.Generator,
        length: Tensor | None,
    ) -> Tensor:
        """See :class:`~ebmlib.sampling.fused.FusedChain`."""
        own, scales = self.update, self.kernel.noises()
        with own.lock:  # its memory serves every chain of this form
            own.load(self.target)
            own.a.copy_(a)
            own.length.zero_()
            if length is not None:
                own.length.copy_(length)
            for k in range(first, stop):
                noise(own.xi, scales[k], generator)
                own.drift.copy_(self.drifts[k])
                own.repeat()
            if length is not None:
                length.copy_(own.length)
            return own.a.clone()


class Captured:
    """The maker of captured chains; the last few captures are kept, with their memory.

    Args:
        capture: how an update is turned into its repetition: :func:`cuda_graph`, or where there is
            no card the update itself, ``lambda update, device: update``.
    """

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._updates: OrderedDict[tuple[object, ...], _Update] = OrderedDict()

    @torch.no_grad()
    def __call__(self, target: ActionScore, kernel: SGLD) -> FusedChain:
        """The chain of a target and a kernel."""
        inner = target.first if target.embedding is None else target.embedding[0]
        key = (len(target.context), *form(target))
        if key not in self._updates:
            self._updates[key] = _Update(target, inner.shape[1], self._capture)
        self._updates.move_to_end(key)
        while len(self._updates) > _MAX_UPDATES:
            self._updates.popitem(last=False)
        drifts = torch.tensor(kernel.drifts(), dtype=inner.dtype, device=inner.device)
        return CapturedChain(self._updates[key], target, kernel, drifts)
