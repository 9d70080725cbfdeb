"""What determines a result, and where, when and with what it was made."""

from __future__ import annotations

import ast
import inspect
import platform
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from ebmlib import config


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


def record(digest: str, device: Any, small: bool, begun: float) -> dict[str, Any]:
    """What is kept with results: what they belong to, where, when and with what they were made.

    Args:
        digest: of everything that determines them.
        device: where they were measured.
        small: with tiny trainings.
        begun: when, by ``time.time()``.
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
        "seconds": round(time.time() - begun, 1),
    }


def _commit() -> str | None:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    place = Path(__file__).parent
    try:
        found = subprocess.run(command, cwd=place, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()
