"""The judge of the benchmark against closed forms."""

import math

import pytest
import torch

from ebmlib import seeding
from thesis.benchmark import judge as judging
from thesis.benchmark.judge import Truth, judge, truth
from thesis.benchmark.problems import Law, Problem


def line():
    """A standard normal action whatever the state, on a fine grid."""
    cells = torch.linspace(-12, 12, 4001, dtype=torch.float64)[:, None]
    log_volume = math.log(24 / 4000)
    log_p = -cells[:, 0].square() / 2 - math.log(2 * math.pi) / 2

    def law(x):
        ones = torch.ones(len(x), 1, 1, dtype=torch.float64)
        return Law(torch.zeros(len(x), 1).double(), 0 * ones, ones, 0 * ones)

    known = Problem("line", 1, 1, lambda n, g: torch.zeros(n, 1).double(), law, False, "a line")
    states = torch.zeros(3, 1, dtype=torch.float64)
    return Truth(known, states, cells, log_volume, log_p.expand(3, -1), 1.4189, 0.0)


def normal(mean, sd):
    return lambda states, cells: (-((cells[:, 0] - mean) ** 2) / (2 * sd**2)).expand(
        len(states), -1
    )


def test_divergences_of_two_gaussians_are_their_closed_forms():
    mean, sd = 0.7, 1.6
    found = judge(line(), normal(mean, sd))
    forward = math.log(sd) + (1 + mean**2) / (2 * sd**2) - 0.5
    backward = -math.log(sd) + (sd**2 + mean**2) / 2 - 0.5
    assert found["kl"] == pytest.approx(forward, abs=1e-6)
    assert found["kl_reverse"] == pytest.approx(backward, abs=1e-6)
    assert found["exp"] == pytest.approx(mean, abs=1e-6)
    assert found["ml"] == pytest.approx(mean, abs=0.01)
    assert found["nats"] == pytest.approx(forward + 1.4189, abs=1e-6)


def test_level_of_f_does_not_matter():
    raised = lambda states, cells: normal(0.3, 1.0)(states, cells) + 5 + states  # noqa: E731
    assert judge(line(), raised)["kl"] == pytest.approx(0.045, abs=1e-6)


def test_shares_of_modes_of_a_mixture_with_other_weights():
    # the fork's own law with equal weights in place of 0.7 and 0.3
    known = truth("fork")
    law = known.problem.law(known.states)
    equal = Law(torch.full_like(law.log_weights, math.log(0.5)), *list(vars(law).values())[1:])
    found = judge(known, lambda x, a: judging.on_cells(equal, a, known.log_volume))
    assert found["mode_share"] == pytest.approx(0.2, abs=0.02)
    assert 0.07 < found["kl"] < 0.0872  # of two coins: 0.0823 where the modes do not overlap


def test_information_is_that_of_a_model_that_ignores_the_state():
    known = truth("regression")
    generator = seeding.generator(1)
    x = known.problem.states(4000, generator=generator)
    marginal = known.problem.law(x).log_prob(known.cells[None]).exp().mean(dim=0).log()
    found = judge(known, lambda states, cells: marginal.expand(len(states), -1))
    assert found["kl"] == pytest.approx(known.information, rel=0.05)
