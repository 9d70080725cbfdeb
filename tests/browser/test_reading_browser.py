"""The built book in a reader's hands: links, search, light and dark, widgets on their pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser_support import assert_clean, run_script

CHAPTER = "book/experiments/setup.html"
pytestmark = pytest.mark.browser


@pytest.fixture(params=["http", "file"])
def top(request: pytest.FixtureRequest, smoke_book: Path, served: str) -> str:
    return served if request.param == "http" else f"file://{smoke_book}/"


def read(top: str, *steps: dict[str, Any], **wishes: Any) -> list[Any]:
    """Do the steps of read.mjs; nothing may go wrong, and nobody else may be asked."""
    told = run_script("read.mjs", timeout=300, top=top, steps=steps, **wishes)
    assert_clean(told, top)
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


def test_the_code_behind_a_figure_comes_when_its_box_is_opened(top: str) -> None:
    (found,) = read(top, {"page": CHAPTER, "unfold": "details.ebmlib-source"})
    assert found["before"] == 0, "the page brings it"
    assert "def " in found["code"] and found["coloured"] > 20


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
