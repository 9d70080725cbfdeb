"""Make requirements.txt, the lock of every package, from pyproject.toml.

Run by a maintainer after a change of pyproject.toml: ``python -m pip install uv`` once, then
``python -m workflow.lock`` (add ``--upgrade`` to move to the newest versions).

The lock is universal: one file for every platform and for every Python that pyproject.toml allows,
with environment markers where they differ. What torch itself pins for CUDA (``nvidia-*``,
``cuda-*``, ``triton``) is left out: the CUDA build of torch brings exactly those versions itself,
and listing them would force gigabytes onto a machine whose torch is a CPU build.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.txt"
LEFT_TO_TORCH = re.compile(r"^(nvidia|cuda)-|^triton\b")
HEADER = """\
# The lock of every package, for every platform and Python >= 3.11.
# Made from pyproject.toml by: python -m workflow.lock
# The CUDA packages are left to torch, which pins them itself (see workflow/lock.py).
"""


def without_cuda(compiled: str) -> str:
    """Drop the requirements that torch pins itself, with the comment lines that belong to them."""
    kept: list[str] = []
    keep = True
    for line in compiled.splitlines():
        if line and not line[0].isspace():
            keep = not LEFT_TO_TORCH.match(line)
        if keep:
            kept.append(line)
    return "\n".join(kept) + "\n"


def main(arguments: list[str]) -> None:
    """Compile the lock with uv and write it beside pyproject.toml."""
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "requirements.txt"
        if LOCK.exists() and "--upgrade" not in arguments:
            compiled.write_text(LOCK.read_text())  # uv keeps the versions it finds here
        subprocess.run(
            [
                *(sys.executable, "-m", "uv", "pip", "compile", "--universal", "--quiet"),
                *("--python-version", "3.11", "--extra", "book", "--extra", "test"),
                *("--no-header", "--no-emit-index-url", "--no-emit-find-links"),
                *("--output-file", str(compiled), "pyproject.toml", *arguments),
            ],
            cwd=ROOT,
            check=True,
        )
        LOCK.write_text(HEADER + without_cuda(compiled.read_text()))


if __name__ == "__main__":
    main(sys.argv[1:])
