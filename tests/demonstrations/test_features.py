"""State features: what a state holds, that it holds nothing of the future, and rollouts' memory."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ebmlib import DemonstrationConfig, Demonstrations, StateFeatures, load_demonstrations, pairs_of
from ebmlib.errors import InputError

UNHURRIED = settings(deadline=None, max_examples=40)  # another run may share the cores
NAMES = [
    *("position", "position+history1", "position+history3", "position+mean1", "position+mean4"),
    *("position+clock", "position+history2+clock", "position+mean3+clock", "position+history40"),
]
every_set = pytest.mark.parametrize(
    "features", [StateFeatures.from_words(x) for x in NAMES], ids=str
)


@st.composite
def demonstrations(draw: st.DrawFn) -> Demonstrations:
    """One to three demonstrations with 1 to 8 steps each, in 1 to 3 dimensions."""
    d, rng = draw(st.integers(1, 3)), np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    steps = draw(st.lists(st.integers(1, 8), min_size=1, max_size=3))
    return Demonstrations.from_arrays([rng.normal(size=(n + 1, d)) for n in steps])


def by_definition(features: StateFeatures, x: np.ndarray, j: int) -> np.ndarray:
    """The state of action j of the trajectory x, by the class's text: loops, no padding."""
    a = [x[i + 1] - x[i] for i in range(len(x) - 1)]
    past = [a[i] for i in range(j - 1, j - 1 - features.history, -1) if i >= 0]
    if features.history_mean:
        middle = [sum(past) / len(past) if past else np.zeros(x.shape[1])]
    else:
        middle = [*past, *[np.zeros(x.shape[1])] * (features.history - len(past))]
    return np.concatenate([x[j], *middle, [j / len(a)] if features.clock else []])


def actions_of(x: np.ndarray, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.tensor(np.diff(x, axis=0), dtype=dtype)


def test_without_further_features_a_state_is_the_position_to_the_bit():
    data = load_demonstrations(DemonstrationConfig("mouse1", steps=30))
    states = data.states_with(StateFeatures())
    assert states.dtype == np.float64
    assert states.tobytes() == data.states.tobytes()
    pairs, named = pairs_of(data), pairs_of(data, features=StateFeatures())
    assert all(torch.equal(one, other) for one, other in zip(pairs, named, strict=True))
    assert torch.equal(pairs.states, torch.tensor(data.states, dtype=torch.float32))
    starts = torch.zeros(3, 2)
    assert StateFeatures().begin(starts).states is starts  # nothing is copied or laid out anew


@every_set
@given(data=demonstrations())
@UNHURRIED
def test_states_are_what_the_definition_says(features, data):
    expected = [by_definition(features, x, j) for x in data.trajectories for j in range(len(x) - 1)]
    states = data.states_with(features)
    assert states.shape == (data.n_pairs, features.dim(data.dim, data.dim))
    np.testing.assert_allclose(states, np.stack(expected), rtol=1e-13, atol=1e-13)
    assert (features.positions(states, data.dim) == data.states).all()


@every_set
@given(data=demonstrations(), seed=st.integers(0, 99))
@UNHURRIED
def test_a_state_knows_nothing_of_the_action_that_it_is_to_predict(features, data, seed):
    """Whatever happens from action j on, the states up to j are the same."""
    rng, x = np.random.default_rng(seed), data.trajectories[0].copy()
    j = int(rng.integers(len(x) - 1))
    other = x.copy()
    other[j + 1 :] += rng.normal(size=other[j + 1 :].shape)
    one, two = (
        Demonstrations((path,), np.ones(1), np.zeros((1, data.dim)), sigma=1.0)
        for path in (x, other)
    )
    assert (one.actions[j] != two.actions[j]).any()
    assert (one.states_with(features)[: j + 1] == two.states_with(features)[: j + 1]).all()


@every_set
@given(data=demonstrations(), dtype=st.sampled_from([torch.float32, torch.float64]))
@UNHURRIED
def test_replaying_a_demonstration_gives_its_states(features, data, dtype):
    states, of = data.states_with(features), data.demonstration_index
    for i, x in enumerate(data.trajectories):
        actions = actions_of(x, dtype)
        memory = features.begin(torch.zeros(1, data.dim, dtype=dtype), len(actions))
        replayed = []
        for a in actions[:, None]:
            replayed.append(memory.states)
            memory = memory.advance(a, memory.positions + a)
        assert {row.dtype for row in replayed} == {dtype}
        gap = (torch.cat(replayed).double() - torch.tensor(states[of == i])).abs().max()
        assert gap <= 100 * torch.finfo(dtype).eps, (features, i)


@every_set
@given(data=demonstrations(), seed=st.integers(0, 99))
@UNHURRIED
def test_a_rollout_goes_on_from_any_point_of_a_demonstration(features, data, seed):
    """Begun in the middle and one step later; all points of a demonstration as one batch."""
    x = data.trajectories[0]
    assume(len(x) > 2)
    actions, positions = actions_of(x), torch.tensor(x[:-1])
    expected = torch.tensor(data.states_with(features)[: len(actions)])
    j = seed % (len(actions) - 1)
    memory = features.begin(positions[j : j + 1], len(actions), history=actions[None, :j])
    torch.testing.assert_close(memory.states, expected[j : j + 1])
    memory = memory.advance(actions[j : j + 1], positions[j + 1 : j + 2])
    torch.testing.assert_close(memory.states, expected[j + 1 : j + 2])

    longest = len(actions) - 1
    padding = torch.full((longest, data.dim), 1e6, dtype=torch.float64)  # no action: must not count
    padded = torch.cat([padding, actions])
    history = torch.stack([padded[i : i + longest] for i in range(len(actions))])
    horizon = torch.full((len(actions),), len(actions))
    memory = features.begin(positions, horizon, history=history, elapsed=torch.arange(len(actions)))
    torch.testing.assert_close(memory.states, expected)


def test_the_clock_stops_at_one():
    memory, clock = StateFeatures(clock=True).begin(torch.zeros(2, 1), torch.tensor([2, 4])), []
    for _ in range(6):
        clock.append(memory.states[:, 1])
        memory = memory.advance(torch.ones(2, 1), memory.positions)
    assert torch.stack(clock, dim=1).tolist() == [
        [0.0, 0.5, 1.0, 1.0, 1.0, 1.0],
        [0.0, 0.25, 0.5, 0.75, 1.0, 1.0],
    ]


def test_actions_may_have_another_dimension_than_positions():
    features = StateFeatures(history=2, clock=True)
    memory = features.begin(torch.zeros(4, 3), 10, action_dim=1)
    assert memory.states.shape == (4, features.dim(3, 1)) == (4, 6)
    memory = memory.advance(torch.full((4, 1), 7.0), torch.ones(4, 3))
    assert memory.states[0].tolist() == pytest.approx([1, 1, 1, 7, 0, 0.1])


def test_a_batch_keeps_its_rollouts_apart():
    """Rows together give what each gives alone."""
    features, rows = StateFeatures(history=2, history_mean=True, clock=True), torch.arange(3.0)
    start = rows[:, None]

    def states(chosen: slice) -> torch.Tensor:
        memory = features.begin(start[chosen], 5)
        for step in range(3):
            memory = memory.advance(start[chosen] * (step + 1), start[chosen] + step)
        return memory.states

    together = states(slice(None))
    assert torch.equal(together, torch.cat([states(slice(i, i + 1)) for i in range(3)]))
    assert len(set(together[:, 1].tolist())) == 3


@pytest.mark.parametrize("words", NAMES)
def test_words_and_features_name_one_another(words):
    assert StateFeatures.from_words(words).words == words


def test_words_say_what_they_mean():
    parsed = StateFeatures.from_words("position+mean3+clock")
    assert parsed == StateFeatures(history=3, history_mean=True, clock=True)
    assert StateFeatures.from_words("position+history12") == StateFeatures(history=12)


@pytest.mark.parametrize(
    "words",
    [
        *("", "clock", "history3", "position+", "position+history", "position+history0", None),
        *("position+mean0", "position+history-1", "position+clock+history3", "position+history2.5"),
        *("position+history2+mean2", "Position", "position + clock", "position+history٣"),
        *("position+history1001", "position+history99999", "position+clock\n"),
    ],
)
def test_words_that_are_not_known_are_refused_in_one_sentence(words):
    with pytest.raises(InputError) as error:
        StateFeatures.from_words(words)
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and text.count(". ") == 0
    if words != "position+history1001":
        assert all(word in text for word in ("position", "history", "mean", "clock", repr(words)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: StateFeatures(history=-1),
        lambda: StateFeatures(history=True),
        lambda: StateFeatures(history_mean=True),
        lambda: StateFeatures(clock=1),
        lambda: StateFeatures().begin(torch.zeros(2)),
        lambda: StateFeatures(clock=True).begin(torch.zeros(2, 2)),
        lambda: StateFeatures(clock=True).begin(torch.zeros(2, 2), 0),
        lambda: StateFeatures(clock=True).begin(torch.zeros(2, 2), torch.tensor([4, 5, 6])),
        lambda: StateFeatures(clock=True).begin(torch.zeros(2, 2), 10.5),
        lambda: StateFeatures(clock=True).begin(torch.zeros(2, 2), 10, elapsed=-1),
        lambda: StateFeatures(history=3).begin(torch.zeros(2, 2), history=torch.zeros(3, 2, 2)),
        lambda: StateFeatures(history=3).begin(torch.zeros(2, 2), history=torch.zeros(2, 2)),
        lambda: StateFeatures(history=3).begin(torch.zeros(2, 2), elapsed=2),
        lambda: StateFeatures(history=1).begin(torch.zeros(2, 2)).advance(
            torch.zeros(2, 3), torch.zeros(2, 2)
        ),
        lambda: StateFeatures().begin(torch.zeros(2, 2)).advance(
            torch.zeros(2, 2), torch.zeros(1, 2)
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make):
    with pytest.raises(InputError, match=r"^[^\n]*\.$"):
        make()


def test_features_need_no_pytorch_until_a_rollout():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from ebmlib import DemonstrationConfig, StateFeatures, load_demonstrations\n"
        "data = load_demonstrations(DemonstrationConfig('circle', steps=5, repetitions=2))\n"
        "print(data.states_with(StateFeatures.from_words('position+history2+clock')).shape)"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert process.stdout == "(10, 7)\n", process.stderr


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_states_stay_on_the_device_of_the_positions():
    data = load_demonstrations(DemonstrationConfig("circle", steps=5, repetitions=2))
    features = StateFeatures(history=2, clock=True)
    pairs = pairs_of(data, "cuda", features)
    memory = features.begin(torch.zeros(1, 2, device="cuda"), 5)
    for j in range(5):
        torch.testing.assert_close(memory.states, pairs.states[j : j + 1])
        memory = memory.advance(pairs.actions[j : j + 1], memory.positions + pairs.actions[j])
