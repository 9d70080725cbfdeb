"""Ranks and corrections of the benchmark, on numbers whose answers are known."""

import numpy as np
import pytest

from thesis.benchmark.report import Report, holm, ranked, signed_rank, value_of


def test_holm_multiplies_by_what_is_left_and_never_falls():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.03, 0.01]) == pytest.approx([0.03, 0.02]), "in the order that they were given"
    assert holm([0.5, 0.9]) == [1.0, 1.0]


def test_critical_difference_is_demsars():
    # Demsar 2006, table 5: q of five classifiers at 5 % is 2.728, of ten 3.164
    for k, q in ((5, 2.728), (10, 3.164)):
        found = ranked([str(i) for i in range(k)], np.arange(k * 14.0).reshape(k, 14))
        assert found.critical == pytest.approx(q * np.sqrt(k * (k + 1) / (6 * 14)), rel=1e-3)


def test_ranks_are_of_the_lowest_value_first():
    found = ranked(["a", "b", "c"], np.array([[3.0, 3.0], [1.0, 1.0], [2.0, 2.0]]))
    assert found.methods == ("b", "c", "a")
    assert found.ranks == (1.0, 2.0, 3.0)


def test_signed_rank_of_twelve_equal_signs_is_its_smallest_value():
    assert signed_rank(np.arange(1.0, 13.0)) == pytest.approx(2 / 2**12)
    assert signed_rank(np.zeros(12)) == 1.0


def test_a_diverged_run_counts_as_a_model_that_ignores_the_state():
    row = {"method": "nce", "problem": "fork", "size": 256, "seed": 0, "information": 0.7}
    lost, useless = {**row, "diverged": True}, {**row, "diverged": False, "kl": 0.9}
    assert value_of(lost, "kl") == 0.7
    assert np.isnan(value_of(lost, "exp"))
    assert Report((lost, useless), {}).failures("nce") == (1, 1)


def test_a_problem_that_was_not_run_by_all_is_no_block():
    row = {
        "problem": "fork",
        "size": 256,
        "seed": 0,
        "information": 1.0,
        "diverged": False,
        "kl": 1.0,
    }
    rows = [{**row, "method": m} for m in ("nce", "ranking-nce")]
    more = {**rows[0], "problem": "ring"}
    frozen = {"nce": {}, "ranking-nce": {}}
    assert Report((*rows, more), frozen).blocks == [("fork", 256)]
    assert Report((*rows, more, {**more, "method": "ranking-nce"}), frozen).blocks == [
        ("fork", 256),
        ("ring", 256),
    ]
