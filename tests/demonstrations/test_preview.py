"""The small picture of demonstrations, and what the command line says of what it reads."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from ebmlib import cli
from ebmlib.demonstrations.preview import BLANK, preview
from ebmlib.demonstrations.svg import write_svg

TURN = np.linspace(0, 2 * np.pi, 200)
CIRCLE = np.stack([np.cos(TURN), np.sin(TURN)], axis=1)
SMALL = ["--set", "epochs=1", "sgld_K=2", "h_dim=8", "z_dim=4"]


def dots(picture: str) -> np.ndarray:
    """Where the dots of a braille picture are, (n, 2) with y upwards."""
    found = []
    for i, line in enumerate(picture.split("\n")):
        for j, character in enumerate(line):
            code = ord(character) - BLANK
            assert 0 <= code < 256
            for bit, (row, column) in enumerate(
                [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1), (3, 0), (3, 1)]
            ):
                if code >> bit & 1:
                    found.append((2 * j + column, -(4 * i + row)))
    return np.array(found, dtype=float)


def test_a_circle_is_round_and_whole() -> None:
    points = dots(preview([CIRCLE]))
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    away = np.linalg.norm(points - middle, axis=1)
    assert away.max() - away.min() < 2 and away.mean() > 38  # 80 dots high
    angles = np.sort(np.arctan2(*(points - middle).T))
    assert np.diff(angles).max() < 0.1


def test_up_is_up_and_strokes_are_joined() -> None:
    for width, height in ((60, 20), (7, 3), (1, 1)):
        points = dots(preview([np.array([[0.0, 0], [1, 1]])], width=width, height=height))
        assert (np.diff(points[np.argsort(points[:, 0])][:, 1]) >= 0).all()
        assert len(points) == np.ptp(points[:, 0]) + 1


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_any_dimension_fits_and_plain_characters_do(dim: int) -> None:
    rng = np.random.default_rng(dim)
    trajectories = [rng.normal(size=(9, dim)).cumsum(axis=0) for _ in range(3)]
    for plain in (False, True):
        lines = preview(trajectories, width=30, height=10, plain=plain).split("\n")
        assert 0 < len(lines) <= 10 and max(map(len, lines)) <= 30
        assert not plain or ("".join(lines).isascii() and "o" in "".join(lines))


def run(*arguments: str) -> int:
    with warnings.catch_warnings():  # the command line replaces how warnings are shown
        shown = warnings.showwarning
        try:
            return cli.main(list(arguments))
        finally:
            warnings.showwarning = shown


@pytest.mark.slow
def test_train_says_in_one_line_what_was_read_and_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "walk.csv"
    rows = [f"a,{i},{x},{y},{t}" for i, ((x, y), t) in enumerate(zip(CIRCLE, TURN, strict=True))]
    path.write_text("\n".join(["demo,n,right,up,when", *rows]))
    chosen = ["--columns", "right, up", "--time", "when"]
    assert run("train", str(path), *chosen, *SMALL, "--preview") == 0
    out, err = capsys.readouterr()
    (line,) = [line for line in err.split("\n") if line.startswith("ebmlib: walk:")]
    for part in (
        "20 copies of one path",
        "columns right, up",
        "101 samples in 2 dimensions",
        "6.28",
    ):
        assert part in line
    assert sum(ord(c) > BLANK for c in out) > 40 or "***" in out
    assert run("sample", str(path), *chosen, *SMALL, "--steps", "3") == 0
    out, err = capsys.readouterr()
    assert out.startswith("trajectory,step,x,y\n0,0,0.0,0.0\n") and "ebmlib: walk:" in err


def test_a_preview_goes_to_a_file_and_never_over_the_drawing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawing, picture = tmp_path / "two.svg", tmp_path / "seen.svg"
    write_svg(drawing, [CIRCLE, 2 * CIRCLE])
    before = drawing.read_bytes()
    assert run("train", str(drawing), *SMALL, "--preview", str(picture)) == 0
    assert "<svg" in picture.read_text()
    assert "2 demonstrations (from 2 paths)" in capsys.readouterr().err
    for bad in (drawing, tmp_path / "a.txt"):
        assert run("train", str(drawing), *SMALL, "--preview", str(bad)) == 2
        assert "--preview takes a new file" in capsys.readouterr().err
    assert drawing.read_bytes() == before
    assert run("train", str(drawing), "--columns", "x,y", *SMALL) == 2
    assert run("train", str(drawing), "--columns", "x,,y", *SMALL) == 2
    assert "names separated by commas" in capsys.readouterr().err
