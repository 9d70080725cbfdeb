"""The bundled drawings are what data/README.md says they are."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ebmlib.demonstrations import bundled
from ebmlib.demonstrations.dataset import DemonstrationConfig, load_demonstrations
from ebmlib.demonstrations.polyline import step_lengths
from ebmlib.demonstrations.svg import read_svg

DATA = Path(__file__).resolve().parents[2] / "data"


@pytest.fixture(scope="module")
def make_mouse() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_mouse", DATA / "make_mouse.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def quiet(name: str) -> np.ndarray:
    """(N, 101, 2) trajectories without added noise, one copy of a reference path."""
    config = DemonstrationConfig(name, sigma=0, repetitions=1)
    return np.array(load_demonstrations(config).trajectories)


def crosses_itself(points: np.ndarray) -> bool:
    """Whether two segments of a polyline that are not neighbours intersect."""

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Sign of the turn from a to b to c; the arguments broadcast."""
        u, v = b - a, c - a
        return np.sign(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])

    start, end = points[:-1], points[1:]
    a, b, c, d = start[:, None], end[:, None], start[None], end[None]
    crossing = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
    return bool(crossing.any())


def test_the_crossing_detector_detects_crossings():
    t = np.linspace(0, 2 * np.pi, 60)
    assert crosses_itself(np.stack([np.sin(t + 0.1), np.sin(2 * t)], axis=1))
    assert not crosses_itself(np.stack([np.sin(t), np.cos(t)], axis=1))


def test_the_script_makes_the_files_again_byte_for_byte(make_mouse, tmp_path):
    make_mouse.make(tmp_path)
    for name in ("mouse1.svg", "mouse2.svg", "crossing.svg", "crossing-kept.svg"):
        assert (tmp_path / name).read_bytes() == (DATA / name).read_bytes()


def test_the_bundled_drawings_are_found_in_the_checkout():
    assert bundled.directory() == DATA


@pytest.mark.parametrize("name", ["path1", "circle"])
def test_reference_drawings_hold_one_path(name):
    drawing = read_svg(DATA / f"{name}.svg")
    assert len(drawing.strokes) == 1 and drawing.times == (None,)
    demos = load_demonstrations(DemonstrationConfig(name))
    assert len(demos) == 20 and demos.n_pairs == 2000 and demos.reference is not None


@pytest.mark.parametrize(("name", "strokes"), [("mouse1", 14), ("mouse2", 12)])
def test_mouse_drawings_hold_time_stamped_strokes_at_a_mouses_rate(name, strokes):
    drawing = read_svg(DATA / f"{name}.svg")
    assert len(drawing.strokes) == strokes
    for times in drawing.times:
        assert times is not None
        np.testing.assert_array_equal(times, 8.0 * np.arange(len(times)))
    text = (DATA / f"{name}.svg").read_text()
    assert "Reconstruction" in text and "never published" in text


@pytest.mark.parametrize("name", ["path1", "circle", "mouse1", "mouse2"])
def test_no_demonstration_crosses_itself(name):
    assert not any(crosses_itself(points) for points in quiet(name))


@pytest.mark.parametrize("name", ["mouse1", "mouse2"])
def test_the_hand_never_rests(name):
    for points in quiet(name):
        steps = step_lengths(points)
        assert steps.min() > 0.1 * steps.max()


def test_path1_is_open_and_bends_both_ways():
    (points,) = quiet("path1")
    assert np.linalg.norm(points[-1]) > 2
    steps = np.diff(points, axis=0)
    turns = steps[:-1, 0] * steps[1:, 1] - steps[:-1, 1] * steps[1:, 0]
    curvature = turns / step_lengths(points).mean() ** 3
    assert curvature.min() < -1 and curvature.max() > 1
    kinks = np.abs(np.degrees(turns / step_lengths(points).mean() ** 2))
    assert kinks.max() < 15  # smooth: no step turns by more than 15 degrees


def spread(points: np.ndarray) -> np.ndarray:
    """Root mean squared distance from the mean trajectory at each time, (n + 1,)."""
    return np.sqrt(((points - points.mean(axis=0)) ** 2).sum(-1).mean(axis=0))


def test_mouse1_forks_near_its_tail_half_one_way_and_half_the_other():
    points = quiet("mouse1")
    one, other = points[0::2], points[1::2]
    gap = np.linalg.norm(one.mean(axis=0) - other.mean(axis=0), axis=-1)
    within = np.maximum(spread(one), spread(other))
    assert gap[-1] > 4 * within[-1]  # two ends, well apart
    assert (gap[:60] < 2 * within[:60].max()).all()  # one stem
    ends = np.arctan2(*(points[:, -1] - points[:, -6]).T[::-1])
    assert (np.degrees(ends[0::2]) > 20).all() and (np.degrees(ends[1::2]) < -45).all()


def test_mouse1_spreads_strongly_and_mouse2_little():
    stem = slice(10, 60)
    assert spread(quiet("mouse1"))[stem].mean() > 3 * spread(quiet("mouse2"))[stem].mean()
    assert spread(quiet("mouse1"))[-1] > 0.8
    assert spread(quiet("mouse2")).max() < 0.1


def test_mouse2_is_a_hook_that_turns_by_more_than_half_a_circle():
    for points in quiet("mouse2"):
        heading = np.unwrap(np.arctan2(*np.diff(points, axis=0).T[::-1]))
        assert np.degrees(heading[-1] - heading[0]) > 180


# --- the sigma-lognormal model ------------------------------------------------------------------


def test_positions_are_the_integral_of_the_speed(make_mouse):
    strokes = [*make_mouse.MOUSE1_STEM, make_mouse.MOUSE1_BRANCHES[0]]
    t = np.linspace(0, 3, 30_001)
    position, speed = make_mouse.movement(strokes, t)
    assert step_lengths(position).sum() == pytest.approx(np.trapezoid(speed, t), rel=1e-5)


def test_a_single_stroke_turns_on_an_arc_of_its_length(make_mouse):
    stroke = make_mouse.Stroke(100.0, -30.0, 60.0, 0.1, -1.0, 0.3)
    position, speed = make_mouse.movement([stroke], np.linspace(0, 60, 60_001))
    radius = 100 / np.radians(90)
    centre = radius * np.array([-np.sin(np.radians(-30)), np.cos(np.radians(-30))])
    np.testing.assert_allclose(np.linalg.norm(position - centre, axis=1), radius, rtol=1e-9)
    assert step_lengths(position).sum() == pytest.approx(100, rel=1e-6)
    # The peak of a lognormal speed is at t0 + exp(mu - sigma^2).
    assert speed.argmax() / 1000 == pytest.approx(0.1 + np.exp(-1.0 - 0.09), abs=2e-3)
