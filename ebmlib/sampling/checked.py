"""Fused chains that are compared with the eager path before they are used.

A kernel that was compiled for this machine may be wrong on it: another compiler, another card. So
before the first use on a device, and for each form of network, a fused chain makes a few updates of
a small random network of that form, and the eager path makes the same; and its noise is tested on a
flat energy. If a candidate disagrees or fails the next one is tried; if none is left, the eager
path is taken.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ebmlib.models.score import ActionScore
from ebmlib.sampling.fused import FusedChain
from ebmlib.sampling.sgld import SGLD

_log = logging.getLogger(__name__)
_CHAINS = 53  # of the comparison: no multiple of a block
_NOISY_CHAINS = 1 << 12
_STANDARD_ERRORS = 6.0  # a right generator fails one comparison in 500 million
_NOISY_CALLS = (0, 1), (1, 2), (2, 4)  # numbers must not repeat within a call or between calls

Maker = Callable[[ActionScore, SGLD], FusedChain | None]


@dataclass(frozen=True)
class Candidate:
    """One way of fusing chains.

    Attributes:
        name: its name in messages, such as ``"the Triton kernel"``.
        make: the fused chain of a target and a kernel, or None where it has none for them; raises
            ImportError where the machine lacks what it needs.
    """

    name: str
    make: Maker


class FirstThatAgrees:
    """Tries candidates in order; each is checked once per device and form of network.

    A candidate that is not used is reported once, in one sentence: by a log line if it is absent,
    by a log line and a warning if it disagrees or fails.
    """

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._candidates = tuple(candidates)
        self._reasons: dict[tuple[object, ...], str | None] = {}
        self._reported: set[str] = set()

    def __call__(self, target: ActionScore, kernel: SGLD) -> FusedChain | None:
        """The chain of the first candidate that has one and agrees with the eager path, or None."""
        for candidate in self._candidates:
            key = (candidate.name, *form(target))
            if key not in self._reasons:
                self._reasons[key] = self._judge(candidate, target)
            if self._reasons[key] is None:
                chain = candidate.make(target, kernel)
                if chain is not None:
                    return chain
        return None

    def _judge(self, candidate: Candidate, target: ActionScore) -> str | None:
        try:
            reason = disagreement(candidate.make, target)
        except ImportError as error:
            sentence = f"Without {error.name} chains are not fused by {candidate.name}."
            self._report(sentence, warn=False)
            return "absent"
        except Exception as error:  # compilers and drivers may raise any error
            reason = f"it failed with {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        if reason is not None:
            self._report(
                f"Chains on {target.context.device} are not fused by {candidate.name}: {reason}.",
                warn=True,
            )
        return reason

    def _report(self, sentence: str, *, warn: bool) -> None:
        if sentence in self._reported:
            return
        self._reported.add(sentence)
        _log.info("%s", sentence)
        if warn:
            warnings.warn(sentence, RuntimeWarning, stacklevel=4)


def tensors_of(score: ActionScore) -> list[Tensor]:
    """Every tensor that a gradient reads: context, embedding, first, hidden layers, output."""
    layers = [tensor for layer in score.hidden for tensor in layer]
    return [score.context, *(score.embedding or ()), score.first, *layers, score.output]


def form(score: ActionScore) -> tuple[object, ...]:
    """What a fused chain depends on: device, dtypes, widths and activations, but no states."""
    context, *weights = tensors_of(score)
    widths = tuple((tuple(tensor.shape), tensor.dtype) for tensor in weights)
    flags = (score.embedding is None, score.residual, score.tanh, score.silu)
    return (context.device, context.dtype, widths, flags)


def example(score: ActionScore, n: int) -> ActionScore:
    """A random network of the form of ``score``, at n states."""
    generator = torch.Generator().manual_seed(0)

    def like(tensor: Tensor, *shape: int) -> Tensor:
        shape = shape or tuple(tensor.shape)
        fan_in = shape[1] if len(shape) > 1 else 1
        drawn = torch.randn(shape, generator=generator) / fan_in**0.5
        return drawn.to(device=tensor.device, dtype=tensor.dtype)

    return replace(
        score,
        context=like(score.context, n, score.context.shape[1]) * score.context.shape[1] ** 0.5,
        embedding=None
        if score.embedding is None
        else (like(score.embedding[0]), like(score.embedding[1])),
        first=like(score.first),
        hidden=tuple((like(matrix), like(bias)) for matrix, bias in score.hidden),
        output=like(score.output),
        output_bias=None,
    )


def disagreement(make: Maker, target: ActionScore) -> str | None:
    """Why the fused chain is not the eager one on networks of the target's form, or None."""
    return _of_updates(make, target) or _of_noise(make, target)


def _start(score: ActionScore) -> Tensor:
    inner = score.first if score.embedding is None else score.embedding[0]
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(score.context), inner.shape[1], generator=generator).to(score.context)


def _of_updates(make: Maker, target: ActionScore) -> str | None:
    """Three updates without noise, in two calls."""
    score = example(target, _CHAINS)
    kernel = SGLD(alpha=0.5, steps=3, temperature=0.0, final_alpha=0.2)
    chain = make(score, kernel)
    if chain is None:
        return None  # it will not be used
    start = _start(score)
    generator = torch.Generator(start.device)
    length = torch.zeros(len(start), dtype=torch.float64, device=start.device)
    end = chain(start, 0, 2, generator=generator, length=length)
    end = chain(end, 2, 3, generator=generator, length=length)
    state, expected = kernel.init(score, start), torch.zeros_like(length)
    for k in range(kernel.steps):
        state, info = kernel.step(score, k, state, generator=generator)
        expected += torch.linalg.vector_norm(info.moved, dim=1)
    moved, expected_move = end - start, state.actions - start
    # the gradient jumps where an activation crosses 0, so that a rare chain may differ
    close = torch.isclose(moved, expected_move, rtol=1e-3, atol=1e-4).all(dim=1)
    if close.double().mean() < 0.95:
        return "its updates differ from the eager ones"
    if torch.isclose(length, expected, rtol=1e-3, atol=1e-4).double().mean() < 0.95:
        return "its step lengths differ from the eager ones"
    return None


def _of_noise(make: Maker, target: ActionScore) -> str | None:
    """Moments and correlations of the updates on a flat energy, N(0, I) for alpha = 1."""
    score = example(target, _NOISY_CHAINS)
    score = replace(score, output=torch.zeros_like(score.output))
    kernel = SGLD(alpha=1.0, steps=4)
    if make(score, kernel) is None:
        return None

    def increments(calls: Sequence[tuple[int, int]]) -> Tensor:
        chain = make(score, kernel)
        assert chain is not None
        generator = torch.Generator(score.context.device).manual_seed(2)
        a = torch.zeros_like(_start(score))
        drawn = []
        for first, stop in calls:
            after = chain(a, first, stop, generator=generator, length=None)
            drawn.append((after - a).double() / (stop - first) ** 0.5)
            a = after
        return torch.stack(drawn)

    xi = increments(_NOISY_CALLS)
    if not torch.equal(xi[:1], increments(_NOISY_CALLS[:1])):
        return "the same seed gives other numbers"
    # each of these has mean 0 and is a mean of independent terms of the variance beside it
    checks = {
        "mean": (xi, 1.0),
        "variance": (xi.square() - 1, 2.0),
        "correlation of updates": (xi[1:] * xi[:-1], 1.0),
        "correlation of chains": (xi[:, 1:] * xi[:, :-1], 1.0),
        "correlation of distant chains": (xi[:, 16:] * xi[:, :-16], 1.0),
        "correlation of dimensions": (xi[..., 1:] * xi[..., :-1], 1.0),
    }
    for name, (terms, variance) in checks.items():
        if (
            terms.numel()
            and abs(float(terms.mean())) > _STANDARD_ERRORS * (variance / terms.numel()) ** 0.5
        ):
            return f"the {name} of its noise is not that of N(0, I)"
    return None
