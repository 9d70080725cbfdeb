"""The seal of an executed notebook: a digest of its cells, by which damage is seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def of(cells: Iterable[Any]) -> str:
    """Return SHA-256 of the cells with their outputs."""
    text = json.dumps(list(cells), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def unbroken(path: Path) -> bool:
    """Tell whether the notebook in a file is whole, with the cells that it was sealed with."""
    try:
        notebook = json.loads(path.read_bytes())
        return bool(notebook["metadata"]["ebmlib"]["seal"] == of(notebook["cells"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def readable(path: Path) -> bool:
    """Tell whether a file is JSON; whether results are those of the code is for the package."""
    try:
        json.loads(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True
