"""Chain ends against demonstrated actions over the noise level (section 4.3.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import KDTree
from torch import Tensor

from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.errors import DivergenceError
from ebmlib.evaluation import exact
from ebmlib.models.energy import EnergyModel
from ebmlib.sampling import fused
from ebmlib.sampling.sgld import SGLD
from thesis.conditions import ALPHAS, DATASETS, STEPS
from thesis.study import Cell, Study

NEIGHBOURS = 30
"""Pairs that say what is demonstrated at a state, as in the data's own scale s."""

MODE = 4.0
"""A chain has left the mode when it is farther than so many s from the demonstrated mean."""

SAMPLED_AT = (0.0025, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.0175, 0.02, 0.025, 0.03)
"""Noise levels at which one trained model is sampled."""

_STATES, _CHAINS = 12, 48


@dataclass(frozen=True)
class DemonstratedActions:
    """What is demonstrated at some states: mean and variance of the action given the state.

    Attributes:
        states: (n, d).
        mean: (n, d), the reference's step; without a reference path, a linear regression of action
            on state over the nearest pairs.
        variance: total variance around that regression (trace of the covariance), mean over states.
        step: mean length of a step.
        s: the data's own scale.
        eps: radius of the action set.
    """

    states: NDArray[np.float64]
    mean: NDArray[np.float64]
    variance: float
    step: float
    s: float
    eps: float


def demonstrated_actions(data: Demonstrations, n: int) -> DemonstratedActions:
    """Mean and variance of the demonstrated action at ``n`` states, spread over the data.

    Where the demonstrations are noisy copies of one reference path the states are on it and the
    mean is known; a regression's own error would be half an s.
    """
    if data.reference is not None:
        chosen = np.linspace(0, len(data.reference) - 1, n + 2).astype(int)[1:-1]
        at, mean = data.reference[chosen], data.reference[chosen + 1] - data.reference[chosen]
        variance = _regression(data, at)[1]
    else:
        at = data.states[np.linspace(0, data.n_pairs - 1, n + 2).astype(int)[1:-1]]
        mean, variance = _regression(data, at)
    return DemonstratedActions(at, mean, variance, data.step_length, data.action_scale(), data.eps)


def _regression(data: Demonstrations, at: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Mean action at states (n, d) by local linear regression, and the variance around it."""
    k, d = min(NEIGHBOURS, data.n_pairs), data.dim
    near = KDTree(data.states).query(at, k=k)[1]
    local = data.states[near] - at[:, None]
    design = np.concatenate([np.ones_like(local[..., :1]), local], axis=-1)
    fitted = np.linalg.pinv(design) @ data.actions[near]
    residuals = data.actions[near] - design @ fitted
    variance = (residuals**2).sum(axis=(1, 2)) / max(1, k - (d + 1))
    return fitted[:, 0], float(variance.mean())


def ends(
    model: EnergyModel,
    truth: DemonstratedActions,
    sampler: SGLD,
    chains: int,
    *,
    generator: torch.Generator,
    from_data: bool = False,
    record: tuple[int, ...] = (),
) -> Tensor:
    """Positions of chains at every state after the recorded steps, (steps, n, chains, d).

    Chains start from noise, or at the demonstrated mean action.
    """
    states = torch.as_tensor(truth.states, dtype=torch.float32, device=generator.device)
    mean = torch.as_tensor(truth.mean, dtype=torch.float32, device=generator.device)
    score = model.score(states.repeat_interleave(chains, dim=0))
    n, d = len(states) * chains, mean.shape[1]
    if from_data:
        start = mean.repeat_interleave(chains, dim=0)
    else:
        start = sampler.start(n, d, generator=generator, like=states)
    steps = record or (sampler.steps,)
    with fused.permitted(True):
        chain = sampler.chain(score, start, generator=generator, record=steps)
    return chain.positions.reshape(-1, len(states), chains, d).double()


def gaps(samples: Tensor, truth: DemonstratedActions) -> tuple[float, float]:
    """Mean gap over s, and variance of the samples (n, m, d) over that of the data."""
    mean = samples.mean(dim=1)
    gap = (mean - torch.as_tensor(truth.mean).to(samples)).norm(dim=1).mean()
    variance = samples.var(dim=1).sum(dim=1).mean()
    return float(gap) / truth.s, float(variance) / truth.variance


def inside(samples: Tensor, radius: float) -> float:
    """Share of samples (..., d) in B_radius(0)."""
    return float((samples.norm(dim=-1) < radius).double().mean())


def outside_mode(samples: Tensor, truth: DemonstratedActions) -> Tensor:
    """Which samples (..., n, m, d) are farther than :data:`MODE` s from the demonstrated mean."""
    mean = torch.as_tensor(truth.mean).to(samples)[:, None]
    return (samples - mean).norm(dim=-1) > MODE * truth.s


def exact_gap(model: EnergyModel, truth: DemonstratedActions) -> tuple[float, float]:
    """Mean gap and variance ratio of the model's own density, on a grid over B_{2 eps}."""
    states = torch.as_tensor(truth.states, dtype=torch.float32)
    with torch.no_grad():
        found = exact.model_density(model.cpu(), states, exact.Grid(2 * truth.eps, points=81))
    gap = (found.mean() - torch.as_tensor(truth.mean).to(found.mean())).norm(dim=1).mean()
    variance = found.covariance().diagonal(dim1=1, dim2=2).sum(dim=1).mean()
    return float(gap) / truth.s, float(variance) / truth.variance


def steps_needed(alpha: float, truth: DemonstratedActions) -> float:
    """Steps after which a chain on a Gaussian of the data's variance is within s of its mean.

    From m_K = rho^K m_0 with rho = 1 - alpha^2 / (2 v), v the variance of a component, started a
    step's length away: K = log(s / step) / log |rho|.
    """
    component = truth.variance / truth.mean.shape[1]
    rho = abs(1 - alpha**2 / (2 * component))
    return math.log(truth.s / truth.step) / math.log(rho) if 0 < rho < 1 else math.inf


def measure(cell: Cell) -> dict[str, Any]:
    """Chains from noise against the demonstrations, over the snapshots of one training.

    Returns:
        ``alpha_over_s``, ``variance_floor`` (2 alpha^2 over the data's variance: the last step's
        noise alone), ``steps_needed`` (see :func:`steps_needed`); ``epochs`` with ``mean_gap``
        (in s) and ``variance_ratio`` at them;
        ``density_mean_gap`` and ``density_variance_ratio`` of the exact density at the end;
        ``start_inside`` (share in B_{10 alpha}), ``demonstrated_inside`` (share of demonstrated
        actions there), ``end_inside`` (share of chain ends in B_eps); ``escaped`` (share of chains
        from the demonstrated mean that are out of the mode after K steps).
    """
    data, sampler = cell.trained.demonstrations, cell.sampler
    truth = demonstrated_actions(data, 3 if cell.small else _STATES)
    epochs = [epoch for epoch in sorted(cell.trained.result.snapshots) if epoch > 0]
    found = []
    for epoch in epochs:
        model = cell.trained.result.at(epoch).to(cell.device)
        last = ends(model, truth, sampler, _CHAINS, generator=cell.generator("ends"))[-1]
        found.append(gaps(last, truth))
    stayed = ends(model, truth, sampler, _CHAINS, generator=cell.generator("mode"), from_data=True)
    own_gap, own_ratio = exact_gap(model, truth)
    return {
        "alpha_over_s": sampler.alpha / truth.s,
        "variance_floor": data.dim * sampler.alpha**2 / truth.variance,
        "steps_needed": steps_needed(sampler.alpha, truth),
        "epochs": epochs,
        "mean_gap": [gap for gap, _ in found],
        "variance_ratio": [ratio for _, ratio in found],
        "density_mean_gap": own_gap,
        "density_variance_ratio": own_ratio,
        "escaped": float(outside_mode(stayed[-1], truth).double().mean()),
        **_sanity(data, sampler, last, cell.generator("start")),
    }


def _sanity(
    data: Demonstrations, sampler: SGLD, last: Tensor, generator: torch.Generator
) -> dict[str, float]:
    """The shares of the sanity check: Eq 4.1 and the action set."""
    start = sampler.start(2000, data.dim, generator=generator)
    literal = start / sampler.alpha * sampler.alpha**0.5  # N(0, alpha I), as Algorithm 2 is printed
    return {
        "start_inside": inside(start, 10 * sampler.alpha),
        "literal_start_inside": inside(literal, 10 * sampler.alpha),
        "demonstrated_inside": inside(torch.tensor(data.actions), 10 * sampler.alpha),
        "end_inside": inside(last, data.eps),
    }


def sanity(cell: Cell) -> dict[str, Any]:
    """The sanity check of a trained preset, and how near its chains come.

    Returns:
        ``start_inside``, ``literal_start_inside``, ``demonstrated_inside``, ``end_inside`` as in
        :func:`measure`; ``mean_gap`` (in s) and ``variance_ratio``.
    """
    data, sampler = cell.trained.demonstrations, cell.sampler
    truth = demonstrated_actions(data, 3 if cell.small else 2 * _STATES)
    last = ends(cell.trained.model, truth, sampler, _CHAINS, generator=cell.generator("ends"))[-1]
    gap, ratio = gaps(last, truth)
    return {
        "mean_gap": gap,
        "variance_ratio": ratio,
        **_sanity(data, sampler, last, cell.generator("start")),
    }


def escape(cell: Cell) -> dict[str, Any]:
    """One trained model sampled at many noise levels from the demonstrated mean action.

    Returns:
        ``model_scale`` (standard deviation of the model's own density by component, in s);
        ``alphas_over_s`` with ``escaped`` (share out of the mode after K steps) and ``returned``
        (of the chains out of the mode after K / 2 steps, the share that is back after K; null
        where fewer than 20 are out).
    """
    sampler = cell.sampler
    truth = demonstrated_actions(cell.trained.demonstrations, 3 if cell.small else _STATES)
    escaped, returned = [], []
    for alpha in SAMPLED_AT:
        other = replace(sampler, alpha=alpha)
        half = max(1, sampler.steps // 2)
        try:
            positions = ends(
                cell.trained.model, truth, other, _CHAINS, from_data=True,
                generator=cell.generator("escape"), record=(half, sampler.steps),
            )  # fmt: skip
        except DivergenceError:
            escaped.append(1.0)
            returned.append(0.0)
            continue
        middle, last = outside_mode(positions, truth)
        escaped.append(float(last.double().mean()))
        out = int(middle.sum())
        returned.append(float((middle & ~last).sum()) / out if out >= 20 else float("nan"))
    ratio = exact_gap(cell.trained.model, truth)[1]
    return {
        "model_scale": (ratio * truth.variance / truth.mean.shape[1]) ** 0.5 / truth.s,
        "alphas_over_s": [alpha / truth.s for alpha in SAMPLED_AT],
        "escaped": escaped,
        "returned": returned,
    }


GRID = tuple(f"noise/alpha-{alpha:g}-K-{steps}" for steps in STEPS for alpha in ALPHAS)

STUDIES = (
    Study("noise-level", GRID, measure),
    Study("sanity", DATASETS, sanity),
    Study("escape", ("circle",), escape),
)
