"""The study of the recipe's ingredients: its widths are the recipe's; what its rows hold."""

import json

import pytest

from ebmlib import Store, load_demonstrations, recipe
from thesis import drawings, people
from thesis.conditions import condition
from thesis.studies import study
from thesis.study import Cell


def test_widths_and_state_are_those_that_the_recipe_chooses():
    run = recipe.choose(load_demonstrations(recipe.data_of(drawings.SOURCE))).run
    ours = condition("drawings/recipe")
    assert run.features == ours.features == drawings.CLOCK
    found = run.objective.state_noise, run.objective.data_noise
    stated = drawings.STATE_NOISE, drawings.ACTION_NOISE
    assert found == pytest.approx(stated, rel=0.05)
    assert ours.data == recipe.data_of(drawings.SOURCE) and ours.energy == run.energy
    assert ours.training == run.training
    assert ours.objective.negatives == run.objective.negatives


def test_every_ingredient_changes_one_thing():
    base = condition("drawings/recipe")
    for name in study("drawings").conditions[1:]:
        run = condition(name)
        parts = ("energy", "objective", "training", "features")
        changed = [part for part in parts if getattr(run, part) != getattr(base, part)]
        if name == "drawings/no-noise":  # and its snapshots, which change no weight
            changed.remove("training")
        assert len(changed) == 1 and run.data == base.data, name


def test_a_row_of_the_study(tmp_path):
    what = study("drawings")
    trained = Store(tmp_path).train_or_load(what.run("drawings/no-noise", 0, small=True))
    row = what.measure(Cell("drawings/no-noise", 0, trained, True, lambda name: trained))
    assert set(row) == {
        *("nats", "nats_last", "nats_stopped", "epoch_stopped", "dtw", "away", "kernel")
    }
    assert row["epoch_stopped"] in trained.result.snapshots
    assert row["kernel"] < row["nats"], "twenty updates do not beat a kernel density"


def test_the_table_of_people_is_what_the_file_says(tmp_path):
    row = {"nats": [0.1, 0.0, 0.2], "dtw": [0.9, 0.8, 1.0], "dtw_draws": [1.1, 1.0, 1.2]}
    summary = {"methods": {"recipe": row | {"runaways": [0.0, 0.0, 0.0]}}, "paired nats": {}}
    path = tmp_path / "drawings.json"
    path.write_text(json.dumps({"shapes": ["a"], "summary": summary}))
    shown = people.People.measured(path)._repr_markdown_().splitlines()
    assert (
        shown[2]
        == "| the recipe | 0.10 [0.00, 0.20] | 0.90 [0.80, 1.00] | 1.10 [1.00, 1.20] | 0.00 |"
    )
    assert {line.count("|") for line in shown} == {6}
