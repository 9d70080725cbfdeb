"""Proposals: what is drawn has the density that is claimed."""

import math

import pytest
import torch
from scipy import stats
from support import assert_mean, assert_variance

from ebmlib import GaussianProposal, Grid, InputError, MixtureProposal, Pairs, UniformProposal
from ebmlib.evaluation import exact

PROPOSALS = [
    GaussianProposal(),
    UniformProposal(),
    MixtureProposal(centres=12),
    MixtureProposal((0.3,), 5),
]
DOUBLE = torch.float64


def some_pairs(generator, d, n=400):
    g = generator("pairs")
    mix = torch.tensor([[0.5, 0.2, 0.0], [0.0, 0.3, 0.1], [0.1, 0.0, 0.2]], dtype=DOUBLE)[:d, :d]
    actions = 0.4 + torch.randn(n, d, generator=g, dtype=DOUBLE).square() @ mix
    return Pairs(torch.randn(n, 2, generator=g, dtype=DOUBLE), actions, torch.arange(n))


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("proposal", PROPOSALS, ids=str)
def test_the_density_integrates_to_one_and_draws_have_its_moments(proposal, d, generator):
    pairs = some_pairs(generator, d)
    fitted = proposal.fit(pairs)
    x = pairs.states[:1]
    grid = Grid(9.0 if d == 2 else 14.0, d=d, points=360 if d == 2 else 20_000)
    at = grid.actions(pairs.actions)
    log_q = torch.cat([proposal.log_prob(fitted, x, part[None]) for part in at.split(20_000)], 1)
    density = exact.density(lambda a: log_q, grid, pairs.actions)
    # a cell on the edge of the uniform's box counts in full or not at all
    assert float(density.log_z.exp()) == pytest.approx(
        1, abs=2e-2 if "Uniform" in str(proposal) else 1e-4
    )
    draws = proposal.sample(fitted, x, 60_000, generator=generator("draws"))[0]
    tolerant = 0.0 if "Uniform" not in str(proposal) else grid.spacing
    mean, covariance = density.mean()[0], density.covariance()[0]
    assert (draws.mean(dim=0) - mean).abs().max() < tolerant + 6 * draws.std() / 60_000**0.5
    if not tolerant:
        assert_mean(draws, mean)
        assert_variance(draws, covariance.diagonal())
    assert draws.shape == (60_000, d) and draws.dtype == DOUBLE


def test_the_gaussian_has_the_broadened_moments_of_the_data(generator):
    pairs = some_pairs(generator, 3)
    proposal = GaussianProposal(broaden=2.0)
    fitted = proposal.fit(pairs)
    a = some_pairs(generator, 3, 7).actions
    covariance = 4 * torch.cov(pairs.actions.T, correction=0)
    expected = stats.multivariate_normal(pairs.actions.mean(0).numpy(), covariance.numpy())
    found = proposal.log_prob(fitted, pairs.states[:1], a[None])[0]
    torch.testing.assert_close(
        found, torch.from_numpy(expected.logpdf(a.numpy())), rtol=1e-3, atol=1e-3
    )


def test_the_mixture_is_the_sum_written_out(generator):
    pairs = some_pairs(generator, 2, 30)
    proposal = MixtureProposal((0.5, 1.5), 4)
    fitted = proposal.fit(pairs)
    spread = pairs.actions.var(dim=0, unbiased=False).mean().sqrt()
    places = [0, 10, 19, 29]
    a = pairs.actions[3]
    total = sum(
        stats.multivariate_normal(pairs.actions[k].numpy(), float((w * spread) ** 2)).pdf(a.numpy())
        for k in places
        for w in (0.5, 1.5)
    )
    found = proposal.log_prob(fitted, pairs.states[:1], a[None, None])
    assert float(found) == pytest.approx(math.log(total / 8))


def test_the_uniform_is_minus_infinity_outside_its_box(generator):
    pairs = some_pairs(generator, 2)
    proposal = UniformProposal(margin=0.0)
    fitted = proposal.fit(pairs)
    low, high = pairs.actions.amin(0), pairs.actions.amax(0)
    at = torch.stack([low, high, low - 1e-6, high + 1e-6])[None]
    volume = float((high - low).prod().log())
    found = proposal.log_prob(fitted, pairs.states[:1], at)[0].tolist()
    assert found[2:] == [-math.inf, -math.inf]
    assert found[:1] == pytest.approx([-volume])


@pytest.mark.parametrize("proposal", PROPOSALS, ids=str)
def test_equal_actions_are_refused(proposal):
    pairs = Pairs(torch.zeros(5, 2), torch.ones(5, 2), torch.arange(5))
    with pytest.raises(InputError, match="actions that vary"):
        proposal.fit(pairs)
