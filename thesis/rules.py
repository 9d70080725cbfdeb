"""The rules of claims as they were frozen, so that none changes unseen after its rows.

``rules.json`` beside this file holds for every claim the text of its rule, its bounds and the
numbers in the code that judges it, with a digest and the day. The forty of the thesis were settled
while seeds 0 and 1 were looked at; a new claim's rule is frozen before the first seed of its study
is measured (``python -m thesis rules --freeze``, and a commit). A rule that changes later is listed
under ``changes`` with its reason (``--changed "why"``), and the claims page shows that list; a test
fails while one is not.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ebmlib import files
from ebmlib.errors import InputError
from thesis import claims
from thesis.claim import Claim

FILE = Path(__file__).with_name("rules.json")

_SAID = {"reading", "table", "parts", "where", "number", "rows"}
"""Names of what a judge only says."""


def rule(claim: Claim) -> dict[str, Any]:
    """What is frozen of a claim: rule, what is measured, bounds, the numbers in its judge."""
    return {
        "bound": list(claim.bound),
        "rule": claim.rule,
        "measured": claim.merit,
        "numbers": _numbers(claim),
    }


def digest(frozen: dict[str, Any]) -> str:
    """SHA-256 of what is frozen."""
    return hashlib.sha256(json.dumps(frozen, sort_keys=True).encode()).hexdigest()


def manifest() -> dict[str, Any]:
    """The manifest: ``rules`` by identifier, ``changes`` in their order, ``before``."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def differing() -> list[str]:
    """Claims whose rule is not the one in the manifest, or is in none."""
    known = manifest()["rules"]
    return [
        claim.id
        for claim in claims.claims()
        if known.get(claim.id, {}).get("sha256") != digest(rule(claim))
    ]


def freeze(today: str, why: str = "", settled: str = "before the first seed") -> list[str]:
    """Write today's rules of claims that are new, or that changed for a reason.

    Args:
        today: the day, ``"2026-11-25"``.
        why: the reason; what changed is listed with it.
        settled: when rules that are new were settled.

    Returns:
        The claims that were written.

    Raises:
        InputError: a frozen rule changed and no reason is given.
    """
    whole = manifest()
    names = differing()
    changed = [id for id in names if id in whole["rules"]]
    if changed and not why:
        raise InputError(
            f"The rules of {', '.join(changed)} were frozen and differ now; give the reason with "
            "--changed, and the claims page lists it."
        )
    for id in names:
        now = rule(claims.get(id))
        if id in changed:
            old = whole["rules"][id]["sha256"]
            whole["changes"].append(
                {"claim": id, "date": today, "from": old, "to": digest(now), "why": why}
            )
            settled_then = whole["rules"][id]["settled"]
        else:
            settled_then = settled
        frozen = {"date": today, "settled": settled_then, "sha256": digest(now), **now}
        whole["rules"][id] = frozen
    files.write_bytes(FILE, (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode())
    return names


def _numbers(claim: Claim) -> list[float]:
    """The numbers that a claim's judge compares with, those of the functions that it calls too."""
    found: set[float] = set()
    waiting = [(claim.judge.__module__, claim.judge.__name__)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        place = waiting.pop()
        if place in seen:
            continue
        seen.add(place)
        module, name = place
        defined, imported = _names(module)
        if name not in defined:
            if name in imported:
                waiting.append((imported[name], name))
            continue
        for node in _judging(defined[name]):
            value = node.value if isinstance(node, ast.Constant) else None
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found.add(float(value))
            elif isinstance(node, ast.Name):
                waiting.append((module, node.id))
    return sorted(found)


@cache
def _names(module: str) -> tuple[dict[str, ast.AST], dict[str, str]]:
    """What a module of claims defines, and what it imports from others of them."""
    importlib.import_module(module)
    path = sys.modules[module].__file__
    tree = ast.parse(Path(str(path)).read_text(encoding="utf-8"))
    defined: dict[str, ast.AST] = {}
    imported: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            defined[node.name] = node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                for each in ast.walk(target):
                    if isinstance(each, ast.Name):
                        defined[each.id] = node.value
        elif isinstance(node, ast.ImportFrom) and str(node.module).startswith("thesis.claims"):
            imported |= {alias.name: str(node.module) for alias in node.names}
    return defined, imported


def _judging(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function without what it only says, and without what decorates it."""
    targets = getattr(node, "targets", None) or [getattr(node, "target", None)]
    said = isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and all(
        isinstance(target, ast.Name) and target.id in _SAID for target in targets
    )
    if said or isinstance(node, ast.JoinedStr):
        return
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("decorator_list", "returns", "annotation"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _judging(child)
