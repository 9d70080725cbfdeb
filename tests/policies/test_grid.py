"""Actions from the density on a grid, against exact means, masses and moments."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from support import STANDARD_ERRORS, assert_mean, assert_variance

from ebmlib import (
    DemonstrationConfig,
    InputError,
    StateFeatures,
    load_demonstrations,
    recipe,
    rollout,
    seeding,
)
from ebmlib.evaluation.metrics import dtw_per_point
from ebmlib.policies.grid import ActionGrid, Committed, GridDraw, GridEXP, GridML, modes_of


@dataclass(frozen=True)
class Mixture:
    """f(x, a) = log of a mixture of round Gaussians, moved by the state; unnormalised by 5."""

    weights: torch.Tensor
    means: torch.Tensor
    width: float

    def __call__(self, x, a):
        away = a[..., None, :] - self.means - x[..., None, :]
        return (self.weights.log() - away.square().sum(-1) / (2 * self.width**2)).logsumexp(-1) + 5


TWO = Mixture(torch.tensor([0.3, 0.7]), torch.tensor([[0.0, 1.0], [0.4, -0.5]]), 0.1)
STATES = torch.tensor([[0.0, 0.0], [0.05, -0.02]])


def grid_of(mixture, width=None):
    g = seeding.generator(0, "grid")
    which = torch.arange(len(mixture.means)).repeat(200)
    noise = torch.empty(len(which), mixture.means.shape[1]).normal_(generator=g)
    actions = mixture.means[which] + 1.5 * mixture.width * noise
    return ActionGrid.around(actions, width or mixture.width)


def draws_of(policy, state, n=20_000):
    return policy.act(state.expand(n, -1), generator=seeding.generator(1, "draws"))


def test_expectation_is_exact_at_one_and_a_half_cells_per_noise_width():
    exact = TWO.weights @ TWO.means + STATES
    found = GridEXP(TWO, grid_of(TWO)).act(STATES, generator=torch.Generator())
    torch.testing.assert_close(found, exact, atol=2e-3, rtol=0)


def test_many_states_that_are_evaluated_in_parts_keep_their_own_expectations():
    grid, g = grid_of(TWO), seeding.generator(2, "states")
    states = 0.1 * torch.empty(900, 2).normal_(generator=g)
    asked = []

    def counted(x, a):
        asked.append(len(x) if x.ndim == 2 else 0)
        return TWO(x, a)

    found = GridEXP(counted, grid).act(states, generator=torch.Generator())
    torch.testing.assert_close(found, TWO.weights @ TWO.means + states, atol=5e-3, rtol=0)
    assert len(asked) > 3 and max(asked) <= 4096, "some parts, none of which fills the memory"


def test_the_sum_over_a_grid_has_the_error_that_is_stated():
    """Of a Gaussian's integral at spacing 1.5 w: 2 exp(-2 pi^2 / 1.5^2) at worst."""
    w, h = 1.0, 1.5
    shifts = np.linspace(0, h, 50)
    cells = h * np.arange(-20, 21)
    sums = h * np.exp(-((cells[:, None] + shifts) ** 2) / 2).sum(0) / math.sqrt(2 * math.pi)
    stated = 2 * math.exp(-2 * math.pi**2 * (w / h) ** 2)
    assert np.abs(sums - 1).max() == pytest.approx(stated, rel=0.05)


def test_draws_have_the_moments_of_the_density():
    one = Mixture(torch.ones(1), torch.tensor([[0.2, -0.1]]), 0.1)
    draws = draws_of(GridDraw(one, grid_of(one)), STATES[:1])
    assert_mean(draws, one.means[0])
    assert_variance(draws, 0.01)


def test_most_probable_action_is_the_heavier_mode_to_a_hundredth_of_its_width():
    found = GridML(TWO, grid_of(TWO)).act(STATES, generator=torch.Generator())
    torch.testing.assert_close(found, TWO.means[1] + STATES, atol=0.1 * TWO.width, rtol=0)


def test_modes_have_the_exact_masses_and_means():
    grid = grid_of(TWO)
    modes = modes_of(GridEXP(TWO, grid).mass(STATES), grid)
    assert modes.state.tolist() == [0, 0, 1, 1]
    order = modes.mean[:, 1].argsort(descending=True)
    for state in (0, 1):
        own = [int(k) for k in order if modes.state[k] == state]
        torch.testing.assert_close(modes.mass[own], TWO.weights, atol=2e-3, rtol=0)
        torch.testing.assert_close(modes.mean[own], TWO.means + STATES[state], atol=5e-3, rtol=0)


def test_a_shoulder_is_no_mode():
    near = Mixture(torch.tensor([0.5, 0.5]), torch.tensor([[0.0, 0.0], [0.25, 0.0]]), 0.1)
    grid = grid_of(near)
    assert len(modes_of(GridEXP(near, grid).mass(STATES), grid).state) == len(STATES)


def test_a_road_is_drawn_by_its_mass_and_is_none_between():
    drawn = draws_of(Committed(TWO, grid_of(TWO)), STATES[:1])
    first = (drawn - TWO.means[0]).norm(dim=1) < 0.1
    second = (drawn - TWO.means[1]).norm(dim=1) < 0.1
    assert (first | second).all()
    assert_mean(first.float(), 0.3)


def test_a_committed_rollout_keeps_its_road_while_there_are_several():
    walk = Committed(TWO, grid_of(TWO)).remembering()
    g, states = seeding.generator(0, "walk"), STATES[:1].expand(300, 2)
    first = walk.act(states, generator=g)
    for _ in range(5):
        torch.testing.assert_close(walk.act(states, generator=g), first)
    fresh = Committed(TWO, grid_of(TWO)).remembering().act(states, generator=g)
    assert not torch.equal(fresh, first)


def test_where_there_is_one_mode_the_road_is_the_expectation():
    one = Mixture(torch.ones(1), torch.tensor([[0.2, -0.1]]), 0.1)
    grid = grid_of(one)
    policy, walk = GridEXP(one, grid), Committed(one, grid)
    g = torch.Generator()
    torch.testing.assert_close(walk.act(STATES, generator=g), policy.act(STATES, generator=g))


@dataclass(frozen=True)
class OfKernel:
    """f(x, a) of a kernel density: its exact log density."""

    kernel: object

    def __call__(self, x, a):
        if x.ndim == 2:  # pairs, of few states and few actions
            (x, i), (a, j) = (torch.unique(t, dim=0, return_inverse=True) for t in (x, a))
            return self(x[:, None], a[None])[i, j]
        weights = self.kernel.log_weights(x[:, 0]).exp()
        kernels = self.kernel._log_kernels(a[0].double() / self.kernel.action_scale).exp()
        return (weights @ kernels.T).clamp(min=1e-300).log().float()


@pytest.mark.slow
def test_on_the_fork_each_rollout_follows_one_road_by_the_share_of_the_demonstrations():
    """By a kernel density's exact masses; the mean of the roads sends all the same way."""
    data = load_demonstrations(DemonstrationConfig("fork", sigma=0.01, steps=40))
    kernel = recipe.kernel_density(data, StateFeatures())
    spread = math.sqrt(float(data.actions.var(axis=0).mean()))
    actions = torch.tensor(np.array(data.actions), dtype=torch.float32)
    grid = ActionGrid.around(actions, kernel.action_width * spread)
    left = [x for x in data.trajectories if x[-1, 0] < 0]
    right = [x for x in data.trajectories if x[-1, 0] > 0]
    assert len(left) == len(right) == 10
    n, shares, nearest = 100, {}, {}
    for policy in (Committed, GridEXP):
        paths = rollout(
            policy(OfKernel(kernel), grid), torch.zeros(n, 2), 40,
            generator=seeding.generator(0, "fork"),
        ).states.numpy()  # fmt: skip
        roads = np.array(
            [np.median([dtw_per_point(paths, x) for x in side], axis=0) for side in (left, right)]
        )
        shares[policy], nearest[policy] = (roads[0] < roads[1]).mean(), np.median(roads.min(axis=0))
    assert nearest[Committed] < 0.3 * dtw_per_point(left[0], right[0])
    assert nearest[Committed] < 0.8 * nearest[GridEXP]
    assert shares[GridEXP] in (0, 1)
    assert abs(shares[Committed] - 0.5) < STANDARD_ERRORS * math.sqrt(0.25 / n)


def test_neighbours_touch_and_grids_that_cannot_be_are_refused():
    grid = grid_of(TWO)
    apart = (grid.points[:, None] - grid.points[grid.neighbours]).abs().amax(dim=-1) / grid.spacing
    assert set(apart.round(decimals=3).flatten().tolist()) == {0.0, 1.0}
    by_hand = torch.cdist(grid.points, grid.points, p=torch.inf) < 1.01 * grid.spacing
    assert ((apart > 0.5).sum(dim=1) == by_hand.sum(dim=1) - 1).all()
    with pytest.raises(InputError, match="1 or 2 dimensions"):
        ActionGrid.around(torch.randn(9, 3, generator=torch.Generator()), 0.1)
    with pytest.raises(InputError, match="at most"):
        ActionGrid.around(torch.tensor([[0.0, 0.0], [1.0, 1.0]]), 1e-4)


def test_narrow_densities_anywhere_on_the_grid_keep_their_mass_and_mean():
    """As narrow as the noise, between the cells and at the border, where blocks are cut."""
    g = seeding.generator(0, "grid")
    actions = 0.5 * torch.empty(300, 2).normal_(generator=g)
    grid = ActionGrid.around(actions, 0.1)
    narrow = Mixture(torch.ones(1), torch.zeros(1, 2), 0.1)
    states = torch.cat([actions[:100], grid.points[::7]])
    whole = narrow(states[:, None], grid.points[None]).softmax(dim=1)
    evaluated = []

    def counted(x, a):
        evaluated.append(a[..., 0].numel() if x.ndim == 2 else len(x) * a.shape[1])
        return narrow(x, a)

    torch.testing.assert_close(GridEXP(counted, grid).mass(states), whole, atol=3e-3, rtol=0)
    assert sum(evaluated) < 0.5 * whole.numel(), "and the rest is not evaluated"


@pytest.mark.parametrize("shape", [(0.1, 0.1), (0.12, 0.05)], ids=["round", "along the action"])
def test_a_draw_without_its_noise_has_the_variance_that_is_stated(shape):
    """Of N(m, v) with noise w^2: variance v + w^2 before, v^2 / (v + w^2) after the jump."""
    w, v = np.array(shape), 0.15**2
    mean = torch.tensor([4.0, 0.0])  # so far from 0 that all actions have nearly its direction
    smoothed = torch.tensor(v + w**2)

    def f(x, a):
        return -((a - mean).square() / (2 * smoothed)).sum(dim=-1) + 0 * x[..., 0]

    actions = mean + 0.3 * torch.empty(400, 2).normal_(generator=seeding.generator(0, "a"))
    draws = draws_of(GridDraw(f, ActionGrid.around(actions, 0.1), noise=shape), STATES[:1])
    assert_mean(draws[:, 1], mean[1])
    for i in (0, 1):
        stated = v**2 / (v + w[i] ** 2)
        assert float(draws[:, i].var()) == pytest.approx(stated, rel=0.06)
