"""A trained policy is one file: what it holds, where it works, what it refuses."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from ebmlib import (
    EXP,
    MALA,
    ML,
    SGLD,
    Demonstrations,
    Draw,
    Inference,
    InputError,
    Store,
    StoreError,
    TrainedPolicy,
    policy_of,
    seeding,
)
from ebmlib.policies.trained import FixedSteps


@pytest.fixture
def trained(tiny_run, tmp_path):
    return Store(tmp_path / "store").train_or_load(
        tiny_run.with_(features="position+history2+clock")
    )


def test_a_policy_is_what_the_inference_says(trained):
    kernel = SGLD(alpha=0.05, steps=4)
    for estimate, kind in (("exp", EXP), ("ml", ML), ("draw", Draw)):
        policy = policy_of(trained.model, Inference(kernel, estimate))
        assert type(policy) is kind and policy.sampler == kernel
        assert policy.population == kind(trained.model).population
        assert policy_of(trained.model, Inference(kernel, estimate, 5)).population == 5
    assert TrainedPolicy.of(trained).policy().positions == 2, "only the position is jittered"
    assert TrainedPolicy.of(trained).policy("ml") == ML(trained.model, kernel)


def test_it_comes_back_as_it_was_saved(trained, tmp_path):
    policy, path = TrainedPolicy.of(trained), tmp_path / "mine.policy"
    policy.save(path)
    again = TrainedPolicy.load(path)
    for name in ("inference", "features", "end", "name", "configuration", "provenance"):
        assert getattr(again, name) == getattr(policy, name), name
    for name in ("scales", "offsets"):
        np.testing.assert_array_equal(getattr(again, name), getattr(policy, name))
    assert again.end == FixedSteps(25) and not again.model.training
    draws = [p.rollout(generator=seeding.generator(0, "r")) for p in (policy, again)]
    assert draws[0].states.shape == (1, 26, 2)
    assert torch.equal(draws[0].states, draws[1].states)
    data = trained.demonstrations
    points = data.trajectories[1]
    np.testing.assert_allclose(again.to_original(points, 1), data.to_original(points, 1))
    np.testing.assert_allclose(again.normalise(again.to_original(points, 1), 1), points, atol=1e-12)


@pytest.mark.slow
def test_it_works_without_the_drawing_and_without_the_store(tiny_run, tmp_path):
    drawing = tmp_path / "mine.svg"
    drawing.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg"><path fill="none" stroke="black" '
        'd="M0 0L5 1L9 9"/></svg>'
    )
    store = Store(tmp_path / "store")
    trained = store.train_or_load(tiny_run.with_(dataset=str(drawing)))
    TrainedPolicy.of(trained).save(tmp_path / "mine.policy")
    key = trained.record["key"]
    drawing.unlink()
    loaded = store.load(key)
    assert loaded.model.action_dim == 2 and loaded.run == trained.run
    with pytest.raises(InputError, match=r"mine\.svg"):
        _ = loaded.demonstrations
    code = (
        "import sys, torch; from ebmlib import TrainedPolicy, seeding\n"
        "policy = TrainedPolicy.load(sys.argv[1])\n"
        "print(policy.rollout(generator=seeding.generator(0, 'rollout')).states.sum().item())\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "mine.policy")],
        capture_output=True,
        text=True,
        env={**os.environ, "EBMLIB_STORE": str(tmp_path / "none"), "HOME": str(tmp_path)},
        check=True,
    )
    expected = TrainedPolicy.of(trained).rollout(generator=seeding.generator(0, "rollout"))
    assert float(process.stdout) == pytest.approx(float(expected.states.sum()), rel=1e-5)
    assert not (tmp_path / "none").exists()


def test_a_noise_level_in_units_of_the_data_is_stored_in_those_of_the_action(tiny_run, tmp_path):
    run = replace(tiny_run, inference=Inference(MALA(alpha=0.5, steps=3, unit="s")))
    trained = Store(tmp_path).train_or_load(run)
    s = trained.demonstrations.action_scale()
    assert TrainedPolicy.of(trained).inference.kernel == MALA(alpha=0.5 * s, steps=3)
    again = Store(tmp_path).load(trained.record["key"])
    assert again.inference.kernel.alpha == pytest.approx(0.5 * s), "known without the drawing"


@pytest.mark.parametrize("place", [0.3, 0.6, 0.98])
def test_one_flipped_bit_is_noticed(trained, tmp_path, place):
    path = tmp_path / "mine.policy"
    TrainedPolicy.of(trained).save(path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 4
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        TrainedPolicy.load(path)


def test_other_files_are_refused_in_one_sentence(trained, tmp_path):
    with pytest.raises(StoreError, match="missing"):
        TrainedPolicy.load(tmp_path / "none.policy")
    (tmp_path / "text.policy").write_text("hello")
    with pytest.raises(StoreError, match="damaged"):
        TrainedPolicy.load(tmp_path / "text.policy")
    entry = next((tmp_path / "store").glob("*/model.safetensors"))
    with pytest.raises(InputError, match="holds no trained policy; write one with"):
        TrainedPolicy.load(entry)


def test_demonstrations_of_one_dimension_have_a_policy(tiny_run, tmp_path, generator):
    rng = np.random.default_rng(0)
    data = Demonstrations.from_arrays(
        [np.cumsum(rng.uniform(0.5, 1, 20))[:, None] for _ in range(3)]
    )
    run = tiny_run.with_(features="position+mean3", objective="ranking-nce", negatives=8)
    trained = Store(tmp_path).train_or_load(run, demonstrations=data)
    policy = TrainedPolicy.of(trained)
    assert (policy.model.state_dim, policy.model.action_dim) == (2, 1)
    assert policy.rollout(generator=generator()).states.shape == (1, 20, 1)
