"""Studies and verdicts of sections 4.2 and 4.3.1, against closed forms and planted rows."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ebmlib import seeding
from ebmlib.demonstrations.dataset import DemonstrationConfig, load_demonstrations
from ebmlib.evaluation import gaussian
from ebmlib.models.energy import EnergyConfig, EnergyModel
from ebmlib.sampling.sgld import SGLD
from thesis import claim, claims
from thesis.claims import architecture as rules
from thesis.studies import architecture, noise_level
from thesis.study import Results

CIRCLE = load_demonstrations(DemonstrationConfig("circle"))


def circle(radius=1.0, n=400, turn=1.0):
    angle = np.linspace(0, 2 * np.pi * turn, n + 1)
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_error_of_paths_with_a_closed_form():
    reference = circle()
    assert architecture.modified_hausdorff(reference, reference) == pytest.approx(0, abs=1e-12)
    assert architecture.modified_hausdorff(circle(1.1), reference) == pytest.approx(0.1, abs=1e-3)
    # pace does not count: the same line with other points
    assert architecture.modified_hausdorff(circle(n=37), reference) < 5e-3
    # who stays lies on the path, but the path does not lie there: mean chord 4 / pi
    still = np.repeat(reference[:1], 101, axis=0)
    assert architecture.modified_hausdorff(still, reference) == pytest.approx(4 / np.pi, rel=0.01)


@dataclass(frozen=True)
class Around:
    """Turns by an angle around the bundled circle's centre, one to the left of the start."""

    angle: float

    def act(self, states, *, generator):
        away = states - torch.tensor([-1.0, 0.0])
        c, s = math.cos(self.angle), math.sin(self.angle)
        return away @ torch.tensor([[c, s], [-s, c]]) - away


class Away:
    """Leaves the finite numbers."""

    def act(self, states, *, generator):
        return torch.full_like(states, math.inf)


def test_trajectory_error_of_hand_made_policies():
    reference = np.asarray(CIRCLE.reference)
    turn = math.copysign(2 * math.pi / 100, reference[10, 1])

    def error(policy):
        return architecture.trajectory_error(policy, CIRCLE, generator=seeding.generator(0))

    # both starts are 0.05 beside the path, and stay there
    assert error(Around(turn)) == pytest.approx(0.05, abs=0.005)
    assert error(Around(0.0)) == pytest.approx(4 / np.pi, rel=0.02)  # stays where it starts
    assert error(Around(turn / 2)) > rules.THRESHOLD  # stops half way
    assert error(Away()) == architecture.WORST


def test_action_error_is_the_distance_to_the_reference_step():
    class Shifted:
        def act(self, states, *, generator):
            reference = torch.tensor(np.asarray(CIRCLE.reference))
            return (reference[1::4] - reference[:-1:4]) + torch.tensor([0.03, 0.04])

    found = architecture.action_error(Shifted(), CIRCLE, generator=seeding.generator(0))
    assert found == pytest.approx(0.05, rel=1e-4)


def test_normalised_layers_have_norm_one_and_bound_the_slope():
    config = EnergyConfig(z_dim=8, h_dim=16, spectral_norm="fcn_and_fe_x")
    model = EnergyModel(config, 2, 2, generator=seeding.generator(0)).eval()
    sizes = architecture.spectral_norms(model)
    free = sizes.pop("FE_a")
    assert set(sizes) == {"FE_x", *(f"FCN[{i}]" for i in range(4))}
    assert np.allclose(list(sizes.values()), 1, atol=0.02)
    row = {f"spectral_norm/{name}": size for name, size in sizes.items()}
    bound = rules.steepest(row | {"spectral_norm/FE_a": free})
    assert bound == pytest.approx(4 * free, rel=0.1)
    with torch.no_grad():
        slopes = model.score(torch.randn(500, 2, generator=seeding.generator(1)))
        steep = slopes(torch.randn(500, 2, generator=seeding.generator(2))).norm(dim=1)
    assert 0 < steep.max() <= bound


def test_epochs_to_an_error():
    def row(*errors):
        return {"epochs": [0, 100, 200, 300], "error": list(errors)}

    # log error falls from 1 to 0.01 between 0 and 100: it passes 0.1 half way
    assert rules.epochs_to(row(1.0, 0.01, 0.01, 0.01)) == (pytest.approx(50), True)
    # one lucky measurement does not count
    assert rules.epochs_to(row(1.0, 0.05, 0.5, 0.05))[0] > 200
    assert rules.epochs_to(row(1.0, 0.5, 0.4, 0.3)) == (300, False)
    assert rules.epochs_to(row(0.05, 0.05, 0.05, 0.05)) == (0, True)


def test_steps_needed_is_where_the_mean_of_a_gaussian_chain_arrives():
    truth = noise_level.demonstrated_actions(CIRCLE, 4)
    component = math.sqrt(truth.variance / 2)
    for alpha in (0.001, 0.005, 0.01):
        steps = noise_level.steps_needed(alpha, truth)
        before = gaussian.mean_after(math.floor(steps), alpha, component, truth.step)
        after = gaussian.mean_after(math.ceil(steps), alpha, component, truth.step)
        assert after <= truth.s <= before
    assert noise_level.steps_needed(3 * component, truth) == math.inf


def test_what_is_demonstrated_on_the_circle():
    truth = noise_level.demonstrated_actions(CIRCLE, 6)
    assert np.allclose(np.linalg.norm(truth.states - [-1, 0], axis=1), 1, atol=1e-2)
    assert np.allclose(np.linalg.norm(truth.mean, axis=1), 2 * np.pi / 100, rtol=0.01)
    sigma = CIRCLE.sigma
    assert 2 * sigma**2 < truth.variance < 4 * sigma**2  # noise of two positions, one partly known


def test_gaps_of_samples_with_known_mean_and_variance():
    truth = noise_level.demonstrated_actions(CIRCLE, 8)
    n, m = 8, 4000
    wide = math.sqrt(3 * truth.variance / 2)
    noise = torch.randn(n, m, 2, generator=seeding.generator(0), dtype=torch.float64)
    away = torch.tensor([3.0, 4.0], dtype=torch.float64) * truth.s
    samples = torch.tensor(truth.mean)[:, None] + away + wide * noise
    gap, ratio = noise_level.gaps(samples, truth)
    assert gap == pytest.approx(5, abs=6 * wide / truth.s / math.sqrt(m))
    assert ratio == pytest.approx(3, rel=6 * math.sqrt(1 / (n * m)))


def test_a_flat_energy_only_diffuses_and_leaves_the_mode_as_a_gaussian_does():
    model = EnergyModel(EnergyConfig(z_dim=4, h_dim=4), 2, 2, generator=seeding.generator(0))
    with torch.no_grad():
        model.layers()["FCN[3]"].weight.zero_()
    truth, sampler, m = (
        noise_level.demonstrated_actions(CIRCLE, 4),
        SGLD(alpha=0.01, steps=30),
        3000,
    )
    found = noise_level.ends(
        model, truth, sampler, m, generator=seeding.generator(1), from_data=True, record=(10, 30)
    )
    assert found.shape == (2, 4, m, 2)
    for positions, steps in zip(found, (10, 30), strict=True):
        variance = steps * sampler.alpha**2
        share = math.exp(-((noise_level.MODE * truth.s) ** 2) / (2 * variance))
        error = math.sqrt(share * (1 - share) / (4 * m))
        out = noise_level.outside_mode(positions, truth).double().mean()
        assert float(out) == pytest.approx(share, abs=5 * error)
    radius = float(found[-1].norm(dim=-1).median())
    assert noise_level.inside(found[-1], radius) == pytest.approx(0.5, abs=1e-3)
    _, ratio = noise_level.exact_gap(model, truth)
    uniform = (4 * truth.eps) ** 2 / 12 * 2 / truth.variance  # a flat density on the grid's square
    assert ratio == pytest.approx(uniform, rel=0.01)


def judge(id, **studies):
    """The claim's own judge, at our setting alone."""
    found = claims.get(id)
    given = (Results(name, tuple(studies[name.replace("-", "_")]), {}) for name in found.studies)
    return found.judge(*given)


def planted(full, half, sn, plain, path1, *, seeds=3, **stuck):
    """Rows whose errors fall below the threshold at the given epochs (None: never)."""
    epochs = [0, 50, 100, 150, 200, 300, 400, 500, 700, 1000, 2000, 3000]

    def row(name, seed, arrives, **more):
        error = [1.0 if arrives is None or epoch < arrives else 0.01 for epoch in epochs]
        base = {"loss_largest": 2.0, "R_largest": 1.1, "gradient_norm": 1.0}
        known = {"condition": f"architecture/{name}", "seed": seed, "epochs": epochs}
        return known | {"error": error, "action_error": error} | base | more

    return [
        row(name, seed, arrives, **more)
        for seed in range(seeds)
        for name, arrives, more in (
            ("figure-3-2", full, {"early_error": [1.0, stuck.get("early", 1.0)]}),
            ("half", half, {}),
            ("sn-fcn-0-2", sn, {}),
            ("sn-all", None, {k: v for k, v in stuck.items() if k != "early"}),
            ("plain", plain, {}),
            ("plain-path1", path1, {}),
            ("plain-tanh", plain, {}),
        )
    ]


def test_verdicts_on_the_architecture_follow_the_rows():
    found = planted(50, 2000, 400, None, 700, early=0.01)
    flat = {"gradient_norm": 1e-4, "loss_largest": 0.01, "R_largest": 1.0}

    def outcome(id, rows):
        return judge(id, architecture=rows).outcome

    assert outcome("C12", found) == claim.REPRODUCED
    assert outcome("C12", planted(50, 50, 50, 50, 50)) == claim.NOT_REPRODUCED
    assert outcome("C20", found) == claim.REPRODUCED
    assert outcome("C20", planted(50, 2000, 400, 700, 700, early=0.01)) == claim.IN_RANGE
    assert outcome("C20", planted(50, 2000, 400, None, 700)) == claim.NOT_REPRODUCED
    assert outcome("C21", found) == claim.REPRODUCED
    assert outcome("C21", planted(50, 400, 400, 50, 50)) == claim.IN_RANGE
    assert outcome("C21", planted(400, 50, 400, 50, 50)) == claim.NOT_REPRODUCED
    assert outcome("C33", planted(50, 50, 50, 300, 100)) == claim.REPRODUCED
    assert outcome("C33", planted(50, 50, 50, 150, 100)) == claim.IN_RANGE
    assert outcome("C33", planted(50, 50, 50, 100, 300)) == claim.NOT_REPRODUCED
    assert outcome("C18", planted(50, 50, 50, 50, 50, **flat)) == claim.REPRODUCED
    assert (
        outcome("C18", planted(50, 50, 50, 50, 50, **flat | {"gradient_norm": 0.1}))
        == claim.IN_RANGE
    )
    assert (
        outcome("C18", planted(50, 50, 50, 50, 50, **flat | {"R_largest": 1.1}))
        == claim.NOT_REPRODUCED
    )
    assert outcome("C19", found) == claim.NOT_REPRODUCED
    fled = [
        row | {"loss_largest": 2e3 if row["condition"] == "architecture/plain" else 2.0}
        for row in found
    ]
    assert outcome("C19", fled) == claim.REPRODUCED


def noisy(early, **more):
    """Rows of the noise grid: wide at the mean above 1.5 s, or run away from ``early`` on."""
    for seed in range(2):
        for steps in (100, 200):
            for alpha, place in ((0.01, 1.0), (0.02, 2.0)):
                wide = place > 1.5
                gap = [0.5] * early + [1e4] * (4 - early) if wide else [0.5] * 4
                yield {
                    "condition": f"noise/alpha-{alpha}-K-{steps}", "seed": seed,
                    "alpha_over_s": place, "epochs": [100, 200, 300, 400], "mean_gap": gap,
                    "variance_ratio": [5.0 if wide else 1.2] * 4, "density_mean_gap": 0.5,
                    "start_inside": 1.0, "end_inside": 0.0 if wide else 1.0,
                } | more  # fmt: skip


def test_verdicts_on_the_noise_level_follow_the_rows():
    sanity = [
        {"condition": name, "seed": 0, "start_inside": 1.0, "end_inside": 1.0}
        for name in ("path1", "circle", "mouse1", "mouse2")
    ]
    assert judge("C24", noise_level=noisy(4)).outcome == claim.REPRODUCED
    assert judge("C24", noise_level=noisy(1)).outcome == claim.IN_RANGE
    assert judge("C24", noise_level=noisy(0)).outcome == claim.NOT_REPRODUCED
    assert judge("C23", sanity=sanity, noise_level=noisy(1)).outcome == claim.REPRODUCED
    sanity[2]["end_inside"] = 0.9
    assert judge("C23", sanity=sanity, noise_level=noisy(1)).outcome == claim.NOT_REPRODUCED

    def left(shares, back):
        return [
            {"condition": "circle", "seed": seed, "alphas_over_s": [0.5, 1.0, 2.0, 3.0],
             "escaped": shares, "returned": back} for seed in range(2)
        ]  # fmt: skip

    def outcome(shares, back):
        return judge("C22", escape=left(shares, back)).outcome

    assert outcome([0.01, 0.1, 0.8, 0.9], [None, 0.9, 0.2, 0.1]) == claim.REPRODUCED
    assert outcome([0.01, 0.1, 0.2, 0.9], [None, 0.9, 0.9, 0.1]) == claim.IN_RANGE
    assert outcome([0.01, 0.1, 0.2, 0.9], [None, 0.9, 0.9, 0.8]) == claim.NOT_REPRODUCED
    assert outcome([0.2, 0.3, 0.8, 0.9], [None, 0.9, 0.2, 0.1]) == claim.NOT_REPRODUCED
