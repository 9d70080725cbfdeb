"""Actions from the density itself, on a grid around the demonstrated actions; no chains.

A model that was trained with noise of standard deviation w on its actions is as smooth as that
noise. The sum over a grid of spacing h of a Gaussian of standard deviation w, times h, is its
integral up to a relative error of

    2 exp(-2 pi^2 (w / h)^2)

(Poisson's summation formula): 3e-4 at h = 1.5 w. A few hundred actions therefore give E[a | x]
exactly where chains give an estimate, and show every mode that is wider than a cell.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from ebmlib import checks
from ebmlib.errors import InputError
from ebmlib.models.energy import EnergyModel

SPACING = 1.5  # noise widths per cell
REACH = 3.0  # noise widths around a demonstrated action
SEPARATE = 0.1  # modes are separate below this share of the largest mass
_MOST_CELLS = 20_000
_SMALL = 128  # cells: a smaller grid is evaluated whole
_BLOCK = 3  # cells of a block in every direction
_BELOW = 14.0  # nats: blocks whose centre is lower than the best one by more hold no mass
_CANDIDATES = 32  # of one draw
_AT_ONCE = 4096  # pairs: what a layer of the network makes of them stays in a core's cache


@dataclass(frozen=True, eq=False)
class ActionGrid:
    """The cells of a square grid that lie near demonstrated actions.

    Attributes:
        points: centres of the cells, (g, d).
        spacing: width of a cell.
    """

    points: Tensor
    spacing: float
    neighbours: Tensor = field(init=False, repr=False)
    """(g, 3^d - 1) which cells touch a cell; its own number where there is none."""
    block: Tensor = field(init=False, repr=False)
    """(g,) which block of 3^d cells a cell belongs to."""
    centre: Tensor = field(init=False, repr=False)
    """(b,) the cell of every block that is nearest to the middle of the block."""

    def __post_init__(self) -> None:
        checks.positive("spacing", self.spacing)
        object.__setattr__(self, "neighbours", _neighbours(self.points, self.spacing))
        block, centre = _blocks(self.points, self.spacing)
        object.__setattr__(self, "block", block)
        object.__setattr__(self, "centre", centre)

    @classmethod
    def around(cls, actions: Tensor, width: float) -> ActionGrid:
        """The cells of width ``SPACING * width`` within ``REACH * width`` of an action.

        Args:
            actions: the demonstrated ones, (n, d) with d of 1 or 2.
            width: w, standard deviation of the noise on actions, in their units.

        Raises:
            InputError: other dimensions, or a width so small that the grid has too many cells.
        """
        checks.positive("width", width)
        d = actions.shape[1]
        if d not in (1, 2):
            raise InputError(f"A grid has 1 or 2 dimensions, got actions of {d}: use chains.")
        h = SPACING * width
        low = actions.amin(dim=0) - REACH * width
        cells = ((actions.amax(dim=0) + REACH * width - low) / h).ceil().long() + 1
        if int(cells.prod()) > _MOST_CELLS:
            raise InputError(
                f"A grid of cells as narrow as {h:.2g} would have {int(cells.prod())}, at most "
                f"{_MOST_CELLS}: add noise to the actions (data_noise) or use chains."
            )
        axes = [low[i] + h * torch.arange(int(cells[i])).to(low) for i in range(d)]
        points = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, d)
        near = torch.cdist(points, actions).amin(dim=1) < REACH * width
        return cls(points[near], h)


def _places(points: Tensor, spacing: float) -> Tensor:
    return (points / spacing).sub((points / spacing)[:1]).round().long()


def _blocks(points: Tensor, spacing: float) -> tuple[Tensor, Tensor]:
    places = _places(points, spacing)
    _, block = torch.unique(places.div(_BLOCK, rounding_mode="floor"), dim=0, return_inverse=True)
    off = (places.remainder(_BLOCK) - _BLOCK // 2).square().sum(dim=1)
    order = off.argsort(descending=True, stable=True)  # of equal numbers the last is written
    centre = torch.zeros(int(block.max()) + 1, dtype=torch.long)
    centre[block[order].cpu()] = order.cpu()
    return block, centre.to(points.device)


def _neighbours(points: Tensor, spacing: float) -> Tensor:
    """Which cells touch a cell, (g, 3^d - 1), ascending; its own number in what is left over."""
    places = _places(points, spacing)
    g, d = places.shape
    places = places - places.amin(dim=0) + 1  # a margin of one cell, so that numbers are unique
    sides = [int(side) + 2 for side in places.amax(dim=0)]
    strides = [math.prod(sides[i + 1 :]) for i in range(d)]
    number = (places * torch.tensor(strides, device=points.device)).sum(dim=1)
    sorted_, order = number.sort()
    found = []
    for offsets in itertools.product((-1, 0, 1), repeat=d):
        if any(offsets):
            beside = number + sum(o * stride for o, stride in zip(offsets, strides, strict=True))
            at = torch.searchsorted(sorted_, beside).clamp(max=g - 1)
            found.append(torch.where(sorted_[at] == beside, order[at], g))
    own = torch.arange(g, device=points.device)[:, None]
    touch = torch.stack(found, dim=1).sort(dim=1).values
    return torch.where(touch < g, touch, own)


@dataclass(frozen=True, eq=False)
class GridPolicy(ABC):
    """A model and the grid that its density is evaluated on.

    Attributes:
        model: the energy model.
        grid: where actions lie.
    """

    model: EnergyModel
    grid: ActionGrid

    @abstractmethod
    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`~ebmlib.policies.base.Policy`."""

    @torch.no_grad()
    def mass(self, states: Tensor) -> Tensor:
        """P(cell | x), (n, g): exp f over its sum."""
        return self.levels(states).softmax(dim=1)

    @torch.no_grad()
    def levels(self, states: Tensor) -> Tensor:
        """F(x, centre of a cell), (n, g); minus infinity where there is no mass.

        Of a larger grid the centres of blocks are evaluated first, and then the cells of those
        blocks that are not far below the best one: no cell is farther than sqrt(2) cells, or 2.1
        widths of the noise that smoothed the density, from its block's centre, and twice as far at
        the border of the grid, where the middle of a block may be missing.
        """
        points = self.grid.points
        if len(points) <= _SMALL:
            return self._f(states, points[None])
        rough = self._f(states, points[self.grid.centre][None])  # (n, b)
        kept = (rough > rough.amax(dim=1, keepdim=True) - _BELOW)[:, self.grid.block]
        rows, cells = kept.nonzero(as_tuple=True)
        f = rough.new_full(kept.shape, -torch.inf)
        f[rows, cells] = self._in_parts(states[rows], points[cells])
        return f

    def _f(self, states: Tensor, actions: Tensor) -> Tensor:
        """Values f(x, a), (n, g), for actions (n or 1, g, d)."""
        return self.model(states[:, None], actions)

    def _in_parts(self, states: Tensor, actions: Tensor) -> Tensor:
        """Values f(x, a), (n,), of n pairs; on a CPU by parts of equal size."""
        count = -(-len(states) // _AT_ONCE)
        if count <= 1 or states.device.type != "cpu":
            return self.model(states, actions)
        parts = zip(states.chunk(count), actions.chunk(count), strict=True)
        return torch.cat([self.model(x, a) for x, a in parts])


@dataclass(frozen=True, eq=False)
class GridEXP(GridPolicy):
    """The expectation E[a | x] = sum_g a_g exp f(x, a_g) / sum_g exp f(x, a_g)."""

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`~ebmlib.policies.base.Policy`."""
        return self.mass(states) @ self.grid.points


@dataclass(frozen=True, eq=False)
class GridML(GridPolicy):
    """The most probable action: the best cell, then the best of finer grids around it."""

    @torch.no_grad()
    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`~ebmlib.policies.base.Policy`."""
        best = self.grid.points[self.levels(states).argmax(dim=1)]
        d, h = best.shape[1], self.grid.spacing
        axis = torch.linspace(-1, 1, 5).to(best)
        around = torch.stack(torch.meshgrid(*[axis] * d, indexing="ij"), dim=-1).reshape(-1, d)
        for _ in range(4):
            candidates = best[:, None] + h * around
            which = self._f(states, candidates).argmax(dim=1)
            best = candidates[torch.arange(len(best)), which]
            h = h / 2
        return best


@dataclass(frozen=True, eq=False)
class GridDraw(GridPolicy):
    """One action drawn from p(a | x), by importance resampling (Rubin 1987).

    Candidates are uniform in cells that are drawn by their mass; one of them is drawn with weights
    exp(f(x, a) - f(x, centre of its cell)), which correct for what the mass of a cell leaves out.

    A model that was trained with noise N(0, w^2 I) on its actions has the density of noisy actions.
    With ``noise`` (w along the action, v across it) the draw is moved to the mean of what it was
    before the noise,

        a + (w^2 u u^T + v^2 (I - u u^T)) grad_a f(x, a),      u = a / |a|

    (Robbins 1956; Saremi and Hyvärinen, "Neural empirical Bayes", 2019: walk-jump sampling). A
    rollout of noisy draws adds that noise at every step, which nobody drew.

    Attributes:
        noise: w and v, in the units of the actions; None leaves the draw as it is.
    """

    noise: tuple[float, float] | None = None

    @torch.no_grad()
    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`~ebmlib.policies.base.Policy`."""
        f = self.levels(states)
        cell = torch.multinomial(f.softmax(dim=1), _CANDIDATES, True, generator=generator)
        centre = self.grid.points[cell]  # (n, k, d)
        place = torch.rand(centre.shape, generator=generator, device=centre.device) - 0.5
        candidates = centre + self.grid.spacing * place.to(centre)
        weights = (self._f(states, candidates) - f.gather(1, cell)).softmax(dim=1)
        which = torch.multinomial(weights, 1, generator=generator)[:, 0]
        drawn = candidates[torch.arange(len(which)), which]
        return drawn if self.noise is None else self._without_noise(states, drawn, *self.noise)

    def _without_noise(self, states: Tensor, actions: Tensor, w: float, v: float) -> Tensor:
        with torch.enable_grad():
            a = actions.detach().requires_grad_()
            (score,) = torch.autograd.grad(self.model(states, a).sum(), a)
        u = torch.nn.functional.normalize(actions, dim=1)
        along = (score * u).sum(dim=1, keepdim=True) * u
        return actions + w**2 * along + v**2 * (score - along)


@dataclass(frozen=True, eq=False)
class Modes:
    """The modes of p(a | x) of n states, m of them in all.

    Attributes:
        state: (m,) which state a mode belongs to; ascending.
        mass: (m,) its probability; the masses of one state sum to 1.
        mean: (m, d) the expectation of the action, given that it belongs to the mode.
    """

    state: Tensor
    mass: Tensor
    mean: Tensor


def modes_of(mass: Tensor, grid: ActionGrid, separate: float = SEPARATE) -> Modes:
    """The modes of a density on a grid.

    Cells with more than ``separate`` times the largest mass of their state form the modes: those
    that touch belong to one. Every other cell belongs to the mode that a walk to the highest
    neighbour leads to. Lower peaks are not modes.

    Args:
        mass: (n, g), rows sum to 1.
        grid: its cells.
        separate: in (0, 1); modes with a higher saddle between them are one.
    """
    n, g = mass.shape
    high = mass > separate * mass.amax(dim=1, keepdim=True)
    label = _components(high, grid.neighbours)
    first = torch.where(high, label, label.amax() + 1).amin(dim=1)
    if (first == label.amax(dim=1)).all():  # one mode each, as nearly everywhere
        return Modes(torch.arange(n, device=mass.device), mass.sum(dim=1), mass @ grid.points)
    own = torch.arange(g, device=mass.device)
    reach = torch.cat([own[:, None], grid.neighbours], dim=1)  # (g, 3^d)
    # where a walk to the highest neighbour ends: jumps double in every pass
    goes = reach[own, mass[:, reach].argmax(dim=2)]
    for _ in range(max(1, g).bit_length()):
        goes = goes.gather(1, goes)
    label = torch.where(high, label, label.gather(1, goes))
    count = int(label.max()) + 1
    flat = label.flatten()
    kept = flat >= 0
    flat = flat[kept]
    state = torch.zeros(count, dtype=torch.long, device=mass.device)
    rows = torch.arange(n, device=mass.device)[:, None].expand(n, g).flatten()[kept]
    state[flat] = rows
    weights = mass.flatten()[kept]
    total = mass.new_zeros(count).index_add_(0, flat, weights)
    points = grid.points.repeat(n, 1)[kept]
    mean = mass.new_zeros(count, points.shape[1]).index_add_(0, flat, weights[:, None] * points)
    of_state = mass.new_zeros(n).index_add_(0, state, total)
    return Modes(state, total / of_state[state], mean / total[:, None])


def _components(high: Tensor, neighbours: Tensor) -> Tensor:
    """Number of the connected component of every high cell, ascending by state; -1 elsewhere."""
    n, g = high.shape
    number = torch.full((n, g), -1, dtype=torch.long)
    cells = high.cpu()
    number[cells] = torch.arange(int(cells.sum()))
    beside = number[:, neighbours.cpu()]  # (n, g, k)
    begin = number[..., None].expand_as(beside)
    edges = (begin >= 0) & (beside > begin)
    count = int(cells.sum())
    rows, columns = begin[edges].numpy(), beside[edges].numpy()
    graph = coo_array((np.ones(len(rows), dtype=bool), (rows, columns)), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    number[cells] = torch.from_numpy(labels.astype(np.int64))
    return number.to(high.device)


@dataclass(frozen=True, eq=False)
class Committed(GridPolicy):
    """One mode of several: it is drawn by its mass and kept while it exists.

    Where p(a | x) has one mode this is E[a | x]. Where it has several, E[a | x] lies between them,
    where nobody went (section 3.3 of the thesis leaves this open). Here one mode is drawn by its
    mass, and the action is the expectation within it. At the next step the rollout takes the mode
    nearest to its last action. It draws again if that mode is farther away than half the distance
    to the next mode, or if there was only one mode.

    Attributes:
        separate: see :func:`modes_of`.
    """

    separate: float = SEPARATE

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """Actions of states without a past: every mode is drawn by its mass."""
        return self.remembering().act(states, generator=generator)

    def remembering(self) -> Remembered:
        """See :class:`~ebmlib.policies.base.Remembering`."""
        return Remembered(self)

    def modes(self, states: Tensor) -> Modes:
        """The modes at states (n, d_x)."""
        return modes_of(self.mass(states), self.grid, self.separate)


class Remembered:
    """:class:`Committed` along one batch of rollouts; what they committed themselves to is kept."""

    def __init__(self, policy: Committed) -> None:
        self.policy = policy
        self._last: Tensor | None = None
        self._committed: Tensor | None = None

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """Actions (n, d) for the next states of the same n rollouts."""
        modes, n = self.policy.modes(states), len(states)
        several = torch.bincount(modes.state, minlength=n) > 1
        drawn = _by_mass(modes, n, generator)
        if self._last is not None and self._committed is not None and self._committed.any():
            away = (modes.mean - self._last[modes.state]).norm(dim=1)
            nearest = _smallest(away, modes.state, n)
            apart = away.new_full((n,), torch.inf)
            others = torch.ones(len(away), dtype=torch.bool, device=away.device)
            others[nearest] = False
            gap = (modes.mean - modes.mean[nearest][modes.state]).norm(dim=1)[others]
            apart.scatter_reduce_(0, modes.state[others], gap, "amin")
            kept = self._committed & several & (away[nearest] < apart / 2)
            drawn = torch.where(kept, nearest, drawn)
        self._last, self._committed = modes.mean[drawn], several
        return self._last


def _by_mass(modes: Modes, n: int, generator: torch.Generator) -> Tensor:
    """One mode of each state, (n,), drawn by the masses."""
    # the smallest of exponentials of rates m_k is the k-th with probability m_k
    uniform = torch.rand(len(modes.mass), generator=generator, device=modes.mass.device)
    return _smallest(-uniform.clamp(min=1e-30).log().to(modes.mass) / modes.mass, modes.state, n)


def _smallest(values: Tensor, groups: Tensor, n: int) -> Tensor:
    """The index of the smallest value of every group, (n,)."""
    least = values.new_full((n,), torch.inf).scatter_reduce_(0, groups, values, "amin")
    found = torch.zeros(n, dtype=torch.long, device=values.device)
    here = (values == least[groups]).nonzero()[:, 0]
    found[groups[here]] = here
    return found
