"""The map from the thesis to the book: complete, and every entry leads somewhere."""

import re
from pathlib import Path

import pytest

from thesis import contents
from thesis.claims import claims
from thesis.figure import NUMBERS
from workflow import completeness, stage

BOOK = Path(__file__).resolve().parents[2] / "book"


def test_every_page_of_the_map_is_in_the_book() -> None:
    pages = {page for _, page in contents.SECTIONS.values()} | set(contents.OTHERS.values())
    assert {f"book/{page}" for page in pages} <= set(stage.toc_pages())


def test_every_equation_of_the_map_has_its_label() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in BOOK.rglob("*.md"))
    for name in contents.EQUATIONS.values():
        assert text.count(f"$$ ({name})") == 1, name


def test_the_map_lists_what_the_build_asks_for() -> None:
    listed = {f"Eq {number}" for number in contents.EQUATIONS} | set(contents.OTHERS)
    assert listed == set(completeness.OTHERS)


def test_every_claim_and_every_figure_is_on_the_map() -> None:
    text = contents.ThesisMap()._repr_markdown_()
    for claim in claims("C"):
        assert f"<claim-{claim.id.lower()}>" in text, claim.id
    shown = re.findall(r"\d\.\d+", " ".join(re.findall(r"\| Figures? ([^|]*) of the thesis", text)))
    assert sorted(shown) == sorted(NUMBERS)


def test_a_subsection_belongs_to_the_section_above_it() -> None:
    assert contents.section_of("2.3.2") == "2.3"
    assert contents.section_of(" 4.4.1") == "4.4.1"
    with pytest.raises(KeyError):
        contents.section_of("9.9")
