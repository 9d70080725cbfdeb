"""Conditional densities that are known exactly: problems to learn, and the judge's truth.

Every problem is a mixture of products of skew-normal laws (Azzalini, "A class of distributions
which includes the normal ones", 1985),

    p(a | x) = sum_k w_k(x) prod_i (2 / s_ki) phi(z_ki) Phi(l_ki z_ki),    z_ki = (a_i - m_ki)/s_ki,

whose density, sampler and mean are closed forms; with l = 0 a factor is Gaussian. States and
actions are standardised by constants of the problem, never by those of a training set, so that
settings mean the same for every training set.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from ebmlib import checks, seeding
from ebmlib.demonstrations.dataset import DemonstrationConfig, load_demonstrations
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import InputError

SIZES = (256, 2048)
"""Pairs of a training set: a small and a large one."""

_REFERENCE = 4096  # states and actions from which units and box are taken
_CELLS = {1: 512, 2: 48}  # of an axis
_POINTS = 8192  # quasi-random, for d = 3
_MARGIN = 0.35  # of the width of the reference actions, on each side


@dataclass(frozen=True, eq=False)
class Law:
    """The mixtures of n states.

    Attributes:
        log_weights: log w, (n, K); rows sum to 1 after exp.
        location, scale, skew: m, s and l, (n, K, d).
    """

    log_weights: Tensor
    location: Tensor
    scale: Tensor
    skew: Tensor

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log p(a | x) in nats, (n, g), for actions (n, g, d), or (1, g, d) for all states."""
        total = self.log_weights[:, None].expand(-1, actions.shape[1], -1)
        for i in range(actions.shape[2]):
            m, s, skew = (part[:, None, :, i] for part in (self.location, self.scale, self.skew))
            z = (actions[..., i, None] - m) / s
            one = -z.square() / 2 - s.log() - math.log(2 * math.pi) / 2
            if bool((skew != 0).any()):
                one = one + math.log(2) + torch.special.log_ndtr(skew * z)
            total = total + one
        return total.logsumexp(dim=2)

    def sample(self, *, generator: torch.Generator) -> Tensor:
        """One action of every state, (n, d): m + s (r |u| + sqrt(1 - r^2) v), r = l/sqrt(1+l^2)."""
        k = torch.multinomial(self.log_weights.exp(), 1, generator=generator)[..., None]
        m, s, skew = (
            part.gather(1, k.expand(-1, 1, part.shape[2]))[:, 0]
            for part in (self.location, self.scale, self.skew)
        )
        u, v = torch.empty((2, *m.shape), dtype=m.dtype).normal_(generator=generator)
        r = skew / (1 + skew.square()).sqrt()
        return m + s * (r * u.abs() + (1 - r.square()).sqrt() * v)

    def mean(self) -> Tensor:
        """E[a | x], (n, d)."""
        r = self.skew / (1 + self.skew.square()).sqrt()
        each = self.location + self.scale * r * math.sqrt(2 / math.pi)
        return (self.log_weights.exp()[..., None] * each).sum(dim=1)

    def smoothed(self, sigma: float) -> Law:
        """The law of a + N(0, sigma^2 I); known here for Gaussian factors only.

        Raises:
            InputError: a factor is skewed.
        """
        if bool((self.skew != 0).any()):
            raise InputError("A skewed law plus noise is not of this family; take a Gaussian one.")
        wider = (self.scale.square() + sigma**2).sqrt()
        return Law(self.log_weights, self.location, wider, self.skew)

    def scaled(self, shift: Tensor, unit: Tensor) -> Law:
        """The law of (a - shift) / unit."""
        return Law(self.log_weights, (self.location - shift) / unit, self.scale / unit, self.skew)


@dataclass(frozen=True, eq=False)
class Problem:
    """A conditional density with its states.

    Attributes:
        name: of the problem.
        state_dim, action_dim: dimensions of x and a.
        raw_states: n and a generator -> states (n, d_x) in the problem's own units, float64.
        raw_law: states in own units -> their law in own units.
        parts: whether a component is a mode whose share of the mass is asked for.
        about: the problem in a phrase.
    """

    name: str
    state_dim: int
    action_dim: int
    raw_states: Callable[[int, torch.Generator], Tensor]
    raw_law: Callable[[Tensor], Law]
    parts: bool
    about: str

    @cached_property
    def _units(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        generator = seeding.generator(0, f"benchmark/{self.name}/units")
        x = self.raw_states(_REFERENCE, generator)
        a = self.raw_law(x).sample(generator=generator)
        unit = a.var(dim=0, correction=0).mean().sqrt()
        away = (a - a.mean(dim=0)) / unit
        low, high = away.amin(dim=0), away.amax(dim=0)
        margin = _MARGIN * (high - low)
        return x.mean(dim=0), x.std(dim=0), a.mean(dim=0), unit, low - margin, high + margin

    def law(self, states: Tensor) -> Law:
        """The law of standardised actions at standardised states (n, d_x)."""
        x_mean, x_unit, a_mean, a_unit, _, _ = self._units
        return self.raw_law(states.double() * x_unit + x_mean).scaled(a_mean, a_unit)

    def states(self, n: int, *, generator: torch.Generator) -> Tensor:
        """Standardised states (n, d_x), float64."""
        x_mean, x_unit, *_ = self._units
        return (self.raw_states(n, generator) - x_mean) / x_unit

    def pairs(self, n: int, *, generator: torch.Generator) -> Pairs:
        """A training set of n independent pairs, standardised, float32."""
        x = self.states(checks.count("pairs", n), generator=generator)
        a = self.law(x).sample(generator=generator)
        return Pairs(x.float(), a.float(), torch.arange(n))

    def cells(self) -> tuple[Tensor, float]:
        """Points (g, d) that stand for all actions, float64, and the log of the volume of each.

        Centres of a grid for d = 1 and 2; a scrambled Sobol sequence in the same box for d = 3.
        """
        *_, low, high = self._units
        d = self.action_dim
        if d > 2:
            unit = torch.quasirandom.SobolEngine(d, scramble=True, seed=0).draw(
                _POINTS, dtype=torch.float64
            )
            return low + (high - low) * unit, float((high - low).log().sum()) - math.log(_POINTS)
        n = _CELLS[d]
        place = (torch.arange(n, dtype=torch.float64) + 0.5) / n
        axes = [lo + (hi - lo) * place for lo, hi in zip(low, high, strict=True)]
        grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, d)
        return grid, float(((high - low) / n).log().sum())

    def modes(self, states: Tensor, actions: Tensor) -> Tensor:
        """Number of the component nearest to actions (g, d), in its widths, (n, g)."""
        law = self.law(states)
        z = (actions[None, :, None] - law.location[:, None]) / law.scale[:, None]
        return z.square().sum(dim=3).argmin(dim=2)


def _uniform(low: float, high: float, d: int) -> Callable[[int, torch.Generator], Tensor]:
    def draw(n: int, generator: torch.Generator) -> Tensor:
        unit = torch.rand((n, d), generator=generator, dtype=torch.float64)
        return low + (high - low) * unit

    return draw


def _law(weights: Tensor, location: Tensor, scale: Tensor, skew: Tensor | None = None) -> Law:
    shape = location.shape
    zero = torch.zeros(shape, dtype=location.dtype)
    return Law(weights.log(), location, scale.expand(shape), zero if skew is None else skew)


def _constant(values: list[float], n: int) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).expand(n, -1)


def _fork(x: Tensor) -> Law:
    """Two ways around an obstacle, taken with the shares 0.7 and 0.3; they part as x_1 grows."""
    angle = 0.35 + 0.45 * (x[:, 0] + 1)
    turn = 0.8 * x[:, 1]
    both = torch.stack([turn + angle, turn - angle], dim=1)
    location = torch.stack([both.cos(), both.sin()], dim=2)
    return _law(_constant([0.7, 0.3], len(x)), location, torch.tensor(0.16).double())


def _skewed(x: Tensor) -> Law:
    """One action, its noise skewed and growing sixfold along x_1."""
    scale = 0.15 * 6 ** ((x[:, :1] + 1) / 2)
    location = (torch.sin(2 * x[:, :1]) + 0.5 * x[:, 1:])[:, None]
    skew = torch.full_like(location, 4.0) * torch.sign(x[:, 1:])[:, None]
    return _law(_constant([1.0], len(x)), location, scale[:, None], skew)


def _ring(x: Tensor) -> Law:
    """One curved mode: half a circle whose opening turns with the state."""
    k = torch.linspace(-0.5 * math.pi, 0.5 * math.pi, 24, dtype=torch.float64)
    angle = 0.75 * math.pi * x + k
    location = torch.stack([angle.cos(), angle.sin()], dim=2)
    weights = torch.full((len(x), len(k)), 1 / len(k), dtype=torch.float64)
    return _law(weights, location, torch.tensor(0.15).double())


def _regression(x: Tensor) -> Law:
    """A mixture of two for x < 0, a skewed law for x > 0, as tests of energy regression have it.

    Behind it are two components; right of 0 both are the same skewed law.
    """
    left = (x[:, 0] < 0)[:, None, None]
    wave = torch.sin(1.5 * x)[:, None]
    apart = torch.tensor([0.9, -0.6]).double()[None, :, None]
    location = torch.where(left, wave + apart, 0.6 * x[:, None].expand(-1, 2, -1) - 0.6)
    scale = torch.where(left, torch.tensor(0.2).double(), torch.tensor(0.9).double())
    skew = torch.where(left, 0.0, 6.0).double().expand(location.shape)
    weights = torch.where(x < 0, _constant([0.6, 0.4], len(x)), _constant([0.5, 0.5], len(x)))
    return _law(weights, location, scale, skew)


def _cube(x: Tensor) -> Law:
    """Three dimensions, two modes of unequal shape."""
    one = torch.stack([x[:, 0], x[:, 1], torch.sin(2 * x[:, 0])], dim=1)
    two = torch.stack([-x[:, 1], 1.5 + 0 * x[:, 0], -x[:, 0]], dim=1)
    scale = torch.tensor([[0.35, 0.35, 0.5], [0.3, 0.5, 0.3]]).double()
    return _law(_constant([0.65, 0.35], len(x)), torch.stack([one, two], dim=1), scale)


def _circle() -> Problem:
    """The demonstrations of circle: noisy copies of a path have a mixture for their density.

    See :mod:`ebmlib.evaluation.data_density`. Pairs are drawn one by one here, each with noise of
    its own; in a demonstration neighbours share theirs.
    """
    data = load_demonstrations(DemonstrationConfig("circle"))
    assert data.reference is not None
    path = torch.as_tensor(data.reference.copy(), dtype=torch.float64)
    here, following = path[1:-1], path[2:]

    def states(n: int, generator: torch.Generator) -> Tensor:
        place = torch.randint(len(here), (n,), generator=generator)
        noise = torch.empty((n, 2), dtype=torch.float64).normal_(generator=generator)
        return here[place] + data.sigma * noise

    def law(x: Tensor) -> Law:
        square = (x[:, None] - here).square().sum(dim=2)
        weights = torch.softmax(-square / (2 * data.sigma**2), dim=1).clamp(min=1e-300)
        return _law(weights, following[None] - x[:, None], torch.tensor(data.sigma).double())

    return Problem("circle", 2, 2, states, law, False, "the demonstrations of circle")


_OTHERS = (
    Problem("fork", 2, 2, _uniform(-1, 1, 2), _fork, True, "two modes of unequal weight"),
    Problem("skewed", 2, 1, _uniform(-1, 1, 2), _skewed, False, "skewed noise that grows sixfold"),
    Problem("ring", 1, 2, _uniform(-1, 1, 1), _ring, False, "one curved mode"),
    Problem(
        "regression", 1, 1, _uniform(-3, 3, 1), _regression, True, "a mixture and a skewed law"
    ),
    Problem("cube", 2, 3, _uniform(-1, 1, 2), _cube, True, "three dimensions, two modes"),
)
NAMES = ("fork", "regression", "circle", "ring", "skewed", "cube")
CLOSED = NAMES[:5]
"""Those judged on a grid; ``cube`` is judged on quasi-random points."""


@lru_cache(maxsize=8)
def problem(name: str) -> Problem:
    """A problem by its name.

    Raises:
        InputError: there is none of that name.
    """
    checks.one_of("problem", name, NAMES)
    if name == "circle":
        return _circle()
    return next(each for each in _OTHERS if each.name == name)
