"""SGLD.chain, the sampler that training uses, against the closed forms of a Gaussian target.

The noise levels make the discretisation bias c many tolerances wide, so that a sampler that draws
from the target itself, or has lost a factor 1/2 or a square root, fails.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from support import Gaussian, assert_mean, assert_variance, is_variance, mala

from ebmlib import SGLD, DivergenceError, InputError, NoiseStart, Pairs
from ebmlib.evaluation import gaussian
from ebmlib.sampling import compiled, fused

N = 20_000
DOUBLE = torch.float64
SETTINGS = [(1.0, 1.0, 2, DOUBLE), (0.011, 0.01, 1, torch.float32), (1.5, 0.9, 3, DOUBLE)]
settings = pytest.mark.parametrize(("alpha", "s", "d", "dtype"), SETTINGS)


def normal(n, d, generator, scale=1.0, dtype=DOUBLE):
    return torch.randn(n, d, generator=generator, dtype=dtype) * scale


@settings
@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_mean_and_variance_after_k_steps(alpha, s, d, dtype, steps, generator):
    first, spread = 30 * s, 2.5 * s
    start = first + normal(N, d, generator("start"), spread, dtype)
    chain = SGLD(alpha, steps).chain(
        Gaussian.round(s, d, dtype), start, generator=generator("chain")
    )
    assert_mean(chain.actions, gaussian.mean_after(steps, alpha, s, first))
    assert_variance(chain.actions, gaussian.variance_after(steps, alpha, s, spread**2))


@settings
def test_stationary_variance_is_wider_than_the_target(alpha, s, d, dtype, generator):
    start = normal(N, d, generator("start"), s, dtype)
    chain = SGLD(alpha, 60).chain(Gaussian.round(s, d, dtype), start, generator=generator("chain"))
    assert_mean(chain.actions, 0.0)
    assert_variance(chain.actions, gaussian.stationary_variance(alpha, s))
    assert not is_variance(chain.actions, s**2), "the test cannot see the discretisation"


def test_stationary_variance_of_the_closed_form():
    assert gaussian.stationary_variance(1.0, 1.0) == pytest.approx(1 / (1 - 0.25))
    assert gaussian.variance_after(500, 1.0, 1.0, 7.0) == pytest.approx(4 / 3)
    assert gaussian.variance_after(0, 1.0, 1.0, 7.0) == pytest.approx(7.0)
    assert gaussian.largest_stable_alpha(0.3) == 0.6
    assert gaussian.stationary_variance(2.0, 1.0) == math.inf
    assert gaussian.stationary_mean_step(2.0, 1.0, 2) == math.inf


def test_law_holds_along_every_eigen_direction(generator):
    alpha, scales = 0.8, torch.tensor([1.0, 0.55], dtype=DOUBLE)
    turn = torch.tensor([[0.8, -0.6], [0.6, 0.8]], dtype=DOUBLE)
    mean = torch.tensor([3.0, -1.0], dtype=DOUBLE)
    target = Gaussian(turn @ torch.diag(1 / scales**2) @ turn.T, mean)
    start = mean + normal(N, 2, generator("start"))
    ends = SGLD(alpha, 60).chain(target, start, generator=generator("chain")).actions
    along = (ends - mean) @ turn
    expected = [gaussian.stationary_variance(alpha, float(s)) for s in scales]
    assert_variance(along, torch.tensor(expected, dtype=DOUBLE))
    assert_mean(along.prod(dim=1), 0.0, "covariance of the eigen-directions")


def test_metropolis_adjusted_steps_give_the_target_and_not_v_inf(generator):
    alpha, s = 1.0, 1.0
    target = Gaussian.round(s, 1)
    start = normal(N, 1, generator("start"), 1.5)
    adjusted = mala(target, start, alpha, 40, generator("mala"))
    assert_variance(adjusted, s**2)
    assert not is_variance(adjusted, gaussian.stationary_variance(alpha, s))


def test_chain_is_stable_just_below_two_s(generator):
    alpha, s = 1.9, 1.0
    start = normal(N, 1, generator("start"))
    chain = SGLD(alpha, 60).chain(Gaussian.round(s, 1), start, generator=generator("chain"))
    assert_variance(chain.actions, gaussian.stationary_variance(alpha, s))


def test_chain_explodes_just_above_two_s(generator):
    sampler, target = SGLD(alpha=2.1, steps=60), Gaussian.round(1.0, 1, torch.float32)
    start = torch.ones(10, 1)
    growth = (2.1**2 / 2 - 1) ** 60  # |rho|^K
    ends = sampler.chain(target, start, generator=generator()).actions
    assert ends.abs().min() > 0.01 * growth
    with pytest.raises(DivergenceError, match="position is not finite"):
        replace(sampler, steps=600).chain(target, start, generator=generator())


@pytest.mark.parametrize("lag", [1, 2, 5, 12])
def test_autocorrelation_is_rho_to_the_lag(lag, generator):
    alpha, s = 0.6, 1.0
    start = normal(N, 1, generator("start"), math.sqrt(gaussian.stationary_variance(alpha, s)))
    chain = SGLD(alpha, lag).chain(Gaussian.round(s, 1), start, generator=generator("chain"))
    pair = torch.cat([start, chain.actions], dim=1).T
    found, expected = float(torch.corrcoef(pair)[0, 1]), (1 - alpha**2 / 2) ** lag
    assert abs(found - expected) < 5.5 * (1 - expected**2) / math.sqrt(N)


def test_integrated_autocorrelation_time_sets_the_variance_of_a_chain_mean(generator):
    alpha, s, steps, n = 0.8, 1.0, 400, 5_000
    v = gaussian.stationary_variance(alpha, s)
    start = normal(n, 1, generator("start"), math.sqrt(v), torch.float32)
    chain = SGLD(alpha, steps).chain(
        Gaussian.round(s, 1, torch.float32),
        start,
        generator=generator("chain"),
        record=range(1, steps + 1),
    )
    tau = gaussian.integrated_autocorrelation_time(alpha, s)
    rho = 1 - alpha**2 / 2
    ends = 2 * rho * (1 - rho**steps) / (1 - rho) ** 2 / steps  # of order tau^2 / K
    assert ends < 0.03 * tau
    assert_variance(chain.positions.double().mean(dim=0), v * (tau - ends) / steps)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_mean_step_length_at_stationarity(d, generator):
    alpha, s = 1.2, 1.0
    v = gaussian.stationary_variance(alpha, s)
    start = normal(N, d, generator("start"), math.sqrt(v))
    chain = SGLD(alpha, 10).chain(
        Gaussian.round(s, d), start, generator=generator("chain"), length=True
    )
    assert_mean(chain.mean_step, gaussian.stationary_mean_step(alpha, s, d))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_mean_step_length_of_a_flat_energy_is_the_noise_floor(d, generator):
    chain = SGLD(0.01, 10).chain(
        torch.zeros_like, torch.zeros(N, d), generator=generator(), length=True
    )
    assert_mean(chain.mean_step, gaussian.noise_floor(0.01, d))
    assert_variance(chain.actions, 10 * 0.01**2)


def test_noise_floor_in_two_dimensions_is_that_of_a_rayleigh_step():
    assert gaussian.noise_floor(0.01, 2) == pytest.approx(0.01 * math.sqrt(math.pi / 2), rel=1e-14)
    assert gaussian.noise_floor(1.0, 1) == pytest.approx(math.sqrt(2 / math.pi), rel=1e-14)


def test_mean_step_averages_over_k_and_adds_the_lengths_of_the_path(generator):
    sampler, start = SGLD(0.7, 6), normal(5, 2, generator("start"))
    chain = sampler.chain(
        Gaussian.round(1.0, 2), start, generator=generator(), length=True, record=range(7)
    )
    lengths = torch.linalg.vector_norm(chain.positions.diff(dim=0), dim=2)
    torch.testing.assert_close(chain.length, lengths.sum(dim=0))
    torch.testing.assert_close(chain.mean_step, lengths.mean(dim=0))
    with pytest.raises(InputError, match="length=True"):
        _ = sampler.chain(Gaussian.round(1.0, 2), start, generator=generator()).mean_step


@pytest.mark.parametrize(("drift", "noise"), [(0.5, 0.4), (0.2, 1.0), (1.2, 0.3)])
def test_drift_and_noise_set_apart(drift, noise, generator):
    s = 1.0
    start = normal(N, 1, generator("start"))
    sampler = SGLD(alpha=noise, steps=80, drift=drift)
    ends = sampler.chain(Gaussian.round(s, 1), start, generator=generator("chain")).actions
    assert_variance(ends, gaussian.variance_with_drift(drift, noise, s))
    assert not is_variance(ends, gaussian.stationary_variance(noise, s))
    exact = gaussian.variance_with_drift(1e-6, math.sqrt(2e-6) * 0.7, s)
    assert exact == pytest.approx(0.49, rel=1e-5)  # effective temperature noise^2 / (2 drift)


@pytest.mark.parametrize("temperature", [0.25, 4.0])
def test_temperature_scales_the_variance(temperature, generator):
    alpha, s = 1.0, 1.0
    start = normal(N, 2, generator("start"))
    sampler = SGLD(alpha, 60, temperature=temperature)
    ends = sampler.chain(Gaussian.round(s, 2), start, generator=generator("chain")).actions
    assert_variance(ends, temperature * gaussian.stationary_variance(alpha, s))


def test_temperature_zero_is_gradient_ascent_to_the_bit(generator):
    target, a = Gaussian.round(1.3, 2), normal(7, 2, generator("start"))
    g = generator("chain")
    before = g.get_state()
    ends = SGLD(0.5, 9, temperature=0.0).chain(target, a, generator=g).actions
    for _ in range(9):
        a = a + 0.125 * target(a)
    assert torch.equal(ends, a)
    assert torch.equal(g.get_state(), before), "ascent draws no random numbers"


def test_annealed_noise_follows_a_geometric_schedule(generator):
    s, steps, first, last = 1.0, 12, 1.6, 0.3
    sampler = SGLD(alpha=first, steps=steps, final_alpha=last)
    alphas = np.geomspace(first, last, steps)
    np.testing.assert_allclose(sampler.alphas(), alphas, rtol=1e-12)
    mean, variance = 6.0, 0.0
    for alpha in alphas:
        rho = 1 - alpha**2 / (2 * s**2)
        mean, variance = rho * mean, rho**2 * variance + alpha**2
    start = torch.full((N, 1), 6.0, dtype=DOUBLE)
    ends = sampler.chain(Gaussian.round(s, 1), start, generator=generator()).actions
    assert_mean(ends, mean)
    assert_variance(ends, variance)


def test_starts_have_standard_deviation_alpha(generator):
    alpha, n = 0.07, 100_000
    start = SGLD(alpha=alpha).start(n, 2, generator=generator("sampler"))
    assert_mean(start, 0.0)
    assert_variance(start, alpha**2)
    batch = Pairs(torch.zeros(3, 2), torch.ones(3, 2, dtype=DOUBLE), torch.arange(3))
    drawn = NoiseStart().draw(batch, n, {}, SGLD(alpha=alpha), generator=generator("start"))
    assert drawn.start.dtype == DOUBLE
    assert_mean(drawn.start, 0.0)
    assert_variance(drawn.start, alpha**2)


def test_what_is_recorded_changes_nothing(generator):
    target, start = Gaussian.round(1.0, 2, torch.float32), torch.ones(5, 2)
    untouched = start.clone()
    sampler = SGLD(0.9, 11)
    plain = sampler.chain(target, start, generator=generator())
    for asked in ({"length": True}, {"record": (0, 3, 11)}, {"length": True, "record": range(12)}):
        g = generator()
        chain = sampler.chain(target, start, generator=g, **asked)
        assert torch.equal(chain.actions, plain.actions)
    assert torch.equal(start, untouched)
    assert chain.recorded == tuple(range(12))
    assert torch.equal(chain.positions[0], start)
    assert torch.equal(chain.positions[-1], plain.actions)
    assert torch.equal(chain.values, torch.stack([target.value(a) for a in chain.positions]))
    assert plain.length is None and plain.values is None and plain.positions.shape == (0, 5, 2)


def test_zero_steps_return_the_start(generator):
    start = normal(4, 2, generator("start"))
    chain = SGLD(0.1, 0).chain(Gaussian.round(1.0, 2), start, generator=generator(), record=[0])
    assert torch.equal(chain.actions, start) and torch.equal(chain.positions[0], start)


def test_a_walk_gets_the_noise_and_drifts_of_the_plain_updates(generator):
    """A fused chain (the compiled kernel's) makes the very updates of the eager path."""

    class Walking(Gaussian):
        score = Gaussian.__call__
        calls = 0

        def walk(self, a, noise, drifts, length):
            type(self).calls += 1
            for k, drift in enumerate(drifts):
                step = drift * self(a) + noise[k]
                a = a + step
                if length is not None:
                    length += torch.linalg.vector_norm(step, dim=1)
            return a

    made = fused.register(Walking, SGLD, "cpu")
    made(lambda target, kernel: compiled._FusedSGLD(target.walk, kernel))

    plain, start = Gaussian.round(1.0, 2), normal(6, 2, generator("start"))
    walking = Walking(plain.precision, plain.mean)
    sampler = SGLD(0.5, 8, temperature=0.3, final_alpha=0.1)
    kwargs = {"length": True, "record": (2, 8)}
    expected = sampler.chain(plain, start, generator=generator(), **kwargs)
    with fused.permitted(True):
        found = sampler.chain(walking, start, generator=generator(), **kwargs)
    assert Walking.calls == 2
    torch.testing.assert_close(found.actions, expected.actions)
    torch.testing.assert_close(found.length, expected.length)
    torch.testing.assert_close(found.positions, expected.positions)


def test_bad_chains_are_refused(generator):
    sampler, target = SGLD(0.1, 5), Gaussian.round(1.0, 2)
    with pytest.raises(InputError, match=r"shape \(n, d\), got \(2,\)"):
        sampler.chain(target, torch.zeros(2), generator=generator())
    with pytest.raises(InputError, match="whole step numbers"):
        sampler.chain(target, torch.zeros(1, 2), generator=generator(), record=[2.5])
    sampler.chain(target, torch.zeros(1, 2), generator=generator(), record=np.arange(6))
    for record in ([6], [-1]):
        with pytest.raises(InputError, match=r"0 \.\.\. K = 5"):
            sampler.chain(target, torch.zeros(1, 2), generator=generator(), record=record)
