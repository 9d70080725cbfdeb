"""Diagnostics against closed forms and chains that are known to mix, or not to."""

import math

import numpy as np
import pytest
import torch
from support import Gaussian, assert_mean

from ebmlib import SGLD, EnergyConfig, EnergyModel, InputError
from ebmlib.evaluation import gaussian
from ebmlib.evaluation.diagnostics import chain_quality, long_run, relative_mean_step


def stationary(alpha, chains, draws, generator, d=2):
    """Recorded positions (draws, chains, d) of a stationary chain on a unit Gaussian."""
    v = gaussian.stationary_variance(alpha, 1.0)
    start = torch.randn(chains, d, generator=generator("start"), dtype=torch.float64) * math.sqrt(v)
    chain = SGLD(alpha, draws).chain(
        Gaussian.round(1.0, d), start, generator=generator("chain"), record=range(1, draws + 1)
    )
    return chain.positions


def test_effective_sample_size_is_draws_over_the_autocorrelation_time(generator):
    alpha, chains, draws, repeats = 0.9, 4, 1500, 12
    tau = gaussian.integrated_autocorrelation_time(alpha, 1.0)
    found = np.array(
        [
            chain_quality(stationary(alpha, chains, draws, lambda n, s=s: generator(n, s))).ess
            for s in range(repeats)
        ]
    )
    assert found.shape == (repeats, 2)
    ratio = found.flatten() * tau / (chains * draws)
    error = ratio.std() / math.sqrt(len(ratio))
    assert abs(ratio.mean() - 1) < 5.5 * error and error < 0.05


def test_rhat_is_one_for_chains_that_agree_and_large_for_chains_that_do_not(generator):
    positions = stationary(0.9, 6, 800, generator)
    assert (chain_quality(positions).rhat < 1.02).all()
    apart = positions.clone()
    apart[:, :3, 1] += 5.0  # half of the chains are elsewhere, in the second component only
    quality = chain_quality(apart)
    assert quality.rhat[0] < 1.02 < 1.5 < quality.rhat[1]
    assert quality.ess[1] < 20 < quality.ess[0]


@pytest.mark.parametrize("shape", [(3, 4, 2), (10, 4)])
def test_too_few_draws_are_refused(shape):
    with pytest.raises(InputError, match=r"\(draws > 3, chains, d\)"):
        chain_quality(torch.zeros(shape))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_relative_mean_step_is_one_on_a_flat_energy(d, generator):
    chain = SGLD(0.02, 5).chain(
        torch.zeros_like, torch.zeros(20_000, d), generator=generator(), length=True
    )
    assert_mean(torch.as_tensor(relative_mean_step(chain.mean_step, 0.02, d)), 1.0)
    expected = relative_mean_step(gaussian.stationary_mean_step(0.5, 1.0, d), 0.5, d)
    assert float(expected) == pytest.approx(1 / math.sqrt(1 - 0.5**2 / 4))


def test_long_run_needs_a_number_of_steps(generator):
    model = EnergyModel(EnergyConfig(z_dim=4, h_dim=6), 2, 2, generator=generator("weights"))
    x = torch.zeros(1, 2)
    with pytest.raises(InputError, match="at least one number of steps"):
        long_run(model, x, x, SGLD(0.1), (), generator=generator())


def test_long_run_reports_distance_and_spread_of_the_chains_at_each_state(generator):
    """On a network of zero weights f is flat: chains diffuse from noise, alpha^2 (1 + k) each."""
    model = EnergyModel(EnergyConfig(z_dim=4, h_dim=6), 2, 2, generator=generator("weights"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    states, actions = torch.zeros(3, 2), torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    population, alpha = 4000, 0.1
    found = long_run(
        model,
        states,
        actions,
        SGLD(alpha, 7),
        (100, 0, 10),
        generator=generator(),
        population=population,
    )
    assert found.steps == (0, 10, 100)
    assert found.distance.shape == found.spread.shape == (3, 3)
    for row, k in enumerate(found.steps):
        spread = alpha * math.sqrt(2 * (1 + k))
        torch.testing.assert_close(
            found.spread[row],
            torch.full((3,), spread),
            rtol=5.5 / math.sqrt(4 * population),
            atol=0,
        )
        slack = 5.5 * spread / math.sqrt(population)
        assert ((found.distance[row] - torch.tensor([0.0, 5.0, 1.0])).abs() < slack).all()


def test_long_run_is_the_samplers_own_chain_at_each_state(generator):
    model = EnergyModel(EnergyConfig(z_dim=4, h_dim=6), 2, 2, generator=generator("weights"))
    states, actions = torch.tensor([[1.0, -2.0], [0.5, 4.0]]), torch.zeros(2, 2)
    sampler, population = SGLD(0.3, 7), 5
    found = long_run(
        model, states, actions, sampler, (7,), generator=generator("chains"), population=population
    )
    noise = generator("chains")
    at = states.repeat_interleave(population, dim=0)
    start = sampler.start(len(at), 2, generator=noise, like=at)
    ends = sampler.chain(model.score(at), start, generator=noise).actions.reshape(2, population, 2)
    torch.testing.assert_close(found.distance[0], ends.mean(dim=1).norm(dim=1))
    away = ends - ends.mean(dim=1, keepdim=True)
    torch.testing.assert_close(found.spread[0], away.square().sum(dim=2).mean(dim=1).sqrt())
