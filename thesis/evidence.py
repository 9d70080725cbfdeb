"""What measurements over seeds say of a statement: it holds, it does not, or it is open.

A number over seeds that is held against a bound has an interval. If the interval lies on one side
of the bound the answer is known; if the bound lies in the interval the answer is *open*. Answers
are joined by Kleene's three-valued logic: "A and B" does not hold if one of them does not, holds if
both do, and is open otherwise.

Every answer carries two p-values, so that many verdicts can be corrected for being many
(:func:`holm`). That of a number against a bound is Student's one-sided t-test of the values over
the seeds; where they do not differ, and for rules on *every* seed, it is the sign test's 2^-n.
"A and B" is shown by the weaker of its parts (an intersection-union test, Berger 1982); "A or B" by
the stronger, times the number of parts (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scipy import special

from ebmlib.errors import InputError


@dataclass(frozen=True)
class Evidence:
    """What is known of a statement.

    Attributes:
        answer: True if it holds, False if it does not, None if that is open.
        p_holds: p-value of the test that shows that it holds; at most this was the chance of such
            numbers if it did not.
        p_fails: the same for showing that it does not hold.
    """

    answer: bool | None
    p_holds: float = 1.0
    p_fails: float = 1.0

    def __and__(self, other: Evidence) -> Evidence:
        """Both statements."""
        return all_of([self, other])

    def __or__(self, other: Evidence) -> Evidence:
        """At least one of two statements."""
        return any_of([self, other])

    def __invert__(self) -> Evidence:
        """The opposite."""
        answer = None if self.answer is None else not self.answer
        return Evidence(answer, self.p_fails, self.p_holds)

    def __bool__(self) -> bool:
        """Refused: an open answer is neither.

        Raises:
            InputError: always.
        """
        raise InputError("Evidence may be open; ask for its answer, which is True, False or None.")


def all_of(parts: Iterable[Evidence]) -> Evidence:
    """All of some statements; of none, it holds."""
    known = list(parts)
    answers = [each.answer for each in known]
    answer = False if False in answers else None if None in answers else True
    holds = max((each.p_holds for each in known), default=0.0)
    return Evidence(answer, holds, _least([each.p_fails for each in known]))


def any_of(parts: Iterable[Evidence]) -> Evidence:
    """At least one of some statements; of none, it does not hold."""
    return ~all_of(~each for each in parts)


def _least(p: Sequence[float]) -> float:
    return min(1.0, len(p) * min(p)) if p else 1.0


def fact(holds: bool) -> Evidence:
    """A statement without chance: on the data, say."""
    return Evidence(bool(holds), 0.0 if holds else 1.0, 1.0 if holds else 0.0)


def every(seeds: Iterable[bool]) -> Evidence:
    """A statement that must hold in every seed; one seed against it refutes it.

    Where it holds in all n, that is the sign test's 2^-n: so often would all be on one side if half
    of all seeds were.
    """
    flags = [bool(flag) for flag in seeds]
    if all(flags):
        return Evidence(True, 0.5 ** len(flags), 1.0)
    return Evidence(False, 1.0, 0.0)


def some(seeds: Iterable[bool]) -> Evidence:
    """A statement that must hold in one seed at least."""
    return ~every(not flag for flag in seeds)


def above(
    values: Sequence[float], low: float, high: float, bound: float, equal: bool = False
) -> Evidence:
    """A number over seeds is above a bound.

    Args:
        values: the number in each seed.
        low: lower end of its interval.
        high: upper end.
        bound: what it is held against.
        equal: the bound itself counts as above.
    """
    if low > bound or (equal and low >= bound):
        answer: bool | None = True
    elif high < bound or (not equal and high <= bound):
        answer = False
    else:
        answer = None
    holds, fails = _p_values(values, bound)
    return Evidence(answer, holds, fails)


def _p_values(values: Sequence[float], bound: float) -> tuple[float, float]:
    """One-sided p-values that the mean is above a bound, and that it is below."""
    n = len(values)
    if n == 0:
        return 1.0, 1.0
    mean = math.fsum(values) / n
    spread = math.fsum((value - mean) ** 2 for value in values)
    if n == 1 or spread <= 1e-24 * max(mean * mean, bound * bound):
        sure = 0.5**n
        return (sure, 1.0) if mean > bound else (1.0, sure) if mean < bound else (1.0, 1.0)
    t = (mean - bound) / math.sqrt(spread / (n - 1) / n)
    below = float(special.stdtr(n - 1, t))  # P(T <= t)
    return float(special.stdtr(n - 1, -t)), below


@dataclass(frozen=True)
class Ruling:
    """What a rule says: of the claim as the thesis states it, and of its ranges.

    Attributes:
        full: the claim as it is stated.
        ranges: a range in words -> whether the claim holds there.
    """

    full: Evidence
    ranges: Mapping[str, Evidence] = field(default_factory=dict)

    @property
    def somewhere(self) -> Evidence:
        """It holds as stated, or in one of the ranges."""
        if not self.ranges:
            return self.full
        found = any_of(self.ranges.values())
        if self.full.answer:
            return self.full
        return Evidence(found.answer, found.p_holds, max(self.full.p_fails, found.p_fails))

    @property
    def good(self) -> list[str]:
        """The ranges in which it holds."""
        return [name for name, found in self.ranges.items() if found.answer]

    @property
    def open(self) -> list[str]:
        """The ranges in which that is open."""
        return [name for name, found in self.ranges.items() if found.answer is None]


def by_parts(parts: Mapping[str, Evidence]) -> Ruling:
    """A claim that holds in full if it holds in all parts (data sets, say), which are ranges.

    Args:
        parts: name of a part -> whether the claim holds there.
    """
    return Ruling(all_of(parts.values()), parts)


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values of several tests (Holm 1979).

    Sorted from the smallest, the k-th of m is multiplied by m - k + 1, and none is smaller than the
    one before it. All that are at most 0.05 may be believed together, with a chance of 5 % that any
    of them is wrong.
    """
    adjusted, largest = {}, 0.0
    for rank, name in enumerate(sorted(p, key=lambda each: p[each])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p}
