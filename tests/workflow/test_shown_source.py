"""Boxes with the source of figures, studies and rules: what is behind each, and that it is all."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from build_support import ROOT
from docutils import nodes

from thesis import claims, figures
from workflow import shown_source


@pytest.mark.parametrize("name", sorted({known.name for known in figures.figures().values()}))
def test_a_figure_s_box_holds_the_function_that_draws_it(name: str) -> None:
    known = figures.get(name)
    found = shown_source.of_figure(name)
    assert len(found) == 1 + len(known.studies)
    for function in found.values():
        text, path, line = shown_source.source_of(function)
        ast.parse(text)
        whole = (ROOT / path).read_text(encoding="utf-8").splitlines()
        assert path.startswith("thesis/") and whole[line - 1] == text.splitlines()[0]


def test_helpers_come_along() -> None:
    text, *_ = shown_source.source_of(figures.get("3.3").draw)
    defined = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    assert defined[0] == "point_estimate" and {"_from_origin", "_sampled", "_policy"} <= set(
        defined
    )


def test_every_claim_has_its_rule() -> None:
    for known in claims.claims():
        found = shown_source.of_verdict(known.id)
        text, path, _ = shown_source.source_of(found[f"judges claim {known.id}"])
        assert path.startswith("thesis/claims/") and f'"{known.id}"' in text, known.id


def cell(source: str, *figure: str, tags: tuple[str, ...] = ()) -> dict[str, object]:
    outputs = [{"metadata": {"ebmlib": {"figure": name}}} for name in figure]
    return {"source": source, "outputs": outputs, "metadata": {"tags": list(tags)}}


def test_cells_are_asked_for_what_they_show() -> None:
    asked = shown_source.asked_for
    assert list(asked(cell("thesis.figure(data)", "4.6"), {})) == ["draws Figure 4.6"]
    assert "judges claim C34" in asked(cell('thesis.verdict("C34")'), {})
    assert "judges claim C35" in asked(cell("thesis.verdict(claim)"), {"claim": "C35"})
    assert list(asked(cell("figure = panels.basin(a, b)"), {})) == ["draws the picture of basin"]
    assert asked(cell('thesis.verdict("C34")', tags=("remove-cell",)), {}) == {}
    assert asked(cell("x = 1"), {}) == {}


def test_a_box_is_closed_highlighted_and_leads_to_its_file(tmp_path: Path) -> None:
    first, block, last = shown_source.box("draws it", figures.get("4.6").draw, "../../")
    assert isinstance(block, nodes.literal_block) and block["language"] == "python"
    assert first.astext().startswith("<details") and " open" not in first.astext()
    assert 'href="../../_code/thesis/figures/dynamics.py.txt"' in last.astext()

    class App:
        outdir = str(tmp_path)

    (tmp_path / "page.html").write_text(last.astext(), encoding="utf-8")
    shown_source.copy_files(App, None)
    copied = tmp_path / "_code/thesis/figures/dynamics.py.txt"
    assert copied.read_text("utf-8") == (ROOT / "thesis/figures/dynamics.py").read_text("utf-8")
