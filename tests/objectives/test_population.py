"""Every objective's gradient against that of its own population loss, by quadrature.

Data N(mu, s^2), a model f(a) = -|a - m|^2 / 2 v that is off; where an objective has a bias, the
optimum that it is known to have.
"""

import math
from dataclasses import dataclass

import pytest
import torch
from objective_support import (
    MEAN,
    OFF,
    S,
    assert_gradient,
    begun,
    hermite,
    population_gradient,
    quadrature,
    sampled,
    within_errors,
)
from torch.distributions import Normal

from ebmlib import (
    DenoisingScoreMatching,
    EnergyDiscrepancy,
    ExactLikelihood,
    ImportanceLikelihood,
    InfoNCE,
    MultiLevelDenoising,
    NCEPlus,
    ScoreMatching,
    SelfNormalisedLikelihood,
    SlicedScoreMatching,
)
from ebmlib.objectives.levels import LEVELS
from ebmlib.objectives.nce import LOG_Z


def f_of(m, v):
    return lambda a: -((a - m) ** 2) / (2 * v)


def likelihood(m, v):
    """-E log N(a; m, v) of the data, in one dimension."""
    return 0.5 * (2 * math.pi * v).log() + (S**2 + (MEAN - m) ** 2) / (2 * v)


def test_exact_likelihood_is_the_likelihood(generator):
    exact, value = population_gradient(likelihood, *OFF)
    found, losses = sampled(ExactLikelihood(cells=400, margin=0.8), generator, *OFF)
    assert_gradient(found, exact)
    assert within_errors(losses, value)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_exact_likelihood_has_the_closed_log_z(d, generator):
    objective = ExactLikelihood(cells=40**d, margin=1.0)
    carry = begun(objective, generator, d)
    assert carry["cells"].shape == (40**d, d)
    _, losses = sampled(objective, generator, *OFF, d=d, carry=carry, repeats=1, n=3)
    m, v = OFF
    batch = generator("data", 1)
    a = MEAN + S * torch.randn(3, d, generator=batch, dtype=torch.float64)
    nats = (a - m).square().sum(dim=1).mean() / (2 * v) + d / 2 * math.log(2 * math.pi * v)
    assert float(losses[0]) == pytest.approx(float(nats), abs=1e-5)


def two_draws(q, loss):
    """E loss(a_1, a_2) of two draws from q."""
    nodes, weights = hermite(60, 2)
    a, b = (q.mean + q.stddev * x for x in nodes)
    return (weights * loss(a, b)).sum()


def gaussian_of(carry):
    return Normal(carry["mean"][0], carry["factor"][0, 0])


def test_importance_sampling_has_the_gradient_of_its_own_loss_with_two_draws(generator):
    objective = ImportanceLikelihood(negatives=2)
    carry = begun(objective, generator)
    q = gaussian_of(carry)

    def loss(m, v):
        f = f_of(m, v)

        def log_z(a, b):
            return torch.logaddexp(f(a) - q.log_prob(a), f(b) - q.log_prob(b)) - math.log(2)

        return (S**2 + (MEAN - m) ** 2) / (2 * v) + two_draws(q, log_z)

    exact, value = population_gradient(loss, *OFF)
    found, losses = sampled(objective, generator, *OFF, carry=carry, n=4000)
    assert_gradient(found, exact)
    assert within_errors(losses, value)


def test_log_z_by_importance_sampling_is_low_by_half_its_relative_variance(generator):
    m, v, draws = *OFF, 20
    objective = ImportanceLikelihood(AtOrigin(1.5), negatives=draws)
    q = Normal(0.0, 1.5)
    z = math.sqrt(2 * math.pi * v)
    second = quadrature(lambda a: (2 * f_of(m, v)(a) - q.log_prob(a)).exp())
    expected = -float(second - z**2) / (2 * draws * z**2)
    _, log_z = sampled(objective, generator, m, v, repeats=100, n=4000, report="log_z")
    bias = log_z - math.log(z)
    error = float(bias.std()) / len(bias) ** 0.5
    assert abs(float(bias.mean()) - expected) < 5.5 * error + 0.1 * abs(expected)
    assert abs(expected) > 12 * error, "a test that could not fail"


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("objective", [ScoreMatching(), SlicedScoreMatching(slices=2)])
def test_score_matching_exact_and_sliced_have_the_closed_form(objective, d, generator):
    def loss(m, v):
        return -d / v + d * (S**2 + (MEAN - m) ** 2) / (2 * v**2)

    exact, value = population_gradient(loss, *OFF)
    found, losses = sampled(objective, generator, *OFF, d=d)
    assert_gradient(found, exact)
    assert within_errors(losses, value)
    at_truth, _ = sampled(objective, generator, MEAN, S**2, d=d)
    assert within_errors(at_truth, 0.0)


def denoised(sigma):
    def loss(m, v):
        smoothed = S**2 + sigma**2 + (MEAN - m) ** 2
        return 0.5 * (sigma**2 * smoothed / v**2 - 2 * sigma**2 / v + 1)

    return loss


def test_denoising_is_at_its_optimum_at_the_smoothed_variance(generator):
    objective = DenoisingScoreMatching(smoothing=0.6)
    carry = begun(objective, generator)
    sigma = float(carry["sigma"])
    assert sigma == pytest.approx(0.6 * S, rel=0.01)
    exact, value = population_gradient(denoised(sigma), *OFF)
    found, losses = sampled(objective, generator, *OFF, carry=carry)
    assert_gradient(found, exact)
    assert within_errors(losses, value)
    there, _ = sampled(objective, generator, MEAN, S**2 + sigma**2, carry=carry)
    assert within_errors(there, 0.0)
    at_truth, _ = sampled(objective, generator, MEAN, S**2, carry=carry)
    assert not within_errors(at_truth, 0.0)


def test_denoising_at_several_levels_is_the_mean_of_its_levels(generator):
    objective = MultiLevelDenoising(smallest=0.3, largest=1.2, levels=3, level_dim=4)
    carry = begun(objective, generator)
    sigmas = [float(carry["action_scale"]) * share for share in (0.3, 0.6, 1.2)]
    parts = objective.parts(1, 1, generator=generator("parts")).double()
    with torch.no_grad():
        parts[LEVELS].network.fcn[-1].weight.zero_()  # every level's density is the model's

    def loss(m, v):
        return sum(denoised(sigma)(m, v) for sigma in sigmas) / 3

    exact, value = population_gradient(loss, *OFF)
    found, losses = sampled(objective, generator, *OFF, carry=carry, parts=parts)
    assert_gradient(found, exact)
    assert within_errors(losses, value)


def test_the_level_reaches_the_density_by_the_part_and_not_at_the_smallest(generator):
    objective = MultiLevelDenoising(level_dim=4)
    carry = begun(objective, generator)
    shift = objective.parts(1, 1, generator=generator("parts")).double()[LEVELS]
    x, a = torch.zeros(3, 1).double(), torch.full((3, 1), 0.3).double()
    t = torch.tensor([0.0, 0.5, 1.0]).double()
    with torch.no_grad():
        values = shift(carry, x, a, t)
        h = shift.network.fcn[0].weight
        h[:, 1].mul_(2.0)
    assert values[0] == 0 and values[1] != 0 and values[2] != 2 * values[1]


@dataclass(frozen=True)
class AtOrigin:
    """q = N(0, r^2), whatever the data."""

    r: float

    def fit(self, pairs):
        return {}

    def sample(self, fitted, x, m, *, generator):
        return self.r * torch.randn(len(x), m, 1, generator=generator, dtype=x.dtype)

    def log_prob(self, fitted, x, a):
        return Normal(0.0, self.r).log_prob(a[..., 0])


def test_info_nce_finds_the_data_s_density_divided_by_the_proposal_s(generator):
    r = 1.5
    objective = InfoNCE(AtOrigin(r), negatives=4)
    gain = r**2 / (r**2 - S**2)
    there, _ = sampled(objective, generator, MEAN * gain, S**2 * gain, n=1000)
    assert within_errors(there, 0.0)
    at_truth, _ = sampled(objective, generator, MEAN, S**2, n=1000)
    assert not within_errors(at_truth, 0.0)


def test_info_nce_has_the_gradient_of_its_own_loss_with_one_draw(generator):
    r = 1.5
    nodes, weights = hermite(60, 2)
    a, b = MEAN + S * nodes[0], r * nodes[1]

    def loss(m, v):
        f = f_of(m, v)
        return (weights * (torch.logaddexp(f(a), f(b)) - f(a))).sum()

    exact, value = population_gradient(loss, *OFF)
    found, losses = sampled(InfoNCE(AtOrigin(r), negatives=1), generator, *OFF, n=1000)
    assert_gradient(found, exact)
    assert within_errors(losses, value)


def test_nce_plus_has_the_gradient_of_its_own_loss_with_one_draw(generator):
    objective = NCEPlus(negatives=1, widths=(0.5, 2.0), jitter=0.5)
    carry = begun(objective, generator)
    widths = carry["widths"].tolist()
    (x, xi, xi_1), weights = hermite(30, 3)
    a = MEAN + S * x

    def log_q(away):
        each = torch.stack([Normal(0.0, w).log_prob(away) for w in widths])
        return each.logsumexp(dim=0) - math.log(2)

    def loss(m, v):
        f, total = f_of(m, v), 0.0
        for w in widths:
            for w_1 in widths:
                e, e_1 = 0.5 * w * xi, w_1 * xi_1
                g, g_1 = f(a + e) - log_q(e), f(a + e_1) - log_q(e_1)
                total = total + (weights * (torch.logaddexp(g, g_1) - g)).sum() / 4
        return total

    exact, value = population_gradient(loss, *OFF)
    found, losses = sampled(objective, generator, *OFF, carry=carry, n=2000)
    assert_gradient(found, exact)
    assert within_errors(losses, value)


@pytest.mark.slow
def test_nce_plus_finds_the_jittered_labels_when_draws_are_many(generator):
    objective = NCEPlus(negatives=1000, widths=(1.0, 3.0), jitter=0.4)
    carry = begun(objective, generator)
    v = S**2 + 0.4**2 * float(carry["widths"].square().mean())
    there, _ = sampled(objective, generator, MEAN, v, carry=carry, n=200)
    gap = there.mean(dim=0).abs()
    assert (gap < 5.5 * there.std(dim=0) / 60**0.5 + 0.01).all()
    at_truth, _ = sampled(objective, generator, MEAN, S**2, carry=carry, n=200)
    assert float(at_truth.mean(dim=0)[1].abs()) > 0.1


def test_energy_discrepancy_has_the_gradient_of_its_own_loss_with_two_draws(generator):
    objective = EnergyDiscrepancy(negatives=2, reach=0.7, stabiliser=0.5)
    carry = begun(objective, generator)
    root_t = float(carry["root_t"])
    (x, xi, xi_1, xi_2), weights = hermite(18, 4)
    a = MEAN + S * x
    a_t = a + root_t * xi

    def loss(m, v):
        f = f_of(m, v)
        draws = (f(a_t + root_t * xi_1) - f(a)).exp() + (f(a_t + root_t * xi_2) - f(a)).exp()
        return (weights * (0.5 / 2 + draws / 2).log()).sum()

    exact, value = population_gradient(loss, *OFF)
    found, losses = sampled(objective, generator, *OFF, carry=carry, n=2000)
    assert_gradient(found, exact)
    assert within_errors(losses, value)


@pytest.mark.parametrize("reach", [0.4, 1.5])
def test_energy_discrepancy_with_many_draws_is_the_closed_form_and_least_at_the_truth(
    reach, generator
):
    objective = EnergyDiscrepancy(negatives=2000, reach=reach, stabiliser=0.0)
    carry = begun(objective, generator)
    t = float(carry["root_t"]) ** 2

    def loss(m, v):
        away = S**2 + (MEAN - m) ** 2
        return away / (2 * v) - (away + t) / (2 * (v + t)) - 0.5 * (1 + t / v).log()

    exact, value = population_gradient(loss, *OFF)
    found, losses = sampled(objective, generator, *OFF, carry=carry, repeats=30, n=150)
    error = found.std(dim=0) / 30**0.5
    assert ((found.mean(dim=0) - exact).abs() < 5.5 * error + 0.003).all()
    assert abs(float(losses.mean()) - value) < 5.5 * float(losses.std()) / 30**0.5 + 0.002
    at_truth, _ = sampled(objective, generator, MEAN, S**2, carry=carry, repeats=30, n=150)
    assert (at_truth.mean(dim=0).abs() < 5.5 * at_truth.std(dim=0) / 30**0.5 + 0.003).all()
    assert exact.norm() > 0.03


def test_self_normalised_likelihood_is_exact_with_a_single_draw(generator):
    objective = SelfNormalisedLikelihood(negatives=1, log_z_dim=0)
    carry = begun(objective, generator)
    parts = objective.parts(1, 1, generator=generator("parts")).double()
    c = 0.6
    with torch.no_grad():
        parts[LOG_Z].constant.fill_(c)

    def loss(m, v):
        z = (2 * math.pi * v).sqrt()
        return (S**2 + (MEAN - m) ** 2) / (2 * v) + c + z * math.exp(-c) - 1

    exact, value = population_gradient(loss, *OFF)
    found, losses = sampled(objective, generator, *OFF, carry=carry, parts=parts, n=4000)
    assert_gradient(found, exact)
    assert within_errors(losses, value)
    of = (LOG_Z, [parts[LOG_Z].constant])
    by_c, _ = sampled(objective, generator, *OFF, carry=carry, parts=parts, n=4000, of=of)
    z = math.sqrt(2 * math.pi * OFF[1])
    assert_gradient(by_c, torch.tensor([1 - z * math.exp(-c)]).double())
    with torch.no_grad():
        parts[LOG_Z].constant.fill_(0.5 * math.log(2 * math.pi * S**2))
    at_truth, _ = sampled(objective, generator, MEAN, S**2, carry=carry, parts=parts, n=4000)
    assert within_errors(at_truth, 0.0)
