"""grad_a f with its graph, for objectives that train the score instead of the density."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ebmlib.errors import InputError
from ebmlib.models.energy import EnergyModel


class Scored(NamedTuple):
    """f and its gradient at n pairs, differentiable by the parameters and by the actions.

    Attributes:
        actions: where, (n, d); a leaf of the graph.
        f: f(x, a), (n,).
        score: grad_a f(x, a), (n, d).
    """

    actions: Tensor
    f: Tensor
    score: Tensor

    def derivative(self, along: Tensor) -> Tensor:
        """(grad_a^2 f) v, shape (n, d), for directions v (n, d)."""
        product = (self.score * along).sum()
        return torch.autograd.grad(product, self.actions, create_graph=True)[0]

    def trace(self) -> Tensor:
        """The trace tr grad_a^2 f, shape (n,): one backward pass for each dimension."""
        a = self.actions
        axes = torch.eye(a.shape[1], dtype=a.dtype, device=a.device)
        along = (self.derivative(axis.expand_as(self.actions)) for axis in axes)
        return torch.stack([h[:, i] for i, h in enumerate(along)]).sum(dim=0)


def scored(model: EnergyModel, x: Tensor, a: Tensor) -> Scored:
    """Values f and grad_a f at states (n, d_x) and actions (n, d), in one pass of the model."""
    a = a.detach().requires_grad_()
    f = model(x, a)
    return Scored(a, f, torch.autograd.grad(f.sum(), a, create_graph=True)[0])


def demand_smooth(objective: object, model: EnergyModel) -> None:
    """Refuse a model whose score is not differentiable.

    With ReLU layers grad_a f is a sum of steps. The state and the biases move the steps, which no
    derivative sees, and tr grad_a^2 f is 0 almost everywhere.

    Raises:
        InputError: says which activation to use.
    """
    if not model.twice_differentiable:
        raise InputError(
            f"{type(objective).__name__} needs a network with a differentiable score, got "
            f'activation="{model.config.activation}"; use activation="silu".'
        )
