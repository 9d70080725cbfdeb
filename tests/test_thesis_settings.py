"""Searches: other settings for claims that fail at ours; their judges against planted numbers."""

from dataclasses import replace

import numpy as np
import pytest

from ebmlib import Store
from ebmlib.exact import Grid, model_density
from ebmlib.thesis import Companion, claim, elsewhere, figure, study
from ebmlib.thesis.claims.network import OVERFLOW
from ebmlib.thesis.conditions import RATES
from ebmlib.thesis.elsewhere import Found, Search
from ebmlib.thesis.shown import SearchTable
from ebmlib.thesis.statistics import estimate
from ebmlib.thesis.studies import settings
from ebmlib.thesis.study import Cell, Results

SEEDS = range(5)


def results(**numbers):
    """Results with a row a seed for each condition; ``a__b`` stands for ``a/b``."""
    made = [
        {"condition": name.replace("__", "/"), "seed": seed} | columns
        for name, columns in numbers.items()
        for seed in SEEDS
    ]
    return Results("escape", tuple(made), {"digest": "", "device": "cpu"})


def at_rates(**kinds):
    """Results over all learning rates; a kind gives its columns for a rate."""
    made = [
        {"condition": f"lr/{kind.replace('_', '-')}-{lr:g}", "seed": seed} | columns(lr)
        for kind, columns in kinds.items()
        for lr in RATES
        for seed in SEEDS
    ]
    return Results("escape", tuple(made), {"digest": ""})


def held(id, *given):
    return [found.setting for found in elsewhere.searches()[id].judge(*given) if found.holds]


# --- what a search does to a verdict --------------------------------------------------------------


def fails(*_):
    return claim.Verdict(claim.NOT_REPRODUCED, estimate([7.0]), "It fails.")


def verdict(monkeypatch, judge, settings_found):
    search = Search("C27", "x", "y", "z", (), ("dynamics",), "4.7", lambda _: settings_found)
    monkeypatch.setitem(elsewhere._REGISTRY, "C27", search)
    made = replace(claim.get("C27"), judge=judge)
    return made.verdict(lambda name: results(circle={"value": 1.0}))


def test_a_claim_that_holds_elsewhere_is_reproduced_in_that_range(monkeypatch):
    found = [Found("A", estimate([1.0]), False), Found("B", estimate([2.0]), True)]
    told = verdict(monkeypatch, fails, found)
    assert (told.outcome, told.where) == (claim.IN_RANGE, "at B")
    assert told.number.value == 7.0, "the number stays the one at our setting"
    assert told.reading == "It fails. Of 2 other settings tried it holds at 1: B (2)."


def test_a_claim_that_holds_nowhere_says_how_far_it_is_from_it(monkeypatch):
    found = [Found("A", estimate([1.0]), False), Found("B", estimate([2.0]), False)]
    told = verdict(monkeypatch, fails, found)
    assert told.outcome == claim.NOT_REPRODUCED
    assert "holds at none; the number there is 1 (A) to 2 (B)." in told.reading


def test_many_settings_are_counted_and_not_all_named(monkeypatch):
    found = [Found(name, estimate([1.0]), True) for name in "ABCDEF"]
    assert verdict(monkeypatch, fails, found).where == "at A; B; C; D and 2 more settings"


def test_a_claim_that_holds_at_ours_is_not_searched(monkeypatch):
    def holds(*_):
        return claim.Verdict(claim.REPRODUCED, estimate([7.0]), "It does.")

    told = verdict(monkeypatch, holds, [Found("A", estimate([1.0]), True)])
    assert (told.outcome, told.reading) == (claim.REPRODUCED, "It does.")


def test_a_search_is_judged_without_the_first_seeds_where_its_verdict_is(monkeypatch):
    given = []
    search = replace(elsewhere.searches()["C13"], judge=lambda results: given.append(results) or [])
    assert search.found(lambda name: results(circle={}), 2) == []
    assert given[0].seeds("circle") == [2, 3, 4]


@pytest.mark.parametrize("search", elsewhere.searches().values(), ids=lambda search: search.claim)
def test_a_search_is_made_of_what_there_is(search):
    companion = Companion()
    assert claim.get(search.claim)
    assert search.figure in figure.figures()
    assert set(search.studies) <= set(figure.get(search.figure).studies)
    found = search.found(companion.results)
    assert found and len({each.setting for each in found}) == len(found)
    assert search.over in str(companion.verdict(search.claim))
    assert search.over in companion.verdict(search.claim)._repr_markdown_()


def test_every_claim_that_fails_was_looked_for_elsewhere():
    """Or its own study is the map of its settings: a grid over alpha and K, 145 models."""
    own = {"C24", "C38"}
    companion = Companion()
    failed = {v.claim.id for v in companion.verdicts() if v.verdict.outcome == claim.NOT_REPRODUCED}
    assert failed <= set(elsewhere.searches()) | own


def test_the_table_lists_what_was_found():
    shown = Companion().verdict("C13")
    found = (Found("4 layers", estimate([3.0]), True), Found("8 layers", estimate([1.0]), False))
    text = SearchTable(((shown, found),))._repr_markdown_()
    assert "| 1 of 2: 4 layers |" in text and "claim-c13" in text
    assert "none of them" in SearchTable(((shown, found[1:]),))._repr_markdown_()


# --- judges ---------------------------------------------------------------------------------------


def test_residual_layers_must_carry_twice_as_much_early_or_late():
    def columns(early, late):
        return {"carried_early": early, "carried_late": late}

    kinds = {f"depth__no-residual-{d}": columns(1.0, 1.0) for d in (4, 8, 16)}
    kinds |= {f"depth__residual-{d}": columns(*both) for d, both in
              ((4, (3.0, 1.0)), (8, (1.0, 3.0)), (16, (3.0, 3.0)))}  # fmt: skip
    assert held("C13", results(**kinds)) == [
        "4 hidden layers, early",
        "8 hidden layers, late",
        "16 hidden layers, early",
        "16 hidden layers, late",
    ]


def test_regularisation_keeps_f_in_range_only_where_it_would_leave():
    levels = {0.01: (0.5, 0.4), 0.03: (2.0, 0.5), 0.05: (0.9, 0.5), 0.1: (3.0, 2.0)}
    rows = [
        {"condition": f"lr/{kind}-{lr:g}", "seed": seed, "f_largest": level * OVERFLOW}
        for lr, both in levels.items()
        for kind, level in zip(("figure-3-2", "regularised"), both, strict=True)
        for seed in SEEDS
    ]
    assert held("C16", Results("escape", tuple(rows), {})) == ["learning rate 0.03"]
    rows[10]["f_largest"] = 0.5 * OVERFLOW  # one seed that would not leave
    assert held("C16", Results("escape", tuple(rows), {})) == []


def test_a_training_that_diverged_counts_as_having_left_the_range():
    given = at_rates(plain_tanh=lambda lr: {"loss_largest": 5.0}, plain=lambda lr: {"diverged": 1})
    assert len(held("C19", given)) == len(RATES)
    both = at_rates(plain_tanh=lambda lr: {"diverged": 1}, plain=lambda lr: {"diverged": 1})
    assert held("C19", both) == []


def test_the_plain_network_must_fail_where_the_other_has_begun_well():
    errors = {0.01: (0.5, 0.05), 0.03: (0.05, 0.05), 0.1: (0.5, 0.5)}
    rates = at_rates(plain=lambda lr: {"epochs": [3000], "error": [errors[lr][0]]})
    early = at_rates(early=lambda lr: {"early_error": [1.0, errors[lr][1]]})
    assert held("C20", rates, early) == ["learning rate 0.01"]


def test_an_action_must_be_in_time_and_exact_enough():
    n = len(settings.BUDGETS)
    chains, steps = zip(*settings.BUDGETS, strict=True)
    row = {"chains": list(chains), "steps": list(steps), "step": 10.0}
    quick = [5.0] * (n - 1) + [20.0]
    exact = [0.2] + [0.05] * (n - 1)
    good = row | {"milliseconds": quick, "error": exact}
    late = good | {"milliseconds": [20.0] * n}
    found = held("C39", results(mouse1=good, mouse2=good))
    assert len(found) == n - 2 and "4 chains of 12 steps" not in found
    assert held("C39", results(mouse1=good, mouse2=late)) == []


def test_angles_are_held_against_the_line_s_own():
    def columns(*angles):
        return {"nearest": list(angles)}

    near = columns(4.0, 5.0, 6.0, 7.0, 9.0, 10.0, 12.0)
    far = columns(10.0, 10.0, 10.0, 10.0, 15.0, 15.0, 30.0)
    given = results(**{"sigma__mouse2-0.003": near, "sigma__mouse2-0.02": far})
    assert held("C36", given) == ["noise 0.003"]


def test_tails_from_later_places_do_not_count_the_claim_s_own():
    row = {"from": [50, 55, 60, 65, 70], "gap": [0.9, 0.4, 0.1, 0.1, 0.1],
           "smaller": [0.4, 0.4, 0.4, 0.05, 0.4]}  # fmt: skip
    assert held("C35", results(mouse1=row)) == ["step 55", "step 65"]


# --- measures -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """A model of mouse2, trained until its chains arrive."""
    run = Companion().run("mouse2", 0).with_(epochs=200, sgld_dim=64, sgld_K=30)
    trained = Store(tmp_path_factory.mktemp("store")).train_or_load(run, device="cpu")
    return Cell("mouse2", 0, trained, True, lambda name: trained)


def test_more_chains_come_nearer_to_the_exact_action(cell):
    """By the square root of their number, where the chain has the model's density: here by 4."""
    found = settings.budget(cell)
    error = dict(zip(settings.BUDGETS, found["error"], strict=True))
    assert set(error) == set(zip(found["chains"], found["steps"], strict=True))
    assert error[64, 100] < error[4, 100] / 2
    assert min(found["milliseconds"]) > 0
    assert study._plain(found)


def test_the_exact_action_of_a_budget_is_the_grid_s_mean(cell, monkeypatch):
    """The grid's mean has no error, and staying at the origin has one."""
    data, model = cell.trained.demonstrations, cell.trained.model
    grid = Grid(1.5 * data.eps, points=31)

    def perfect(self, states, *, generator):
        return model_density(model, states, grid).mean().to(states.dtype)

    monkeypatch.setattr(settings.EXP, "act", perfect)
    assert settings.budget(cell)["error"] == pytest.approx([0.0] * len(settings.BUDGETS), abs=1e-5)
    monkeypatch.setattr(settings.EXP, "act", lambda self, x, *, generator: 0 * x)
    assert min(settings.budget(cell)["error"]) > 0


def test_tails_end_between_the_branches_or_in_them(tmp_path, monkeypatch):
    run = Companion("smoke").run("mouse1", 0)
    trained = Store(tmp_path).train_or_load(run, device="cpu")
    made = Cell("mouse1", 0, trained, True, lambda name: trained)
    shown = np.stack(trained.demonstrations.trajectories)

    def replay(policy, points, steps, generator, device):
        return shown[:, -steps - 1 :]

    monkeypatch.setattr(settings, "roll", replay)
    found = settings.tails(made)
    assert found["gap"] == pytest.approx([0.0] * 5, abs=1e-12)
    assert found["smaller"] == [0.5] * 5
