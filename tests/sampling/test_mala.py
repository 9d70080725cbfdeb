"""MALA against the laws: exact where SGLD has its discretisation bias."""

import math
from dataclasses import dataclass

import pytest
import torch
from support import Gaussian, Target, assert_mean, assert_variance, is_variance

from ebmlib import MALA, SGLD, InputError, run_chain
from ebmlib.evaluation import gaussian
from ebmlib.sampling.kernel import KernelState
from ebmlib.sampling.target import ValueTarget

DOUBLE = torch.float64
S = 0.7
N = 60_000


def draws(n, d, s, generator):
    return s * torch.randn(n, d, generator=generator, dtype=DOUBLE)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_stationary_variance_is_the_target_s_own(d, generator):
    """Alpha = 1.2 s: SGLD's variance would be 1.56 s^2."""
    alpha = 1.2 * S
    chain = MALA(alpha, 30).chain(
        Gaussian.round(S, d), draws(N, d, S, generator("start")), generator=generator()
    )
    assert_mean(chain.actions, 0.0)
    assert_variance(chain.actions, S**2)
    biased = gaussian.stationary_variance(alpha, S)
    assert biased > 1.5 * S**2 and not is_variance(chain.actions, biased)
    assert 0.5 < chain.acceptance.mean() < 1


def test_it_reaches_the_target_from_noise_and_keeps_a_skewed_one(generator):
    """Gumbel's density: a sign error or a wrong ratio moves its mean and variance."""
    target = Target(lambda a: (-a - torch.exp(-a)).sum(dim=1))
    start = MALA(0.8, 400).start(
        30_000, 1, generator=generator("start"), like=torch.zeros((), dtype=DOUBLE)
    )
    ends = MALA(0.8, 400).chain(target, start, generator=generator()).actions
    assert_mean(ends, 0.5772156649)
    assert_variance(ends, math.pi**2 / 6)


def test_shares_of_two_modes_stay_what_they_are(generator):
    """Started from the target itself, a share of 0.3 stays 0.3 while chains cross."""

    def value(a):
        shares = torch.tensor([0.7, 0.3], dtype=DOUBLE).log()
        away = torch.stack([a[:, 0] + 1, a[:, 0] - 1], dim=1)
        return (shares - away**2 / (2 * 0.5**2)).logsumexp(dim=1)

    g = generator("start")
    right = torch.rand(N, generator=g, dtype=DOUBLE) < 0.3
    start = torch.where(right, 1.0, -1.0)[:, None] + 0.5 * draws(N, 1, 1.0, g)
    chain = MALA(0.6, 40).chain(ValueTarget(value), start, generator=generator())
    assert ((chain.actions[:, 0] > 0) != (start[:, 0] > 0)).double().mean() > 0.1
    expected = 0.3 * 0.5 * (1 + math.erf(2**0.5)) + 0.7 * 0.5 * (1 - math.erf(2**0.5))
    assert_mean((chain.actions[:, :1] > 0).double(), expected)


def test_acceptance_is_the_ratio_written_out(generator):
    target, a = Gaussian.round(S, 2), draws(5, 2, 1.0, generator("start"))
    kernel, alpha = MALA(0.9, 1), 0.9
    state, info = kernel.step(target, 0, kernel.init(target, a), generator=generator())
    g = generator()
    xi = torch.empty_like(a).normal_(generator=g)
    proposed = a + alpha**2 / 2 * target(a) + alpha * xi

    def log_q(to, origin):
        return -(to - origin - alpha**2 / 2 * target(origin)).square().sum(1) / (2 * alpha**2)

    ratio = target.value(proposed) - target.value(a) + log_q(a, proposed) - log_q(proposed, a)
    torch.testing.assert_close(info.acceptance, ratio.exp().clamp(max=1))
    accepted = torch.rand(5, generator=g, dtype=DOUBLE) < info.acceptance
    torch.testing.assert_close(state.actions, torch.where(accepted[:, None], proposed, a))
    assert 0 < accepted.sum() < 5, "both outcomes are tried"
    torch.testing.assert_close(info.moved, state.actions - a)
    fresh = kernel.init(target, state.actions)
    torch.testing.assert_close(state.value, fresh.value)
    torch.testing.assert_close(state.score, fresh.score)


def test_a_proposal_that_is_not_finite_is_rejected(generator):
    def value(a):
        return torch.where(a[:, 0].abs() < 1, -(a[:, 0] ** 2), torch.nan)

    start = torch.zeros(200, 1, dtype=DOUBLE)
    chain = MALA(0.8, 20).chain(ValueTarget(value), start, generator=generator(), length=True)
    assert (chain.actions.abs() < 1).all() and chain.actions.std() > 0.1
    assert chain.acceptance.max() < 1


def test_a_target_without_a_value_is_refused(generator):
    with pytest.raises(InputError, match="has a score and no value"):
        MALA(0.1, 3).chain(lambda a: -a, torch.zeros(1, 1), generator=generator())


def test_every_kernel_runs_on_every_target_and_keeps_to_its_interface(generator):
    start = draws(8, 2, 1.0, generator("start"))
    for kernel in (SGLD(0.3, 5), SGLD(0.3, 5, temperature=0.0), MALA(0.3, 5)):
        for target in (Gaussian.round(S, 2), ValueTarget(Gaussian.round(S, 2).value)):
            one = run_chain(kernel, target, start, generator=generator(), length=True)
            two = kernel.chain(target, start, generator=generator(), record=[5])
            assert torch.equal(one.actions, two.actions)
            assert torch.equal(two.positions[-1], two.actions)
            assert (one.acceptance is None) == isinstance(kernel, SGLD)
        ascent = kernel.ascent()
        up = run_chain(ascent, Gaussian.round(S, 2), start, generator=generator())
        assert (up.actions.norm(dim=1) < start.norm(dim=1)).all()
        by_hand = start
        for _ in range(5):
            by_hand = by_hand + 0.3**2 / 2 * Gaussian.round(S, 2)(by_hand)
        torch.testing.assert_close(up.actions, by_hand)
        assert isinstance(kernel.init(as_scored(S), start), KernelState)


def as_scored(s):
    return ValueTarget(Gaussian.round(s, 2).value)


def test_a_noise_level_in_units_of_the_data_is_turned_into_the_action_s(generator):
    scaled = SGLD(alpha=0.75, steps=4, drift=0.5, final_alpha=0.25, unit="s")
    assert scaled.in_actions(0.02) == SGLD(0.015, 4, drift=0.5 * 0.0004, final_alpha=0.005)
    assert MALA(0.5, unit="s").in_actions(0.02) == MALA(0.01)
    assert SGLD(0.1).in_actions(5.0) == SGLD(0.1)
    with pytest.raises(InputError, match="in units of the data's own scale s"):
        scaled.chain(Gaussian.round(S, 1), torch.zeros(1, 1), generator=generator())
    with pytest.raises(InputError, match="own noise scale s must be"):
        scaled.in_actions(math.nan)


def test_a_function_with_a_field_called_score_is_taken_as_the_function_it_is(generator):
    """A posterior made of a likelihood's score and a prior: its own call counts, not the field."""

    @dataclass(frozen=True)
    class Posterior:
        score: Gaussian

        def __call__(self, a):
            return self.score(a) - a

        def value(self, a):
            return self.score.value(a) - a.square().sum(dim=1) / 2

    made = Posterior(Gaussian.round(1.0, 1))
    start = torch.ones(1, 1, dtype=DOUBLE)
    moved = SGLD(0.5, 1, temperature=0.0).chain(made, start, generator=generator(), record=[0])
    assert float(moved.actions) == pytest.approx(1 - 0.5**2 / 2 * 2)
    assert float(moved.values[0]) == pytest.approx(-1.0)
