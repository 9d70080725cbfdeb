"""The runner of the benchmark: resumable, and the same whatever it runs at once."""

import json

import pytest

from ebmlib.errors import InputError
from thesis.benchmark import runner
from thesis.benchmark.report import Report
from thesis.benchmark.runner import ALL, Rows, freeze, read, run, search
from thesis.benchmark.settings import METHODS, PROFILES, STATEMENTS, YARDSTICKS, settings_of
from thesis.benchmark.statements import statement, statements
from thesis.display import VerdictBox

PAIR = ("ranking-nce", "kernel-density")


def without_times(rows):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


@pytest.mark.slow
def test_what_has_a_row_is_not_run_again_and_a_cut_line_is(tmp_path, monkeypatch):
    search("smoke", tmp_path, PAIR)
    path = tmp_path / "smoke-search.jsonl"
    whole = read(path)
    assert len(whole) == 4
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]) + lines[-1][:20])  # killed while it wrote
    search("smoke", tmp_path, PAIR)
    again = read(path)
    assert without_times(again) == without_times(whole)
    monkeypatch.setattr(runner, "_run", None)  # nothing is left to run
    search("smoke", tmp_path, PAIR)


def test_rows_of_one_setting_are_kept_together_or_not_at_all(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.touch()  # killed before the first line
    rows = Rows(path)
    assert "provenance" in json.loads(path.read_text())
    with pytest.raises(TypeError):
        rows.add([{"method": "nce", "seed": 0}, {"method": "nce", "seed": object()}])
    assert not Rows(path).has(method="nce")  # else the other seeds would never be run
    rows.add([{"method": "nce", "seed": 0}, {"method": "nce", "seed": 1}])
    assert [row["seed"] for row in Rows(path).rows] == [0, 1]


@pytest.mark.slow
def test_runs_have_the_frozen_setting_and_other_seeds(tmp_path):
    frozen = {"ranking-nce": {"value": 1, "lr": 0.003}}
    (tmp_path / "smoke-frozen.json").write_text(json.dumps(frozen))
    run("smoke", tmp_path, PAIR, ("regression",))
    rows = read(tmp_path / "smoke-run.jsonl")
    assert {row["size"] for row in rows} == {256, 2048}
    assert {(row["value"], row["lr"], row["seed"]) for row in rows} == {(1, 0.003, 0)}
    assert all(row["kl"] > 0 and row["seconds"] > 0 for row in rows)


def test_runs_need_a_frozen_setting(tmp_path):
    with pytest.raises(InputError, match="search and freeze first"):
        run("smoke", tmp_path)


def test_the_best_setting_is_frozen_and_the_first_of_equals(tmp_path):
    rows = [
        {"method": m, "problem": p, "seed": 1000, "information": 1.0, "diverged": False,
         "kl": 0.2 if setting["lr"] == 0.01 else 0.3, **setting}
        for m in ALL for setting in settings_of(m, PROFILES["committed"])
        for p in ("fork", "regression")
    ]  # fmt: skip
    path = tmp_path / "committed-search.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    chosen = json.loads(freeze("committed", tmp_path).read_text())
    assert {chosen[m]["lr"] for m in METHODS} == {0.01}
    assert {chosen[m]["value"] for m in METHODS} == {0}


def test_every_method_has_a_search_of_the_same_size():
    for profile in ("committed", "full"):
        counts = {len(settings_of(m, PROFILES[profile])) for m in METHODS}
        assert len(counts) == 1
    assert counts == {12}


def made(changes=()):
    """A report in which every run is alike, but for what is changed: (method, name) -> number."""
    changed = dict(changes)
    rows = []
    for method in (*METHODS, *YARDSTICKS):
        for number, problem in enumerate(
            ("fork", "regression", "circle", "ring", "skewed", "cube")
        ):
            for size in (256, 2048):
                for seed in (0, 1):
                    row = {"kl": 0.1 + 0.01 * number + 0.005 * seed, "exp": 0.1, "seconds": 1.0,
                           "mode_share": 0.01, "information": 1.0, "diverged": False, "loss": 1.0,
                           "log_z_error": 0.05, "kl_with_q": 0.1 + 0.01 * number + 0.005 * seed,
                           "kl_low_to_low": 0.1, "kl_high_to_low": 0.2,
                           "kl_high_to_high": 0.1, "kl_low_to_high": 0.2}  # fmt: skip
                    row |= {n: v(row) for (m, n), v in changed.items() if m == method}
                    key = {"method": method, "problem": problem, "size": size, "seed": seed}
                    rows.append({**key, **row})
    return Report(tuple(rows), {})


@pytest.mark.parametrize(
    ("id", "changes", "outcome"),
    [
        ("M01", {}, "not reproduced"),
        ("M01", {("score-matching", "seconds"): lambda r: 1.4}, "reproduced"),
        ("M02", {}, "not reproduced"),
        ("M02", {("stein-generator", "kl"): lambda r: 2.0}, "reproduced"),
        ("M03", {}, "reproduced"),
        ("M03", {("nce", "log_z_error"): lambda r: 0.2}, "not reproduced"),
        ("M04", {}, "reproduced"),
        ("M04", {("multi-level-denoising", "kl_low_to_low"): lambda r: 0.3}, "not reproduced"),
        ("M05", {}, "not reproduced"),
        ("M05", {("info-nce", "kl"): lambda r: 0.5}, "reproduced"),
        ("M06", {}, "not reproduced"),
        ("M06", {("cd-data", "kl"): lambda r: 2 * r["kl"]}, "reproduced"),
        ("M06", {("cd-data", "kl"): lambda r: r["kl"] / 2}, "not reproduced"),
        ("M07", {}, "not testable"),
        ("M07", {("cd-data", "loss"): lambda r: 0.0}, "not reproduced"),
        (
            "M07",
            {("cd-data", "loss"): lambda r: 0.0, ("cd-data", "kl"): lambda r: 3 * r["kl"]},
            "reproduced",
        ),
        ("M08", {}, "reproduced"),
        ("M08", {("joint-contrastive-divergence", "exp"): lambda r: 0.2}, "not reproduced"),
        ("M09", {}, "not reproduced"),
        (
            "M09",
            {("cd-persistent", "kl"): lambda r: r["kl"] / 2},
            "reproduced in a stated range",
        ),
        ("M10", {}, "reproduced"),
        ("M10", {("exact-likelihood", "kl"): lambda r: r["kl"] / 2}, "not reproduced"),
    ],
)  # fmt: skip
def test_a_statement_is_judged_by_its_rule(id, changes, outcome):
    claim, verdict = statement(made(changes), id)
    assert verdict.outcome == outcome, verdict.reading
    assert claim.rule == STATEMENTS[id][1]


def test_every_statement_has_a_judge():
    assert [claim.id for claim, _ in statements(made())] == list(STATEMENTS)


def test_the_box_of_a_statement_says_what_its_interval_is_over():
    """Its numbers are not over seeds, and no test of seeds stands behind its verdict."""
    for claim, verdict in statements(made({("cd-data", "loss"): lambda r: 0.0})):
        box = str(VerdictBox(claim, verdict))
        assert "0 seeds" not in box and "The test of this verdict" not in box, box
        assert f"over {verdict.over}" in box or verdict.number is None
    over = {claim.id: verdict.over for claim, verdict in statements(made())}
    assert over["M02"] == "3 methods" and over["M06"] == "12 blocks"
