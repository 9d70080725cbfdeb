"""An executed page at the book's settings, or at others: which of its prose stays.

A markdown cell tagged ``book-settings`` (in the source, ``+++ {"tags": ["book-settings"]}`` before
it) reads pictures or names values of the book. It is left out of a page whose cells say that they
were executed with other values (``thesis.page_settings.Note``). Cells tagged ``plane`` and ``grid``
are about pictures that need data of two, and of at most two, dimensions; ``other-dimensions``
stands in their place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

BOOK_ONLY = "book-settings"
"""Tag of prose that holds at the book's settings alone."""

OTHERWISE = "other-dimensions"
"""Tag of prose that stands in for what needs the plane."""

NAMED = "{glue:text}`at`"
"""Stands in a caption for the values that a figure is drawn at (``Companion.at``)."""

OF_THE_BOOK = "*Measured at the settings of the book, not at those of this page:*"

TAKE_AWAY = "{admonition} To take away"
"""Title of the box at a chapter's end; it sums up what was found at the book's settings."""


def changes(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The values that differ from the book's, as a notebook's outputs say; empty at the book's."""
    for output in _outputs(notebook):
        found = output.get("metadata", {}).get("ebmlib", {}).get("changes")
        if found:
            return dict(found)
    return {}


def _outputs(notebook: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [output for cell in notebook["cells"] for output in cell.get("outputs", [])]


def _without(output: Mapping[str, Any]) -> str | None:
    """What a sentence in place of a picture says that the data do not have."""
    found = output.get("metadata", {}).get("ebmlib", {}).get("left_out")
    return str(found) if found else None


def left_out(notebook: Mapping[str, Any]) -> set[str]:
    """``plane``, ``grid``: of which kind pictures were left out (``thesis.figures.laboratory``)."""
    return {kind for output in _outputs(notebook) if (kind := _without(output))}


def adapt(notebook: Any) -> Any:
    """Make an executed page true at its settings and data; at the book's nothing changes.

    Prose of the book's settings is left out, captions name the values or say that the results are
    the book's, alternative texts are those of the new pictures, and verdicts and the box of what to
    take away say whose they are.
    """
    changed = bool(changes(notebook))
    dropped = left_out(notebook) | ({BOOK_ONLY} if changed else set())
    if "plane" not in dropped:
        dropped.add(OTHERWISE)
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown" and dropped & set(cell["metadata"].get("tags", [])):
            continue
        if any(_without(output) for output in cell.get("outputs", [])):
            cell["metadata"].pop("mystnb", None)  # a sentence, and no figure with a caption
        if changed and cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            cell["source"] = text.replace(TAKE_AWAY, f"{TAKE_AWAY}, at the settings of the book")
        if changed and cell["cell_type"] == "code":
            _caption(cell)
            if ".verdict(" in "".join(cell["source"]):
                cells.append(_said(cell, OF_THE_BOOK))
        cells.append(cell)
    notebook["cells"] = cells
    return notebook


def _caption(cell: Any) -> None:
    """Name the values in a figure's caption, and describe the figure that was drawn."""
    about = cell["metadata"].get("mystnb", {})
    if "figure" not in about:
        return
    for output in cell.get("outputs", []):
        drawn = output.get("metadata", {}).get("ebmlib", {})
        caption = about["figure"].get("caption", "").rstrip()
        if settings := drawn.get("settings"):
            told = ", ".join(f"{name} = {value}" for name, value in settings.items())
            caption += "" if NAMED in caption else f" Drawn at {told}."
            alt = f"Figure {drawn['figure']}, drawn at {told}; its caption says what it shows."
            about["image"] = {"alt": alt}
        if any(name.startswith("results ") for name in drawn.get("from", {})):
            caption = f"{caption} What it shows over seeds was measured at the book's settings."
        about["figure"]["caption"] = f"{caption}\n"


def _said(cell: Any, text: str) -> Any:
    import nbformat

    made = nbformat.v4.new_markdown_cell(text)
    made["id"] = f"{cell.get('id', 'cell')}-settings"
    return made
