"""Where the verdicts on claims flip: every bound and every part of every rule.

    python tests/thesis_bounds.py           find the flips again and write bounds.json (minutes)
    python tests/thesis_bounds.py C27 C29   those of these claims only; the others stay
    python tests/thesis_bounds.py elsewhere those of the searches at other settings

A rule is looked at from outside. Starting from the committed rows, one quantity that the judge
reads is set to another value, in one condition, for all seeds (which then differ by a few per cent,
so that the two ends of an interval are two numbers) or for one seed alone (so that "in every seed"
and "in some" are two rules). Between two values with different verdicts lies a bound, which is
found by bisection. ``test_bounds.py`` judges on both sides of every bound that is noted in
``bounds.json``: a rule that asks for the other end of an interval, that joins its parts by another
word, or that has lost one of them, has its bounds elsewhere.

Whoever changes a rule on purpose writes the file again, and the difference shows what changed.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from thesis import claims, measured
from thesis.claim import Claim
from thesis.search import Search
from thesis.study import Results

FILE = Path(__file__).parent / "thesis" / "bounds.json"
SIDES = 2e-3
"""So far from a bound, relatively, both sides are judged."""

SPREAD = 0.03
GRID = (
    *(-10.0, -1.0, -0.1, 0.0, 1e-6, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.75, 0.87, 0.93),
    *(0.97, 1.0, 1.04, 1.08, 1.2, 1.7, 2.5, 4.0, 7.0, 15.0, 50.0, 85.0, 100.0, 1e3, 1e4, 1e6),
)
Change = tuple[str, str, str, int | str | None, str]
"""Study, condition (``"*"``: each), quantity, which number of a list (None: it is a number;
``"*"``: each), and ``"all"`` seeds or ``"one"``."""

Judged = Claim | Search


def name_of(judged: Judged) -> str:
    """``"C27"``, or ``"C27 elsewhere"`` for a search."""
    return judged.id if isinstance(judged, Claim) else f"{judged.claim} elsewhere"


def everything() -> dict[str, Judged]:
    """All claims and searches by name."""
    both = [*claims.claims(), *claims.searches().values()]
    return {name_of(each): each for each in both}


def committed(judged: Judged) -> dict[str, Results]:
    """The results that the judge gets, as they are committed."""
    return {name: measured.load(name, measured.COMMITTED) for name in judged.studies}


def outcome(judged: Judged, results: Mapping[str, Results]) -> str:
    """What the judge says, as one text: the outcome and its range, or the settings that hold."""
    with np.errstate(all="ignore"):
        found = judged.judge(*(results[name] for name in judged.studies))
    if isinstance(judged, Claim):
        return f"{found.outcome} {found.where}".strip()
    return "; ".join(each.where for each in found if each.holds) or "nowhere"


def says(judged: Judged, results: Mapping[str, Results]) -> str:
    """The numbers and what is said of them."""
    with np.errstate(all="ignore"):
        found = judged.judge(*(results[name] for name in judged.studies))
    if isinstance(judged, Claim):
        told = " | ".join(" ".join(row) for row in found.table)
        return f"{found.number.text(4) if found.number else ''} | {found.reading} | {told}"
    return "; ".join(f"{each.setting} {each.number.text(4)}" for each in found)


def changed(results: Mapping[str, Results], change: Change, value: float) -> dict[str, Results]:
    """The results with one quantity set to about ``value``."""
    study, condition, quantity, place, seeds = change
    old, rows = results[study], []
    first = min(row["seed"] for row in old.rows)
    for row in old.rows:
        chosen = condition in ("*", row["condition"]) and quantity in row
        if chosen and (seeds == "all" or row["seed"] == first + 1):
            # as large for the second seed as it is said; the others lie on both sides of it
            own = 0.0 if seeds == "one" else SPREAD * np.sin(2.4 * (row["seed"] - first - 1))
            number = float(value * (1 + own))
            new: Any = number
            if place == "*":
                new = [number] * len(row[quantity])
            elif place is not None:
                new = list(row[quantity])
                new[place] = number
            row = {**row, quantity: new}
        rows.append(row)
    return {**results, study: Results(old.study, tuple(rows), old.provenance)}


def apply(judged: Judged, base: list[list[Any]]) -> dict[str, Results]:
    """The committed results with the changes of a base: lists of a change and its value."""
    results = committed(judged)
    for change, value in base:
        results = changed(results, tuple(change), value)
    return results


def differs(judged: Judged, starts: list[dict[str, Any]]) -> str:
    """The first bound that is elsewhere than noted, or nothing."""
    for start in starts:
        results = apply(judged, start["from"])
        if (found := outcome(judged, results)) != start["verdict"]:
            return f"from {start['from']}: {found}, and it was {start['verdict']}"
        if (found := says(judged, results)) != start["says"]:
            return f"from {start['from']} it says {found}, and it said {start['says']}"
        for *change, bound, below, above in start["bounds"]:
            for sign, told in ((-1, below), (1, above)):
                value = bound * (1 + sign * SIDES * np.sign(bound))
                found = outcome(judged, changed(results, tuple(change), value))
                if found != told:
                    return f"{change} set to {value:.6g}: {found}, and it was {told}"
    return ""


# --- finding them ---------------------------------------------------------------------------------


class _Spy(dict[str, Any]):
    """A row that notes what is read of it."""

    def __init__(self, row: Mapping[str, Any], seen: set[str]) -> None:
        super().__init__(row)
        self.seen = seen

    def __getitem__(self, name: str) -> Any:
        self.seen.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.seen.add(name)
        return super().get(name, default)


_STRUCTURE = {
    *("condition", "seed", "diverged", "epochs", "offsets", "steps", "chains", "from"),
    "alphas_over_s",
}


def changes(judged: Judged, results: Mapping[str, Results]) -> Iterator[Change]:
    """Everything that the judge reads and that can be set."""
    seen: dict[tuple[str, str], set[str]] = {}
    spied = {
        study: Results(
            old.study,
            tuple(_Spy(r, seen.setdefault((study, r["condition"]), set())) for r in old.rows),
            old.provenance,
        )
        for study, old in results.items()
    }
    outcome(judged, spied)
    for (study, _), quantities in list(seen.items()):
        seen[study, "*"] = seen.get((study, "*"), set()) | quantities
    for (study, condition), quantities in sorted(seen.items()):
        for quantity in sorted(quantities - _STRUCTURE):
            row = next(
                (
                    r
                    for r in results[study].rows
                    if quantity in r and condition in ("*", r["condition"])
                ),
                {},
            )
            value = row.get(quantity)
            places: list[Any] = [None]
            if isinstance(value, list):
                n = len(value)
                if not n or isinstance(value[0], list):
                    continue
                places = ["*", *(range(n) if n <= 6 else (0, 1, n // 2, n - 2, n - 1))]
            for place in places:
                for seeds in ("all", "one"):
                    yield study, condition, quantity, place, seeds


def _try(judge: Callable[[float], str], value: float) -> str | None:
    try:
        return judge(value)
    except Exception:  # an impossible row is no bound
        return None


def flips(
    judged: Judged, base: list[list[Any]], change: Change
) -> Iterator[tuple[float, str, str]]:
    """The bounds of one quantity: where, and the verdicts below and above."""
    results = apply(judged, base)

    def judge(value: float) -> str:
        return outcome(judged, changed(results, change, value))

    told = [(value, _try(judge, value)) for value in GRID]
    for (low, below), (high, above) in itertools.pairwise(told):
        if below is None or above is None or below == above:
            continue
        for _ in range(30):
            middle = 0.5 * (low + high)
            if abs(high - low) < SIDES / 20 * max(abs(low), abs(high)):
                break
            at = _try(judge, middle)
            if at is None:
                break
            if at == below:
                low = middle
            else:
                high, above = middle, at
        else:
            continue
        bound = 0.5 * (low + high)
        if not bound or abs(high - low) > SIDES / 5 * abs(bound):
            continue
        sides = [_try(judge, bound * (1 - s * SIDES * np.sign(bound))) for s in (1, -1)]
        if None not in sides and sides[0] != sides[1]:
            yield float(f"{bound:.6g}"), str(sides[0]), str(sides[1])


BASES, LOOKS, MOST = 4, 36, 16
"""Rows to start from (one for each verdict met), quantities that are set from each, and bounds that
are kept of each; fewer of a judge that takes long."""


def bounds_of(judged: Judged) -> list[dict[str, Any]]:
    """The bounds of a claim, starting from its committed rows and from every other verdict met."""
    begun = time.perf_counter()
    for _, value in zip(range(3), GRID, strict=False):  # others each time: estimates are kept
        change = next(changes(judged, committed(judged)))
        _try(partial(_judged, judged, committed(judged), change), value)
    cost = (time.perf_counter() - begun) / 6
    looks, most = (int(min(n, max(4, share / cost))) for n, share in ((LOOKS, 1.0), (MOST, 0.5)))
    bases: dict[str, list[list[Any]]] = {outcome(judged, committed(judged)): []}
    found: list[dict[str, Any]] = []
    while len(found) < min(BASES, len(bases)):
        verdict, base = list(bases.items())[len(found)]
        kinds: dict[tuple[Any, ...], list[Any]] = {}
        every = list(changes(judged, apply(judged, base)))
        wide = [change for change in every if change[1] == "*"]
        narrow = [change for change in every if change[1] != "*"]
        for change in (*_spaced(wide, looks // 2), *_spaced(narrow, looks)):
            for bound, below, above in flips(judged, base, change):
                for sign in (-1, 1):
                    away = float(f"{bound * (1 + 0.2 * sign * np.sign(bound)):.4g}")
                    other = [*base, [list(change), away]]
                    if there := _try(lambda _, b=other: outcome(judged, apply(judged, b)), 0):
                        bases.setdefault(there, other)
                kind = (change[0], change[1] == "*", *change[2:], below, above)
                kinds.setdefault(kind, [*change, bound, below, above])
        told = {"verdict": verdict, "says": says(judged, apply(judged, base))}
        found.append({"from": base, **told, "bounds": _spaced(list(kinds.values()), most)})
    return found


def _judged(judged: Judged, results: Mapping[str, Results], change: Change, value: float) -> str:
    return outcome(judged, changed(results, change, value))


def _spaced(items: list[Any], most: int) -> list[Any]:
    """At most so many of them, evenly spaced."""
    return [
        items[k]
        for k in sorted({round(k) for k in np.linspace(0, len(items) - 1, most)} if items else ())
    ]


def main(wanted: list[str]) -> None:
    """Write the file."""
    known = json.loads(FILE.read_text()) if FILE.exists() and wanted else {}
    for name, judged in everything().items():
        if not wanted or name in wanted or name.split()[-1] in wanted:
            known[name] = bounds_of(judged)
            print(name, sum(len(each["bounds"]) for each in known[name]), flush=True)
            FILE.write_text(_text(known))


def _text(known: Mapping[str, list[dict[str, Any]]]) -> str:
    """JSON with a bound on every line."""
    claims_ = []
    for name in sorted(known):
        parts = []
        for each in known[name]:
            bounds = ",\n   ".join(json.dumps(bound) for bound in each["bounds"])
            head = ",\n  ".join(
                f"{json.dumps(part)}: {json.dumps(each[part])}"
                for part in ("from", "verdict", "says")
            )
            parts.append(f'{{{head},\n  "bounds": [\n   {bounds}\n  ]}}')
        claims_.append(f"{json.dumps(name)}: [\n " + ",\n ".join(parts) + "\n]")
    return "{\n" + ",\n".join(claims_) + "\n}\n"


if __name__ == "__main__":
    main(sys.argv[1:])
