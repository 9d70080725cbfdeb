"""How much memory is available, checked before work that may need more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import torch

from ebmlib.errors import InputError

_SMALL = 2**28  # bytes; less than this is not checked

_CONTROL_GROUP = Path("/sys/fs/cgroup")


def demand(needed: float, what: str, remedy: str, device: torch.device | str = "cpu") -> None:
    """Refuse work that needs more memory than is available.

    Args:
        needed: bytes.
        what: what needs them, as the beginning of a sentence.
        remedy: what to do, as the end of the sentence.
        device: whose memory is needed.

    Raises:
        InputError: less is available.
    """
    if needed <= _SMALL:
        return
    free = available(device)
    if needed > free:
        raise InputError(
            f"{what} needs about {_gigabytes(needed)} of memory, and {_gigabytes(free)} are "
            f"available on {torch.device(device).type}; {remedy}."
        )


def available(device: torch.device | str = "cpu") -> float:
    """Bytes that are available now; infinity if the system does not report it."""
    device = torch.device(device)
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    return min(_limits(), default=float("inf"))


def _limits() -> Iterator[float]:
    with suppress(OSError, ValueError):  # Linux: free memory, and caches that can be freed
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                yield float(line.split()[1]) * 1024
    with suppress(OSError, ValueError):  # a container's share
        limit = float((_CONTROL_GROUP / "memory.max").read_text())
        used = float((_CONTROL_GROUP / "memory.current").read_text())
        for line in (_CONTROL_GROUP / "memory.stat").read_text().splitlines():
            if line.startswith("inactive_file "):  # file caches, which the system can free
                used -= float(line.split()[1])
        yield max(limit - used, 0.0)
    with suppress(OSError, ValueError, AttributeError):  # the machine's memory, an upper bound
        yield float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.3g} GB"
