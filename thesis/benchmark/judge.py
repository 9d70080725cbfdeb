"""The exact judge: a density at all cells of a problem's actions, against the truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ebmlib import SGLD, seeding
from ebmlib.models.energy import EnergyModel
from ebmlib.sampling.chain import run_chain
from thesis.benchmark.problems import Law, Problem, problem
from thesis.benchmark.settings import STATES

LogDensity = Callable[[Tensor, Tensor], Tensor]
"""States (n, d_x), cells (g, d) -> log density up to a constant of the state, (n, g), float64."""

_MARGINAL_STATES = 256
_AT_ONCE = 4
_DRAWS, _DRAW_STATES, _BINS = 200, 8, 16


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of a problem at the judge's states.

    Attributes:
        states: (n, d_x).
        cells: (g, d).
        log_volume: of a cell.
        log_p: log density at the cells, normalised over them, (n, g).
        entropy: mean over states, nats.
        information: I, mean over states of KL(p(a | x) || p(a)), nats.
    """

    problem: Problem
    states: Tensor
    cells: Tensor
    log_volume: float
    log_p: Tensor
    entropy: float
    information: float

    @property
    def mass(self) -> Tensor:
        """Of every cell, (n, g)."""
        return (self.log_p + self.log_volume).exp()


def on_cells(law: Law, cells: Tensor, log_volume: float) -> Tensor:
    """Log density of a law at cells (g, d), normalised over them, (n, g)."""
    rows = []
    for at in range(0, len(law.log_weights), _AT_ONCE):
        piece = Law(*(part[at : at + _AT_ONCE] for part in vars(law).values()))
        rows.append(piece.log_prob(cells[None]))
    return normalised(torch.cat(rows), log_volume)


def normalised(log_density: Tensor, log_volume: float) -> Tensor:
    """Log density whose sum over cells is 1, (n, g)."""
    return log_density - log_density.logsumexp(dim=1, keepdim=True) - log_volume


@lru_cache(maxsize=8)
def truth(name: str) -> Truth:
    """The truth of a problem; made once."""
    known = problem(name)
    generator = seeding.generator(0, f"benchmark/{name}/judge")
    states = known.states(STATES, generator=generator)
    cells, log_volume = known.cells()
    log_p = on_cells(known.law(states), cells, log_volume)
    others = known.states(_MARGINAL_STATES, generator=generator)
    marginal = (on_cells(known.law(others), cells, log_volume).exp()).mean(dim=0).log()
    mass = (log_p + log_volume).exp()
    entropy = -float((mass * log_p).sum(dim=1).mean())
    information = float((mass * (log_p - marginal)).sum(dim=1).mean())
    return Truth(known, states, cells, log_volume, log_p, entropy, information)


def judge(known: Truth, log_density: LogDensity) -> dict[str, float]:
    """What is measured of a density (see :mod:`thesis.benchmark.settings`)."""
    log_q = normalised(log_density(known.states, known.cells), known.log_volume)
    log_q = log_q.clamp(min=-1e4)  # a kernel far away is 0 in floating point, not in truth
    p, q = known.mass, (log_q + known.log_volume).exp()
    kl = float((p * (known.log_p - log_q)).sum(dim=1).mean())
    reverse = float((q * (log_q - known.log_p)).sum(dim=1).mean())
    exp = ((p - q) @ known.cells).square().sum(dim=1).mean().sqrt()
    modes = known.cells[known.log_p.argmax(dim=1)] - known.cells[log_q.argmax(dim=1)]
    found = {
        "kl": kl,
        "kl_reverse": reverse,
        "nats": kl + known.entropy,
        "exp": float(exp),
        "ml": float(modes.square().sum(dim=1).mean().sqrt()),
    }
    if known.problem.parts:
        found["mode_share"] = mode_share(known, p, q)
    return found


def mode_share(known: Truth, p: Tensor, q: Tensor) -> float:
    """Half the sum over modes of the difference of their shares, mean over states."""
    nearest = known.problem.modes(known.states, known.cells)
    total = torch.zeros(len(p), dtype=p.dtype)
    for k in range(int(nearest.max()) + 1):
        total += ((p - q) * (nearest == k)).sum(dim=1).abs() / 2
    return float(total.mean())


def of_model(model: EnergyModel) -> LogDensity:
    """F of an energy model."""

    @torch.no_grad()
    def log_density(states: Tensor, cells: Tensor) -> Tensor:
        x, a = states.float(), cells.float()
        return torch.cat([model(row[None, None], a[None]) for row in x]).double()

    return log_density


def draws(known: Truth, model: EnergyModel, *, generator: torch.Generator) -> dict[str, float]:
    """Total variation of draws by chains to the model, and of as many exact draws."""
    if known.problem.action_dim > 2:
        return {}
    states = known.states[:_DRAW_STATES]
    log_q = normalised(of_model(model)(states, known.cells), known.log_volume)
    mass = (log_q + known.log_volume).exp()
    low, high = known.cells.amin(dim=0), known.cells.amax(dim=0)

    def bins(a: Tensor) -> Tensor:
        place = ((a - low) / (high - low) * _BINS).long().clamp(0, _BINS - 1)
        return place @ torch.tensor([_BINS**i for i in range(a.shape[-1])])

    bins_of_cells, count = bins(known.cells), _BINS ** known.cells.shape[1]
    expected = torch.zeros(len(states), count, dtype=torch.float64)
    expected.index_add_(1, bins_of_cells, mass)

    def variation(drawn: Tensor) -> float:
        share = torch.zeros_like(expected)
        share.scatter_add_(1, drawn, torch.full(drawn.shape, 1 / _DRAWS, dtype=torch.float64))
        return float((share - expected).abs().sum(dim=1).mean() / 2)

    sampler = SGLD(alpha=0.15, steps=100)
    x = states.float().repeat_interleave(_DRAWS, dim=0)
    start = torch.empty(len(x), known.cells.shape[1]).normal_(generator=generator)
    ends = run_chain(sampler, model.score(x), start, generator=generator).actions
    exact = torch.multinomial(mass, _DRAWS, replacement=True, generator=generator)
    return {
        "tv": variation(bins(ends.double().view(len(states), _DRAWS, -1))),
        "tv_floor": variation(bins_of_cells[exact]),
    }
