"""The table of planted bugs is true to the sources; ``plant_bugs.py`` runs it on request."""

import ast
from pathlib import Path

import pytest
from plant_bugs import ROOT, Plant
from planted import PLANTS

HERE = Path(__file__).parent


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.what)
def test_planted_bugs_still_apply(plant):
    source = (ROOT / plant.file).read_text(encoding="utf-8")
    changed = plant.planted_in(source)
    assert changed != source
    if plant.file.endswith(".py"):
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))
    file, _, name = plant.caught_by.partition("::")
    tests = ast.parse((HERE / file).read_text(encoding="utf-8")).body
    assert not name or name in {getattr(node, "name", None) for node in tests}


def test_planted_bugs_are_told_apart():
    assert len({plant.what for plant in PLANTS}) == len(PLANTS)
    assert len({(plant.place, plant.old, plant.new) for plant in PLANTS}) == len(PLANTS)


def planted(old: str, new: str, source: str, place: str = "a.py:f") -> str:
    return Plant("a bug", place, old, new, "test_planted.py").planted_in(source)


SOURCE = """\
def f(a, b):
    c = {"one": a,
         "two": b}  # a comment
    if a > b:  # é
        return (a
                + b)
    return c


def g(a, b):
    return a + b
"""


@pytest.mark.parametrize(
    ("old", "new", "there"),
    [
        ("a + b", "a - b", "return ((a - b))"),
        ("return c", "", "    pass\n"),
        ("return c", "return a", "    return a\n"),
        ('{"two": b}', "{}", '{"one": a,\n         **{}}'),
        ('{"two": b}', '{"two": a}', '"two": a}'),
        ("if a > b: ...", "if False: ...", "    if False:\n        return"),
        ("if a > b:\n    return a + b", "pass", "    pass\n    return c"),
    ],
)
def test_code_is_found_by_what_it_says(old, new, there):
    changed = planted(old, new, SOURCE)
    assert there in changed and changed.endswith("def g(a, b):\n    return a + b\n")
    ast.parse(changed)


@pytest.mark.parametrize(("old", "times"), [("a * b", 0), ("a", 3), ("return b", 0)])
def test_code_that_is_not_there_once_is_refused(old, times):
    with pytest.raises(LookupError, match=f"found {times} times" if times != 3 else "times"):
        planted(old, "0", SOURCE)


JAVASCRIPT = """\
/** f( of ) { is described here. */
export function f(a) {
  if (a) { return 1 +
    a; }
  return 2;
}
const g = (a) => { return 2; };
"""


def test_other_code_is_found_word_by_word_in_its_function():
    assert "{ return a; }" in planted("1+a", "a", JAVASCRIPT, "a.js:f")
    assert planted("return 2", "return 3", JAVASCRIPT, "a.js:g").endswith("{ return 3; };\n")
    with pytest.raises(LookupError, match="2 times"):
        planted("return 2", "return 3", JAVASCRIPT, "a.js")
    with pytest.raises(LookupError, match="no function h"):
        planted("return 2", "return 3", JAVASCRIPT, "a.js:h")
