"""The digest of code: what it covers, what it leaves out, and that every Python agrees on it."""

import ast
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import lazy_loader
import pytest

from ebmlib import config
from ebmlib.errors import InputError
from thesis import code, measured
from thesis.code import EXCLUDED, Project, canonical
from thesis.studies import studies

ROOT = Path(code.__file__).parents[1]


def test_comments_docstrings_and_layout_do_not_count_but_code_does():
    plain = canonical("def f(x):\n    return x + 1\n")
    dressed = '"""Doc."""\n\ndef f(x):\n    """Doc."""\n    # why\n    return x  + 1\n'
    assert canonical(dressed) == plain
    assert canonical('A = 1\n"""What A is."""\n') == canonical("A = 1\n")
    typed = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\n"
    assert canonical(typed) == canonical("from typing import TYPE_CHECKING\n")
    changes = ["return x + 2", "return x - 1", "return x + 1.0", "return -(x + 1)", "yield x + 1"]
    codes = {canonical(f"def f(x):\n    {line}\n") for line in changes}
    assert len(codes | {plain}) == 1 + len(changes)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("f'{a}b'", "f'{a}c'"),
        ("f'{a!r}'", "f'{a!s}'"),
        ("f'{a:.2f}'", "f'{a:.3f}'"),
        ("f'{a}{b}'", "f'{a}b'"),
        ("{**a, 'b': c}", "{'b': c, **a}"),
        ("'1'", "1"),
        ("True", "1"),
        ("b'a'", "'a'"),
        ("x[1:]", "x[:1]"),
        ("lambda a, *, b=1: a", "lambda a, b=1: a"),
        ("(yield)", "(yield None)"),
    ],
)
def test_expressions_that_differ_are_spelled_differently(one, other):
    assert canonical(one) != canonical(other) or ast.dump(ast.parse(one)) == ast.dump(
        ast.parse(other)
    )


FILES = {
    "p/__init__.py": "import lazy\n",
    "p/__init__.pyi": "from .deep.thing import Thing as Thing\nfrom .other import Other as Other\n",
    "p/deep/__init__.py": "",
    "p/deep/thing.py": "from p import helper\nTEXT = 'walk.c'\nclass Thing: ...\n",
    "p/deep/walk.c": "int a;",
    "p/deep/unused.c": "int a;",
    "p/helper.py": "import importlib\ndef f():\n    importlib.import_module('p.late')\n",
    "p/late.py": "x = 1\n",
    "p/other.py": "x = 1\n",
    "p/shown.py": "x = 1\n",
    "p/registry/__init__.py": "import pkgutil\nlist(pkgutil.iter_modules(__path__))\n",
    "p/registry/one.py": "x = 1\n",
    "p/measure.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p import other\n"
        "def measure():\n    from p import Thing\n    import p.shown\n"
    ),
    "p/lists.py": "from p import registry\n",
}


@pytest.fixture
def planted(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def project():
        return Project({"p": tmp_path / "p"}, excluded=("p.shown",))

    return tmp_path, project


def test_imports_are_followed_through_functions_stubs_and_import_module(planted):
    _, project = planted
    assert project().modules(["p.measure"]) == [
        "p.deep.thing", "p.helper", "p.late", "p.measure",
    ]  # fmt: skip
    assert project().modules(["p.lists"]) == ["p.lists", "p.registry", "p.registry.one"]
    with pytest.raises(InputError, match=r"p\.nowhere"):
        project().modules(["p.nowhere"])


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("p/measure.py", True),
        ("p/deep/thing.py", True),
        ("p/deep/walk.c", True),
        ("p/late.py", True),
        ("p/deep/unused.c", False),
        ("p/other.py", False),
        ("p/shown.py", False),
        ("p/registry/one.py", False),
    ],
)
def test_a_change_counts_where_the_measure_runs_and_only_there(planted, name, counts):
    folder, project = planted
    before = project().digest(["p.measure"])
    with open(folder / name, "a") as file:
        file.write("\ny = 2\n")
    assert (project().digest(["p.measure"]) != before) is counts


def test_what_is_excluded_is_there():
    modules = code.project()._modules
    assert set(EXCLUDED) <= set(modules)


@pytest.mark.parametrize("name", ["basins", "timing", "foundations-gradient"])
def test_a_study_covers_the_training_the_kernel_and_the_policy(name):
    found = code.project().modules(studies()[name].modules())
    for module in ("sampling.sgld", "training.loop", "models.energy", "objectives.base", "seeding"):
        assert f"ebmlib.{module}" in found
    assert not [each for each in found if each.startswith(("ebmlib.figures", "ebmlib.widgets"))]
    kernel = code.project()._modules["ebmlib.sampling.compiled"]
    assert [path.name for path in kernel.files()] == ["walk.c"]


def test_no_measure_reads_a_value_of_the_conditions_which_no_digest_would_see():
    """Names of conditions are made there, outside functions; numbers come from a model's run."""
    for path in (ROOT / "thesis" / "studies").glob("*.py"):
        tree = ast.parse(path.read_text())
        names = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "thesis.conditions"
            for alias in node.names
        }
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef) and not function.name.startswith("_at_"):
                used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
                assert not used & names, f"{path.name}, {function.name}: {used & names}"


# --- other Pythons --------------------------------------------------------------------------------


@cache
def other_pythons():
    """Interpreters 3.11 to 3.14 that run here, on the path or in pyenv's folders, by version."""
    there = [shutil.which(f"python3.{minor}") for minor in range(11, 15)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    there += sorted(map(str, pyenv.glob("*/bin/python")))
    found = {}
    for path in filter(None, there):
        ask = "import sys; print(*sys.version_info[:2], sys.version_info >= (3, 11))"
        done = subprocess.run([path, "-c", ask], capture_output=True, text=True, cwd=ROOT)
        major, minor, new = (*done.stdout.split(), "", "", "")[:3]
        if done.returncode == 0 and new == "True":
            found.setdefault((int(major), int(minor)), path)
    found.pop(sys.version_info[:2], None)
    return found


SCRIPT = """
import json, sys
from ebmlib import config
from thesis import code
roots, recorded = json.load(sys.stdin)
assert "torch" not in sys.modules and "numpy" not in sys.modules
digests = {name: code.digest(modules) for name, modules in roots.items()}
json.dump([digests, [config.digest(each) for each in recorded]], sys.stdout)
"""


@pytest.mark.slow
def test_every_python_on_this_machine_makes_the_same_digests(tmp_path):
    """With the standard library and the loader of lazy names alone."""
    if not other_pythons():
        pytest.skip("no other Python from 3.11 to 3.14 runs here")
    shutil.copytree(Path(lazy_loader.__file__).parent, tmp_path / "lazy_loader")
    roots = {name: sorted(study.modules()) for name, study in studies().items()}
    known = [name for name in roots if (measured.COMMITTED / f"{name}.json").is_file()]
    recorded = [dict(measured.load(name).provenance["configurations"]) for name in known]
    mine = [
        {name: code.digest(modules) for name, modules in roots.items()},
        [config.digest(each) for each in recorded],
    ]
    assert len(set(mine[0].values())) > 10
    for version, python in other_pythons().items():
        done = subprocess.run(
            [python, "-c", SCRIPT], input=json.dumps([roots, recorded]), text=True,
            capture_output=True, cwd=tmp_path, env={"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        )  # fmt: skip
        assert done.returncode == 0, f"{version}: {done.stderr}"
        assert json.loads(done.stdout) == mine, version
