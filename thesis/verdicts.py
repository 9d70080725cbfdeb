"""From a claim and the results of its studies to its verdict, searches included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from thesis import claims, measured
from thesis.claim import IN_RANGE, NOT_REPRODUCED, Claim, Verdict
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
    if found.outcome == NOT_REPRODUCED and other is not None:
        found = widened(found, other, other.found(load, first_seed))
        results += [load(name) for name in other.studies]
    return replace(
        found,
        stale=any(stale(each) for each in results),
        seeds=min((len(each.seeds()) for each in judged), default=0),
    )


def widened(verdict: Verdict, search: Search, found: Sequence[Found]) -> Verdict:
    """A verdict of a claim that fails at our setting, after others were searched.

    It is reproduced in a stated range if the claim holds at some of them; the number stays the one
    at our setting.
    """
    good = [each for each in found if each.holds]
    if not good:
        low = min(found, key=lambda each: each.number.value)
        high = max(found, key=lambda each: each.number.value)
        text = f"{low.number.text(2)} ({low.setting})"
        if len(found) > 1:
            text += f" to {high.number.text(2)} ({high.setting})"
        reading = f"{verdict.reading} {_tried(found, good)} There, {search.number}: {text}."
        return replace(verdict, reading=reading)
    named = [f"{each.number.text(2)} ({each.where})" for each in good[:NAMED_SETTINGS]]
    where = [each.where for each in good[:NAMED_SETTINGS]]
    if len(good) > NAMED_SETTINGS:
        named.append(f"and {len(good) - NAMED_SETTINGS} more")
        where.append(f"and {len(good) - NAMED_SETTINGS} more settings")
    text = f"{_tried(found, good)} There, {search.number}: {'; '.join(named)}."
    return replace(
        verdict,
        outcome=IN_RANGE,
        reading=f"{verdict.reading} {text}",
        where=f"at {'; '.join(where)}",
    )


def _tried(found: Sequence[Found], good: Sequence[Found]) -> str:
    if len(found) == 1:
        return f"At the one other setting tried it {'holds' if good else 'does not hold'}."
    return f"Of {len(found)} other settings tried it holds at {len(good) or 'none'}."
