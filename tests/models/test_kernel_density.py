"""The conditional kernel density against sums written out, integrals and draws."""

import math

import numpy as np
import pytest
import torch
from support import assert_mean, assert_variance

from data import make_mouse
from ebmlib import Demonstrations, InputError, StateFeatures, recipe, seeding
from ebmlib.models.kernel_density import KernelDensity


def curves(demonstrations=4, n=30, noise=0.1, seed=0):
    """Demonstrations along a curve whose actions vary by ``noise``: states, actions, groups."""
    g = seeding.generator(seed, "data")
    t = torch.linspace(0, 1, n, dtype=torch.float64).repeat(demonstrations)
    xi = torch.empty(len(t), 4, dtype=torch.float64).normal_(generator=g)
    states = torch.stack([3 * t, 0.1 * torch.sin(6 * t)], dim=1) + 0.02 * xi[:, :2]
    actions = torch.stack([torch.cos(6 * t), torch.sin(6 * t)], dim=1) + noise * xi[:, 2:]
    return states, actions, torch.arange(demonstrations).repeat_interleave(n)


def by_hand(kernel, x, a):
    """Log p(a | x) of one pair, in the units of the actions."""
    z = ((x - kernel.state_mean) / kernel.state_scale).numpy()
    b = a.numpy() / kernel.action_scale
    top = bottom = 0.0
    for zj, aj in zip(kernel.states.numpy(), kernel.actions.numpy(), strict=True):
        w = math.exp(-((z - zj) ** 2).sum() / (2 * kernel.state_width**2))
        e = aj / np.linalg.norm(aj)
        s, c = kernel.action_width, kernel.across or kernel.action_width
        covariance = s**2 * np.outer(e, e) + c**2 * (np.eye(2) - np.outer(e, e))
        away = b - aj
        density = math.exp(-away @ np.linalg.solve(covariance, away) / 2)
        top += w * density / (2 * math.pi * math.sqrt(np.linalg.det(covariance)))
        bottom += w
    return math.log(top / bottom) - 2 * math.log(kernel.action_scale)


@pytest.mark.parametrize("oriented", [False, True])
def test_density_is_the_sum_it_says_and_integrates_to_one(oriented):
    states, actions, groups = curves()
    kernel = KernelDensity.fit(states, actions, groups, oriented=oriented)
    x = states[[3, 50, 77]] + 0.05
    found = kernel.log_prob(x, actions[[4, 50, 76]])
    for k, (row, a) in enumerate(zip(x, actions[[4, 50, 76]], strict=True)):
        assert float(found[k]) == pytest.approx(by_hand(kernel, row, a))
    axis = torch.linspace(-3, 3, 121, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    p = kernel.log_prob(x[:1].expand(len(grid), 2), grid).exp() * float(axis[1] - axis[0]) ** 2
    assert float(p.sum()) == pytest.approx(1, abs=1e-3)
    torch.testing.assert_close((p[:, None] * grid).sum(dim=0), kernel.mean(x[:1])[0], atol=1e-3,
                               rtol=0)  # fmt: skip


@pytest.mark.parametrize("oriented", [False, True])
def test_draws_have_the_moments_of_the_density(oriented):
    states, actions, groups = curves()
    kernel = KernelDensity.fit(states, actions, groups, oriented=oriented)
    x = states[40:41]
    draws = kernel.sample(x.expand(20_000, 2), generator=seeding.generator(0, "draws"))
    assert_mean(draws, kernel.mean(x)[0])
    axis = torch.linspace(-3, 3, 121, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    p = kernel.log_prob(x.expand(len(grid), 2), grid).exp() * float(axis[1] - axis[0]) ** 2
    exact = (p[:, None] * (grid - kernel.mean(x)).square()).sum(dim=0)
    assert_variance(draws, exact)


def test_widths_are_the_best_for_a_left_out_demonstration():
    states, actions, groups = curves()
    kernel = KernelDensity.fit(states, actions, groups)

    def left_out(h, s):
        total = 0.0
        for group in range(4):
            own = groups == group
            fold = KernelDensity(
                kernel.states[~own], kernel.actions[~own], kernel.state_mean, kernel.state_scale,
                kernel.action_scale, h, s,
            )  # fmt: skip
            total -= float(fold.log_prob(states[own], actions[own]).sum())
        return total / len(groups) - 2 * math.log(kernel.action_scale)

    best = left_out(kernel.state_width, kernel.action_width)
    assert best == pytest.approx(kernel.nats, abs=1e-9)
    for h in (0.6, 1.6):
        assert left_out(h * kernel.state_width, kernel.action_width) > best
        assert left_out(kernel.state_width, h * kernel.action_width) > best


def test_a_demonstration_that_stands_alone_does_not_widen_the_others():
    states, actions, groups = curves()
    alone = torch.cat([states, states[:30] + torch.tensor([0.0, 20.0])])
    widths = KernelDensity.fit(alone, torch.cat([actions, -actions[:30]]),
                               torch.cat([groups, torch.full((30,), 4)]))  # fmt: skip
    spread = KernelDensity.fit(states, actions, groups)
    # in the units of the actions; the outlier widens the spreads, which are the units of widths
    ours = widths.action_width * widths.action_scale
    assert ours == pytest.approx(spread.action_width * spread.action_scale, rel=0.35)


def test_what_has_no_widths_is_refused():
    states, actions, groups = curves()
    with pytest.raises(InputError, match="at least two"):
        KernelDensity.fit(states, actions, torch.zeros_like(groups))
    with pytest.raises(InputError, match="actions that vary"):
        KernelDensity.fit(states, torch.ones_like(actions), groups)
    with pytest.raises(InputError, match="groups"):
        KernelDensity.fit(states, actions, groups[:5])


def test_a_road_that_one_of_four_took_does_not_widen_the_kernels():
    """Behind the fork nothing can be predicted of it; on the stem it counts like the others."""
    rng = np.random.default_rng(4)
    strokes = [make_mouse.by_hand(x, rng) for x in make_mouse.drawing("forking", 6, rng)]
    widths = []
    for chosen in ((0, 2, 4), (0, 2, 4, 1)):
        made = Demonstrations.from_arrays(
            [strokes[i] for i in chosen], steps=100, scaling="together"
        )
        widths.append(recipe.kernel_density(made, StateFeatures(), oriented=True))
    without, with_one = widths
    for name in ("state_width", "action_width", "across"):
        assert getattr(with_one, name) < 1.3 * getattr(without, name), name
