"""Has the chain converged, has the model? The diagnostics of section 4.3."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from arviz_stats.base import array_stats
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from ebmlib.errors import InputError
from ebmlib.evaluation import gaussian
from ebmlib.models.energy import EnergyModel
from ebmlib.sampling.sgld import SGLD


class ChainQuality(NamedTuple):
    """Effective sample size and split R-hat of every action component, shapes (d,)."""

    ess: NDArray[np.float64]
    rhat: NDArray[np.float64]


def chain_quality(positions: Tensor) -> ChainQuality:
    """Rank-normalised ESS and R-hat (Vehtari et al. 2021, by ArviZ) of chains at one state.

    Args:
        positions: recorded positions (draws, chains, d), as a ``Chain`` has them,
            after burn-in.
    """
    if positions.ndim != 3 or positions.shape[0] < 4:
        raise InputError(
            f"Positions must have shape (draws > 3, chains, d), got {tuple(positions.shape)}."
        )
    draws = positions.detach().double().cpu().numpy().transpose(2, 1, 0)  # (d, chains, draws)
    ess = [array_stats.ess(component, chain_axis=0, draw_axis=1) for component in draws]
    rhat = [array_stats.rhat(component, chain_axis=0, draw_axis=1) for component in draws]
    return ChainQuality(np.array(ess, dtype=float), np.array(rhat, dtype=float))


def relative_mean_step(mean_step: ArrayLike, alpha: float, d: int) -> NDArray[np.float64]:
    """R over the noise floor: 1 for a flat energy, 1 / sqrt(1 - c) at a Gaussian's stationarity."""
    return np.asarray(mean_step, dtype=np.float64) / gaussian.noise_floor(alpha, d)


@dataclass(frozen=True)
class LongRun:
    """Where chains are after more and more steps.

    Attributes:
        steps: numbers of steps, (r,).
        distance: distance of the chains' mean to the demonstrated action, per state, (r, n).
        spread: root mean square distance to that mean, (r, n).
    """

    steps: tuple[int, ...]
    distance: Tensor
    spread: Tensor


def long_run(
    model: EnergyModel,
    states: Tensor,
    actions: Tensor,
    sampler: SGLD,
    steps: tuple[int, ...],
    *,
    generator: torch.Generator,
    population: int = 64,
) -> LongRun:
    """Run chains from noise past K and see whether their mean stays at the data (Fig 4.8 - 4.11).

    Args:
        model: the model.
        states: (n, d_x); a population of chains is run at each.
        actions: the demonstrated action at each, (n, d_a).
        sampler: noise level of the chain; its K is replaced by the last of ``steps``.
        steps: numbers of steps after which positions are recorded.
        generator: for the chains.
        population: chains per state.
    """
    if not steps:
        raise InputError("steps must name at least one number of steps, got none.")
    long = replace(sampler, steps=max(steps))
    score = model.score(states).repeat(population)
    start = long.start(len(states) * population, actions.shape[1], generator=generator, like=states)
    chain = long.chain(score, start, generator=generator, record=steps)
    ends = chain.positions.reshape(len(chain.recorded), len(states), population, -1)
    mean = ends.mean(dim=2)
    spread = (ends - mean[:, :, None]).square().sum(dim=3).mean(dim=2).sqrt()
    return LongRun(chain.recorded, torch.linalg.vector_norm(mean - actions, dim=2), spread)
