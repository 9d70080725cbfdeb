"""The laboratory: any data set and setting; figures at other settings."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from ebmlib import figures
from ebmlib.demonstrations.dataset import DemonstrationConfig, load_demonstrations
from ebmlib.errors import InputError
from ebmlib.training.presets import preset
from ebmlib.training.store import Store
from thesis import Companion, cli, laboratory
from thesis.runs import tiny

SETTINGS = {"objective": "contrastive-divergence", "policy": "exp"}


def test_the_book_s_values_are_the_book_s_run():
    values = {"alpha": 0.01, "K": 100, "epochs": 1000, "sgld_dim": 512, "lr": 0.001, "seed": 0}
    sizes = {"z_dim": 64, "h_dim": 128, "reg_l1": 0.0, "reg_l2": 0.0, "sigma": 0.01}
    run = laboratory.run_of("circle", **SETTINGS, **values, **sizes)
    book = preset("circle")
    assert dataclasses.replace(run, inference=None) == book  # so the store has its model
    other = laboratory.run_of("circle", **SETTINGS, K=200, alpha=0.02, seed=3)
    assert (other.sampler.steps, other.sampler.alpha, other.seed) == (200, 0.02, 3)
    assert (
        other.effective_inference.kernel == other.sampler
    )  # and actions are drawn with the same chain


def test_an_objective_without_chains_is_drawn_from_with_the_page_s_chain():
    run = laboratory.run_of("circle", objective="nce", policy="ml", reg_l1=0.0, alpha=0.005, K=7)
    assert (run.effective_inference.kernel.steps, run.effective_inference.kernel.alpha) == (
        7,
        0.005,
    )
    assert run.effective_inference.estimate == "ml" and run.sampler is None
    with pytest.raises(InputError, match="nce is trained without reg_l1"):
        laboratory.run_of("circle", objective="nce", policy="ml", reg_l1=0.1)


def test_what_is_kept_back_is_not_trained_on(tmp_path):
    circle = laboratory.split(preset("circle"))
    assert circle.train.digest() == preset("circle").demonstrations().digest()
    seen = {x.tobytes() for x in circle.train.trajectories}
    assert not seen & {x.tobytes() for x in circle.kept}
    mouse = laboratory.split(preset("mouse1"))
    whole = preset("mouse1").demonstrations()
    assert len(mouse.train) + len(mouse.kept) == len(whole) and len(mouse.kept) >= 2
    assert not {x.tobytes() for x in mouse.train.trajectories} & {x.tobytes() for x in mouse.kept}
    assert len(mouse.train.scales) == len(mouse.train.offsets) == len(mouse.train)


@pytest.mark.parametrize("dim", [1, 3])
def test_data_of_other_dimensions_start_on_their_line_and_have_no_map(tmp_path, dim):
    path = tmp_path / "space.npy"
    np.save(path, np.random.default_rng(0).normal(size=(40, dim)).cumsum(axis=0))
    run = tiny(preset("circle").with_(dataset=str(path)))
    trained = laboratory.train(run, laboratory.split(run).train, "cpu")
    sampled = laboratory.trajectories(trained, small=True)
    assert {kind for kind, _ in sampled} == {"on"}
    assert all(found.states.shape == (3, 21, dim) for found in sampled.values())
    assert math.isnan(laboratory.basin(trained, None).share)
    far = laboratory.divergences(trained)
    assert all(math.isnan(value) for value in far.values()) == (dim == 3)
    ends = laboratory.ends(
        laboratory.distances(sampled, "exp", trained.demonstrations.trajectories)
    )
    about = laboratory.about_trajectories("exp", laboratory.split(run), ends)
    assert about["distance_on"] == ends["on"] and math.isnan(about["distance_inside"])
    checked = {"start_inside": 1.0, "end_inside": 1.0, "demonstrated_inside": 1.0}
    verdict = laboratory.verdict(trained, checked, far, ends, math.nan)
    assert not any("map" in finding.what for finding in verdict.findings)


class Trained:
    """A trained run whose model is a Gaussian at the origin."""

    def __init__(self, alpha, steps):
        self.demonstrations = load_demonstrations(DemonstrationConfig("circle"))
        self.run = preset("circle").with_(alpha=alpha, K=steps)
        self.inference = self.run.effective_inference


def test_the_sanity_check_is_its_formula():
    trained = Trained(0.01, 100)
    starts = np.array([[[0.0, 0.0999], [0.0, 0.1001], [0.5, 0.0], [0.03, 0.03]]])
    ends = np.array([[[0.0, 0.99], [0.0, 1.01]]]) * trained.demonstrations.eps
    found = laboratory.sanity(trained, starts, ends)
    assert (found["start_inside"], found["end_inside"]) == (0.5, 0.5)
    # sqrt(K) alpha = 0.1; the circle's steps are 0.064 on average with noise of 0.014
    assert 0.95 < found["demonstrated_inside"] <= 1
    assert laboratory.sanity(Trained(0.001, 100), starts, ends)["demonstrated_inside"] < 0.05


def test_late_is_the_mean_of_a_tenth():
    history = {"loss": [float(i) for i in range(100)]}
    assert laboratory.late(history, "loss") == np.mean(range(90, 100))
    assert laboratory.late(history, "loss", part=2) == np.mean(range(80, 90))
    assert math.isnan(laboratory.late(history, "R"))


def test_the_verdict_says_what_to_change():
    trained = Trained(0.02, 100)
    trained.history = {"loss": [0.0, -2.0, *[-1.0] * 20], "R": [0.025] * 22}
    checked = {"start_inside": 1.0, "end_inside": 0.5, "demonstrated_inside": 1.0}
    far = {"kl": 2.0, "tv": 0.9, "tv_floor": 0.3}
    ends = {"inside": 0.5, "on": 0.05, "outside": 0.5}
    found = laboratory.verdict(trained, checked, far, ends, 0.5)
    bad = [finding.what for finding in found.findings if not finding.good]
    assert [what.split()[0] for what in bad] == ["noise", "chain", "mean", "total", "KL(data"]
    assert found.bad == 5 and "lower alpha" in found._repr_html_()
    trained.run = trained.run.with_(alpha=0.001)
    trained.inference = trained.run.effective_inference
    low = laboratory.verdict(trained, checked, far | {"kl": math.nan}, ends, 0.5)
    assert "raise alpha" in str(low) and "KL" not in str(low)


def test_a_basin_is_where_the_policy_returns(tmp_path):
    class Home:
        """Steps to the unit circle around (-1, 0), which is where the data's circle lies."""

        def act(self, states, *, generator):
            centre = torch.tensor([-1.0, 0.0])
            away = states - centre
            return centre + away / away.norm(dim=1, keepdim=True) - states

    trained = Trained(0.01, 100)
    trained.model = torch.nn.Linear(1, 1)
    found = laboratory.basin(trained, Home(), size=4)
    assert found.share == 1 and found.distance.shape == (4, 4)

    class Still(Home):
        def act(self, states, *, generator):
            return torch.zeros_like(states)

    found = laboratory.basin(trained, Still(), size=4)
    from ebmlib.evaluation import metrics

    points = np.stack(np.meshgrid(found.columns, found.rows), axis=-1)
    near = metrics.distance_to_nearest(points, trained.demonstrations.trajectories) <= found.near
    assert found.share == near.mean()


# --- figures at other settings -------------------------------------------------------------------


def test_a_figure_at_other_settings_trains_with_them_and_says_so(tmp_path):
    companion = Companion("smoke", "cpu", Store(tmp_path))
    drawn = companion.figure("4.6", alpha=0.02, K=10, seeds=[0, 2])
    told = drawn._repr_mimebundle_()[1]["ebmlib"]
    assert told["settings"] == {"alpha": 0.02, "K": 10}
    assert list(told["from"]) == ["circle, seed 0", "circle, seed 2"]
    titles = [part.get_suptitle() for part in drawn.subfigs]
    assert titles[1] == "Figure 4.6 at alpha = 0.02, K = 10, seed = 2 (tiny: smoke profile)"
    kept = [Store(tmp_path).load(key).run for key in Store(tmp_path).keys()]
    assert sorted((r.sampler.alpha, r.sampler.steps, r.seed) for r in kept) == [
        (0.02, 10, 0), (0.02, 10, 2),
    ]  # fmt: skip
    assert companion.figure("4.6").get_suptitle() == ""  # the registered figure has no such title


@pytest.mark.parametrize(
    ("name", "settings", "told"),
    [
        ("basin-circle", {"alpha": 0.02}, "study basins measured at its own settings"),
        ("4.6", {"nope": 1}, "No hyper-parameter of this run is called 'nope'"),
        ("4.6", {"alpha": -1.0}, "alpha must be a finite number above 0"),
        ("4.6", {"seeds": []}, "names no seed"),
    ],
)
def test_what_a_figure_does_not_depend_on_is_refused(tmp_path, name, settings, told):
    with pytest.raises(InputError, match=told):
        Companion("smoke", "cpu", Store(tmp_path)).figure(name, **settings)
    assert not Store(tmp_path).keys()


def test_a_figure_at_other_settings_from_a_terminal(tmp_path, capsys):
    out = tmp_path / "f.svg"
    command = ["figure", "4.6", "--set", "alpha=0.02", "K=5", "--seeds", "0:2", "--profile"]
    command += ["smoke", "--device", "cpu", "--store", str(tmp_path / "store"), "--out", str(out)]
    assert cli.main(command) == 0
    assert "at alpha = 0.02, K = 5" in capsys.readouterr().err and out.stat().st_size > 1000
    assert cli.main([*command[:2], "--seeds", "a:b"]) == 2
    assert "--seeds takes a range such as 0:5" in capsys.readouterr().err


def test_drawings_repeat_on_one_sheet_and_stand_alone_again():
    def draw():
        sheet, axes = figures.new(1, 2, width=4, height=2)
        axes[0].plot([0, 1])
        return sheet

    sheet = figures.repeated([draw, draw, draw], ["a", "b", "c"])
    assert [len(part.axes) for part in sheet.subfigs] == [2, 2, 2]
    assert sheet.get_figwidth() == 4 and sheet.get_figheight() > 6
    assert not draw().subfigs and draw().get_figwidth() == 4
