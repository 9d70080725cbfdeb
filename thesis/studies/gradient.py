"""The contrastive estimate of the likelihood's gradient against the exact one (section 3.4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebmlib.demonstrations.pairs import Pairs, pairs_of
from ebmlib.evaluation.exact import Grid, likelihood_gradient, log_likelihood, model_density
from ebmlib.models.energy import EnergyModel
from ebmlib.sampling import fused
from thesis.study import Cell, Study

EPOCHS = (100, 1000)
"""Snapshots that are looked at: f still steep far from the data, and late."""

PAIRS = 32
"""Demonstrated pairs of the batch; every chain stands at one of their states."""

CHAINS = (32, 128, 512, 2048)
"""Numbers of chains M of one estimate."""

STEPS = (0, 3, 10, 30, 100, 300)
"""Numbers of steps K after which the chains are looked at."""


def flat(gradient: dict[str, Tensor]) -> Tensor:
    """A gradient by parameter name as one vector."""
    return torch.cat([part.flatten() for part in gradient.values()]).double()


def contrastive_gradient(model: EnergyModel, pairs: Pairs, states: Tensor, ends: Tensor) -> Tensor:
    """grad_theta of mean f(x^, a^) - mean f(x, a) (Eq 3.5), as one vector.

    Args:
        model: the model.
        pairs: demonstrated pairs (x, a).
        states: x^ of the chains, (M, d_x).
        ends: a^ where they ended, (M, d_a).
    """
    loss = model(states, ends).mean() - model(pairs.states, pairs.actions).mean()
    names, parameters = zip(*model.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    parts = [
        torch.zeros_like(p) if g is None else g for g, p in zip(found, parameters, strict=True)
    ]
    return flat(dict(zip(names, parts, strict=True)))


def exact_draws(
    model: EnergyModel, states: Tensor, each: int, grid: Grid, generator: torch.Generator
) -> Tensor:
    """Actions from p(a | x), ``each`` of every state (n, d_x): a cell of the grid, a point in it.

    Returns:
        (each n, d_a), all states in turn, as ``states.repeat(each, 1)`` has them.
    """
    density = model_density(model, states, grid)
    cells = torch.multinomial(density.mass, each, replacement=True, generator=generator)
    actions = grid.actions(states)[cells.T.flatten()]
    inside = torch.rand(actions.shape, generator=generator, device=actions.device) - 0.5
    return actions + grid.spacing * inside


def relative_error(estimate: Tensor, truth: Tensor) -> float:
    """Euclidean distance to the exact gradient over the exact gradient's norm."""
    return float((estimate - truth).norm() / truth.norm())


def measure(cell: Cell) -> dict[str, Any]:
    """Errors of the contrastive gradient, relative to the exact gradient's norm.

    Returns:
        For every snapshot: ``norm_<epoch>`` of the exact gradient; ``nll_<epoch>``, mean
        -log p(a | x) of the batch; ``drawn_<epoch>``, the error with M actions drawn from the exact
        density, and ``chain_<epoch>``, with M chains of the model's own K from noise (lists over
        :data:`CHAINS`, root mean squares over disjoint groups of M); ``bias_<epoch>``, the error of
        chains after :data:`STEPS` steps that more chains would not take away, from the product of
        two independent halves; ``cosine_<epoch>``, of the angle between the estimate of the most
        chains and the exact gradient.
    """
    data = cell.trained.demonstrations
    epochs = sorted(cell.trained.result.snapshots)[-1:] if cell.small else EPOCHS
    chains = (8, 32) if cell.small else CHAINS
    steps = (0, 5) if cell.small else STEPS
    grid = Grid(1.5 * data.eps, points=31 if cell.small else 241)
    everything = pairs_of(data, cell.device)
    chosen = torch.randperm(data.n_pairs, generator=cell.generator("batch"), device=cell.device)
    pairs = Pairs(*(column[chosen[:PAIRS]] for column in everything))
    sampler = cell.sampler
    numbers: dict[str, Any] = {}
    for epoch in epochs:
        model = cell.trained.result.at(epoch).to(cell.device)
        truth = flat(likelihood_gradient(model, pairs, grid))
        with torch.no_grad():
            nll = -log_likelihood(model, pairs, grid).mean()
        numbers |= {f"norm_{epoch}": float(truth.norm()), f"nll_{epoch}": float(nll)}
        most = 2 * chains[-1]
        each = -(-most // PAIRS)
        states = pairs.states.repeat(each, 1)[:most]
        generator = cell.generator(f"chains/{epoch}")
        drawn = exact_draws(model, pairs.states, each, grid, generator)[:most]
        long = replace(sampler, steps=max(steps))
        start = long.start(most, data.dim, generator=generator, like=states)
        with fused.permitted(True):
            walk = long.chain(model.score(states), start, generator=generator, record=steps)
        at_own = walk.positions[walk.recorded.index(min(sampler.steps, max(steps)))]

        def errors(
            ends: Tensor, model: EnergyModel = model, truth: Tensor = truth, states: Tensor = states
        ) -> list[float]:
            found = []
            for m in chains:
                groups = [
                    relative_error(contrastive_gradient(model, pairs, x, a), truth)
                    for x, a in list(zip(states.split(m), ends.split(m), strict=True))[:8]
                ]
                found.append(float(np.sqrt(np.square(groups).mean())))
            return found

        numbers |= {f"drawn_{epoch}": errors(drawn), f"chain_{epoch}": errors(at_own)}
        bias, cosine = [], []
        for ends in walk.positions:
            halves = [
                contrastive_gradient(model, pairs, x, a) - truth
                for x, a in zip(states.chunk(2), ends.chunk(2), strict=True)
            ]
            product = float(halves[0] @ halves[1]) / float(truth @ truth)
            bias.append(np.sqrt(max(product, 0.0)))
            whole = truth + (halves[0] + halves[1]) / 2
            cosine.append(float(whole @ truth / (whole.norm() * truth.norm())))
        numbers |= {f"bias_{epoch}": bias, f"cosine_{epoch}": cosine}
    return numbers


STUDIES = (Study("gradient", ("architecture/figure-3-2",), measure),)
