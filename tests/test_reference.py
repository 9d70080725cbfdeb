"""The reference of ebmlib: complete, documented, and with examples that run."""

import ast
import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import ebmlib
from ebmlib import errors

ROOT = Path(ebmlib.__file__).resolve().parents[1]
PAGES = sorted((ROOT / "book/reference").glob("*.md"))
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
DOCUMENTED = re.findall(r"\.\. auto(?:class|exception|function|data):: (ebmlib\.[\w.]+)", TEXT)


def public() -> dict[str, object]:
    """Every public name with its object: those of the stubs, of ``__all__``, and of ``seeding``."""
    found = {}
    for path in sorted((ROOT / "ebmlib").rglob("__init__.py")):
        package = ".".join(path.relative_to(ROOT).parent.parts)
        names = getattr(importlib.import_module(package), "__all__", ())
        found |= {f"{package}.{name}": value(f"{package}.{name}") for name in names}
    return found | {"ebmlib.seeding.generator": value("ebmlib.seeding.generator")}


def value(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


PUBLIC = {name: found for name, found in public().items() if not name.endswith("__version__")}


def test_every_public_name_is_on_one_page_of_the_reference() -> None:
    shown = [value(name) for name in DOCUMENTED]
    missing = [name for name, found in PUBLIC.items() if not any(found is one for one in shown)]
    assert not missing, f"say in book/reference/ where {missing} stand"
    assert len(DOCUMENTED) == len(set(DOCUMENTED)), "a name stands twice"
    assert len(PUBLIC) > 100


def test_every_page_of_the_reference_is_in_the_contents() -> None:
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    for page in PAGES:
        assert f"book/reference/{page.stem}\n" in contents, page.name


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_says_what_it_is(name: str) -> None:
    found = PUBLIC[name]
    if inspect.isclass(found) or inspect.isroutine(found):
        own = vars(found).get("__doc__") if inspect.isclass(found) else found.__doc__
        assert own and len(own.split()) >= 4, name
        # a dataclass without a docstring gets its signature for one
        assert not own.startswith(f"{name.rpartition('.')[2]}("), name
    else:  # a value: the string below it
        tree = ast.parse(inspect.getsource(importlib.import_module(where_is(name))))
        after = dict(zip(map(assigned, tree.body), tree.body[1:], strict=False))
        below = after[name.rpartition(".")[2]]
        assert isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant), name


def where_is(name: str) -> str:
    """The module of a documented value, as its page names it."""
    found = [shown for shown in DOCUMENTED if shown.endswith(f".{name.rpartition('.')[2]}")]
    return next(shown.rpartition(".")[0] for shown in found if value(shown) is PUBLIC[name])


def assigned(node: ast.stmt) -> str:
    """The name that a statement gives a value, if any."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return str(getattr(targets[0], "id", ""))


METHODS = [
    (name, member)
    for name, found in sorted(PUBLIC.items())
    if inspect.isclass(found) and name.count(".") == 1
    for member, given in vars(found).items()
    if not member.startswith("_") and (inspect.isroutine(given) or isinstance(given, property))
]


@pytest.mark.parametrize(("name", "member"), METHODS)
def test_every_public_method_says_what_it_does(name: str, member: str) -> None:
    assert inspect.getdoc(getattr(PUBLIC[name], member)), f"{name}.{member}"


EXAMPLES = {
    test.name: test
    for name in sorted(DOCUMENTED)
    if not isinstance(value(name), dict | int)
    for test in doctest.DocTestFinder(exclude_empty=True).find(value(name), name)
    if test.examples
}


def test_there_are_examples_of_every_step_of_the_data() -> None:
    packages = {re.split(r"\.", inspect.getmodule(value(".".join(n.split(".")[:2]))).__name__)[1]
                for n in EXAMPLES if n.count(".") == 1 or n.split(".")[1][0].isupper()}  # fmt: skip
    assert {"demonstrations", "models", "sampling", "training", "policies", "errors"} <= packages
    assert len(EXAMPLES) >= 18


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_examples_of_docstrings_run(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = doctest.DocTestRunner(verbose=False)
    told: list[str] = []
    runner.run(EXAMPLES[name], out=told.append)
    assert not runner.failures, "".join(told)


def test_a_mistake_that_an_example_shows_is_one_that_users_can_mend() -> None:
    assert issubclass(errors.InputError, errors.EbmlibError)
