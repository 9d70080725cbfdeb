"""Training dynamic and convergence: measures against planted truth, judges that flip."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ebmlib import seeding
from ebmlib.evaluation import exact, gaussian
from ebmlib.sampling.sgld import SGLD
from thesis import claims
from thesis.claim import IN_RANGE, NOT_REPRODUCED, REPRODUCED
from thesis.claims import convergence as judged
from thesis.claims.dynamics import LAYERS
from thesis.studies import convergence, dynamics
from thesis.study import Results


def test_the_fitted_lag_is_the_planted_one():
    t = np.arange(1500)
    noise = np.random.default_rng(0).normal(0, 0.003, len(t))
    lag = dynamics.first_order_lag(list(1.0 + 0.08 * (1 - np.exp(-t / 366.0)) + noise))
    assert lag.settled == pytest.approx(3 * 366, rel=0.05)
    assert lag.rise == pytest.approx(0.08, rel=0.02)
    assert lag.start == pytest.approx(1.0, abs=0.001)
    assert lag.explained > 0.95


def test_a_straight_line_never_settles():
    assert dynamics.first_order_lag(list(1 + 1e-4 * np.arange(1000))).settled > 3000


def test_the_last_change_is_that_of_a_line():
    assert dynamics.last_change(list(0.01 * np.arange(100))) == pytest.approx(0.01 * 19)


def test_correlations_find_the_layer_that_follows_the_loss():
    rng = np.random.default_rng(1)
    loss = rng.normal(0, 1, 400) * np.repeat(np.linspace(2, 0.1, 40), 10)
    history = {
        "loss": list(loss),
        "gradient_norm/FCN[3]": list(np.abs(loss) * 3),
        "gradient_norm/FE_x": list(10 - np.abs(loss)),
        "R": [0.0] * 400,
    }
    found = dynamics.loss_gradient_correlations(history)
    assert found == pytest.approx({"FCN[3]": 1.0, "FE_x": -1.0})


def test_progress_counts_along_the_action_only():
    action = torch.tensor([[0.0, 0.06]])
    means = torch.tensor([[[0.0, 0.0]], [[0.0, 0.06]], [[0.05, 0.12]], [[0.0, -0.03]]])
    assert convergence.progress(means, action)[:, 0].tolist() == pytest.approx([0, 1, 2, -0.5])


def test_the_looks_are_the_thesis_steps_and_end_in_time():
    assert {0, 46, 100, 150, 1000} <= set(convergence.looks(100))
    assert max(convergence.looks(1000)) == convergence.LONGEST


@dataclass(frozen=True)
class Bowl:
    """Score of a Gaussian of scale s around m, the same at every state."""

    m: torch.Tensor
    s: float

    def __call__(self, a: torch.Tensor) -> torch.Tensor:
        return (self.m - a) / self.s**2

    def repeat(self, population: int) -> "Bowl":
        return self


def test_chains_in_a_bowl_drift_as_the_closed_form_says():
    alpha, s, K = 0.0025, 0.01, 40
    action = torch.tensor([[0.0, 0.06]])
    gone = 1 - gaussian.mean_after(K, alpha, s, 1.0)
    score = Bowl(action[0] / gone, s)  # on target after K steps, and not before or after
    run = SimpleNamespace(objective=SimpleNamespace(sampler=SGLD(alpha, K)))
    model = SimpleNamespace(score=lambda states: score)
    cell = SimpleNamespace(
        trained=SimpleNamespace(run=run, model=model),
        device=torch.device("cpu"),
        generator=lambda stream: seeding.generator(0, stream),
    )
    where = convergence.Targets(torch.zeros(1, 2), action)
    m, steps = 4000, [18, 40, 60]
    mean = convergence.run_chains(cell, where, m, steps, "test").mean(dim=2)
    found = convergence.progress(mean, where.actions)[:, 0].tolist()
    expected = [(1 - gaussian.mean_after(k, alpha, s, 1.0)) / gone for k in steps]
    assert expected[0] < 0.65 and expected[2] > 1.15  # the example does drift
    error = s / 0.06 / np.sqrt(m)
    assert found == pytest.approx(expected, abs=5 * error)


@pytest.mark.parametrize("shift, low, high", [(0.0, -0.1, 0.1), (0.03, 0.7, 1.0), (0.1, 0.99, 1.0)])
def test_the_excess_is_0_for_exact_samples_and_1_far_away(shift, low, high):
    grid, s = exact.Grid(0.2, 2, 120), 0.01
    density = exact.density(
        lambda a: -a.square().sum(-1) / (2 * s**2), grid, torch.zeros(1).double()
    )
    samples = torch.randn(1, 400, 2, generator=seeding.generator(0, "s"), dtype=torch.float64) * s
    samples[..., 0] += shift
    assert low <= convergence.excess(density, samples, 40, seeding.generator(0, "e")) <= high


def test_the_excess_of_a_narrow_cloud_on_a_flat_density_is_large():
    density = exact.density(
        lambda a: torch.zeros(len(a)).double(), exact.Grid(0.2, 2, 120), torch.zeros(1).double()
    )
    cloud = torch.randn(1, 150, 2, generator=seeding.generator(0, "c")).double() * 0.01
    assert convergence.excess(density, cloud, 40, seeding.generator(0, "e")) > 0.7


def chain_rows(stages, seeds=5, s=0.0093):
    """Rows of the study: {(alpha, K) or name: (before, at, after, long)}, a little noise."""
    rng = np.random.default_rng(0)
    rows = []
    for key, values in stages.items():
        name = key if isinstance(key, str) else f"noise/alpha-{key[0]:g}-K-{key[1]}"
        alpha, K = (0.01, 100) if isinstance(key, str) else key
        for seed in range(seeds):
            names = ("progress_before", "progress_at", "progress_after", "progress_long")
            noisy = {n: v + rng.normal(0, 0.005) for n, v in zip(names, values, strict=True)}
            rows.append({"condition": name, "seed": seed, "alpha": alpha, "K": K, "s": s} | noisy)
    return Results("convergence", tuple(rows), {})


STAYS, DRIFTS = (1.0, 1.0, 1.0, 1.0), (0.46, 1.0, 1.5, 5.0)


@pytest.mark.parametrize(
    "preset, small, outcome",
    [
        (DRIFTS, DRIFTS, REPRODUCED),
        (STAYS, DRIFTS, IN_RANGE),
        (STAYS, STAYS, NOT_REPRODUCED),
        (STAYS, (0.46, 1.0, 1.05, 1.05), NOT_REPRODUCED),  # behind, but not past
        (STAYS, (0.46, 1.3, 1.5, 5.0), NOT_REPRODUCED),  # not on target at K
    ],
)
def test_c29_needs_behind_on_and_past(preset, small, outcome):
    rows = chain_rows({"circle": preset, (0.001, 100): small, (0.005, 100): STAYS})
    assert claims.get("C29").judge(rows).outcome == outcome


@pytest.mark.parametrize(
    "free_from, outcome, factor",
    [(1000, REPRODUCED, 10), (200, NOT_REPRODUCED, 2), (5000, NOT_REPRODUCED, 0)],
)
def test_c30_counts_the_factor_to_freedom(free_from, outcome, factor):
    steps = (100, 200, 400, 1000)
    stages = {(0.0025, K): STAYS if K >= free_from else DRIFTS for K in steps}
    if outcome == REPRODUCED:  # only the first condition may drift, or its successors need less
        stages |= {(0.0025, K): (0.8, 1.0, 1.05, 1.3) for K in (200, 400)}
    verdict = claims.get("C30").judge(chain_rows(stages))
    assert (verdict.outcome, verdict.number.value) == (outcome, factor)


def test_an_unstable_noise_level_is_not_on_the_grid():
    rows = chain_rows({(0.02, 100): DRIFTS, (0.01, 100): STAYS})
    assert list(judged.grid(rows)) == [(0.01, 100)]


def r_row(seed, excess, plateau, change=0.0, closed=1.1, name="circle"):
    found = {"excess": excess, "R_plateau": plateau, "R_change": change, "R_closed": closed}
    return {"condition": name, "seed": seed} | found


@pytest.mark.parametrize(
    "lost, outcome",
    [
        ((0.9, 1.0), REPRODUCED),  # not converged, R on its floor: R is right
        ((0.9, 1.4), IN_RANGE),  # R says yes; the closed form says no
        ((0.9, 1.1), NOT_REPRODUCED),  # nothing of R tells
        ((None, 1.0), REPRODUCED),  # a model without density has not converged
    ],
)
def test_c38_grades_the_verdict_of_R(lost, outcome):
    rows = [r_row(seed, 0.02, 1.1) for seed in range(5)]
    rows += [r_row(seed, *lost, name="mouse1") for seed in range(5)]
    verdict = claims.get("C38").judge(Results("convergence", tuple(rows), {}))
    assert verdict.outcome == outcome


def test_R_that_still_moves_or_ran_away_is_not_converged():
    assert judged.R_says(r_row(0, 0, 1.1))
    assert not judged.R_says(r_row(0, 0, 1.1, change=0.05))
    assert not judged.R_says(r_row(0, 0, None))
    assert not judged.R_says(r_row(0, 0, 1.1, closed=None), closed=True)


def dynamics_rows(**changes):
    row = {
        "loss_first": -0.005, "loss_lowest": -1.2, "loss_lowest_epoch": 60, "loss_late_mean": 0.01,
        "loss_late_spread": 0.08, "loss_late_negative": 0.5, "R_first": 1.0, "R_plateau": 1.11,
        "R_change": 0.001, "lag_rise": 0.08, "lag_settled": 1100.0, "lag_explained": 0.9,
    }  # fmt: skip
    for layer in LAYERS:
        row |= {f"correlation/{layer}": 0.6, f"falling/{layer}": 0.9}
    names = ("path1", "circle", "mouse1", "mouse2", "mouse1-K-100")
    rows = [{"condition": n, "seed": s} | row | changes.get(n, {}) for n in names for s in range(5)]
    return Results("dynamics", tuple(rows), {})


@pytest.mark.parametrize(
    "id, changes, outcome",
    [
        ("C25", {}, REPRODUCED),
        ("C25", {"path1": {"loss_late_mean": -0.5}}, IN_RANGE),
        ("C25", {"path1": {"loss_late_negative": 1.0}}, IN_RANGE),
        ("C26", {}, REPRODUCED),
        ("C26", {"circle": {"correlation/FE_x": -0.1}}, IN_RANGE),
        ("C27", {}, REPRODUCED),
        ("C27", {"circle": {"R_plateau": 1.01}}, NOT_REPRODUCED),
        ("C27", {"circle": {"R_change": 0.02}}, NOT_REPRODUCED),
    ],
)
def test_verdicts_on_histories_flip(id, changes, outcome):
    assert claims.get(id).judge(dynamics_rows(**changes)).outcome == outcome


@pytest.mark.parametrize(
    "long, short, excess, outcome",
    [
        (1100, 9000, 0.9, REPRODUCED),
        (1100, 9000, 0.0, IN_RANGE),  # R does not settle, the chains have mixed all the same
        (1100, 1100, 0.9, IN_RANGE),
        (300, 9000, 0.9, NOT_REPRODUCED),
    ],
)
def test_c31_asks_for_both_parts(long, short, excess, outcome):
    rows = dynamics_rows(mouse1={"lag_settled": long}, **{"mouse1-K-100": {"lag_settled": short}})
    chains = Results("c", tuple(r_row(s, excess, 1.1, name="mouse1-K-100") for s in range(5)), {})
    assert claims.get("C31").judge(rows, chains).outcome == outcome


@pytest.mark.parametrize(
    "drift, outcome",
    [((0.0, 9.0), IN_RANGE), ((0.0, 1.0), REPRODUCED)],
)
def test_c28_wants_the_ratio_to_come_to_one(drift, outcome):
    rows = [
        {"condition": name, "seed": seed, "epochs": [0, 100], "path": [4.0, 1.9], "net": [1.0, 1.0],
         "noise": [2.0, 2.0], "drift": list(drift)}
        for name in ("architecture/figure-3-2", "noise/alpha-0.001-K-100")
        for seed in range(5)
    ]  # fmt: skip
    assert claims.get("C28").judge(Results("step-scale", tuple(rows), {})).outcome == outcome


def test_measures_are_finite_on_a_tiny_model(tmp_path):
    from ebmlib import Store
    from thesis.conditions import condition
    from thesis.runs import tiny
    from thesis.study import Cell

    run = replace(tiny(condition("noise/alpha-0.01-K-25")), seed=0)
    trained = Store(tmp_path).train_or_load(run)
    cell = Cell("noise/alpha-0.01-K-25", 0, trained, True, lambda name: trained)
    found = convergence.measure(cell)
    assert len(found["steps"]) == len(found["progress"])
    assert all(np.isfinite(found[name]) for name in ("progress_at", "excess", "moved", "R_plateau"))
    scale = convergence.measure_step_scale(cell)
    assert len(scale["epochs"]) == len(scale["net"]) == 3
    assert np.all(np.array(scale["path"]) > np.array(scale["net"]))
    R = dynamics.measure(cell)
    assert np.isfinite([R["lag_settled"], R["R_change"], R["correlation/FCN[3]"]]).all()
