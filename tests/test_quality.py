"""Style and types are part of the tests, so that one command tells all."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "--extend-exclude", "*.md", "."],
        pytest.param(["mypy"], marks=pytest.mark.slow),
    ],
    ids=["lint", "format", "types"],
)
def test_sources_pass(command):
    process = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stdout + process.stderr


def test_every_package_is_shipped():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "ebmlib").rglob("*.*")}
    there = {".".join(folder.parts) for folder in folders if "__pycache__" not in folder.parts}
    assert set(listed) == there | {"ebmlib.data"}


def test_groups_of_tests_reach_the_workers(request: pytest.FixtureRequest) -> None:
    """Without them, every worker of ./run_all.sh test would build the book for itself."""
    if not hasattr(request.config, "workerinput"):
        pytest.skip("this run has one process")
    assert request.node.nodeid.endswith("@tests/test_quality.py")
