"""The closed-form score against automatic differentiation, for every architecture variant."""

from dataclasses import replace
from itertools import product

import pytest
import torch

from ebmlib import SGLD, EnergyConfig, EnergyModel, InputError

VARIANTS = [
    EnergyConfig(
        z_dim=4,
        h_dim=6,
        hidden_layers=hidden,
        embedding=embedding,
        residual=residual,
        first_activation=first,
        activation=activation,
        spectral_norm=norm,
        output_bias=bias,
        temperature=temperature,
    )
    for hidden, embedding, residual, first, activation, norm, (bias, temperature) in product(
        (0, 1, 2, 3),
        (True, False),
        (True, False),
        ("relu", "tanh"),
        ("relu", "silu"),
        ("none", "fcn_0_2", "fcn_and_fe_x"),
        ((False, 1.0), (True, 0.3)),
    )
    if activation == "relu" or norm == "none"  # normalisation is of the weights alone
]
VARIANTS += [replace(config, standardise=True) for config in VARIANTS[::7]]


def drawn(config, d_x, d_a, generator, n=9):
    """A float64 model whose biases and weights are large enough to reach every branch."""
    model = EnergyModel(config, d_x, d_a, generator=generator("weights")).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
    x = torch.randn(n, d_x, generator=generator("states"), dtype=torch.float64)
    a = torch.randn(n, d_a, generator=generator("actions"), dtype=torch.float64)
    if config.standardise:
        model.fit_standardisation(1.5 * x + 1, 2 * a - 1)
    return model, x, a


def by_autograd(model, x, a):
    a = a.clone().requires_grad_()
    f = model.eval()(x, a)
    return f.detach(), torch.autograd.grad(f.sum(), a)[0]


@pytest.mark.parametrize("dims", [(1, 1), (2, 2), (3, 3), (2, 1), (1, 3)], ids=str)
def test_score_and_value_agree_with_autograd_for_every_variant(dims, generator):
    for config in VARIANTS:
        model, x, a = drawn(config, *dims, generator)
        value, gradient = by_autograd(model, x, a)
        score = model.score(x)
        torch.testing.assert_close(score(a), gradient, rtol=1e-11, atol=1e-12, msg=str(config))
        torch.testing.assert_close(score.value(a), value, rtol=1e-11, atol=1e-12, msg=str(config))


def test_the_test_reaches_both_branches_of_every_activation(generator):
    model, x, a = drawn(EnergyConfig(z_dim=4, h_dim=6, hidden_layers=3), 2, 2, generator, n=50)
    _, (first, *hidden), _ = model.score(x)._forward(a)
    for s in (model.fe_a(a), model.fe_x(x), *hidden):
        assert (s > 0).any() and (s < 0).any()
    assert (first > 0).any() and (first == 0).any()


@pytest.mark.parametrize("smooth", [{"first_activation": "tanh"}, {"activation": "silu"}], ids=str)
def test_score_agrees_with_finite_differences(smooth, generator):
    model, x, a = drawn(EnergyConfig(z_dim=4, h_dim=6, **smooth), 2, 2, generator)
    score, h = model.score(x), 1e-6
    columns = [
        (model(x, a + h * unit) - model(x, a - h * unit)) / (2 * h)
        for unit in torch.eye(2, dtype=torch.float64)
    ]
    torch.testing.assert_close(score(a), torch.stack(columns, dim=1).detach(), rtol=1e-6, atol=1e-8)


def largest_break(config, generator):
    """By how much the slope of grad_a f on short intervals differs from grad_a^2 f at their ends.

    By the trapezoidal rule, over the length: of second order where grad_a^2 f is smooth, of order
    one where it jumps, and large where grad_a f itself jumps.
    """
    model, _, _ = drawn(config, 1, 1, generator)
    a = torch.linspace(-3, 3, 6001, dtype=torch.float64)[:, None].requires_grad_()
    found = 0.0
    for x in torch.tensor([[-1.0], [0.0], [1.0]], dtype=torch.float64):
        (g,) = torch.autograd.grad(model(x, a).sum(), a, create_graph=True)
        (h,) = torch.autograd.grad(g.sum(), a)
        error = g.diff(dim=0) / a.diff(dim=0) - (h[1:] + h[:-1]) / 2
        found = max(found, float(error.detach().abs().max()) / float(h.abs().max() + 0.1))
    return found


def test_twice_differentiable_says_where_the_second_derivative_is_continuous(generator):
    tried = [c for c in VARIANTS if c.spectral_norm == "none" and c.temperature == 1]
    tried = [c for c in tried if not c.standardise]
    assert {c.twice_differentiable for c in tried if c.activation == "relu"} == {True, False}
    for config in tried:
        model = EnergyModel(config, 1, 1, generator=generator())
        assert model.twice_differentiable == config.twice_differentiable
        assert (largest_break(config, generator) < 1e-3) == config.twice_differentiable, config


def test_float32_score_is_that_of_float64_to_rounding(generator):
    model, x, a = drawn(EnergyConfig(), 2, 2, generator)
    exact = model.score(x)(a)
    single = model.float().score(x.float())(a.float())
    assert (single.double() - exact).norm() < 1e-5 * exact.norm()


def test_score_changes_neither_action_nor_model(generator):
    for config in VARIANTS[::7]:
        model, x, a = drawn(config, 2, 2, generator)
        model.train()
        before, action = {k: v.clone() for k, v in model.state_dict().items()}, a.clone()
        score = model.score(x)
        first = score(a)
        assert torch.equal(score(a), first), "calling a score twice gives the same"
        score.value(a)
        assert torch.equal(a, action)
        assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
        assert model.training
        assert not first.requires_grad


def test_a_score_drawn_after_an_update_sees_the_new_weights(generator):
    model, x, a = drawn(EnergyConfig(z_dim=4, h_dim=6), 2, 2, generator)
    before = model.score(x)(a)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    assert not torch.equal(model.score(x)(a), before)
    torch.testing.assert_close(model.score(x)(a), by_autograd(model, x, a)[1])


def test_repeat_puts_the_chains_of_a_state_side_by_side(generator):
    model, x, _ = drawn(EnergyConfig(z_dim=4, h_dim=6), 2, 2, generator, n=3)
    a = torch.randn(12, 2, generator=generator("more"), dtype=torch.float64)
    found = model.score(x).repeat(4)(a)
    for row, state in enumerate([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]):
        alone = model.score(x[state : state + 1])(a[row : row + 1])
        torch.testing.assert_close(found[row : row + 1], alone)


def test_a_chain_on_a_model_is_the_chain_on_its_autograd_gradient(generator):
    model, x, a = drawn(EnergyConfig(z_dim=4, h_dim=6), 2, 2, generator)
    sampler = SGLD(alpha=0.3, steps=6)
    found = sampler.chain(model.score(x), a, generator=generator("chain"), record=[0, 6])

    def plain(action):
        return by_autograd(model, x, action)[1]

    expected = sampler.chain(plain, a, generator=generator("chain"))
    torch.testing.assert_close(found.actions, expected.actions)
    torch.testing.assert_close(found.values[0], by_autograd(model, x, a)[0])
    torch.testing.assert_close(found.values[1], by_autograd(model, x, found.actions)[0])
    assert expected.values is None


@pytest.mark.parametrize("shape", [(2,), (4, 3), (4, 2, 2)])
def test_states_of_another_shape_are_refused(shape, generator):
    model = EnergyModel(EnergyConfig(z_dim=4, h_dim=6), 2, 2, generator=generator())
    with pytest.raises(InputError, match=r"States must have shape \(n, 2\)"):
        model.score(torch.zeros(shape))
