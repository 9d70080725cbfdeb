"""Hostile values, files and surroundings: the right answer, or one sentence that says what to do.

Every table has a row for a class of input, and what is expected of it. The fuzzers flip bits of
every kind of file and put anything into every field of every configuration;
``EBMLIB_FUZZ=2000 pytest tests/test_hostile.py -k fuzz`` tries 2000 of each in place of 40.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import types
import warnings
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ebmlib
from ebmlib import (
    EXP,
    ML,
    SGLD,
    Demonstrations,
    DivergenceError,
    Draw,
    EbmlibError,
    EnergyConfig,
    EnergyModel,
    InputError,
    Run,
    Store,
    StoreError,
    config,
    files,
    memory,
    rollout,
    seeding,
)
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.evaluation import exact
from ebmlib.evaluation.exact import Grid, likelihood_gradient, log_likelihood, model_density
from ebmlib.policies.trained import TrainedPolicy
from ebmlib.training import loop
from ebmlib.training.run import execute
from thesis import code, measured, studies, study

EXAMPLES = int(os.environ.get("EBMLIB_FUZZ", "40"))
ROOT = Path(ebmlib.__file__).resolve().parents[1]
SAMPLER = SGLD(alpha=0.05, steps=3)
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="EBMLIB_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
)


def one_sentence(error):
    """What a command line can print as it stands."""
    text = str(error)
    assert text and "\n" not in text, text
    assert len(text) < 1000, text
    assert "Traceback" not in text
    return text


def model_of(**options):
    return EnergyModel(
        EnergyConfig(z_dim=5, h_dim=8, **options), 2, 2, generator=seeding.generator(1, "weights")
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = ebmlib.preset("circle").with_(epochs=3, K=3, sgld_dim=16, z_dim=5, h_dim=8)
    return Store(tmp_path_factory.mktemp("trained")).train_or_load(run)


# ------------------------------------------------------------------- values: states and actions

POINTS = [[0.0, 0.0], [0.5, -1.0], [0.25, 1.5]]  # exact in every floating-point type

TAKEN = {
    "float64 tensor": torch.tensor(POINTS, dtype=torch.float64),
    "float16 tensor": torch.tensor(POINTS, dtype=torch.float16),
    "bfloat16 tensor": torch.tensor(POINTS, dtype=torch.bfloat16),
    "tensor with a graph": torch.tensor(POINTS, requires_grad=True),
    "strided tensor": torch.tensor(POINTS).repeat_interleave(2, dim=1)[:, ::2],
    "float64 array": np.array(POINTS),
    "float32 array": np.array(POINTS, dtype=np.float32),
    "float16 array": np.array(POINTS, dtype=np.float16),
    "big-endian array": np.array(POINTS, dtype=">f8"),
    "Fortran array": np.asfortranarray(POINTS),
    "masked array without a mask": np.ma.masked_array(POINTS),
    "lists": POINTS,
    "tuples": tuple(tuple(point) for point in POINTS),
    "list of arrays": [np.array(point) for point in POINTS],
    "list of tensors": [torch.tensor(point) for point in POINTS],
}
WHOLE = [[0, 0], [1, -1], [2, 3]]
TAKEN_WHOLE = {
    "whole lists": WHOLE,
    "int64 tensor": torch.tensor(WHOLE),
    "int32 array": np.array(WHOLE, dtype=np.int32),
    "int8 array": np.array(WHOLE, dtype=np.int8),
}
REFUSED = {
    "NaN": [[0.0, float("nan")]],
    "infinity": torch.tensor([[0.0, float("inf")]]),
    "beyond float32": np.array([[0.0, 1e300]]),
    "words": [["0", "1"]],
    "a word": "circle",
    "complex": np.array([[1j, 0]]),
    "complex tensor": torch.tensor([[1j, 0]]),
    "true and false": np.array([[True, False]]),
    "bool tensor": torch.tensor([[True, False]]),
    "ragged": [[0, 1], [2]],
    "objects": [[Fraction(1, 2), 0]],
    "None": None,
    "masked": np.ma.masked_array(POINTS, [[True, False], [False] * 2, [False] * 2]),
    "dates": np.array([["2020-01-01", "2020-01-02"]], dtype="datetime64[D]"),
    "one point": [0.0, 1.0],
    "three dimensions": [[0.0, 1.0, 2.0]],
    "a cube": np.zeros((2, 2, 2)),
    "whole number beyond 64 bits": [[10**25, 10**30]],
    "sparse": torch.zeros(1, 2).to_sparse(),
    "quantised": torch.quantize_per_tensor(torch.zeros(1, 2), 0.1, 0, torch.qint8),
}


def draw(policy, starts):
    return rollout(policy, starts, 2, generator=seeding.generator(0, "rollout")).states


def consumers(trained):
    model, pairs = model_of(), Pairs
    actions = torch.full((3, 2), 0.01)
    generator = lambda: seeding.generator(0, "test")  # noqa: E731
    small = {"population": 2}
    return {
        "rollout": lambda x: draw(EXP(model, SAMPLER, **small), x),
        "score": lambda x: model.score(x)(actions),
        "model_density": lambda x: model_density(model, x, Grid(0.5, points=9)).log_p,
        "log_likelihood": lambda x: log_likelihood(
            model, pairs(x, actions, torch.arange(3)), Grid(0.5, points=9)
        ).detach(),
        "EXP": lambda x: EXP(model, SAMPLER, **small).act(x, generator=generator()),
        "ML": lambda x: ML(model, SAMPLER, **small).act(x, generator=generator()),
        "Draw": lambda x: Draw(model, SAMPLER).act(x, generator=generator()),
        "TrainedPolicy": lambda x: (
            TrainedPolicy.of(trained).rollout(x, 2, generator=generator()).states
        ),
        "chain": lambda x: (
            SAMPLER.chain(model.score(torch.zeros(3, 2)), x, generator=generator()).actions
        ),
    }


CONSUMERS = ["rollout", "score", "model_density", "log_likelihood", "EXP", "ML", "Draw"]
CONSUMERS += ["TrainedPolicy", "chain"]


@pytest.mark.parametrize("consumer", CONSUMERS)
def test_states_of_any_real_type_are_taken_for_the_same_numbers(consumer, trained):
    ask = consumers(trained)[consumer]
    for forms, plain in ((TAKEN, POINTS), (TAKEN_WHOLE, WHOLE)):
        expected = ask(torch.tensor(plain, dtype=torch.float32))
        for name, form in forms.items():
            found = ask(form)
            assert found.dtype == torch.float32, name
            assert torch.equal(found.detach(), expected), name


@pytest.mark.parametrize("what", REFUSED)
def test_states_that_are_none_are_refused_in_one_sentence(what, trained):
    for name, ask in consumers(trained).items():
        if (what, name) == ("None", "TrainedPolicy"):
            continue  # it starts at the origin then
        with pytest.raises(InputError) as caught:
            ask(REFUSED[what])
        assert one_sentence(caught.value), name


@pytest.mark.parametrize("given", [None, 0, "seed", np.random.default_rng(0), torch.Generator])
def test_a_rollout_without_a_generator_is_refused(given):
    with pytest.raises(InputError, match="generator") as caught:
        rollout(EXP(model_of(), SAMPLER), POINTS, 2, generator=given)
    one_sentence(caught.value)


ARRAYS_REFUSED = set(REFUSED) - {"beyond float32", "three dimensions", "true and false", "a cube"}
ARRAYS_REFUSED -= {"bool tensor", "masked", "one point", "whole number beyond 64 bits"}
ARRAYS_REFUSED -= {"quantised", "sparse"}


@pytest.mark.parametrize("form", [*TAKEN, *TAKEN_WHOLE])
def test_demonstrations_of_any_real_type_are_the_same(form):
    given = (TAKEN | TAKEN_WHOLE)[form]
    plain = POINTS if form in TAKEN else WHOLE
    expected = Demonstrations.from_arrays([np.array(plain, dtype=float)], steps=5).digest()
    if form in ("bfloat16 tensor", "tensor with a graph"):  # NumPy has no such arrays
        with pytest.raises(InputError) as caught:
            Demonstrations.from_arrays([given], steps=5)
        one_sentence(caught.value)
        return
    assert Demonstrations.from_arrays([given], steps=np.int64(5)).digest() == expected


@pytest.mark.parametrize("what", sorted(ARRAYS_REFUSED))
def test_demonstrations_that_are_none_are_refused(what):
    with pytest.raises(InputError) as caught:
        Demonstrations.from_arrays([REFUSED[what]])
    one_sentence(caught.value)


# ------------------------------------------------------------------ values: configurations

ARRIVAL = {
    **{"ends": ((1.0, 0.0),), "radius": 0.1, "earliest": 3, "steps": 9, "horizon": 6},
    "away": 1.0,
}
MADE = {
    "DemonstrationConfig": lambda kind, **given: kind(**{"source": "circle"} | given),
    "Arrival": lambda kind, **given: kind(**ARRIVAL | given),
    "Run": lambda kind, **given: kind(**{"data": ebmlib.DemonstrationConfig("circle")} | given),
}


def made(name, **given):
    kind = config.registered()[name]
    return MADE.get(name, lambda kind, **given: kind(**given))(kind, **given)


def numbers():
    """Every field of a registered configuration that holds a number, by class and field."""
    for name, kind in config.registered().items():
        if not kind.__module__.startswith("ebmlib.") or not is_dataclass(kind):
            continue
        for field in fields(kind):
            value = getattr(made(name), field.name)
            optional = "float" in str(field.type) or "int" in str(field.type)
            optional = optional and "tuple" not in str(field.type)
            if type(value) in (int, float):
                yield name, field.name, value
            elif value is None and optional:
                yield name, field.name, 2 if "int" in str(field.type) else 0.5


NUMBERS = sorted(set(numbers()))
WIDE = {  # what 10^25 of is a number like any other
    *("length", "temperature", "reg_l1", "reg_l2", "drift", "lr", "final_lr", "sigma"),
}


def test_the_table_of_fields_is_not_empty():
    assert len(NUMBERS) >= 40
    names = {field for _, field, _ in NUMBERS}
    assert {"alpha", "steps", "epochs", "seed", "h_dim", "sgld_dim", "population"} <= names


@pytest.mark.parametrize(("name", "field", "value"), NUMBERS)
def test_numpy_numbers_are_numbers_and_leave_no_trace(name, field, value):
    kinds = [np.int64, np.int32, np.uint16] if isinstance(value, int) else [np.float64, np.float32]
    for kind in kinds:
        given = kind(value)
        plain = made(name, **{field: given.item()})
        for form in (given, np.array(given), torch.tensor(given.item())):
            if torch.is_tensor(form) and not isinstance(value, int):
                form = form.double()
                plain = made(name, **{field: form.item()})
            found = made(name, **{field: form})
            assert found == plain
            assert type(getattr(found, field)) is type(getattr(plain, field))
            text = json.dumps(config.to_dict(found), allow_nan=False)
            assert config.from_dict(json.loads(text)) == plain
            assert config.digest(config.identity(found)) == config.digest(config.identity(plain))


@pytest.mark.parametrize(("name", "field", "value"), NUMBERS)
@pytest.mark.parametrize(
    "bad", [np.bool_(True), True, np.float64("nan"), np.complex64(1j)], ids=str
)
def test_what_is_no_number_is_refused(name, field, value, bad):
    with pytest.raises(InputError) as caught:
        made(name, **{field: bad})
    one_sentence(caught.value)


@pytest.mark.parametrize(("name", "field", "value"), NUMBERS)
@pytest.mark.parametrize("bad", [10**25, 10**400, 10**5000], ids=["1e25", "1e400", "1e5000"])
def test_a_number_without_bound_is_refused_before_it_overflows(name, field, value, bad):
    if field in WIDE and bad == 10**25:
        assert getattr(made(name, **{field: bad}), field) == bad
        return
    with pytest.raises(InputError) as caught:
        made(name, **{field: bad})
    assert field in one_sentence(caught.value) or field in ("steps", "per_pair", "restart")


def test_flags_may_be_numpys():
    assert EnergyConfig(residual=np.bool_(False)) == EnergyConfig(residual=False)
    assert Grid(np.float32(0.5), np.int64(1), np.int32(9)) == Grid(0.5, 1, 9)
    policy = EXP(model_of(), SAMPLER, population=np.int64(3), jitter=np.float32(0.5))
    assert (type(policy.population), type(policy.jitter)) == (int, float)


ANYTHING = st.one_of(
    st.integers(),
    st.integers(10**18, 10**30),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.lists(st.floats(), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.sampled_from(
        [
            *(
                kind(value)
                for kind in (np.int8, np.uint64, np.float16, np.float64)
                for value in (0, 3)
            ),
            *(np.float32("nan"), np.float64("inf"), np.bool_(True), np.datetime64("2020-01-01")),
            *(np.zeros(3), np.array(2), torch.tensor(2.5), torch.zeros(2), np.longdouble(2)),
            *(object(), int, 1j, Fraction(1, 2), "noise", "sgld", "relu", SAMPLER, EnergyConfig()),
        ]
    ),
)


@pytest.mark.parametrize("name", sorted({name for name, _, _ in NUMBERS}))
def test_fuzz_of_configurations(name):
    kind = config.registered()[name]

    @FUZZ
    @given(st.sampled_from([f.name for f in fields(kind)]), ANYTHING)
    def anything(field, value):
        try:
            found = made(name, **{field: value})
        except InputError as error:
            one_sentence(error)
            return
        text = json.dumps(config.to_dict(found), allow_nan=False)
        assert config.from_dict(json.loads(text)) == found

    anything()


def test_fuzz_of_hyper_parameters_by_name():
    run = ebmlib.preset("circle")
    names = sorted(run._places())

    @FUZZ
    @given(st.sampled_from(names), ANYTHING)
    def anything(name, value):
        try:
            changed = run.with_(**{name: value})
        except InputError as error:
            one_sentence(error)
            return
        assert Run.from_dict(json.loads(json.dumps(changed.to_dict(), allow_nan=False))) == changed

    anything()


# ------------------------------------------------------------------ values: dtype and memory


@pytest.mark.parametrize(
    "changes",
    [
        {"start": "replay", "spectral_norm": "fcn_0_2"},
        {"standardise": True, "sampler": "mala", "features": "position+history2+clock"},
        {"objective": "nce", "log_z_dim": 3, "proposal": "mixture"},
        {"objective": "ranking-nce", "proposal": "uniform"},
        {"objective": "joint-contrastive-divergence", "embedding": False},
    ],
    ids=lambda changes: next(iter(changes.values())),
)
def test_the_default_dtype_of_torch_changes_nothing(changes, tiny_run):
    def all_of_it():
        result = execute(tiny_run.with_(**changes))
        weights = [*result.model.state_dict().values(), *result.parts.state_dict().values()]
        start = SAMPLER.start(2, 2, generator=seeding.generator(0, "start"))
        features = tiny_run.with_(**changes).features
        acts = []
        for policy in (EXP, ML, Draw):
            acts += rollout(
                policy(result.model, SAMPLER), [[0, 0]], 2,
                generator=seeding.generator(0, "rollout"), features=features,
            )  # fmt: skip
        return [*weights, start, *acts]

    before = all_of_it()
    torch.set_default_dtype(torch.float64)
    try:
        after = all_of_it()
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(before) == len(after)
    for one, two in zip(before, after, strict=True):
        assert one.dtype == two.dtype and torch.equal(one, two)


NO_ROOM = {
    "grid": lambda: model_density(model_of(), [[0.0, 0.0]], Grid(0.5, points=10**6)),
    "grid of many states": lambda: model_density(
        model_of(), np.zeros((10**6, 2), np.float32), Grid(0.5, points=2000)
    ),
    "grid of pairs": lambda: log_likelihood(
        model_of(), Pairs(torch.zeros(1, 2), torch.zeros(1, 2), torch.zeros(1)), Grid(1, 2, 10**6)
    ),
    "long rollout": lambda: draw_long(10**9, 1000),
    "population": lambda: EXP(model_of(), SAMPLER, population=10**7).act(
        np.zeros((10**5, 2)), generator=seeding.generator(0)
    ),
    "network": lambda: EnergyModel(
        EnergyConfig(h_dim=100_000, hidden_layers=1000), 2, 2, generator=seeding.generator(0)
    ),
}


def draw_long(steps, n):
    policy = Draw(model_of(), SAMPLER)
    return rollout(policy, np.zeros((n, 2)), steps, generator=seeding.generator(0, "rollout"))


@pytest.mark.parametrize("what", NO_ROOM)
def test_what_has_no_room_is_refused_before_it_begins(what):
    with pytest.raises(InputError, match=r"needs about .* GB of memory, and .* are available") as e:
        NO_ROOM[what]()
    one_sentence(e.value)


def test_the_memory_that_is_there_is_asked_of_the_system():
    there = memory.available()
    assert 1e7 < there <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    memory.demand(there / 2, "Half of it", "wait")
    memory.demand(2**28, "Little", "wait")
    with pytest.raises(InputError, match="Twice of it needs about"):
        memory.demand(2 * there + 2**29, "Twice of it", "wait")


@pytest.mark.parametrize("training", [True, False])
def test_a_large_grid_is_evaluated_in_pieces_and_is_the_same_density(training, monkeypatch):
    model = model_of(spectral_norm="fcn_0_2").train(training)
    x = torch.tensor([[0.3, -0.2], [0.1, 0.4]])
    pairs = Pairs(x, 0.1 * x, torch.arange(2))
    grid = Grid(0.5, points=41)

    def all_of_it():
        model.load_state_dict(weights)
        seen.clear()
        density = model_density(model, x, grid).log_p
        with torch.no_grad():
            level = log_likelihood(model, pairs, grid)
        return [density, level, *likelihood_gradient(model, pairs, grid).values()]

    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    seen = []
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0][..., :1, 0].numel() *
                                                                args[1].shape[-2]))  # fmt: skip
    whole, largest = all_of_it(), max(seen)
    monkeypatch.setattr(exact, "_VALUES_AT_ONCE", 300)
    pieces = all_of_it()
    assert largest >= grid.points**2 and max(seen) <= 300
    for one, two in zip(whole, pieces, strict=True):
        assert torch.allclose(one, two, rtol=1e-3, atol=1e-5)


def test_a_training_whose_last_update_leaves_weights_not_finite_is_a_divergence(
    tiny_run, tmp_path, monkeypatch
):
    """The loss of the only epoch is finite, its update is not."""
    with pytest.raises(DivergenceError, match="stopped at epoch") as caught:
        execute(tiny_run.with_(epochs=1, lr=3e38, optimizer="sgd", reg_l2=1e10))
    assert all(torch.isfinite(w).all() for w in caught.value.result.model.parameters())
    one_sentence(caught.value)


def test_a_divergence_claims_no_checkpoint_that_was_not_written(tiny_run, tmp_path):
    run = tiny_run.with_(lr=1e30)
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(DivergenceError, match=r"\(good\.\*\) in .*checkpoint\.safetensors"):
        execute(run, checkpoint_path=path)
    assert path.is_file()
    with (
        pytest.warns(UserWarning, match="No checkpoint at epoch") as told,
        pytest.raises(DivergenceError) as caught,
    ):
        execute(run, checkpoint_path=tmp_path / "no such folder" / "checkpoint.safetensors")
    assert "no such folder" not in str(caught.value)
    assert any("no such folder" in str(warning.message) for warning in told)


# ------------------------------------------------------------------ files


class Kept:
    """A kind of file: how it is made, where it is, and what it holds when it is read."""

    def __init__(self, tmp_path, tiny_run, monkeypatch):
        self.tmp_path, self.run, self.patch = tmp_path, tiny_run, monkeypatch

    def same(self, one, two):
        return one == two


def weights_of(model):
    return {name: tensor.tolist() for name, tensor in model.state_dict().items()}


class OfStore(Kept):
    """The record of an entry of the store."""

    name = "run.json"

    def make(self):
        self.store = Store(self.tmp_path / "store")
        key = self.store.train_or_load(self.run).record["key"]
        self.other = self.store.train_or_load(self.run.with_(seed=1)).record["key"]
        self.key = key
        return self.store.root / key / self.name

    def read(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert self.other in [r["key"] for r in self.store.records()], "hides no other"
        loaded = self.store.load(self.key)
        return loaded.run, dict(loaded.record), weights_of(loaded.model), loaded.history


class OfWeights(OfStore):
    """The weights of an entry."""

    name = "model.safetensors"


class OfPolicy(Kept):
    """A policy file."""

    def make(self):
        trained = Store(self.tmp_path / "store").train_or_load(self.run)
        path = self.tmp_path / "circle.policy"
        TrainedPolicy.of(trained).save(path)
        return path

    def read(self):
        loaded = TrainedPolicy.load(self.tmp_path / "circle.policy")
        plain = {f.name: getattr(loaded, f.name) for f in fields(loaded)}
        plain["scales"], plain["offsets"] = plain["scales"].tolist(), plain["offsets"].tolist()
        return plain | {"model": weights_of(loaded.model)}


class OfTensors(Kept):
    """A checkpoint, as a file; what a training makes of it is below."""

    def make(self):
        path = self.tmp_path / "checkpoint.safetensors"
        files.save_tensors(path, {"a": torch.arange(5.0), "b": torch.ones(2, 2)}, {"epoch": 3})
        return path

    def read(self):
        tensors, record = files.load_tensors(self.tmp_path / "checkpoint.safetensors")
        return {name: (str(t.dtype), t.tolist()) for name, t in tensors.items()}, record


class OfResults(Kept):
    """The results of a study."""

    def make(self):
        rows = tuple({"condition": "circle", "seed": s, "x": 0.5 * s} for s in range(3))
        results = study.Results("planted", rows, {"digest": "d", "commit": "c", "data": {"a": "b"}})
        return measured.save(results, self.tmp_path)

    def read(self):
        loaded = measured.load("planted", self.tmp_path)
        return loaded.rows, loaded.provenance


KINDS = {
    "store run.json": OfStore,
    "store model.safetensors": OfWeights,
    "policy": OfPolicy,
    "checkpoint": OfTensors,
    "results": OfResults,
}
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
DAMAGE = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "half": lambda content: content[: len(content) // 2],
    "last byte lost": lambda content: content.rstrip()[:-1],
    "zeros": lambda content: bytes(len(content)),
    "more": lambda content: content + b"x",
    "twice": lambda content: content + content,
    "LFS pointer": lambda content: LFS,
    "gzip": lambda content: b"\x1f\x8b\x08\x00" + content,
    "null": lambda content: b"null",
    "a list": lambda content: b"[]",
    "a word": lambda content: b'"word"',
    "deep": lambda content: b"[" * 100_000,
    "an object": lambda content: b"{}",
    "Latin-1": lambda content: b'{"key": "\xe9"}',
    "huge header": lambda content: b"\xff" * 8 + content[8:],
    "UTF-16": lambda content: content.decode("latin-1").encode("utf-16"),
}


@pytest.fixture
def kept(request, tmp_path, tiny_run, monkeypatch):
    return KINDS[request.param](tmp_path, tiny_run, monkeypatch)


@pytest.mark.parametrize("kept", KINDS, indirect=True)
def test_every_damaged_file_is_refused_in_one_sentence(kept):
    path = kept.make()
    content, before = path.read_bytes(), kept.read()
    for how, damage in DAMAGE.items():
        path.write_bytes(damage(content))
        with pytest.raises(EbmlibError) as caught:
            kept.read()
        text = one_sentence(caught.value)
        assert path.name in text or path.parent.name in text or "No entry" in text, (how, text)
    path.unlink()
    path.mkdir()
    with pytest.raises(EbmlibError) as caught:
        kept.read()
    one_sentence(caught.value)
    path.rmdir()
    path.write_bytes(content)
    assert kept.read() == before


def flipped(content, random):
    """The content with one bit changed."""
    changed = bytearray(content)
    changed[random.randrange(len(content))] ^= 1 << random.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize("kept", KINDS, indirect=True)
def test_fuzz_of_bits_in_every_kind_of_file(kept):
    """A flipped bit is refused in one sentence, or changed nothing that is read."""
    path = kept.make()
    content, before, refused = path.read_bytes(), kept.read(), 0
    for seed in range(5 * EXAMPLES):
        path.write_bytes(flipped(content, random.Random(seed)))
        try:
            assert kept.read() == before, f"seed {seed} changed what is read"
        except EbmlibError as error:
            one_sentence(error)
            refused += 1
    assert refused > 4 * EXAMPLES


def test_fuzz_of_bits_in_checkpoints(tiny_run, tmp_path, monkeypatch):
    """A training goes on from a damaged checkpoint to the bits that it would have had."""
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    path, whole = tmp_path / "checkpoint.safetensors", execute(tiny_run)
    demonstrations = tiny_run.demonstrations()

    def stop(epoch, model):
        if epoch == 4:
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        execute(tiny_run, observers={"stop": stop}, checkpoint_path=path)
    content, told = path.read_bytes(), 0
    for seed in range(EXAMPLES):
        path.write_bytes(flipped(content, random.Random(seed)))
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            result = execute(tiny_run, demonstrations, checkpoint_path=path)
        told += any("starts again from epoch 0" in str(w.message) for w in found)
        assert weights_of(result.model) == weights_of(whole.model), seed
        assert result.history == whole.history
    assert told > 0.9 * EXAMPLES


@pytest.fixture
def planted(monkeypatch):
    """A study that trains nothing, and how often it was measured."""
    calls = []

    def measure(cell):
        calls.append(cell.condition)
        return {"level": 0.25, "curve": [1.0, 2.0]}

    measure.__module__ = "planted"
    monkeypatch.setitem(sys.modules, "planted", types.ModuleType("planted"))
    monkeypatch.setattr(code, "digest", lambda modules: "planted code")
    monkeypatch.setattr(Store, "train_or_load", lambda *_, **__: None)
    what = study.Study("planted", ("circle",), measure, seeds=1)
    monkeypatch.setitem(studies.STUDIES, "planted", what)
    return what, calls


def test_fuzz_of_bits_in_measured_rows(planted, tmp_path):
    what, calls = planted
    before = study.measure(what, work=tmp_path, small=True).rows
    (path,) = tmp_path.rglob("circle.0.json")
    content = path.read_bytes()
    for seed in range(EXAMPLES):
        path.write_bytes(flipped(content, random.Random(seed)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert study.measure(what, work=tmp_path, small=True).rows == before, seed
    assert len(calls) > 0.9 * EXAMPLES


@pytest.mark.parametrize("how", ["of another seed", "another number", *DAMAGE])
def test_a_damaged_row_is_measured_again_with_a_warning(how, planted, tmp_path):
    what, calls = planted
    before = study.measure(what, work=tmp_path, small=True, seeds=[0, 1]).rows
    (path,) = tmp_path.rglob("circle.0.json")
    if how == "of another seed":
        shutil.copy(path.with_name("circle.1.json"), path)
    elif how == "another number":
        path.write_text(path.read_text().replace("0.25", "0.025"))
    else:
        path.write_bytes(DAMAGE[how](path.read_bytes()))
    with pytest.warns(UserWarning, match=r"circle\.0\.json is damaged .*; it is measured again"):
        assert study.measure(what, work=tmp_path, small=True, seeds=[0, 1]).rows == before
    assert len(calls) == 3


def test_a_result_that_was_scaled_gives_no_verdict(tmp_path, tiny_run, monkeypatch):
    kept = OfResults(tmp_path, tiny_run, monkeypatch)
    path = kept.make()
    text = path.read_text()
    path.write_text(text.replace('"x": 0.5', '"x": 0.05'))
    with pytest.raises(StoreError, match=r"planted\.json are damaged .*content was changed"):
        kept.read()
    path.write_text(text)
    shutil.copy(path, tmp_path / "basins.json")
    with pytest.raises(StoreError, match=r"basins\.json are damaged .*holds study 'planted'"):
        measured.load("basins", tmp_path)


def test_results_without_a_digest_are_sealed_by_a_command_and_refused_before(
    tmp_path, tiny_run, monkeypatch, capsys
):
    from thesis.cli import main

    kept = OfResults(tmp_path, tiny_run, monkeypatch)
    path = kept.make()
    before, text = kept.read(), path.read_text()
    lines = [line for line in text.splitlines() if not line.startswith('"sha256"')]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(StoreError, match="python -m thesis seal planted"):
        kept.read()
    assert main(["seal", "--folder", str(tmp_path)]) == 0
    assert "planted" in capsys.readouterr().out
    assert path.read_text() == text and kept.read() == before
    assert main(["seal", "--folder", str(tmp_path)]) == 0
    assert "has its digest" in capsys.readouterr().out
    path.write_text(text.replace('"x": 0.5', '"x": 0.05'))
    assert main(["seal", "--folder", str(tmp_path)]) == 2
    assert "content was changed" in capsys.readouterr().err


# ------------------------------------------------------------------ the store among others


def test_a_bad_or_foreign_entry_hides_no_other_and_is_named(tmp_path, tiny_run):
    store = Store(tmp_path / "store")
    good = store.train_or_load(tiny_run).record["key"]
    moved, foreign = "0123456789abcdef0123", "notes"
    shutil.copytree(store.root / good, store.root / moved)
    shutil.copytree(store.root / good, store.root / foreign)
    (store.root / "ffff0123456789abcdef").mkdir()
    (store.root / "ffff0123456789abcdef" / "run.json").write_text("{")
    (store.root / "file").write_text("")
    with pytest.warns(UserWarning) as told:
        assert [record["key"] for record in store.records()] == [good]
    texts = [str(warning.message) for warning in told]
    assert len(texts) == 3 and all(one_sentence(text) for text in texts)
    assert any(f"{moved} of the store is damaged (its record belongs to" in t for t in texts)
    assert any(f"{foreign} is not an entry of the store" in t and "move it" in t for t in texts)
    assert any("store clear ffff0123456789abcdef" in t for t in texts)
    assert store.load(good).loaded
    store.clear()
    assert sorted(os.listdir(store.root)) == ["file", "notes"], "what is the user's own stays"


def test_weights_of_another_entry_are_refused(tmp_path, tiny_run):
    store = Store(tmp_path / "store")
    one = store.train_or_load(tiny_run).record["key"]
    two = store.train_or_load(tiny_run.with_(seed=1)).record["key"]
    shutil.copy(store.root / two / "model.safetensors", store.root / one / "model.safetensors")
    with pytest.raises(StoreError, match=f"{one} of the store is damaged"):
        store.load(one)


def test_clear_and_list_hold_against_running_work(tmp_path, tiny_run):
    """Three threads train, clear and list at once; nobody sees half an entry."""
    store, failures, stop = Store(tmp_path / "store"), [], threading.Event()
    demonstrations = tiny_run.demonstrations()
    expected = weights_of(execute(tiny_run).model)

    def repeat(act):
        while not stop.is_set():
            try:
                act()
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=repeat, args=[a]) for a in (store.clear, store.records)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for thread in threads:
            thread.start()
        try:
            for _ in range(30):
                trained = store.train_or_load(tiny_run, demonstrations=demonstrations)
                assert weights_of(trained.model) == expected
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert not failures, failures


AS_ANOTHER = """
import json, os, sys, warnings
from ebmlib import EbmlibError, Run, Store
from ebmlib.training.run import execute
run = Run.from_dict(json.loads(sys.argv[2]))
execute(run)  # what is loaded when it is needed is loaded now, while it can be read
if os.geteuid() == 0:
    os.setgid(65534), os.setuid(65534)
warnings.simplefilter("error")
try:
    trained = Store(sys.argv[1]).train_or_load(run)
    print("loaded" if trained.loaded else "trained")
except EbmlibError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def shared():
    """A folder that other users can reach, as pytest's own cannot be."""
    folder = Path(tempfile.mkdtemp(prefix="ebmlib-shared-"))
    folder.chmod(0o755)
    yield folder
    for place, _, _ in os.walk(folder):
        os.chmod(place, 0o755)
    shutil.rmtree(folder)


def as_another(root, run):
    """What a process says that may write what others may write, and no more."""
    command = [sys.executable, "-c", AS_ANOTHER, str(root), json.dumps(run.to_dict())]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(root)}
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_an_entry_loads_from_a_read_only_store_and_a_missing_one_is_said(shared, tiny_run):
    store = Store(shared / "store")
    store.train_or_load(tiny_run)
    store.root.chmod(0o555)
    before = sorted(os.listdir(store.root))
    assert as_another(store.root, tiny_run) == "loaded"
    told = as_another(store.root, tiny_run.with_(seed=1))
    assert told.startswith("StoreError") and "cannot be written" in told and "\n" not in told
    assert sorted(os.listdir(store.root)) == before


@pytest.mark.parametrize("mask", [0o022, 0o077])
@pytest.mark.slow
def test_a_shared_store_works_for_several_users(mask, shared, tiny_run):
    """One user's umask keeps others from the entries at most, never from training."""
    if os.geteuid() != 0:
        pytest.skip("only root can be two users")
    store = Store(shared / "store")
    store.root.mkdir()
    store.root.chmod(0o777)
    before = os.umask(mask)
    try:
        key = store.train_or_load(tiny_run).record["key"]
    finally:
        os.umask(before)
    assert (store.root / f"{key}.lock").stat().st_mode & 0o777 == 0o666
    mode = (store.root / key).stat().st_mode & 0o777
    assert mode == 0o777 & ~mask
    told = as_another(store.root, tiny_run)
    if mask == 0o022:
        assert told == "loaded"
    else:
        assert told.startswith(f"StoreError You may not read entry {key} of the store; ask")
        assert store.load(key).loaded, "nobody moves another's entry away"
    assert as_another(store.root, tiny_run.with_(seed=1)) == "trained"


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path, link = tmp_path / "out.csv", tmp_path / "link.csv"
    path.write_text("before")
    path.chmod(0o640)
    link.symlink_to(path)
    files.write_bytes(link, b"after")
    assert link.is_symlink() and path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o640
    folder = tmp_path / "folder"
    folder.mkdir()
    for bad in (folder, path / "under", tmp_path / "none" / "x", tmp_path / ("x" * 300)):
        with pytest.raises(StoreError, match="Cannot write") as caught:
            files.write_bytes(bad, b"after")
        assert "EBMLIB_STORE" not in one_sentence(caught.value)
    files.write_bytes(Path(os.devnull), b"nothing")
    assert not Path(os.devnull).is_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "link.csv", "out.csv"]


OUT = {
    "csv": ["sample", "--out", "{}/a.csv"],
    "png": ["sample", "--out", "{}/a.png"],
    "svg": ["sample", "--out", "{}/a.svg"],
    "policy": ["train", "--out", "{}/a.policy"],
}


@pytest.mark.parametrize("what", OUT)
def test_a_full_disk_leaves_what_the_user_had(what, trained, tmp_path, monkeypatch, capsys):
    """The disk is full for the file that the user asked for, and not for the store."""
    from ebmlib.cli import main

    run, key = trained.run, trained.record["key"]
    root = tmp_path / "store"
    assert key == Store(root).train_or_load(run).record["key"]
    command, *rest = OUT[what]
    out = rest[-1].format(tmp_path)
    sets = ["--set", "epochs=3", "K=3", "sgld_dim=16", "z_dim=5", "h_dim=8"]
    arguments = [command, "circle", *sets, "--store", str(root), "--out", out]
    Path(out).write_text("what the user had")

    def full(descriptor):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        assert main(arguments) == 2
    told = capsys.readouterr().err
    assert f"Cannot write {out} (No space left on device)" in told
    assert Path(out).read_text() == "what the user had"
    assert main(arguments) == 0
    assert Path(out).read_bytes() != b"what the user had"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([Path(out).name, "store"])


# ------------------------------------------------------------------ surroundings


def terminal(tmp_path, arguments, *, stdout=subprocess.PIPE, close=False, **environment):
    source = tmp_path / "zeichnung-ä→.svg"
    if not source.exists():
        shutil.copy(ROOT / "data" / "circle.svg", source)
    own = {"PYTHONPATH": str(ROOT), "EBMLIB_STORE": str(tmp_path / "store")}
    command = [sys.executable, "-m", "ebmlib", *arguments]
    if close:
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    return subprocess.run(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=os.environ | own | environment,
    )


TRAIN = ["train", "zeichnung-ä→.svg", "--set", "epochs=2", "K=2", "h_dim=8"]
PLAIN = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    "environment", [PLAIN, {"PYTHONIOENCODING": "ascii"}], ids=["POSIX", "ascii"]
)
@pytest.mark.slow
def test_what_the_terminal_cannot_show_is_replaced(environment, tmp_path):
    done = terminal(tmp_path, TRAIN, **environment)
    assert done.returncode == 0, done.stderr
    assert b"zeichnung-?" in done.stdout and b"Traceback" not in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [TRAIN, ["datasets"], ["--help"]], ids=lambda a: a[0])
@pytest.mark.slow
def test_a_closed_or_full_standard_output_is_no_traceback(arguments, unbuffered, tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    for closed in (True, False):
        with open("/dev/full", "wb") as full:
            done = terminal(
                tmp_path, arguments, stdout=full, close=closed, PYTHONUNBUFFERED=unbuffered
            )
        assert b"Traceback" not in done.stderr and b"Exception" not in done.stderr
        if closed or arguments == ["--help"]:
            assert done.returncode == 0
        else:
            assert done.returncode == 2 and b"standard output cannot be written" in done.stderr
            said = done.stderr.splitlines()  # after what was read and what was chosen
            assert b"cannot be written" in said[-1] and all(x.startswith(b"ebmlib: ") for x in said)
    if arguments is TRAIN:
        assert len(Store(tmp_path / "store").keys()) == 1
