"""Builds for tests: the smoke build of the real book, and a tiny project that builds in seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

CHAPTER = """\
---
kernelspec: {{display_name: Python 3, language: python, name: python3}}
---
# {title}

```{{code-cell}} ipython3
:tags: [parameters]
text = "unset"
device = "unset"
seeds = 1
```

```{{code-cell}} ipython3
:tags: [remove-output]
import os, time
from pathlib import Path
import ebmlib
{code}
```

```{{code-cell}} ipython3
print(f"{{text}} on {{device}} with {{seeds}} seeds, library {{ebmlib.VERSION}}")
```
"""
# Waits while build/hold exists, and tells who is waiting.
WAITING = """\
Path("build/kernel").write_text(str(os.getpid()))
if Path("build/half").exists():  # what a kill between writing a notebook and noting it would leave
    Path("build/default/notebooks/waiting.ipynb").write_text("half a notebook")
while Path("build/hold").exists():
    time.sleep(0.05)
"""
# The first chapter to find build/break removes it and fails.
BREAKING = """\
if Path("build/break").exists():
    Path("build/break").unlink()
    raise ValueError("asked to break")
"""


def environment() -> dict[str, str]:
    """Return an environment in which the build finds its own store."""
    return {key: value for key, value in os.environ.items() if key != "EBMLIB_STORE"}


@dataclass(frozen=True)
class Project:
    """A folder with the pipeline of this project and a book of two short chapters."""

    root: Path

    def command(self, *arguments: str) -> list[str]:
        """Return the command that builds, with the packages of this Python."""
        return [sys.executable, "-m", "workflow", "--no-setup", "--device", "cpu", *arguments]

    def run(self, *arguments: str, command: list[str] | None = None) -> Result:
        """Build, and wait for the end."""
        done = subprocess.run(
            command or self.command(*arguments), cwd=self.root, env=environment(),
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Build, and do not wait."""
        return subprocess.Popen(
            self.command(*arguments), cwd=self.root, env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def build(self, *parts: str) -> Path:
        """Return a path in the build folder."""
        return self.root.joinpath("build", *parts)

    def notebook(self, name: str) -> Path:
        """Return where the executed notebook of a chapter of the default profile lies."""
        return self.build("default", "notebooks", f"{name}.ipynb")


@dataclass(frozen=True)
class Result:
    """How a build ended."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        """Return all that a failed assertion should show."""
        return f"exit {self.code}\n{self.out}\n{self.err}"


def make_project(root: Path) -> Project:
    """Lay out the tiny project at ``root``."""
    for name in ("Snakefile", "_config.yml", "requirements.txt", "pyproject.toml", "run_all.sh"):
        root.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root)
    for folder in ("workflow", "executors", "book/assets", "book/frontend"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "book" / "references.bib", root / "book")
    (root / "build").mkdir()
    (root / "ebmlib").mkdir()
    (root / "ebmlib" / "__init__.py").write_text("VERSION = 1\n")
    (root / "book" / "intro.md").write_text("# A tiny book\n")
    for name, code in (("waiting", WAITING + BREAKING), ("other", BREAKING)):
        (root / "book" / f"{name}.md").write_text(CHAPTER.format(title=name, code=code))
    (root / "book" / "chapters.toml").write_text(
        '[profiles.smoke]\ntext = "tiny"\n'
        '[chapter.waiting]\nsource = "book/waiting.md"\nparameters = { text = "first" }\n'
        '[chapter.other]\nsource = "book/other.md"\n'
    )
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nchapters:\n"
        "  - file: book/waiting\n  - file: book/other\n"
    )
    return Project(root)


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Wait until a condition holds; fail with ``what`` when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
        time.sleep(0.05)


def alive(process: int) -> bool:
    """Tell whether a process runs; one that has ended and was not collected does not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        try:
            os.kill(process, 0)
        except OSError:
            return False
        return not Path("/proc/self").exists()
    return state not in "ZX"


@pytest.fixture(scope="session")
def smoke_book() -> Path:
    """Build the real book with the smoke profile, in the project's own build folder; its HTML.

    What is up to date is not built again, and of two test processes one waits for the other.
    """
    done = subprocess.run(
        [sys.executable, "-m", "workflow", "--no-setup", "--device", "cpu", "--profile", "smoke"],
        cwd=ROOT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"the smoke book failed:\n{done.stdout}\n{done.stderr}"
    return ROOT / "build" / "smoke" / "html"
