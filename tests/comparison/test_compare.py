"""compare: every demonstration left out once; the densities of the peers."""

import csv
import io
import math

import numpy as np
import pytest
import torch

from data import make_mouse
from ebmlib import InputError, cli, seeding
from ebmlib.comparison.compare import compare
from ebmlib.comparison.methods import Cloning, GaussianMixture, Kernels, Neighbours
from ebmlib.comparison.protocol import Split

RECORDINGS = make_mouse.drawing("crossing", 4, np.random.default_rng(0))
QUICK = {"kernels": Kernels("position+clock"), "neighbours": Neighbours("position+clock")}


@pytest.mark.slow
def test_every_demonstration_is_left_out_once_and_crossings_need_more_than_the_position():
    made = compare(RECORDINGS, QUICK | {"position": Neighbours("position")})
    assert [row.shape for row in made.rows if row.method == "kernels"] == [
        f"demonstration {i}" for i in range(4)
    ]
    table = list(csv.DictReader(io.StringIO(made.csv())))
    assert len(table) == 12 and float(table[0]["dtw"]) == pytest.approx(made.rows[0].dtw, rel=1e-4)
    assert made.interval("kernels", "dtw")[0] < 1.5 < made.interval("position", "dtw")[0]
    assert math.isnan(made.interval("neighbours", "nats")[0])
    assert made.paths["kernels"].shape == (10, 101, 2)
    mean, low, high = made.interval("kernels", "nats")
    assert low <= mean <= high


@pytest.mark.parametrize("method", [Kernels(), Cloning(mixture=3, epochs=60), GaussianMixture()])
@pytest.mark.slow
def test_densities_of_peers_integrate_to_one_in_the_units_of_the_actions(method):
    if isinstance(method, GaussianMixture):
        pytest.importorskip("sklearn")
    split = Split.of("crossing", RECORDINGS, first=3)
    of = method.fit(split.train, 0).of
    states, actions = split.train.tensors()
    radius = 3 * float(actions.abs().max())
    axis = torch.linspace(-radius, radius, 201)
    grid = torch.cartesian_prod(axis, axis)
    p = of.log_prob(states[50:51].expand(len(grid), 2), grid).exp()
    cell = float(axis[1] - axis[0]) ** 2
    assert float(p.sum()) * cell == pytest.approx(1, abs=0.02)
    mean = (p[:, None] * grid).sum(dim=0) * cell
    assert (mean - of.mean(states[50:51])[0]).norm() < 0.03 * radius
    draws = of.sample(states[50:51].expand(4000, 2), generator=seeding.generator(0, "draws"))
    error = draws.std(dim=0) / math.sqrt(len(draws))
    assert ((draws.mean(dim=0) - mean).abs() < 5.5 * error + 0.03 * radius).all()


@pytest.mark.slow
def test_the_command_line_compares_writes_and_draws(tmp_path, capsys):
    path = tmp_path / "mine.npz"
    np.savez(path, **{f"d{i}": x for i, x in enumerate(RECORDINGS)})
    out, rows = tmp_path / "mine.png", tmp_path / "mine.csv"
    chosen = ["--methods", "kernel density", "nearest neighbours"]
    assert cli.main(["compare", str(path), *chosen, "--csv", str(rows), "--out", str(out)]) == 0
    assert "kernel density" in capsys.readouterr().out
    assert out.read_bytes().startswith(b"\x89PNG") and len(rows.read_text().splitlines()) == 9


def test_a_picture_of_no_known_kind_is_refused_before_anything_is_trained(tmp_path, capsys):
    path = tmp_path / "mine.npz"
    np.savez(path, **{f"d{i}": x for i, x in enumerate(RECORDINGS)})
    out, rows = tmp_path / "mine.jpeg", tmp_path / "mine.csv"
    chosen = ["--methods", "nearest neighbours", "--csv", str(rows), "--out", str(out)]
    assert cli.main(["compare", str(path), *chosen]) == 2
    assert "--out must end in .png, .svg or .pdf" in capsys.readouterr().err
    assert not rows.exists()


def test_two_demonstrations_are_too_few():
    with pytest.raises(InputError, match="at least three"):
        compare(RECORDINGS[:2], QUICK)
