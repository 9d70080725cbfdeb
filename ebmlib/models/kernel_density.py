"""A conditional kernel density of the demonstrated actions: closed form, no training.

It says how wide a density of these data should be (its widths are chosen by leaving one
demonstration out), and it is what a trained energy has to beat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ebmlib.errors import InputError

_LADDER = (2.0, 1.41, 1.19)
"""Factors by which widths are varied, coarse to fine."""
_NARROWEST, _WIDEST = 0.01, 4.0
_VALUES_AT_ONCE = 1 << 21
_QUERIES = 200
ALONE = 3.0
"""A state stands alone at this many times the typical distance to the other demonstrations."""
BRANCH = 0.2


@dataclass(frozen=True, eq=False)
class KernelDensity:
    """Each demonstrated pair votes for its action, weighed by how near its state is.

        p(a | x) = sum_j w_j(x) N(a; a_j, C_j),      w_j(x) ~ exp(-|z(x) - z(x_j)|^2 / (2 h^2)),

    with states z standardised per dimension (Nadaraya 1964; Rosenblatt, "Conditional probability
    density and regression estimators", 1969). C_j = s^2 I, or, ``oriented``, the variance is s^2
    along a_j and c^2 across it, since people vary in speed more than in direction.

    Attributes:
        states: (n, d_x), standardised.
        actions: (n, d), divided by ``action_scale``.
        state_mean, state_scale: (d_x,), which standardise states.
        action_scale: the isotropic spread of the actions: root mean square over the dimensions
            of their standard deviations.
        state_width: h, in units of the spread of the states.
        action_width: s, in units of ``action_scale``.
        across: c, in the same units; None for a kernel that is equal in all directions.
        nats: mean negative log density of left-out actions in units of ``action_scale``.
    """

    states: Tensor
    actions: Tensor
    state_mean: Tensor
    state_scale: Tensor
    action_scale: float
    state_width: float = 0.2
    action_width: float = 0.2
    across: float | None = None
    nats: float = math.nan

    @classmethod
    def fit(
        cls, states: Tensor, actions: Tensor, groups: Tensor, *, oriented: bool = False
    ) -> KernelDensity:
        """The density with the widths that predict a left-out demonstration best.

        A state that stands alone is not left out: it cannot be predicted from the others, and
        widths chosen for it would be too wide for all others. A state stands alone if its distance
        to the nearest one of the other demonstrations is more than :data:`ALONE` times the typical
        one (the median over demonstrations of their medians), and if its demonstration has more
        than the share :data:`BRANCH` of such states: it takes a road of its own. A demonstration
        with more than half such states stands alone as a whole.

        Args:
            states: (n, d_x).
            actions: (n, d).
            groups: (n,) the number of the demonstration of each pair.
            oriented: with two widths for actions, along and across.

        Raises:
            InputError: fewer than two demonstrations, shapes that do not fit, equal actions.
        """
        if states.ndim != 2 or actions.ndim != 2 or not len(states) == len(actions) == len(groups):
            raise InputError(
                "States (n, d_x), actions (n, d) and groups (n,) are needed, got "
                f"{tuple(states.shape)}, {tuple(actions.shape)} and {tuple(groups.shape)}."
            )
        if len(groups.unique()) < 2:
            raise InputError(
                "Widths are chosen by leaving one demonstration out: pass at least two, got "
                f"{len(groups.unique())}."
            )
        x, a = states.double(), actions.double()
        scale = x.std(dim=0, correction=0)
        scale = torch.where(scale > 0, scale, 1.0)
        spread = float(a.var(dim=0, correction=0).mean().sqrt())
        if not spread > 0:
            raise InputError("A kernel density needs actions that vary, got equal ones.")
        mean = x.mean(dim=0)
        start = cls((x - mean) / scale, a / spread, mean, scale, spread)
        best = _search(start, groups, ("state_width", "action_width"))
        if oriented:
            best = replace(best, across=best.action_width)
            best = _search(best, groups, ("state_width", "action_width", "across"))
        return best

    def log_weights(self, states: Tensor) -> Tensor:
        """Log w_j(x), (q, n), for states (q, d_x); rows sum to 1 after exp."""
        z = (states.double() - self.state_mean) / self.state_scale
        return torch.log_softmax(-_squares(z, self.states) / (2 * self.state_width**2), dim=1)

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor:
        """Log p(a | x) of pairs, (q,), in nats and the units of the actions given."""
        found = [
            (self.log_weights(x) + self._log_kernels(a.double() / self.action_scale)).logsumexp(1)
            for x, a in zip(*map(self._chunks, (states, actions)), strict=True)
        ]
        return torch.cat(found) - self.actions.shape[1] * math.log(self.action_scale)

    def mean(self, states: Tensor) -> Tensor:
        """E[a | x], (q, d): the Nadaraya-Watson regression."""
        found = [self.log_weights(x).exp() @ self.actions for x in self._chunks(states)]
        return (torch.cat(found) * self.action_scale).to(states.dtype)

    def sample(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """One action of every state, (q, d), drawn from the density."""
        chosen = torch.multinomial(self.log_weights(states).exp(), 1, generator=generator)[:, 0]
        centre = self.actions[chosen]
        xi = torch.empty_like(centre).normal_(generator=generator)
        if self.across is not None:
            along = _directions(centre)
            part = (xi * along).sum(dim=1, keepdim=True) * along
            xi = part * self.action_width + (xi - part) * self.across
        else:
            xi = xi * self.action_width
        return ((centre + xi) * self.action_scale).to(states.dtype)

    def _chunks(self, rows: Tensor) -> tuple[Tensor, ...]:
        return rows.split(max(1, _VALUES_AT_ONCE // len(self.states)))

    def _log_kernels(self, actions: Tensor) -> Tensor:
        along, across = _parts(actions, self.actions, self.across is not None)
        return self._log_of(along, across)

    def _log_of(self, along: Tensor, across: Tensor) -> Tensor:
        """Log N from the squared distances along and across the action of the kernel."""
        d, s = self.actions.shape[1], self.action_width
        c = s if self.across is None else self.across
        constant = math.log(s) + (d - 1) * math.log(c) + d / 2 * math.log(2 * math.pi)
        return -along / (2 * s**2) - across / (2 * c**2) - constant


def _squares(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()


def _directions(actions: Tensor) -> Tensor:
    """Unit vectors along actions (n, d); the first axis for an action of no length."""
    length = actions.norm(dim=1, keepdim=True)
    axis = torch.zeros_like(actions)
    axis[:, 0] = 1
    return torch.where(length > 0, actions / length.clamp(min=1e-12), axis)


def _parts(actions: Tensor, centres: Tensor, oriented: bool) -> tuple[Tensor, Tensor]:
    """Squared distances (q, n) along the centres' own directions, and across them."""
    whole = _squares(actions, centres)
    if not oriented:
        return whole, torch.zeros_like(whole)
    direction = _directions(centres)
    along = (actions @ direction.T - (centres * direction).sum(dim=1)).square()
    return along, (whole - along).clamp(min=0)


def _left_out(states: Tensor, groups: Tensor) -> Tensor:
    """Rows (q,) of the pairs that are predicted from the other demonstrations."""
    gap = torch.empty(len(states), dtype=states.dtype)
    names = groups.unique()
    for name in names:
        own = groups == name
        gap[own] = torch.cdist(states[own], states[~own]).amin(dim=1)
    typical = torch.stack([gap[groups == name].median() for name in names]).median()
    alone = gap > ALONE * typical
    kept = torch.ones_like(alone)
    for name in names:
        own = groups == name
        if gap[own].median() > ALONE * typical:
            kept[own] = False
        elif alone[own].double().mean() > BRANCH:
            kept[own] = ~alone[own]
    rows = kept.nonzero()[:, 0]
    return rows[:: max(1, len(rows) // _QUERIES)]


def _search(start: KernelDensity, groups: Tensor, names: tuple[str, ...]) -> KernelDensity:
    """Coordinate descent over the logarithms of the widths, coarse to fine."""
    rows = _left_out(start.states, groups)
    same = groups[rows, None] == groups[None]
    squares = _squares(start.states[rows], start.states).masked_fill(same, math.inf)
    oriented = "across" in names
    along, across = _parts(start.actions[rows], start.actions, oriented)
    weights: dict[float, Tensor] = {}

    def nats(kernel: KernelDensity) -> float:
        h = kernel.state_width
        if h not in weights:
            weights[h] = torch.log_softmax(-squares / (2 * h**2), dim=1)
        return -float((weights[h] + kernel._log_of(along, across)).logsumexp(dim=1).mean())

    best = replace(start, nats=nats(start))
    for factor in _LADDER:
        moved = True
        while moved:
            moved = False
            for name in names:
                for width in (getattr(best, name) * factor, getattr(best, name) / factor):
                    if not _NARROWEST <= width <= _WIDEST:
                        continue
                    other = replace(best, **{name: width})
                    other = replace(other, nats=nats(other))
                    if other.nats < best.nats - 1e-6:
                        best, moved = other, True
                        break
    return best
