"""The network of Figure 3.2 against its equations, its variants, and its initial weights."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import elu, leaky_relu

from ebmlib import EnergyConfig, EnergyModel, Grid, Pairs
from ebmlib.evaluation import exact
from ebmlib.models.energy import SPECTRAL_NORMS, effective_weight, evaluating

NORMALISED = {
    "none": set(),
    "fcn_0_2": {"FCN[0]", "FCN[2]"},
    "fcn_and_fe_x": {"FE_x", "FCN[0]", "FCN[1]", "FCN[2]", "FCN[3]"},
}


def small(generator, d_x=2, d_a=2, **changes):
    config = EnergyConfig(**({"z_dim": 4, "h_dim": 6} | changes))
    return EnergyModel(config, d_x, d_a, generator=generator("weights")).double()


def rows(generator, n, d, name):
    return torch.randn(n, d, generator=generator(name), dtype=torch.float64)


@pytest.mark.parametrize("first", ["relu", "tanh"])
@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_the_activations_are_those_that_the_model_names(first, activation, generator):
    model = small(generator, d_x=3, activation=activation, first_activation=first)
    x, a = rows(generator, 5, 3, "x"), rows(generator, 5, 2, "a")
    functions = {
        "LeakyReLU": lambda s: torch.maximum(s, 0.01 * s),
        "ELU": lambda s: torch.where(s > 0, s, torch.expm1(s)),
        "ReLU": lambda s: s.clamp(min=0),
        "tanh": torch.tanh,
        "SiLU": lambda s: s / (1 + torch.exp(-s)),
        None: lambda s: s,
    }

    def layer(name, value):
        weight, bias = model.layers()[name].weight, model.layers()[name].bias
        s = value @ weight.T + (0 if bias is None else bias)
        return functions[model.activations().get(name)](s)

    out = layer("FCN[0]", torch.cat([layer("FE_x", x), layer("FE_a", a)], dim=1))
    for name in ("FCN[1]", "FCN[2]"):
        out = layer(name, out) + out
    torch.testing.assert_close(model(x, a), layer("FCN[3]", out)[:, 0])
    assert set(model.activations()) == set(model.layers()) - {"FCN[3]"}
    plain = small(generator, embedding=False, activation=activation, first_activation=first)
    assert set(plain.activations()) == {"FCN[0]", "FCN[1]", "FCN[2]"}


def test_f_is_written_out_as_in_the_thesis(generator):
    model = small(generator, d_x=3, d_a=2, temperature=0.5, output_bias=True)
    x, a = rows(generator, 5, 3, "x"), rows(generator, 5, 2, "a")
    w = {name: (layer.weight, layer.bias) for name, layer in model.layers().items()}
    features = torch.cat(
        [
            leaky_relu(x @ w["FE_x"][0].T + w["FE_x"][1], 0.01),
            elu(a @ w["FE_a"][0].T + w["FE_a"][1]),
        ],
        dim=1,
    )
    out = (features @ w["FCN[0]"][0].T + w["FCN[0]"][1]).clamp(min=0)
    for name in ("FCN[1]", "FCN[2]"):
        out = (out @ w[name][0].T + w[name][1]).clamp(min=0) + out
    f = (out @ w["FCN[3]"][0].T + w["FCN[3]"][1])[:, 0] / 0.5
    torch.testing.assert_close(model(x, a), f)
    torch.testing.assert_close(model.energy(x, a), -0.5 * f)


def test_state_and_action_go_to_their_own_branch(generator):
    x, a = rows(generator, 4, 2, "x"), rows(generator, 4, 2, "a")
    model = small(generator)
    with torch.no_grad():
        model.fe_a.weight.zero_()
    assert torch.equal(model(x, a), model(x, a + 1))
    assert not torch.equal(model(x, a), model(x + 1, a))
    plain = small(generator, embedding=False)
    with torch.no_grad():
        plain.fcn[0].weight[:, :2] = 0  # the columns that read x
    assert torch.equal(plain(x, a), plain(x + 1, a))
    assert not torch.equal(plain(x, a), plain(x, a + 1))


def test_layers_of_figure_3_2_and_of_the_plain_network(generator):
    model = EnergyModel(EnergyConfig(), 2, 2, generator=generator())
    shapes = {name: tuple(layer.weight.shape) for name, layer in model.layers().items()}
    assert shapes == {
        "FE_x": (64, 2),
        "FE_a": (64, 2),
        "FCN[0]": (128, 128),
        "FCN[1]": (128, 128),
        "FCN[2]": (128, 128),
        "FCN[3]": (1, 128),
    }
    assert model.fcn[-1].bias is None
    plain = EnergyModel(EnergyConfig.plain(h_dim=32), 2, 2, generator=generator())
    shapes = [tuple(layer.weight.shape) for layer in plain.layers().values()]
    assert shapes == [(32, 4), (32, 32), (1, 32)]


def test_leading_shapes_broadcast(generator):
    model = small(generator)
    x, a = rows(generator, 3, 2, "x"), rows(generator, 5, 2, "a")
    table = model(x[:, None], a[None])
    assert table.shape == (3, 5)
    for i in range(3):
        for j in range(5):
            torch.testing.assert_close(table[i, j], model(x[i], a[j]))


def test_output_bias_moves_f_and_not_the_density(generator):
    model = small(generator, output_bias=True)
    x, grid = rows(generator, 2, 2, "x"), Grid(1.0, points=20)
    before = exact.model_density(model, x, grid)
    with torch.no_grad():
        model.fcn[-1].bias.add_(3.0)
    after = exact.model_density(model, x, grid)
    torch.testing.assert_close(after.log_z, before.log_z + 3.0)
    torch.testing.assert_close(after.log_p, before.log_p)


def test_temperature_divides_the_energy(generator):
    x, a = rows(generator, 4, 2, "x"), rows(generator, 4, 2, "a")
    cold, unit = small(generator, temperature=0.2), small(generator)
    torch.testing.assert_close(cold(x, a), 5 * unit(x, a))
    torch.testing.assert_close(cold.energy(x, a), unit.energy(x, a))


@pytest.mark.parametrize("norm", SPECTRAL_NORMS)
def test_normalised_layers_have_spectral_norm_one(norm, generator):
    model = small(generator, spectral_norm=norm, h_dim=16, z_dim=8)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3.0)
    x, a = rows(generator, 4, 2, "x"), rows(generator, 4, 2, "a")
    model.train()
    for _ in range(300):  # one power iteration each
        model(x, a)
    for name, layer in model.layers().items():
        size = np.linalg.norm(effective_weight(layer).numpy(), 2)
        if name in NORMALISED[norm]:
            assert size == pytest.approx(1.0, abs=1e-6), name
        else:
            assert abs(size - 1) > 0.05, name


def test_power_iteration_starts_from_the_generator_and_belongs_to_training(generator):
    def vectors(seed, global_seed):
        torch.manual_seed(global_seed)  # plays no part
        config = EnergyConfig(z_dim=8, h_dim=16, spectral_norm="fcn_and_fe_x")
        model = EnergyModel(config, 2, 2, generator=generator("weights", seed))
        return model, {k: v.clone() for k, v in model.named_buffers()}

    (model, first), (_, again), (_, other) = vectors(0, 1), vectors(0, 2), vectors(1, 2)
    assert first and all(torch.equal(first[k], again[k]) for k in first)
    assert not all(torch.equal(first[k], other[k]) for k in first)
    x, a = torch.ones(3, 2), torch.ones(3, 2)
    model.train()
    with evaluating(model):
        model(x, a)
    model.score(x)(a)
    exact.model_density(model, x, Grid(1.0, points=5))
    exact.likelihood_gradient(model, Pairs(x, a, torch.arange(3)), Grid(1.0, points=5))
    assert model.training
    assert all(torch.equal(first[k], v) for k, v in model.named_buffers())
    model(x, a)
    assert not all(torch.equal(first[k], v) for k, v in model.named_buffers())


@pytest.mark.parametrize("norm", SPECTRAL_NORMS)
def test_making_a_model_leaves_the_global_random_state(norm, generator):
    before = torch.random.get_rng_state()
    EnergyModel(EnergyConfig(spectral_norm=norm), 2, 2, generator=generator())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_initial_weights_are_uniform_within_the_inverse_root_of_the_fan_in(generator):
    model = EnergyModel(EnergyConfig(z_dim=256, h_dim=512), 2, 2, generator=generator())
    for layer in model.layers().values():
        bound = 1 / math.sqrt(layer.in_features)
        for values in (p.detach() for p in layer.parameters()):
            assert float(values.abs().max()) <= bound
            if values.numel() > 200:
                spread = 5.5 * bound * math.sqrt(4 / 45 / values.numel())  # of x^2, x uniform
                assert abs(float(values.square().mean()) - bound**2 / 3) < spread * bound
    same = EnergyModel(EnergyConfig(z_dim=256, h_dim=512), 2, 2, generator=generator())
    other = EnergyModel(EnergyConfig(z_dim=256, h_dim=512), 2, 2, generator=generator("test", 1))
    for mine, equal, different in zip(
        model.parameters(), same.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(mine, equal) and not torch.equal(mine, different)
