"""Policies and rollouts on models whose density is known."""

import math

import pytest
import torch
from support import Gaussian, Target, assert_mean, assert_variance

from ebmlib import (
    EXP,
    ML,
    SGLD,
    DivergenceError,
    Draw,
    EnergyConfig,
    EnergyModel,
    InputError,
    rollout,
)
from ebmlib.evaluation import gaussian

DOUBLE = torch.float64
SAMPLER = SGLD(alpha=0.5, steps=6)
S = 0.6  # spread of the action
MAP = torch.tensor([[0.5, -1.0, 0.0], [2.0, 0.0, 0.3]], dtype=DOUBLE)  # x (3,) to E[a | x] (2,)


class Known:
    """A model of known score: a stand-in for EnergyModel with the methods that policies use."""

    compiled = False

    def __init__(self, score_at, action_dim):
        self.score, self.action_dim = score_at, action_dim

    def eval(self):
        return self


def linear(matrix=MAP, s=S):
    """p(a | x) = N(matrix x, s^2 I)."""
    identity = torch.eye(len(matrix), dtype=DOUBLE)
    return Known(lambda x: Gaussian(identity / s**2, x @ matrix.T), len(matrix))


def bimodal(weight=0.5, left=-1.0, right=1.0, s=0.15):
    """Two Gaussians of standard deviation ``s``; the right one has ``weight``."""

    def value(a):
        away = torch.stack([a[:, 0] - left, a[:, 0] - right], dim=1)
        share = torch.tensor([1 - weight, weight], dtype=a.dtype).log()
        return (share - away**2 / (2 * s**2)).logsumexp(dim=1)

    return Known(lambda x: Target(value), 1)


def state(n, *x):
    return torch.tensor(x, dtype=DOUBLE).expand(n, len(x))


def reached(matrix=MAP, sampler=SAMPLER, s=S):
    """What K steps from the origin reach of the way to E[a | x], and the variance of an end."""
    way = 1 - gaussian.mean_after(sampler.steps, sampler.alpha, s, 1.0)
    variance = gaussian.variance_after(sampler.steps, sampler.alpha, s, sampler.alpha**2)
    return way * matrix, variance


def test_exp_is_the_mean_of_its_population(generator):
    n, p, x = 4000, 16, (1.0, -0.5, 2.0)
    policy = EXP(linear(), SAMPLER, population=p, jitter=0.0)
    actions = policy.act(state(n, *x), generator=generator())
    matrix, variance = reached()
    assert_mean(actions, matrix @ torch.tensor(x, dtype=DOUBLE))
    assert_variance(actions, variance / p)


def test_exp_spreads_its_candidates_around_the_state_by_alpha(generator):
    n, p = 4000, 4
    matrix, variance = reached()
    for jitter, expected in ((None, SAMPLER.alpha), (2.0, 2.0)):
        policy = EXP(linear(), SAMPLER, population=p, jitter=jitter)
        actions = policy.act(state(n, 0.0, 0.0, 0.0), generator=generator())
        spread = expected**2 * matrix.square().sum(dim=1)
        assert_variance(actions, (variance + spread) / p)


def test_draw_is_one_end_of_a_chain(generator):
    x = (1.0, -0.5, 2.0)
    actions = Draw(linear(), SAMPLER).act(state(20_000, *x), generator=generator())
    matrix, variance = reached()
    assert_mean(actions, matrix @ torch.tensor(x, dtype=DOUBLE))
    assert_variance(actions, variance)


def test_every_state_gets_the_action_of_its_own_population(generator):
    x = torch.tensor([[0.0, 0.0, 0.0], [100.0, 0.0, 0.0], [0.0, 100.0, 0.0]], dtype=DOUBLE)
    matrix, _ = reached()
    for policy in (
        EXP(linear(), SAMPLER, population=7),
        Draw(linear(), SAMPLER),
        ML(linear(), SAMPLER, population=7),
    ):
        actions = policy.act(x, generator=generator())
        whole = MAP if isinstance(policy, ML) else matrix
        assert (actions - x @ whole.T).abs().max() < 5


def test_ml_is_the_mode_within_its_tolerance(generator):
    x = torch.randn(20, 3, generator=generator("x"), dtype=DOUBLE)
    for tolerance in (1e-2, 1e-10):
        policy = ML(linear(), SAMPLER, blocks=50, tolerance=tolerance)
        away = policy.act(x, generator=generator()) - x @ MAP.T
        # ascent shrinks the distance by rho, so that what is left of f is below the last rise
        assert (away.square().sum(dim=1) / (2 * S**2) <= tolerance).all()
    few = ML(linear(), SAMPLER, blocks=1, tolerance=1e-10).act(x, generator=generator())
    assert (few - x @ MAP.T).norm() > 1e-2, "one block of K steps does not arrive"


def test_ml_finds_the_higher_mode_where_the_origin_leads_to_the_lower(generator):
    model, sampler = bimodal(0.7, left=-0.5, right=1.2, s=0.25), SGLD(alpha=0.3, steps=40)
    alone = ML(model, sampler, population=1).act(state(20, 0.0), generator=generator())
    assert (alone + 0.5).abs().max() < 0.01
    found = ML(model, sampler, population=64).act(state(20, 0.0), generator=generator())
    assert (found - 1.2).abs().max() < 0.01


def test_ml_never_ends_below_its_starts_even_where_ascent_is_unstable(generator):
    """Past alpha = 2 s every step overshoots, so that ends are farther away than the origin."""
    x = state(50, 1.0, 1.0, 1.0)
    found = ML(linear(), SGLD(alpha=2.2 * S, steps=5)).act(x, generator=generator())
    mode = x @ MAP.T
    assert ((found - mode).norm(dim=1) <= mode.norm(dim=1)).all()


def test_bimodal_actions_are_averaged_by_exp_and_chosen_by_ml_and_draw(generator):
    x, sampler = state(200, 0.0), SGLD(alpha=0.1, steps=150)
    drawn = Draw(bimodal(), sampler).act(x.repeat(10, 1), generator=generator())
    assert (drawn.abs() - 1).abs().max() < 0.9
    share = (drawn > 0).double().mean()
    assert abs(float(share) - 0.5) < 5.5 * math.sqrt(0.25 / 2000)
    averaged = EXP(bimodal(), sampler, population=100).act(x, generator=generator())
    assert averaged.abs().max() < 0.6, "the expectation lies between the modes"
    assert_mean(averaged, 0.0)
    assert_variance(averaged, float(drawn.var()) / 100)
    chosen = ML(bimodal(0.6), sampler).act(x, generator=generator())
    assert (chosen - 1).abs().max() < 0.02, "the higher of two modes"


def test_rollout_of_a_linear_system_has_its_closed_form_in_every_row(generator):
    """With x' = x + a and E[a | x] = -0.8 x it is an autoregression of order one."""
    matrix = torch.tensor([[-0.8]], dtype=DOUBLE)
    n, steps = 3000, 5
    starts = torch.cat([state(n, 10.0), state(n, -4.0)])
    policy = Draw(linear(matrix), SAMPLER)
    found = rollout(policy, starts, steps, generator=generator())
    way, variance = reached(matrix)
    factor, mean, spread = float(1 + way), torch.tensor([10.0, -4.0]), 0.0
    for t in range(1, steps + 1):
        mean, spread = factor * mean, factor**2 * spread + variance
        for rows, expected in ((slice(0, n), mean[0]), (slice(n, None), mean[1])):
            assert_mean(found.states[rows, t, 0], float(expected))
            assert_variance(found.states[rows, t, 0], spread)


def test_many_starts_are_the_single_starts_side_by_side(generator):
    """Without noise every row is what it would be alone."""
    still = SGLD(alpha=0.5, steps=6, temperature=0.0)

    def transition(x, a):
        return 0.9 * x + a @ MAP

    def policy():
        return ML(linear(), still, population=1, blocks=20, tolerance=0.0)

    starts = torch.randn(4, 3, generator=generator("starts"), dtype=DOUBLE)
    together = rollout(policy(), starts, 3, generator=generator(), transition=transition)
    assert together.states.shape == (4, 4, 3) and together.actions.shape == (4, 3, 2)
    for row in range(4):
        alone = rollout(
            policy(), starts[row : row + 1], 3, generator=generator(), transition=transition
        )
        torch.testing.assert_close(together.states[row : row + 1], alone.states)
    assert torch.equal(together.states[:, 0], starts)
    for t in range(3):
        x, a = together.states[:, t], together.actions[:, t]
        torch.testing.assert_close(together.states[:, t + 1], transition(x, a))


@pytest.mark.parametrize("kind", [EXP, ML, Draw])
def test_rollouts_of_a_network(kind, generator):
    model = EnergyModel(EnergyConfig(z_dim=4, h_dim=6), 2, 2, generator=generator("weights"))
    model.train()
    policy, starts = kind(model, SGLD(alpha=0.05, steps=4)), torch.rand(3, 2)
    one = rollout(policy, starts, 5, generator=generator())
    two = rollout(policy, starts, 5, generator=generator())
    assert one.states.shape == (3, 6, 2) and one.actions.shape == (3, 5, 2)
    assert torch.equal(one.states, two.states), "same generator, same bits"
    assert torch.equal(one.states[:, 1:], one.states[:, :-1] + one.actions)
    assert not one.states.requires_grad
    other = rollout(policy, starts, 5, generator=generator("other"))
    assert not torch.equal(one.states, other.states)


def test_rollouts_leave_the_global_random_state(generator):
    before = torch.random.get_rng_state()
    model = EnergyModel(EnergyConfig(z_dim=4, h_dim=6), 2, 2, generator=generator("weights"))
    rollout(EXP(model, SGLD(alpha=0.05, steps=4)), torch.zeros(3, 2), 2, generator=generator())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "starts",
    [torch.zeros(2), torch.zeros(0, 2), torch.zeros(2, 2, 2), torch.tensor([[0.0, math.nan]])],
)
def test_starts_that_are_none_are_refused(starts, generator):
    policy = Draw(linear(), SAMPLER)
    with pytest.raises(InputError, match="Starts must be finite"):
        rollout(policy, starts, 3, generator=generator())


def test_other_things_that_cannot_be_rolled_out_are_refused(generator):
    model = EnergyModel(EnergyConfig(z_dim=4, h_dim=6), 2, 2, generator=generator())
    policy = Draw(model, SGLD(alpha=0.05, steps=4))
    with pytest.raises(InputError, match=r"States must have shape \(n, 2\), got \(1, 3\)"):
        rollout(policy, torch.zeros(1, 3), 2, generator=generator())
    for steps in (0, -1, 2.0, "many", True):
        with pytest.raises(InputError, match="trajectory steps must be a whole number"):
            rollout(policy, torch.zeros(1, 2), steps, generator=generator())
    with pytest.raises(DivergenceError, match="position is not finite after step 0"):
        rollout(
            policy,
            torch.zeros(1, 2),
            2,
            generator=generator(),
            transition=lambda x, a: x / 0.0,
        )


class Fixed:
    """A target whose score is 0, so that ascent stays where it starts; f is given."""

    def __init__(self, f):
        self.f = f

    def value(self, a):
        return self.f(a)

    def score(self, a):
        return torch.zeros_like(a)


def test_ml_starts_at_the_origin_and_at_noise_for_every_state(generator):
    """Where nothing moves, the winner shows where the starts are."""
    x, alpha, p, n = state(400, 0.0), 0.3, 5, 400

    def winners(f, population=p):
        model = Known(lambda x: Fixed(f), 2)
        return ML(model, SGLD(alpha, 2), population).act(x, generator=generator())

    nearest = winners(lambda a: -a.square().sum(dim=1))
    assert torch.equal(nearest, torch.zeros(n, 2, dtype=DOUBLE)), "the origin is a start of each"
    assert torch.equal(winners(lambda a: a.square().sum(dim=1), 1), nearest), "the first of them"
    square = winners(lambda a: a.square().sum(dim=1)).square().sum(dim=1) / alpha**2
    # the largest of p - 1 exponential variables of mean 2: 2 (1 + 1/2 + ... + 1 / (p - 1))
    assert_mean(square, 2 * sum(1 / k for k in range(1, p)))


@pytest.mark.parametrize(("rise", "blocks", "done"), [(0.02, 6, 6), (0.009, 6, 1), (0.02, 1, 1)])
def test_ml_stops_when_it_rises_no_more_or_all_blocks_are_done(rise, blocks, done, generator):
    """Counted by the looks at f: one at the starts and one after each block."""
    looks = []

    def f(a):
        looks.append(1)
        return torch.full((len(a),), rise * len(looks), dtype=DOUBLE)

    model = Known(lambda x: Fixed(f), 2)
    policy = ML(model, SGLD(0.3, 2), population=3, blocks=blocks, tolerance=0.01)
    policy.act(state(4, 0.0), generator=generator())
    assert len(looks) == 1 + done


def test_ml_goes_on_while_one_state_still_rises(generator):
    looks = []

    def f(a):
        looks.append(1)
        one = torch.arange(len(a)) < 3  # the population of the first state
        return torch.where(one, 0.5 * len(looks), 0.0).double()

    model = Known(lambda x: Fixed(f), 2)
    ML(model, SGLD(0.3, 2), population=3, blocks=4).act(state(4, 0.0), generator=generator())
    assert len(looks) == 5


def test_exp_spreads_the_position_alone_where_a_state_holds_more(generator):
    seen = []
    target = Gaussian.round(1.0, 2)
    model = Known(lambda x: seen.append(x) or target, 2)
    x = torch.tensor([[1.0, 2.0, 3.0, 4.0]], dtype=DOUBLE).expand(4000, 4)
    EXP(model, SGLD(0.2, 2), population=2, positions=2).act(x, generator=generator())
    away = seen[0] - x.repeat_interleave(2, dim=0)
    assert (away[:, 2:] == 0).all()
    assert_mean(away[:, :2], 0.0)
    assert_variance(away[:, :2], 0.2**2)
