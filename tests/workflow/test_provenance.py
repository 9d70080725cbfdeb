"""Every figure of the built book says where it comes from, and leads to the code that drew it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

from workflow import chapters
from workflow.provenance import describe, parameters


def notebook(*cells: tuple[str, list[str]]) -> dict[str, Any]:
    return {"cells": [{"source": text, "metadata": {"tags": tags}} for text, tags in cells]}


def test_what_the_build_injects_replaces_a_chapters_own_parameters() -> None:
    given = notebook(
        ("seed = 0\nK: int = 100\npath = some.call()\n", ["parameters"]),
        ("other = 1", []),
        ("K = 20", ["injected-parameters"]),
    )
    assert parameters(given) == {"seed": 0, "K": 20}


@pytest.mark.parametrize(
    ("commit", "told"),
    [("abc", "commit abc."), ("abc-dirty", "abc with local changes."), (None, "commit unknown.")],
)
def test_a_line_tells_data_seed_configuration_and_commit(commit: str | None, told: str) -> None:
    record = {"profile": "full", "commit": commit}
    values = {"K": 20, "seed": 3, "device": "cuda", "dataset": "path1", "alphas": [0.1, 1]}
    line = describe(record, values)
    assert line.startswith("Data set path1, seed 3, K 20, alphas 0.1 1, profile full on cuda, ")
    assert line.endswith(told)


def test_a_figure_that_knows_its_models_names_them_and_counts_the_rest() -> None:
    record = {"profile": "default", "commit": "abc"}
    models = {f"noise/alpha-{i}, seed 0": f"{i}2345678abc" for i in range(6)}
    line = describe(record, {"seed": 3}, models)
    assert line.startswith("Drawn from noise/alpha-0, seed 0 (02345678); noise/alpha-1")
    assert "; 2 more models, profile default, commit abc." in line
    assert "seed 3" not in line
    # a closed form on a page with parameters depends on none of them
    assert describe(record, {"seed": 3}, {}) == "Profile default, commit abc."


def drawn_from(cell: dict[str, Any]) -> dict[str, str] | None:
    """What a cell's figures say that they were drawn from; None if they say nothing."""
    found: dict[str, str] | None = None
    for output in cell.get("outputs", []):
        said = output.get("metadata", {}).get("ebmlib", {}).get("from")
        if said is not None:
            found = (found or {}) | said
    return found


def test_every_figure_of_a_chapter_leads_to_the_code_that_drew_it(smoke_book: Path) -> None:
    seen = 0
    for chapter in chapters.load():
        executed = json.loads((smoke_book / "_sources" / f"{chapter.page}.ipynb").read_text())
        record = executed["metadata"]["ebmlib"]
        page = BeautifulSoup((smoke_book / f"{chapter.page}.html").read_text(), "html.parser")
        for figure in page.select("article figure:not(.ebmlib-picture, .ebm-live)"):
            seen += 1
            lines = figure.select("figcaption .provenance")
            assert len(lines) == 1, f"{chapter.page}: {figure.get('id')} has {len(lines)}"
            text = lines[0].get_text()
            assert figure.select("figcaption")[0].get_text().strip().endswith(text.strip())
            address = str(lines[0].a["href"]) if lines[0].a else ""
            # This page's own code: the cell's output, next to the code, holds the figure.
            code = page.find(id=address.removeprefix("#"))
            assert code is not None, f"{chapter.page}: no {address}"
            cell = code.find_parent(class_="cell")
            assert cell is not None and figure in cell.select("figure")
            shown = code.get_text()
            made_by = [
                cell
                for cell in executed["cells"]
                if shown.strip() == "".join(cell["source"]).strip()
            ]
            assert made_by
            assert any(
                describe(record, parameters(executed), drawn_from(c)) in text for c in made_by
            )
    assert seen >= 30  # the thesis alone has as many
