"""The sampler on a trained model: annealing, noise level, length, long runs (2.3.2, 2.4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ebmlib.demonstrations.dataset import load_demonstrations
from ebmlib.demonstrations.pairs import Pairs, pairs_of
from ebmlib.errors import DivergenceError
from ebmlib.evaluation import gaussian
from ebmlib.evaluation.chain_law import ChainLaw, total_variation
from ebmlib.evaluation.data_density import action_density, has_known_density
from ebmlib.evaluation.exact import Grid, model_density
from ebmlib.sampling.sgld import SGLD
from ebmlib.training.store import Trained
from thesis.conditions import DATASETS, STEPS
from thesis.runs import sampler_of
from thesis.study import Cell, Study

RADIUS = 0.2
"""Half width of the grids, in units of the action: three steps."""

SCHEDULES = {
    "constant": (1.0, None),
    "annealed-3": (1.0, 1 / 3),
    "annealed-10": (1.0, 1 / 10),
    "annealed-from-above": (1.5, 0.5),
}
"""First and last noise level over the trained one; annealing is geometric over the K steps."""

LEVELS = (0.3, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5)
"""Noise levels over the trained one."""

LONGER = (1, 3, 10)
"""Lengths of long chains over K."""


def held_out(trained: Trained, n: int, generator: torch.Generator) -> Pairs:
    """N pairs of the same demonstrations with fresh noise, without the noiseless first points."""
    data = replace(trained.run.data, seed=trained.run.data.seed + 1000)
    fresh = load_demonstrations(data)
    pairs = pairs_of(fresh, next(trained.model.parameters()).device)
    later = pairs.states.norm(dim=1) > 0
    ids = torch.nonzero(later).flatten()
    chosen = ids[torch.randperm(len(ids), generator=generator, device=ids.device)[:n]]
    return Pairs(pairs.states[chosen], pairs.actions[chosen], chosen)


def energy_score(samples: Tensor, actions: Tensor) -> Tensor:
    """E|a_s - a| - E|a_s - a_s'| / 2 per state: lowest, in expectation, for the true density.

    Args:
        samples: (n, m, d), m draws at every state.
        actions: (n, d), the demonstrated ones.

    Source: Gneiting and Raftery (2007), a strictly proper score.
    """
    m = samples.shape[1]
    to_data = (samples - actions[:, None]).norm(dim=2).mean(dim=1)
    between = torch.cdist(samples, samples).sum(dim=(1, 2)) / (m * (m - 1))
    return to_data - between / 2


def _chains(trained: Trained, pairs: Pairs, population: int) -> tuple[Callable, int]:
    score = trained.model.score(pairs.states).repeat(population)
    return score, len(pairs.states) * population


def annealing(cell: Cell) -> dict[str, Any]:
    """Energy score of K-step samples at held-out states, by constant and annealed noise.

    Returns:
        ``score/<schedule>``, ``score/start`` of the noise that chains start from,
        ``distance/<schedule>``, the mean distance of a sample to the demonstrated action, and
        ``scale``, the data's own s.
    """
    trained, generator = cell.trained, cell.generator("annealing")
    pairs = held_out(trained, 8 if cell.small else 96, generator)
    population, sampler = 16, sampler_of(trained.run)
    score, n = _chains(trained, pairs, population)
    start = sampler.start(n, 2, generator=generator, like=pairs.states)
    shaped = start.reshape(-1, population, 2)
    found = {
        "scale": trained.demonstrations.action_scale(),
        "score/start": float(energy_score(shaped, pairs.actions).mean()),
    }
    for name, (first, last) in SCHEDULES.items():
        final = None if last is None else last * sampler.alpha
        annealed = replace(sampler, alpha=first * sampler.alpha, final_alpha=final)
        ends = annealed.chain(score, start, generator=generator).actions
        samples = ends.reshape(-1, population, 2)
        found[f"score/{name}"] = float(energy_score(samples, pairs.actions).mean())
        found[f"distance/{name}"] = float((samples - pairs.actions[:, None]).norm(dim=2).mean())
    return found


def _transition(trained: Trained, state: Tensor, grid: Grid, sampler: SGLD) -> ChainLaw:
    score = trained.model.score(state[None]).repeat(grid.points**2)
    return ChainLaw(lambda a: score(a.to(state)), grid, sampler)


def _grid(alpha: float, radius: float = RADIUS, least: int = 49) -> Grid:
    """A grid fine enough for the noise level."""
    return Grid(radius, points=max(least, math.ceil(2 * radius * 0.75 / alpha)))


def noise_law(cell: Cell) -> dict[str, Any]:
    """Exact distance of the chain's law to the model's density, over the noise level.

    Returns:
        Lists over :data:`LEVELS`, means over states: ``tv_short`` (total variation after K steps
        from the noise start), ``tv_long`` (after 60 more steps from the model's own density: the
        discretisation alone), ``variance`` (of that law over the model's), ``lost`` (mass that
        left the grid).
    """
    trained, generator = cell.trained, cell.generator("law")
    pairs = held_out(trained, 1 if cell.small else 2, generator)
    sampler = sampler_of(trained.run)
    levels = LEVELS[3::3] if cell.small else LEVELS
    found: dict[str, list[float]] = {"tv_short": [], "tv_long": [], "variance": [], "lost": []}
    for level in levels:
        alpha = level * sampler.alpha
        grid = _grid(alpha, 0.15)
        density = model_density(trained.model, pairs.states, grid)
        rows = []
        for state, mass in zip(pairs.states, density.mass.double(), strict=True):
            chain = _transition(trained, state, grid, replace(sampler, alpha=alpha))
            short = chain.after(chain.start(), sampler.steps)
            long = chain.after(mass, 60)
            spread = [_variance(chain.actions, law) for law in (long, mass)]
            rows.append(
                [
                    total_variation(short, mass),
                    total_variation(long, mass),
                    spread[0] / spread[1],
                    1 - float(long.sum()),
                ]
            )
        means = torch.tensor(rows).mean(dim=0).tolist()
        for name, value in zip(found, means, strict=True):
            found[name].append(value)
    return found


def _variance(actions: Tensor, mass: Tensor) -> float:
    weights = mass / mass.sum()
    return float((weights[:, None] * (actions - weights @ actions) ** 2).sum())


def chain_length(cell: Cell) -> dict[str, Any]:
    """Length gained per step from K to 2 K, against its exact values; all over the noise floor.

    Returns:
        ``first`` (R over the first K steps), ``gain`` (steps K to 2 K), ``exact`` (under the
        sampler's exact stationary law on the model), ``model`` (under the model's own density),
        ``gaussian`` (closed form at the data's scale s), ``kl`` (data to model, where known).
    """
    trained, generator = cell.trained, cell.generator("length")
    pairs = held_out(trained, 2 if cell.small else 5, generator)
    sampler = sampler_of(trained.run)
    score, n = _chains(trained, pairs, 4 if cell.small else 192)
    start = sampler.start(n, 2, generator=generator, like=pairs.states)
    first = sampler.chain(score, start, generator=generator, length=True)
    more = sampler.chain(score, first.actions, generator=generator, length=True)
    grid = _grid(sampler.alpha)
    masses = model_density(trained.model, pairs.states, grid).mass.double()
    exact, own = [], []
    for state, mass in zip(pairs.states, masses, strict=True):
        chain = _transition(trained, state, grid, sampler)
        exact.append(chain.mean_step(chain.after(mass, 5 if cell.small else 40)))
        own.append(chain.mean_step(mass))
    floor = gaussian.noise_floor(sampler.alpha, 2)
    scale = trained.demonstrations.action_scale()
    return {
        "first": float(first.mean_step.mean()) / floor,
        "gain": float(more.mean_step.mean()) / floor,
        "exact": sum(exact) / len(exact) / floor,
        "model": sum(own) / len(own) / floor,
        "gaussian": gaussian.stationary_mean_step(sampler.alpha, scale, 2) / floor,
        "kl": kl(trained, cell.small, generator),
    }


def kl(trained: Trained, small: bool, generator: torch.Generator) -> float:
    """KL(data || model), nats, over held-out states; NaN where the data's density is unknown."""
    if not has_known_density(trained.demonstrations):
        return math.nan
    states = held_out(trained, 4 if small else 48, generator).states
    grid = Grid(RADIUS, points=55)
    data = action_density(trained.demonstrations, states, grid)
    return float(data.kl(model_density(trained.model, states, grid)).mean())


def long_run(cell: Cell) -> dict[str, Any]:
    """Samples after K steps, and late in chains of 3 K and 10 K steps, at held-out states.

    The samples of a long chain are its positions at eight times in its last K steps, the same
    number of samples per state as there are chains of K steps.

    Returns:
        Lists over :data:`LONGER`: ``score`` (energy score) and ``distance`` (of the samples' mean
        to the demonstrated action); and ``kl``. NaN for chains that left the finite numbers.
    """
    trained, generator = cell.trained, cell.generator("long-run")
    pairs = held_out(trained, 4 if cell.small else 32, generator)
    sampler, K = sampler_of(trained.run), sampler_of(trained.run).steps
    times = [k * K - j * K // 8 for k in LONGER[1:] for j in range(8)]
    try:
        score, n = _chains(trained, pairs, 48)
        start = sampler.start(n, 2, generator=generator, like=pairs.states)
        short = sampler.chain(score, start, generator=generator).actions
        score, n = _chains(trained, pairs, 6)
        long = replace(sampler, steps=LONGER[-1] * K)
        start = long.start(n, 2, generator=generator, like=pairs.states)
        positions = long.chain(score, start, generator=generator, record=times).positions
        late = positions.reshape(len(LONGER) - 1, 8, -1, 6, 2).transpose(1, 2)
        samples = [short.reshape(-1, 48, 2), *late.flatten(2, 3)]
        found = {
            "score": [float(energy_score(s, pairs.actions).mean()) for s in samples],
            "distance": [
                float((s.mean(dim=1) - pairs.actions).norm(dim=1).mean()) for s in samples
            ],
        }
    except DivergenceError:
        found = {name: [math.nan] * len(LONGER) for name in ("score", "distance")}
    return found | {"kl": kl(trained, cell.small, generator)}


NOT_CONVERGED = ("noise/alpha-0.001-K-100", "noise/alpha-0.0025-K-100")
"""Trainings with too small a noise level, for comparison."""

STUDIES = (
    Study("foundations-annealing", DATASETS, annealing),
    Study("foundations-noise-law", ("circle",), noise_law),
    Study(
        "foundations-length",
        (*DATASETS, "mouse1-K-100", *(f"noise/alpha-0.005-K-{steps}" for steps in STEPS)),
        chain_length,
    ),
    Study("foundations-long-run", (*DATASETS, "mouse1-K-100", *NOT_CONVERGED), long_run),
)
