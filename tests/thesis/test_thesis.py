"""The frame of the thesis: statistics over seeds, studies that survive, honest verdicts."""

import dataclasses
import json
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from ebmlib.errors import DivergenceError, InputError, NoiseLevelWarning, StoreError
from ebmlib.objectives.base import WithoutParts
from ebmlib.training.store import Store
from thesis import (
    claim,
    claims,
    cli,
    code,
    evidence,
    figure,
    figures,
    measured,
    provenance,
    studies,
    study,
    verdicts,
)
from thesis.companion import Companion
from thesis.conditions import CONDITIONS, condition
from thesis.display import HeldOut, VerdictBox
from thesis.runs import sampler_of, sampler_updates, tiny
from thesis.statistics import epochs_until, estimate, interquartile_mean

# --- statistics -----------------------------------------------------------------------------------


def test_interquartile_mean_is_the_mean_of_the_middle_half():
    assert interquartile_mean([100.0, 2, 3, 4, -50]) == pytest.approx(3)
    assert interquartile_mean(np.arange(8.0)) == pytest.approx((2 + 3 + 4 + 5) / 4)


def test_epochs_until_a_threshold_lie_where_the_logarithm_crosses_it():
    epochs = [0, 50, 100]
    assert epochs_until(epochs, [4.0, 3.0, 0.5], np.sqrt(1.5)) == pytest.approx(75)
    assert epochs_until(epochs, [4.0, 0.5, 3.0], 1.0, hold=2) == np.inf
    assert epochs_until(epochs, [4.0, 3.0, 0.5], 1.0, hold=2) < 100
    assert epochs_until(epochs, [1.0, 3.0, 0.5], 1.0) == 0
    assert epochs_until([], [], 1.0) == np.inf


def test_interval_and_mean_are_scipys():
    rng = np.random.default_rng(3)
    for n in (2, 3, 4, 5, 8, 10):
        values = rng.normal(size=n)
        assert interquartile_mean(values) == pytest.approx(stats.trim_mean(values, 0.25))
        same = stats.bootstrap(
            (values,), lambda v, axis: stats.trim_mean(v, 0.25, axis=axis),
            n_resamples=2000, method="percentile", rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        assert estimate(values)[1:3] == pytest.approx((same.low, same.high), rel=1e-12)


COVERED = 0.936
"""How often the percentile bootstrap of ten normal numbers' interquartile mean holds the truth."""


def test_the_interval_covers_the_truth_as_often_as_it_says():
    """Ten seeds of a normal quantity; a percentile bootstrap is a little narrow, not absurdly."""
    rng, runs = np.random.default_rng(0), 2000
    inside = 0
    for _ in range(runs):
        found = estimate(rng.normal(1.0, 0.3, 10))
        inside += found.low <= 1.0 <= found.high
    # 95 % nominal; of 20 000 such samples it covers 0.936, one at 90 % 0.886
    assert abs(inside / runs - COVERED) < 4 * np.sqrt(COVERED * (1 - COVERED) / runs)


def test_an_estimate_repeats_itself_and_knows_its_seeds():
    values = [1.0, 2.0, 4.0, 8.0, 16.0]
    assert estimate(values) == estimate(values)
    assert estimate(values).n == 5
    assert estimate([3.0]) == (3.0, 3.0, 3.0, 1, (3.0,))
    with pytest.raises(InputError, match="finite"):
        estimate([1.0, np.nan])
    with pytest.raises(InputError, match="finite"):
        estimate([])


# --- studies --------------------------------------------------------------------------------------


@pytest.fixture
def known(monkeypatch):
    """A study that is registered for the length of a test: measures the weights' sum."""
    calls = []

    def measure(cell):
        calls.append((cell.condition, cell.seed))
        first = next(cell.trained.model.parameters())
        return {"first": first.detach().flatten()[0], "curve": [1, 2.5, float("nan")]}

    module = types.ModuleType("planted")
    measure.__module__ = "planted"
    monkeypatch.setitem(sys.modules, "planted", module)
    monkeypatch.setattr(code, "digest", lambda modules: "planted code")
    made = study.Study("planted", ("circle", "path1"), measure, seeds=2)
    monkeypatch.setitem(studies.STUDIES, "planted", made)
    return made, calls


def run_study(made, tmp_path, **options):
    return study.measure(
        made, store=Store(tmp_path / "store"), work=tmp_path / "work", small=True, **options
    )


def test_a_study_measures_every_condition_and_seed_once_and_goes_on_after_a_kill(known, tmp_path):
    made, calls = known
    first = run_study(made, tmp_path, seeds=[0])
    assert calls == [("circle", 0), ("path1", 0)]
    both = run_study(made, tmp_path)
    assert calls[2:] == [("circle", 1), ("path1", 1)], "rows that are there are not measured again"
    assert [(row["condition"], row["seed"]) for row in both.rows] == [
        ("circle", 0), ("circle", 1), ("path1", 0), ("path1", 1),
    ]  # fmt: skip
    assert both.values("circle", "first")[0] == first.values("circle", "first")[0]
    assert both.seeds() == [0, 1]


def test_a_row_that_a_full_disk_cut_short_is_measured_again(known, tmp_path):
    made, calls = known
    run_study(made, tmp_path, seeds=[0])
    path = next((tmp_path / "work").rglob("circle.0.json"))
    path.write_text(path.read_text()[:-5])
    run_study(made, tmp_path, seeds=[0])
    assert calls[2:] == [("circle", 0)]


def test_results_come_back_from_their_file_as_they_were(known, tmp_path):
    made, _ = known
    results = run_study(made, tmp_path, seeds=[0])
    measured.save(results, tmp_path / "results")
    again = measured.load("planted", tmp_path / "results")
    assert again.rows == results.rows and again.provenance == results.provenance
    assert np.isnan(again.values("circle", "curve")[0, 2]), "what is not finite stays visible"
    (tmp_path / "results" / "planted.json").write_text("{")
    with pytest.raises(StoreError, match="measure again"):
        measured.load("planted", tmp_path / "results")


def test_results_are_stale_when_a_condition_the_data_or_the_code_changed(
    known, tmp_path, monkeypatch
):
    made, _ = known
    results = run_study(made, tmp_path, seeds=[0])
    assert not measured.stale(results)
    for change in ("condition", "code", "data"):
        with monkeypatch.context() as patch:
            if change == "condition":
                patch.setitem(CONDITIONS, "circle", CONDITIONS["circle"].with_(lr=2e-3))
            elif change == "code":
                patch.setattr(code, "digest", lambda modules: "other code")
            else:
                patch.setattr(provenance, "data", lambda runs: {"circle": "other data"})
            assert measured.stale(results), change


def test_a_measure_loads_no_model_that_its_digest_does_not_cover(known, tmp_path):
    made, _ = known
    stranger = dataclasses.replace(made, measure=lambda cell: {"x": cell.load("mouse1").run.seed})
    with pytest.raises(InputError, match="mouse1"):
        run_study(stranger, tmp_path, seeds=[0])
    named = dataclasses.replace(stranger, loads=("mouse1",))
    assert named.digest() != made.digest()
    assert run_study(named, tmp_path, seeds=[0]).values("circle", "x") == [0]


@dataclasses.dataclass(frozen=True)
class WithoutChains(WithoutParts):
    """An objective that knows nothing of samplers."""

    batch_size: int = 100
    chain_steps: int = 0

    def initial_state(self, pairs, *, generator):
        return {}

    parts = part_optimizers = begin = initial_state  # what it is asked for while it trains

    def __call__(self, *_, generator):
        raise NotImplementedError


def test_a_condition_needs_no_sampler():
    run = dataclasses.replace(condition("circle"), objective=WithoutChains())
    assert sampler_updates(run) == 0
    assert (tiny(run).training.epochs, tiny(run).objective.batch_size) == (20, 64)
    with pytest.raises(InputError, match="WithoutChains has none"):
        sampler_of(run)


def test_committed_results_are_replaced_only_when_that_is_said(known, tmp_path, monkeypatch):
    made, _ = known
    monkeypatch.setattr(measured, "COMMITTED", tmp_path / "committed")
    results = run_study(made, tmp_path, seeds=[0])
    with pytest.raises(InputError, match="--publish"):
        measured.save(results, tmp_path / "committed")
    assert measured.save(results, tmp_path / "committed", publish=True).is_file()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--publish", "--profile", "smoke"], "smoke"),
        (["--publish", "--seeds", "1"], "2 seeds"),
        (["--publish", "--out", "x"], "leave out --out"),
        (["--out", str(measured.COMMITTED)], "--publish"),
        (["--publish"], "commit first"),
    ],
)
def test_what_must_not_replace_results_is_refused_before_it_is_measured(
    known, tmp_path, monkeypatch, capsys, arguments, sentence
):
    made, calls = known
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(provenance, "commit", lambda: "123456789abc-dirty")
    assert cli.main(["study", made.name, "--store", str(tmp_path), *arguments]) != 0
    assert sentence in capsys.readouterr().err and not calls


def test_results_go_to_a_folder_that_is_named(known, tmp_path, monkeypatch, capsys):
    made, _ = known
    monkeypatch.chdir(tmp_path)
    store = [
        "--store",
        str(tmp_path / "s"),
        "--seeds",
        "1",
        "--profile",
        "smoke",
        "--device",
        "cpu",
    ]
    assert cli.main(["study", made.name, *store]) == 0
    assert (tmp_path / "build" / "results" / "planted.json").is_file()
    assert "build/results" in capsys.readouterr().err


def test_a_training_that_diverges_is_a_row(known, tmp_path, monkeypatch):
    made, _ = known

    def diverge(self, run, **options):
        raise DivergenceError("the loss is not finite")

    monkeypatch.setattr(Store, "train_or_load", diverge)
    rows = run_study(made, tmp_path, seeds=[0]).rows
    assert [row["diverged"] for row in rows] == [1, 1]


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_condition_has_a_tiny_twin_of_the_same_kind(name):
    run, small = condition(name, 3), tiny(condition(name, 3))
    assert small.training.epochs <= 20
    if hasattr(run.objective, "sampler"):
        assert small.objective.sampler.steps <= 20
    assert (small.energy, small.seed) == (run.energy, 3)
    assert type(small.objective) is type(run.objective)
    if hasattr(run.objective, "start"):
        assert type(small.objective.start) is type(run.objective.start)


def test_unknown_names_are_told_what_there_is():
    for ask in (condition, studies.study, claims.get, figures.get):
        with pytest.raises(InputError, match="known"):
            ask("nonsense")


# --- claims and figures ---------------------------------------------------------------------------


def test_all_forty_claims_are_judged():
    assert tuple(found.id for found in claims.claims(claim.THESIS)) == claim.IDENTIFIERS


VERDICTS = json.loads(Path(__file__).with_name("verdicts.json").read_text())
"""Outcome and number of every claim, made before the code moved (commit f122a9d). Whoever changes a
rule or measures anew changes the row here too, so that no verdict changes unseen."""


def test_every_verdict_is_what_it_was():
    boxes = [*Companion().verdicts(), *Companion().verdicts("D")]
    assert [box.claim.id for box in boxes] == list(VERDICTS)
    for box in boxes:
        row = VERDICTS[box.claim.id]
        assert box.verdict.outcome == row["outcome"], box.claim.id
        assert list(box.verdict.number[:4]) == pytest.approx(row["number"], rel=1e-9), box.claim.id


def test_other_families_of_claims_have_identifiers_of_their_own(monkeypatch):
    def register(id):
        with monkeypatch.context() as patch:
            patch.setattr(claim, "REGISTRY", dict(claim.REGISTRY))
            names = ("section", "page", "statement", "number", "unit", "merit", "rule", "tried")
            texts = dict.fromkeys(names, "x") | {"bound": (None, None)}
            return claim.claim(id, **texts)(lambda: None)

    assert register("M01").family == "M"
    for bad in ("M1", "X01", "m01", "C41", "C00", "M001"):
        with pytest.raises(InputError, match=r"C01|letter"):
            register(bad)
    with pytest.raises(InputError, match="twice"):
        register("C27")


def test_every_figure_of_the_thesis_can_be_drawn():
    known = figures.figures()
    assert set(figure.NUMBERS) <= set(known)
    for drawing in known.values():
        assert len(drawing.alt.split()) >= 10, drawing.name
        assert set(drawing.conditions) <= set(CONDITIONS), drawing.name
        assert set(drawing.studies) <= set(studies.studies()), drawing.name


@pytest.mark.parametrize("name", sorted(studies.studies()))
def test_committed_results_belong_to_this_code_and_have_their_seeds(name):
    results = measured.load(name, measured.COMMITTED)
    assert not measured.stale(results), f"measure again: python -m thesis study {name}"
    made = studies.study(name)
    assert results.conditions == list(made.conditions)
    runs = made.runs()
    assert results.provenance["configurations"] == provenance.configurations(runs)
    assert results.provenance["data"] == provenance.data(runs)
    assert "dirty" not in (results.provenance["commit"] or "")
    assert results.seeds() == list(range(made.planned_seeds))
    assert len(results.rows) == len(made.conditions) * made.planned_seeds
    assert not results.provenance["small"]


def test_ten_seeds_where_trainings_are_short():
    assert sampler_updates(condition("fork")) == 1000 * 256 * 100
    assert studies.study("fork").planned_seeds == study.SEEDS_IF_SHORT
    assert studies.study("noise-level").planned_seeds == study.SEEDS  # short ones, but twenty


def test_a_verdict_by_parts_names_the_parts_that_hold():
    def outcome(*holds):
        answers = (evidence.Evidence(each) for each in holds)
        parts = evidence.by_parts(dict(zip(("a", "b", "c"), answers, strict=True)))
        found = claim.judged(parts, estimate([1.0]), "it does", before="on ")
        return found.outcome, found.where

    assert outcome(True, True, True) == (claim.REPRODUCED, "")
    assert outcome(True, False, True) == (claim.IN_RANGE, "on a, c")
    assert outcome(True, None, False) == (claim.IN_RANGE, "on a"), "what is open is not claimed"
    assert outcome(False, False, False) == (claim.NOT_REPRODUCED, "")
    assert outcome(False, None, None) == (claim.INCONCLUSIVE, "on b, c")


def test_a_verdict_held_out_is_judged_without_the_first_seeds():
    """A claim that only the seeds hold that were known when rules were made."""

    def judge(results):
        mean = estimate(results.values("circle", "value"))
        held = claim.REPRODUCED if mean.value > 0 else claim.NOT_REPRODUCED
        return claim.Verdict(held, mean, "it is positive")

    rows = [{"condition": "circle", "seed": k, "value": 9.0 if k < 2 else -1.0} for k in range(4)]
    results = study.Results("escape", tuple(rows), {"digest": ""})
    found = dataclasses.replace(claims.get("C27"), studies=("escape",), judge=judge)
    over_all = verdicts.verdict(found, lambda name: results)
    alone = verdicts.verdict(found, lambda name: results, claim.FIRST_HELD_OUT)
    assert (over_all.outcome, over_all.seeds) == (claim.REPRODUCED, 4)
    assert (alone.outcome, alone.seeds) == (claim.NOT_REPRODUCED, 2)
    told = HeldOut(2, ((VerdictBox(found, over_all), VerdictBox(found, alone)),))
    assert "0 of 1" in repr(told) and "C27, reproduced over all" in repr(told)
    same = HeldOut(2, ((VerdictBox(found, alone), VerdictBox(found, alone)),))
    assert repr(same).endswith("1 of 1 verdicts stay what they are.")


@pytest.mark.parametrize("found", list(claims.claims()), ids=lambda found: found.id)
def test_a_claim_is_judged_from_what_is_committed(found):
    shown = Companion().verdict(found.id)
    assert shown.verdict.reading
    assert found.figure is None or found.figure in figures.figures()
    if found.studies:
        assert shown.verdict.seeds >= study.SEEDS
    else:
        assert shown.verdict.outcome == claim.NOT_TESTABLE


def test_a_verdict_must_have_a_number_and_a_range_a_place():
    with pytest.raises(InputError, match="number"):
        claim.Verdict(claim.REPRODUCED, None, "it does")
    with pytest.raises(InputError, match="where"):
        claim.Verdict(claim.IN_RANGE, estimate([1.0]), "it does")
    with pytest.raises(InputError, match="outcome"):
        claim.Verdict("true", estimate([1.0]), "it does")


def test_a_stale_verdict_says_so_wherever_it_is_shown():
    found = claims.get("C27")
    verdict = dataclasses.replace(Companion().verdict("C27").verdict, stale=True)
    shown = VerdictBox(found, verdict)
    assert "STALE" in str(shown) and "**Stale.**" in shown._repr_markdown_()


def test_a_figure_carries_what_it_was_drawn_from(tmp_path):
    companion = Companion("smoke", "cpu", Store(tmp_path))
    drawn = companion.figure("4.6")
    about = drawn._repr_mimebundle_()[1]["ebmlib"]
    assert about["figure"] == "4.6"
    assert list(about["from"]) == ["circle, seed 0"]
    json.dumps(about)


def test_a_noise_level_past_the_limit_on_purpose_is_no_cause_for_warning(tmp_path):
    companion = Companion("smoke", "cpu", Store(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        companion.trained("noise/alpha-0.02-K-25")
    with pytest.warns(NoiseLevelWarning):
        Store(tmp_path / "own").train_or_load(companion.run("noise/alpha-0.02-K-25"))


def test_a_verdict_is_stale_if_one_of_its_studies_is():
    """C31 has two studies."""
    found = claims.get("C31")
    assert len(found.studies) == 2

    def of(*old):
        return verdicts.verdict(
            found,
            lambda name: measured.load(name, measured.COMMITTED),
            stale=lambda results: results.study in old,
        ).stale

    one, two = found.studies
    assert (of(), of(one), of(two), of(one, two)) == (False, True, True, True)


def test_a_verdict_from_a_search_is_stale_if_the_search_is():
    found = next(
        claims.get(id)
        for id, other in claims.searches().items()
        if not set(other.studies) & set(claims.get(id).studies)
        and verdicts.verdict(
            claims.get(id), lambda n: measured.load(n, measured.COMMITTED), stale=lambda r: False
        ).outcome
        == claim.IN_RANGE
    )
    other = claims.searches()[found.id].studies[0]
    told = verdicts.verdict(
        found,
        lambda name: measured.load(name, measured.COMMITTED),
        stale=lambda results: results.study == other,
    )
    own = found.judge(*(measured.load(name, measured.COMMITTED) for name in found.studies))
    assert told.stale == (own.outcome == claim.NOT_REPRODUCED)


def test_seeds_of_results_are_those_that_every_condition_has():
    seeds = {"a": (0, 1, 2, 4), "b": (1, 2, 3, 4), "c": (4, 2, 1)}
    rows = [{"condition": name, "seed": seed} for name, each in seeds.items() for seed in each]
    results = study.Results("any", tuple(rows), {})
    assert results.seeds() == [1, 2, 4]
    assert results.seeds("c") == [1, 2, 4] and results.seeds("b") == [1, 2, 3, 4]
    assert results.from_seed(2).seeds() == [2, 4]
    assert study.Results("any", (), {}).seeds() == []
