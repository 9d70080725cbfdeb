"""Searches: other settings for claims that fail at ours; their judges against planted numbers."""

from dataclasses import replace

import numpy as np
import pytest

from ebmlib import Store
from ebmlib.evaluation.exact import Grid, model_density
from thesis import Companion, claim, claims, figures, search, study, verdicts
from thesis.claims.architecture import epochs_to
from thesis.claims.network import OVERFLOW
from thesis.conditions import RATES, SIGMAS, WIDER_DATA
from thesis.display import SearchTable, plain
from thesis.evidence import Evidence, fact
from thesis.search import Found, Search
from thesis.statistics import estimate
from thesis.studies import settings
from thesis.study import Cell, Results

SEEDS = range(5)
YES, OPEN, NO = Evidence(True, 0.01), Evidence(None), fact(False)


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
    return [found.where for found in claims.searches()[id].judge(*given) if found.holds]


# --- what a search does to a verdict --------------------------------------------------------------


def fails(*_):
    return claim.Verdict(claim.NOT_REPRODUCED, estimate([7.0]), "It fails.")


def verdict(monkeypatch, judge, settings_found):
    made = Search(
        "C27", "x", "width (m)", "y", "z", (), ("dynamics",), "4.7", lambda _: settings_found
    )
    monkeypatch.setitem(search.REGISTRY, "C27", made)
    made = replace(claims.get("C27"), judge=judge)
    return verdicts.verdict(made, lambda name: results(circle={"value": 1.0}))


def test_a_claim_that_holds_elsewhere_is_reproduced_in_that_range(monkeypatch):
    found = [Found("A", estimate([1.0]), NO), Found("B", estimate([2.0]), YES)]
    told = verdict(monkeypatch, fails, found)
    assert (told.outcome, told.where) == (claim.IN_RANGE, "at B")
    assert told.number.value == 7.0, "the number stays the one at our setting"
    assert told.p == pytest.approx(2 * YES.p_holds), "two settings were tried"
    assert (told.reading, told.elsewhere) == ("It fails.", tuple(found))
    assert verdicts.tried(found) == "Of 2 other settings tried it holds at 1."


def test_the_range_in_which_a_claim_holds_elsewhere_is_named(monkeypatch):
    found = [Found("A", estimate([1.0]), YES, "on mouse2"), Found("B", estimate([2.0]), YES)]
    assert verdict(monkeypatch, fails, found).where == "at A (on mouse2); B"


def test_one_setting_is_told_in_the_singular(monkeypatch):
    for evidence, says in ((YES, "holds"), (OPEN, "is open"), (NO, "does not hold")):
        found = [Found("A", estimate([1.0]), evidence)]
        assert verdicts.tried(found) == f"At the one other setting tried it {says}."
    assert verdicts.tried([]) == ""


def test_a_claim_that_holds_nowhere_stays_what_it_is_at_ours(monkeypatch):
    found = [Found("A", estimate([1.0]), NO), Found("B", estimate([2.0]), OPEN)]
    told = verdict(monkeypatch, fails, found)
    assert (told.outcome, told.elsewhere) == (claim.NOT_REPRODUCED, tuple(found))
    says = "Of 2 other settings tried it holds at none, and at 1 it is open."
    assert verdicts.tried(found) == says


def test_a_claim_that_is_open_at_ours_is_looked_for_elsewhere_too(monkeypatch):
    def is_open(*_):
        return claim.Verdict(claim.INCONCLUSIVE, estimate([7.0]), "Who knows.")

    assert verdict(monkeypatch, is_open, [Found("A", estimate([1.0]), NO)]).outcome == (
        claim.INCONCLUSIVE
    )
    told = verdict(monkeypatch, is_open, [Found("A", estimate([1.0]), YES)])
    assert (told.outcome, told.where) == (claim.IN_RANGE, "at A")


def test_many_settings_are_counted_and_not_all_named(monkeypatch):
    found = [Found(name, estimate([1.0]), YES) for name in "ABCDEF"]
    assert verdict(monkeypatch, fails, found).where == "at A; B; C; D; and 2 more settings"


def test_a_claim_that_holds_at_ours_is_not_searched(monkeypatch):
    def holds(*_):
        return claim.Verdict(claim.REPRODUCED, estimate([7.0]), "It does.")

    told = verdict(monkeypatch, holds, [Found("A", estimate([1.0]), YES)])
    assert (told.outcome, told.reading) == (claim.REPRODUCED, "It does.")


def test_a_search_is_judged_without_the_first_seeds_where_its_verdict_is(monkeypatch):
    given = []
    other = replace(claims.searches()["C13"], judge=lambda results: given.append(results) or [])
    assert other.found(lambda name: results(circle={}), 2) == []
    assert given[0].seeds("circle") == [2, 3, 4]


@pytest.mark.parametrize("made", claims.searches().values(), ids=lambda made: made.claim)
def test_a_search_is_made_of_what_there_is(made):
    companion = Companion()
    assert claims.get(made.claim)
    assert made.figure in figures.figures()
    assert set(made.studies) <= set(figures.get(made.figure).studies)
    found = made.found(companion.results)
    assert found and len({each.setting for each in found}) == len(found)
    shown = companion.verdict(made.claim)
    told = shown._repr_markdown_()
    assert made.over[1:] in told and made.merit in told and made.rule in told
    assert plain(made.merit) in str(shown) and plain(made.rule) in str(shown)


def test_every_claim_that_fails_was_looked_for_elsewhere():
    """Or its own study is the map of its settings: a grid over alpha and K, 145 models."""
    own = {"C24", "C38"}
    companion = Companion()
    failed = {v.claim.id for v in companion.verdicts() if v.verdict.outcome == claim.NOT_REPRODUCED}
    assert failed <= set(claims.searches()) | own


def test_the_table_lists_what_was_found():
    shown = Companion().verdict("C13")
    found = (Found("4 layers", estimate([3.0]), YES), Found("8 layers", estimate([1.0]), NO))
    text = SearchTable(((shown, found),))._repr_markdown_()
    assert "| 1 of 2: 4 layers |" in text and "claim-c13" in text
    assert "none of them |" in SearchTable(((shown, found[1:]),))._repr_markdown_()
    unknown = (*found, Found("16 layers", estimate([2.0]), OPEN))
    assert (
        "1 of 3: 4 layers (open: 16 layers) |" in SearchTable(((shown, unknown),))._repr_markdown_()
    )


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
    (where,) = held("C16", Results("escape", tuple(rows), {}))
    assert where == "learning rate 0.03 (in 4 of 5 seeds)"
    rows[15]["f_largest"] = 1.5 * OVERFLOW  # one that leaves all the same
    assert held("C16", Results("escape", tuple(rows), {})) == []


def test_a_training_that_diverged_counts_as_having_left_the_range():
    given = at_rates(plain_tanh=lambda lr: {"loss_largest": 5.0}, plain=lambda lr: {"diverged": 1})
    assert len(held("C19", given)) == len(RATES)
    both = at_rates(plain_tanh=lambda lr: {"diverged": 1}, plain=lambda lr: {"diverged": 1})
    assert held("C19", both) == []


def at_last(errors, path1=0.01):
    """Rows of a plain network on circle, with this error at 3000 updates, and on path1."""
    return at_rates(
        plain=lambda lr: {"epochs": [3000], "error": [errors[lr]]},
        plain_path1=lambda lr: {"epochs": [3000], "error": [path1]},
    )


def test_the_plain_network_must_fail_where_the_other_has_begun_well():
    early = at_rates(early=lambda lr: {"early_error": [1.0, 0.05 if lr < 0.1 else 0.5]})
    given = at_last({0.01: 0.5, 0.03: 0.05, 0.1: 0.5})
    assert held("C20", given, early) == [
        "learning rate 0.01",
        "learning rate 0.03 (for the embedding network)",
    ]
    on_path1 = at_last({0.01: 0.05, 0.03: 0.05, 0.1: 0.5}, path1=0.5)
    assert held("C20", on_path1, early) == ["learning rate 0.01", "learning rate 0.03"]


def arrival(epoch, last=1000):
    """Trajectory errors of a training that is similar from ``epoch`` on, if ever."""
    epochs = list(range(50, last + 1, 50))
    return {"epochs": epochs, "error": [0.05 if at >= epoch else 0.5 for at in epochs]}


def test_normalised_layers_must_take_twice_the_epochs():
    at = {0.01: (500, 200), 0.03: (300, 200), 0.1: (2000, 200)}  # 2000: it never arrives
    given = at_rates(
        sn_fcn_0_2=lambda lr: arrival(at[lr][0]), embedding=lambda lr: arrival(at[lr][1])
    )
    assert held("C12", given) == ["learning rate 0.01", "learning rate 0.1"]
    diverged = at_rates(
        sn_fcn_0_2=lambda lr: {"diverged": 1}, embedding=lambda lr: arrival(at[lr][1])
    )
    numbers = [found.number.value for found in claims.searches()["C12"].judge(diverged)]
    of_condition = 1000 / epochs_to(arrival(200))[0]
    assert numbers == pytest.approx([of_condition] * 3)


def test_circle_must_take_three_times_the_epochs_of_path1():
    at = {0.01: (600, 200), 0.03: (1200, 200), 0.1: (200, 200)}
    given = at_rates(
        plain=lambda lr: arrival(at[lr][0], 3000), plain_path1=lambda lr: arrival(at[lr][1], 3000)
    )
    assert held("C33", given) == [
        "learning rate 0.01",
        "learning rate 0.03 (but not three times as many)",
    ]


def test_a_smaller_network_must_fail_or_take_longer():
    def sizes(quarter, eighth):
        return results(**{"size__quarter": arrival(quarter), "size__eighth": arrival(eighth)})

    half = results(architecture__half=arrival(200))
    assert held("C21", half, sizes(2000, 2000)) == ["half against quarter size"]
    part = "where the smaller needs more epochs"
    assert held("C21", half, sizes(400, 800)) == [
        f"half against quarter size ({part})",
        f"quarter against eighth size ({part})",
    ]
    assert held("C21", half, sizes(200, 200)) == []


def test_gradients_through_normalised_layers_must_be_small_and_the_loss_flat():
    free = results(**{"architecture__figure-3-2": {"loss_largest": 1.0}})
    small = {"gradient_norm": 1e-4, "loss_largest": 0.05, "R_largest": 1.0, "error": [0.5]}
    kinds = {2: small, 4: small | {"gradient_norm": 0.01}, 8: small | {"loss_largest": 0.5},
             16: small | {"error": [0.01]}}  # fmt: skip
    given = results(**{f"normalised__no-residual-{n}": row for n, row in kinds.items()})
    assert held("C18", given, free) == [
        "2 hidden layers",
        "4 hidden layers (but for the gradient norm, which is not near $10^{-4}$)",
    ]


def noisy(**columns):
    """Results on data with other noise, the same at every setting; 0.06 and 0.15 are reached."""
    made = {
        f"sigma__{name}-{sigma:g}": columns | {"reach": 3 * sigma}
        for name in WIDER_DATA
        for sigma in SIGMAS
    }
    return results(**made)


def test_drift_is_held_against_the_reach_of_the_noise():
    late = noisy(ML_late=0.1, ML_early=0.02)
    assert held("C09", late) == [f"{name}, noise 0.02" for name in WIDER_DATA]
    assert held("C09", noisy(ML_late=0.1, ML_early=0.06)) == [], "it has not grown"


def test_return_is_from_beyond_the_reach_and_leaves_a_smaller_gap():
    columns = {"EXP_return_0.1": 0.5, "EXP_return_0.3": 1.0, "ML_gap_0.1": 0.1, "ML_gap_0.3": 0.1}
    smaller = noisy(**columns, **{"EXP_gap_0.1": 0.01, "EXP_gap_0.3": 0.01})
    assert held("C10", smaller) == [f"{name}, noise 0.05" for name in WIDER_DATA]
    larger = noisy(**columns, **{"EXP_gap_0.1": 0.01, "EXP_gap_0.3": 0.2})
    assert held("C10", larger) == []


def test_exp_must_stray_from_the_fork_where_single_draws_do_not():
    strays = {"lr-0.003": (2.0, 0.5), "lr-0.01": (2.0, 2.0), "epochs-3000": (0.5, 0.5)}
    rows = {f"fork__{name}": {"EXP_stray": exp, "draw_stray": draw}
            for name, (exp, draw) in strays.items()}  # fmt: skip
    assert held("C17", results(**rows)) == ["learning rate 0.003"]


def test_many_steps_must_settle_where_few_still_mix():
    settled = {"lag_settled": 1000.0, "R_change": 0.01, "lag_rise": 1.0, "excess": 0.0}
    mixing = settled | {"R_change": 0.2, "excess": 0.5}

    def given(few, many):
        return results(**{"mouse1__alpha-0.003-K-100": few, "mouse1__alpha-0.003-K-256": many})

    assert held("C31", given(mixing, settled)) == ["noise level 0.003"]
    assert held("C31", given(settled, settled)) == ["noise level 0.003 (for $K = 256$)"]
    assert held("C31", given(mixing, mixing)) == []


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
    assert held("C39", results(mouse1=late, mouse2=late)) == []
    assert held("C39", results(mouse1=late, mouse2=good))[-1].endswith(" (on mouse2)")


def test_angles_are_held_against_the_line_s_own():
    def columns(*angles):
        return {"nearest": list(angles)}

    near = columns(4.0, 5.0, 6.0, 7.0, 9.0, 10.0, 12.0)
    far = columns(10.0, 10.0, 10.0, 10.0, 15.0, 15.0, 30.0)
    given = results(**{"sigma__mouse2-0.003": near, "sigma__mouse2-0.02": far})
    assert held("C36", given) == ["noise 0.003", "noise 0.02 (at 0.7 beside the centre line)"]


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
