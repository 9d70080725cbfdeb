"""How long one action takes (section 1.2).

The companion's one measurement that depends on the machine; the results' provenance names the
device.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from ebmlib.policy import EXP, ML, rollout
from ebmlib.thesis.study import Cell, Study

ACTIONS = 30
"""Actions in a row, one state after the other, as a controller asks for them."""


def measure(cell: Cell) -> dict[str, Any]:
    """Median time of one action for one state, and the demonstrator's own time for a step.

    Returns:
        ``EXP`` and ``ML``: milliseconds of wall clock per action, median over consecutive
        one-step rollouts; ``step``: mean milliseconds between two demonstrated positions, where
        the recordings have time stamps, else NaN.
    """
    data, sampler = cell.trained.demonstrations, cell.trained.run.objective.sampler
    count = 2 if cell.small else ACTIONS
    numbers: dict[str, Any] = {"step": np.nan}
    if data.times is not None:
        numbers["step"] = np.mean([np.diff(clock).mean() for clock in data.times])
    model = cell.trained.model
    for name, policy in (("EXP", EXP(model, sampler)), ("ML", ML(model, sampler))):
        generator, taken = cell.generator(name), []
        x = torch.zeros(1, data.dim, device=cell.device)
        rollout(policy, x, 1, generator=generator)  # the first call compiles
        for _ in range(count):
            began = time.perf_counter()
            x = rollout(policy, x, 1, generator=generator).states[:, -1]
            x = x.cpu()  # waits for a GPU
            taken.append(1000 * (time.perf_counter() - began))
            x = x.to(cell.device)
        numbers[name] = np.median(taken)
    return numbers


STUDIES = (Study("timing", ("path1", "circle", "mouse1", "mouse2"), measure),)
