"""The thesis's claims, each with a rule that turns measured rows into a verdict.

A claim states, before any number, what is measured (``merit``) and when it counts as reproduced
(``rule``). Its judge gets the results of the studies it names and returns a :class:`Verdict`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ebmlib import checks
from ebmlib.errors import InputError
from thesis import search
from thesis.statistics import Estimate
from thesis.study import Results

REPRODUCED = "reproduced"
IN_RANGE = "reproduced in a stated range"
NOT_REPRODUCED = "not reproduced"
NOT_TESTABLE = "not testable"
OUTCOMES = (REPRODUCED, IN_RANGE, NOT_REPRODUCED, NOT_TESTABLE)

FIRST_HELD_OUT = 2
"""The rules of claims were settled while seeds 0 and 1 were looked at; none has changed since then.
What was settled when for searches, :mod:`thesis.claims.settings` says."""

IDENTIFIERS = tuple(f"C{number:02d}" for number in range(1, 41))
"""All claims of the thesis."""


@dataclass(frozen=True)
class Verdict:
    """What was found of a claim.

    Attributes:
        outcome: one of :data:`OUTCOMES`.
        number: the figure of merit over seeds; None only where the claim is not testable.
        reading: one or two sentences that say what the numbers say.
        where: the range in which the claim holds, for :data:`IN_RANGE`; the reason, for
            :data:`NOT_TESTABLE`.
        stale: the results belong to another state of the code (filled in by :meth:`Claim.verdict`).
        seeds: how many seeds every condition has (likewise).
    """

    outcome: str
    number: Estimate | None
    reading: str
    where: str = ""
    stale: bool = False
    seeds: int = 0

    def __post_init__(self) -> None:
        checks.one_of("outcome", self.outcome, OUTCOMES)
        if self.number is None and self.outcome != NOT_TESTABLE:
            raise InputError("A verdict needs its number; only what is not testable has none.")
        if self.outcome in (IN_RANGE, NOT_TESTABLE) and not self.where:
            raise InputError(f"A verdict {self.outcome!r} must say where, or why.")


def by_parts(
    holds: Mapping[str, bool], number: Estimate, reading: str, before: str = ""
) -> Verdict:
    """Reproduced if every part holds, in a stated range if some do, else not reproduced.

    Args:
        holds: whether the claim holds, by part (a data set, say).
        number: the figure of merit.
        reading: what the numbers say.
        before: what stands before the names of the parts in the range, ``"on "``.
    """
    good = [name for name, fine in holds.items() if fine]
    if len(good) == len(holds):
        return Verdict(REPRODUCED, number, reading)
    if good:
        return Verdict(IN_RANGE, number, reading, before + ", ".join(good))
    return Verdict(NOT_REPRODUCED, number, reading)


SHOWN = 4
"""So many settings are named where a claim holds at several."""


def widened(verdict: Verdict, search: search.Search, found: Sequence[search.Found]) -> Verdict:
    """A verdict of a claim that fails at our setting, after others were searched.

    It is reproduced in a stated range if the claim holds at some of them; the number stays the one
    at our setting.
    """
    good = [each for each in found if each.holds]
    if not good:
        low = min(found, key=lambda each: each.number.value)
        high = max(found, key=lambda each: each.number.value)
        told = f"{low.number.text(2)} ({low.setting})"
        if len(found) > 1:
            told += f" to {high.number.text(2)} ({high.setting})"
        reading = f"{verdict.reading} {_tried(found, good)} There, {search.number}: {told}."
        return replace(verdict, reading=reading)
    named = [f"{each.number.text(2)} ({each.where})" for each in good[:SHOWN]]
    where = [each.where for each in good[:SHOWN]]
    if len(good) > SHOWN:
        named.append(f"and {len(good) - SHOWN} more")
        where.append(f"and {len(good) - SHOWN} more settings")
    told = f"{_tried(found, good)} There, {search.number}: {'; '.join(named)}."
    return replace(
        verdict,
        outcome=IN_RANGE,
        reading=f"{verdict.reading} {told}",
        where=f"at {'; '.join(where)}",
    )


def _tried(found: Sequence[search.Found], good: Sequence[search.Found]) -> str:
    if len(found) == 1:
        return f"At the one other setting tried it {'holds' if good else 'does not hold'}."
    return f"Of {len(found)} other settings tried it holds at {len(good) or 'none'}."


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        id: C01 to C40.
        section: of the thesis.
        page: of the book, as _toc.yml names it, without ``book/``.
        statement: the claim in our words.
        merit: what is measured, with its unit.
        rule: when it counts as reproduced, stated before the number.
        tried: data sets and hyper-parameters in which it was tried.
        studies: names of the studies whose results the judge gets, in this order.
        figure: the figure that shows it (``"4.6"``), if one does.
        judge: results -> verdict.
    """

    id: str
    section: str
    page: str
    statement: str
    merit: str
    rule: str
    tried: str
    studies: tuple[str, ...]
    figure: str | None
    judge: Callable[..., Verdict]

    def verdict(self, load: Callable[[str], Results], first_seed: int = 0) -> Verdict:
        """The verdict from the results that ``load`` gives for a study's name.

        Args:
            load: study's name -> results.
            first_seed: judge from this seed and up (:data:`FIRST_HELD_OUT`).
        """
        results = [load(name).from_seed(first_seed) for name in self.studies]
        found, own = self.judge(*results), tuple(results)
        other = search.searches().get(self.id)
        if found.outcome == NOT_REPRODUCED and other is not None:
            found = widened(found, other, other.found(load, first_seed))
            results += [load(name) for name in other.studies]
        return replace(
            found,
            stale=any(result.stale for result in results),
            seeds=min((len(result.seeds()) for result in own), default=0),
        )


_REGISTRY: dict[str, Claim] = {}


def claim(
    id: str,
    *,
    section: str,
    page: str,
    statement: str,
    merit: str,
    rule: str,
    tried: str,
    studies: tuple[str, ...] = (),
    figure: str | None = None,
) -> Callable[[Callable[..., Verdict]], Claim]:
    """Register the decorated judge as the claim ``id``."""

    def register(judge: Callable[..., Verdict]) -> Claim:
        checks.one_of("claim", id, IDENTIFIERS)
        if id in _REGISTRY:
            raise InputError(f"Claim {id} is registered twice.")
        made = Claim(id, section, page, statement, merit, rule, tried, studies, figure, judge)
        _REGISTRY[id] = made
        return made

    return register


def _all() -> dict[str, Claim]:
    importlib.import_module("thesis.claims")
    return _REGISTRY


def claims() -> Iterator[Claim]:
    """All registered claims in the order of their identifiers."""
    known = _all()
    return (known[id] for id in sorted(known))


def get(id: str) -> Claim:
    """The claim of an identifier.

    Raises:
        InputError: there is none; the known ones are listed.
    """
    known = _all()
    if id not in known:
        raise InputError(f"No claim is called {id!r}; known: {', '.join(sorted(known))}.")
    return known[id]
