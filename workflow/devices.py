"""Which device the chapters run on.

``python -m workflow.devices WANTED`` prints the answer as JSON. It runs as a process
of its own, since only torch knows what it can use.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from workflow.paths import ROOT, WorkflowError


@dataclass(frozen=True)
class Device:
    """What chapters are told (``cpu`` or ``cuda``), and the GPUs that they may be given.

    Attributes:
        kind: cpu or cuda.
        gpus: names of GPUs, as CUDA_VISIBLE_DEVICES takes them.
        why: why ``auto`` took no GPU although there is one; empty as a rule.
    """

    kind: str
    gpus: tuple[str, ...] = ()
    why: str = ""


def resolve(wanted: str) -> Device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:I`` into a device.

    Asks torch, which takes seconds to import, only when the answer may be a GPU.

    Raises:
        WorkflowError: a GPU is wanted and torch cannot use it.
    """
    if wanted == "cpu" or (wanted == "auto" and not _may_have_gpu()):
        return Device("cpu")
    command = [sys.executable, "-m", "workflow.devices", wanted]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if answer.returncode:
        raise WorkflowError((answer.stderr.strip() or "torch could not be asked").splitlines()[-1])
    table = json.loads(answer.stdout.splitlines()[-1])
    if table["why"]:
        print(f"{table['why']}; the build goes on without it.", flush=True)
    return Device(table["kind"], tuple(table["gpus"]), table["why"])


def elsewhere(wanted: str, gpus: int | None) -> Device:
    """Return the device of jobs on other machines: it is theirs, so nothing is asked here.

    Args:
        wanted: auto, cpu or cuda; auto is a GPU only where some are asked for.
        gpus: how many GPUs each job asks for; None: the option was not given.
    """
    return Device("cuda" if wanted == "cuda" or gpus else "cpu")


def _may_have_gpu() -> bool:
    places = (Path("/proc/driver/nvidia"), Path("/dev/dxg"), Path("/dev/kfd"))
    return shutil.which("nvidia-smi") is not None or any(place.exists() for place in places)


def _ask_torch(wanted: str) -> Device:
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        if wanted == "auto":
            return Device("cpu")
        raise WorkflowError(
            f"--device {wanted} asks for a GPU, and torch {torch.__version__} finds none; use "
            "--device cpu, or --device auto to take a GPU where there is one"
        )
    # CUDA_VISIBLE_DEVICES of the caller renumbers what torch sees; keep the caller's names.
    listed = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    visible = [name.strip() for name in listed if name.strip()]
    names = [visible[i] if i < len(visible) else str(i) for i in range(count)]
    _, _, index = wanted.partition(":")
    if index and int(index) >= count:
        raise WorkflowError(
            f"--device {wanted} asks for GPU {index}, and torch finds {count}: "
            f"cuda:0 to cuda:{count - 1}"
        )
    chosen = [int(index)] if index else list(range(count))
    for number in chosen:
        # A card that is too old or too new for this torch, or that another program has to itself,
        # is counted and fails at the first use, an hour later.
        try:
            torch.ones(1, device=f"cuda:{number}").add_(1).cpu()
        except RuntimeError as error:
            why = (str(error).strip() or "no reason given").splitlines()[0].rstrip(".")
            if wanted == "auto":
                return Device("cpu", why=f"GPU {names[number]} does not compute: {why}")
            raise WorkflowError(
                f"--device {wanted} asks for GPU {names[number]}, which does not compute ({why}); "
                "use another by cuda:I, or --device cpu"
            ) from None
    return Device("cuda", tuple(names[number] for number in chosen))


if __name__ == "__main__":
    try:
        device = _ask_torch(sys.argv[1])
    except WorkflowError as error:
        sys.exit(str(error))
    print(json.dumps({"kind": device.kind, "gpus": device.gpus, "why": device.why}))
