"""Training: same bits, interruption and resumption, divergence, batches, what is recorded."""

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace

import pytest
import torch

from ebmlib import (
    SGLD,
    ContrastiveDivergence,
    DataStart,
    DivergenceError,
    EnergyConfig,
    EnergyModel,
    InputError,
    NoiseStart,
    Pairs,
    PersistentStart,
    ReplayStart,
    StoreError,
    TrainingConfig,
    files,
    train,
)
from ebmlib.objectives.base import Outcome, WithoutParts
from ebmlib.sampling import compiled, fused
from ebmlib.training import loop as training

NONE = torch.nn.ModuleDict()  # no parts beside the model

STARTS = {
    "noise": NoiseStart(),
    "data": DataStart(),
    "persistent": PersistentStart(),
    "replay": ReplayStart(per_pair=3, restart=0.2),
}
CONFIG = TrainingConfig(epochs=9, lr=0.01, snapshot_every=4)


def job(pairs, generator, *, start="noise", config=CONFIG, norm="none", seed=0, **kwargs):
    """One training on forty pairs; keyword arguments go to :func:`ebmlib.train`."""
    energy = EnergyConfig(z_dim=4, h_dim=6, spectral_norm=norm)
    model = EnergyModel(energy, 2, 2, generator=generator("weights", seed))
    objective = kwargs.pop("objective", None) or ContrastiveDivergence(
        SGLD(alpha=0.1, steps=3), start=STARTS[start], sgld_dim=12, data_noise=0.01
    )
    return train(model, pairs, objective, config, generator=generator("training", seed), **kwargs)


def assert_same(one, two):
    """Same weights, same history, same snapshots: the same bits."""
    weights = one.model.state_dict(), two.model.state_dict()
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert one.history == two.history
    assert one.snapshots.keys() == two.snapshots.keys()
    for epoch, kept in one.snapshots.items():
        assert all(torch.equal(kept[k], two.snapshots[epoch][k]) for k in kept)


@pytest.fixture
def always_saved(monkeypatch):
    """A checkpoint after every update, not only every so many seconds."""
    monkeypatch.setattr(training, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)


@pytest.mark.parametrize("start", STARTS)
def test_same_seed_same_bits_whatever_the_global_state(start, tiny_pairs, generator):
    torch.manual_seed(1)
    one = job(tiny_pairs, generator, start=start, norm="fcn_0_2")
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    two = job(tiny_pairs, generator, start=start, norm="fcn_0_2")
    assert torch.equal(torch.random.get_rng_state(), before)
    assert_same(one, two)
    other = job(tiny_pairs, generator, start=start, norm="fcn_0_2", seed=1)
    assert other.history["loss"] != one.history["loss"]


class Interrupted(Exception):
    """Stands for anything that may end a program."""


def interrupting(epoch, kind):
    def observer(now, model):
        if now == epoch:
            raise kind
        return {"now": float(now)}

    return observer


def silent(epoch, model):
    return {"now": float(epoch)}


@pytest.mark.parametrize("norm", ["none", "fcn_and_fe_x"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.usefixtures("always_saved")
def test_interrupted_and_resumed_is_uninterrupted(
    start, optimizer, norm, tiny_pairs, generator, tmp_path
):
    config = replace(CONFIG, optimizer=optimizer, final_lr=0.001)
    settings = {"start": start, "config": config, "norm": norm}
    whole = job(tiny_pairs, generator, observers={"now": silent}, **settings)
    path = tmp_path / "checkpoint.safetensors"
    for epoch, kind in ((0, Interrupted), (3, KeyboardInterrupt), (7, Interrupted)):
        with pytest.raises(kind):
            job(
                tiny_pairs,
                generator,
                observers={"now": interrupting(epoch, kind)},
                checkpoint_path=path,
                **settings,
            )
        assert path.exists() == (epoch > 0)
    resumed = job(
        tiny_pairs, generator, observers={"now": silent}, checkpoint_path=path, **settings
    )
    assert_same(resumed, whole)
    assert resumed.history["now"] == list(range(9))
    done = job(tiny_pairs, generator, observers={"now": silent}, checkpoint_path=path, **settings)
    assert_same(done, whole)


@pytest.mark.usefixtures("always_saved")
def test_compiled_chains_train_the_same_way(tiny_pairs, generator, tmp_path, monkeypatch):
    """Same bits again, resumed too, and the eager path's numbers to rounding."""
    if not compiled.available():
        pytest.skip("no C compiler")
    eager = job(tiny_pairs, generator, start="persistent")
    walked = []
    original = compiled.Walk.__call__

    def counting(self, *arguments):
        walked.append(1)
        return original(self, *arguments)

    monkeypatch.setattr(compiled.Walk, "__call__", counting)
    monkeypatch.setattr(fused, "worthwhile", lambda *work: True)
    whole = job(tiny_pairs, generator, start="persistent", observers={"now": silent})
    assert len(walked) == 9, "the kernel ran the chain of every epoch"
    path = tmp_path / "checkpoint.safetensors"
    settings = {"start": "persistent", "checkpoint_path": path}
    with pytest.raises(Interrupted):
        job(tiny_pairs, generator, observers={"now": interrupting(5, Interrupted)}, **settings)
    assert_same(job(tiny_pairs, generator, observers={"now": silent}, **settings), whole)
    for name in ("f_data", "f_chain", "R"):
        assert whole.history[name] == pytest.approx(eager.history[name], rel=1e-4)


KILLED = """
import sys, time, torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from ebmlib.training import loop as training
from test_training import job, seeding_generator, STARTS
from ebmlib import Pairs
training._SECONDS_BETWEEN_CHECKPOINTS = -1.0
def slow(epoch, model):
    print(epoch, flush=True)
    if epoch == 5:
        time.sleep(600)
    return {}
columns = torch.load(sys.argv[3], weights_only=True)
job(Pairs(*columns), seeding_generator, start="persistent", observers={"slow": slow},
    checkpoint_path=Path(sys.argv[1]))
"""


def seeding_generator(stream="test", seed=0):
    """The ``generator`` fixture, for the killed process."""
    from ebmlib import seeding

    return seeding.generator(seed, stream)


@pytest.mark.slow
def test_killed_and_resumed_is_uninterrupted(tiny_pairs, generator, tmp_path):
    path, data = tmp_path / "checkpoint.safetensors", tmp_path / "pairs.pt"
    torch.save(tuple(tiny_pairs), data)
    here = os.path.dirname(__file__)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path), here, str(data)],
        stdout=subprocess.PIPE,
        cwd=os.path.dirname(here),
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == b"5":
                break
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    finally:
        process.kill()
        process.stdout.close()
    seen = []
    resumed = job(
        tiny_pairs,
        generator,
        start="persistent",
        checkpoint_path=path,
        observers={"seen": lambda epoch, model: seen.append(epoch) or {}},
    )
    assert seen == [5, 6, 7, 8], "it went on where the last checkpoint was"
    assert_same(resumed, job(tiny_pairs, generator, start="persistent"))


@pytest.mark.usefixtures("always_saved")
def test_damaged_checkpoint_is_told_and_training_starts_again(tiny_pairs, generator, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    whole = job(tiny_pairs, generator, checkpoint_path=path)
    content = path.read_bytes()
    for damaged in (content[:100], b"", b"nonsense" * 100):
        path.write_bytes(damaged)
        with pytest.warns(UserWarning, match="damaged or missing.* again from epoch 0"):
            again = job(tiny_pairs, generator, checkpoint_path=path)
        assert_same(again, whole)


@pytest.mark.usefixtures("always_saved")
def test_checkpoint_of_another_configuration_is_refused(tiny_pairs, generator, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    job(tiny_pairs, generator, checkpoint_path=path)
    with pytest.raises(StoreError, match="belongs to another configuration"):
        job(tiny_pairs, generator, checkpoint_path=path, norm="fcn_0_2")


@pytest.mark.usefixtures("always_saved")
def test_full_disk_costs_checkpoints_and_not_training(tiny_pairs, generator, tmp_path):
    path = tmp_path / "no such folder" / "checkpoint.safetensors"
    with pytest.warns(UserWarning, match=r"No checkpoint at epoch \d: Cannot write"):
        result = job(tiny_pairs, generator, checkpoint_path=path)
    assert_same(result, job(tiny_pairs, generator))


@dataclass(frozen=True)
class Poisoned(WithoutParts):
    """An objective that returns ``value`` as its loss, or gradient, in one epoch."""

    epoch: int
    value: float
    in_gradient: bool = False
    batch_size = 12
    chain_steps = 36

    def begin(self, pairs, *, generator):
        return {"epoch": torch.zeros(())}

    def __call__(self, model, parts, batch, carry, *, generator):
        inner = ContrastiveDivergence(SGLD(alpha=0.1, steps=3), sgld_dim=12)
        outcome = inner(model, NONE, batch, {}, generator=generator)
        loss = outcome.losses["model"]
        if int(carry["epoch"]) == self.epoch:
            if self.in_gradient:
                weight = model.fcn[0].weight[0, 0]
                loss = loss + (weight - weight).sqrt()  # 0, with the derivative 0 times infinity
            else:
                loss = loss * self.value
        return Outcome({"model": loss}, {"epoch": carry["epoch"] + 1}, outcome.report)


@pytest.mark.parametrize("norm", ["none", "fcn_and_fe_x"])
@pytest.mark.parametrize("poison", [(math.nan, False), (math.inf, False), (0.0, True)])
def test_loss_that_is_not_finite_stops_with_the_epoch_and_the_last_good_state(
    poison, norm, tiny_pairs, generator, tmp_path
):
    path = tmp_path / "checkpoint.safetensors"

    def attempt(objective, epochs=9, **kwargs):
        config = replace(CONFIG, epochs=epochs)
        return job(tiny_pairs, generator, objective=objective, config=config, norm=norm, **kwargs)

    objective = Poisoned(4, *poison)
    for _ in range(2):  # a second call stops at the same place: other noise would hide it
        with pytest.raises(DivergenceError, match=r"stopped at epoch 4 of 9: .*alpha") as caught:
            attempt(objective, checkpoint_path=path)
    result = caught.value.result
    assert {len(column) for column in result.history.values()} == {4}
    assert all(math.isfinite(value) for column in result.history.values() for value in column)
    good = attempt(Poisoned(99, *poison), epochs=4)
    assert result.history == good.history
    before = attempt(Poisoned(99, *poison), epochs=3)
    for name, parameter in result.model.named_parameters():
        assert torch.equal(parameter, before.model.get_parameter(name)), (
            "the weights are the last ones whose loss was finite"
        )
    mended = attempt(Poisoned(99, *poison), checkpoint_path=path)
    assert_same(mended, attempt(Poisoned(99, *poison)))


def test_runaway_learning_rate_keeps_weights_that_are_of_use(tiny_pairs, generator):
    """The update itself stays finite and the next loss does not: the weights before it count."""
    with pytest.raises(DivergenceError, match="stopped at epoch 1 of 9") as caught:
        job(tiny_pairs, generator, config=replace(CONFIG, lr=1e30))
    model = caught.value.result.model
    assert torch.isfinite(model(tiny_pairs.states, tiny_pairs.actions)).all()
    assert len(caught.value.result.history["loss"]) == 1


def test_chain_that_explodes_stops_training_in_the_same_way(tiny_pairs, generator):
    objective = ContrastiveDivergence(SGLD(alpha=1e19, steps=5, temperature=3e38), sgld_dim=12)
    with pytest.raises(DivergenceError, match=r"epoch 0 of 9: A chain's .*error.result"):
        job(tiny_pairs, generator, objective=objective)


@dataclass(frozen=True)
class Watching(WithoutParts):
    """An objective that notes the batches it is given; its loss is zero."""

    seen: list
    batch_size: int = 12
    chain_steps: int = 1

    def __call__(self, model, parts, batch, carry, *, generator):
        self.seen.append(batch)
        return Outcome({"model": 0.0 * model(batch.states, batch.actions).sum()}, {}, {})


def test_batches_are_drawn_without_replacement_and_evenly(tiny_pairs, generator):
    seen = []
    job(tiny_pairs, generator, objective=Watching(seen), config=TrainingConfig(epochs=400))
    for batch in seen:
        assert len(set(batch.ids.tolist())) == 12
        assert torch.equal(batch.states, tiny_pairs.states[batch.ids])
        assert torch.equal(batch.actions, tiny_pairs.actions[batch.ids])
    counts = torch.bincount(torch.cat([batch.ids for batch in seen]), minlength=40).double()
    p = 12 / 40
    assert ((counts - 400 * p).abs() < 5.5 * math.sqrt(400 * p * (1 - p))).all()
    assert len({tuple(batch.ids.tolist()) for batch in seen}) > 390


def test_a_batch_larger_than_the_data_is_all_of_it(tiny_pairs, generator):
    seen = []
    job(tiny_pairs, generator, objective=Watching(seen, 99), config=TrainingConfig(epochs=2))
    assert sorted(seen[0].ids.tolist()) == list(range(40))


@dataclass(frozen=True)
class Slope(WithoutParts):
    """A loss that is the sum of all parameters: every gradient is 1."""

    batch_size: int = 1
    chain_steps: int = 1

    def __call__(self, model, parts, batch, carry, *, generator):
        return Outcome({"model": sum(p.sum() for p in model.parameters())}, {}, {})


def test_snapshots_and_learning_rate_schedule(tiny_pairs, generator):
    config = TrainingConfig(epochs=7, lr=0.1, optimizer="sgd", final_lr=0.001, snapshot_every=1)
    result = job(tiny_pairs, generator, objective=Slope(), config=config)
    rates = [0.1 * 0.01 ** (k / 6) for k in range(7)]
    assert [config.rate(k) for k in range(7)] == pytest.approx(rates)
    weights = [result.snapshots[epoch]["fcn.0.weight"] for epoch in range(8)]
    for before, after, rate in zip(weights[:-1], weights[1:], rates, strict=True):
        torch.testing.assert_close(before - after, torch.full_like(before, rate))
    assert torch.equal(weights[-1], result.model.fcn[0].weight)
    assert torch.equal(result.at(3).fcn[0].weight, weights[3]) and not result.at(3).training
    spaced = job(tiny_pairs, generator)
    assert sorted(spaced.snapshots) == [0, 4, 8]
    with pytest.raises(InputError, match=r"epoch 3 was kept \(kept: 0, 4, 8\)"):
        spaced.at(3)


def test_adam_is_the_textbook_update(tiny_pairs, generator):
    """With a gradient of 1 throughout, Adam's first steps are of length lr."""
    config = TrainingConfig(epochs=3, lr=0.02, snapshot_every=1)
    result = job(tiny_pairs, generator, objective=Slope(), config=config)
    moved = result.snapshots[0]["fcn.0.weight"] - result.snapshots[3]["fcn.0.weight"]
    torch.testing.assert_close(moved, torch.full_like(moved, 0.06), rtol=1e-4, atol=1e-6)


def test_history_holds_losses_gradient_norms_and_what_observers_tell(tiny_pairs, generator):
    norms = []

    def observer(epoch, model):
        gradient = torch.cat([p.grad.flatten() for p in model.fcn[1].parameters()])
        norms.append(float(gradient.norm()))
        return {"rare": torch.tensor(epoch * 2.0)} if epoch in (3, 5) else {}

    result = job(tiny_pairs, generator, observers={"mine": observer})
    layers = ["FE_x", "FE_a", "FCN[0]", "FCN[1]", "FCN[2]", "FCN[3]"]
    expected = {"loss", "R", "f_data", "f_chain", "f_magnitude", "rare"}
    assert result.history.keys() == expected | {f"gradient_norm/{name}" for name in layers}
    assert {len(column) for column in result.history.values()} == {9}
    rare = result.history["rare"]
    assert [rare[3], rare[5]] == [6.0, 10.0]
    assert [k for k, value in enumerate(rare) if not math.isnan(value)] == [3, 5]
    assert result.history["gradient_norm/FCN[1]"] == pytest.approx(norms, rel=1e-5)
    difference = torch.tensor(result.history["f_chain"]) - torch.tensor(result.history["f_data"])
    torch.testing.assert_close(difference, torch.tensor(result.history["loss"]))


def test_gradient_norm_of_an_output_bias_is_told_apart(tiny_pairs, generator):
    energy = EnergyConfig(z_dim=4, h_dim=6, output_bias=True)
    model = EnergyModel(energy, 2, 2, generator=generator("weights"))
    objective = ContrastiveDivergence(SGLD(alpha=0.1, steps=2), sgld_dim=8)
    result = train(model, tiny_pairs, objective, CONFIG, generator=generator())
    # without a regulariser it cancels between data and chains (section 3.4)
    assert max(result.history["gradient_norm/FCN[3].bias"]) < 1e-6


@pytest.mark.parametrize("norm", ["none", "fcn_and_fe_x"])
def test_observers_that_evaluate_the_model_change_nothing(norm, tiny_pairs, generator):
    def looking(epoch, model):
        with torch.no_grad():
            return {"level": model(tiny_pairs.states, tiny_pairs.actions).mean()}

    plain = job(tiny_pairs, generator, norm=norm)
    watched = job(tiny_pairs, generator, norm=norm, observers={"looking": looking})
    assert len(watched.history.pop("level")) == 9
    assert_same(watched, plain)


def test_training_fits_a_gaussian_whose_action_depends_on_the_state(generator):
    """It learns: E[a | x] of the trained density on the exact grid is near the data's."""
    from ebmlib import Grid, Pairs
    from ebmlib.evaluation import exact

    states = torch.rand(600, 1, generator=generator("states")) * 2 - 1
    noise = torch.randn(600, 1, generator=generator("actions"))
    pairs = Pairs(states, 0.5 * states + 0.2 * noise, torch.arange(600))
    model = EnergyModel(EnergyConfig(z_dim=8, h_dim=16), 1, 1, generator=generator("weights"))
    grid, held = Grid(3.0, 1, points=200), Pairs(*(column[:200] for column in pairs))
    before = exact.log_likelihood(model, held, grid).mean()
    objective = ContrastiveDivergence(SGLD(alpha=0.15, steps=40), sgld_dim=200)
    config = TrainingConfig(epochs=150, lr=0.01)
    result = train(model, pairs, objective, config, generator=generator("training"))
    after = exact.log_likelihood(result.model, held, grid).mean()
    entropy = 0.5 * math.log(2 * math.pi * math.e * 0.2**2)
    assert before < -1.5 and after > -entropy - 0.25
    probe = torch.tensor([[-0.8], [0.0], [0.8]])
    mean = exact.model_density(result.model, probe, grid).mean()
    assert (mean - 0.5 * probe).abs().max() < 0.15


def test_progress_is_told_to_a_file_that_the_environment_names(
    tiny_pairs, generator, tmp_path, monkeypatch
):
    import json

    path = tmp_path / "progress.jsonl"
    monkeypatch.setenv("EBMLIB_PROGRESS", str(path))
    job(tiny_pairs, generator, task="a task")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[0]["done"] == 0 and lines[-1]["done"] == lines[-1]["total"] == 9
    assert lines[-1]["task"] == "a task" and abs(lines[-1]["time"] - time.time()) < 100
    monkeypatch.setenv("EBMLIB_PROGRESS", str(tmp_path / "no folder" / "progress.jsonl"))
    job(tiny_pairs, generator)  # a line that cannot be written stops nothing


@pytest.mark.parametrize("began", [True, False])
@pytest.mark.usefixtures("always_saved")
def test_a_resumed_training_goes_on_by_the_path_it_began_with(
    began, tiny_pairs, generator, tmp_path, monkeypatch
):
    """Whatever the epochs that are left, or today's threshold, would say."""
    seen = []

    def watching(epoch, model):
        seen.append(fused.is_permitted())
        if epoch == 5 and len(seen) == 6:
            raise Interrupted
        return {}

    settings = {"checkpoint_path": tmp_path / "c.safetensors", "observers": {"w": watching}}
    monkeypatch.setattr(fused, "OPERATIONS_WORTH_FUSING", 0.0 if began else float("inf"))
    with pytest.raises(Interrupted):
        job(tiny_pairs, generator, **settings)
    monkeypatch.setattr(fused, "OPERATIONS_WORTH_FUSING", float("inf") if began else 0.0)
    assert job(tiny_pairs, generator, **settings).fused == began
    assert seen == [began] * 10


def test_the_size_of_a_training_counts_all_its_epochs(tiny_pairs, generator, monkeypatch):
    asked = []
    monkeypatch.setattr(fused, "worthwhile", lambda work: asked.append(work) or False)
    for epochs in (3, 6):
        job(tiny_pairs, generator, config=replace(CONFIG, epochs=epochs))
    assert asked[1] == 2 * asked[0] > 0


@pytest.mark.usefixtures("always_saved")
def test_seconds_add_up_over_all_resumptions(tiny_pairs, generator, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Interrupted):
        job(
            tiny_pairs, generator, checkpoint_path=path,
            observers={"now": interrupting(5, Interrupted)},
        )  # fmt: skip
    tensors, record = files.load_tensors(path)
    assert record["epoch"] == 5 and record["seconds"] > 0
    files.save_tensors(path, tensors, record | {"seconds": 1000.0})
    resumed = job(tiny_pairs, generator, checkpoint_path=path, observers={"now": silent})
    assert 1000 < resumed.seconds < 1000 + 100


def test_every_column_of_the_history_is_what_it_says(tiny_pairs, generator):
    """Three updates done by hand: batches, losses, gradient norms, and Adam's weights."""
    energy = EnergyConfig(z_dim=4, h_dim=6, output_bias=True)
    objective = ContrastiveDivergence(SGLD(0.05, 4), sgld_dim=16, reg_l2=0.1)
    model, mine = (EnergyModel(energy, 2, 2, generator=generator("weights")) for _ in range(2))
    config = TrainingConfig(epochs=3, lr=0.01, final_lr=0.002)
    seen = {"epoch": lambda epoch, model: {"now": epoch} if epoch > 0 else {}}
    found = train(
        model, tiny_pairs, objective, config, generator=generator("t"), observers=seen
    ).history
    g, adam, expected = generator("t"), torch.optim.Adam(mine.parameters()), {}
    for epoch in range(3):
        chosen = torch.randperm(len(tiny_pairs.states), generator=g)[:16]
        batch = Pairs(*(column[chosen] for column in tiny_pairs))
        outcome = objective(mine.train(), torch.nn.ModuleDict(), batch, {}, generator=g)
        adam.zero_grad()
        outcome.losses["model"].backward()
        row = {name: float(value) for name, value in outcome.report.items()}
        for name, layer in mine.layers().items():
            flat = torch.cat([p.grad.flatten() for p in layer.parameters()])
            row[f"gradient_norm/{name}"] = float(flat.norm())
        row[f"gradient_norm/{name}.bias"] = float(layer.bias.grad.norm())
        row["now"] = float(epoch) if epoch else float("nan")
        for name, value in row.items():
            expected.setdefault(name, []).append(value)
        adam.param_groups[0]["lr"] = 0.01 * (0.002 / 0.01) ** (epoch / 2)
        adam.step()
    assert found.keys() == expected.keys()
    for name, column in expected.items():
        assert found[name] == pytest.approx(column, rel=1e-5, abs=1e-7, nan_ok=True), name
    for ours, theirs in zip(model.parameters(), mine.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
