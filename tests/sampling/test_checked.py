"""Fused chains are compared before they are used; a captured update makes the eager steps."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
import torch
from test_compiled import VARIANTS, network
from torch import Tensor

from ebmlib import SGLD, EnergyConfig
from ebmlib.models.score import ActionScore
from ebmlib.sampling import cuda, fused
from ebmlib.sampling.captured import Captured
from ebmlib.sampling.checked import Candidate, FirstThatAgrees, disagreement

Generators = Callable[..., torch.Generator]
SAMPLER = SGLD(alpha=0.3, steps=5, temperature=0.5, final_alpha=0.1)


def as_it_is(update: Callable[[], None], device: torch.device) -> Callable[[], None]:
    """What stands for a capture where there is no card: the update itself."""
    return update


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
def test_a_captured_update_makes_the_eager_chain_to_the_bit(config, generator):
    model, x, a = network(config, 2, 20, generator)
    score, length = model.score(x), torch.zeros(20, dtype=torch.float64)
    expected = SAMPLER.chain(score, a, generator=generator("chain"), length=True, record=[2])
    chain, draws = Captured(as_it_is)(score, SAMPLER), generator("chain")
    middle = chain(a, 0, 2, generator=draws, length=length)
    end = chain(middle, 2, 5, generator=draws, length=length)
    assert torch.equal(middle, expected.positions[0])
    assert torch.equal(end, expected.actions)
    assert torch.equal(length, expected.length)


def test_captures_are_kept_by_form_and_take_over_states_and_weights(generator):
    captures = []

    def counted(update: Callable[[], None], device: torch.device) -> Callable[[], None]:
        captures.append(device)
        return update

    make = Captured(counted)
    model, x, a = network(EnergyConfig(z_dim=8, h_dim=16), 2, 20, generator)
    before = make(model.score(x), SAMPLER)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    other = replace(SAMPLER, alpha=0.1)
    after = make(model.score(x + 1), other)
    assert len(captures) == 1
    expected = other.chain(model.score(x + 1), a, generator=generator("chain")).actions
    middle = after(a, 0, 2, generator=(draws := generator("chain")), length=None)
    kept = before(a, 0, 5, generator=generator("other"), length=None)  # in between, same memory
    assert torch.equal(after(middle, 2, 5, generator=draws, length=None), expected)
    assert not torch.equal(kept, expected)
    make(model.score(x[:7]), SAMPLER)
    assert len(captures) == 2, "another number of chains"
    for n in range(8, 12):
        make(model.score(x[:n]), SAMPLER)
    make(model.score(x), SAMPLER)
    assert len(captures) == 7, "the oldest was given back"


@dataclass(frozen=True)
class Wrong:
    """The eager chain with one thing that is not right."""

    score: ActionScore
    sampler: SGLD
    drift: float = 1.0
    noise: float = 1.0
    length: float = 1.0
    same: bool = False
    seeded: bool = True

    def __call__(
        self, a: Tensor, first: int, stop: int, *, generator: torch.Generator, length: Tensor | None
    ) -> Tensor:
        draws = generator if self.seeded else torch.Generator()
        if not self.seeded:
            draws.seed()
        xi = torch.empty_like(a).normal_(generator=draws)
        for k in range(first, stop):
            moved = self.drift * self.sampler.drifts()[k] * self.score(a)
            moved = moved + self.noise * self.sampler.noises()[k] * xi
            if not self.same:
                xi = torch.empty_like(a).normal_(generator=draws)
            a = a + moved
            if length is not None:
                length += self.length * moved.norm(dim=1)
        return a


@pytest.fixture
def score(generator: Generators) -> ActionScore:
    model, x, _ = network(EnergyConfig(z_dim=8, h_dim=16), 2, 3, generator)
    return model.score(x)


WRONG = {
    "its updates differ": {"drift": 1.02},
    "its step lengths differ": {"length": 1.02},
    "variance of its noise": {"noise": 1.05},
    "its noise is not that": {"same": True},
    "the same seed": {"seeded": False},
}


@pytest.mark.parametrize(("said", "defect"), WRONG.items(), ids=WRONG.keys())
def test_a_chain_that_is_not_the_eager_one_is_not_used_and_said_once(said, defect, score, caplog):
    def wrong(target: ActionScore, kernel: SGLD) -> Wrong:
        return Wrong(target, kernel, **defect)

    find = FirstThatAgrees([Candidate("the wrong one", wrong)])
    with caplog.at_level("INFO", logger="ebmlib"):
        with pytest.warns(RuntimeWarning, match="not fused by the wrong one") as given:
            assert find(score, SAMPLER) is None
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert find(score, SAMPLER) is None
    (warning,), (line,) = given, caplog.messages
    assert said in line == str(warning.message)


def test_a_right_chain_passes_whatever_its_bits(score):
    assert disagreement(Wrong, score) is None
    assert disagreement(lambda target, kernel: Wrong(target, kernel, drift=1 + 1e-6), score) is None


def test_the_next_candidate_is_asked(score, generator, caplog):
    asked = []

    def absent(target: ActionScore, kernel: SGLD) -> None:
        asked.append("absent")
        import no_such_compiler  # noqa: F401

    def failing(target: ActionScore, kernel: SGLD) -> None:
        asked.append("failing")
        raise RuntimeError("out of\nresource: shared memory")

    def unserved(target: ActionScore, kernel: SGLD) -> None:
        asked.append("unserved")

    candidates = [Candidate(f.__name__, f) for f in (absent, failing, unserved)]
    find = FirstThatAgrees([*candidates, Candidate("captured", Captured(as_it_is))])
    with caplog.at_level("INFO", logger="ebmlib"):
        with pytest.warns(RuntimeWarning, match="failed with RuntimeError: out of resource"):
            chain = find(score, SAMPLER)
        assert chain is not None
        assert find(score, SAMPLER) is not None
    assert caplog.messages[0] == "Without no_such_compiler chains are not fused by absent."
    assert len(caplog.messages) == 2
    assert asked.count("absent") == asked.count("failing") == 1
    a = torch.zeros(3, 2)
    end = chain(a, 0, 5, generator=generator("chain"), length=None)
    assert torch.equal(end, SAMPLER.chain(score, a, generator=generator("chain")).actions)


def test_each_form_of_network_is_checked_by_itself(score, generator):
    """A kernel may be right for one form of network and wrong for another."""

    def right_without_tanh(target: ActionScore, kernel: SGLD) -> Wrong:
        return Wrong(target, kernel, drift=2.0 if target.tanh else 1.0)

    find = FirstThatAgrees([Candidate("half right", right_without_tanh)])
    assert find(score, SAMPLER) is not None
    with pytest.warns(RuntimeWarning, match="half right"):
        assert find(replace(score, tanh=True), SAMPLER) is None
    assert find(score, SAMPLER) is not None


@pytest.fixture
def without_a_card() -> Iterator[None]:
    if torch.cuda.is_available():
        pytest.skip("this machine has a card")
    yield


def test_a_card_has_its_own_maker(score, monkeypatch, without_a_card):
    found = fused._MAKERS[ActionScore, SGLD, "cuda"]
    assert found is cuda.fused_chain
    monkeypatch.setenv("EBMLIB_COMPILE", "0")
    assert cuda.fused_chain(score, SAMPLER) is None
    assert "cuda" not in {key[2] for key in fused._MAKERS if key[0] is not ActionScore}


def test_a_capture_that_fails_leaves_the_eager_path(score, without_a_card):
    find = FirstThatAgrees([cuda.GRAPH])
    with pytest.warns(RuntimeWarning, match="not fused by a captured CUDA graph: it failed"):
        assert find(score, SAMPLER) is None
