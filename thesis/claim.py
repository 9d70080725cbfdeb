"""The thesis's claims, each with a rule that turns measured rows into a verdict.

A claim states, before any number, what is measured (``merit``) and when it counts as reproduced
(``rule``). Its judge gets the results of the studies it names and returns a :class:`Verdict`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ebmlib import checks
from ebmlib.errors import InputError
from thesis.statistics import Estimate

REPRODUCED = "reproduced"
IN_RANGE = "reproduced in a stated range"
NOT_REPRODUCED = "not reproduced"
NOT_TESTABLE = "not testable"
OUTCOMES = (REPRODUCED, IN_RANGE, NOT_REPRODUCED, NOT_TESTABLE)

FIRST_HELD_OUT = 2
"""The rules of claims were settled while seeds 0 and 1 were looked at; none has changed since then.
What was settled when for searches, :mod:`thesis.claims.settings` says."""

THESIS = "C"
FAMILIES = {THESIS: "the thesis", "M": "methods", "D": "drawings"}
"""Letter of an identifier -> what its claims are about. Two digits follow the letter."""

IDENTIFIERS = tuple(f"{THESIS}{number:02d}" for number in range(1, 41))
"""All claims of the thesis; other families are as large as they are."""


@dataclass(frozen=True)
class Verdict:
    """What was found of a claim.

    Attributes:
        outcome: one of :data:`OUTCOMES`.
        number: the figure of merit over seeds; None only where the claim is not testable.
        reading: one or two sentences that say what the numbers say.
        where: the range in which the claim holds, for :data:`IN_RANGE`; the reason, for
            :data:`NOT_TESTABLE`.
        stale: the results belong to another state of the code (filled in by
            :func:`thesis.verdicts.verdict`).
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


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        id: a letter of :data:`FAMILIES` and two digits: C01 to C40 are the thesis's.
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

    @property
    def family(self) -> str:
        """The letter of its identifier, one of :data:`FAMILIES`."""
        return self.id[0]


REGISTRY: dict[str, Claim] = {}
"""What :func:`claim` registered; :func:`thesis.claims.claims` is sure to have all."""


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
    """Register the decorated judge as the claim ``id``.

    Raises:
        InputError: the identifier is taken, or is not a family's letter and two digits.
    """

    def register(judge: Callable[..., Verdict]) -> Claim:
        _check_identifier(id)
        if id in REGISTRY:
            raise InputError(f"Claim {id} is registered twice; give one of the two another number.")
        made = Claim(id, section, page, statement, merit, rule, tried, studies, figure, judge)
        REGISTRY[id] = made
        return made

    return register


def _check_identifier(id: str) -> None:
    if not re.fullmatch(f"[{''.join(FAMILIES)}][0-9]{{2}}", id):
        known = ", ".join(f"{letter} ({about})" for letter, about in FAMILIES.items())
        raise InputError(f"A claim's identifier is a letter of {known} and two digits, got {id!r}.")
    if id.startswith(THESIS):
        checks.one_of("claim", id, IDENTIFIERS)
