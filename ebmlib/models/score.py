"""Scores: what the sampler sees. A score maps actions (n, d) to grad_a f, of the same shape.

Any callable of that form is a :class:`Score`, so exact targets test the very sampler that training
uses. The energy model hands out an :class:`ActionScore`, which knows its gradient in closed form
and has the interface of a target (``sampling/target.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor


class Score(Protocol):
    """grad_a f at actions of shape (n, d). A score may also offer ``value``."""

    def __call__(self, a: Tensor, /) -> Tensor:
        """The gradient at ``a``, of the same shape."""
        ...


@dataclass(frozen=True)
class ActionScore:
    """grad_a f(x, a) of an energy model for n fixed states, in closed form.

    With u = ELU(A a + b) (or u = a without embedding) and c the part of FCN[0] that depends on
    the state, the network and its gradient are

        o_0 = phi(c + W_0 u),      o_i = ReLU(W_i o_{i-1} + b_i) + r o_{i-1},      f = w . o_L
        g_L = w,                   g_{i-1} = W_i^T (1[s_i > 0] g_i) + r g_i
        grad_a f = A^T (ELU'(A a + b) * W_0^T (phi'(s_0) g_0)),

    where s_i are the pre-activations and r is 1 with residual layers, else 0.

    Attributes:
        context: c, shape (n, h).
        embedding: (A, b) of FE_a, shapes (z, d) and (z,), or None.
        first: W_0's action half, shape (h, z) (or (h, d) without embedding).
        hidden: (W_i, b_i), shapes (h, h) and (h,).
        output: w, shape (h,), already divided by the temperature.
        output_bias: scalar tensor or None; it moves f and not its gradient.
        residual: r.
        tanh: phi is tanh, else ReLU.
    """

    context: Tensor
    embedding: tuple[Tensor, Tensor] | None
    first: Tensor
    hidden: tuple[tuple[Tensor, Tensor], ...]
    output: Tensor
    output_bias: Tensor | None
    residual: bool
    tanh: bool

    def _forward(self, a: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """(u, [s_0 or tanh(s_0), s_1, ...], o_L); s_0 is already activated, which loses nothing."""
        u = a
        if self.embedding is not None:
            matrix, bias = self.embedding
            u = torch.nn.functional.elu(torch.addmm(bias, a, matrix.t()))
        out = torch.addmm(self.context, u, self.first.t())
        out = out.tanh_() if self.tanh else out.relu_()
        activations = [out]
        for matrix, bias in self.hidden:
            s = torch.addmm(bias, out, matrix.t())
            out = s.relu() + out if self.residual else s.relu()
            activations.append(s)
        return u, activations, out

    @torch.no_grad()
    def value(self, a: Tensor) -> Tensor:
        """f(x, a), shape (n,), for actions a (n, d)."""
        f = self._forward(a)[2] @ self.output
        return f if self.output_bias is None else f + self.output_bias

    @torch.no_grad()
    def __call__(self, a: Tensor) -> Tensor:
        """grad_a f(x, a), shape (n, d), for actions a (n, d)."""
        u, (first, *hidden), _ = self._forward(a)
        g = self.output.expand_as(first)
        for s, (matrix, _) in zip(reversed(hidden), reversed(self.hidden), strict=True):
            through = torch.ops.aten.threshold_backward(g, s, 0) @ matrix
            g = through.add_(g) if self.residual else through
        if self.tanh:
            g = g * (1 - first * first)
        else:
            g = torch.ops.aten.threshold_backward(g, first, 0)
        g = g @ self.first
        if self.embedding is None:
            return g
        # ELU'(s) is 1 where u > 0 and exp(s) = u + 1 elsewhere
        return g.mul_(u.clamp(max=0).add_(1)) @ self.embedding[0]

    def score(self, a: Tensor) -> Tensor:
        """The same: grad_a f(x, a), shape (n, d), for actions a (n, d)."""
        return self(a)

    def repeat(self, population: int) -> ActionScore:
        """The score of ``population`` chains per state: row i becomes rows i p ... i p + p - 1."""
        return replace(self, context=self.context.repeat_interleave(population, dim=0))

    def operations(self) -> int:
        """Multiplications and additions of one gradient of one chain: 4 per weight."""
        weights = self.first.numel() + sum(matrix.numel() for matrix, _ in self.hidden)
        if self.embedding is not None:
            weights += self.embedding[0].numel()
        return 4 * weights
