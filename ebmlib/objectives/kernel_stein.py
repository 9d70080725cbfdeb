"""Kernel Stein discrepancy of conditional densities."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.data import FromData, report_of
from ebmlib.objectives.scales import scaled_actions, scaled_states, scales_of
from ebmlib.objectives.scores import demand_smooth, scored


@register("KernelSteinDiscrepancy")
@dataclass(frozen=True)
class KernelSteinDiscrepancy(FromData):
    """How far the data are from obeying Stein's identity of the model, in a kernel's unit ball.

        L(theta) = mean over i != j of K(x_i, x_j) h_ij,
        h_ij = s_i . s_j k + s_i . grad_j k + s_j . grad_i k + tr grad_i grad_j k,
        s_i = grad_a f(x_i, a_i),    k = exp(-|a_i - a_j|^2 / 2 h_a^2),    K likewise of the states

    (Liu, Lee and Jordan, "A kernelized Stein discrepancy for goodness-of-fit tests", 2016;
    Jitkrittum, Kanagawa and Schoelkopf, "Testing goodness of fit of conditional density models with
    kernels", 2020, for the kernel on states). Nothing is sampled and no second derivative is
    needed. It is unbiased, and can be below 0. It sees what differs at the scales of its kernels,
    and a pair of states only if they are near each other. Actions are scaled, so that the loss has
    no unit.

    An update costs batch_size evaluations of the network with their gradient, and batch_size^2
    kernels.

    Attributes:
        batch_size, data_noise: see :class:`~ebmlib.objectives.data.FromData`.
        action_width: h_a, as a share of the standard deviation of all actions.
        state_width: h_x, as a share of the standard deviation of the states.
    """

    action_width: float = 0.5
    state_width: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("action_width", self.action_width, most=checks.LARGEST_SQUARED)
        checks.positive("state_width", self.state_width, most=checks.LARGEST_SQUARED)

    def check(self, model: EnergyModel) -> None:
        """Refuse a score that is not differentiable."""
        demand_smooth(self, model)

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """The scales of the data (``objectives/scales.py``)."""
        return scales_of(pairs)

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The loss of one batch; reports it and the level of f."""
        states, actions, _ = self.noisy(batch, generator)
        at = scored(model, states, actions)
        s = carry["action_scale"] * at.score  # of the scaled action
        h = stein_kernel(s, scaled_actions(carry, actions), self.action_width)
        near = gaussian_kernel(scaled_states(carry, states), self.state_width)
        n = len(actions)
        each = (h * near).fill_diagonal_(0.0)
        loss = each.sum() / max(1, n * (n - 1))
        return Outcome({MODEL: loss}, carry, report_of(loss, at.f))


def gaussian_kernel(points: Tensor, width: float) -> Tensor:
    """exp(-|x_i - x_j|^2 / 2 h^2), shape (n, n), for points (n, d)."""
    return (-torch.cdist(points, points).square() / (2 * width**2)).exp()


def stein_kernel(s: Tensor, a: Tensor, width: float) -> Tensor:
    """h_ij of the docstring above, shape (n, n), for scores and actions (n, d).

    With r = a_i - a_j: grad_j k = r k / h^2, grad_i k = -r k / h^2 and
    tr grad_i grad_j k = (d / h^2 - |r|^2 / h^4) k.
    """
    r = a[:, None] - a[None]
    square = r.square().sum(dim=-1)
    k = (-square / (2 * width**2)).exp()
    pulled = ((s[:, None] - s[None]) * r).sum(dim=-1) / width**2
    trace = a.shape[1] / width**2 - square / width**4
    return k * (s @ s.T + pulled + trace)
