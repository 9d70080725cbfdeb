"""The book's text: symbols, references to the thesis, bibliography, names, exercises."""

import re
import tomllib
from pathlib import Path

import jupytext
import pytest

from workflow import stage

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
LIST = tomllib.loads((BOOK / "chapters.toml").read_text(encoding="utf-8"))["chapter"]


def prose(path: Path) -> str:
    """A source's text without its code cells, with what chapters.toml puts into it."""
    cells = jupytext.read(path).cells
    text = "\n\n".join(
        cell.source if cell.cell_type == "markdown"
        else "\n".join(str(part) for part in walk(cell.metadata.get("mystnb", {})))
        for cell in cells
    )  # fmt: skip
    for chapter in LIST.values():
        if chapter["source"] == path.relative_to(ROOT).as_posix():
            text += "\n\n".join(("", *chapter.get("text", {}).values()))
    return text


def walk(value: object) -> list[object]:
    return [p for v in value.values() for p in walk(v)] if isinstance(value, dict) else [value]


SOURCES = {
    path: prose(path)
    for path in sorted(BOOK.rglob("*.md"))
    if "reference" not in path.parts and "node_modules" not in path.parts
}

# --- symbols ----------------------------------------------------------------------------------

FORMULA = re.compile(r"\$\$(.+?)\$\$|(?<![\\$`])\$([^$`]+?)\$(?!\$)", re.DOTALL)
CALLIGRAPHIC = re.compile(r"\\(mathbb|mathcal)\s*\{?\s*([A-Z])\}?")
NO_SYMBOLS = re.compile(
    r"\\(?:text|mathrm|operatorname\*?|begin|end|hspace|quad|qquad)\s*\{[^{}]*\}|\\mathrm d|`[^`]*`"
)
GREEK = ("alpha beta gamma delta varepsilon epsilon zeta eta theta kappa lambda mu nu xi rho "
         "sigma tau psi phi omega chi Gamma Delta Lambda pi ell").split()  # fmt: skip


def symbols(formula: str) -> set[str]:
    """The letters of a formula: Latin ones, Greek by name, ``mathbb E``, ``operatorname W``."""
    found = {f"{kind} {letter}" for kind, letter in CALLIGRAPHIC.findall(formula)}
    if re.search(r"\\operatorname\{W\}", formula):
        found.add("operatorname W")
    rest = NO_SYMBOLS.sub(" ", CALLIGRAPHIC.sub(" ", formula))
    commands = re.findall(r"\\([A-Za-z]+)", rest)
    found |= {name for name in commands if name in GREEK}
    return found | set(re.findall(r"[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", rest)))


def in_formulas(text: str) -> set[str]:
    return {s for double, single in FORMULA.findall(text) for s in symbols(double or single)}


def rows(page: str) -> list[list[str]]:
    lines = [line for line in page.splitlines() if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


SYMBOLS = (BOOK / "symbols.md").read_text(encoding="utf-8")
GENERAL, _, SPECIAL = SYMBOLS.partition("## On single pages")
EVERYWHERE = {s for row in rows(GENERAL)[1:] for s in in_formulas(row[0])}
ON_PAGES = {
    s: set(row[2].split(", ")) for row in rows(SPECIAL)[1:] for s in in_formulas(row[0])
}  # fmt: skip


def test_each_symbol_stands_once_in_the_table() -> None:
    named = [
        s for part in (GENERAL, SPECIAL) for row in rows(part)[1:] for s in in_formulas(row[0])
    ]
    assert len(named) == len(set(named)), sorted(s for s in set(named) if named.count(s) > 1)
    assert len(named) > 40


@pytest.mark.parametrize("path", [p for p in SOURCES if p.stem != "symbols"], ids=lambda p: p.stem)
def test_formulas_use_symbols_of_the_table_on_their_pages(path: Path) -> None:
    used = in_formulas(SOURCES[path])
    strange = {s for s in used - EVERYWHERE if path.stem not in ON_PAGES.get(s, set())}
    assert not strange, f"{path.name} uses {strange}, which book/symbols.md does not give it"


def test_every_symbol_of_the_table_is_used_where_it_says() -> None:
    used = {
        path.stem: in_formulas(text) for path, text in SOURCES.items() if path.stem != "symbols"
    }
    anywhere = set().union(*used.values())
    assert anywhere >= EVERYWHERE, EVERYWHERE - anywhere
    unused = {(s, page) for s, pages in ON_PAGES.items() for page in pages if s not in used[page]}
    assert not unused, unused


def test_the_reader_of_formulas_sees_letters_and_no_words() -> None:
    assert symbols(r"\pi_\theta(a \mid x) = \frac{1}{Z} \exp f") == {*"axZf", "pi", "theta"}
    assert symbols(r"\mathbb E_{\text{data}}\, \mathrm d a") == {"mathbb E", "a"}
    assert in_formulas("costs $x$ and\n\n$$\n\\rho^K\n$$ (eq-a)") == {"x", "rho", "K"}


# --- references to the thesis ------------------------------------------------------------------

# "section 4.2", "Eq 3.5", "Figure 4.7": the thesis's numbers, since Sphinx makes the book's own.
NUMBERED = re.compile(
    r"(?i)\b(sections?|chapters?|eqs?\.?|equations?|figures?|tables?)\s+"
    r"(\d+(?:\.\d+)*(?:(?:,\s|\s(?:and|to)\s|,\s(?:and|to)\s|\s?–\s?)\d+(?:\.\d+)*)*)"
)
BEFORE = re.compile(r"(?i)\bthesis(?:'s)?[\s(,:]+(?:[\w:]+\s+)?$|\bthesis\b[^.]{0,60}\bits\s$")
AFTER = re.compile(r"(?i)^[\s,]*(?:of|in) the thesis|^[^.\n]{0,20}\bof the thesis")


def unmarked(text: str) -> list[str]:
    """References by number that do not say that the number is the thesis's."""
    flat = re.sub(r"\s+", " ", text)
    return [
        flat[max(0, found.start() - 40) : found.end() + 30]
        for found in NUMBERED.finditer(flat)
        if not BEFORE.search(flat[: found.start()]) and not AFTER.search(flat[found.end() :])
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_a_number_of_the_thesis_is_marked_as_such(path: Path) -> None:
    assert not unmarked(SOURCES[path]), "\n".join(["", *unmarked(SOURCES[path])])


def test_bare_numbers_are_found_and_marked_ones_are_not() -> None:
    assert unmarked("by section 4.2, and Eq 3.5 says") != []
    marked = "thesis section 4.2, thesis Eq 3.5, Figure 4.7 of the thesis, Figures 4.8 to 4.11 of "
    marked += "the thesis"
    assert unmarked(marked) == []


# --- bibliography --------------------------------------------------------------------------------

CITED = {
    key
    for text in SOURCES.values()
    for keys in re.findall(r"\{cite:\w+\}`([^`]+)`", text)
    for key in re.split(r"[,\s]+", keys)
}


def test_every_entry_of_the_bibliography_is_cited_and_every_citation_has_an_entry() -> None:
    text = (BOOK / "references.bib").read_text(encoding="utf-8")
    entries = re.findall(r"(?m)^@\w+\{([^,]+),", text)
    assert len(entries) == len(set(entries))
    assert set(entries) == CITED, (set(entries) - CITED, CITED - set(entries))


# --- names that mean nothing to a reader -----------------------------------------------------

# Conditions such as noise/alpha-0.001-K-25, fields of rows such as EXP_return_0.1.
INTERNAL = re.compile(
    r"\b(?:noise|start|lr|depth|sigma|tail|fork|architecture|normalised)/[a-zA-Z][\w.-]*-[\w.-]+"
    r"|\b[A-Za-z]+_(?:late|early|return|largest|lowest)\w*\b(?!`)"
)


def test_internal_names_are_seen() -> None:
    assert INTERNAL.findall("as with noise/alpha-0.001-K-25, and EXP_return_0.1 is low") != []
    assert INTERNAL.findall("the noise level, and/or the early return") == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_no_internal_name_stands_in_the_text(path: Path) -> None:
    words = re.sub(r"\{glue:\w+\}`[^`]*`|\]\([^)]*\)|`[^`]*\.md`|\$[^$]*\$", "", SOURCES[path])
    assert not INTERNAL.findall(words), path.name


def test_every_page_of_the_contents_has_a_source() -> None:
    sources = {
        chapter.get("page", chapter["source"].removesuffix(".md")) for chapter in LIST.values()
    }
    for page in stage.toc_pages():
        assert page in sources or (ROOT / f"{page}.md").is_file(), page


# --- take-away boxes and exercises ----------------------------------------------------

PARTS = ("foundations", "method", "experiments")
TAUGHT = [p for p in SOURCES if p.parent.name in PARTS or p.stem in ("introduction", "conclusion")]


@pytest.mark.parametrize("path", TAUGHT, ids=lambda p: p.stem)
def test_a_chapter_ends_with_what_to_take_away(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("{admonition} To take away") == 1
    after = text.partition("{admonition} To take away")[2].partition("```")[2].strip()
    assert not after or after.startswith("## Exercises"), "the box stands before something else"


@pytest.mark.parametrize(
    "path", [p for p in TAUGHT if p.parent.name in ("foundations", "method")], ids=lambda p: p.stem
)
def test_a_chapter_has_three_to_five_exercises_whose_solutions_are_hidden(path: Path) -> None:
    text = path.read_text(encoding="utf-8").partition("## Exercises")[2]
    asked = re.findall(r"(?m)^\*\*(\d)\. [^*]+[.?]\*\* ", text)
    assert [int(number) for number in asked] == list(range(1, len(asked) + 1))
    assert 3 <= len(asked) <= 5
    assert text.count("{dropdown} Solution") == len(asked)
    cells = [c for c in jupytext.read(path).cells if c.cell_type == "code"]
    hidden = [c for c in cells if "hide-cell" in c.metadata.get("tags", [])]
    assert len(hidden) == text.count("{code-cell}") >= 1
