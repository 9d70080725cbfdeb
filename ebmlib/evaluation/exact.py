"""The exact conditional density on a grid of actions, for one to three dimensions.

An action has so few dimensions that the partition function is a sum,

    log Z(x) = log sum_g exp f(x, a_g) + d log h,        h the grid spacing,

so likelihood, divergences and the maximum-likelihood gradient are available without a sampler.
The sum's error falls quadratically with h for networks with ReLU layers: halve the spacing to
check, and look at :meth:`GridDensity.border_mass`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ebmlib import memory
from ebmlib.arrays import as_tensor
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import InputError
from ebmlib.models.energy import EnergyModel, evaluating
from ebmlib.models.grid import Grid

__all__ = [
    "Grid",
    "GridDensity",
    "density",
    "likelihood_gradient",
    "log_likelihood",
    "model_density",
]

_VALUES_AT_ONCE = 1 << 17  # (state, grid point) pairs evaluated together: 64 MB at h_dim = 128


@dataclass(frozen=True)
class GridDensity:
    """p(a | x) of n states on a grid.

    Attributes:
        grid: the grid.
        log_p: log density at the cells, shape (n, points^d).
        log_z: log Z(x), shape (n,).
    """

    grid: Grid
    log_p: Tensor
    log_z: Tensor

    @property
    def mass(self) -> Tensor:
        """Probability of every cell, shape (n, points^d); rows sum to 1."""
        return (self.log_p + self.grid.d * math.log(self.grid.spacing)).exp()

    def mean(self) -> Tensor:
        """E[a | x], shape (n, d): the exact EXP action."""
        return self.mass @ self.grid.actions(self.log_p)

    def covariance(self) -> Tensor:
        """Cov[a | x], shape (n, d, d)."""
        away = self.grid.actions(self.log_p)[None] - self.mean()[:, None]
        return torch.einsum("ng,ngi,ngj->nij", self.mass, away, away)

    def mode(self) -> Tensor:
        """Where p(a | x) is largest, to a cell, shape (n, d): the exact ML action."""
        return self.grid.actions(self.log_p)[self.log_p.argmax(dim=1)]

    def entropy(self) -> Tensor:
        """-E log p, nats, shape (n,)."""
        return -(self.mass * self.log_p).sum(dim=1)

    def border_mass(self) -> Tensor:
        """Mass of the outermost cells, shape (n,): near 0, or the grid is too small."""
        points = self.grid.points
        mass = self.mass.reshape(-1, *[points] * self.grid.d)
        inner = mass[(slice(None), *[slice(1, -1)] * self.grid.d)]
        return 1 - inner.flatten(1).sum(dim=1)

    def kl(self, other: GridDensity) -> Tensor:
        """KL(self || other) on the same grid, nats, shape (n,)."""
        if other.grid != self.grid:
            raise InputError("KL needs both densities on one grid; evaluate them on the same Grid.")
        return (self.mass * (self.log_p - other.log_p)).sum(dim=1)

    def total_variation(self, samples: Tensor, bins: int = 20) -> Tensor:
        """Total variation to samples (n, m, d), both binned in ``bins`` cells per axis; (n,).

        Samples outside the grid count in full. Even for perfect samples it is about
        :meth:`total_variation_floor`, not 0.
        """
        p, q = self._binned(samples, bins)
        return 0.5 * (p - q).abs().sum(dim=1)

    def total_variation_floor(self, m: int, bins: int = 20) -> Tensor:
        """Expected total variation of m perfect samples, shape (n,); exact.

        A bin of probability p holds X ~ Binomial(m, p) samples, whose mean absolute deviation is

            E |X - m p| = 2 nu C(m, nu) p^nu (1 - p)^(m - nu + 1),  nu = floor(m p) + 1

        (de Moivre 1730; Diaconis and Zabell 1991), and the total variation is half the sum of
        |X / m - p| over the bins.
        """
        p = self._coarse(bins).clamp(max=1)
        nu = (m * p).floor() + 1
        choose = math.lgamma(m + 1) - torch.lgamma(nu + 1) - torch.lgamma(m - nu + 1)
        deviation = torch.xlogy(nu, p) + torch.special.xlog1py(m - nu + 1, -p) + choose
        return (nu * deviation.exp()).sum(dim=1) / m

    def kl_of_samples(self, samples: Tensor, bins: int = 20) -> Tensor:
        """KL(samples || model) over the same bins, nats, shape (n,).

        Corrected for the bias of the plug-in estimate, (occupied bins - 1) / 2 m (Miller 1955);
        infinite where samples lie outside the grid.
        """
        p, q = self._binned(samples, bins)
        plug_in = torch.xlogy(q, q / p.clamp_min(torch.finfo(p.dtype).tiny)).sum(dim=1)
        plug_in = torch.where((p == 0) & (q > 0), math.inf, 0.0).sum(dim=1) + plug_in
        return plug_in - ((q > 0).sum(dim=1) - 1) / (2 * samples.shape[1])

    def _coarse(self, bins: int) -> Tensor:
        """Model probability of bins^d cells and of the outside (0), shape (n, bins^d + 1).

        A grid cell that lies across two bins is shared out by its overlap with each.
        """
        cell = torch.arange(self.grid.points, dtype=self.log_p.dtype, device=self.log_p.device)
        edge = torch.arange(bins + 1, dtype=cell.dtype, device=cell.device)
        edge *= self.grid.points / bins  # in cells
        low, high = edge[:-1, None], edge[1:, None]
        overlap = (torch.minimum(high, cell + 1) - torch.maximum(low, cell)).clamp(min=0)
        coarse = self.mass.reshape(-1, *[self.grid.points] * self.grid.d)
        for _ in range(self.grid.d):  # every axis in turn goes to the front and comes out last
            coarse = torch.tensordot(coarse, overlap, dims=([1], [1]))
        return torch.nn.functional.pad(coarse.flatten(1), (0, 1))

    def _binned(self, samples: Tensor, bins: int) -> tuple[Tensor, Tensor]:
        if (
            samples.ndim != 3
            or samples.shape[0] != len(self.log_z)
            or samples.shape[2] != self.grid.d
        ):
            raise InputError(
                f"Samples must have shape ({len(self.log_z)}, m, {self.grid.d}), "
                f"got {tuple(samples.shape)}."
            )
        cell = self._bin_of(samples.to(self.log_p), bins)
        q = self.log_p.new_zeros((len(cell), bins**self.grid.d + 1))
        ones = torch.ones_like(cell, dtype=q.dtype)
        q.scatter_add_(1, cell, ones)
        return self._coarse(bins), q / samples.shape[1]

    def _bin_of(self, actions: Tensor, bins: int) -> Tensor:
        """Flat bin number of actions (..., d); the last number is the outside."""
        place = ((actions + self.grid.radius) / (2 * self.grid.radius) * bins).floor().long()
        outside = ((place < 0) | (place >= bins)).any(dim=-1)
        flat = place.clamp(0, bins - 1)
        number = flat[..., 0]
        for axis in range(1, self.grid.d):
            number = number * bins + flat[..., axis]
        return torch.where(outside, bins**self.grid.d, number)


@torch.no_grad()
def density(f: Callable[[Tensor], Tensor], grid: Grid, like: Tensor) -> GridDensity:
    """The density of f: actions (g, d) -> (n, g) or (g,), in ``like``'s dtype and device."""
    _demand(1, grid, like)  # at least
    values = f(grid.actions(like)).reshape(-1, grid.points**grid.d)
    log_z = values.logsumexp(dim=1) + grid.d * math.log(grid.spacing)
    return GridDensity(grid, values - log_z[:, None], log_z)


def model_density(model: EnergyModel, states: Tensor, grid: Grid) -> GridDensity:
    """p(a | x) of a model at states (n, d_x), a tensor, an array or lists of any real type.

    Raises:
        InputError: states or a grid that do not fit the model, or more cells than memory holds.

    Example:
        >>> import torch
        >>> from ebmlib import EnergyConfig, EnergyModel, Grid, model_density, seeding
        >>> model = EnergyModel(EnergyConfig(), 2, 2, generator=seeding.generator(0, "weights"))
        >>> density = model_density(model, torch.zeros(1, 2), Grid(radius=1.0, points=41))
        >>> round(float(density.mass.sum()), 4)
        1.0
    """
    _check(model, grid)
    states = _states(model, states)
    _demand(len(states), grid, states)

    def f(actions: Tensor) -> Tensor:
        return torch.cat([_values(model, x, actions) for x in _chunks(states, grid)])

    with evaluating(model):  # evaluation must not advance the power iteration
        return density(f, grid, states)


def log_likelihood(model: EnergyModel, pairs: Pairs, grid: Grid) -> Tensor:
    """Log density log p(a | x) of every pair, nats, shape (n,); differentiable."""
    _check(model, grid)
    pairs = _pairs(model, pairs, grid)
    if torch.is_grad_enabled():  # the graph holds the output of every layer at every cell
        config = model.config
        numbers = config.h_dim * (config.hidden_layers + 2) + 2 * config.z_dim
        cells = grid.points**grid.d
        memory.demand(
            numbers * cells * len(pairs.states) * pairs.states.element_size(),
            f"The differentiable likelihood of {len(pairs.states)} pairs on {cells} cells",
            "take fewer points or pairs, likelihood_gradient, or torch.no_grad() where no gradient "
            "is wanted",
            pairs.states.device,
        )
    with parametrize.cached():  # both terms, and every chunk, see the same normalised weights
        log_z = torch.cat([_log_z(model, x, grid) for x in _chunks(pairs.states, grid)])
        return model(pairs.states, pairs.actions) - log_z


def likelihood_gradient(model: EnergyModel, pairs: Pairs, grid: Grid) -> dict[str, Tensor]:
    """The exact gradient of -mean log p(a | x) by every parameter, by name.

    This is what contrastive divergence approximates (section 3.4): grad mean log Z - grad mean f.
    """
    _check(model, grid)
    pairs = _pairs(model, pairs, grid)
    names, parameters = zip(*model.named_parameters(), strict=True)
    total = [torch.zeros_like(p) for p in parameters]
    n = len(pairs.states)
    parts = zip(_chunks(pairs.states, grid), _chunks(pairs.actions, grid), strict=True)
    with evaluating(model):
        for states, actions in parts:
            pieces: tuple[Tensor | None, ...]
            if grid.points**grid.d <= _VALUES_AT_ONCE:
                loss = (_log_z(model, states, grid) - model(states, actions)).sum() / n
                pieces = torch.autograd.grad(loss, parameters, allow_unused=True)
            else:
                level = torch.autograd.grad(
                    model(states, actions).sum(), parameters, allow_unused=True
                )
                level_of_z = _gradient_of_log_z(model, states, grid, parameters)
                pieces = tuple(
                    None if z is None else (z if f is None else z - f) / n
                    for z, f in zip(level_of_z, level, strict=True)
                )
            total = [t if g is None else t + g for t, g in zip(total, pieces, strict=True)]
    return dict(zip(names, total, strict=True))


def _log_z(model: EnergyModel, states: Tensor, grid: Grid) -> Tensor:
    values = _values(model, states, grid.actions(states))
    return values.logsumexp(dim=1) + grid.d * math.log(grid.spacing)


def _values(model: EnergyModel, states: Tensor, actions: Tensor) -> Tensor:
    """Values f of states (n, d_x) at all actions (g, d), shape (n, g).

    Without gradients, a grid that is too large to be evaluated at once is split into pieces.
    """
    x, pieces = states[:, None], actions[None].split(_VALUES_AT_ONCE, dim=1)
    if len(pieces) == 1 or torch.is_grad_enabled():
        return model(x, actions[None])
    return torch.cat([model(x, piece) for piece in pieces], dim=1)


def _gradient_of_log_z(
    model: EnergyModel, states: Tensor, grid: Grid, parameters: Sequence[nn.Parameter]
) -> list[Tensor | None]:
    """The gradient of the sum of log Z over states, one piece of the grid after another.

    grad log Z(x) = sum_g p(a_g | x) grad f(x, a_g) h^d.
    """
    actions = grid.actions(states)
    with torch.no_grad():
        mass = _values(model, states, actions).softmax(dim=1)
    total: list[Tensor | None] = [None] * len(parameters)
    for p, piece in zip(
        mass.split(_VALUES_AT_ONCE, 1), actions.split(_VALUES_AT_ONCE), strict=True
    ):
        f = model(states[:, None], piece[None])
        found = torch.autograd.grad((p * f).sum(), parameters, allow_unused=True)
        total = [
            g if t is None else t if g is None else t + g for t, g in zip(total, found, strict=True)
        ]
    return total


def _states(model: EnergyModel, states: Tensor) -> Tensor:
    states = as_tensor("States", states, model.like)
    if states.ndim != 2 or states.shape[1] != model.state_dim:
        raise InputError(
            f"States must have shape (n, {model.state_dim}), got {tuple(states.shape)}."
        )
    return states


def _pairs(model: EnergyModel, pairs: Pairs, grid: Grid) -> Pairs:
    """The pairs as the model takes them; memory must hold the density of one state."""
    states, actions = _states(model, pairs.states), as_tensor("Actions", pairs.actions, model.like)
    if actions.shape != (len(states), grid.d):
        raise InputError(
            f"Actions must have shape ({len(states)}, {grid.d}), one for every state, got "
            f"{tuple(actions.shape)}."
        )
    _demand(1, grid, states)
    return Pairs(states, actions, pairs.ids)


def _demand(n: int, grid: Grid, like: Tensor) -> None:
    """Refuse densities of n states (values and logarithms, twice) that memory does not hold."""
    cells = grid.points**grid.d
    memory.demand(
        (3 * n + 2 * grid.d) * cells * like.element_size(),
        f"The density of {n} states on {cells} cells",
        "take fewer points, or fewer states at once",
        like.device,
    )


def _chunks(rows: Tensor, grid: Grid) -> tuple[Tensor, ...]:
    return rows.split(max(1, _VALUES_AT_ONCE // grid.points**grid.d))


def _check(model: EnergyModel, grid: Grid) -> None:
    if model.action_dim != grid.d:
        raise InputError(
            f"The model's actions have {model.action_dim} dimensions and the grid {grid.d}; "
            "make the grid with d of the model."
        )
