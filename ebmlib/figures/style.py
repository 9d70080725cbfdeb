"""The style of all figures, and how they are made and saved."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from ebmlib import files
from ebmlib.errors import InputError

_STYLE = Path(__file__).with_name("ebmlib.mplstyle")

COLOURS = {
    "demonstration": "#8c8c8c",
    "reference": "#333333",
    "ML": "#D55E00",
    "EXP": "#0072B2",
    "DRAW": "#009E73",
    "data": "#009E73",
    "chain": "#0072B2",
    "limit": "#D55E00",
}
"""Meaning -> colour, the same in every figure (Okabe and Ito's palette and greys)."""


def use_style() -> None:
    """Draw in the library's style from here on (a chapter's first cell)."""
    mpl.rcParams.update(mpl.rc_params_from_file(_STYLE, use_default_template=False))


@contextmanager
def using_style() -> Iterator[None]:
    """Draw in the library's style within the block."""
    with mpl.rc_context(fname=_STYLE):
        yield


class _NotebookFigure(Figure):
    """A figure that a notebook shows as PNG, without pyplot and its global state.

    Attributes:
        provenance: JSON-ready data on what was drawn; kept in the notebook beside the picture.
    """

    provenance: Mapping[str, Any] | None = None

    def _repr_mimebundle_(self, *_: Any, **__: Any) -> tuple[dict[str, bytes], dict[str, Any]]:
        content = io.BytesIO()
        with using_style():
            self.savefig(content, format="png")
        width = round(self.get_figwidth() * 100)
        metadata: dict[str, Any] = {"image/png": {"width": width}}
        if self.provenance is not None:
            metadata["ebmlib"] = dict(self.provenance)
        return {"image/png": content.getvalue()}, metadata


def new(
    rows: int = 1, columns: int = 1, *, width: float = 7.0, height: float = 3.2, **options: Any
) -> tuple[Figure, Any]:
    """A figure in the library's style with its axes (one, or an array of them); sizes in inches.

    Made without pyplot, so figures are neither shown twice nor kept alive in a notebook.
    """
    place = next(_parts.get(iter(())), None)
    with using_style():
        figure = _NotebookFigure(figsize=(width, height)) if place is None else place
        axes = figure.subplots(rows, columns, **options)
    return figure, axes  # type: ignore[return-value]


_parts: ContextVar[Iterator[SubFigure]] = ContextVar("parts of a figure of figures")


def repeated(draw: Sequence[Callable[[], Figure]], titles: Sequence[str]) -> Figure:
    """Figures of one size below each other in one figure, each under its title.

    Args:
        draw: functions that each make one figure by :func:`new`.
        titles: as many.
    """
    first = draw[0]()
    width, height = first.get_figwidth(), first.get_figheight() + 0.3
    with using_style():
        sheet = _NotebookFigure(figsize=(width, height * len(draw)))
        parts = sheet.subfigures(len(draw), 1, squeeze=False)[:, 0]
    for part, each, title in zip(parts, draw, titles, strict=True):
        token = _parts.set(iter([part]))
        try:
            each()
        finally:
            _parts.reset(token)
        part.suptitle(title)
    return sheet


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF, by its ending; the file is replaced whole or not at all.

    Raises:
        InputError: another ending. StoreError: the file cannot be written.
    """
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"A figure's file must end in .png, .svg or .pdf, got {str(path)!r}.")
    content = io.BytesIO()
    with using_style():
        figure.savefig(content, format=path.suffix.lower().removeprefix("."))
    files.write_bytes(path, content.getvalue())


def legend_below(figure: Figure) -> None:
    """One legend under all panels: it covers nothing and lists every name once."""
    named: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(label, handle)
    # Rows of nearly equal length, at most four names in each.
    rows = -(-len(named) // 4)
    columns = -(-len(named) // max(1, rows))
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=max(1, columns))


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Axis labels, with their units."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
