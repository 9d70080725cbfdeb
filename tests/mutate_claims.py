"""Change the rules of claims in every small way, and list the changes that no test sees.

    python tests/mutate_claims.py                all files of thesis/claims (tens of minutes)
    python tests/mutate_claims.py dynamics -v    one file; -v names the mutants that were killed too

A mutant swaps the ends of an interval, ``any`` and ``all``, ``min`` and ``max``, ``and`` and
``or``, the sense of a comparison, a sign or an arithmetic operation, leaves out a part of ``and``
or ``or``, or moves a number that something is compared with. What a claim only says (its
``reading``) is left alone. A mutant is killed by ``test_bounds.py`` or by the table of verdicts,
which are looked at in this process, or else by the tests by hand, which are run on a copy.
"""

from __future__ import annotations

import ast
import copy
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import plant_bugs
import thesis_bounds as bounds

from thesis import claim, claims, measured, search, verdicts
from thesis.claim import Claim

HERE = Path(claims.__file__).parent
FILES = sorted(path.stem for path in HERE.glob("*.py") if path.stem != "__init__")
CODE = {name: compile((HERE / f"{name}.py").read_text(), name, "exec") for name in FILES}
TABLE = json.loads((Path(__file__).parent / "thesis" / "verdicts.json").read_text())
BOUNDS = json.loads(bounds.FILE.read_text())

_ATTRIBUTES = {
    **{"low": "high", "high": "low", "value": "low"},
    **{"above": "below", "below": "above", "at_least": "at_most", "at_most": "at_least"},
}
_CALLS = {
    **{"any": "all", "all": "any", "min": "max", "max": "min"},
    **{"any_of": "all_of", "all_of": "any_of", "every": "some", "some": "every"},
}
_SAID = {"reading", "table", "parts", "where", "rows", "lowest", "sure"}
_BOUNDS = {"above", "below", "at_least", "at_most", "within"}
_TURNED = {ast.Lt: ast.Gt, ast.LtE: ast.Gt, ast.Gt: ast.Lt, ast.GtE: ast.Lt, ast.Eq: ast.NotEq}
_OPERATIONS = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd},
}


def mutations(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """The node changed in one way, and what that way is."""
    new = copy.deepcopy(node)
    if isinstance(new, ast.Attribute) and new.attr in {**_ATTRIBUTES, **_CALLS}:
        new.attr = {**_ATTRIBUTES, **_CALLS}[new.attr]
        yield f".{new.attr}", new
    elif isinstance(new, ast.Call) and isinstance(new.func, ast.Name) and new.func.id in _CALLS:
        new.func.id = _CALLS[new.func.id]
        yield new.func.id, new
    elif isinstance(new, ast.Call) and getattr(new.func, "attr", "") in _BOUNDS:
        for k, given in enumerate(new.args):
            if isinstance(given, ast.Constant) and isinstance(given.value, (int, float)):
                other = copy.deepcopy(new)
                other.args[k] = ast.Constant(given.value * 1.1 + 0.003)
                yield "a bound moved", other
    elif isinstance(new, ast.Compare):
        for k, operation in enumerate(new.ops):
            if type(operation) in _TURNED:
                other = copy.deepcopy(new)
                other.ops[k] = _TURNED[type(operation)]()
                yield "turned", other
        for k, right in enumerate(new.comparators):
            if isinstance(right, ast.Constant) and isinstance(right.value, (int, float)):
                other = copy.deepcopy(new)
                other.comparators[k] = ast.Constant(right.value * 1.1 + 0.003)
                yield "a bound moved", other
    elif isinstance(new, ast.BoolOp):
        other = copy.deepcopy(new)
        other.op = ast.Or() if isinstance(new.op, ast.And) else ast.And()
        yield "and / or", other
        for k in range(len(new.values)):
            other = copy.deepcopy(new)
            del other.values[k]
            yield f"without part {k + 1}", other if len(other.values) > 1 else other.values[0]
    elif isinstance(new, ast.BinOp) and type(new.op) in _OPERATIONS:
        if isinstance(new.op, (ast.BitAnd, ast.BitOr)):
            yield "without part 1", new.right
            yield "without part 2", new.left
        new.op = _OPERATIONS[type(new.op)]()
        yield "operation", new
    elif isinstance(new, ast.UnaryOp) and isinstance(new.op, (ast.Not, ast.USub, ast.Invert)):
        yield "sign", new.operand


def places(tree: ast.Module) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Every node that may be changed: its parent, the field, the place in a list, and itself."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        parent = waiting.pop()
        for field, value in ast.iter_fields(parent):
            if field in ("decorator_list", "annotation", "returns", "args") and isinstance(
                parent, (ast.FunctionDef, ast.AnnAssign, ast.arg)
            ):
                continue
            for k, child in enumerate(value if isinstance(value, list) else [value]):
                text = isinstance(child, ast.JoinedStr) or _says(child)
                if isinstance(child, ast.AST) and not text:
                    yield parent, field, k if isinstance(value, list) else None, child
                    waiting.append(child)


def _says(node: object) -> bool:
    """Whether a statement makes what a claim only says."""
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    return isinstance(node, (ast.Assign, ast.AugAssign)) and any(
        isinstance(t, ast.Name) and t.id in _SAID for t in targets
    )


def install(changed: str, code: object) -> None:
    """All files of claims anew, one of them changed."""
    claim.REGISTRY.clear()
    search.REGISTRY.clear()
    for name in FILES:
        module = type(sys)(f"thesis.claims.{name}")
        module.__dict__["__file__"] = str(HERE / f"{name}.py")
        sys.modules[f"thesis.claims.{name}"] = module
    # a file imports from others: in the order of their names, once more where it came too early
    waiting, turns = list(FILES), 0
    while waiting and turns < 200:
        name, turns = waiting.pop(0), turns + 1
        before = dict(claim.REGISTRY), dict(search.REGISTRY)
        try:
            exec(
                code if name == changed else CODE[name],
                sys.modules[f"thesis.claims.{name}"].__dict__,
            )
        except ImportError:
            for registry, old in zip((claim.REGISTRY, search.REGISTRY), before, strict=True):
                registry.clear()
                registry.update(old)  # type: ignore[arg-type]
            waiting.append(name)


def killed(names: list[str]) -> bool:
    """Whether a test sees that something is different."""
    everything = bounds.everything()
    try:
        for name in names:
            judged = everything[name]
            if isinstance(judged, Claim) and judged.id in TABLE:
                found = verdicts.verdict(
                    judged, lambda n: measured.load(n, measured.COMMITTED), stale=lambda r: False
                )
                row = TABLE[judged.id]
                same = all(
                    abs(a - b) <= 1e-9 * max(1e-300, abs(b))
                    for a, b in zip((found.number or ())[:4], row["number"], strict=True)
                )
                if found.outcome != row["outcome"] or not same:
                    return True
        return any(bounds.differs(everything[n], BOUNDS[n]) for n in names if n in BOUNDS)
    except Exception:
        return True


BY_HAND = {
    "architecture": "settings",
    "basins": "trajectories",
    "convergence": "dynamics",
    "dynamics": "dynamics",
    "foundations_sampling": "foundations",
    "foundations_starts": "foundations",
    "noise_level": "tuning",
    "settings": "settings",
    "trajectories": "trajectories",
}
"""Which of tests/thesis/test_thesis_*.py is about a file of claims; ``method`` for the others."""


def killed_by_hand(file: str, code: str, folder: Path) -> bool:
    """Whether a test that was written by hand fails in a copy that has the mutant."""
    path = folder / "thesis" / "claims" / f"{file}.py"
    kept = path.read_text()
    path.write_text(code)
    tests = ["thesis/test_rules.py", f"thesis/test_thesis_{BY_HAND.get(file, 'method')}.py"]
    status, _ = plant_bugs.run_tests(folder, tests)
    path.write_text(kept)
    return status == 1


def main(wanted: list[str]) -> int:
    """Count the mutants of each file, and name those that survive."""
    with tempfile.TemporaryDirectory(prefix="mutants.") as name:
        plant_bugs.copy_sources(Path(name))
        return _main(wanted, Path(name))


def _main(wanted: list[str], folder: Path) -> int:
    loud = "-v" in wanted
    tried = survived = 0
    for file in [w for w in wanted if w != "-v"] or FILES:
        source = (HERE / f"{file}.py").read_text()
        tree = ast.parse(source)
        install("", None)
        own = sorted(
            name
            for name, judged in bounds.everything().items()
            if judged.judge.__module__ == f"thesis.claims.{file}"
            or f"{judged.id if isinstance(judged, Claim) else judged.claim}"
            in {c.id for c in claims.claims() if c.judge.__module__ == f"thesis.claims.{file}"}
        )
        assert not killed(own), "without a mutant the tests do not pass"
        mine = left = 0
        for parent, field, k, node in list(places(tree)):
            for what, new in mutations(node):
                _put(parent, field, k, new)
                code = compile(ast.fix_missing_locations(copy.deepcopy(tree)), file, "exec")
                _put(parent, field, k, node)
                mine += 1
                try:
                    install(file, code)
                    dead = killed(own)
                except Exception:
                    dead = True
                if not dead:
                    _put(parent, field, k, new)
                    dead = killed_by_hand(file, ast.unparse(tree), folder)
                    _put(parent, field, k, node)
                left += not dead
                if loud or not dead:
                    line = source.splitlines()[node.lineno - 1].strip()  # type: ignore[attr-defined]
                    where = f"{file}.py:{node.lineno}"  # type: ignore[attr-defined]
                    print(
                        f"{'killed' if dead else 'LEFT':7} {where:28} {what:14} {line}", flush=True
                    )
        print(f"{file}: {mine - left} of {mine} mutants are killed", flush=True)
        tried, survived = tried + mine, survived + left
    print(f"{tried - survived} of {tried} mutants are killed, {survived} are left.")
    return 0


def _put(parent: ast.AST, field: str, k: int | None, node: ast.AST) -> None:
    if k is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[k] = node


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
