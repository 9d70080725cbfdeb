"""Every bound and every part of every rule is where it was: see ``bounds.py``."""

import json

import numpy as np
import pytest
from thesis_bounds import FILE, SIDES, apply, changed, everything, name_of, outcome

BOUNDS = json.loads(FILE.read_text())


def test_every_claim_and_every_search_has_its_bounds():
    assert set(BOUNDS) == set(everything())


@pytest.mark.parametrize("judged", everything().values(), ids=name_of)
def test_verdicts_flip_where_they_did(judged):
    for start in BOUNDS[name_of(judged)]:
        results = apply(judged, start["from"])
        assert outcome(judged, results) == start["verdict"]
        for *change, bound, below, above in start["bounds"]:
            sides = (
                outcome(
                    judged,
                    changed(results, tuple(change), bound * (1 - s * SIDES * np.sign(bound))),
                )
                for s in (1, -1)
            )
            assert tuple(sides) == (below, above), (change, bound, start["from"])
