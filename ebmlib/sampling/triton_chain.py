"""Fused SGLD chains on a GPU by a Triton kernel (:mod:`ebmlib.sampling.triton_kernel`).

Imported only where Triton is installed; :mod:`ebmlib.sampling.cuda` decides whether it is used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ebmlib.errors import InputError
from ebmlib.models.score import ActionScore
from ebmlib.sampling import triton_kernel
from ebmlib.sampling.sgld import SGLD

WIDEST = 128
"""Most features of a layer: at twice the width the activations of a block do not fit into
registers. Wider networks fill a card with the eager path's own matrix products."""
OLDEST = (8, 0)
"""Least compute capability (NVIDIA): its tensor cores multiply the parts of a split float32."""
MOST_DIMENSIONS = 16
"""Most dimensions of an action; its products are written out, too small for tensor cores."""
_NARROWEST = 16  # sides of a matrix that a tensor core multiplies
_BLOCKS = (16, 32)  # chains of a program; with 64 the registers overflow by kilobytes
_WARPS = 8  # groups of 32 threads of a program; with 4 the registers overflow as well


@dataclass(frozen=True)
class Packed:
    """A score as the kernel reads it: padded with zeros, in one piece.

    Attributes:
        context: c, (n, H), contiguous.
        weights: see :func:`ebmlib.sampling.triton_kernel.gradient`.
        shape: the kernel's constants D, DN, Z, H, HIDDEN, RESIDUAL, TANH, SILU.
    """

    context: Tensor
    weights: Tensor
    shape: dict[str, Any]


def _padded(width: int) -> int:
    return max(_NARROWEST, 1 << (width - 1).bit_length())


def _pad(tensor: Tensor, *shape: int) -> Tensor:
    padded = tensor.new_zeros(shape)
    padded[tuple(slice(size) for size in tensor.shape)] = tensor.detach()
    return padded


def pack(score: ActionScore) -> Packed:
    """Copy the score's weights into the order and the widths of the kernel."""
    inner = score.first if score.embedding is None else score.embedding[0]
    d, h = inner.shape[1], _padded(len(score.output))
    if score.embedding is None:
        z, pieces = 0, [_pad(score.first.t(), d, h)]
    else:
        matrix, bias = score.embedding
        z = _padded(len(bias))
        pieces = [_pad(matrix.t(), d, z), _pad(bias, z), _pad(score.first, h, z)]
    for matrix, bias in score.hidden:
        pieces += [_pad(matrix, h, h), _pad(bias, h)]
    pieces.append(_pad(score.output, h))
    return Packed(
        context=_pad(score.context, len(score.context), h),
        weights=torch.cat([piece.flatten() for piece in pieces]),
        shape={
            "D": d,
            "DN": 1 << (d - 1).bit_length(),
            "Z": z,
            "H": h,
            "HIDDEN": len(score.hidden),
            "RESIDUAL": score.residual,
            "TANH": score.tanh,
            "SILU": score.silu,
        },
    )


def serves(score: ActionScore) -> bool:
    """Whether the kernel can run this network on this card.

    The network must be in float32, at most :data:`WIDEST` wide, its actions of few dimensions. On
    the CPU the kernel runs in Triton's interpreter.
    """
    device = score.context.device
    if device.type == "cuda" and (
        torch.version.hip is not None or torch.cuda.get_device_capability(device) < OLDEST
    ):
        return False
    inner = score.first if score.embedding is None else score.embedding[0]
    tensors = [
        score.context,
        inner,
        score.first,
        score.output,
        *(t for p in score.hidden for t in p),
    ]
    return (
        all(t.dtype == torch.float32 for t in tensors)
        and max(len(inner), len(score.output)) <= WIDEST
        and inner.shape[1] <= MOST_DIMENSIONS
    )


def block_on(device: torch.device, n: int) -> int:
    """Chains of a program: as few as leave no processor of the card without work."""
    if device.type != "cuda":  # the interpreter runs one program after the other
        return min(1024, _padded(n))
    processors = torch.cuda.get_device_properties(device).multi_processor_count
    return next((block for block in _BLOCKS if n <= block * processors), _BLOCKS[-1])


@dataclass
class TritonChain:
    """Consecutive updates of an SGLD chain, all in one launch.

    The seed of the kernel's own generator is drawn from the generator that is passed in, once for a
    whole chain: by the call that makes update 0. A number depends on chain, update and
    dimension alone, so neither what is recorded nor the size of a block changes it. The numbers are
    not those of the eager path, but have the same law.

    Attributes:
        packed: the network at its states.
        kernel: the schedule.
        block: chains of a program, a power of two of at least 16; chosen by card and n if None.
    """

    packed: Packed
    kernel: SGLD
    block: int | None = None
    _schedule: Tensor = field(init=False, repr=False)
    _seed: Tensor | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        schedule = [self.kernel.drifts(), self.kernel.noises()]
        self._noisy = any(self.kernel.noises())
        self._schedule = torch.tensor(schedule, device=self.packed.weights.device)

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
        if self._seed is None or first == 0:
            # stays on the device, so that nothing waits for it
            self._seed = torch.zeros(1, dtype=torch.int64, device=a.device)
            if self._noisy:
                self._seed.random_(generator=generator)
        return self._launch(a, first, stop, length, self._seed, None)

    def with_noise(
        self, a: Tensor, noise: Tensor, first: int = 0, length: Tensor | None = None
    ) -> Tensor:
        """The updates from ``first`` on, the noise handed in: alpha_k sqrt(T) xi_k, (S, n, d)."""
        return self._launch(a, first, first + len(noise), length, None, noise.contiguous())

    def _launch(
        self,
        a: Tensor,
        first: int,
        stop: int,
        length: Tensor | None,
        seed: Tensor | None,
        noise: Tensor | None,
    ) -> Tensor:
        n, d = len(self.packed.context), self.packed.shape["D"]
        steps = stop - first
        for name, value, shape, dtype in (
            ("positions", a, (n, d), torch.float32),
            ("noise", noise, (steps, n, d), torch.float32),
            ("lengths", length, (n,), torch.float64),
        ):
            if value is not None and (tuple(value.shape) != shape or value.dtype != dtype):
                raise InputError(
                    f"The Triton chain needs {name} of shape {shape} and {dtype}, got "
                    f"{tuple(value.shape)} and {value.dtype}; take the eager chain instead."
                )
        if length is not None and not length.is_contiguous():
            raise InputError("The Triton chain adds to lengths in place; pass them contiguous.")
        if not 0 <= first <= stop <= self.kernel.steps:
            raise InputError(
                f"Updates {first} ... {stop} are not among the K = {self.kernel.steps} of the "
                "sampler; ask for those it has."
            )
        a = a.contiguous()
        end = torch.empty_like(a)
        if n == 0:
            return end
        block = self.block or block_on(a.device, n)
        drifts, scales = self._schedule
        if length is None:  # one kernel that always sums is compiled in half the time of two
            length = torch.zeros(n, dtype=torch.float64, device=a.device)
        # one of seed and noise is absent and never read: any pointer will do
        with torch.cuda.device_of(a):
            triton_kernel.walk[(-(-n // block),)](
                a,
                self.packed.context,
                self.packed.weights,
                drifts,
                scales,
                a if seed is None else seed,
                a if noise is None else noise,
                end,
                length,
                n,
                first,
                steps,
                0,
                **self.packed.shape,
                HANDED=noise is not None,
                BLOCK=block,
                num_warps=_WARPS,
                num_stages=1,  # more would copy the next step's matrices ahead, which do not fit
            )
        return end


def fused_chain(target: ActionScore, kernel: SGLD) -> TritonChain | None:
    """The chain of a target, or None where the kernel cannot run its network."""
    if not serves(target):
        return None
    cache = target.__dict__  # packed once per target, as the compiled walk is
    if "_packed" not in cache:
        cache["_packed"] = pack(target)
    return TritonChain(cache["_packed"], kernel)
