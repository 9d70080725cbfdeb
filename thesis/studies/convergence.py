"""Where chains are after more and fewer steps than they were trained with (section 4.3.3).

Chains start from noise at demonstrated states, as the policy's do. They are followed to ten times
the K of their training and compared with three things: the demonstrated action, themselves later
on, and the model's exact density on a grid.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ebmlib import seeding
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.evaluation import diagnostics, exact, gaussian
from ebmlib.evaluation.exact import Grid, GridDensity, model_density
from ebmlib.sampling.sgld import SGLD
from thesis.conditions import DATASETS, NOISE_GRID, STARTS
from thesis.runs import sampler_of
from thesis.studies.dynamics import last_change
from thesis.study import Cell, Study

FRACTIONS = (0, 0.1, 0.2, 0.3, 0.46, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 6, 8, 10)
"""When to look, in units of K; 0.46, 1 and 1.5 are the thesis's 46, 100 and 150 steps."""

LONGEST = 4000
"""No chain is longer than this, which is 4 K for the one condition with K = 1000."""

STATES, CHAINS, LONG_CHAINS = 6, 150, 32


class Targets(NamedTuple):
    """States (n, d) and the action demonstrated at each (n, d)."""

    states: Tensor
    actions: Tensor


def targets(data: Demonstrations, n: int) -> Targets:
    """Take n states spread evenly over the reference path, or over all pairs where there is none.

    On the reference the expected action is the reference's own next step.
    """
    if data.reference is not None:
        states, actions = data.reference[:-1], np.diff(data.reference, axis=0)
    else:
        states, actions = data.states, data.actions
    chosen = np.linspace(0, len(states), n, endpoint=False).astype(int)
    x, a = (torch.tensor(array[chosen], dtype=torch.float32) for array in (states, actions))
    return Targets(x, a)


def progress(mean: Tensor, actions: Tensor) -> Tensor:
    """Signed progress (m . a) / |a|^2 of mean actions (..., n, d) along the demonstrated ones.

    0 is the start of the chain, 1 the demonstrated action, 2 twice as far; shape (..., n).
    """
    return (mean * actions).sum(dim=-1) / actions.square().sum(dim=-1)


def looks(K: int) -> list[int]:
    """The step numbers of :data:`FRACTIONS`, up to :data:`LONGEST`."""
    return sorted({round(part * K) for part in FRACTIONS if part * K <= max(LONGEST, K)})


def run_chains(
    cell: Cell, where: Targets, population: int, record: list[int], stream: str
) -> Tensor:
    """Noise-started chains at every state: positions (len(record), n, population, d)."""
    trained = cell.trained
    sampler: SGLD = replace(sampler_of(trained.run), steps=record[-1])
    states, generator = where.states.to(cell.device), cell.generator(stream)
    n, d = len(states), where.actions.shape[1]
    start = sampler.start(n * population, d, generator=generator, like=states)
    score = trained.model.score(states).repeat(population)
    chain = sampler.chain(score, start, generator=generator, record=record)
    return chain.positions.reshape(len(record), n, population, d).cpu()


def grid_of(data: Demonstrations, bins_per_scale: float = 1.0) -> tuple[Grid, int]:
    """A grid over B_eps with three cells a bin, and its number of bins of about the scale s."""
    bins = max(8, round(2 * data.eps / data.action_scale() * bins_per_scale))
    return Grid(data.eps, data.dim, 3 * bins), bins


def measure(cell: Cell) -> dict[str, Any]:
    """The chains of one trained model.

    Lengths are in units of the demonstrated step's length |a*|; means are over states.

    Returns:
        the curves ``steps``, ``progress`` (signed, along the demonstrated action), ``distance``
        (of the chains' mean to it) and ``spread`` (of the chains); at 0.46 K, K, 1.5 K and the end
        of the long chain ``progress_before``, ``progress_at``, ``progress_after``,
        ``progress_long``, ``distance_at`` and ``distance_long``; ``moved``, how far the mean of the
        chains goes on after K; against the exact density ``excess`` (of the chains at K, see
        :func:`excess`), ``excess_long`` (of the long chain's second half), ``border`` (mass in the
        outermost cells) and ``progress_exact``; of the training ``R_plateau``, ``R_change`` (over
        the last fifth, relative to R) and ``R_closed``, R of a converged chain on a Gaussian of the
        data's scale, all over the noise floor; ``alpha``, ``K`` and ``s``, the data's scale.
        Where the data have no reference path, the demonstrated action is a noisy one.
    """
    data, sampler = cell.trained.demonstrations, cell.sampler
    K, unit = sampler.steps, data.step_length
    where = targets(data, 2 if cell.small else STATES)
    steps = looks(K)[: 12 if cell.small else None]
    positions = run_chains(cell, where, 8 if cell.small else LONG_CHAINS, steps, "long")
    mean = positions.mean(dim=2)
    along = progress(mean, where.actions).mean(dim=1)
    away = torch.linalg.vector_norm(mean - where.actions, dim=-1).mean(dim=1) / unit
    spread = (positions - mean[:, :, None]).square().sum(dim=-1).mean(dim=2).sqrt()
    at, last = steps.index(K), len(steps) - 1
    ends = run_chains(cell, where, 16 if cell.small else CHAINS, [K], "at K")[0]
    against = _exact(cell, where, ends, positions[len(steps) // 2 :])
    # the chains at K twice over: those of `ends` are many, those of `positions` go on
    at_K = ends.mean(dim=1)
    moved = torch.linalg.vector_norm(mean[last] - at_K, dim=-1).mean() / unit
    numbers = {
        "alpha": sampler.alpha,
        "K": K,
        "s": data.action_scale(),
        "steps": steps,
        "progress": along,
        "distance": away,
        "spread": spread.mean(dim=1) / unit,
        "progress_before": float(along[steps.index(round(0.46 * K))]),
        "progress_at": float(progress(at_K, where.actions).mean()),
        "progress_after": float(along[steps.index(round(1.5 * K))]),
        "progress_long": float(along[last]),
        "distance_at": float(away[at]),
        "distance_long": float(away[last]),
        "moved": float(moved),
    }
    return numbers | against | _mean_step(cell)


def _exact(cell: Cell, where: Targets, ends: Tensor, late: Tensor) -> dict[str, Any]:
    """Chains against the model's density on a grid over B_eps."""
    grid, bins = grid_of(cell.trained.demonstrations, 0.5 if cell.small else 1.0)
    log_p = model_density(cell.trained.model, where.states.to(cell.device), grid).log_p.double()
    # once more in double precision: with f in the millions float32 loses the normalisation
    density = exact.density(lambda _: log_p.cpu(), grid, log_p.cpu())
    generator = seeding.generator(cell.seed, f"{cell.condition}/exact samples")
    pooled = late.permute(1, 0, 2, 3).flatten(1, 2)  # (n, times x chains, d)
    return {
        "excess": excess(density, ends, bins, generator),
        "excess_long": excess(density, pooled, bins, generator),
        "border": float(density.border_mass().mean()),
        "progress_exact": float(progress(density.mean(), where.actions.double()).mean()),
    }


def excess(density: GridDensity, samples: Tensor, bins: int, generator: torch.Generator) -> float:
    """How much further samples (n, m, d) are from the density than m exact ones, 0 to 1.

    With D the total variation to the density, mean over states, this is

        (D(samples) - D(exact samples)) / (1 - D(exact samples)):

    0 for exact samples, 1 for samples that have nothing in common with the density, however many
    bins it is spread over. Exact samples are drawn cell by cell of the grid. NaN if the density has
    no finite values.
    """
    if not torch.isfinite(density.log_z).all():
        return float("nan")
    grid, m = density.grid, samples.shape[1]
    cells = torch.multinomial(density.mass, m, replacement=True, generator=generator)
    jitter = torch.rand((*cells.shape, grid.d), generator=generator, dtype=density.mass.dtype) - 0.5
    perfect = grid.actions(density.log_p)[cells] + grid.spacing * jitter
    floor = float(density.total_variation(perfect, bins).mean())
    return (float(density.total_variation(samples, bins).mean()) - floor) / (1 - floor)


def _mean_step(cell: Cell) -> dict[str, Any]:
    """R of the training, over its noise floor."""
    trained = cell.trained
    alpha, d = sampler_of(trained.run).alpha, trained.demonstrations.dim
    R = diagnostics.relative_mean_step(trained.history["R"], alpha, d)
    plateau = R[-len(R) // 5 :].mean()
    closed = gaussian.stationary_mean_step(alpha, trained.demonstrations.action_scale(), d)
    return {
        "R_plateau": plateau,
        "R_change": last_change(list(R)) / plateau,
        "R_closed": closed / gaussian.noise_floor(alpha, d),
    }


SCALES = ("architecture/figure-3-2", "noise/alpha-0.01-K-100", "noise/alpha-0.001-K-100")
"""Trainings with snapshots: the circle at its usual noise level twice, and at a small one."""


def measure_step_scale(cell: Cell) -> dict[str, Any]:
    """What the lengths of a chain are made of, at every snapshot of a training (C28).

    Returns:
        ``epochs``, and lists over them, all summed over the K steps and averaged over chains, in
        units of |a*|: ``path``, the lengths of all steps (K R); ``noise``, those of their noise
        alone (K times the noise floor); ``drift``, those of their gradient parts alone; ``net``,
        the distance from a chain's start to its end.
    """
    data, sampler = cell.trained.demonstrations, cell.sampler
    where = targets(data, 2 if cell.small else STATES)
    unit = data.step_length
    floor = sampler.steps * gaussian.noise_floor(sampler.alpha, data.dim)
    epochs = sorted(cell.trained.result.snapshots)
    lists: dict[str, list[float]] = {name: [] for name in ("path", "noise", "drift", "net")}
    for epoch in epochs:
        path, drift, net = _lengths(cell, where, epoch, sampler)
        for name, length in zip(lists, (path, floor, drift, net), strict=True):
            lists[name].append(length / unit)
    return {"epochs": epochs, **lists}


def _lengths(cell: Cell, where: Targets, epoch: int, sampler: SGLD) -> tuple[float, float, float]:
    """Mean path, summed gradient parts and net distance of chains at a snapshot."""
    population = 4 if cell.small else 24
    model = cell.trained.result.at(epoch)
    score = model.score(where.states).repeat(population)
    generator = seeding.generator(cell.seed, f"{cell.condition}/scale/{epoch}")
    start = sampler.start(len(where.states) * population, where.actions.shape[1],
                          generator=generator, like=where.states)  # fmt: skip
    parts: list[float] = []

    def watched(a: Tensor) -> Tensor:
        gradient = score(a)
        parts.append(float(torch.linalg.vector_norm(gradient, dim=1).mean()))
        return gradient

    chain = sampler.chain(watched, start, generator=generator, length=True)
    drift = sum(size * part for size, part in zip(sampler.drifts(), parts, strict=True))
    assert chain.length is not None
    net = torch.linalg.vector_norm(chain.actions - start, dim=1).mean()
    return float(chain.length.mean()), drift, float(net)


STUDIES = (
    Study("convergence", (*DATASETS, "mouse1-K-100", *NOISE_GRID, *STARTS), measure),
    Study("step-scale", SCALES, measure_step_scale),
)
