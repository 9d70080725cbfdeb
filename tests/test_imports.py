"""The architecture, read from the sources: data flows one way, and imports with it."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ebmlib

PACKAGE = Path(ebmlib.__file__).parent

# A module imports only from lines above its own (figures and widgets also from within themselves).
ORDER = [
    "errors",
    "checks",
    "config seeding gaussian gumbel progress polyline metrics",
    "checkpoint preprocessing local_scale svg",
    "recordings bundled",
    "demonstrations",
    "score",
    "compiled",
    "energy",
    "sgld",
    "starts",
    "objectives.base",
    "objectives.contrast",
    "objectives.contrastive_divergence objectives.joint",
    "objectives",
    "training",
    "run",
    "presets store",
    "policy",
    "exact diagnostics",
    "demonstrated transition",
    "figures",
    "widgets",
    "thesis.statistics thesis.conditions thesis.provenance",
    "thesis.study",
    "thesis.studies",
    "thesis.elsewhere",
    "thesis.claim thesis.figure",
    "thesis.claims",
    "thesis.figures",
    "thesis.shown",
    "thesis.companion",
    "thesis",
    "thesis.terminal",
    "cli",
    "__main__ __init__",
]
RANK = {name: rank for rank, line in enumerate(ORDER) for name in line.split()}
DRAWING = {"matplotlib", "anywidget", "ipywidgets", "IPython"}


def sources():
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        package = parts[:-1] if parts[-1] == "__init__" else parts
        yield ".".join(package) or "__init__", ast.parse(path.read_text(encoding="utf-8"))


TREES = dict(sources())


def imported(tree):
    """Full names of everything a module imports anywhere, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(tree):
    """Modules of this package that a module imports."""
    for name in imported(tree):
        if name == "ebmlib" or name.startswith("ebmlib."):
            parts = name.split(".")[1:]
            while parts and ".".join(parts) not in TREES:
                parts.pop()
            yield ".".join(parts) or "__init__"


PACKAGES = ("figures", "widgets", "thesis.studies", "thesis.claims", "thesis.figures")
DRAWS_FIGURES = ("figures", "widgets", "thesis.figures")


def layer(name):
    """A package whose modules may use each other counts as one place."""
    return next((p for p in PACKAGES if name == p or name.startswith(f"{p}.")), name)


def test_every_module_has_its_place():
    missing = {layer(name) for name in TREES} - RANK.keys()
    assert not missing, f"say in ORDER where {missing} belong"
    assert RANK.keys() <= {layer(name) for name in TREES}, "ORDER names a module that is gone"


@pytest.mark.parametrize("name", TREES)
def test_imports_go_one_way(name):
    for other in own_imports(TREES[name]):
        inside = layer(name) == layer(other) in PACKAGES
        assert inside or RANK[layer(other)] < RANK[layer(name)], f"{name} imports {other}"


def test_there_are_no_cycles():
    graph = {name: set(own_imports(tree)) - {name} for name, tree in TREES.items()}
    list(TopologicalSorter(graph).static_order())


TYPES_ONLY = {"thesis.figure", "thesis.companion"}  # for signatures, under TYPE_CHECKING


def test_only_figures_and_widgets_draw():
    for name, tree in TREES.items():
        found = {other.split(".")[0] for other in imported(tree)} & DRAWING
        found -= {"matplotlib"} if name in TYPES_ONLY else set()
        assert not found or layer(name) in DRAWS_FIGURES, f"{name} imports {found}"


def test_figures_take_results_and_never_train():
    training = {"training", "objectives", "run", "store", "presets"}
    for name, tree in TREES.items():
        if layer(name) == "figures":
            assert not training & set(own_imports(tree)), name


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
