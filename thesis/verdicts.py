"""From a claim and the results of its studies to its verdict, searches included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from thesis import claims, measured
from thesis.claim import IN_RANGE, INCONCLUSIVE, NOT_REPRODUCED, Claim, Verdict
from thesis.evidence import any_of
from thesis.search import Found, Search
from thesis.study import Results

NAMED_SETTINGS = 4
"""So many settings are named where a claim holds at several."""


def verdict(
    claim: Claim,
    load: Callable[[str], Results],
    first_seed: int = 0,
    stale: Callable[[Results], bool] = measured.stale,
) -> Verdict:
    """The verdict on a claim from the results that ``load`` gives for a study's name.

    Args:
        claim: the claim.
        load: study's name -> results.
        first_seed: judge from this seed and up (:data:`thesis.claim.FIRST_HELD_OUT`).
        stale: results -> whether they belong to another state of the code.
    """
    results = [load(name) for name in claim.studies]
    judged = [each.from_seed(first_seed) for each in results]
    found = claim.judge(*judged)
    other = claims.searches().get(claim.id)
    if found.outcome in (NOT_REPRODUCED, INCONCLUSIVE) and other is not None:
        found = widened(found, other, other.found(load, first_seed))
        results += [load(name) for name in other.studies]
    return replace(
        found,
        stale=any(stale(each) for each in results),
        seeds=min((len(each.seeds()) for each in judged), default=0),
    )


def widened(verdict: Verdict, search: Search, found: Sequence[Found]) -> Verdict:
    """A verdict of a claim that does not hold at our setting, after others were searched.

    It is reproduced in a stated range if the claim holds at some of them; the number stays the one
    at our setting. The p-value is that of the best setting, times the number of settings tried.
    """
    good = [each for each in found if each.holds]
    if not good:
        return replace(verdict, elsewhere=tuple(found))
    where = [each.where for each in good[:NAMED_SETTINGS]]
    if len(good) > NAMED_SETTINGS:
        where.append(f"and {len(good) - NAMED_SETTINGS} more settings")
    return replace(
        verdict,
        outcome=IN_RANGE,
        where=f"at {'; '.join(where)}",
        p=any_of(each.evidence for each in found).p_holds,
        elsewhere=tuple(found),
    )


def tried(found: Sequence[Found]) -> str:
    """At how many other settings a claim holds, in a sentence; nothing if none were tried."""
    if not found:
        return ""
    good, unknown = (sum(getattr(each, kind) for each in found) for kind in ("holds", "open"))
    if len(found) == 1:
        does = "holds" if good else "is open" if unknown else "does not hold"
        return f"At the one other setting tried it {does}."
    is_open = f", and at {unknown} it is open" if unknown else ""
    return f"Of {len(found)} other settings tried it holds at {good or 'none'}{is_open}."
