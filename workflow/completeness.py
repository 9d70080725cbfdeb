"""Is the whole thesis in the built book? Every figure, table, algorithm, equation and claim of it.

A figure counts if a caption names its number, a claim if its box is there (those on drawings too);
the rest if a page names it. Tests and the build ask here, so that nothing is lost when a chapter
is rewritten.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from workflow.paths import WorkflowError

OTHERS = (
    "Table 4.1",
    "Algorithm 1",
    "Algorithm 2",
    *(f"Eq {number}" for number in ("2.1", "3.1", "3.2", "3.3", "3.4", "3.5", "4.1")),
)


def missing(html: Path) -> list[str]:
    """Return what a built book lacks, in the thesis's order; nothing if it is complete."""
    from bs4 import BeautifulSoup

    from thesis.claims import claims
    from thesis.figure import NUMBERS

    captions, text, boxes = "", "", set()
    for page in sorted((html / "book").rglob("*.html")):
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        article = soup.find("article") or soup
        captions += _plain(*article.find_all("figcaption"))
        text += _plain(article)
        boxes |= {str(found["id"]) for found in article.select("[id^=claim-]")}
    lacking = [f"Figure {n}" for n in NUMBERS if not _names(captions, n)]
    lacking += [f"claim {c.id}" for c in claims() if f"claim-{c.id.lower()}" not in boxes]
    return lacking + [item for item in OTHERS if not re.search(rf"{item}(?!\d)", text)]


def _plain(*elements: Any) -> str:
    """The words of elements, whatever the lines they were written in."""
    return re.sub(r"\s+", " ", " ".join(element.get_text(" ") for element in elements)) + " "


def _names(captions: str, number: str) -> bool:
    """Whether a caption says "Figure(s) ... 4.7 ... of the thesis"."""
    for found in re.finditer(
        r"Figures? ([\d.,\s]+?(?:(?:and|to|–)\s?[\d.]+)?) of the thesis", captions
    ):
        named = re.findall(r"\d\.\d+", found[1])
        if number in named:
            return True
        if re.search(r"to|–", found[1]) and len(named) == 2 and _between(number, *named):
            return True
    return False


def _between(number: str, first: str, last: str) -> bool:
    place = [tuple(map(int, n.split("."))) for n in (first, number, last)]
    return place[0] <= place[1] <= place[2]


def check(html: Path) -> None:
    """Fail unless the whole thesis is in a built book.

    Raises:
        WorkflowError: something is missing; the message names it.
    """
    lacking = missing(html)
    if lacking:
        raise WorkflowError(
            f"the built book lacks {', '.join(lacking)}; show it in its chapter (a caption says "
            "'Figure 4.7 of the thesis', a box is thesis.verdict(\"C27\"))"
        )
