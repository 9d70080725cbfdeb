"""A model with two parameters, and the gradient of a population loss to hold objectives against."""

from __future__ import annotations

import numpy as np
import torch
from support import Gaussian
from torch import nn

from ebmlib import Pairs
from ebmlib.objectives.base import MODEL

MEAN, S = 0.4, 0.8  # of the data
OFF = (0.7, 1.1)  # m and v of a model that is not the data's density


class Bump(nn.Module):
    """A stand-in for EnergyModel: f(a) = -|a - m|^2 / 2 v, of every state alike."""

    state_dim = action_dim = 1

    def __init__(self, m, v):
        super().__init__()
        self.m = nn.Parameter(torch.tensor(m, dtype=torch.float64))
        self.v = nn.Parameter(torch.tensor(v, dtype=torch.float64))

    def forward(self, x, a):
        return -((a - self.m) ** 2).sum(dim=-1) / (2 * self.v) + 0 * x.sum(dim=-1)

    def score(self, x):
        d = self.action_dim
        one = torch.ones(d, dtype=torch.float64)
        return Gaussian(torch.diag(one) / self.v.detach(), self.m.detach() * one)


def normal_pairs(n, mean, s, generator, d=1):
    actions = mean + s * torch.randn(n, d, generator=generator("data"), dtype=torch.float64)
    return Pairs(torch.zeros(n, 1, dtype=torch.float64), actions, torch.arange(n))


def within_errors(found, expected):
    error = found.std(dim=0) / len(found) ** 0.5
    return ((found.mean(dim=0) - expected).abs() < 5.5 * error + 1e-12).all()


def quadrature(f):
    """Integral of f over the line; a Gaussian integrand falls off long before the ends."""
    a = torch.linspace(-14, 14, 56_001, dtype=torch.float64)
    return torch.trapezoid(f(a), a)


def population_gradient(loss, m, v):
    """The gradient by (m, v) of a population loss of two tensors, and its value."""
    at = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (m, v)]
    value = loss(*at)
    return torch.stack(torch.autograd.grad(value, at)), float(value.detach())


def sampled(
    objective,
    generator,
    m,
    v,
    *,
    repeats=60,
    n=400,
    d=1,
    parts=None,
    of=None,
    carry=None,
    report="loss",
):
    """Gradients of many batches of fresh data, and what they report: (repeats, k), (repeats,).

    By (m, v) of the model's loss; with ``of`` = (name, parameters) of the loss of a part.
    """
    model = Bump(m, v)
    model.action_dim = d
    parts = objective.parts(1, d, generator=generator("parts")).double() if parts is None else parts
    carry = begun(objective, generator, d) if carry is None else carry
    name, by = (MODEL, [model.m, model.v]) if of is None else of
    found, losses = [], []
    for k in range(repeats):
        batch = normal_pairs(n, MEAN, S, lambda stream, k=k: generator(stream, k + 1), d)
        outcome = objective(model, parts, batch, carry, generator=generator("batch", k))
        losses.append(outcome.report[report])
        found.append(
            torch.cat([g.flatten() for g in torch.autograd.grad(outcome.losses[name], by)])
        )
    return torch.stack(found), torch.stack(losses)


def begun(objective, generator, d=1):
    """What the objective takes from 100,000 data."""
    return objective.begin(normal_pairs(100_000, MEAN, S, generator, d), generator=generator())


def assert_gradient(found, exact):
    """Within standard errors, which are small against the gradient itself."""
    assert within_errors(found, exact), (found.mean(dim=0), exact, found.std(dim=0))
    error = found.std(dim=0) / len(found) ** 0.5
    assert exact.norm() > 8 * error.norm(), "a test that could not fail"


def hermite(points, normals):
    """Nodes of standard normals on a product grid, and their weights, flattened.

    The expectation of g is ``(w * g(*nodes)).sum()``.
    """
    x, w = np.polynomial.hermite_e.hermegauss(points)
    x, w = torch.from_numpy(x), torch.from_numpy(w / w.sum())
    axes = torch.meshgrid(*[x] * normals, indexing="ij")
    weights = torch.meshgrid(*[w] * normals, indexing="ij")
    return [a.flatten() for a in axes], torch.stack([a.flatten() for a in weights]).prod(dim=0)
