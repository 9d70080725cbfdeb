"""Where chains start: noise, data, one chain per pair, a buffer of past chains."""

import math

import pytest
import torch

from ebmlib import SGLD, DataStart, NoiseStart, Pairs, PersistentStart, ReplayStart
from ebmlib.sampling.starts import Start

SAMPLER = SGLD(alpha=0.1, steps=3)
STARTS = [NoiseStart(), DataStart(), PersistentStart(), ReplayStart(per_pair=2)]


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


def test_a_pair_s_replay_buffer_is_a_ring_in_which_the_oldest_make_room(generator):
    start, data = ReplayStart(per_pair=3, restart=0.0), numbered(4)
    bank = start.bank(data, SAMPLER, generator=generator())

    def entered(bank, places, ends):
        drawn = start.draw(pick(data, places), len(ends), bank, SAMPLER, generator=generator())
        return start.keep(bank, drawn, torch.tensor(ends)[:, None].double())

    def held(bank, place):
        return sorted(bank["actions"][place, :, 0].tolist())

    before = bank["actions"].clone()
    after = entered(bank, [2, 0], [1.0, 2.0])
    assert torch.equal(bank["actions"], before), "the bank passed in is not changed"
    assert after["ended"].tolist() == [1, 0, 1, 0]
    assert held(after, 2) == [0.0, 0.0, 1.0] and held(after, 0) == [0.0, 0.0, 2.0]
    after = entered(after, [2], [3.0])
    after = entered(after, [2, 1], [4.0, 9.0])
    after = entered(after, [2], [5.0])
    assert held(after, 2) == [3.0, 4.0, 5.0] and held(after, 1) == [0.0, 0.0, 9.0]
    after = entered(after, [2, 3], [float(n) for n in range(10, 20)])  # in turn, five for each
    assert held(after, 2) == [14.0, 16.0, 18.0], "of several chains the last"
    assert held(after, 3) == [15.0, 17.0, 19.0]
    assert held(after, 0) == [0.0, 0.0, 2.0]
    after = entered(after, [2], [20.0])
    assert held(after, 2) == [16.0, 18.0, 20.0]


def filled(start, data, generator):
    """A bank in which chain j of pair i ended at 100 i + j, for j = 1 ... per_pair."""
    bank = start.bank(data, SAMPLER, generator=generator())
    n = len(data.ids)
    for turn in range(1, start.per_pair + 1):
        drawn = start.draw(data, n, bank, SAMPLER, generator=generator())
        bank = start.keep(bank, drawn, (100.0 * drawn.ids + turn)[:, None].double())
    return bank


def test_replay_draws_the_ends_of_a_pair_at_random_and_of_no_other(generator):
    start, data, m = ReplayStart(per_pair=4, restart=0.0), numbered(3), 12_000
    empty = start.bank(data, SAMPLER, generator=generator())
    fresh = start.draw(data, 3000, empty, SAMPLER, generator=generator())
    assert abs(float(fresh.start[:, 0].square().mean()) / 0.1**2 - 1) < 5.5 * math.sqrt(2 / 3000)
    drawn = start.draw(data, m, filled(start, data, generator), SAMPLER, generator=generator())
    pair, turn = drawn.start[:, 0].long() // 100, drawn.start[:, 0].long() % 100
    assert torch.equal(pair, drawn.ids)
    counts = torch.bincount(turn - 1, minlength=4).double()
    assert ((counts - m / 4).abs() < 5.5 * math.sqrt(m * 0.25 * 0.75)).all()


@pytest.mark.parametrize("restart", [0.0, 0.05, 0.6, 1.0])
def test_replay_restarts_with_its_probability_from_noise(restart, generator):
    start, data, m = ReplayStart(per_pair=3, restart=restart), numbered(4), 20_000
    drawn = start.draw(data, m, filled(start, data, generator), SAMPLER, generator=generator())
    noise = drawn.start[(drawn.start[:, 0] - drawn.start[:, 0].round()).abs() > 1e-9, 0]
    spread = math.sqrt(restart * (1 - restart) / m)
    assert abs(len(noise) / m - restart) <= 5.5 * spread
    if len(noise):
        assert abs(float(noise.square().mean()) / 0.1**2 - 1) < 5.5 * math.sqrt(2 / len(noise))


@pytest.mark.parametrize("start", STARTS, ids=lambda start: type(start).__name__)
def test_chains_have_the_states_of_the_batch(start, generator):
    """Else what f says of the state alone would not cancel in a conditional loss."""
    data = numbered(6)
    bank = start.bank(data, SAMPLER, generator=generator())
    for places in ([5, 1], [0, 3], [1, 5], [2, 4]):
        batch = pick(data, places)
        drawn = start.draw(batch, 4, bank, SAMPLER, generator=generator())
        assert drawn.ids.tolist() == places * 2
        assert torch.equal(drawn.states, data.states[drawn.ids])
        bank = start.keep(bank, drawn, drawn.start + 1)
