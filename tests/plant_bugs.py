"""Plant bugs in a copy of the sources and see that the tests find them.

    python tests/plant_bugs.py              all of them, two at a time (10 to 20 minutes)
    python tests/plant_bugs.py sqrt drift   those whose description holds one of these words

A test that no bug can fail checks nothing. Every line of the table in ``planted.py`` is a mistake
that is easily made, with the test that has to fail because of it. The copy is a temporary folder;
the working tree is not touched. ``test_planted.py`` keeps the table true to the sources without
running it. Bugs in the tests' own browser need Chromium and the front-end packages.

A bug is found by what it changes. In Python the old code is compared with the syntax tree of the
function that is named, so that line breaks, comments and other edits do not matter:

- an expression (``alpha**2 / 2``) or statements (``x = 1``; several on lines of their own);
- ``{"seed": self.seed}``: this pair of a dictionary, whatever else it holds; ``{}`` takes it out;
- ``if small: ...``: the head of a statement, whatever its body is.

In C, JavaScript and other text the old code is compared word by word, blanks apart, in the function
that is named.
"""

from __future__ import annotations

import ast
import multiprocessing
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Plant(NamedTuple):
    """A bug.

    Attributes:
        what: what the mistake is, in a few words.
        place: file and, after a colon, function: ``"ebmlib/sampling/sgld.py:SGLD.alphas"``. A class
            and the whole file (no colon) are places too.
        old: the code that is there once.
        new: what stands there instead; nothing for statements means ``pass``.
        caught_by: the test, or the file of tests, that must fail.
    """

    what: str
    place: str
    old: str
    new: str
    caught_by: str

    @property
    def file(self) -> str:
        """The file in which the bug is planted, from the top of the project."""
        return self.place.partition(":")[0]

    def planted_in(self, source: str) -> str:
        """The file's text with the bug.

        Raises:
            LookupError: the old code is not there, or more than once.
        """
        file, _, function = self.place.partition(":")
        replace = _in_python if file.endswith(".py") else _in_text
        return replace(source, function, self.old, self.new)


Span = tuple[int, int]
"""Where code starts and ends, in characters."""


def _once(spans: list[Span], what: str) -> Span:
    if len(spans) != 1:
        raise LookupError(f"expected once, found {len(spans)} times: {what}")
    return spans[0]


def _spliced(source: str, span: Span, new: str) -> str:
    return source[: span[0]] + new + source[span[1] :]


# Python: by the syntax tree


class _Source:
    """A file, its tree, and where nodes stand in its text."""

    def __init__(self, text: str) -> None:
        self.tree = ast.parse(text)
        self.lines = [line.encode() for line in text.splitlines(keepends=True)]
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def place(self, line: int, column: int) -> int:
        return self.starts[line - 1] + len(self.lines[line - 1][:column].decode())

    def span(self, first: ast.AST, last: ast.AST | None = None) -> Span:
        last = last or first
        start = self.place(first.lineno, first.col_offset)  # type: ignore[attr-defined]
        return start, self.place(last.end_lineno, last.end_col_offset)  # type: ignore[attr-defined]

    def head(self, node: ast.stmt) -> Span:
        """From a statement's start to the line on which its body starts."""
        return self.span(node)[0], self.starts[node.body[0].lineno - 1]  # type: ignore[attr-defined]

    def scope(self, name: str) -> ast.AST:
        """The function or class of a qualified name."""
        node: ast.AST = self.tree
        for part in filter(None, name.split(".")):
            own = [n for n in ast.walk(node) if getattr(n, "name", None) == part and n is not node]
            if not own:
                raise LookupError(f"no function {name}")
            node = own[0]
        return node


def _same(a: ast.AST, b: ast.AST) -> bool:
    told = (re.sub(r",? ?ctx=\w+\(\)", "", ast.dump(node)) for node in (a, b))
    return next(told) == next(told)


def _in_python(source: str, function: str, old: str, new: str) -> str:
    file, pattern = _Source(source), ast.parse(old).body
    scope = file.scope(function)
    first = pattern[0]
    if len(pattern) == 1 and _is_open(first):
        span = _once(list(_heads(file, scope, first)), old)
        return _spliced(source, span, new.removesuffix("...").rstrip() + "\n")
    if len(pattern) == 1 and isinstance(first, ast.Expr):
        if isinstance(first.value, ast.Dict) and len(first.value.keys) == 1:
            return _spliced(source, *_pair(file, scope, first.value, old, new))
        found = [file.span(n) for n in ast.walk(scope) if _same(n, first.value)]
        statement = [file.span(n) for n in ast.walk(scope) if _same(n, first)]
        if statement == found and not _is_expression(new):
            return _spliced(source, _once(statement, old), new or "pass")
        return _spliced(source, _once(found, old), f"({new})")
    return _spliced(source, _once(list(_blocks(file, scope, pattern)), old), new or "pass")


def _is_expression(code: str) -> bool:
    try:
        ast.parse(code, mode="eval")
    except SyntaxError:
        return False
    return True


def _is_open(node: ast.stmt) -> bool:
    """Whether the body of a pattern is ``...`` alone: only its head counts."""
    body = getattr(node, "body", [])
    return len(body) == 1 and isinstance(body[0], ast.Expr) and _same(
        body[0].value, ast.Constant(...)
    )  # fmt: skip


_HEADS = ("test", "target", "iter", "items")


def _heads(file: _Source, scope: ast.AST, pattern: ast.stmt) -> Iterator[Span]:
    for node in ast.walk(scope):
        if type(node) is type(pattern):
            parts = [(getattr(node, f), getattr(pattern, f)) for f in _HEADS if hasattr(node, f)]
            flat = [(a, b) if isinstance(a, list) else ([a], [b]) for a, b in parts]
            if all(
                len(a) == len(b) and all(_same(*both) for both in zip(a, b, strict=True))
                for a, b in flat
            ):
                yield file.head(node)  # type: ignore[arg-type]


def _pair(file: _Source, scope: ast.AST, pattern: ast.Dict, old: str, new: str) -> tuple[Span, str]:
    [key], [value] = pattern.keys, pattern.values
    spans = [
        file.span(k or v, v)
        for node in ast.walk(scope)
        if isinstance(node, ast.Dict)
        for k, v in zip(node.keys, node.values, strict=True)
        if k and key and _same(k, key) and _same(v, value)
    ]
    inside = new.strip().removeprefix("{").removesuffix("}")
    return _once(spans, old), inside or "**{}"


def _blocks(file: _Source, scope: ast.AST, pattern: list[ast.stmt]) -> Iterator[Span]:
    for node in ast.walk(scope):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if not isinstance(block, list):
                continue
            for k in range(len(block) - len(pattern) + 1):
                part = block[k : k + len(pattern)]
                if all(_same(*both) for both in zip(part, pattern, strict=True)):
                    yield file.span(part[0], part[-1])


# C, JavaScript, Snakefiles, style sheets: word by word


def _in_text(source: str, function: str, old: str, new: str) -> str:
    start, end = _function(source, function) if function else (0, len(source))
    words = re.findall(r"\w+|[^\w\s]", old)
    found = re.finditer(r"\s*".join(map(re.escape, words)), source[start:end])
    spans = [(start + match.start(), start + match.end()) for match in found]
    return _spliced(source, _once(spans, old), new)


def _function(source: str, name: str) -> Span:
    """From the name of a function, class or method, where it is defined, to its last bracket."""
    for match in re.finditer(rf"\b{re.escape(name)}\b(?=([^;{{}}]*?\{{))", source):
        head = name + match[1]
        before = source[: match.start()].rpartition("\n")[2]
        defines = "=>" in head or ")" in head or re.search(r"\b(class|function)\s*$", before)
        if not defines or re.search(r"[=(,.]\s*$|\breturn\s*$|//", before):
            continue
        depth = 1
        for end in range(match.end(1), len(source)):
            depth += {"{": 1, "}": -1}.get(source[end], 0)
            if depth == 0:
                return match.start(), end + 1
    raise LookupError(f"no function {name}")


def copy_sources(to: Path) -> None:
    """Copy what the tests need: the packages, the tests, the data, the configuration."""
    ignore = shutil.ignore_patterns("__pycache__", "node_modules")
    for folder in (
        "ebmlib",
        "thesis",
        "tests",
        "data",
        "workflow",
        "executors",
        "book",
        "benchmarks",
    ):
        shutil.copytree(ROOT / folder, to / folder, ignore=ignore)
    (to / "build").mkdir()
    (to / "build" / "frontend").symlink_to(ROOT / "build" / "frontend")
    for file in ROOT.iterdir():
        if file.is_file() and file.name != ".git":
            shutil.copy(file, to)


_HEAVY = ["torch", "scipy.stats", "matplotlib.pyplot", "pytest", "hypothesis"]
"""What every test imports; the processes that run tests are forked from one that has it."""


def run_tests(folder: Path, tests: list[str]) -> tuple[int, str]:
    """Run tests in a copy, in a process of their own; pytest's status and what it said."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_HEAVY)
    said = folder / "said"
    process = context.Process(target=_run_tests, args=(str(folder), str(said), tests))
    process.start()
    process.join()
    return process.exitcode or 0, said.read_text(errors="replace")


def _run_tests(folder: str, said: str, tests: list[str]) -> None:
    """Nothing is cached, so that every change is seen."""
    with open(said, "w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(folder)
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": folder}
    here = str(Path(__file__).resolve().parent)  # the copy has its own
    sys.dont_write_bytecode = True
    sys.path[:] = [folder, f"{folder}/tests"] + [p for p in sys.path if p not in (here, str(ROOT))]
    ours = f"{ROOT}{os.sep}"  # what the calling program had imported from here is another copy
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None) or ""
        if path.startswith(ours) and name != "__main__" and "site-packages" not in path:
            del sys.modules[name]

    import pytest

    options = ["-x", "-q", "-p", "no:cacheprovider", "-n", "0", "--basetemp", f"{folder}/tmp"]
    os._exit(pytest.main([*options, *(f"tests/{test}" for test in tests)]))


def planted(plant: Plant) -> bool | None:
    """Whether the bug's own test fails in a copy that has the bug; None if it does not run here."""
    with tempfile.TemporaryDirectory(prefix="planted.") as name:
        Path(name).chmod(0o755)  # a test reads the sources as another user
        folder = Path(name)
        copy_sources(folder)
        path = folder / plant.file
        try:
            text = plant.planted_in(path.read_text(encoding="utf-8"))
        except LookupError as error:
            print(f"NOT PLANTED  {plant.what}: {plant.place} has changed, mend the table ({error})")
            return False
        path.write_text(text, encoding="utf-8")
        status, said = run_tests(folder, [plant.caught_by])
    caught = status == 1  # 1: tests failed; anything else: they did not run
    skipped = status == 0 and " passed" not in said
    told = "caught" if caught else "skipped" if skipped else "NOT CAUGHT"
    print(f"{told:12} {plant.what:55} {plant.caught_by}", flush=True)
    if status not in (0, 1):
        print(said[-4000:])
    return None if skipped else caught


def main(words: list[str]) -> int:
    """Plant the bugs whose description holds one of the words; 0 if every one was caught."""
    from planted import PLANTS

    chosen = [p for p in PLANTS if not words or any(word in p.what for word in words)]
    with tempfile.TemporaryDirectory(prefix="planted.") as name:
        Path(name).chmod(0o755)  # a test reads the sources as another user
        copy_sources(Path(name))
        status, said = run_tests(Path(name), sorted({plant.caught_by for plant in chosen}))
    if status:
        print("Without a bug the tests do not pass:", said[-4000:])
        return 1
    with ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        caught = list(pool.map(planted, chosen))
    ran = [each for each in caught if each is not None]
    print(
        f"{sum(ran)} of {len(ran)} planted bugs were caught; the tests of {len(chosen) - len(ran)} "
        "more were skipped here."
    )
    return 0 if all(ran) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
