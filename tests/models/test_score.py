"""The closed-form score against automatic differentiation, for every architecture variant."""

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
        first_activation=activation,
        spectral_norm=norm,
        output_bias=bias,
        temperature=temperature,
    )
    for hidden, embedding, residual, activation, norm, (bias, temperature) in product(
        (0, 1, 2, 3),
        (True, False),
        (True, False),
        ("relu", "tanh"),
        ("none", "fcn_0_2", "fcn_and_fe_x"),
        ((False, 1.0), (True, 0.3)),
    )
]


def drawn(config, d_x, d_a, generator, n=9):
    """A float64 model whose biases and weights are large enough to reach every branch."""
    model = EnergyModel(config, d_x, d_a, generator=generator("weights")).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
    x = torch.randn(n, d_x, generator=generator("states"), dtype=torch.float64)
    a = torch.randn(n, d_a, generator=generator("actions"), dtype=torch.float64)
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


def test_score_agrees_with_finite_differences(generator):
    model, x, a = drawn(EnergyConfig(z_dim=4, h_dim=6, first_activation="tanh"), 2, 2, generator)
    score, h = model.score(x), 1e-6
    columns = [
        (model(x, a + h * unit) - model(x, a - h * unit)) / (2 * h)
        for unit in torch.eye(2, dtype=torch.float64)
    ]
    torch.testing.assert_close(score(a), torch.stack(columns, dim=1).detach(), rtol=1e-6, atol=1e-8)


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
