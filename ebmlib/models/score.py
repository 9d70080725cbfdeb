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

from ebmlib.arrays import as_tensor
from ebmlib.errors import InputError


class Score(Protocol):
    """grad_a f at actions of shape (n, d). A score may also offer ``value``."""

    def __call__(self, a: Tensor, /) -> Tensor:
        """The gradient at ``a``, of the same shape."""
        ...


@dataclass(frozen=True)
class ActionScore:
    """grad_a f(x, a) of an energy model for n fixed states, in closed form.

    With u = psi(A a + b) (or u = a without embedding) and c the part of FCN[0] that depends on
    the state, the network and its gradient are

        o_0 = phi(c + W_0 u),      o_i = rho(W_i o_{i-1} + b_i) + r o_{i-1},       f = w . o_L
        g_L = w,                   g_{i-1} = W_i^T (rho'(s_i) g_i) + r g_i
        grad_a f = A^T (psi'(A a + b) * W_0^T (phi'(s_0) g_0)),

    where s_i are the pre-activations and r is 1 with residual layers, else 0. The activations are

        psi = ELU,  rho = ReLU, rho'(s) = 1[s > 0]                                  (the thesis's)
        psi = rho = SiLU,       rho'(s) = sigma(s) (1 + s (1 - sigma(s)))           (``silu``)

    with sigma(s) = 1 / (1 + exp(-s)) and SiLU(s) = s sigma(s); phi is rho, or tanh.

    Attributes:
        context: c, shape (n, h).
        embedding: (A, b) of FE_a, shapes (z, d) and (z,), or None.
        first: W_0's action half, shape (h, z) (or (h, d) without embedding).
        hidden: (W_i, b_i), shapes (h, h) and (h,).
        output: w, shape (h,), already divided by the temperature.
        output_bias: scalar tensor or None; it changes f but not its gradient.
        residual: r.
        tanh: phi is tanh, else rho.
        silu: psi and rho are SiLU, else ELU and ReLU.
    """

    context: Tensor
    embedding: tuple[Tensor, Tensor] | None
    first: Tensor
    hidden: tuple[tuple[Tensor, Tensor], ...]
    output: Tensor
    output_bias: Tensor | None
    residual: bool
    tanh: bool
    silu: bool = False

    def _forward(self, a: Tensor) -> tuple[Tensor, list[Tensor], Tensor]:
        """What the derivatives are made from, and o_L: (for psi, [for phi, s_1, s_2, ...], o_L).

        ReLU, ELU and tanh lose nothing that their derivative needs: for them it is u and o_0, for
        SiLU it is A a + b and s_0.
        """
        psi_from = u = a
        if self.embedding is not None:
            matrix, bias = self.embedding
            psi_from = torch.addmm(bias, a, matrix.t())
            if self.silu:
                u = torch.nn.functional.silu(psi_from)
            else:
                psi_from = u = torch.nn.functional.elu(psi_from)
        out = phi_from = torch.addmm(self.context, u, self.first.t())
        if self.tanh:
            out = out.tanh_()
        else:
            out = torch.nn.functional.silu(out) if self.silu else out.relu_()
        activations = [phi_from]
        for matrix, bias in self.hidden:
            s = torch.addmm(bias, out, matrix.t())
            activated = torch.nn.functional.silu(s) if self.silu else s.relu()
            out = activated + out if self.residual else activated
            activations.append(s)
        return psi_from, activations, out

    def _times_slope(self, g: Tensor, s: Tensor) -> Tensor:
        """rho'(s) * g."""
        if self.silu:
            return torch.ops.aten.silu_backward(g, s)
        return torch.ops.aten.threshold_backward(g, s, 0)

    @property
    def like(self) -> Tensor:
        """A tensor with the dtype and the device that it computes with."""
        return self.context

    def _checked(self, a: Tensor) -> Tensor:
        """Actions, converted by :func:`as_tensor` if their dtype is another one."""
        if getattr(a, "dtype", None) is not self.context.dtype:
            a = as_tensor("Actions", a, self.context)
        n, reader = len(self.context), self.first if self.embedding is None else self.embedding[0]
        if a.ndim != 2 or a.shape[1] != reader.shape[1] or n not in (1, len(a)):
            raise InputError(
                f"Actions must have shape ({n}, {reader.shape[1]}), got {tuple(a.shape)}; pass one "
                "row per state."
            )
        return a

    @torch.no_grad()
    def value(self, a: Tensor) -> Tensor:
        """f(x, a), shape (n,), for actions a (n, d)."""
        a = self._checked(a)
        f = self._forward(a)[2] @ self.output
        return f if self.output_bias is None else f + self.output_bias

    @torch.no_grad()
    def __call__(self, a: Tensor) -> Tensor:
        """grad_a f(x, a), shape (n, d), for actions a (n, d)."""
        a = self._checked(a)
        u, (first, *hidden), _ = self._forward(a)  # with SiLU the first two are pre-activations
        g = self.output.expand_as(first)
        for s, (matrix, _) in zip(reversed(hidden), reversed(self.hidden), strict=True):
            through = self._times_slope(g, s) @ matrix
            g = through.add_(g) if self.residual else through
        if self.tanh:
            g = g * (1 - first * first)
        else:
            g = self._times_slope(g, first)
        g = g @ self.first
        if self.embedding is None:
            return g
        if self.silu:
            return torch.ops.aten.silu_backward(g, u) @ self.embedding[0]
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
