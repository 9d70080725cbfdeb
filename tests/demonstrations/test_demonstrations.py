"""Demonstrations: the four assumptions of section 3.1, noise, pairs, and what is refused."""

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from ebmlib.demonstrations import bundled
from ebmlib.demonstrations.dataset import DemonstrationConfig, Demonstrations, load_demonstrations
from ebmlib.demonstrations.noise_scale import local_action_scale
from ebmlib.demonstrations.polyline import resample, step_lengths
from ebmlib.demonstrations.preprocessing import LENGTH, check_assumptions
from ebmlib.demonstrations.recordings import read_recording
from ebmlib.demonstrations.svg import write_svg
from ebmlib.errors import InputError

settings.register_profile("unhurried", deadline=None)  # another run may share the cores
settings.load_profile("unhurried")

LAIR = Path(__file__).resolve().parents[3] / "shared" / "lair"


@st.composite
def recordings(draw: st.DrawFn, most: int = 4) -> list[np.ndarray]:
    """Lists of (n_i, d) arrays with a length, n_i different, d from 1 to 4."""
    d = draw(st.integers(1, 4))
    result = []
    for _ in range(draw(st.integers(1, most))):
        n = draw(st.integers(2, 9))
        points = draw(arrays(np.float64, (n, d), elements=st.floats(-100, 100)))
        assume(step_lengths(points).sum() > 1e-2)
        result.append(points)
    return result


def same(a: Demonstrations, b: Demonstrations, tolerance: float = 0.0) -> bool:
    return len(a) == len(b) and all(
        x.shape == y.shape and np.abs(x - y).max() <= tolerance
        for x, y in zip(a.trajectories, b.trajectories, strict=True)
    )


def assert_one_sentence(error: pytest.ExceptionInfo[InputError]) -> None:
    text = str(error.value)
    assert text.endswith(".") and "\n" not in text and len(text) < 400


# --- the four assumptions ----------------------------------------------------------------------


@given(raw=recordings(), length=st.floats(0.1, 100))
def test_trajectories_start_at_the_origin_and_have_the_common_length(raw, length):
    demos = Demonstrations.from_arrays(raw, length=length)
    assert [len(x) for x in demos.trajectories] == [len(x) for x in raw]  # n_i differ (1)
    for points in demos.trajectories:
        assert (points[0] == 0).all()  # (4)
        assert step_lengths(points).sum() == pytest.approx(length, rel=1e-9)  # (3)


@given(raw=recordings(), steps=st.integers(20, 40), seed=st.integers(0, 9))
def test_recordings_have_the_common_length_after_resampling_too(raw, steps, seed):
    assume(len(raw) > 1)
    rng = np.random.default_rng(seed)
    times = [np.cumsum(rng.uniform(0.1, 1, len(x))) for x in raw]
    for clocks in (None, times):
        assume(all(step_lengths(resample(x, steps, "time")).sum() > 1e-3 for x in raw))
        demos = Demonstrations.from_arrays(raw, times=clocks, steps=steps)
        for points in demos.trajectories:
            assert len(points) == steps + 1
            assert step_lengths(points).sum() == pytest.approx(LENGTH, rel=1e-9)


def test_a_closed_circle_has_radius_one_whatever_the_steps():
    for steps in (10, 100, None):
        config = DemonstrationConfig("circle", steps=steps, sigma=0, repetitions=1)
        (points,) = load_demonstrations(config).trajectories
        np.testing.assert_allclose(np.linalg.norm(points - [-1, 0], axis=1), 1, atol=2e-5)
        np.testing.assert_allclose(points[-1], 0, atol=1e-12)
        assert points[1, 1] > 0  # counterclockwise where up is up


@given(raw=recordings(), data=st.data())
def test_normalisation_is_undone_exactly_where_it_was_done(raw, data):
    demos = Demonstrations.from_arrays(raw)
    for i, points in enumerate(raw):
        scale = max(1.0, np.abs(points).max())
        there = demos.normalise(points, i)
        np.testing.assert_allclose(there, demos.trajectories[i], atol=1e-9 * scale)
        np.testing.assert_allclose(demos.to_original(there, i), points, atol=1e-12 * scale)
        np.testing.assert_allclose(
            demos.to_original(demos.trajectories[i], i), points, atol=1e-12 * scale
        )
    elsewhere = data.draw(arrays(np.float64, (3, 2, demos.dim), elements=st.floats(-9, 9)))
    back = demos.normalise(demos.to_original(elsewhere, -1), -1)
    np.testing.assert_allclose(back, elsewhere, atol=1e-6)


@given(raw=recordings(), shift=st.floats(-50, 50), factor=st.floats(0.1, 10))
def test_where_and_how_large_it_was_drawn_does_not_matter(raw, shift, factor):
    steps = None if len(raw) == 1 else 30
    assume(all(step_lengths(resample(x, 30, "time")).sum() > 1e-2 for x in raw))
    plain = Demonstrations.from_arrays(raw, steps=steps)
    moved = Demonstrations.from_arrays([factor * x + shift for x in raw], steps=steps)
    assert same(plain, moved, tolerance=1e-7)
    np.testing.assert_allclose(moved.scales * factor, plain.scales, rtol=1e-7)


def test_check_assumptions_refuses_each_breach():
    line = np.array([[0.0, 0], [1, 0]])
    check_assumptions([line, line * (1, 1)])
    check_assumptions([line, 1.005 * line])
    for bad, message in [
        ([], "no demonstrations"),
        ([line + 1], "must start at the origin"),
        ([line + 1e-12], "must start at the origin"),
        ([line, 2 * line], "lengths must agree"),
        ([line, 1.05 * line], "lengths must agree"),
        ([line, np.array([[0.0], [1]])], "dimensions"),
        ([0 * line], "length zero"),
        ([line * np.nan], "finite"),
    ]:
        with pytest.raises(InputError, match=message) as error:
            check_assumptions(bad)
        assert_one_sentence(error)
    check_assumptions([line, 2 * line], delta=None)


def test_demonstrations_made_by_hand_must_keep_the_assumptions_too():
    line = np.array([[0.0, 0], [1, 0]])
    hand = {"scales": np.ones(2), "offsets": np.zeros((2, 2))}
    assert Demonstrations((line, line.copy()), **hand).n_pairs == 2
    with pytest.raises(InputError, match="lengths must agree"):
        Demonstrations((line, 2 * line), **hand)
    with pytest.raises(InputError, match="origin"):
        Demonstrations((line, line + 1), **hand)
    with pytest.raises(InputError, match=r"scales of shape \(1,\)"):
        Demonstrations((line,), **hand)
    assert len(Demonstrations((line, 2 * line), **hand, sigma=0.1)) == 2


# --- reference paths, recordings, noise ---------------------------------------------------------


def test_one_path_becomes_a_reference_at_equal_distances_with_noisy_copies():
    corner = np.array([[0.0, 0], [30, 0], [30, 10]])
    rng = np.random.default_rng(1)
    demos = Demonstrations.from_arrays(
        [corner], steps=40, repetitions=3, sigma=0.1, generator=rng, length=4.0
    )
    assert len(demos) == 3 and demos.sigma == 0.1 and demos.times is None
    np.testing.assert_allclose(step_lengths(demos.reference), 0.1, rtol=1e-9)
    np.testing.assert_allclose(demos.reference[[0, 30, 40]], [[0, 0], [3, 0], [3, 1]], atol=1e-12)
    np.testing.assert_allclose(demos.to_original(demos.reference, 2)[30], [30, 0])


def test_several_paths_are_sampled_in_event_order_or_by_their_clock():
    raw = [np.array([[0.0, 0], [1, 0], [4, 0]]), np.array([[0.0, 0], [0, 3], [0, 4]])]
    by_event = Demonstrations.from_arrays(raw, steps=4, length=4.0)
    np.testing.assert_allclose(by_event.trajectories[0][:, 0], [0, 0.5, 1, 2.5, 4])
    np.testing.assert_allclose(by_event.trajectories[1][:, 1], [0, 1.5, 3, 3.5, 4])
    assert by_event.times is None and by_event.reference is None
    clocks = [[0, 10, 40], [5, 6, 9]]
    by_clock = Demonstrations.from_arrays(raw, times=clocks, steps=4, length=4.0)
    np.testing.assert_allclose(by_clock.trajectories[0][:, 0], [0, 1, 2, 3, 4])
    np.testing.assert_allclose(by_clock.trajectories[1][:, 1], [0, 3, 10 / 3, 11 / 3, 4])
    np.testing.assert_allclose(by_clock.times, [[0, 10, 20, 30, 40], [5, 6, 7, 8, 9]])


def test_a_single_recording_with_time_stamps_keeps_its_speeds():
    raw = [np.array([[0.0], [1], [4]])]
    demos = Demonstrations.from_arrays(raw, times=[[0, 2, 4]], steps=4, length=4.0)
    np.testing.assert_allclose(demos.trajectories[0][:, 0], [0, 0.5, 1, 2.5, 4])


def test_without_steps_samples_stay_as_recorded_also_where_the_pointer_rested():
    raw = [np.array([[2.0, 1], [2, 1], [2, 2], [2, 2], [3, 2]]), np.array([[0.0, 0], [0, 1]])]
    demos = Demonstrations.from_arrays(raw, times=[[0, 1, 2, 3, 4], [7, 9]], length=2.0)
    np.testing.assert_array_equal(demos.trajectories[0], [[0, 0], [0, 0], [0, 1], [0, 1], [1, 1]])
    np.testing.assert_array_equal(demos.trajectories[1], [[0, 0], [0, 2]])
    assert [t.tolist() for t in demos.times] == [[0, 1, 2, 3, 4], [7, 9]]


@pytest.mark.parametrize("sigma", [0.003, 0.05])
def test_noise_has_its_standard_deviation_in_every_direction_and_spares_the_start(sigma):
    config = DemonstrationConfig("path1", sigma=sigma, repetitions=400, seed=3)
    demos = load_demonstrations(config)
    noise = np.array([x - demos.reference for x in demos.trajectories])
    assert (noise[:, 0] == 0).all()
    free = noise[:, 1:].reshape(-1, 2) / sigma
    n = len(free)
    low, high = stats.chi2.ppf([1e-8, 1 - 1e-8], n)
    assert ((low < (free**2).sum(0)) & ((free**2).sum(0) < high)).all()
    assert (np.abs(free.mean(0)) < 6 / math.sqrt(n)).all()
    # Independent between the axes, from point to point, and between demonstrations.
    for a, b in [
        (noise[:, 1:, 0], noise[:, 1:, 1]),
        (noise[:, 1:-1], noise[:, 2:]),
        (noise[:-1, 1:], noise[1:, 1:]),
    ]:
        products = (a * b).ravel() / sigma**2
        assert abs(products.mean()) < 6 / math.sqrt(len(products))
    assert stats.kstest(free.ravel(), "norm").pvalue > 1e-6


def test_recordings_get_noise_as_well():
    quiet = load_demonstrations(DemonstrationConfig("mouse2", sigma=0))
    noisy = load_demonstrations(DemonstrationConfig("mouse2", sigma=0.02))
    noise = np.concatenate(
        [a[1:] - b[1:] for a, b in zip(noisy.trajectories, quiet.trajectories, strict=True)]
    )
    low, high = stats.chi2.ppf([1e-8, 1 - 1e-8], noise.size)
    assert low < (noise**2).sum() / 0.02**2 < high
    assert all((x[0] == 0).all() for x in noisy.trajectories)
    assert noisy.reference is None


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    config = DemonstrationConfig("circle")
    first, again = load_demonstrations(config), load_demonstrations(config)
    other = load_demonstrations(dataclasses.replace(config, seed=1))
    assert same(first, again) and first.digest() == again.digest()
    assert not same(first, other) and first.digest() != other.digest()


def test_the_global_random_state_is_neither_read_nor_moved():
    np.random.seed(5)  # noqa: NPY002 - the state that must not matter
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = load_demonstrations(DemonstrationConfig("path1")).digest()
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.random.seed(6)  # noqa: NPY002
    assert load_demonstrations(DemonstrationConfig("path1")).digest() == first


# --- pairs --------------------------------------------------------------------------------------


@given(raw=recordings())
def test_actions_lead_from_state_to_state_and_add_up(raw):
    demos = Demonstrations.from_arrays(raw)
    assert demos.n_pairs == sum(len(x) - 1 for x in raw)
    assert demos.states.shape == demos.actions.shape == (demos.n_pairs, demos.dim)
    longest = 0.0
    for i, points in enumerate(demos.trajectories):
        mine = demos.demonstration_index == i
        np.testing.assert_array_equal(demos.states[mine], points[:-1])
        np.testing.assert_allclose(demos.states[mine] + demos.actions[mine], points[1:], atol=1e-12)
        np.testing.assert_allclose(demos.actions[mine].sum(0), points[-1] - points[0], atol=1e-12)
        longest = max(longest, step_lengths(points).max())
    assert demos.max_step == pytest.approx(longest)
    assert demos.eps == pytest.approx(2 * longest)
    assert demos.step_length == pytest.approx(len(raw) * LENGTH / demos.n_pairs)
    assert demos.in_action_set(demos.actions).all()


def test_the_action_set_is_the_open_ball_of_twice_the_longest_step():
    demos = Demonstrations.from_arrays([[[0.0, 0], [1, 0], [1, 3]]], length=4.0)
    assert demos.eps == 6.0
    inside = demos.in_action_set([[[5.9, 0], [6.0, 0]], [[0, -6.1], [4.2, 4.2]]])
    assert inside.tolist() == [[True, False], [False, True]]
    with pytest.raises(InputError, match=r"shape \(\.\.\., 2\)"):
        demos.in_action_set([1.0, 2, 3])


def test_tensors_hold_the_pairs():
    demos = load_demonstrations(DemonstrationConfig("path1", repetitions=2))
    states, actions = demos.tensors()
    assert states.dtype == actions.dtype == torch.float32
    states, actions = demos.tensors(dtype=torch.float64)
    np.testing.assert_array_equal(states.numpy(), demos.states)
    np.testing.assert_array_equal(actions.numpy(), demos.actions)
    states.zero_()  # a copy: the demonstrations stay as they are
    assert np.abs(demos.states).max() > 0


def test_nothing_can_be_changed_afterwards_and_the_input_stays_the_users():
    raw = [np.array([[0.0, 0], [1, 0]]), np.array([[0.0, 0], [1, 1]])]
    demos = Demonstrations.from_arrays(raw, times=[[0, 1], [0, 1]])
    for array in (demos.trajectories[0], demos.states, demos.actions, demos.times[0], demos.scales):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    digest = demos.digest()
    raw[0][0] = 7.0
    assert demos.digest() == digest
    with pytest.raises(dataclasses.FrozenInstanceError):
        demos.name = "other"


def test_the_digest_sees_every_coordinate_and_the_cut_between_demonstrations():
    base = [np.array([[0.0, 0], [1, 0], [2, 0], [3, 0]]), np.array([[0.0, 0], [1, 0], [3, 0]])]

    def digest(arrays: list[np.ndarray], **options: float) -> str:
        return Demonstrations.from_arrays(arrays, length=3.0, **options).digest()

    original = digest(base)
    assert len(original) == 64 and int(original, 16) > 0
    assert digest([x.copy() for x in base]) == original
    bent = [base[0].copy(), base[1]]
    bent[0][2, 1] = 1e-6
    flat = [np.where(base[0] == 0, -0.0, base[0]), base[1]]
    flat[0][0] = 0.0  # so that the other negative zeros stay negative when the start is taken off
    assert digest(flat) == original
    others = [digest(bent), digest(base[::-1]), digest([base[0]]), digest([*base, base[0]])]
    assert original not in others and len(set(others)) == 4
    # Frozen: a change of this value means that stored models no longer belong to their data.
    assert original == "682afe5786540f6a3296b167a8501a3e5feeec0884b390baa95375a1222b3615"


# --- the data's own noise scale -----------------------------------------------------------------


def test_action_scale_is_the_narrowest_residual_not_the_spread_of_actions():
    rng = np.random.default_rng(0)
    n, wide, narrow = 20_000, 0.3, 0.02
    angle = 0.7
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    states = rng.normal(size=(n, 2))
    mean = states @ np.array([[1.0, -2], [0.5, 3]]) + [5, -5]  # varies by far more than the noise
    actions = mean + rng.normal(size=(n, 2)) * (wide, narrow) @ axes
    # With 27 degrees of freedom and one narrow direction, the estimate is low by a few percent.
    assert local_action_scale(states, actions) == pytest.approx(narrow, rel=0.08)


@pytest.mark.parametrize("sigma", [0.005, 0.01, 0.02])
@pytest.mark.parametrize("source", ["circle", "path1"])
def test_action_scale_of_a_noisy_reference_is_its_sigma(source, sigma):
    demos = load_demonstrations(DemonstrationConfig(source, sigma=sigma))
    assert demos.action_scale() == pytest.approx(sigma, rel=0.12)


def test_a_noise_level_past_the_datas_scale_is_advised_against():
    loud = load_demonstrations(DemonstrationConfig("circle", sigma=0.01))
    quiet = load_demonstrations(DemonstrationConfig("circle", sigma=0.005))
    assert loud.advise_alpha(0.01) is None  # trains (feasibility run)
    assert "past the stability limit" in quiet.advise_alpha(0.01)  # ran away
    s = loud.action_scale()
    assert loud.advise_alpha(1.49 * s) is None
    assert "near the stability limit" in loud.advise_alpha(1.51 * s)
    assert "past the stability limit" in loud.advise_alpha(2.01 * s)
    silent = load_demonstrations(DemonstrationConfig("circle", sigma=0))
    assert "do not vary" in silent.advise_alpha(1e-3)
    with pytest.raises(InputError, match="alpha"):
        loud.advise_alpha(-1)


def test_with_too_few_pairs_the_scale_is_unknown_and_no_advice_is_given():
    demos = Demonstrations.from_arrays([[[0.0, 0], [1, 0], [2, 1]]])
    assert math.isnan(demos.action_scale()) and demos.advise_alpha(1.0) is None


# --- bad input ----------------------------------------------------------------------------------

LINE = [[0.0, 0], [1, 1]]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ([], {}, "no demonstrations"),
        (None, {}, "list of"),
        (np.array(LINE), {}, r"pass \[array\]"),
        ([[0.0, 1, 2]], {}, "shape"),
        ([np.zeros((2, 3, 2))], {}, "shape"),
        ([np.zeros((3, 0))], {}, "shape"),
        ([LINE, [[0, 0, 0], [1, 1, 1]]], {}, "dimensions"),
        ([LINE, [[0, 0], [np.nan, 1]]], {}, "demonstration 1 .* finite"),
        ([[[0, 0]]], {}, "at least two"),
        ([[[1, 1], [1, 1]]], {}, "length zero"),
        ([LINE, [[0, 0], [1, 1], [0, 0]]], {"steps": 1}, "no length at steps 1"),
        ([[[0, 0], [1, 1], [0, 0]]], {"steps": 1}, "length zero"),
        ([[["a", 0], [1, 1]]], {}, "real numbers"),
        ([LINE], {"times": [[0]]}, "time stamps"),
        ([LINE], {"times": [[1, 1]]}, "increase"),
        ([LINE], {"times": []}, "1 lists of time stamps"),
        ([LINE], {"steps": 0}, "steps"),
        ([LINE], {"steps": 2.5}, "steps"),
        ([LINE], {"steps": 10**9}, "steps must be at most"),
        ([LINE], {"steps": 10**7, "repetitions": 10}, "use fewer"),
        ([LINE], {"repetitions": 0}, "repetitions"),
        ([LINE], {"sigma": -1}, "sigma"),
        ([LINE], {"sigma": math.nan}, "sigma"),
        ([LINE], {"sigma": 0.1}, "generator"),
        ([LINE], {"sigma": 0.1, "generator": 3}, "generator"),
        ([LINE], {"length": 0}, "length"),
        ([LINE], {"length": math.inf}, "length"),
    ],
)
def test_bad_arrays_get_one_sentence(arrays, options, message):
    with pytest.raises(InputError, match=message) as error:
        Demonstrations.from_arrays(arrays, **options)
    assert_one_sentence(error)


@pytest.mark.parametrize(
    "change",
    [
        {"source": ""},
        {"source": 3},
        {"steps": 0},
        {"steps": "many"},
        {"repetitions": 1.5},
        {"sigma": "0.1"},
        {"sigma": -0.1},
        {"length": -1},
        {"seed": -1},
        {"seed": None},
    ],
)
def test_bad_configurations_are_refused_when_made(change):
    with pytest.raises(InputError, match=next(iter(change))) as error:
        DemonstrationConfig(**{"source": "circle", **change})
    assert_one_sentence(error)


def test_unknown_data_sets_and_files_are_named(tmp_path):
    with pytest.raises(InputError, match=", ".join(sorted(bundled.names()))) as error:
        load_demonstrations(DemonstrationConfig("cirlce"))
    assert_one_sentence(error)
    with pytest.raises(InputError, match="no file"):
        load_demonstrations(DemonstrationConfig(str(tmp_path / "mine.svg")))
    (tmp_path / "mine.txt").write_text("0 0")
    with pytest.raises(InputError, match=r"ending in \.csv, \.mat, \.npy, \.npz, \.svg"):
        load_demonstrations(DemonstrationConfig(str(tmp_path / "mine.txt")))


def test_the_bundled_data_sets_are_the_drawings_in_their_folder():
    listed = bundled.names()
    assert {"circle", "fork", "mouse1", "mouse2", "path1"} <= listed.keys()
    assert listed.keys() == {path.stem for path in bundled.directory().glob("*.svg")}


def test_points_of_the_wrong_dimension_or_demonstration_are_refused():
    demos = Demonstrations.from_arrays([LINE, LINE])
    with pytest.raises(InputError, match="dimensions"):
        demos.normalise([1.0, 2, 3])
    with pytest.raises(InputError, match="index"):
        demos.to_original([1.0, 2], 2)


# --- files --------------------------------------------------------------------------------------

A, B = np.array([[0.0, 0], [1, 0], [1, 2]]), np.array([[5.0, 5], [6, 7]])


def test_every_file_format_goes_through_the_same_door(tmp_path):
    times = [np.array([0.0, 1, 5]), np.array([2.0, 4])]
    write_svg(tmp_path / "a.svg", [A, B], times)
    np.savez(tmp_path / "a.npz", one=A, one_t=times[0], two=B, two_t=times[1])
    rows = ["demo,t,x,y"]
    for label, points, clock in (("one", A, times[0]), ("two", B, times[1])):
        rows += [f"{label},{t},{x},{y}" for t, (x, y) in zip(clock, points, strict=True)]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    expected = Demonstrations.from_arrays([A, B], times=times, steps=10)
    for suffix in ("svg", "npz", "csv"):
        recording = read_recording(tmp_path / f"a.{suffix}")
        for points, exact in zip(recording.positions, (A, B), strict=True):
            np.testing.assert_array_equal(points, exact)
        config = DemonstrationConfig(str(tmp_path / f"a.{suffix}"), steps=10, sigma=0)
        assert load_demonstrations(config).digest() == expected.digest()


def test_arrays_of_one_or_many_and_tables_without_a_clock(tmp_path):
    np.save(tmp_path / "one.npy", A)
    np.save(tmp_path / "lair.npy", A[None])
    np.save(tmp_path / "two.npy", np.stack([A, 2 * A]))
    (tmp_path / "three.csv").write_text("demo, x, y, z\n7,0,0,0\n8,1,1,1\n7,1,2,3\n8,2,2,2\n")
    for name, n, d in (
        ("one.npy", 1, 2),
        ("lair.npy", 1, 2),
        ("two.npy", 2, 2),
        ("three.csv", 2, 3),
    ):
        demos = Demonstrations.from_recording(read_recording(tmp_path / name))
        assert (len(demos), demos.dim, demos.times) == (n, d, None)
    np.testing.assert_array_equal(read_recording(tmp_path / "three.csv").positions[1][1], [2, 2, 2])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "header"),
        ("a.csv", "x,y\n0,0\n", "header"),
        ("a.csv", "demo,x,x\n0,0,0\n", "header"),
        ("a.csv", "demo\n0\n", "header"),
        ("a.csv", "demo,x,y\n0,0\n", "line 2"),
        ("a.csv", "demo,x,y\n0,0,0,0\n", "line 2"),
        ("a.csv", "demo,x,y\n0,zero,0\n", "table of numbers"),
        ("a.csv", "demo,x,y\n0,nan,0\n0,1,1\n", "finite"),
        ("a.csv", "demo,x,y\n", "no demonstrations"),
        ("a.csv", b"demo,x\n\xff\xfe", "not text in UTF-8"),
        ("a.npy", "not numpy", "plain numeric"),
        ("a.npz", "not numpy", "plain numeric"),
        ("a.npz", "PK\x03\x04broken", "plain numeric"),
        ("a.npy", "", "plain numeric"),
    ],
)
def test_bad_files_of_arrays_get_one_sentence(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as error:
        load_demonstrations(DemonstrationConfig(str(path)))
    assert_one_sentence(error)


def test_pickles_are_never_loaded(tmp_path):
    np.save(tmp_path / "a.npy", np.array([A, B], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "a.npz", a=np.array([A, B], dtype=object))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(InputError, match="plain numeric"):
            read_recording(tmp_path / name)


# --- drawings that no program made --------------------------------------------------------------


@pytest.mark.skipif(not LAIR.is_dir(), reason="the LAIR mouse drawings are not on this machine")
@pytest.mark.parametrize("shape", ["mountain", "G_angle", "two_roads", "e"])
@pytest.mark.parametrize("steps", [None, 100])
def test_human_mouse_drawings_go_through(shape, steps):
    raw = [np.load(path)[0] for path in sorted((LAIR / shape).glob("*.npy"))]
    demos = Demonstrations.from_arrays(raw, steps=steps, name=shape)
    assert len(demos) == len(raw)
    for i, points in enumerate(raw):
        assert step_lengths(demos.trajectories[i]).sum() == pytest.approx(LENGTH, rel=1e-9)
        np.testing.assert_allclose(
            demos.to_original(demos.trajectories[i], i)[[0, -1]], points[[0, -1]], atol=1e-9
        )
    assert 0 < demos.action_scale() < demos.max_step
