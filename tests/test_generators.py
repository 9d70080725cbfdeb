"""Every use of a generator draws fresh numbers, from the generator that was passed in."""

import pytest
import torch
from draws import Draws
from objectives.test_every_objective import OBJECTIVES

from ebmlib import (
    EXP,
    MALA,
    ML,
    SGLD,
    DataStart,
    Draw,
    EnergyConfig,
    EnergyModel,
    GaussianProposal,
    MixtureProposal,
    NoiseStart,
    PersistentStart,
    ReplayStart,
    TrainingConfig,
    UniformProposal,
    rollout,
    train,
)
from ebmlib.sampling import compiled, fused

KERNELS = {
    "sgld": SGLD(0.05, 4),
    "annealed": SGLD(0.05, 4, final_alpha=0.01),
    "mala": MALA(0.05, 4),
}
STARTS = [NoiseStart(), DataStart(), PersistentStart(), ReplayStart(2, 0.5)]
PROPOSALS = [GaussianProposal(), UniformProposal(), MixtureProposal(centres=8)]


WITHOUT_NOISE = ("kernel stein",)  # a sum over the pairs of a batch


def model_of(generator, activation="relu"):
    config = EnergyConfig(z_dim=4, h_dim=6, activation=activation)
    return EnergyModel(config, 2, 2, generator=generator("weights")).eval()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_draws_fresh_numbers_batch_after_batch(name, tiny_pairs, generator):
    objective, model, g = OBJECTIVES[name], model_of(generator, "silu"), generator("noise")
    with Draws(g) as draws:
        parts = objective.parts(2, 2, generator=g)
        carry = objective.begin(tiny_pairs, generator=g)
        for _ in range(2):
            batch = type(tiny_pairs)(*(column[:16] for column in tiny_pairs))
            carry = objective(model, parts, batch, carry, generator=g).carry
    if name in WITHOUT_NOISE:
        assert not draws.drawn
    else:
        draws.assert_fresh()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_training_draws_fresh_numbers(name, tiny_pairs, generator):
    g, model = generator("training"), model_of(generator, "silu")
    with Draws(g) as draws:
        train(model, tiny_pairs, OBJECTIVES[name], TrainingConfig(3), generator=g)
    draws.assert_fresh()
    assert sum(drawn == "randperm" for drawn, _, _ in draws.drawn) == 3, "a batch for each epoch"


@pytest.mark.parametrize("start", STARTS, ids=lambda start: type(start).__name__)
def test_a_start_and_its_chain_share_no_noise(start, tiny_pairs, generator):
    g, kernel, model = generator("noise"), KERNELS["sgld"], model_of(generator)
    with Draws(g) as draws:
        bank = start.bank(tiny_pairs, kernel, generator=g)
        negatives = start.draw(tiny_pairs, 50, bank, kernel, generator=g)
        kernel.chain(model.score(negatives.states), negatives.start, generator=g)
    draws.assert_fresh()


@pytest.mark.parametrize("path", ["eager", "fused"])
@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS)
def test_every_step_of_a_chain_draws_its_own_noise(kernel, path, generator):
    if path == "fused" and not compiled.available():
        pytest.skip("no compiler")
    g, score = generator("noise"), model_of(generator).score(torch.zeros(20, 2))
    with fused.permitted(path == "fused"), Draws(g) as draws:
        start = kernel.start(20, 2, generator=g, like=torch.zeros(1))
        kernel.chain(score, start, generator=g, length=True, record=(0, 2))
    draws.assert_fresh()
    assert len(draws.drawn) >= 1 + kernel.steps


@pytest.mark.parametrize("kind", [EXP, ML, Draw])
def test_a_rollout_draws_fresh_numbers_at_every_step(kind, generator):
    g, policy = generator("rollout"), kind(model_of(generator), SGLD(0.05, 4), 3)
    with Draws(g) as draws:
        rollout(policy, torch.zeros(2, 2), 3, generator=g)
    draws.assert_fresh()
    least = {EXP: 1 + 1 + 4, Draw: 1 + 4, ML: 1}[kind]  # candidates, starts, noise of every step
    assert len(draws.drawn) == 3 * least


@pytest.mark.parametrize("proposal", PROPOSALS, ids=lambda proposal: type(proposal).__name__)
def test_a_proposal_draws_fresh_numbers(proposal, tiny_pairs, generator):
    g, fitted = generator("noise"), proposal.fit(tiny_pairs)
    with Draws(g) as draws:
        for _ in range(2):
            proposal.sample(fitted, tiny_pairs.states, 3, generator=g)
    draws.assert_fresh()


def test_noise_that_is_drawn_twice_is_noticed(generator):
    def set_back(g):
        state = g.get_state()
        torch.rand(3, generator=g)
        g.set_state(state)
        torch.rand(3, generator=g)

    def copied(g):
        torch.rand(3, generator=torch.Generator().set_state(g.get_state()))

    def forgotten(g):
        torch.rand(3)

    for slip in (set_back, copied, forgotten):
        draws = Draws(generator())
        with pytest.raises(AssertionError), draws:
            slip(draws.generator)
            draws.assert_fresh()
