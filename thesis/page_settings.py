"""Pages at other settings than the book's: which runs change, and what a page says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ebmlib.errors import InputError
from ebmlib.objectives.names import NAMES
from ebmlib.training.run import Run


def of_book(run: Run, names: Mapping[str, Any]) -> dict[str, Any]:
    """A run's values of a page's parameters, by name; None where it has no such part.

    Raises:
        InputError: a name that no run has.
    """
    table = run.table()
    known = {
        **{name: table.get(name) for name in ("lr", "z_dim", "h_dim", "reg_l1", "reg_l2")},
        **{name: table.get(name) for name in ("sgld_dim", "epochs")},
        "alpha": table.get("sgld_al"),
        "K": table.get("sgld_K"),
        "sigma": table.get("dataset_sigma"),
        "objective": next((n for n, kind in NAMES.items() if type(run.objective) is kind), None),
    }
    for name in names:
        if name not in known:
            raise InputError(f"A page has no parameter {name!r}; known: {', '.join(known)}.")
    return {name: known[name] for name in names}


def in_place(run: Run, book: Run, values: Mapping[str, Any]) -> Run:
    """A run with a page's values wherever it has the book's; what differs on purpose stays.

    The run itself comes back where no value is another, so that nothing is trained again.

    Args:
        run: one of the page's conditions.
        book: the condition that the page's defaults come from.
        values: the page's parameters.

    Raises:
        InputError: a value that the run cannot have.
    """
    default, own = of_book(book, values), of_book(run, values)
    new = {n: v if own[n] == default[n] else own[n] for n, v in values.items()}
    if new == own:
        return run
    if new.get("objective", own.get("objective")) != own.get("objective"):
        # It begins with its own defaults, so that every value of the page is given to it.
        run = run.with_(objective=new.pop("objective"))
        has = {f.name for f in fields(run.objective)}  # type: ignore[arg-type]
        for name in {"reg_l1", "reg_l2"} & new.keys() - has:
            if new.pop(name):
                raise InputError(f"{type(run.objective).__name__} has no {name}; set it to 0.")
    else:
        new = {name: value for name, value in new.items() if value != own[name]}
    named = {"dataset_sigma" if n == "sigma" else n: v for n, v in new.items() if v is not None}
    return run.with_(**named)


@dataclass(frozen=True)
class Note:
    """What a page says first where it was executed with other values than the book's.

    Its metadata tells the build which values these are: prose that reads the book's pictures is
    then left out (``workflow/page_settings.py``).

    Attributes:
        changes: the values that differ from the book's, by name.
        words: the same in words.
    """

    changes: Mapping[str, Any]
    words: str

    def __str__(self) -> str:
        return (
            f"This page was executed at {self.words}. What it draws from trained models is at "
            "these settings. Verdicts, and figures and numbers over seeds, were measured at the "
            "settings of the book and belong to those. A model that a comparison trains with "
            "another value keeps it."
        )

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        text = str(self)
        shown = {"text/plain": text, "text/markdown": f"> {text}"}
        return shown, {"ebmlib": {"changes": dict(self.changes)}}
