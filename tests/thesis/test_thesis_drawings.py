"""The study of the recipe's ingredients: its widths are the recipe's; what its rows hold."""

import json

import pytest

from ebmlib import Store, load_demonstrations, recipe
from thesis import drawings, ingredients, people
from thesis.conditions import condition
from thesis.studies import study
from thesis.study import Cell, Results


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


def by_hand(**nats):
    """Rows of two seeds; a change costs ``nats`` more than the recipe with either of them."""
    rows = []
    for name in ingredients.CHANGES:
        more = nats.get(name.partition("/")[2].replace("-", "_"), 0.0)
        for seed in (0, 1):
            row = {"nats": 0.5 + seed + more, "nats_last": 0.25 + seed, "nats_stopped": 0.75 + seed}
            row |= {"dtw": 0.8 if name == ingredients.RECIPE else 2.0, "away": float(more > 1)}
            rows.append({"condition": name, "seed": seed} | row)
    return Results("drawings", tuple(rows), {})


def test_the_table_of_ingredients_pairs_by_seed():
    table = ingredients.Ingredients(by_hand(no_noise=0.75, chains_from_noise=20.0))
    assert table.worse("drawings/no-noise").text(2) == "0.75 [0.75, 0.75]", (
        "the seeds' part is gone"
    )
    assert table.stopped().text(2) == "0.5 [0.5, 0.5]", "on the strokes that did not stop it"
    lines = table._repr_markdown_().splitlines()
    assert {line.count("|") for line in lines} == {6}
    assert len(lines) == 2 + len(ingredients.CHANGES) + 1
    (chains,) = [line for line in lines if "start from noise" in line]
    assert "20 [20, 20] | 2.00 [2.00, 2.00] | 2 of 2" in chains
    assert lines[2].startswith("| the recipe |") and "| – | 0.80 [0.80, 0.80] | 0 of 2" in lines[2]
    assert set(ingredients.CHANGES) == set(study("drawings").conditions)


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
