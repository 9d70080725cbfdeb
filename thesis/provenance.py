"""What determines a result, and where, when and with what it was made."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ebmlib import config
from ebmlib.demonstrations.dataset import DemonstrationConfig, load_demonstrations
from ebmlib.training.run import Run

CONFIGURATIONS = "configurations"


def configurations(runs: Mapping[str, Run]) -> dict[str, Any]:
    """The configuration of every condition as a dictionary."""
    return {name: config.to_dict(run) for name, run in runs.items()}


def data(runs: Mapping[str, Run]) -> dict[str, str]:
    """The digest of the data of every condition."""
    return {name: _data_digest(run.data) for name, run in runs.items()}


@lru_cache(maxsize=1024)
def _data_digest(data: DemonstrationConfig) -> str:
    """The digest of a data set, made once: a drawing that changes meanwhile is not seen."""
    return load_demonstrations(data).digest()


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
        "commit": commit(),
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


def commit() -> str | None:
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
