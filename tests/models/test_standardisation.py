"""Standardised inputs: the same network on other numbers, whatever the units of the data."""

import copy
import math
from dataclasses import replace

import pytest
import torch

from ebmlib import EnergyConfig, EnergyModel, Grid, InputError
from ebmlib.evaluation import exact

CONFIGS = {
    "figure 3.2": EnergyConfig(z_dim=4, h_dim=6, standardise=True),
    "silu": EnergyConfig(z_dim=4, h_dim=6, activation="silu", standardise=True),
    "plain": EnergyConfig.plain(6, first_activation="tanh", standardise=True),
    "normalised": EnergyConfig(z_dim=4, h_dim=6, spectral_norm="fcn_and_fe_x", standardise=True),
    "normalised, plain": EnergyConfig.plain(6, spectral_norm="fcn_0_2", standardise=True),
    "T, bias": EnergyConfig(z_dim=4, h_dim=6, temperature=0.3, output_bias=True, standardise=True),
}
NAMES = ("state_mean", "state_scale", "action_mean", "action_scale")
variants = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())


def data(generator, d_x=3, d_a=2, n=40):
    """States whose features have different units, and actions that move mostly in one direction."""
    x = torch.randn(n, d_x, generator=generator("states"), dtype=torch.float64)
    a = torch.randn(n, d_a, generator=generator("actions"), dtype=torch.float64)
    units = torch.tensor([100.0, 1.0, 0.02, 3.0], dtype=torch.float64)[:d_x]
    spread = torch.tensor([0.05, 0.001, 0.03], dtype=torch.float64)[:d_a]
    return units * (x + 2), spread * (a + 1)


def made(config, generator, d_x=3, d_a=2):
    return EnergyModel(config, d_x, d_a, generator=generator("weights")).double().eval()


def fitted(config, generator):
    x, a = data(generator)
    model = made(config, generator)
    model.fit_standardisation(x, a)
    return model, x, a


def test_standardised_data_are_centred_and_of_spread_one(generator):
    model, x, a = fitted(CONFIGS["figure 3.2"], generator)
    x, a = (x - model.state_mean) / model.state_scale, (a - model.action_mean) / model.action_scale
    one = torch.ones(3, dtype=torch.float64)
    torch.testing.assert_close(x.mean(dim=0), 0 * one)
    torch.testing.assert_close(x.square().mean(dim=0), one)
    torch.testing.assert_close(a.mean(dim=0), 0 * one[:2])
    assert float(a.square().mean()) == pytest.approx(1)
    assert model.action_scale[0] == model.action_scale[1], "one scale in all directions"


@variants
def test_it_is_the_plain_model_at_standardised_inputs(config, generator):
    model, x, a = fitted(config, generator)
    plain = made(replace(config, standardise=False), generator)
    for mine, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine, theirs), "the option does not change the initial weights"
    inside = (x - x.mean(dim=0)) / x.std(dim=0, correction=0)
    scale = float(a.var(dim=0, correction=0).mean()) ** 0.5
    within = (a - a.mean(dim=0)) / scale
    torch.testing.assert_close(model(x, a), plain(inside, within))
    score, reference = model.score(x), plain.score(inside)
    torch.testing.assert_close(score.value(a), reference.value(within))
    torch.testing.assert_close(score(a), reference(within) / scale)


@variants
def test_weights_that_leave_the_model_have_it_folded_in(config, generator):
    model, x, a = fitted(config, generator)
    plain = made(replace(config, standardise=False, spectral_norm="none"), generator)
    with torch.no_grad():
        for name, (weight, bias) in model.folded().items():
            layer = plain.layers()[name]
            layer.weight.copy_(weight)
            if layer.bias is not None:
                layer.bias.copy_(bias)
    torch.testing.assert_close(plain(x, a), model(x, a))


@variants
def test_the_units_of_the_data_do_not_matter(config, generator):
    model, x, a = fitted(config, generator)
    units = torch.tensor([1e-3, 7.0, 400.0], dtype=torch.float64)
    offset = torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64)
    other = made(config, generator)
    other.fit_standardisation(x * units + offset, 50 * a)
    at, step = x[:7] + 0.3 * x.std(dim=0), a[:7] + 0.02
    torch.testing.assert_close(other(at * units + offset, 50 * step), model(at, step))
    found, expected = other.score(at * units + offset)(50 * step), model.score(at)(step)
    torch.testing.assert_close(50 * found, expected)


def test_features_without_spread_divide_by_nothing_and_have_no_units_either(generator):
    x, a = data(generator, d_x=4)
    x[:, 0], x[:, 1], x[:, 2] = 0.0, 5.0, 5.0 + 1e-9 * x[:, 2]
    a[:, 1] = 0.0
    model = made(CONFIGS["figure 3.2"], generator, d_x=4)
    model.fit_standardisation(x, a)
    assert model.state_scale[0] == 1
    torch.testing.assert_close(model.state_scale[1:3], torch.full((2,), 5.0).double())
    spread = float(a[:, 0].std(correction=0)) / math.sqrt(2)
    torch.testing.assert_close(model.action_scale, torch.full((2,), spread).double())
    assert model(x, a).isfinite().all() and model.score(x)(a).isfinite().all()
    other = made(CONFIGS["figure 3.2"], generator, d_x=4)
    other.fit_standardisation(1e-4 * x, a)
    moved = x + torch.tensor([0.0, 2.0, 0.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(other(1e-4 * moved, a), model(moved, a))
    for still, scale in ((0.0, 1.0), (0.02, 0.02)):  # no spread in any direction
        model.fit_standardisation(x, torch.full_like(a, still))
        torch.testing.assert_close(model.action_scale, torch.full((2,), scale).double())
    model.fit_standardisation(x[:1], a[:1])  # a single pair
    assert model(x, a).isfinite().all()


def test_the_density_differs_by_the_constant_that_the_docstring_names(generator):
    x, a = data(generator)
    a = torch.cat([a, -a])  # of mean 0, so that the grids correspond
    model = made(CONFIGS["silu"], generator)
    model.fit_standardisation(x, a)
    plain = made(replace(CONFIGS["silu"], standardise=False), generator)
    scale = float(model.action_scale[0])
    ours = exact.model_density(model, x[:3], Grid(0.1, points=30))
    inside = (x[:3] - model.state_mean) / model.state_scale
    theirs = exact.model_density(plain, inside, Grid(0.1 / scale, points=30))
    torch.testing.assert_close(ours.log_z, theirs.log_z + 2 * math.log(scale))
    torch.testing.assert_close(ours.log_p, theirs.log_p - 2 * math.log(scale))


def test_means_and_scales_travel_with_the_weights_and_are_absent_without_the_option(generator):
    model, x, a = fitted(CONFIGS["normalised"], generator)
    loaded = made(CONFIGS["normalised"], generator)
    loaded.load_state_dict(model.state_dict())
    assert torch.equal(loaded(x, a), model(x, a))
    assert torch.equal(loaded.score(x)(a), model.score(x)(a))
    assert torch.equal(copy.deepcopy(model)(x, a), model(x, a))
    assert set(NAMES) <= model.state_dict().keys()
    plain = made(replace(CONFIGS["normalised"], standardise=False), generator)
    assert not set(NAMES) & plain.state_dict().keys()
    with pytest.raises(RuntimeError, match="state_mean"):
        loaded.load_state_dict(plain.state_dict())


def test_a_model_that_has_seen_no_data_says_so(generator):
    x, a = data(generator)
    model = made(CONFIGS["plain"], generator)
    again = made(CONFIGS["plain"], generator)
    again.load_state_dict(model.state_dict())  # weights from before the fit do not help
    for one in (model, again):
        for use in (lambda m: m(x, a), lambda m: m.score(x), EnergyModel.folded):
            with pytest.raises(InputError, match=r"has seen no data; call fit_standardisation"):
                use(one)
    model.fit_standardisation(x, a)
    assert model(x, a).isfinite().all()


def test_data_that_do_not_fit_are_refused(generator):
    x, a = data(generator)
    model = made(CONFIGS["figure 3.2"], generator)
    for states, actions, said in (
        (x[:, :2], a, r"States must have shape \(n, 3\)"),
        (x, a[0], r"Actions must have shape \(n, 2\)"),
        (x[:0], a, "States must have shape .* at least 1"),
        (x, a * math.nan, "Actions must be finite"),
        (x / 0, a, "States must be finite"),
    ):
        with pytest.raises(InputError, match=said):
            model.fit_standardisation(states, actions)
    off = made(EnergyConfig(z_dim=4, h_dim=6), generator)
    with pytest.raises(InputError, match="made without standardisation"):
        off.fit_standardisation(x, a)


def test_float32_loses_nothing_to_far_away_states(generator):
    """Positions 1000 spreads from the origin: in float32 the score is that of float64."""
    model, x, a = fitted(CONFIGS["figure 3.2"], generator)
    x = x + 1000 * x.std(dim=0)
    x = x.float().double()  # what float32 can hold of it
    model.fit_standardisation(x, a)
    exactly = model.score(x)(a)
    single = model.float().score(x.float())(a.float())
    assert (single.double() - exactly).norm() < 1e-3 * exactly.norm()
