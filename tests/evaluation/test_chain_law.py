"""The exact law of a chain and the exact density of data, against closed forms and simulation."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate

from ebmlib import SGLD, InputError, seeding
from ebmlib.demonstrations.dataset import DemonstrationConfig, load_demonstrations
from ebmlib.evaluation import gaussian, gumbel
from ebmlib.evaluation.chain_law import ChainLaw, total_variation
from ebmlib.evaluation.data_density import (
    action_density,
    expected_action,
    has_known_density,
    sample_actions,
)
from ebmlib.evaluation.exact import Grid, density

S, ALPHA = 1.0, 0.8  # c = 0.16: the discretisation shows


def gaussian_score(a):
    return -a / S**2


def law(d=2, points=61, alpha=ALPHA, **options):
    return ChainLaw(gaussian_score, Grid(7.0, d, points), SGLD(alpha=alpha, **options))


def moments(transition, mass):
    mean = mass @ transition.actions
    return mean, (mass[:, None] * (transition.actions - mean) ** 2).sum(dim=0)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("steps", [0, 1, 7])
def test_the_law_after_k_steps_has_the_closed_forms_mean_and_variance(d, steps):
    chain = law(d)
    start = torch.full((d,), 1.5)
    mean, variance = moments(chain, chain.after(chain.start(start, 0.6), steps))
    assert mean.numpy() == pytest.approx(gaussian.mean_after(steps, ALPHA, S, 1.5), abs=1e-6)
    expected = gaussian.variance_after(steps, ALPHA, S, 0.36)
    assert variance.numpy() == pytest.approx(expected, rel=1e-5)


def test_temperature_and_drift_enter_the_law():
    chain = ChainLaw(gaussian_score, Grid(9.0, 1, 121), SGLD(ALPHA, temperature=0.5, drift=0.1))
    _, variance = moments(chain, chain.after(chain.start(), 200))
    expected = gaussian.variance_with_drift(0.1, ALPHA * math.sqrt(0.5), S)
    assert float(variance) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("d", [1, 2])
def test_the_mean_step_at_stationarity_is_the_closed_form(d):
    chain = law(d)
    stationary = chain.after(chain.start(), 60)
    expected = gaussian.stationary_mean_step(ALPHA, S, d)
    assert chain.mean_step(stationary) == pytest.approx(expected, rel=1e-5)


def test_the_law_is_that_of_the_sampler_on_a_skewed_target():
    sampler = SGLD(alpha=0.5, steps=12)

    def score(a):
        return 1 - a.clamp(max=5).exp()

    chain = ChainLaw(score, Grid(9.0, 1, 181), sampler)
    mass = chain.after(chain.start(), 12)
    n = 40_000
    generator = seeding.generator(0, "test")
    start = sampler.start(n, 1, generator=generator, like=chain.actions)
    ends = sampler.chain(score, start, generator=generator).actions
    mean, variance = moments(chain, mass)
    assert abs(float(ends.mean() - mean)) < 6 * math.sqrt(float(variance) / n)
    skew = float((mass * (chain.actions[:, 0] - mean) ** 3).sum())
    assert skew < -0.05  # and so it is no Gaussian
    third = (ends - mean) ** 3
    assert abs(float(third.mean()) - skew) < 6 * float(third.std()) / math.sqrt(n)


def test_noise_finer_than_the_grid_is_refused():
    with pytest.raises(InputError, match="finer than"):
        law(alpha=0.05)


def test_total_variation_counts_what_left_the_grid():
    p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.25])
    assert total_variation(p, q) == pytest.approx(0.25)
    assert total_variation(p, p) == 0


@pytest.mark.parametrize(("shape", "temperature"), [(1.0, 1.0), (2.0, 0.5), (1.5, 3.0)])
def test_gumbel_closed_forms(shape, temperature):
    def moment(power):
        def integrand(a):
            return a**power * gumbel.density(a, shape, temperature)

        return integrate.quad(integrand, -60, 8, limit=400, points=[-2, 0, 2])[0]

    assert moment(0) == pytest.approx(1, rel=1e-6)
    assert moment(1) == pytest.approx(gumbel.mean(shape, temperature), rel=1e-5)
    variance = moment(2) - moment(1) ** 2
    assert variance == pytest.approx(gumbel.variance(shape, temperature), rel=1e-5)
    a = np.linspace(-5, 5, 20_001)
    assert a[gumbel.density(a, shape, temperature).argmax()] == pytest.approx(
        gumbel.mode(shape), abs=1e-3
    )
    posterior = -gumbel.energy(a, shape) - (a + 1) ** 2 / (2 * 0.7**2)
    assert a[posterior.argmax()] == pytest.approx(gumbel.map_estimate(-1, 0.7, shape), abs=1e-3)


def test_the_demonstrated_density_is_what_demonstrations_are_drawn_from():
    data = load_demonstrations(DemonstrationConfig("circle", 20, repetitions=5000, sigma=0.2))
    x = torch.as_tensor(data.reference[7:8] + np.array([0.12, -0.05]))
    near = np.linalg.norm(data.states - x.numpy(), axis=1) < 0.05
    near &= np.arange(data.n_pairs) % 20 > 0  # the first point carries no noise
    actions = data.actions[near] + data.states[near] - x.numpy()  # seen from x
    n = near.sum()
    assert n > 100
    expected = expected_action(data, x).numpy()[0]
    p = action_density(data, x, Grid(1.5, points=121))
    assert p.mean().numpy()[0] == pytest.approx(expected, abs=1e-6)
    covariance = p.covariance().numpy()[0]
    error = np.sqrt(np.diag(covariance) / n)
    assert (np.abs(actions.mean(axis=0) - expected) < 5 * error + 0.005).all()
    assert np.cov(actions.T) == pytest.approx(covariance, rel=0.35, abs=0.02)
    assert np.diag(covariance).min() > 1.1 * 0.2**2  # where on the path is not certain


def test_actions_of_another_demonstration_have_the_demonstrated_density(generator):
    data = load_demonstrations(DemonstrationConfig("circle", 20, repetitions=2, sigma=0.2))
    x = torch.as_tensor(data.reference[7:8] + np.array([0.12, -0.05]))
    n = 20_000
    drawn = sample_actions(data, x.repeat(n, 1), generator=generator())
    p = action_density(data, x, Grid(1.5, points=201))
    covariance = p.covariance()[0]
    error = (drawn.mean(dim=0) - p.mean()[0]).abs()
    assert (error < 5 * (covariance.diagonal() / n).sqrt()).all()
    assert torch.cov(drawn.T).numpy() == pytest.approx(covariance.numpy(), rel=0.06, abs=0.002)


def test_the_demonstrated_density_is_known_for_copies_of_one_path_only():
    mouse = load_demonstrations(DemonstrationConfig("mouse1"))
    assert not has_known_density(mouse)
    with pytest.raises(InputError, match="mouse1"):
        expected_action(mouse, torch.zeros(1, 2))


def test_a_density_of_gumbel_on_the_grid_is_the_closed_form():
    grid = Grid(12.0, 1, 600)
    p = density(lambda a: -torch.as_tensor(gumbel.energy(a[:, 0])), grid, torch.empty(0).double())
    assert float(p.log_z) == pytest.approx(math.log(gumbel.partition()), abs=1e-4)
    assert float(p.mean()) == pytest.approx(gumbel.mean(), abs=1e-3)


@pytest.mark.parametrize(("alpha", "d"), [(0.5, 1), (0.8, 2)])
def test_the_law_starts_where_the_sampler_does(alpha, d):
    """From N(0, alpha^2 I) unless told, from N(mean, std^2 I) if told."""
    chain = law(d, points=121 if d == 1 else 61, alpha=alpha)
    mean, variance = moments(chain, chain.start())
    assert mean.numpy() == pytest.approx(0, abs=1e-9)
    assert variance.numpy() == pytest.approx(alpha**2, rel=1e-4)
    mean, variance = moments(chain, chain.start(torch.arange(1.0, d + 1), 0.6))
    assert mean.numpy() == pytest.approx(np.arange(1.0, d + 1), abs=1e-6)
    assert variance.numpy() == pytest.approx(0.36, rel=1e-4)
    _, short = moments(chain, chain.after(chain.start(), 1))
    expected = gaussian.variance_after(1, alpha, S, alpha**2)
    assert short.numpy() == pytest.approx(expected, rel=1e-4)


def test_the_demonstrated_density_is_the_posterior_mixture_written_out():
    """Weights by Bayes' rule over where on the path the state is, each point alike before."""
    data = load_demonstrations(DemonstrationConfig("circle", 20, repetitions=2, sigma=0.2))
    path, s = np.asarray(data.reference), 0.2
    x = np.array([[0.3, 0.4], path[5] + [0.1, 0.0]])
    prior = np.exp(-((x[:, None] - path[None, 1:-1]) ** 2).sum(2) / (2 * s**2))
    weights = prior / prior.sum(axis=1, keepdims=True)
    assert weights.max() < 0.9, "several places on the path are meant"
    means = path[None, 2:] - x[:, None]
    expected = (weights[:, :, None] * means).sum(axis=1)
    found = expected_action(data, torch.as_tensor(x)).numpy()
    assert found == pytest.approx(expected, abs=1e-10)
    grid = Grid(2.5, points=151)
    p = action_density(data, torch.as_tensor(x), grid)
    away = means - expected[:, None]
    covariance = s**2 * np.eye(2) + np.einsum("nm,nmi,nmj->nij", weights, away, away)
    assert p.mean().numpy() == pytest.approx(expected, abs=1e-5)
    diagonal = np.array([np.diag(each) for each in covariance])
    told = p.covariance()
    told = torch.diagonal(told, dim1=-2, dim2=-1).numpy() if told.ndim == 3 else told.numpy()
    assert told == pytest.approx(diagonal, rel=1e-4)
    n = 40_000
    drawn = sample_actions(
        data, torch.as_tensor(x).repeat_interleave(n, 0), generator=seeding.generator(0, "d")
    ).reshape(2, n, 2)
    error = np.sqrt(diagonal / n)
    assert (np.abs(drawn.mean(dim=1).numpy() - expected) < 5.5 * error).all()
    assert drawn.var(dim=1).numpy() == pytest.approx(diagonal, rel=5.5 * math.sqrt(3 / n))
