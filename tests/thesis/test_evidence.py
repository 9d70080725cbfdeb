"""Three-valued answers and their p-values, against scipy, by hand, and by simulation."""

import numpy as np
import pytest
from scipy import stats

from ebmlib.errors import InputError
from thesis import claim, claims
from thesis.evidence import Evidence, Ruling, all_of, any_of, by_parts, every, fact, holm, some
from thesis.statistics import estimate

YES, OPEN, NO = Evidence(True, 0.01, 0.99), Evidence(None, 0.3, 0.7), Evidence(False, 0.9, 0.02)


def test_a_bound_within_the_interval_leaves_the_answer_open():
    found = estimate([1.0, 2.0, 3.0, 4.0, 5.0])
    below, inside, over = found.low - 0.1, 0.5 * (found.low + found.value), found.high + 0.1
    assert [found.above(b).answer for b in (below, inside, over)] == [True, None, False]
    assert [found.below(b).answer for b in (below, inside, over)] == [False, None, True]
    assert found.within(below, over).answer is True
    assert found.within(inside, over).answer is None
    assert found.within(over, over + 1).answer is False


def test_at_the_bound_itself_it_matters_whether_it_counts():
    same = estimate([0.5] * 5)
    assert (same.above(0.5).answer, same.at_least(0.5).answer) == (False, True)
    assert (same.below(0.5).answer, same.at_most(0.5).answer) == (False, True)


@pytest.mark.parametrize(
    ("one", "other", "both", "either"),
    [
        (YES, YES, True, True), (YES, OPEN, None, True), (YES, NO, False, True),
        (OPEN, OPEN, None, None), (OPEN, NO, False, None), (NO, NO, False, False),
    ],
)  # fmt: skip
def test_answers_are_joined_as_kleene_joins_them(one, other, both, either):
    assert (one & other).answer is both and (other & one).answer is both
    assert (one | other).answer is either and (other | one).answer is either
    assert (~(one & other)).answer is ((~one) | (~other)).answer, "De Morgan"


def test_p_values_of_parts():
    both, either = YES & NO, YES | NO
    assert both.p_holds == 0.9, "the weaker part decides"
    assert both.p_fails == pytest.approx(2 * 0.02), "either part may refute it"
    assert (either.p_holds, either.p_fails) == (pytest.approx(2 * 0.01), 0.99)
    assert all_of([]).answer is True and any_of([]).answer is False


def test_an_open_answer_is_no_truth_value():
    with pytest.raises(InputError, match="answer"):
        assert estimate([1.0, 2.0]).above(1.5)


def test_the_p_value_of_a_bound_is_student_s():
    values = [0.3, 0.9, 1.4, 0.2, 1.1]
    for bound in (0.1, 0.7, 2.0):
        found = estimate(values).above(bound)
        for p, side in ((found.p_holds, "greater"), (found.p_fails, "less")):
            expected = stats.ttest_1samp(values, bound, alternative=side).pvalue
            assert p == pytest.approx(expected, rel=1e-9)


def test_a_t_test_is_wrong_as_often_as_it_says():
    rng, wrong, runs = np.random.default_rng(0), 0, 4000
    for values in rng.normal(0, 1, (runs, 5)):
        wrong += estimate(values).above(0.0).p_holds <= 0.05
    assert abs(wrong / runs - 0.05) < 4 * np.sqrt(0.05 * 0.95 / runs)


def test_where_seeds_do_not_differ_they_are_counted():
    assert estimate([1.0] * 5).above(0.5).p_holds == 0.5**5
    assert estimate([1.0] * 5).above(2.0).p_fails == 0.5**5
    assert (every([True] * 5).p_holds, every([True, False]).p_fails) == (0.5**5, 0.0)
    assert some([False, True]).p_holds == 0.0 and some([False] * 5).p_fails == 0.5**5
    assert (fact(True).p_holds, fact(False).p_fails) == (0.0, 0.0)


def test_holm_s_correction_by_hand_and_against_the_definition():
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    assert holm(p) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    # at level 0.05 it rejects what Holm's sequence rejects: stop at the first above 0.05 / (m - k)
    rng = np.random.default_rng(1)
    for _ in range(200):
        p = dict(enumerate(rng.uniform(0, 0.05, 8) ** rng.uniform(1, 2)))
        rejected = set()
        for k, name in enumerate(sorted(p, key=p.get)):
            if p[name] > 0.05 / (len(p) - k):
                break
            rejected.add(name)
        assert {name for name, value in holm(p).items() if value <= 0.05} == rejected


@pytest.mark.parametrize(
    ("full", "ranges", "outcome", "p"),
    [
        (YES, {}, claim.REPRODUCED, YES.p_holds),
        (NO, {}, claim.NOT_REPRODUCED, NO.p_fails),
        (OPEN, {}, claim.INCONCLUSIVE, 1.0),
        (OPEN, {"here": YES}, claim.IN_RANGE, YES.p_holds),
        (NO, {"here": OPEN}, claim.INCONCLUSIVE, 1.0),
        (OPEN, {"here": NO}, claim.INCONCLUSIVE, 1.0),
        (NO, {"here": NO, "there": YES}, claim.IN_RANGE, 2 * YES.p_holds),
        (NO, {"here": NO, "there": NO}, claim.NOT_REPRODUCED, NO.p_fails),
    ],
)
def test_outcomes_of_rulings(full, ranges, outcome, p):
    found = claim.judged(Ruling(full, ranges), estimate([1.0, 2.0]), "so it is")
    assert (found.outcome, found.p) == (outcome, pytest.approx(p))


def test_parts_must_all_fail_before_a_claim_does():
    assert by_parts({"a": NO, "b": OPEN}).full.answer is False
    assert claim.judged(by_parts({"a": NO, "b": OPEN}), estimate([1.0]), "x").outcome == (
        claim.INCONCLUSIVE
    )


def test_every_equivalence_has_its_margin_in_its_rule():
    """Claims that two things are the same name the margin within which they count as such."""
    for id in ("C04", "C07", "C14", "C27", "C28", "C30", "C31", "C32", "C33"):
        assert "margin" in claims.get(id).rule, id
