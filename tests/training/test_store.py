"""The store: train once, load ever after; damage, full disks and two processes at once."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path

import pytest
import torch

from ebmlib import (
    MALA,
    SGLD,
    DataStart,
    DivergenceError,
    InputError,
    PersistentStart,
    ReplayStart,
    Run,
    Store,
    StoreError,
    load_demonstrations,
)
from ebmlib.demonstrations import bundled
from ebmlib.training import keys
from ebmlib.training.loop import gradient_norms


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "models")


@pytest.fixture
def tiny(tiny_run):
    """With snapshots and spectral normalisation, so that all there is gets stored."""
    return tiny_run.with_(snapshot_every=3, spectral_norm="fcn_0_2")


def assert_same(one, two):
    weights = one.model.state_dict(), two.model.state_dict()
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert one.history == two.history
    assert one.result.snapshots.keys() == two.result.snapshots.keys()
    for epoch, kept in one.result.snapshots.items():
        assert all(torch.equal(kept[k], two.result.snapshots[epoch][k]) for k in kept)


class Doing:
    """An observer that does what it is told; its key is that of this class."""

    def __init__(self, act):
        self.act = act

    def __call__(self, epoch, model):
        return self.act(epoch, model)


@dataclass(frozen=True)
class Level:
    """An observer with a field."""

    level: float

    def __call__(self, epoch, model):
        return {"level": self.level}


class Counter:
    """An observer that counts how many epochs were really trained."""

    def __init__(self):
        self.epochs = 0

    def __call__(self, epoch, model):
        self.epochs += 1
        return {"seen": float(epoch)} if epoch % 2 else {}


def test_trained_once_and_loaded_ever_after(store, tiny):
    counter = Counter()
    first = store.train_or_load(tiny, observers={"count": counter})
    second = Store(store.root).train_or_load(tiny, observers={"count": counter})
    assert (first.loaded, second.loaded) == (False, True)
    assert counter.epochs == tiny.training.epochs
    assert sorted(second.result.snapshots) == [0, 3, 6]
    seen = first.history.pop("seen"), second.history.pop("seen")
    assert str(seen[0]) == str(seen[1]) == "[nan, 1.0, nan, 3.0, nan, 5.0]"
    assert_same(first, second)
    assert second.run == tiny and not second.model.training
    x = torch.zeros(3, 2)
    assert torch.equal(first.model.score(x)(x), second.model.score(x)(x))
    assert second.record["data_digest"] == tiny.demonstrations().digest()
    assert first.record["compiled"] is False and first.record["device"] == "cpu"
    assert second.record["versions"]["torch"] == torch.__version__
    assert {p.name for p in store.root.iterdir()} == {store.keys()[0], f"{store.keys()[0]}.lock"}


def test_the_store_is_where_the_environment_says(tiny_run, monkeypatch, tmp_path):
    monkeypatch.setenv("EBMLIB_STORE", str(tmp_path / "elsewhere"))
    Store().train_or_load(tiny_run)
    assert len(list((tmp_path / "elsewhere").glob("*/run.json"))) == 1
    monkeypatch.delenv("EBMLIB_STORE")
    assert Store().root == Path("build/store")


def key_of(run, observers=None):
    return keys.key(run, run.demonstrations().digest(), observers)


def changes(part):
    """Every configuration that differs from ``part`` in one field, by the field's name."""
    for field in fields(part):
        value = getattr(part, field.name)
        if is_dataclass(value) and fields(value):
            for name, inner in changes(value):
                yield f"{field.name}.{name}", replace(part, **{field.name: inner})
        elif isinstance(value, bool):
            yield field.name, replace(part, **{field.name: not value})
        elif isinstance(value, (int, float)):
            more = value + (1 if isinstance(value, int) else 0.125)
            yield field.name, replace(part, **{field.name: more})
        elif value is None:
            yield field.name, replace(part, **{field.name: 3})


def test_key_changes_with_every_field_of_the_configuration(tiny_run):
    several = tiny_run.with_(dataset="mouse1")  # of one path these two change nothing
    special = {
        "objective.start": tiny_run.with_(start=DataStart()),
        "objective.sampler.unit": tiny_run.with_(alpha_unit="s"),
        "objective.sampler 2": tiny_run.with_(sampler=MALA(alpha=0.05, steps=4)),
        "objective": tiny_run.with_(objective="nce"),
        "objective 2": tiny_run.with_(objective="ranking-nce"),
        "objective 3": tiny_run.with_(objective="nce", proposal="uniform"),
        "objective.start 2": tiny_run.with_(start=PersistentStart()),
        "objective.start 3": tiny_run.with_(start=ReplayStart()),
        "energy.first_activation": tiny_run.with_(first_activation="tanh"),
        "energy.activation": tiny_run.with_(activation="silu"),
        "energy.spectral_norm": tiny_run.with_(spectral_norm="fcn_0_2"),
        "training.optimizer": tiny_run.with_(optimizer="sgd"),
        "training.decay": tiny_run.with_(decay="cosine"),
        "several": several,
        "data.scaling": several.with_(scaling="together"),
        "data.noise_on": several.with_(noise_on="copies"),
        "data.source": tiny_run.with_(dataset="path1"),
        "seed": tiny_run.with_(seed=1),
    }
    found = special
    for part in ("energy", "objective", "training", "data"):
        for name, changed in changes(getattr(tiny_run, part)):
            found[f"{part}.{name}"] = replace(tiny_run, **{part: changed})
    replay = tiny_run.with_(start=ReplayStart(per_pair=2))
    found["replay"] = replay
    found["replay.restart"] = replay.with_(start=ReplayStart(per_pair=2, restart=0.5))
    expected = {
        f"{part}.{f.name}"
        for part in ("energy", "training", "data", "objective")
        for f in fields(getattr(tiny_run, part))
    } - {"objective.sampler"}
    expected |= {f"objective.sampler.{f.name}" for f in fields(SGLD)} | {"seed"}
    assert expected <= found.keys(), "every field is tried"
    made = {name: key_of(run) for name, run in found.items()} | {"itself": key_of(tiny_run)}
    assert len(set(made.values())) == len(made), "no two configurations share a key"
    assert key_of(tiny_run) == key_of(replace(tiny_run))


def test_key_depends_on_observers_revision_and_data_and_not_on_paths(
    tiny_run, tmp_path, monkeypatch
):
    copy = tmp_path / "mine.svg"
    shutil.copy(bundled.directory() / "circle.svg", copy)
    assert key_of(tiny_run.with_(dataset=str(copy))) == key_of(tiny_run)
    copy.write_text('<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L5 1L9 9"/></svg>')
    assert key_of(tiny_run.with_(dataset=str(copy))) != key_of(tiny_run)
    one, two = Counter(), gradient_norms
    watched = key_of(tiny_run, {"b": one, "a": two})
    assert watched == key_of(tiny_run, {"a": two, "b": one}) != key_of(tiny_run)
    assert watched != key_of(tiny_run, {"a": one, "b": two}), "a name is not the code behind it"
    with pytest.raises(InputError, match="'c' depends on variables around it"):
        key_of(tiny_run, {"c": lambda epoch, model: {"n": one.epochs}})
    assert key_of(tiny_run, {"c": Level(1.0)}) != key_of(tiny_run, {"c": Level(2.0)})
    before = key_of(tiny_run)
    monkeypatch.setattr(keys, "TRAINING_REVISION", keys.TRAINING_REVISION + 1)
    assert key_of(tiny_run) != before


def test_data_passed_in_are_trained_on_and_are_part_of_the_key(store, tiny_run):
    other = load_demonstrations(replace(tiny_run.data, source="path1"))
    trained = store.train_or_load(tiny_run, demonstrations=other)
    assert trained.demonstrations is other
    assert not store.train_or_load(tiny_run).loaded
    assert len(store.keys()) == 2
    loaded = store.load(trained.record["key"])
    with pytest.warns(UserWarning, match="have changed since"):
        assert loaded.demonstrations.digest() != other.digest()


def damage(entry, how):
    weights, record = entry / "model.safetensors", entry / "run.json"
    if how == "flipped weight":
        content = bytearray(weights.read_bytes())
        content[-3] ^= 1
        weights.write_bytes(content)
    elif how == "truncated weights":
        weights.write_bytes(weights.read_bytes()[:-10])
    elif how == "no weights":
        weights.unlink()
    elif how == "truncated record":
        record.write_text(record.read_text()[:-10])
    elif how == "empty record":
        record.write_text("")
    elif how == "another history":
        data = json.loads(record.read_text())
        data["history"]["loss"][0] += 1e-9
        record.write_text(json.dumps(data))
    elif how == "another list":
        record.write_text("[1, 2]")
    elif how == "no record":
        record.unlink()


@pytest.mark.parametrize(
    "how",
    [
        "flipped weight",
        "truncated weights",
        "no weights",
        "truncated record",
        "empty record",
        "another history",
        "another list",
        "no record",
    ],
)
def test_damaged_entry_is_told_set_aside_and_trained_again(how, store, tiny):
    first = store.train_or_load(tiny)
    key = store.keys()[0]
    damage(store.root / key, how)
    if how != "no record":
        with pytest.raises(StoreError, match="damaged"):
            store.load(key)
    with pytest.warns(UserWarning, match=r"is damaged.* Set aside as .*; training again"):
        again = store.train_or_load(tiny)
    assert not again.loaded
    assert_same(first, again)
    assert len(list(store.root.glob(f"{key}.damaged.*"))) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.train_or_load(tiny).loaded
    assert store.keys() == [key]


def test_interrupted_training_goes_on_in_the_store(store, tiny, monkeypatch):
    monkeypatch.setattr("ebmlib.training.loop._SECONDS_BETWEEN_CHECKPOINTS", -1.0)

    def stop(epoch, model):
        if epoch == 4:
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        store.train_or_load(tiny, observers={"o": Doing(stop)})
    assert store.keys() == []
    seen = []
    resumed = store.train_or_load(
        tiny, observers={"o": Doing(lambda k, model: seen.append(k) or {})}
    )
    assert seen == [4, 5]
    whole = Store(store.root / "fresh").train_or_load(
        tiny, observers={"o": Doing(lambda k, model: {})}
    )
    assert_same(resumed, whole)
    assert not list(store.root.glob("*.work"))


TRAIN = """
import sys, torch
torch.set_num_threads(1)
from ebmlib import Run, Store
print("ready", flush=True)
run = Run.from_dict(__import__("json").loads(sys.argv[2]))
def observer(epoch, model):
    if epoch == 0:
        print("began", flush=True)
        sys.stdin.readline()  # until the other process is at the lock
    return {}
trained = Store(sys.argv[1]).train_or_load(run, observers={"o": observer})
print("loaded" if trained.loaded else "trained", flush=True)
"""


@pytest.mark.slow
def test_two_processes_at_once_train_once(store, tiny, tmp_path):
    script = tmp_path / "train.py"  # a file: an observer's code is a part of the key
    script.write_text(TRAIN)
    processes = [
        subprocess.Popen(
            [sys.executable, str(script), str(store.root), json.dumps(tiny.to_dict())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(2)
    ]
    try:
        assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
        time.sleep(0.5)  # for the second to come to the lock; were it late the test would be weaker
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=120)[0].split() for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert sorted(outputs) == [["began", "trained"], ["loaded"]]
    assert len(store.keys()) == 1
    assert not list(store.root.glob("*.new.*")) and not list(store.root.glob("*.work"))


@pytest.mark.parametrize("place", ["under a file", "/proc/ebmlib"])
def test_unwritable_store_is_said_before_training(place, tiny, tmp_path):
    if place == "under a file":
        (tmp_path / "file").write_text("")
        place = tmp_path / "file" / "store"
    counter = Counter()
    with pytest.raises(StoreError, match=r"cannot be written \(.+\); name another place") as caught:
        Store(place).train_or_load(tiny, observers={"count": counter})
    assert counter.epochs == 0
    assert "\n" not in str(caught.value)


@contextmanager
def largest_file(size):
    """No file may grow beyond ``size`` bytes: what a full disk or a quota does, for real."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_no_room_anywhere_keeps_the_last_checkpoint(store, tiny, monkeypatch):
    """The room runs out when training is done, so that only the checkpoint has been kept."""
    monkeypatch.setattr("ebmlib.training.loop._SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    enter, counter = store._enter, Counter()

    def enter_without_room(*arguments):
        with largest_file(1000):
            enter(*arguments)

    monkeypatch.setattr(store, "_enter", enter_without_room)
    with pytest.raises(StoreError, match=r"Neither the store .* the last checkpoint is kept"):
        store.train_or_load(tiny, observers={"count": counter})
    assert store.keys() == [] and not list(store.root.glob("*.new.*"))
    monkeypatch.undo()
    trained = store.train_or_load(tiny, observers={"count": counter})
    assert counter.epochs == tiny.training.epochs, "nothing was trained twice"
    assert len(trained.history["loss"]) == tiny.training.epochs


def test_full_store_leaves_the_result_in_a_temporary_folder(store, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fsync = os.fsync

    def full(descriptor):
        if str(store.root) in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    with monkeypatch.context() as context:
        context.setattr(os, "fsync", full)
        with pytest.raises(
            StoreError, match=r"The store .* cannot be written .*No space left"
        ) as caught:
            store.train_or_load(tiny)
    key = key_of(tiny)
    (kept,) = tmp_path.glob(f"{key}.new.*")
    assert str(kept) in str(caught.value) and str(store.root / key) in str(caught.value)
    assert not list(store.root.glob("*.new.*"))
    shutil.move(kept, store.root / key)  # what the message says to do
    loaded = store.train_or_load(tiny)
    assert loaded.loaded
    assert_same(loaded, Store(tmp_path / "fresh").train_or_load(tiny))


def test_training_that_diverges_enters_nothing(store, tiny):
    with pytest.raises(DivergenceError, match="stopped at epoch"):
        store.train_or_load(tiny.with_(lr=1e30))
    assert store.keys() == []


def test_entries_are_loaded_by_the_start_of_their_key(store, tiny):
    one = store.train_or_load(tiny)
    two = store.train_or_load(tiny.with_(seed=1))
    keys = [one.record["key"], two.record["key"]]
    assert store.keys() == sorted(keys)
    for trained in (one, two):
        key = trained.record["key"]
        shortest = next(
            key[:n] for n in range(1, 21) if sum(k.startswith(key[:n]) for k in keys) == 1
        )
        loaded = store.load(shortest)
        assert_same(loaded, trained)
        assert loaded.run == trained.run and loaded.loaded
    assert {record["key"] for record in store.records()} == set(keys)
    assert all("history" not in record for record in store.records())
    with pytest.raises(
        InputError, match=r"'zzz' must be the start of one key .*, got 0 matches; keys: "
    ):
        store.load("zzz")
    with pytest.raises(InputError, match="got 0 matches"):
        store.load("")


def test_clear_removes_one_entry_or_everything(store, tiny):
    assert store.clear() == [] and store.keys() == []
    one = store.train_or_load(tiny).record["key"]
    two = store.train_or_load(tiny.with_(seed=1)).record["key"]
    with pytest.raises(
        InputError, match=r"'zzz' must be the start of one key of the store, got 0 matches"
    ):
        store.clear("zzz")
    assert store.clear(one[:12]) == [one]
    assert store.keys() == [two]
    (store.root / f"{two}.work").mkdir()
    (store.root / f"{two}.damaged.1").mkdir()
    (store.root / f"{one}.new.abc").mkdir()
    (store.root / "notes.txt").write_text("the user's own")
    assert store.clear() == [two]
    assert [p.name for p in store.root.iterdir()] == ["notes.txt"]


def test_clear_leaves_a_training_that_is_under_way(store, tiny):
    inside = []

    def clearing(epoch, model):
        if epoch == 2:
            store.clear()
            inside.extend(p.suffix for p in store.root.iterdir())
        return {}

    trained = store.train_or_load(tiny, observers={"o": Doing(clearing)})
    assert sorted(inside) == [".lock", ".work"]
    assert store.keys() == [trained.record["key"]]


def test_a_run_comes_back_from_its_record(store, tiny_run):
    for run in (
        tiny_run,
        tiny_run.with_(start=ReplayStart(per_pair=3), drift=0.1, final_alpha=0.02, final_lr=1e-4),
    ):
        assert Run.from_dict(json.loads(json.dumps(run.to_dict()))) == run
    with pytest.raises(InputError, match=r"No configuration class is called 'os\.system'"):
        Run.from_dict({"is": "os.system"})
    with pytest.raises(InputError, match="SGLD cannot be made from"):
        Run.from_dict({"is": "SGLD", "speed": 3})
