"""Where chains start: noise, data, one chain per pair, a buffer of past chains."""

import math

import pytest
import torch

from ebmlib import SGLD, DataStart, NoiseStart, Pairs, PersistentStart, ReplayStart
from ebmlib.starts import Negatives, Start

SAMPLER = SGLD(alpha=0.1, steps=3)
STARTS = [NoiseStart(), DataStart(), PersistentStart(), ReplayStart(capacity=8)]


def numbered(n, offset=0):
    """Pairs whose states and actions tell which pair they are."""
    ids = torch.arange(offset, offset + n)
    return Pairs(torch.stack([ids, -ids], 1).double(), 10 + ids[:, None].double(), ids)


def pick(pairs, rows):
    return Pairs(*(column[rows] for column in pairs))


@pytest.mark.parametrize("start", STARTS, ids=lambda start: type(start).__name__)
def test_every_start_draws_m_chains_of_the_batch_in_turn(start, generator):
    """Also with more chains than pairs, and in the dtype of the data."""
    assert isinstance(start, Start)
    data = numbered(6)
    bank = start.bank(data, SAMPLER, generator=generator("bank"))
    drawn = start.draw(pick(data, [3, 0, 5]), 7, bank, SAMPLER, generator=generator("draw"))
    assert drawn.ids.tolist() == [3, 0, 5, 3, 0, 5, 3]
    assert torch.equal(drawn.states, data.states[drawn.ids])
    assert drawn.start.shape == (7, 1) and drawn.start.dtype == torch.float64
    again = start.draw(pick(data, [3, 0, 5]), 7, bank, SAMPLER, generator=generator("draw"))
    assert all(torch.equal(one, two) for one, two in zip(drawn, again, strict=True))


def test_data_start_is_the_demonstrated_action(generator):
    data = numbered(6)
    drawn = DataStart().draw(pick(data, [4, 2]), 5, {}, SAMPLER, generator=generator())
    assert drawn.start[:, 0].tolist() == [14, 12, 14, 12, 14]


def test_noise_start_has_standard_deviation_alpha(generator):
    drawn = NoiseStart().draw(numbered(3), 50_000, {}, SAMPLER, generator=generator())
    error = math.sqrt(2 / 50_000)
    assert abs(float(drawn.start.square().mean()) / 0.1**2 - 1) < 5.5 * error
    assert abs(float(drawn.start.mean())) < 5.5 * 0.1 / math.sqrt(50_000)


def test_persistent_bank_starts_from_noise_and_goes_on_pair_by_pair(generator):
    start, data = PersistentStart(), numbered(2000)
    bank = start.bank(data, SAMPLER, generator=generator("bank"))
    assert bank["actions"].shape == (2000, 1)
    error = math.sqrt(2 / 2000)
    assert abs(float(bank["actions"].square().mean()) / 0.1**2 - 1) < 5.5 * error
    before = bank["actions"].clone()
    first = start.draw(pick(data, [7, 3]), 2, bank, SAMPLER, generator=generator())
    assert torch.equal(first.start, before[[7, 3]])
    ends = torch.tensor([[70.0], [30.0]]).double()
    after = start.keep(bank, first, ends)
    assert torch.equal(bank["actions"], before), "the bank passed in is not changed"
    changed = (after["actions"] != before)[:, 0].nonzero()[:, 0]
    assert changed.tolist() == [3, 7]
    second = start.draw(pick(data, [3, 5, 7]), 3, after, SAMPLER, generator=generator())
    assert second.start[:, 0].tolist() == [30.0, float(before[5, 0]), 70.0]


def test_persistent_bank_keeps_the_last_of_several_chains_at_one_pair(generator):
    start, data = PersistentStart(), numbered(4)
    bank = start.bank(data, SAMPLER, generator=generator())
    drawn = start.draw(pick(data, [2, 0]), 5, bank, SAMPLER, generator=generator())
    ends = torch.tensor([[1.0], [2.0], [3.0], [4.0], [5.0]]).double()
    kept = start.keep(bank, drawn, ends)["actions"][:, 0]
    assert kept[2] == 5.0 and kept[0] == 4.0
    assert torch.equal(kept[[1, 3]], bank["actions"][[1, 3], 0])


def entered(start, bank, first, count):
    """The bank after chains numbered ``first`` ... ended at their numbers."""
    ids = torch.arange(first, first + count)
    negatives = Negatives(torch.stack([ids, -ids], 1).double(), ids[:, None].double(), ids)
    return start.keep(bank, negatives, ids[:, None].double())


def test_replay_buffer_is_a_ring_in_which_the_oldest_make_room(generator):
    start = ReplayStart(capacity=7, restart=0.0)
    bank = start.bank(numbered(3), SAMPLER, generator=generator())
    assert int(bank["filled"]) == 0
    bank = entered(start, bank, 1, 3)
    assert int(bank["filled"]) == 3
    bank = entered(start, bank, 4, 3)
    bank = entered(start, bank, 7, 3)
    assert int(bank["filled"]) == 7
    assert sorted(bank["ids"].tolist()) == list(range(3, 10))
    assert torch.equal(bank["actions"][:, 0], bank["ids"].double())
    assert torch.equal(bank["states"][:, 1], -bank["ids"].double())
    bank = entered(start, bank, 20, 12)  # more than it holds: the last seven
    assert sorted(bank["ids"].tolist()) == list(range(25, 32))
    bank = entered(start, bank, 40, 1)
    assert sorted(bank["ids"].tolist()) == [*range(26, 32), 40]


def test_replay_draws_only_what_has_been_filled_with_its_own_state(generator):
    start = ReplayStart(capacity=100, restart=0.0)
    bank = start.bank(numbered(3), SAMPLER, generator=generator())
    fresh = start.draw(numbered(3), 6, bank, SAMPLER, generator=generator())
    assert fresh.ids.tolist() == [0, 1, 2, 0, 1, 2], "an empty buffer restarts every chain"
    bank = entered(start, bank, 50, 4)
    drawn = start.draw(numbered(3), 4000, bank, SAMPLER, generator=generator())
    assert set(drawn.ids.tolist()) == {50, 51, 52, 53}
    assert torch.equal(drawn.start[:, 0], drawn.ids.double())
    assert torch.equal(drawn.states[:, 0], drawn.ids.double())
    counts = torch.bincount(drawn.ids - 50).double()
    assert ((counts - 1000).abs() < 5.5 * math.sqrt(4000 * 0.25 * 0.75)).all()


@pytest.mark.parametrize("restart", [0.0, 0.05, 0.6, 1.0])
def test_replay_restarts_with_its_probability_from_noise_at_a_batch_state(restart, generator):
    start, m = ReplayStart(capacity=50, restart=restart), 20_000
    bank = start.bank(numbered(3), SAMPLER, generator=generator())
    bank = entered(start, bank, 100, 50)
    drawn = start.draw(numbered(3), m, bank, SAMPLER, generator=generator())
    restarted = drawn.ids < 3
    spread = math.sqrt(restart * (1 - restart) / m)
    assert abs(float(restarted.double().mean()) - restart) <= 5.5 * spread
    noise = drawn.start[restarted, 0]
    assert torch.equal(drawn.states[restarted, 0], drawn.ids[restarted].double())
    if len(noise):
        assert abs(float(noise.square().mean()) / 0.1**2 - 1) < 5.5 * math.sqrt(2 / len(noise))
