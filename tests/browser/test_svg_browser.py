"""What is read of a drawing is what Chromium draws, where it draws it, element by element."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_support import run_script
from demonstrations.drawings import DRAWINGS, USES, content

from ebmlib.demonstrations.polyline import resample, step_lengths
from ebmlib.demonstrations.svg import read_drawing

pytestmark = pytest.mark.browser
SAMPLES = 60
KNOWN = Path(__file__).resolve().parents[1] / "demonstrations" / "drawings.json"
CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "svg"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Chromium says of every drawing, by name, with the file that it looked at."""
    folder = tmp_path_factory.mktemp("drawings")
    files = {}
    for i, (name, body) in enumerate((DRAWINGS | USES).items()):
        files[name] = folder / f"{i}.svg"
        files[name].write_text(content(body), encoding="utf-8")
    files |= {path.name: path for path in sorted(CASES.glob("*.svg"))}
    told = run_script("svg.mjs", timeout=300, files=list(map(str, files.values())), samples=SAMPLES)
    return dict(zip(files, told, strict=True))


def affine(numbers: list[float]) -> np.ndarray:
    a, b, c, d, e, f = numbers
    return np.array([[a, c, e], [b, d, f], [0, 0, 1.0]])


def compare(seen: dict[str, Any]) -> int:
    """Assert that what is read of the file is what was seen of it; how many elements there were.

    Of each element in turn the strokes that make up its length are taken, and their points at equal
    lengths are compared with Chromium's, in the element's own units and in those of the page.
    """
    drawn = [shape for shape in seen["shapes"] if shape["drawn"]]
    if any(shape["stroked"] for shape in drawn):
        drawn = [shape for shape in drawn if shape["stroked"]]
    if not drawn:  # a line that nothing paints
        drawn = [shape for shape in seen["shapes"] if shape["length"] > 0]
    strokes, _, elements, _ = read_drawing(seen["file"])
    left = list(zip(strokes, elements, strict=True))
    for shape in drawn:
        matrix = affine(shape["matrix"])
        inverse = np.linalg.inv(matrix)
        own: list[np.ndarray] = []
        tolerance = 2e-3 * shape["length"]
        while sum(step_lengths(points).sum() for points in own) < shape["length"] - tolerance:
            stroke, name = left.pop(0)
            assert name == shape["name"]
            points = stroke * (1, -1)
            own.append(points @ inverse[:2, :2].T + inverse[:2, 2])
        total = sum(step_lengths(points).sum() for points in own)
        assert total == pytest.approx(shape["length"], abs=tolerance)
        for fraction, (x, y) in zip(np.linspace(0, 1, SAMPLES + 1), shape["points"], strict=True):
            found = at_length(own, fraction * total)
            assert min(np.hypot(*(found_ - (x, y))) for found_ in found) < tolerance, fraction
    assert not left, f"read and not drawn: {[name for _, name in left]}"
    return len(drawn)


def at_length(pieces: list[np.ndarray], s: float) -> list[np.ndarray]:
    """The point at a length along pieces; at the end of one also the start of the next."""
    found = []
    for points in pieces:
        clock = np.concatenate([[0], np.cumsum(step_lengths(points))])
        if -1e-3 * clock[-1] - 1e-6 <= s <= clock[-1] * (1 + 1e-3) + 1e-6:
            found.append(np.array([np.interp(s, clock, column) for column in points.T]))
        s -= clock[-1]
    return found


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_read_as_chromium_draws_it(chromium: dict[str, Any], name: str) -> None:
    assert compare(chromium[name]) > 0


def test_the_table_for_machines_without_chromium_is_of_these_drawings() -> None:
    """Make it again with ``python tests/browser/test_svg_browser.py`` after a new drawing."""
    known = json.loads(KNOWN.read_text())
    assert known == described()


@pytest.mark.skipif(not CASES.is_dir(), reason="the shared cases are not on this machine")
def test_shared_cases_are_read_as_chromium_draws_them(chromium: dict[str, Any]) -> None:
    for path in CASES.glob("*.svg"):
        assert compare(chromium[path.name]) > 0, path.name


@pytest.mark.parametrize("name", USES)
def test_what_is_used_is_where_chromium_puts_it(chromium: dict[str, Any], name: str) -> None:
    use = chromium[name]["uses"][-1]
    x, y, width, height = use["box"]
    corners = np.array(
        [[x, y, 1], [x + width, y, 1], [x, y + height, 1], [x + width, y + height, 1]]
    )
    corners = corners @ affine(use["matrix"]).T[:, :2]
    strokes = np.concatenate(read_drawing(chromium[name]["file"]).strokes) * (1, -1)
    for extreme in (np.min, np.max):
        np.testing.assert_allclose(extreme(strokes, axis=0), extreme(corners, axis=0), atol=0.05)


def test_the_comparison_sees_a_shape_that_is_elsewhere_or_runs_the_other_way(
    chromium: dict[str, Any],
) -> None:
    seen = chromium["polyline"]
    (shape,) = seen["shapes"]
    for change in (
        {"matrix": [1, 0, 0, 1, 3, 0]},
        {"points": shape["points"][::-1]},
        {"drawn": False, "length": 0.0},
        {"length": 1.05 * shape["length"]},
        {"name": "polygon"},
    ):
        with pytest.raises((AssertionError, IndexError)):
            compare(seen | {"shapes": [shape | change]})


def test_arc_lengths_agree_with_resampling() -> None:
    points = np.array([[0.0, 0], [3, 0], [3, 4]])
    np.testing.assert_allclose(at_length([points], 3.5)[0], resample(points, 2)[1])


def described() -> dict[str, Any]:
    """Some numbers of what is read of every drawing, for the test without a browser."""
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawing.svg"
        for name, body in (DRAWINGS | USES).items():
            path.write_text(content(body), encoding="utf-8")
            strokes, _, elements, _ = read_drawing(path)
            result[name] = [
                {
                    "element": element,
                    "length": float(f"{step_lengths(points).sum():.6g}"),
                    "points": [
                        [round(float(value), 3) + 0.0 for value in point]
                        for point in (points[0], points[len(points) // 2], points[-1],
                                      points.min(axis=0), points.max(axis=0))
                    ],
                }
                for points, element in zip(strokes, elements, strict=True)
            ]  # fmt: skip
    return result


if __name__ == "__main__":
    entries = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in described().items()]
    KNOWN.write_text("{\n" + ",\n".join(entries) + "\n}\n")
