"""Whatever stands in a file, reading it gives a result or one sentence.

The number of examples of each test stands at it; with ``EBMLIB_FUZZ=20`` in the environment there
are twenty times as many, with other seeds.
"""

from __future__ import annotations

import io
import os
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from demonstrations.drawings import DRAWINGS, REFUSED, USES, content
from hypothesis import given, settings
from hypothesis import strategies as st

from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.demonstrations.recordings import read_recording
from ebmlib.demonstrations.svg import read_svg
from ebmlib.errors import InputError

LONGER = int(os.environ.get("EBMLIB_FUZZ", "1"))
POINTS = np.random.default_rng(0).normal(size=(20, 2)).cumsum(axis=0)


def outcome(read: Callable[[], Any]) -> bool:
    """Whether reading worked; what is raised otherwise is one sentence of the library."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            read()
    except InputError as error:
        text = str(error)
        assert text.endswith(".") and "\n" not in text and len(text) < 500, text
        assert "pickle" not in text
        return False
    return True


def written(write: Callable[..., Any], **arrays: Any) -> bytes:
    buffer = io.BytesIO()
    write(buffer, **arrays)
    return buffer.getvalue()


def lasa(buffer: io.BytesIO, compressed: bool) -> None:
    demos = np.empty((1, 2), dtype=object)
    for i in range(2):
        demos[0, i] = {"pos": POINTS.T, "t": np.arange(20.0)[None], "dt": 0.1}
    scipy.io.savemat(buffer, {"demos": demos}, do_compression=compressed)


def sound() -> dict[str, list[bytes]]:
    """Whole files of every kind."""
    rows = [f"{i // 10},{i},{x:.4f},{y:.4f}" for i, (x, y) in enumerate(POINTS)]
    clock = np.arange(20.0)
    drawings = DRAWINGS | USES | {name: body for name, (body, _) in REFUSED.items()}
    return {
        "npy": [written(lambda file: np.save(file, POINTS))],
        "npz": [
            written(np.savez, one=POINTS, one_t=clock, two=POINTS),
            written(np.savez_compressed, x=POINTS[:, 0], y=POINTS[:, 1], t=clock),
        ],
        "mat": [written(lasa, compressed=False), written(lasa, compressed=True)],
        "csv": ["\n".join(["demo,t,x,y", *rows]).encode()],
        "svg": [content(body).encode() for body in drawings.values()],
    }


SOUND = sound()


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A copy with bits flipped, bytes lost, repeated, or cut off at the end."""
    bytes_ = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        if not bytes_:
            break
        place = rng.randrange(len(bytes_) if rng.random() < 0.5 else min(len(bytes_), 160))
        what = rng.random()
        if what < 0.6:
            bytes_[place] ^= 1 << rng.randrange(8)
        elif what < 0.7:
            bytes_[place] = rng.randrange(256)
        elif what < 0.8:
            del bytes_[place : place + rng.randrange(1, 30)]
        elif what < 0.9:
            begin = rng.randrange(len(bytes_))
            bytes_[place:place] = bytes_[begin : begin + rng.randrange(1, 30)]
        else:
            del bytes_[max(1, place) :]
    return bytes(bytes_)


@pytest.mark.parametrize("kind", SOUND)
def test_damaged_files_are_read_or_refused(tmp_path: Path, kind: str) -> None:
    """400 damaged files of each of five kinds."""
    rng = random.Random(f"{kind} {LONGER}")
    path = tmp_path / f"a.{kind}"
    counts = {True: 0, False: 0}
    for _ in range(400 * LONGER):
        path.write_bytes(damaged(rng.choice(SOUND[kind]), rng))
        counts[outcome(lambda: Demonstrations.from_recording(read_recording(path), steps=9))] += 1
    assert counts[True] > 10 and counts[False] > 100, counts  # the damage is neither none nor total


def test_sound_files_are_read(tmp_path: Path) -> None:
    for kind in ("npy", "npz", "mat", "csv"):
        for data in SOUND[kind]:
            (tmp_path / f"a.{kind}").write_bytes(data)
            assert read_recording(tmp_path / f"a.{kind}").positions


numbers = st.one_of(
    st.integers(-200, 200).map(str),
    st.floats(-1e3, 1e3).map(lambda x: f"{x:g}"),
    st.sampled_from(
        [".5", "-.5", "1e3", "1e-9", "+7", "1e400", "nan", "", "5.", "10%", "1e9", "0"]
    ),
)
path_data = st.lists(
    st.one_of(
        numbers, st.sampled_from([*"MmLlHhVvCcSsQqTtAaZz", ",", " ", "M 1 1", "z", "x", "01"])
    ),
    max_size=30,
).map(" ".join)
values = st.one_of(
    numbers,
    st.sampled_from(
        [
            *("none", "inherit", "initial", "unset", "auto", "red", "url(#a)", "url(", "var(--a)"),
            *("a", "#a", "objectBoundingBox", "visible"),
            *("calc(1px + 2%)", "calc((", "rotate(3)", "matrix(1 0 0 1 0 0)", "scale(0)", "5em"),
            *(
                "3mm",
                "hidden",
                "inline",
                "50%",
                "transparent",
                "rgb(0 0 0 / 0)",
                "path('M0 0L9 9')",
            ),
        ]
    ),
    st.text(max_size=12).filter(lambda text: not set(text) & set('<&"\0')),
)
NAMES = [
    *(
        "d",
        "points",
        "x",
        "y",
        "width",
        "height",
        "rx",
        "ry",
        "cx",
        "cy",
        "r",
        "x1",
        "y1",
        "x2",
        "y2",
    ),
    *("transform", "transform-origin", "style", "class", "display", "visibility", "fill", "stroke"),
    *(
        "stroke-width",
        "opacity",
        "viewBox",
        "preserveAspectRatio",
        "href",
        "data-t",
        "font-size",
        "id",
    ),
    *("systemLanguage", "requiredExtensions", "clip-path", "clip-rule", "mask", "overflow"),
    *("clipPathUnits", "maskUnits", "gradientUnits"),
]
TAGS = ["path", "line", "polyline", "polygon", "rect", "circle", "ellipse", "g", "svg", "switch",
        "use", "a", "defs", "symbol", "style", "text", "clipPath", "mask",
        "linearGradient"]  # fmt: skip


sheets = st.lists(
    st.sampled_from(
        [*"{}();:,.#@*>+~ -[]='\"/\\0%!", "path", "line", "display", "none", "fill", "red",
         "@media", "screen", "and", "print", "var(--a)", "--a:", "url(", "\n", "/*", "*/", ":not(",
         "important", "transform:"]
    ),
    max_size=40,
).map("".join)  # fmt: skip


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    """An element with any attributes and children."""
    name = draw(st.sampled_from(TAGS))
    attributes = draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=5))
    if name == "path":
        attributes["d"] = draw(path_data)
    if draw(st.booleans()):
        styles = draw(st.dictionaries(st.sampled_from([*NAMES, "--a", "all"]), values, max_size=3))
        attributes["style"] = ";".join(f"{k}:{v}" for k, v in styles.items())
    written_out = "".join(
        f' {key}="{"".join(c for c in value if c.isprintable())}"'
        for key, value in attributes.items()
    )
    children = draw(st.lists(elements(depth=depth - 1), max_size=3)) if depth else []
    return f"<{name}{written_out}>{''.join(children)}</{name}>"


@settings(max_examples=300 * LONGER, deadline=None)
@given(body=st.lists(elements(), min_size=1, max_size=4))
@pytest.mark.slow
def test_any_tree_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, body: list[str]
) -> None:
    """300 trees of any elements, attributes and styles."""
    path = tmp_path_factory.mktemp("fuzz") / "a.svg"
    path.write_text(content("".join(body)), encoding="utf-8")
    outcome(lambda: read_svg(path))


@settings(max_examples=400 * LONGER, deadline=None)
@given(data=path_data)
def test_any_path_data_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: str
) -> None:
    """400 texts of path data."""
    path = tmp_path_factory.mktemp("fuzz") / "a.svg"
    path.write_text(content(f'<path d="{data}" fill="none" stroke="red"/>'), encoding="utf-8")
    if outcome(lambda: read_svg(path)):
        for stroke in read_svg(path).strokes:
            assert np.isfinite(stroke).all() and len(stroke) > 1


@settings(max_examples=200 * LONGER, deadline=None)
@given(sheet=sheets)
def test_any_style_sheet_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, sheet: str
) -> None:
    """200 style sheets."""
    path = tmp_path_factory.mktemp("fuzz") / "a.svg"
    text = sheet.replace(">", "&gt;")
    path.write_text(content(f"<style>{text}</style>{DRAWINGS['line']}"), encoding="utf-8")
    outcome(lambda: read_svg(path))
