"""The recorder in Chromium, on a page without a kernel: draw, download, train."""

from __future__ import annotations

import functools
import html
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_support import assert_clean, run_script, serving
from build_support import ROOT

from ebmlib.demonstrations.svg import read_svg
from workflow.paths import FRONTEND

recorder = pytest.importorskip("ebmlib.widgets.recorder", reason="needs anywidget")

Use = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.browser

S = [(0.1 + 0.8 * u, 0.5 - 0.2 * np.sin(2 * np.pi * u)) for u in np.linspace(0, 1, 40)]
PAGE = """<!DOCTYPE html>
<html lang="en" data-content_root="./" data-theme="light"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Draw</title>
<link rel="icon" href="data:,">
<script src="_static/page-fixes.js"></script>
<script src="_static/vendor/require.js" defer></script>
<script src="_static/require-config.js" defer></script>
<script src="_static/vendor/html-manager/embed-amd.js" defer
  data-jupyter-widgets-cdn="./none/"></script>
<style>body {{ margin: 1rem; font-family: sans-serif }}
html[data-theme="dark"] body {{ background: #14181e; color: #ddd }}</style></head>
<body><main><h1>Draw</h1>{picture}
<script type="application/vnd.jupyter.widget-state+json">{state}</script>
<script type="application/vnd.jupyter.widget-view+json">{view}</script></main></body></html>
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one page: the recorder as a built page holds it."""
    from ipywidgets.embed import embed_data

    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(FRONTEND / "vendor", folder / "_static" / "vendor")
    for name in ("page-fixes.js", "require-config.js"):
        shutil.copy(ROOT / "book" / "assets" / name, folder / "_static")
    widget = recorder.DrawingRecorder()
    data = embed_data(views=[widget], drop_defaults=False)
    escape = functools.partial(html.escape, quote=False)
    text = PAGE.format(
        picture=widget.fallback(),
        state=json.dumps(data["manager_state"]).replace("</", "<\\/"),
        view=escape(json.dumps(data["view_specs"][0])),
    )
    (folder / "draw.html").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def served(site: Path) -> Iterator[str]:
    """The same page over http."""
    with serving(site) as address:
        yield address


@pytest.fixture
def use(site: Path, served: str, tmp_path: Path) -> Use:
    """Do the steps of draw.mjs on the page; nothing may go wrong on it, whatever they are."""

    def run(*steps: dict[str, Any], http: bool = False, **options: Any) -> dict[str, Any]:
        top = served if http else f"{site.as_uri()}/"
        told: dict[str, Any] = run_script(
            "draw.mjs", timeout=1800, address=f"{top}draw.html", downloads=str(tmp_path),
            steps=steps, **options,
        )  # fmt: skip
        assert_clean(told, site.as_uri(), served)
        return told

    return run


def distance_to_curve(points: np.ndarray, curve: np.ndarray) -> float:
    """Largest distance of points (n, 2) to the vertices of a fine curve (m, 2)."""
    return float(np.linalg.norm(points[:, None] - curve, axis=-1).min(axis=1).max())


def area(shares: list[tuple[float, float]]) -> np.ndarray:
    """Shares of the drawing area in its units, y upwards, joined by 50 points each."""
    corners = np.array(shares) * (600, -576)
    share = np.linspace(0, 1, 50)[:, None]
    return np.concatenate([a + share * (b - a) for a, b in itertools.pairwise(corners)])


@pytest.mark.parametrize("http", [False, True], ids=["file", "http"])
def test_a_stroke_drawn_with_the_mouse_reads_back_from_the_download(use: Use, http: bool) -> None:
    hook = [(0.2, 0.8), (0.2, 0.3), (0.7, 0.3)]
    told = use(
        {"look": "empty"},
        {"mouse": S},
        {"mouse": hook},
        {"look": "drawn"},
        {"click": "Download SVG"},
        http=http,
    )
    (path,) = told["downloads"]
    strokes, times = read_svg(path)
    assert len(strokes) == 2
    for points, clock, shares in zip(strokes, times, (S, hook), strict=True):
        assert clock is not None and clock[0] == 0 and (np.diff(clock) > 0).all()
        assert len(points) > 0.5 * len(shares)
        # a pixel of the canvas is more than one unit, and coordinates are rounded to 0.01
        assert distance_to_curve(points, area(shares)) < 2
        assert points[0] == pytest.approx(np.array(shares[0]) * (600, -576), abs=2)
        assert points[-1] == pytest.approx(np.array(shares[-1]) * (600, -576), abs=2)
    empty, drawn = told["looks"]["empty"], told["looks"]["drawn"]
    assert drawn["notes"][0].startswith("2 strokes") and "2 normalised" in drawn["texts"][1]
    assert [a == b for a, b in zip(empty["hashes"], drawn["hashes"], strict=True)][:2] == [
        False,
        False,
    ]
    assert ["Train", True] in empty["buttons"] and ["Train", False] in drawn["buttons"]


def test_a_finger_draws_and_does_not_scroll(use: Use) -> None:
    told = use({"touch": S}, {"look": "drawn"}, touch=True, width=390)
    drawn = told["looks"]["drawn"]
    assert drawn["notes"][0].startswith("1 stroke,")
    assert not drawn["tooWide"]


def test_the_keyboard_draws_and_takes_back(use: Use) -> None:
    right, down = {"hold": "ArrowRight", "ms": 400}, {"hold": "ArrowDown", "ms": 300}
    told = use(
        {"keys": [" ", right, down, " "]},
        {"look": "one"},
        {"keys": ["ArrowUp", "ArrowUp", " ", right, "Escape"]},
        {"look": "two"},
        {"click": "Download SVG"},
        {"click": "Undo"},
        {"look": "undone"},
        {"click": "Clear"},
        {"look": "cleared"},
    )
    looks = told["looks"]
    assert "Stroke 1 has" in looks["one"]["live"] and "Stroke 2 has" in looks["two"]["live"]
    assert looks["undone"]["notes"][0].startswith("1 stroke,")
    assert looks["cleared"]["notes"][0] == "No stroke yet."
    assert looks["one"]["scrolled"] == looks["two"]["scrolled"], "arrow keys scrolled the page"
    (path,) = told["downloads"]
    (first, second), (clock, _) = read_svg(path)
    assert first[0] == pytest.approx((300, -288))  # the middle of the area
    step = np.diff(first, axis=0)
    corner = int(np.argmax(first[:, 0]))
    assert step[:corner, 1] == pytest.approx(0) and (step[:corner, 0] > 0).all()
    assert step[corner:, 0] == pytest.approx(0) and (step[corner:, 1] < 0).all()
    assert clock is not None
    # the clock runs while the pen moves: 0.15 units in a millisecond throughout
    speed = np.linalg.norm(step, axis=1) / np.diff(clock)
    assert speed == pytest.approx(0.15, abs=0.02)
    assert second[0] == pytest.approx(first[-1] + (0, 6), abs=0.1)  # two presses up


def test_a_drawing_trains_while_the_reader_watches(use: Use) -> None:
    told = use(
        *[{"mouse": [(x, y + shift) for x, y in S]} for shift in (0, 0.03, -0.03)],
        {"look": "before"},
        {"click": "Train"},
        {"epochs": 45},
        {"look": "early"},
        {"epochs": 400},
        {"click": "Pause"},
        {"look": "paused"},
        {"look": "still paused"},
        {"click": "Resume"},
        {"epochs": 560},
        {"look": "resumed"},
        {"state": "done"},
        {"look": "done"},
        {"click": "Start over"},
        {"look": "over"},
        http=True,
    )
    looks = told["looks"]
    assert looks["early"]["engine"] == "worker"
    pictures = [looks[name]["hashes"][1:] for name in ("before", "early", "paused", "resumed")]
    for one, other in itertools.pairwise(pictures):
        assert all(a != b for a, b in zip(one, other, strict=True)), "a picture stood still"
    assert looks["paused"]["hashes"] == looks["still paused"]["hashes"]
    updates, _, end, between = looks["done"]["tiles"]
    assert int(updates) == recorder.TRAINING["epochs"]
    # the strokes are the same but for their place, which normalisation takes away
    assert float(between) < 0.05 and float(end) < 0.1, (
        "a trajectory of length 2 pi is far from them"
    )
    assert "updates, loss" in looks["paused"]["live"] and "arrived" in looks["done"]["live"]
    chosen = looks["done"]["notes"][3]
    assert chosen.startswith("Chosen: state: position") and "updates of ranking NCE" in chosen
    assert looks["over"]["state"] == "idle" and looks["over"]["tiles"][0] == "0"


def test_a_new_stroke_ends_the_training_on_the_old_drawing(use: Use) -> None:
    told = use(
        {"click": "Example"},
        {"click": "Train"},
        {"epochs": 45},
        {"mouse": [(0.1, 0.1), (0.5, 0.1), (0.9, 0.1)]},
        {"look": "changed"},
        {"look": "later"},
    )
    changed = told["looks"]["changed"]
    assert changed["state"] == "idle" and changed["tiles"][0] == "0"
    assert changed["hashes"] == told["looks"]["later"]["hashes"]
    assert "4 normalised" in changed["texts"][1] and " 0 trajectories" in changed["texts"][1]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_recorder_is_accessible(use: Use, tmp_path: Path, dark: bool) -> None:
    told = use(
        {"theme": "dark" if dark else "light"},
        {"axe": "empty"},
        {"click": "Example"},
        {"click": "Train"},
        {"epochs": 10},
        {"axe": "training"},
        dark=dark,
    )
    assert told["axe"] == {"empty": [], "training": []}


def test_print_and_pages_without_scripts_show_the_picture(use: Use, tmp_path: Path) -> None:
    printed = use({"print": str(tmp_path / "print.png")})
    assert printed["looks"]["print"] == {"widget": False, "picture": True}
    assert use(javascript=False)["looks"]["plain"] == {"picture": True}
