"""Change every argument of the diagnostics, and list the changes that no test sees.

    python tests/mutate_arguments.py                    all of ebmlib/evaluation (tens of minutes)
    python tests/mutate_arguments.py metrics -v         one file; -v names what was killed too

A mutant ignores an argument (the default is used whatever was given) or takes it a little wrong
(a number one more or a tenth larger, an array a tenth larger). It is killed by the tests of
``tests/evaluation``, which are run on a copy. Arguments of other types (a model, a generator) are
left alone: without them nothing runs.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = Path("ebmlib") / "evaluation"
PARTS = ("ebmlib", "thesis", "workflow", "data", "tests", "pyproject.toml")

_WRONG = {
    "int": "{0} + 1",
    "float": "{0} * 1.1",
    "Tensor": "1.1 * {0}",
    "ArrayLike": "1.1 * __import__('numpy').asarray({0})",
    "tuple[int, ...]": "tuple(n + 1 for n in {0})",
}


def mutants(source: str) -> Iterator[tuple[str, str]]:
    """What was changed, and the file with that change, for every public function."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        body = node.body[1:] if ast.get_docstring(node) is not None else node.body
        if not body:
            continue
        positional = [*node.args.posonlyargs, *node.args.args]
        defaults: list[ast.expr | None] = [None] * (len(positional) - len(node.args.defaults))
        defaults += node.args.defaults
        given = list(zip(positional, defaults, strict=True))
        given += list(zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True))
        for argument, default in given:
            changes = {}
            if default is not None:
                changes["ignored"] = ast.unparse(default)
            kind = ast.unparse(argument.annotation) if argument.annotation else ""
            if kind in _WRONG:
                changes["a little wrong"] = _WRONG[kind].format(argument.arg)
            for what, value in changes.items():
                at = body[0].lineno - 1
                new = f"{' ' * body[0].col_offset}{argument.arg} = {value}\n"
                yield (
                    f"{node.name}({argument.arg}) {what}",
                    "".join([*lines[:at], new, *lines[at:]]),
                )


def passes(copy: Path) -> bool:
    """Whether the tests of the diagnostics pass on this copy."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "tests/evaluation"],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'tests'}"},
    )
    if done.returncode not in (0, 1):  # no test passed or failed
        sys.exit(done.stdout + done.stderr)
    return done.returncode == 0


def main() -> None:
    names = [name for name in sys.argv[1:] if not name.startswith("-")]
    survivors = total = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for part in PARTS:
            take = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            take(ROOT / part, copy / part)
        if not passes(copy):
            sys.exit("The tests of the diagnostics fail without any change.")
        for path in sorted((ROOT / FOLDER).glob("*.py")):
            if names and path.stem not in names:
                continue
            place, source = copy / FOLDER / path.name, path.read_text()
            for what, changed in mutants(source):
                place.write_text(changed)
                dead, total = not passes(copy), total + 1
                survivors += not dead
                if not dead or "-v" in sys.argv:
                    print(f"{path.stem}.{what}: {'killed' if dead else 'SURVIVES'}", flush=True)
            place.write_text(source)
    print(f"{total - survivors} of {total} killed")


if __name__ == "__main__":
    main()
