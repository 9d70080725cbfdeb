"""Results carry over to changed code only by proof."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ebmlib.errors import InputError
from thesis import carry, measured, provenance
from thesis.studies import study

pytestmark = pytest.mark.slow  # each measures a study in a copy of the project

ROOT = Path(carry.__file__).parents[1]
NAME = "tail"  # one condition, a second
TARGET = "thesis/studies/trajectories.py"


def checkout(folder, change=None):
    """A copy of the project in which one text of the study's file is another."""
    for name in ("ebmlib", "thesis", "data"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc"))
    if change:
        path = folder / TARGET
        assert change[0] in path.read_text()
        path.write_text(path.read_text().replace(*change))
    return folder


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """What the study's small rows are here."""
    return carry.probed(ROOT, [NAME], tmp_path_factory.mktemp("here"))[NAME]


def stale_results():
    """The committed results as if the code had changed since."""
    results = measured.load(NAME, measured.COMMITTED)
    return replace(results, provenance=dict(results.provenance) | {"digest": "of other code"})


def test_a_change_that_moves_no_number_carries_over(here, tmp_path):
    renamed = checkout(tmp_path / "tree", ("ordered", "in_order"))
    old = carry.probed(renamed, [NAME], tmp_path / "rows")[NAME]
    assert old["digest"] != here["digest"]
    results, what = stale_results(), study(NAME)
    entry = carry.proof(what, results, old, here)
    assert entry["numbers"] > 50
    made = carry.carried(what, results, "abc", {"from": {"commit": "x", "digest": "y"}} | entry)
    assert not measured.stale(made) and made.rows == results.rows
    assert carry.proofs(made) == ["abc", *carry.proofs(results)]
    path = measured.save(made, tmp_path / "results")
    assert measured.load(NAME, tmp_path / "results") == made
    rows = path.read_bytes().partition(b'"rows"')[2]
    assert rows == (measured.COMMITTED / f"{NAME}.json").read_bytes().partition(b'"rows"')[2]


def test_a_number_that_moves_in_its_last_bits_is_refused(here, tmp_path):
    planted = checkout(
        tmp_path / "tree", ("below, above = float(", "below, above = 1e-16 + float(")
    )
    new = carry.probed(planted, [NAME], tmp_path / "rows")[NAME]
    assert list(carry.differences(here["rows"], new["rows"]))
    with pytest.raises(InputError, match="differ, first"):
        carry.proof(study(NAME), stale_results(), new, here)


def test_only_clock_times_may_differ():
    before = {"circle": {"a": ["0x1p+0"], "time": "0x1p+0"}}
    after = {"circle": {"a": ["0x1p+0"], "time": "0x1p+1"}}
    assert list(carry.differences(before, after)) == ["time of circle"]
    assert not list(carry.differences(before, after, ["time"]))
    for broken in (
        {"circle": {"a": ["0x1p+0"]}},
        {},
        {"circle": {**before["circle"], "b": "0x0p+0"}},
    ):
        assert list(carry.differences(before, broken, ["time"]))


def test_other_conditions_data_or_code_are_refused(here):
    what, results = study(NAME), stale_results()
    assert carry.proof(what, results, here, here)
    with pytest.raises(InputError, match="commit all files"):
        carry.proof(what, results, here, here | {"digest": "of a file that is not committed"})
    rows = tuple(row | {"condition": "circle"} for row in results.rows)
    with pytest.raises(InputError, match="other conditions"):
        carry.proof(what, replace(results, rows=rows), here, here)
    configurations = json.loads(json.dumps(results.provenance["configurations"]))
    configurations["mouse1"]["training"]["epochs"] += 1
    for part, value in (("configurations", configurations), ("data", {"mouse1": "other"})):
        changed = dict(results.provenance) | {part: value}
        with pytest.raises(InputError, match="not what"):
            carry.proof(what, replace(results, provenance=changed), here, here)


def test_a_working_tree_that_is_no_commit_is_refused(monkeypatch):
    monkeypatch.setattr(provenance, "commit", lambda: "123456789abc-dirty")
    with pytest.raises(InputError, match="commit first"):
        list(carry.carry([NAME]))


def test_a_commit_that_is_gone_gives_way_to_the_proof_before_it(tmp_path, monkeypatch):
    def git(*words):
        named = ["-c", "user.name=n", "-c", "user.email=e"]
        return subprocess.run(
            ["git", *named, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.strip()

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "measured")
    head = git("rev-parse", "--short=12", "HEAD")
    monkeypatch.setattr(carry, "ROOT", tmp_path)
    assert carry._first(["0123456789ab", head]) == head
    with pytest.raises(InputError, match="in a clone"):
        carry._first(["0123456789ab", "ba9876543210"])
