"""Tests in a browser rely on this: a page that misbehaves is noticed, whatever it does."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_support import assert_clean, run_script, serving

pytestmark = pytest.mark.browser

PAGE = """<!DOCTYPE html><html lang="en"><title>Page</title><link rel="icon" href="data:,">
<h1>Page</h1><script>{script}</script>{body}</html>"""
WIDGETS = '<script src="data:text/javascript,//html-manager"></script>'


@pytest.fixture
def closed() -> Iterator[str]:
    """Return the address of a port at which nobody answers."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unheard.getsockname()[1]}/"


def visit(folder: Path, script: str = "", body: str = "", **wishes: Any) -> tuple[str, Any]:
    """Serve and visit a page; its address and what was noted."""
    (folder / "page.html").write_text(PAGE.format(script=script, body=body))
    with serving(folder) as top:
        address = f"{top}page.html"
        shots = {address: str(folder / "page.png")} if wishes.pop("shot", False) else {}
        wishes |= {"pages": [address], "screenshots": shots}
        (page,) = run_script("visit.mjs", timeout=300, **wishes)
    return top, page


def test_a_page_that_does_nothing_wrong_is_clean(tmp_path: Path) -> None:
    top, page = visit(tmp_path)
    assert page["requests"] == [f"{top}page.html"]
    assert_clean(page, top)


def test_each_kind_of_error_is_noted(tmp_path: Path, closed: str) -> None:
    top, page = visit(
        tmp_path,
        'console.error("said"); console.log("talk"); throw new RangeError("thrown")',
        f'<img src="none.png" alt=""><img src="{closed}picture.png" alt="">',
    )
    errors = page["errors"]
    assert {"said", "RangeError: thrown", f"404: {top}none.png"} < set(errors)
    assert f"failed: {closed}picture.png" in errors
    assert "talk" not in errors


LATE = 'addEventListener("load", () => setTimeout(() => console.error("late"), {}))'
"""An error so many milliseconds after loading. Visits are patient where it must be seen: a page
that is left at once is gone long before it, however slow the machine is."""


def test_an_error_after_loading_is_noted(tmp_path: Path) -> None:
    _, page = visit(tmp_path, LATE.format(4000), patience=20)  # stays for 6 s
    assert page["errors"] == ["late"]


def test_widgets_have_time_to_fail_before_their_picture_is_taken(tmp_path: Path) -> None:
    # without widgets it would stay for 0.6 s, with them it does for 6
    _, page = visit(tmp_path, LATE.format(4000), WIDGETS, shot=True, patience=2)
    assert page["errors"] == ["late"]


@pytest.mark.parametrize(
    ("wishes", "seen"),
    [
        ({}, ["1280 light lively"]),
        ({"width": 390}, ["390 light lively"]),
        ({"dark": True}, ["1280 dark lively"]),
        ({"still": True}, ["1280 light still"]),
        ({"javascript": False}, []),
    ],
    ids=["plain", "width", "dark", "still", "javascript"],
)
def test_the_window_is_as_it_is_wanted(
    tmp_path: Path, wishes: dict[str, Any], seen: list[str]
) -> None:
    script = """
    const [dark, still] = ["prefers-color-scheme: dark", "prefers-reduced-motion: reduce"]
      .map((query) => matchMedia(`(${query})`).matches);
    console.error(innerWidth, dark ? "dark" : "light", still ? "still" : "lively");"""
    _, page = visit(tmp_path, script, **wishes)
    assert page["errors"] == seen
