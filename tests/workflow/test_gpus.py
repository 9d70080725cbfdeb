"""Which GPUs a build is given, seen without one: what torch says of cards is played."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from build_support import ROOT

from workflow import build, devices, locks, options
from workflow.paths import WorkflowError

BROKEN = "CUDA error: no kernel image is available for execution on the device\nmore lines"


@pytest.fixture
def cards(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let torch have some cards, of which some do not compute."""

    def have(count: int, broken: tuple[int, ...] = (), visible: str | None = None) -> None:
        def ones(size: int, device: str) -> torch.Tensor:
            if int(device.partition(":")[2]) in broken:
                raise RuntimeError(BROKEN)
            return torch.zeros(size)

        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch, "ones", ones)
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if visible is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return have


@pytest.mark.parametrize(
    ("wanted", "count", "visible", "gpus"),
    [
        ("auto", 2, None, ("0", "1")),
        ("cuda", 2, None, ("0", "1")),
        ("cuda:1", 2, None, ("1",)),
        ("cuda", 2, "2,5", ("2", "5")),
        ("cuda:1", 2, " 2 , 5 ", ("5",)),
        ("cuda", 1, "GPU-8a2c", ("GPU-8a2c",)),
        ("auto", 0, "", ()),
    ],
)
def test_gpus_keep_the_names_that_the_caller_gave_them(
    cards: Any, wanted: str, count: int, visible: str | None, gpus: tuple[str, ...]
) -> None:
    cards(count, visible=visible)
    found = devices._ask_torch(wanted)
    assert found == devices.Device("cuda" if gpus else "cpu", gpus)


@pytest.mark.parametrize(
    ("wanted", "count", "broken", "told"),
    [
        ("cuda", 0, (), "finds none; use --device cpu"),
        ("cuda:2", 2, (), "asks for GPU 2, and torch finds 2: cuda:0 to cuda:1"),
        ("cuda:1", 2, (1,), "GPU 1, which does not compute (CUDA error: no kernel image"),
        ("cuda", 2, (1,), "GPU 1, which does not compute"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_refused_in_one_sentence(
    cards: Any, wanted: str, count: int, broken: tuple[int, ...], told: str
) -> None:
    cards(count, broken)
    with pytest.raises(WorkflowError) as refused:
        devices._ask_torch(wanted)
    assert told in str(refused.value) and "\n" not in str(refused.value)
    if broken == (1,) and count == 2:
        assert devices._ask_torch("cuda:0") == devices.Device("cuda", ("0",))


def test_auto_goes_on_without_a_gpu_that_does_not_compute(cards: Any) -> None:
    cards(1, (0,))
    found = devices._ask_torch("auto")
    assert (found.kind, found.gpus) == ("cpu", ()) and "no kernel image" in found.why


def test_no_more_jobs_are_promised_than_there_are_gpus() -> None:
    wanted = options.Options("build")
    assert build._described(devices.Device("cuda", ("0",)), wanted, 4).endswith("1 at once")
    assert build._described(devices.Device("cuda", ("0", "1")), wanted, 1).endswith("1 at once")
    assert build._described(devices.Device("cpu"), wanted, 4) == "device cpu, 4 at once"


def test_a_gpu_is_one_jobs_until_that_job_is_gone(tmp_path: Path) -> None:
    """Two jobs get two GPUs, a third one that of the job that was killed."""
    code = (
        "import sys; from pathlib import Path; from workflow import locks;"
        "gpu, lock = locks.claim_gpu(['0', '1'], Path(sys.argv[1]));"
        "print(gpu, flush=True); sys.stdin.read()"
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    job = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], env=environ, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert job.stdout is not None
    first = job.stdout.readline().strip()
    second, lock = locks.claim_gpu(["0", "1"], tmp_path)
    assert {first, second} == {"0", "1"}
    job.kill()
    job.wait()
    third, other = locks.claim_gpu(["0", "1"], tmp_path)
    assert third == first
    lock.release()
    other.release()
