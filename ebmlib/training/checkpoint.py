"""The state of a training as tensors, from which it resumes with the same bits."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """State of an optimiser as flat tensors, ``<parameter number>.<quantity>``."""
    return {
        f"{number}.{name}": torch.as_tensor(value)
        for number, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if value is not None
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore the state that :func:`optimizer_tensors` returned."""
    optimizer.load_state_dict(optimizer.state_dict() | {"state": by_number(tensors)})


def by_number(tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """Tensors named ``<number>.<name>`` (a snapshot's epoch, say) as number -> name -> tensor.

    Raises:
        ValueError: a name of another form.
    """
    found: dict[int, dict[str, Tensor]] = {}
    for numbered, tensor in tensors.items():
        number, name = numbered.split(".", 1)
        found.setdefault(int(number), {})[name] = tensor
    return found


def copy(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy of the tensors as they are now."""
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}
