"""Contrastive divergence: its loss written out, and its gradient against the exact one."""

from dataclasses import dataclass

import pytest
import torch

from ebmlib import (
    SGLD,
    ContrastiveDivergence,
    DataStart,
    EnergyConfig,
    EnergyModel,
    Grid,
    InputError,
    NoiseStart,
    Pairs,
    PersistentStart,
)
from ebmlib.evaluation import exact
from ebmlib.sampling.starts import Negatives, _WithoutBank

NONE = torch.nn.ModuleDict()  # no parts beside the model

SAMPLER = SGLD(alpha=0.1, steps=5)


def any_model(generator, d_x=2, d_a=2, **changes):
    config = EnergyConfig(**({"z_dim": 4, "h_dim": 6} | changes))
    return EnergyModel(config, d_x, d_a, generator=generator("weights")).double()


def some_pairs(generator, n=6, d_x=2, d_a=2):
    g = generator("pairs")
    states = torch.randn(n, d_x, generator=g, dtype=torch.float64)
    actions = 0.5 * torch.randn(n, d_a, generator=g, dtype=torch.float64)
    return Pairs(states, actions, torch.arange(n))


def gradient(model, loss):
    return dict(
        zip(
            [name for name, _ in model.named_parameters()],
            torch.autograd.grad(loss, tuple(model.parameters())),
            strict=True,
        )
    )


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.0), (0.3, 0.0), (0.0, 0.2), (0.1, 0.4)])
@pytest.mark.parametrize(("m", "level"), [(6, 2.0), (15, -2.0)])
def test_loss_is_the_equation_and_so_is_its_gradient(l1, l2, m, level, generator):
    """States and actions of different dimension, so that they cannot be taken for each other.

    f lies above 0 or below it: the largest |f| is not the largest f.
    """
    model, batch = any_model(generator, d_x=3, output_bias=True), some_pairs(generator, d_x=3)
    with torch.no_grad():
        model.fcn[-1].bias.fill_(level)
    objective = ContrastiveDivergence(SAMPLER, sgld_dim=m, reg_l1=l1, reg_l2=l2)
    outcome = objective(model, NONE, batch, {}, generator=generator("chain"))

    g = generator("chain")
    turn = torch.arange(m) % 6
    start = SAMPLER.start(m, 2, generator=g, like=batch.actions)
    chain = SAMPLER.chain(model.score(batch.states[turn]), start, generator=g, length=True)
    data, ends = model(batch.states, batch.actions), model(batch.states[turn], chain.actions)
    both = torch.cat([data, ends])
    difference = ends.mean() - data.mean()
    loss = difference + l1 * both.abs().mean() + l2 * (both**2).mean()

    torch.testing.assert_close(outcome.losses["model"], loss)
    expected = gradient(model, loss)
    for name, value in gradient(model, outcome.losses["model"]).items():
        torch.testing.assert_close(value, expected[name], msg=name)
    report = {
        "loss": difference,
        "R": chain.mean_step.mean(),
        "f_data": data.mean(),
        "f_chain": ends.mean(),
        "f_magnitude": both.abs().max(),
    }
    assert outcome.report.keys() == report.keys()
    for name, value in report.items():
        torch.testing.assert_close(outcome.report[name], value, check_dtype=False, msg=name)
        assert not outcome.report[name].requires_grad


def confining_model(generator, d):
    """A concave f, so that the density is proper and chains mix: a convex network, negated."""
    config = EnergyConfig(z_dim=6, h_dim=8, hidden_layers=1)
    model = EnergyModel(config, 2, d, generator=generator("weights", 3)).double()
    first, *hidden, output = model.fcn
    with torch.no_grad():
        model.fe_x.weight.mul_(2.0)
        model.fe_a.weight.mul_(3.0)
        model.fe_a.weight[::2] = -model.fe_a.weight[1::2]  # it falls off on every side
        first.weight[:, 6:].abs_().mul_(3.0)
        for layer in hidden:
            layer.weight.abs_()
        output.weight.abs_().mul_(-8.0)
    return model


@dataclass(frozen=True)
class PerfectStart(_WithoutBank):
    """Chains start at perfect samples of the model: those of a fine grid."""

    density: exact.GridDensity

    def draw(self, batch, m, bank, sampler, *, generator):
        turn = torch.arange(m) % len(batch.states)
        mass = self.density.mass
        each = -(-m // len(mass))
        cells = torch.multinomial(mass, each, replacement=True, generator=generator).T.flatten()[:m]
        actions = self.density.grid.actions(mass)[cells]
        jitter = torch.rand(actions.shape, generator=generator, dtype=actions.dtype) - 0.5
        start = actions + jitter * self.density.grid.spacing
        return Negatives(batch.states[turn], start, batch.ids[turn])


@pytest.mark.parametrize(
    ("d", "points", "start", "sampler", "repeats", "m"),
    [
        (1, 4000, "noise", SGLD(alpha=0.06, steps=200), 14, 1600),
        (1, 4000, "perfect", SGLD(alpha=0.04, steps=5), 14, 8000),
        (2, 400, "perfect", SGLD(alpha=0.02, steps=5), 14, 8000),
    ],
)
def test_gradient_is_the_exact_one_where_chains_sample_the_model(
    d, points, start, sampler, repeats, m, generator
):
    """Within the Monte-Carlo error of the chains, parameter by parameter, sign included."""
    model, pairs = confining_model(generator, d), some_pairs(generator, n=4, d_a=d)
    grid = Grid(4.0, d, points=points)
    density = exact.model_density(model, pairs.states, grid)
    assert float(density.border_mass().max()) < 1e-9
    starts = {"noise": NoiseStart(), "perfect": PerfectStart(density)}
    objective = ContrastiveDivergence(sampler, start=starts[start], sgld_dim=m)
    truth = exact.likelihood_gradient(model, pairs, grid)
    truth = torch.cat([truth[name].flatten() for name, _ in model.named_parameters()])
    assert truth.norm() > 1

    def one(seed):
        outcome = objective(model, NONE, pairs, {}, generator=generator("chain", seed))
        return torch.cat([g.flatten() for g in gradient(model, outcome.losses["model"]).values()])

    found = torch.stack([one(seed) for seed in range(repeats)])
    mean, error = found.mean(dim=0), found.std(dim=0) / repeats**0.5
    assert torch.cosine_similarity(mean, truth, dim=0) > 0.999
    z = (mean - truth) / (error + 1e-4 * truth.norm())
    assert z.square().mean().sqrt() < 1.6, "root mean square of the standardised errors"
    assert z.abs().max() < 7


def test_gradient_by_parameters_flows_through_both_terms_and_not_through_the_chain(generator):
    model, batch = any_model(generator), some_pairs(generator)
    objective = ContrastiveDivergence(SAMPLER, start=DataStart(), sgld_dim=6)
    still = ContrastiveDivergence(
        SGLD(alpha=1e-9, steps=1, temperature=0.0), start=DataStart(), sgld_dim=6
    )
    balanced = gradient(model, still(model, NONE, batch, {}, generator=generator()).losses["model"])
    assert all(g.abs().max() < 1e-9 for g in balanced.values()), "equal points cancel"
    moved = gradient(
        model, objective(model, NONE, batch, {}, generator=generator()).losses["model"]
    )
    assert moved["fcn.0.weight"].norm() > 1e-3


def test_following_the_gradient_raises_f_on_data_and_lowers_it_on_chains(generator):
    model, batch = any_model(generator), some_pairs(generator)
    objective = ContrastiveDivergence(SAMPLER, sgld_dim=6)
    outcome = objective(model, NONE, batch, {}, generator=generator("chain"))
    descent = torch.optim.SGD(model.parameters(), lr=1e-3)
    outcome.losses["model"].backward()
    descent.step()
    after = objective(model, NONE, batch, {}, generator=generator("chain"))
    assert after.report["loss"] < outcome.report["loss"]


def test_data_noise_moves_the_demonstrated_actions_by_its_scale(generator):
    """On a linear model, f = 100 + a, the level on data shows the noise itself."""
    model = any_model(generator, embedding=False, hidden_layers=0, d_a=1)
    with torch.no_grad():
        model.fcn[0].weight.zero_()
        model.fcn[0].weight[0, -1] = 1.0
        model.fcn[0].bias.fill_(0.0)
        model.fcn[0].bias[0] = 100.0  # keeps the unit on
        model.fcn[1].weight.zero_()
        model.fcn[1].weight[0, 0] = 1.0
    batch = Pairs(torch.zeros(500, 2).double(), torch.zeros(500, 1).double(), torch.arange(500))
    objective = ContrastiveDivergence(SGLD(0.1, 1), sgld_dim=500, data_noise=0.2)
    levels = torch.stack(
        [
            objective(model, NONE, batch, {}, generator=generator("n", seed)).report["f_data"]
            for seed in range(200)
        ]
    )
    spread = float((levels - 100).square().mean().sqrt()) * 500**0.5
    assert abs(spread - 0.2) < 5.5 * 0.2 / 400**0.5
    quiet = ContrastiveDivergence(SGLD(0.1, 1), sgld_dim=500)
    assert float(quiet(model, NONE, batch, {}, generator=generator()).report["f_data"]) == 100.0


def test_spectral_normalisation_advances_once_an_update(generator):
    model, batch = any_model(generator, spectral_norm="fcn_and_fe_x").train(), some_pairs(generator)
    twin = any_model(generator, spectral_norm="fcn_and_fe_x").train()
    for source, target in zip(model.state_dict().values(), twin.state_dict().values(), strict=True):
        assert torch.equal(source, target)
    ContrastiveDivergence(SAMPLER, sgld_dim=6)(model, NONE, batch, {}, generator=generator())
    twin(batch.states, batch.actions)
    for (name, ours), theirs in zip(model.named_buffers(), twin.buffers(), strict=True):
        assert torch.equal(ours, theirs), name


def test_state_of_the_objective_is_the_bank_of_its_start(generator):
    pairs = some_pairs(generator, n=6)
    batch = Pairs(*(column[[4, 1]] for column in pairs))
    objective = ContrastiveDivergence(SAMPLER, start=PersistentStart(), sgld_dim=2)
    state = objective.begin(pairs, generator=generator())
    before = state["actions"].clone()
    outcome = objective(any_model(generator), NONE, batch, state, generator=generator())
    assert torch.equal(state["actions"], before), "the state passed in is not changed"
    changed = (outcome.carry["actions"] != before).any(dim=1)
    assert changed.tolist() == [False, True, False, False, True, False]


def test_costs_and_refusals():
    objective = ContrastiveDivergence(SGLD(steps=7), sgld_dim=11)
    assert (objective.batch_size, objective.chain_steps) == (11, 77)
    with pytest.raises(InputError, match="sgld_K must be a whole number of at least 1, got 0"):
        ContrastiveDivergence(SGLD(steps=0))
    with pytest.raises(InputError, match="start must be an object such as NoiseStart"):
        ContrastiveDivergence(start=NoiseStart)
    with pytest.raises(InputError, match="sampler must be an object such as SGLD"):
        ContrastiveDivergence(sampler="sgld")
