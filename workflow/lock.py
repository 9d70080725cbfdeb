"""Make requirements.txt, the lock of every package, from pyproject.toml.

Run by a maintainer after a change of pyproject.toml: ``python -m pip install uv`` once, then
``python -m workflow.lock`` (add ``--upgrade`` to move to the newest versions).

The lock is universal: one file for every platform and for every Python that pyproject.toml allows,
with environment markers where they differ. What torch itself pins for CUDA is left out: the CUDA
build of torch brings exactly those versions itself, and listing them would force gigabytes onto a
machine whose torch is a CPU build.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEFT_TO_TORCH = (
    "triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti "
    "nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile "
    "nvidia-curand nvidia-cusolver nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 "
    "nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx"
).split()

if __name__ == "__main__":
    subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "compile", "--universal", "--quiet"),
            *("--python-version", "3.11", "--extra", "book", "--extra", "test"),
            *("--custom-compile-command", "python -m workflow.lock"),
            *("--no-emit-index-url", "--no-emit-find-links"),
            *(f"--no-emit-package={name}" for name in LEFT_TO_TORCH),
            *("--output-file", "requirements.txt", "pyproject.toml", *sys.argv[1:]),
        ],
        cwd=ROOT,
        check=True,
    )
