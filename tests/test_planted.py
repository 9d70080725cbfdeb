"""The table of planted bugs is true to the sources; ``plant_bugs.py`` runs it on request."""

import ast
from pathlib import Path

import pytest
from plant_bugs import PLANTS, ROOT

HERE = Path(__file__).parent


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.what)
def test_planted_bugs_still_apply(plant):
    source = (ROOT / plant.folder / plant.file).read_text(encoding="utf-8")
    assert source.count(plant.old) == 1, "the source has changed: mend the table"
    if plant.file.endswith(".py"):
        ast.parse(source.replace(plant.old, plant.new))
    file, _, name = plant.caught_by.partition("::")
    tests = ast.parse((HERE / file).read_text(encoding="utf-8")).body
    assert not name or name in {getattr(node, "name", None) for node in tests}


def test_planted_bugs_are_told_apart():
    assert len({plant.what for plant in PLANTS}) == len(PLANTS)
    assert len({(plant.file, plant.old, plant.new) for plant in PLANTS}) == len(PLANTS)
