"""Chapters: long prose, short cells; figures are described, numbers come from cells."""

import json
import re
import statistics
import tomllib
from pathlib import Path

import jupytext
import pytest

from thesis.display import label

ROOT = Path(__file__).resolve().parents[2]
LIST = tomllib.loads((ROOT / "book/chapters.toml").read_text(encoding="utf-8"))
SOURCES = sorted({chapter["source"] for chapter in LIST["chapter"].values()})


def cells(source: str, kind: str) -> list:
    notebook = jupytext.read(ROOT / source)
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def lines(cell) -> int:
    return sum(bool(line.strip()) for line in cell.source.splitlines())


@pytest.mark.parametrize("source", SOURCES)
def test_cells_are_short_and_prose_is_long(source):
    kinds = [(cell, cell.metadata.get("tags", [])) for cell in cells(source, "code")]
    code = [lines(cell) for cell, tags in kinds if "parameters" not in tags]
    words = sum(len(cell.source.split()) for cell in cells(source, "markdown"))
    assert statistics.median(code) <= 6, f"median cell {statistics.median(code)} lines"
    assert max(code) <= 15, f"longest cell {max(code)} lines: move it into the library"
    assert words >= 10 * sum(code), f"{words} words for {sum(code)} lines of code"


DRAWS = re.compile(r"(?:^|\n)(?:figure|thesis\.figure\(.+\))$")


@pytest.mark.parametrize("source", SOURCES)
def test_every_figure_has_caption_name_and_alternative_text(source):
    for cell in cells(source, "code"):
        if not DRAWS.search(cell.source.rstrip()):
            continue
        about = cell.metadata.get("mystnb", {})
        assert about.get("figure", {}).get("caption"), cell.source
        assert about.get("figure", {}).get("name"), cell.source
        assert len(about.get("image", {}).get("alt", "").split()) >= 10, (
            "alt text says what it shows"
        )


@pytest.mark.parametrize("source", SOURCES)
def test_a_registered_figure_is_shown_under_its_own_label(source):
    """The claims page links to figures by these labels."""
    for cell in cells(source, "code"):
        for name in re.findall(r'thesis\.figure\("([^"]+)"\)', cell.source):
            shown = cell.metadata["mystnb"]["figure"]["name"]
            assert "<<" in name or shown == label(name), f"{source}: {shown}"


@pytest.mark.parametrize("source", SOURCES)
def test_every_cell_that_makes_a_figure_ends_by_showing_it(source):
    for cell in cells(source, "code"):
        if "figures.new(" in cell.source:
            assert cell.source.rstrip().endswith("\nfigure"), cell.source


@pytest.mark.parametrize("source", SOURCES)
def test_glued_numbers_are_used_and_used_numbers_are_glued(source):
    code = "\n".join(cell.source for cell in cells(source, "code"))
    prose = "\n".join(cell.source for cell in cells(source, "markdown"))
    chapters = [each for each in LIST["chapter"].values() if each["source"] == source]
    prose += "".join(text for each in chapters for text in each.get("text", {}).values())
    prose += json.dumps([cell.metadata for cell in cells(source, "code")])
    used = set(re.findall(r"\{glue:text\}`([^`:]+)", prose))
    glued = set(re.findall(r"glue\(f?\"([^\"]+)\"", code))
    patterns = {re.compile(re.sub(r"\\\{[^}]*\\\}", ".+", re.escape(name))) for name in glued}
    assert all(any(p.fullmatch(name) for p in patterns) for name in used)
    assert all(any(p.fullmatch(name) for name in used) for p in patterns)


def test_figure_names_are_unique():
    names = [
        cell.metadata["mystnb"]["figure"]["name"]
        for source in SOURCES
        for cell in cells(source, "code")
        if "figure" in cell.metadata.get("mystnb", {})
    ]
    assert len(names) == len(set(names))
