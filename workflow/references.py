"""A Sphinx extension: the thesis's references keep the numbers that they have in the thesis.

An entry of references.bib with ``thesis = {13}`` is reference [13] here, too; the others follow in
the order of their keys.
"""

from __future__ import annotations

from typing import Any

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


def setup(app: Any) -> dict[str, bool]:
    """Register the style under the name ``thesis``."""
    register_plugin("pybtex.style.sorting", "thesis", ThesisOrder)
    register_plugin("pybtex.style.formatting", "thesis", ThesisStyle)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
