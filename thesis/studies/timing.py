"""How long one action takes (section 1.2).

The companion's one measurement that depends on the machine; the results' provenance names the
device.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from ebmlib.policies import EXP, ML
from ebmlib.sampling import fused
from thesis.study import Cell, Study

ACTIONS = 12
"""Actions in a row, one state after the other, as a controller asks for them."""


def measure(cell: Cell) -> dict[str, Any]:
    """Median time of one action for one state, and the demonstrator's own time for a step.

    On a CPU the time is the process's own, which other jobs on the machine do not move much and
    which with one thread is the wall clock of an idle machine; on a GPU it is the wall clock.

    Returns:
        ``EXP`` and ``ML``: milliseconds per action, median over actions in a row, each taken where
        the last one led; ``step``: mean milliseconds between two demonstrated positions, where the
        recordings have time stamps, else NaN.
    """
    data, sampler = cell.trained.demonstrations, cell.sampler
    count = 2 if cell.small else ACTIONS
    clock = time.perf_counter if cell.device.type == "cuda" else time.process_time
    numbers: dict[str, Any] = {"step": np.nan}
    if data.times is not None:
        numbers["step"] = np.mean([np.diff(stamps).mean() for stamps in data.times])
    model = cell.trained.model
    model.eval()
    # as a controller would: the kernel is built once, where it can be
    with fused.permitted(True):
        for name, policy in (("EXP", EXP(model, sampler)), ("ML", ML(model, sampler))):
            generator, taken = cell.generator(name), []
            x = torch.zeros(1, data.dim, device=cell.device)
            policy.act(x, generator=generator)
            for _ in range(count):
                began = clock()
                x = x + policy.act(x, generator=generator)
                x.cpu()  # waits for a GPU
                taken.append(1000 * (clock() - began))
            numbers[name] = np.median(taken)
    return numbers


STUDIES = (Study("timing", ("path1", "circle", "mouse1", "mouse2"), measure, clock=("EXP", "ML")),)
