"""Problems of the benchmark: densities integrate to 1 and are those of their samplers."""

import math

import pytest
import torch
from support import assert_mean

from ebmlib import seeding
from thesis.benchmark.problems import CLOSED, NAMES, problem


@pytest.mark.parametrize("name", NAMES)
def test_density_integrates_to_one_within_the_box(name):
    known = problem(name)
    states = known.states(16, generator=seeding.generator(1, "states"))
    cells, log_volume = known.cells()
    mass = (known.law(states).log_prob(cells[None]) + log_volume).exp().sum(dim=1)
    # a midpoint sum is exact to 1e-6 where the law is smooth; quasi-random points are not a grid
    assert (mass - 1).abs().max() < (2e-4 if name in CLOSED else 0.05)


@pytest.mark.parametrize("name", NAMES)
def test_sampler_agrees_with_density(name):
    # moments by quadrature at one state, and by draws
    known = problem(name)
    cells, log_volume = known.cells()
    state = known.states(1, generator=seeding.generator(2, "state"))
    mass = (known.law(state).log_prob(cells[None]) + log_volume).exp()[0]
    mass = mass / mass.sum()
    many = known.law(state.expand(20000, -1))
    draws = many.sample(generator=seeding.generator(3, "draws"))
    # the box cuts nothing off, but quasi-random sums have an error of their own
    slack = 0.0 if name in CLOSED else 0.02
    functions = (lambda a: a, lambda a: a.square(), lambda a: (2 * a).sin(), lambda a: a**3)
    for function in functions:
        expected = mass @ function(cells)
        found = function(draws)
        error = 5.5 * found.std(dim=0) / math.sqrt(len(draws)) + slack
        assert ((found.mean(dim=0) - expected).abs() < error).all()
    assert_mean(draws, many.mean()[0])


def test_data_are_standardised_by_the_problem():
    for name in NAMES:
        pairs = problem(name).pairs(4000, generator=seeding.generator(4, name))
        assert pairs.states.mean(dim=0).abs().max() < 0.1
        assert abs(float(pairs.actions.var(dim=0).mean()) - 1) < 0.1


def test_smoothing_adds_the_variance_of_the_noise():
    known = problem("fork")
    generator = seeding.generator(5)
    state = known.states(1, generator=generator).expand(40000, -1)
    law = known.law(state)
    noisy = law.sample(generator=generator)
    noisy = noisy + 0.5 * torch.empty_like(noisy).normal_(generator=generator)
    at = torch.linspace(-2, 2, 5).double()
    wide = law.smoothed(0.5)
    for t in at:  # the characteristic function of the first axis, real part, by draws and exactly
        phase = (t * wide.location[:1, :, 0]).cos() * (-((t * wide.scale[:1, :, 0]) ** 2) / 2).exp()
        assert_mean((t * noisy[:, 0]).cos(), (wide.log_weights[:1].exp() * phase).sum())


def test_modes_split_the_fork_as_its_weights_say():
    known = problem("fork")
    states = known.states(12, generator=seeding.generator(6))
    cells, log_volume = known.cells()
    mass = (known.law(states).log_prob(cells[None]) + log_volume).exp()
    first = (mass * (known.modes(states, cells) == 0)).sum(dim=1)
    assert abs(float(first.mean()) - 0.7) < 0.03
