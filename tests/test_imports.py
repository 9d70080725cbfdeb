"""The architecture, read from the sources: data flows one way, and imports with it."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ebmlib

ROOT = Path(ebmlib.__file__).resolve().parents[1]
PACKAGE = ROOT / "ebmlib"

# A module imports only from lines above its own; within a package in any order without a cycle.
ORDER = [
    "ebmlib._moved ebmlib.errors",
    "ebmlib.checks",
    "ebmlib.arrays ebmlib.config ebmlib.files ebmlib.memory",
    "ebmlib.seeding ebmlib.progress ebmlib.terminal",
    "ebmlib.demonstrations",
    "ebmlib.models",
    "ebmlib.sampling",
    "ebmlib.objectives",
    "ebmlib.training",
    "ebmlib.policies",
    "ebmlib.evaluation",
    "ebmlib.recipe",
    "ebmlib.comparison",
    "ebmlib.figures",
    "ebmlib.widgets",
    "ebmlib.cli",
    "ebmlib",
    "ebmlib.__main__",
    "thesis.evidence thesis.drawings thesis.markdown thesis.people",
    "thesis.statistics thesis.code thesis.runs thesis.conditions thesis.provenance",
    "thesis.study",
    "thesis.studies",
    "thesis.laboratory",
    "thesis.measured",
    "thesis.probe",
    "thesis.carry",
    "thesis.search thesis.strip",
    "thesis.claim thesis.figure",
    "thesis.benchmark",
    "thesis.claims",
    "thesis.rules",
    "thesis.figures",
    "thesis.verdicts thesis.page_settings",
    "thesis.display",
    "thesis.contents thesis.ingredients thesis.cards",
    "thesis.companion",
    "thesis",
    "thesis.cli",
    "thesis.__main__",
]
RANK = {name: rank for rank, line in enumerate(ORDER) for name in line.split()}
DRAWING = {"matplotlib", "anywidget", "ipywidgets", "IPython"}


def sources():
    for package in ("ebmlib", "thesis"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            tree = ast.parse(path.read_text(encoding="utf-8"))
            stub = path.with_suffix(".pyi")
            if stub.exists():  # what a package loads when it is asked for it
                tree.body += absolute(ast.parse(stub.read_text(encoding="utf-8")), parts).body
            yield ".".join(parts), tree


def absolute(stub, package):
    for node in ast.walk(stub):
        if isinstance(node, ast.ImportFrom):
            node.module, node.level = ".".join((*package, node.module)), 0
    return stub


TREES = dict(sources())


def imported(tree, package=""):
    """Full names of everything a module imports anywhere: in functions, or by ``importlib``.

    A package that asks ``pkgutil`` for its modules imports all of them.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called == "import_module" and isinstance(node.args[0], ast.Constant):
                yield node.args[0].value
            if called in ("iter_modules", "walk_packages"):
                yield from (name for name in TREES if name.startswith(f"{package}."))
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(module):
    """Modules of the two packages that a module imports."""
    for name in imported(TREES[module], module):
        if name.split(".")[0] in ("ebmlib", "thesis"):
            parts = name.split(".")
            while ".".join(parts) not in TREES:
                parts.pop()
            if parts != ["ebmlib"] or name == "ebmlib":
                yield ".".join(parts)


PACKAGES = (
    *("ebmlib.demonstrations", "ebmlib.models", "ebmlib.sampling", "ebmlib.objectives"),
    *("ebmlib.training", "ebmlib.policies", "ebmlib.evaluation", "ebmlib.figures"),
    *("ebmlib.comparison",),
    *("ebmlib.widgets", "thesis.studies", "thesis.claims", "thesis.figures"),
    *("thesis.benchmark",),
)
DRAWS_FIGURES = ("ebmlib.figures", "ebmlib.widgets", "thesis.figures")


def layer(name):
    """A package whose modules may use each other counts as one place."""
    return next((p for p in PACKAGES if name == p or name.startswith(f"{p}.")), name)


def test_every_module_has_its_place():
    missing = {layer(name) for name in TREES} - RANK.keys()
    assert not missing, f"say in ORDER where {missing} belong"
    assert RANK.keys() <= {layer(name) for name in TREES}, "ORDER names a module that is gone"


@pytest.mark.parametrize("name", TREES)
def test_imports_go_one_way(name):
    for other in own_imports(name):
        inside = layer(name) == layer(other) in PACKAGES
        assert inside or RANK[layer(other)] < RANK[layer(name)], f"{name} imports {other}"


def test_there_are_no_cycles():
    graph = {name: set(own_imports(name)) - {name} for name in TREES}
    list(TopologicalSorter(graph).static_order())


TYPES_ONLY = {"thesis.figure", "thesis.companion"}  # for signatures, under TYPE_CHECKING


def test_only_figures_and_widgets_draw():
    for name, tree in TREES.items():
        found = {other.split(".")[0] for other in imported(tree)} & DRAWING
        found -= {"matplotlib"} if name in TYPES_ONLY else set()
        assert not found or layer(name) in DRAWS_FIGURES, f"{name} imports {found}"


def test_figures_take_results_and_never_train():
    for name in TREES:
        if layer(name) == "ebmlib.figures":
            found = {other.split(".")[1] for other in own_imports(name)}
            assert not found & {"training", "objectives"}, name


def test_importing_the_library_loads_nothing_that_draws():
    code = "import sys, ebmlib; print(*sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    assert not DRAWING & set(process.stdout.split())


DRAWS = {
    *("rand", "randn", "randint", "randperm", "normal", "multinomial", "bernoulli"),
    *("rand_like", "randn_like", "normal_", "uniform_", "random_", "bernoulli_", "exponential_"),
}
GLOBAL = {"torch.manual_seed", "torch.seed", "np.random.seed", "random.seed"}


def test_every_random_number_comes_from_a_generator_that_was_passed_in():
    for name, tree in TREES.items():
        assert "random" not in imported(tree), f"{name} imports the global generator"
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            call = ast.unparse(node.func)
            assert call not in GLOBAL, f"{name} calls {call}"
            tensor = call.startswith("torch.") or node.func.attr.endswith("_")
            if node.func.attr in DRAWS and tensor:
                keywords = {keyword.arg for keyword in node.keywords}
                assert "generator" in keywords, f"{name}, line {node.lineno}: {call}"
            if call.startswith("np.random."):
                assert node.args, f"{name}, line {node.lineno}: {call} without a seed"
