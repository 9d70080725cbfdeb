"""No rule changes after its rows unless the claims page lists it; new rules come before rows."""

import dataclasses
import json
from datetime import date

import pytest

from ebmlib.errors import InputError
from thesis import claim, claims, measured, rules
from thesis.companion import Companion

SETTLED = "after seeds 0 and 1 had been seen"


def test_every_rule_is_the_frozen_one():
    assert rules.differing() == [], "python -m thesis rules --changed WHY lists it on the page"


def test_the_manifest_says_what_it_has_digests_of():
    for id, frozen in rules.manifest()["rules"].items():
        told = {name: frozen[name] for name in rules.rule(claims.get(id))}
        assert rules.digest(told) == frozen["sha256"], id


def test_a_rule_that_is_not_of_the_first_forty_is_older_than_its_rows():
    for id, frozen in rules.manifest()["rules"].items():
        if id in claim.IDENTIFIERS:
            assert frozen["settled"] == SETTLED
            continue
        for name in claims.get(id).studies:
            results = measured.load(name, measured.COMMITTED)
            assert date.fromisoformat(frozen["date"]) <= date.fromisoformat(
                results.provenance["finished"][:10]
            ), id


def test_every_change_is_on_the_page_and_leads_to_the_frozen_rule():
    whole, shown = rules.manifest(), Companion().rule_changes()
    page = shown._repr_markdown_()
    last = {}
    for each in whole["changes"]:
        assert f"claim-{each['claim'].lower()}" in page and each["why"][1:] in page
        assert each["from"] != each["to"]
        last[each["claim"]] = each["to"]
    for id, digest in last.items():
        assert digest == whole["rules"][id]["sha256"]


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    path = tmp_path / "rules.json"
    path.write_text(rules.FILE.read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.setattr(rules, "FILE", path)
    return path


@pytest.mark.parametrize("change", ["rule", "bound", "merit"])
def test_a_changed_rule_is_noticed_and_needs_a_reason(manifest, monkeypatch, change):
    old = claims.get("C27")
    other = {"rule": "Whatever.", "bound": (1.01, 1.5), "merit": "something else"}
    monkeypatch.setitem(claim.REGISTRY, "C27", dataclasses.replace(old, **{change: other[change]}))
    assert rules.differing() == ["C27"]
    with pytest.raises(InputError, match="C27"):
        rules.freeze("2030-01-01")
    assert rules.freeze("2030-01-01", "the old one was a slip") == ["C27"]
    assert rules.differing() == []
    change = json.loads(manifest.read_text(encoding="utf-8"))["changes"][-1]
    assert (change["claim"], change["date"]) == ("C27", "2030-01-01")
    assert json.loads(manifest.read_text(encoding="utf-8"))["rules"]["C27"]["settled"] == SETTLED


def test_numbers_in_the_code_of_a_rule_are_frozen_too():
    found = rules.rule(claims.get("C22"))["numbers"]
    assert {0.05, 0.5, 2.0} <= set(found), "those of its judge"
    assert 2.0 in rules.rule(claims.get("C09"))["numbers"], "a constant that a function uses"
    assert 1e-5 in rules.rule(claims.get("C18"))["numbers"], "those of a function that it calls"
    assert 88.0 not in found


def test_a_new_claim_is_frozen_before_its_study(manifest, monkeypatch):
    new = dataclasses.replace(claims.get("C27"), id="M99")
    monkeypatch.setitem(claim.REGISTRY, "M99", new)
    assert rules.differing() == ["M99"]
    assert rules.freeze("2030-01-01") == ["M99"]
    assert rules.manifest()["rules"]["M99"]["settled"] == "before the first seed"


def test_every_verdict_that_the_fifth_outcome_changes_is_listed():
    shown = Companion().verdict_changes()
    assert {box.verdict.outcome for _, box in shown.changed} == {claim.INCONCLUSIVE}
    page = shown._repr_markdown_()
    for old, box in shown.changed:
        assert old == claim.NOT_REPRODUCED, "no verdict became better by it"
        assert f"claim-{box.claim.id.lower()}" in page
    assert len(shown.pairs) == len(claim.IDENTIFIERS)
