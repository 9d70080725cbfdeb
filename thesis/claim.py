"""The thesis's claims, each with a rule that turns measured rows into a verdict.

A claim states, before any number, what is measured (``merit``) and when it counts as reproduced
(``rule``). Its judge gets the results of the studies it names and returns a :class:`Verdict`.

Every rule is read in the same way: where it holds a number over seeds against a bound, the 95 %
interval of the number decides. If the interval lies on both sides of the bound, that part of the
rule is open, and a verdict that hangs on it is *inconclusive*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ebmlib import checks
from ebmlib.errors import InputError
from thesis.evidence import Ruling
from thesis.search import Found
from thesis.statistics import Estimate

REPRODUCED = "reproduced"
IN_RANGE = "reproduced in a stated range"
INCONCLUSIVE = "inconclusive"
NOT_REPRODUCED = "not reproduced"
NOT_TESTABLE = "not testable"
OUTCOMES = (REPRODUCED, IN_RANGE, INCONCLUSIVE, NOT_REPRODUCED, NOT_TESTABLE)

FIRST_HELD_OUT = 2
"""The rules of claims were settled while seeds 0 and 1 were looked at. :mod:`thesis.rules` lists
what changed later, and :mod:`thesis.claims.settings` says when searches were settled."""

THESIS = "C"
FAMILIES = {THESIS: "the thesis", "M": "methods", "D": "drawings"}
"""Letter of an identifier -> what its claims are about. Two digits follow the letter."""

IDENTIFIERS = tuple(f"{THESIS}{number:02d}" for number in range(1, 41))
"""All claims of the thesis; other families are as large as they are."""

Table = tuple[tuple[str, ...], ...]
"""Rows of text (Markdown), the first of which is the head."""

Bound = tuple[float | None, float | None]
"""Lower and upper bound, None where there is none."""


@dataclass(frozen=True)
class Verdict:
    """What was found of a claim.

    Attributes:
        outcome: one of :data:`OUTCOMES`.
        number: the figure of merit over seeds; None only where the claim is not testable.
        reading: one sentence that says what was found (Markdown).
        where: the range in which the claim holds, for :data:`IN_RANGE`; the reason, for
            :data:`NOT_TESTABLE`; what is open, for :data:`INCONCLUSIVE`.
        p: p-value of the test that shows the outcome; 1 where nothing is shown.
        table: further numbers.
        parts: the number in the parts that the rule judges (data sets, say), by name; the number
            alone if empty.
        bound: what the number is held against, if that is measured; else it is the claim's.
        elsewhere: what was found at other settings, if they were searched.
        stale: the results belong to another state of the code (filled in by
            :func:`thesis.verdicts.verdict`).
        seeds: how many seeds every condition has (likewise).
        over: what the interval is over, where that is not the seeds: ``"6 blocks"``.
    """

    outcome: str
    number: Estimate | None
    reading: str
    where: str = ""
    p: float = 1.0
    table: Table = ()
    parts: Mapping[str, Estimate] = field(default_factory=dict)
    bound: Bound | None = None
    elsewhere: tuple[Found, ...] = ()
    stale: bool = False
    seeds: int = 0
    over: str = ""

    def __post_init__(self) -> None:
        checks.one_of("outcome", self.outcome, OUTCOMES)
        if self.number is None and self.outcome != NOT_TESTABLE:
            raise InputError("A verdict needs its number; only what is not testable has none.")
        if self.outcome in (IN_RANGE, NOT_TESTABLE) and not self.where:
            raise InputError(f"A verdict {self.outcome!r} must say where, or why.")


def judged(
    ruling: Ruling,
    number: Estimate,
    reading: str,
    *,
    before: str = "",
    table: Table = (),
    parts: Mapping[str, Estimate] | None = None,
    bound: Bound | None = None,
) -> Verdict:
    """The verdict that a ruling leads to.

    Reproduced if the claim holds as stated; in a stated range if it holds in some of the rule's
    ranges; not reproduced if neither the claim nor any range holds; inconclusive if one of these is
    open.

    Args:
        ruling: what the rule says.
        number: the figure of merit.
        reading: what the numbers say, in one sentence.
        before: what stands before the names of ranges, ``"on "``.
        table: further numbers.
        parts: the number by part, to be drawn.
        bound: what the number is held against, if that is a measured number.
    """
    somewhere, where = ruling.somewhere, ""
    if ruling.full.answer:
        outcome, p = REPRODUCED, ruling.full.p_holds
    elif ruling.good:
        outcome, p = IN_RANGE, somewhere.p_holds
        where = before + ", ".join(ruling.good)
    elif ruling.full.answer is None or somewhere.answer is None:
        outcome, p = INCONCLUSIVE, 1.0
        where = before + ", ".join(ruling.open) if len(ruling.ranges) > 1 and ruling.open else ""
    else:
        outcome, p = NOT_REPRODUCED, max(ruling.full.p_fails, somewhere.p_fails)
    return Verdict(outcome, number, reading, where, p, table, parts or {}, bound)


def listed(*rows: tuple[str, str], head: Sequence[str] = ("", "Value")) -> Table:
    """A table of names and values."""
    return (tuple(head), *rows)


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        id: a letter of :data:`FAMILIES` and two digits: C01 to C40 are the thesis's.
        section: of the thesis, or in words what else it belongs to.
        page: of the book, as _toc.yml names it, without ``book/``.
        statement: the claim in our words.
        number: what the number is, in a few words.
        unit: its unit: ``"times"``, ``"nats"``, ``"share"``.
        bound: where the number must lie for the claim to hold, as far as that is known before.
        merit: what is measured, in full.
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
    number: str
    unit: str
    bound: Bound
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

    @property
    def source(self) -> str:
        """Whose claim it is: ``thesis 4.3.1``, or the words of its section."""
        return f"thesis {self.section}" if self.section[0].isdigit() else self.section


REGISTRY: dict[str, Claim] = {}
"""What :func:`claim` registered; :func:`thesis.claims.claims` is sure to have all."""


def claim(
    id: str,
    *,
    section: str,
    page: str,
    statement: str,
    number: str,
    unit: str,
    bound: Bound,
    merit: str,
    rule: str,
    tried: str,
    studies: tuple[str, ...] = (),
    figure: str | None = None,
) -> Callable[[Callable[..., Verdict]], Claim]:
    """Register the decorated judge as the claim ``id``; the arguments are those of :class:`Claim`.

    Raises:
        InputError: the identifier is taken, or is not a family's letter and two digits.
    """

    def register(judge: Callable[..., Verdict]) -> Claim:
        _check_identifier(id)
        if id in REGISTRY:
            raise InputError(f"Claim {id} is registered twice; give one of the two another number.")
        made = Claim(
            id, section, page, statement, number, unit, bound, merit, rule, tried, studies, figure,
            judge,
        )  # fmt: skip
        REGISTRY[id] = made
        return made

    return register


def _check_identifier(id: str) -> None:
    if not re.fullmatch(f"[{''.join(FAMILIES)}][0-9]{{2}}", id):
        known = ", ".join(f"{letter} ({about})" for letter, about in FAMILIES.items())
        raise InputError(f"A claim's identifier is a letter of {known} and two digits, got {id!r}.")
    if id.startswith(THESIS):
        checks.one_of("claim", id, IDENTIFIERS)
