"""Where things are, and the one error that a user is meant to read. Standard library only."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
VENV = ROOT / ".venv"
BOOK = ROOT / "book"
CHAPTERS = BOOK / "chapters.toml"
TOC = ROOT / "_toc.yml"
CONFIG = ROOT / "_config.yml"
FRONTEND = BUILD / "frontend"
VENDOR = FRONTEND / "vendor"

PROFILES = ("smoke", "default", "full")


class WorkflowError(Exception):
    """Something a user can cause or mend; its message is one clear sentence."""


def notebook(profile: str, name: str) -> Path:
    """Return where the executed notebook of a chapter lies."""
    return BUILD / profile / "notebooks" / f"{name}.ipynb"


def logs(profile: str) -> Path:
    """Return the folder of a profile's logs, progress files and failed notebooks."""
    return BUILD / profile / "logs"


def progress_file(profile: str, name: str) -> Path:
    """Return where a chapter, or the book, tells how far it is."""
    return logs(profile) / f"{name}.progress"


def html(profile: str) -> Path:
    """Return the folder of a profile's rendered book."""
    return BUILD / profile / "html"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file in one step, so that a reader or a kill meets the old one or the whole new one.

    Its folder is made if it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    os.replace(part, path)
