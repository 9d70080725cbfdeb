"""The exact density on a grid against closed forms, other arithmetic and perfect samples."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from support import assert_mean

from ebmlib import EnergyConfig, EnergyModel, Grid, InputError, Pairs
from ebmlib.evaluation import exact

DOUBLE = torch.empty(0, dtype=torch.float64)


def gaussian(grid, s=1.0, mean=0.0):
    """The grid's density of an unnormalised Gaussian."""
    return exact.density(lambda a: -(a - mean).square().sum(dim=-1) / (2 * s**2), grid, DOUBLE)


def small_model(generator, d=2, **changes):
    """A float64 network scaled up until its density on [-1, 1]^d is far from uniform."""
    config = EnergyConfig(**({"z_dim": 4, "h_dim": 6, "hidden_layers": 1} | changes))
    model = EnergyModel(config, 2, d, generator=generator("weights")).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
    return model


def some_pairs(generator, n=5, d=2):
    g = generator("pairs")
    states = torch.randn(n, 2, generator=g, dtype=torch.float64)
    actions = torch.rand(n, d, generator=g, dtype=torch.float64) * 1.6 - 0.8
    return Pairs(states, actions, torch.arange(n))


@pytest.mark.parametrize("d", [1, 2])
def test_log_z_of_a_gaussian_is_as_exact_as_its_spacing(d):
    s, radius = 0.7, 8.4
    expected = d * math.log(s * math.sqrt(2 * math.pi))

    def error(spacing):
        grid = Grid(radius, d, points=round(2 * radius / spacing))
        assert grid.spacing == pytest.approx(spacing, rel=1e-12)
        return abs(float(gaussian(grid, s).log_z) - expected)

    assert error(s) < 2e-8
    assert error(s / 2) < 5e-14 * d
    assert 0.01 < error(2 * s) < 0.04


def test_log_z_of_a_relu_network_converges_quadratically(generator):
    """Halving the spacing quarters the error (ORACLES), here over several kinked networks."""

    def log_z(model, points):
        return exact.model_density(model, torch.zeros(1, 2).double(), Grid(1.0, points=points))

    coarse, fine = [], []
    for seed in range(4):
        model = small_model(lambda name, seed=seed: generator(name, seed))
        truth = float(log_z(model, 640).log_z)
        coarse.append(float(log_z(model, 20).log_z) - truth)
        fine.append(float(log_z(model, 80).log_z) - truth)
    ratio = np.abs(coarse).mean() / np.abs(fine).mean()
    assert 8 < ratio < 32  # 4^2
    assert np.abs(fine).max() < 2e-3


@pytest.mark.parametrize("d", [1, 2])
def test_moments_mode_and_entropy_of_a_gaussian(d):
    s, mean = 0.5, torch.tensor([0.4, -0.3], dtype=torch.float64)[:d]
    found = gaussian(Grid(5.0, d, points=100), s, mean)
    torch.testing.assert_close(found.mass.sum(dim=1), torch.ones(1).double())
    torch.testing.assert_close(found.mean(), mean[None])
    torch.testing.assert_close(found.covariance(), s**2 * torch.eye(d).double()[None])
    assert (found.mode() - mean).abs().max() <= found.grid.spacing / 2 + 1e-12
    entropy = d * (0.5 + math.log(s * math.sqrt(2 * math.pi)))
    assert float(found.entropy()) == pytest.approx(entropy, abs=1e-10)


def test_covariance_of_a_tilted_gaussian():
    covariance = torch.tensor([[0.5, 0.3], [0.3, 0.4]], dtype=torch.float64)
    precision = torch.linalg.inv(covariance)
    found = exact.density(
        lambda a: -0.5 * (a @ precision * a).sum(dim=-1), Grid(6.0, points=80), DOUBLE
    )
    torch.testing.assert_close(found.covariance()[0], covariance)


def test_kl_between_gaussians_is_the_closed_form_and_not_symmetric():
    grid, d, gap = Grid(8.0, points=160), 2, 0.6
    p, q = gaussian(grid, 0.5), gaussian(grid, 0.8, gap)

    def closed(s, t):
        return d * (math.log(t / s) + (s**2 + gap**2) / (2 * t**2) - 0.5)

    assert float(p.kl(q)) == pytest.approx(closed(0.5, 0.8), rel=1e-9)
    assert float(q.kl(p)) == pytest.approx(closed(0.8, 0.5), rel=1e-9)
    assert float(p.kl(p)) == 0.0
    with pytest.raises(InputError, match="one grid"):
        p.kl(gaussian(Grid(8.0, points=80)))


def test_border_mass_tells_a_grid_that_is_too_small():
    for d in (1, 2):
        assert float(gaussian(Grid(9.0, d, points=60)).border_mass()) < 1e-15
        tight = Grid(2.0, d, points=40)
        axis = tight.axis(DOUBLE).numpy()
        p = np.exp(-(axis**2) / 2) / np.exp(-(axis**2) / 2).sum()
        expected = 1 - (p[1:-1].sum()) ** d
        assert float(gaussian(tight, 1.0).border_mass()) == pytest.approx(expected, rel=1e-9)


def test_a_grid_is_made_of_cells_with_the_last_axis_fastest():
    grid = Grid(2.0, points=4)
    assert grid.spacing == 1.0
    assert grid.axis(DOUBLE).tolist() == [-1.5, -0.5, 0.5, 1.5]
    assert grid.actions(DOUBLE)[:5].tolist() == [
        [-1.5, -1.5],
        [-1.5, -0.5],
        [-1.5, 0.5],
        [-1.5, 1.5],
        [-0.5, -1.5],
    ]


@pytest.mark.parametrize(("d", "points", "bins"), [(1, 101, 20), (2, 101, 20), (2, 64, 16)])
def test_total_variation_and_kl_of_perfect_samples_are_near_their_floor(d, points, bins, generator):
    """Also where bins do not divide the grid's points: a cell is shared out between bins."""
    found, repeats, m = gaussian(Grid(6.0, d, points)), 40, 20_000
    samples = torch.randn(repeats, m, d, generator=generator(), dtype=torch.float64)
    one = torch.stack([found.total_variation(row[None], bins)[0] for row in samples])
    floor = float(found.total_variation_floor(m, bins))
    error = float(one.std()) / math.sqrt(repeats)
    assert abs(float(one.mean()) - floor) < 5.5 * error
    kl = torch.stack([found.kl_of_samples(row[None], bins)[0] for row in samples])
    error = float(kl.std()) / math.sqrt(repeats)
    bias = bins**d / (2 * m)  # at most this was taken off
    assert abs(float(kl.mean())) < 5.5 * error + 0.1 * bias


@pytest.mark.parametrize("m", [1, 7, 500])
def test_the_floor_is_the_mean_deviation_of_binomial_counts(m):
    """Also where bins hold less than one sample, all of them, or none."""
    points = 8
    f = torch.randn(3, points, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    f[1] = -1e4  # all in one cell
    f[1, 2] = 0
    f[2] = 0  # flat
    found = exact.density(lambda a: f, Grid(1.0, d=1, points=points), DOUBLE)
    k = np.arange(m + 1)
    expected = [
        0.5 * sum(np.abs(k / m - p) @ stats.binom.pmf(k, m, p) for p in row)
        for row in found.mass.clamp(max=1).numpy()
    ]
    assert found.total_variation_floor(m, points).numpy() == pytest.approx(expected, abs=1e-12)
    assert expected[1] == 0


@pytest.mark.parametrize("d", [1, 2])
def test_total_variation_of_a_shifted_sample_is_that_of_the_shift(d, generator):
    m, shift = 40_000, 0.8
    samples = torch.randn(1, m, d, generator=generator(), dtype=torch.float64)
    samples[..., 0] += shift
    found = gaussian(Grid(6.0, d, 96))
    expected = math.erf(shift / (2 * math.sqrt(2)))  # 2 Phi(shift / 2) - 1, before binning
    assert float(found.total_variation(samples, 24)) == pytest.approx(expected, abs=0.03)
    assert float(found.kl_of_samples(samples, 48)) == pytest.approx(shift**2 / 2, rel=0.06)
    outside = samples + 100
    assert float(found.total_variation(outside)) == pytest.approx(1.0)
    assert math.isinf(float(found.kl_of_samples(outside)))


def test_every_state_is_compared_with_its_own_samples(generator):
    centres, m = torch.tensor([[0.3, -0.2], [-0.4, 0.1]]).double(), 20_000

    def f(a):
        return -20 * (a[None] - centres[:, None]).square().sum(dim=-1)

    found = exact.density(f, Grid(2.0, points=40), DOUBLE)
    cells = torch.multinomial(found.mass, m, replacement=True, generator=generator("cells"))
    actions = found.grid.actions(found.log_p)[cells]
    assert_mean(actions[0], centres[0])
    assert_mean(actions[1], centres[1])
    assert (found.total_variation(actions) < 2 * found.total_variation_floor(m)).all()
    assert (found.total_variation(actions.flip(0)) > 0.9).all()


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_model_density_is_exp_f_over_its_sum(d, activation, generator, monkeypatch):
    """Against a loop over states and cells in NumPy, and also when it is done in pieces."""
    model = small_model(generator, d, first_activation=activation)
    pairs, grid = some_pairs(generator, 3, d), Grid(1.2, d, points=9)
    monkeypatch.setattr(exact, "_VALUES_AT_ONCE", 2 * 9**d)
    found = exact.model_density(model, pairs.states, grid)
    likelihood = exact.log_likelihood(model, pairs, grid)
    for i, (x, a) in enumerate(zip(pairs.states, pairs.actions, strict=True)):
        f = np.array([model(x, cell).item() for cell in grid.actions(DOUBLE)])
        z = np.exp(f).sum() * grid.spacing**d
        assert float(found.log_z[i]) == pytest.approx(math.log(z), abs=1e-12)
        np.testing.assert_allclose(found.log_p[i].exp().numpy(), np.exp(f) / z, rtol=1e-11)
        expected = model(x, a).item() - math.log(z)
        assert likelihood[i].item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("norm", ["none", "fcn_and_fe_x"])
@pytest.mark.parametrize("d", [1, 2])
def test_exact_gradient_is_that_of_the_likelihood(d, norm, generator, monkeypatch):
    model = small_model(generator, d, spectral_norm=norm, output_bias=True).eval()
    pairs, grid = some_pairs(generator, 5, d), Grid(1.0, d, points=15)
    monkeypatch.setattr(exact, "_VALUES_AT_ONCE", 2 * 15**d)  # in pieces of two states
    found = exact.likelihood_gradient(model, pairs, grid)
    model.zero_grad()
    (-exact.log_likelihood(model, pairs, grid).mean()).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, msg=name)
    assert float(found["fcn.2.bias"].abs()) < 1e-12, "the output bias cancels in the density"
    assert sum(float(g.norm()) for g in found.values()) > 0.05


def test_exact_gradient_agrees_with_finite_differences(generator):
    model = small_model(generator, first_activation="tanh", hidden_layers=0)
    pairs, grid, h = some_pairs(generator), Grid(1.0, points=25), 1e-6
    found = exact.likelihood_gradient(model, pairs, grid)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            flat = parameter.view(-1)
            for k in range(0, len(flat), 3):
                value = flat[k].item()
                losses = []
                for step in (h, -h):
                    flat[k] = value + step
                    losses.append(-exact.log_likelihood(model, pairs, grid).mean().item())
                flat[k] = value
                expected = (losses[0] - losses[1]) / (2 * h)
                assert found[name].view(-1)[k].item() == pytest.approx(expected, abs=2e-8)


def test_log_likelihood_in_training_sees_one_set_of_normalised_weights(generator):
    """Both terms come from one power iteration, so that log p stays a density."""
    model = small_model(generator, spectral_norm="fcn_and_fe_x").train()
    pairs, grid = some_pairs(generator, 4), Grid(1.0, points=12)
    everywhere = Pairs(pairs.states[:1].expand(144, 2), grid.actions(DOUBLE), torch.arange(144))
    log_p = exact.log_likelihood(model, everywhere, grid)
    assert float(log_p.detach().exp().sum()) * grid.spacing**2 == pytest.approx(1.0, abs=1e-12)
    (-log_p.mean()).backward()


def test_what_a_grid_cannot_do_is_refused(generator):
    for d in (0, 4, 2.5):
        with pytest.raises(InputError, match="1 to 3 dimensions"):
            Grid(1.0, d)
    model = small_model(generator, d=1)
    pairs = some_pairs(generator, d=1)
    for call in (
        lambda: exact.model_density(model, pairs.states, Grid(1.0, 2)),
        lambda: exact.log_likelihood(model, pairs, Grid(1.0, 2)),
        lambda: exact.likelihood_gradient(model, pairs, Grid(1.0, 2)),
    ):
        with pytest.raises(InputError, match="have 1 dimensions and the grid 2"):
            call()
    found = exact.model_density(model, pairs.states, Grid(1.0, 1))
    for shape in [(5, 10), (4, 10, 1), (5, 10, 2)]:
        with pytest.raises(InputError, match=r"Samples must have shape \(5, m, 1\)"):
            found.total_variation(torch.zeros(shape))


@pytest.mark.parametrize("bins", [2, 5, 10])
def test_samples_in_one_bin_of_a_flat_density_are_the_logarithm_of_the_bins_away(bins):
    flat = exact.density(lambda a: torch.zeros(1, len(a)), Grid(1.0, 2, 20), DOUBLE)
    samples = torch.full((1, 50, 2), 0.93)
    assert float(flat.kl_of_samples(samples, bins)) == pytest.approx(2 * math.log(bins))
    assert float(flat.total_variation(samples, bins)) == pytest.approx(1 - bins**-2)
