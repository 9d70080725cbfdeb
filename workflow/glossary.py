"""A Sphinx extension: the first use of a glossary's word on a page is linked and explained.

The words are read from book/glossary.md. Links are made in running text only: not in titles, code,
captions, tables and formulas, nor where there is a link already. The meaning is the link's title,
which a browser shows when the pointer rests on it and a screen reader can read.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes

PAGE = "book/glossary"
OUTSIDE = (
    nodes.title, nodes.literal, nodes.literal_block, nodes.caption, nodes.table, nodes.reference,
    nodes.math, nodes.math_block, nodes.legend, nodes.raw, nodes.rubric,
)  # fmt: skip


def words(text: str) -> dict[str, str]:
    """The glossary's words with the first sentence of what they mean, formulas in plain signs."""
    found = {}
    body = text.partition("```{glossary}")[2].rpartition("```")[0]
    for block in re.split(r"\n\n(?=\S)", body.strip("\n")):
        word, _, meaning = block.partition("\n")
        found[word.strip()] = _plain(" ".join(meaning.split()))
    return found


def _plain(meaning: str) -> str:
    for command, sign in {"alpha": "α", "pi": "π", "propto": "∝", "exp": "exp"}.items():
        meaning = re.sub(rf"\\{command}\b", sign, meaning)
    meaning = re.sub(r"\\sqrt\{([^{}]*)\}", r"√(\1)", meaning)
    return re.sub(r"[$*\\`]|(?<=[a-z])_(?=[a-z{])|[{}]", "", meaning)


def pattern(known: dict[str, str]) -> re.Pattern[str]:
    """Finds any of the words, the longest first, also in the plural and at a sentence's start."""
    longest = sorted(known, key=len, reverse=True)
    return re.compile(
        r"\b(" + "|".join(re.escape(word) for word in longest) + r")(?:s|es)?\b", re.I
    )


def link_words(app: Any, document: nodes.document) -> None:
    """Link the first use of each word on a page of prose."""
    page = app.env.docname
    if page in (PAGE, "book/symbols", "book/bibliography") or page.startswith("book/reference/"):
        return
    path = Path(app.srcdir) / f"{PAGE}.md"
    if not path.is_file():
        return
    app.env.note_dependency(str(path))
    known = words(path.read_text(encoding="utf-8"))
    finder, left = pattern(known), {word.lower(): word for word in known}
    for text in list(document.findall(nodes.Text)):
        if left and isinstance(text.parent, nodes.paragraph) and not _outside(text):
            _link(text, finder, left, known, "../" * page.count("/") + f"{PAGE}.html")


def _outside(text: nodes.Text) -> bool:
    parent = text.parent
    while parent is not None:
        if isinstance(parent, OUTSIDE):
            return True
        parent = parent.parent
    return False


def _link(
    text: nodes.Text,
    finder: re.Pattern[str],
    left: dict[str, str],
    known: dict[str, str],
    page: str,
) -> None:
    """Put links into the place of a text's first uses of words that are still ``left``."""
    plain, pieces, last = text.astext(), [], 0
    for found in finder.finditer(plain):
        word = left.pop(found[1].lower(), None)
        if word is None:
            continue
        pieces.append(nodes.Text(plain[last : found.start()]))
        target = f"{page}#{anchor(word)}"
        pieces.append(
            nodes.reference("", found[0], refuri=target, internal=True, classes=["glossary-word"],
                            reftitle=known[word])
        )  # fmt: skip
        last = found.end()
    if pieces:
        text.parent.replace(text, [*pieces, nodes.Text(plain[last:])])


def anchor(word: str) -> str:
    """The anchor that Sphinx gives to a word of the glossary."""
    return "term-" + re.sub(r"[^A-Za-z0-9]+", "-", word).strip("-")


def setup(app: Any) -> dict[str, bool]:
    """Link as soon as a page has been read, before provenance is added to its figures."""
    app.connect("doctree-read", link_words, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
