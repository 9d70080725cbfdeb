"""Estimators of an action, and estimates of the likelihood's gradient (2.1, 2.3.2)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor

from ebmlib.demonstrations.dataset import load_demonstrations
from ebmlib.demonstrations.pairs import Pairs, pairs_of
from ebmlib.evaluation.chain_law import ChainLaw
from ebmlib.evaluation.data_density import expected_action, has_known_density
from ebmlib.evaluation.exact import Grid, model_density
from ebmlib.models.energy import EnergyModel
from ebmlib.models.score import ActionScore
from ebmlib.policies import EXP, ML, Draw
from ebmlib.sampling.sgld import SGLD
from ebmlib.training.store import Trained
from thesis.conditions import DATASETS
from thesis.runs import sampler_of
from thesis.study import Cell, Study


@dataclass(frozen=True)
class _Posterior:
    """The target f(x, a) + log p_0(a) with the prior N(0, std^2 I)."""

    likelihood: ActionScore
    std: float

    def score(self, a: Tensor) -> Tensor:
        """Its gradient by the action."""
        return self.likelihood(a) - a / self.std**2

    def value(self, a: Tensor) -> Tensor:
        """Its value, up to a constant."""
        return self.likelihood.value(a) - a.square().sum(dim=1) / (2 * self.std**2)


@dataclass(frozen=True)
class WithPrior:
    """A model whose density is p(a | x) p_0(a), as far as a policy asks: ML on it is MAP (2.1)."""

    model: EnergyModel
    std: float

    @property
    def action_dim(self) -> int:
        """Dimension of the action."""
        return self.model.action_dim

    def score(self, states: Tensor) -> _Posterior:
        """Its score at states (n, d_x)."""
        return _Posterior(self.model.score(states), self.std)


def _pairs(trained: Trained, n: int, generator: torch.Generator) -> Pairs:
    """N pairs of the same demonstrations with fresh noise, without the noiseless first points."""
    data = replace(trained.run.data, seed=trained.run.data.seed + 1000)
    pairs = pairs_of(load_demonstrations(data), next(trained.model.parameters()).device)
    ids = torch.nonzero(pairs.states.norm(dim=1) > 0).flatten()
    ids = ids[torch.randperm(len(ids), generator=generator, device=ids.device)[:n]]
    return Pairs(pairs.states[ids], pairs.actions[ids], ids)


def estimators(cell: Cell) -> dict[str, Any]:
    """Mean squared error of the actions that every estimator takes at held-out states.

    The prior of MAP is N(0, s_0^2 I) with the demonstrated root mean square step, s_0 = step /
    sqrt(2): an action points anywhere and has the demonstrated length.

    Returns:
        ``risk/<estimator>`` against held-out demonstrated actions; ``excess/<estimator>``, the
        mean squared distance to E[a | x] of the data's own density, where that is known (NaN
        elsewhere); ``risk/best``, the error of that E[a | x].
    """
    trained, generator = cell.trained, cell.generator("estimators")
    pairs = _pairs(trained, 8 if cell.small else 128, generator)
    sampler, model = sampler_of(trained.run), trained.model
    prior = float(pairs.actions.square().sum(dim=1).mean().sqrt()) / math.sqrt(2)
    policies = {
        "EXP": EXP(model, sampler, population=24, jitter=0.0),
        "ML": ML(model, sampler, population=4),
        "MAP": ML(cast(EnergyModel, WithPrior(model, prior)), sampler, population=4),
        "DRAW": Draw(model, sampler),
    }
    data = trained.demonstrations
    best = expected_action(data, pairs.states) if has_known_density(data) else None
    found: dict[str, Any] = {"prior": prior}
    for name, policy in policies.items():
        a = policy.act(pairs.states, generator=generator)
        found[f"risk/{name}"] = _square(a - pairs.actions)
        found[f"excess/{name}"] = math.nan if best is None else _square(a - best)
    found["risk/best"] = math.nan if best is None else _square(best - pairs.actions)
    return found


def _square(gap: Tensor) -> float:
    return float(gap.square().sum(dim=1).mean())


LENGTHS = (1, 3, 10, 20, 50, 100, 200)
"""Numbers of steps K at which contrastive divergence's gradient is compared."""


def gradient(cell: Cell) -> dict[str, Any]:
    """Expected contrastive-divergence gradient after K steps against the likelihood's.

    Both are gradients of mean log Z's part, E_q grad f, with q the model's own density (the
    likelihood) or the chain's exact law after K steps from noise or from the demonstrated action
    (contrastive divergence); the demonstrated part is the same.

    Returns:
        For epochs 100 and 1000: lists over :data:`LENGTHS` ``cosine/<start>/<epoch>`` and
        ``error/<start>/<epoch>`` (length of the difference over that of the likelihood gradient).
    """
    trained, generator = cell.trained, cell.generator("gradient")
    pairs = _pairs(trained, 1 if cell.small else 3, generator)
    sampler = sampler_of(trained.run)
    snapshots = trained.result.snapshots
    epochs = (100, 1000) if 1000 in snapshots else (max(snapshots),)
    found: dict[str, Any] = {}
    for epoch in epochs:
        model = trained.result.at(epoch).to(cell.device)
        exact = _flat_gradient(model, pairs, _own(model, pairs))
        for start in ("noise", "data"):
            laws = _laws(model, pairs, sampler, start)
            gradients = [_flat_gradient(model, pairs, law) for law in laws]
            found[f"cosine/{start}/{epoch}"] = [
                float(torch.cosine_similarity(g, exact, dim=0)) for g in gradients
            ]
            found[f"error/{start}/{epoch}"] = [
                float((g - exact).norm() / exact.norm()) for g in gradients
            ]
    return found


_GRID = Grid(0.2, points=51)


def _own(model: EnergyModel, pairs: Pairs) -> Tensor:
    return model_density(model, pairs.states, _GRID).mass.double()


def _laws(model: EnergyModel, pairs: Pairs, sampler: SGLD, start: str) -> list[Tensor]:
    """Exact laws after every one of LENGTHS, each (n, cells)."""
    rows = []
    for state, action in zip(pairs.states, pairs.actions, strict=True):
        score = model.score(state[None]).repeat(_GRID.points**2)
        chain = ChainLaw(lambda a, score=score, state=state: score(a.to(state)), _GRID, sampler)  # type: ignore[misc]
        # a demonstrated action is one point; on the grid it is as narrow as a cell
        narrow = 0.5 * _GRID.spacing
        law = chain.start() if start == "noise" else chain.start(action, narrow)
        row, done = [], 0
        for steps in LENGTHS:
            law, done = chain.after(law, steps - done), steps
            row.append(law)
        rows.append(torch.stack(row))
    return list(torch.stack(rows, dim=1))


def _flat_gradient(model: EnergyModel, pairs: Pairs, mass: Tensor) -> Tensor:
    """Gradient of mean_i [ sum_g q_i(g) f(x_i, a_g) - f(x_i, a_i) ] by all parameters, flat."""
    f = model(pairs.states[:, None], _GRID.actions(pairs.states)[None])
    weights = mass.to(f) / mass.sum(dim=1, keepdim=True).to(f)
    loss = (weights * f).sum(dim=1).mean() - model(pairs.states, pairs.actions).mean()
    pieces = torch.autograd.grad(loss, list(model.parameters()))
    return torch.cat([piece.flatten() for piece in pieces])


STUDIES = (
    Study("foundations-estimators", (*DATASETS, "fork"), estimators),
    Study("foundations-gradient", ("architecture/figure-3-2",), gradient),
)
