"""Every bound and every part of every rule is where it was: see ``thesis_bounds.py``."""

import json

import pytest
from thesis_bounds import FILE, differs, everything, name_of

BOUNDS = json.loads(FILE.read_text())


def test_every_claim_and_every_search_has_its_bounds():
    assert set(BOUNDS) == set(everything())


@pytest.mark.parametrize("judged", everything().values(), ids=name_of)
def test_verdicts_flip_where_they_did(judged):
    assert not differs(judged, BOUNDS[name_of(judged)])
