"""What determines a result, and where, when and with what it was made."""

from __future__ import annotations

import ast
import inspect
import json
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from ebmlib import config
from ebmlib.training.run import Run

CONFIGURATIONS = "configurations"


def code_digest(module: ModuleType | None) -> str:
    """SHA-256 of a module's code without comments, docstrings and layout."""
    assert module is not None
    tree = ast.parse(inspect.getsource(module))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[:] = body[1:]
    return config.digest(ast.dump(tree))


def configurations(runs: Mapping[str, Run]) -> dict[str, Any]:
    """The configuration of every condition as a dictionary."""
    return {name: config.to_dict(run) for name, run in runs.items()}


def data(runs: Mapping[str, Run]) -> dict[str, str]:
    """The digest of the data of every condition."""
    return {name: run.demonstrations().digest() for name, run in runs.items()}


def record(
    digest: str, runs: Mapping[str, Run], device: torch.device | str, small: bool
) -> dict[str, Any]:
    """What is kept with results: what they belong to, where, when and with what they were made.

    Args:
        digest: of everything that determines them.
        runs: of the conditions, by name; the rows have their seeds.
        device: where they were measured.
        small: with tiny trainings.
    """
    cuda = torch.device(device).type == "cuda"
    return {
        "digest": digest,
        "small": small,
        "commit": _commit(),
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "platform": platform.platform(),
        "versions": {
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "data": data(runs),
        CONFIGURATIONS: configurations(runs),
    }


def to_json(record: Mapping[str, Any]) -> str:
    """The record as text, an entry and a configuration a line."""

    def lines(entries: Mapping[str, Any], indent: str) -> str:
        return f",\n{indent}".join(
            f"{json.dumps(name)}: {value if name == CONFIGURATIONS else json.dumps(value)}"
            for name, value in entries.items()
        )

    entries = dict(record)
    if CONFIGURATIONS in entries:
        entries[CONFIGURATIONS] = "{\n  " + lines(entries[CONFIGURATIONS], "  ") + "\n }"
    return "{\n " + lines(entries, " ") + "\n}"


def _commit() -> str | None:
    """The commit of the checkout; ``-dirty`` if more than results differs from it."""

    def git(*arguments: str) -> str:
        place = Path(__file__).parent
        command = ["git", *arguments]
        return subprocess.run(
            command, cwd=place, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        apart = ":(top,exclude)thesis/results"
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ":(top)", apart)
    except (OSError, subprocess.CalledProcessError):
        return None
    return f"{head}-dirty" if changed else head
