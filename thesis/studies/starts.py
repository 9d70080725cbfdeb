"""Chains on a trained model from three starts: how many steps each needs (section 3.4)."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch

from ebmlib.demonstrations.pairs import pairs_of
from ebmlib.evaluation.exact import Grid, model_density
from thesis.study import Cell, Study

STEPS = (0, 3, 10, 30, 100, 300)
STATES, CHAINS, BINS = 8, 256, 20
STARTS = ("noise", "ball", "data")


def measure(cell: Cell) -> dict[str, Any]:
    """Total variation between the chains and the exact density, over the steps.

    Starts: ``noise``, N(0, alpha^2 I); ``ball``, uniform in B_eps(0); ``data``, the action
    demonstrated at the state.

    Returns:
        ``<start>``: mean total variation after each of :data:`STEPS` steps; ``floor``: what as many
        perfect samples would have; ``<start>_distance``: mean distance of the chains' mean to the
        exact mean, in demonstrated steps.
    """
    data, model = cell.trained.demonstrations, cell.trained.model
    count = 64 if cell.small else CHAINS
    grid = Grid(data.eps, points=40 if cell.small else 120)
    everything = pairs_of(data, cell.device)
    chosen = torch.randperm(data.n_pairs, generator=cell.generator("states"), device=cell.device)
    x, a = everything.states[chosen[:STATES]], everything.actions[chosen[:STATES]]
    density = model_density(model, x, grid)
    sampler = cell.sampler
    steps = STEPS[:3] if cell.small else STEPS
    long = replace(sampler, steps=max(steps))
    numbers: dict[str, Any] = {"floor": float(density.total_variation_floor(count, BINS).mean())}
    score = model.score(x).repeat(count)
    for name in STARTS:
        generator = cell.generator(name)
        start = long.start(STATES * count, data.dim, generator=generator, like=x)
        if name == "ball":
            turn = 2 * math.pi * torch.rand(len(start), generator=generator, device=x.device)
            radius = data.eps * torch.rand(len(start), generator=generator, device=x.device).sqrt()
            start = radius[:, None] * torch.stack([turn.cos(), turn.sin()], dim=1)
        elif name == "data":
            start = a.repeat_interleave(count, dim=0)
        walk = long.chain(score, start, generator=generator, record=steps)
        populations = walk.positions.reshape(len(steps), STATES, count, -1)
        numbers[name] = [float(density.total_variation(p, BINS).mean()) for p in populations]
        gaps = (populations.mean(dim=2) - density.mean()).norm(dim=-1).mean(dim=1)
        numbers[f"{name}_distance"] = gaps / data.step_length
    return numbers


STUDIES = (Study("starts", ("circle", "path1"), measure),)
