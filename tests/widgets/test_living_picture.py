"""The living picture: what it holds, and when it moves in a browser."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ebmlib import EXP, Demonstrations, InputError, Store, preset, rollout, seeding
from ebmlib.sampling.sgld import SGLD

widgets = pytest.importorskip("ebmlib.widgets", reason="needs anywidget")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Any:
    run = preset("circle").with_(z_dim=8, h_dim=16, epochs=5, sgld_K=10, sgld_dim=32)
    return Store(tmp_path_factory.mktemp("store")).train_or_load(run)


def test_its_frames_are_the_policys_trajectories(trained: Any) -> None:
    made = widgets.living_picture(trained, count=6, steps=9, population=4, seed=3)
    frames = base64.b64decode(re.search(r'data-frames="([^"]+)"', made.html)[1])
    drawn = np.frombuffer(frames, "<i2").reshape(6, 10, 2) / 10
    every = np.concatenate(trained.demonstrations.trajectories)
    centre = (every.min(axis=0) + every.max(axis=0)) / 2
    half = 0.6 * np.ptp(every, axis=0)
    scale = 0.92 * 300 / half.max()
    paths = drawn * (1, -1) / scale + centre
    starts = paths[:, 0]
    assert (np.abs(starts - centre) < half + 0.01).all()
    rng = np.random.default_rng(3)
    exact = torch.tensor(centre + half * rng.uniform(-1, 1, size=(6, 2)), dtype=torch.float32)
    policy = EXP(trained.model, SGLD(alpha=0.01, steps=10), population=4)
    expected = rollout(policy, exact, 9, generator=seeding.generator(3, "rollout")).states
    assert paths == pytest.approx(expected.double().numpy(), abs=0.06 / scale)


def test_it_is_small_and_asks_for_nothing(trained: Any) -> None:
    made = widgets.living_picture(trained)
    assert len(made.html) < 60_000
    assert "http" not in made.html and "<img" not in made.html
    assert made._repr_html_() == made.html and "32 trajectories" in repr(made)


def test_other_than_two_dimensions_is_refused(tmp_path: Path) -> None:
    line = np.linspace(0, 1, 9)[:, None]
    data = Demonstrations.from_arrays(
        [line, 2 * line], sigma=0.01, generator=np.random.default_rng(0)
    )
    run = preset("circle").with_(z_dim=4, h_dim=4, epochs=1, sgld_K=2, sgld_dim=8)
    trained = Store(tmp_path).train_or_load(run, demonstrations=data)
    with pytest.raises(InputError, match="draws data of 2 dimensions"):
        widgets.living_picture(trained)


def test_a_state_that_is_more_than_the_position_is_refused(tmp_path: Path) -> None:
    run = preset("circle").with_(z_dim=4, h_dim=4, epochs=1, sgld_K=2, sgld_dim=8)
    trained = Store(tmp_path).train_or_load(run.with_(features="position+clock"))
    with pytest.raises(InputError, match=r"position alone, and this one knows position\+clock"):
        widgets.living_picture(trained)


PAGE = """<!DOCTYPE html><html lang="en" data-theme="{theme}"><title>Page</title>
<link rel="icon" href="data:,"><body style="{body}"><h1>Page</h1>{picture}
<script>{script}</script></body></html>"""
# the page says whether the picture has moved, by an error: that is what a visit notes
MOVED = """addEventListener("load", () => {
  const now = () => document.querySelector(".ebm-live-dots").getAttribute("d");
  const before = now();
  setTimeout(() => console.error(now() === before ? "still" : "moved"), 1500);
});"""


@pytest.mark.browser
@pytest.mark.parametrize(
    ("wishes", "said"),
    [({}, ["moved"]), ({"still": True}, ["still"]), ({"javascript": False}, [])],
    ids=["plain", "no motion", "no scripts"],
)
def test_it_moves_unless_motion_is_not_wanted(
    trained: Any, tmp_path: Path, wishes: dict[str, Any], said: list[str]
) -> None:
    from browser_support import run_script, serving

    picture = widgets.living_picture(trained, count=4, steps=30).html
    text = PAGE.format(theme="light", body="", picture=picture, script=MOVED)
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    with serving(tmp_path) as top:
        address = f"{top}page.html"
        (page,) = run_script("visit.mjs", timeout=300, pages=[address], patience=12, **wishes)
    assert page["errors"] == said
    assert page["requests"] == [address]
