"""A Sphinx extension: references keep the thesis's numbers, and say on which pages they are cited.

An entry of references.bib with ``thesis = {13}`` is reference [13] here, too; the others follow in
the order of their keys. Behind each entry stand links to the pages that cite it.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style as UnsrtStyle
from pybtex.style.sorting import BaseSortingStyle


class ThesisOrder(BaseSortingStyle):
    """Sort by the number in the thesis, then by key."""

    def sorting_key(self, entry: Any) -> tuple[float, str]:
        """Return what an entry is sorted by."""
        return float(entry.fields.get("thesis", "inf")), entry.key


class ThesisStyle(UnsrtStyle):
    """The plain style in the thesis's order."""

    default_sorting_style = "thesis"


def link_back(app: Any, document: nodes.document, page: str) -> None:
    """Put links to the pages that cite an entry behind it."""
    domain = app.env.domains.get("cite")
    if domain is None:
        return
    here = [entry for entry in domain.citations if entry.bibliography_key.docname == page]
    keys = {entry.citation_id: entry.key for entry in here}
    for citation in document.findall(nodes.citation):
        key = next((keys[name] for name in citation["ids"] if name in keys), None)
        pages = dict.fromkeys(
            ref.docname
            for ref in domain.citation_refs
            if any(target.key == key for target in ref.targets)
        )
        if not pages:
            continue
        text = nodes.inline("", " Cited in: ", classes=["cited-in"])
        for number, name in enumerate(pages):
            title = app.env.titles[name].astext()
            address = app.builder.get_relative_uri(page, name)
            text += [nodes.Text(", ")] if number else []
            text += nodes.reference("", title, refuri=address, internal=True)
        text += nodes.Text(".")
        paragraphs = list(citation.findall(nodes.paragraph))
        (paragraphs[-1] if paragraphs else citation).append(text)


def setup(app: Any) -> dict[str, bool]:
    """Register the style under the name ``thesis``."""
    register_plugin("pybtex.style.sorting", "thesis", ThesisOrder)
    register_plugin("pybtex.style.formatting", "thesis", ThesisStyle)
    app.connect("doctree-resolved", link_back)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
