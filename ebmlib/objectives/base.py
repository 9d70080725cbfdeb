"""The one small interface that training is written against."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel

State = dict[str, Tensor]


class Outcome(NamedTuple):
    """What an objective says of one batch.

    Attributes:
        loss: scalar to minimise, with its graph.
        state: what the objective carries to the next batch (tensors only: it is checkpointed).
        report: scalars for the history, detached.
    """

    loss: Tensor
    state: State
    report: dict[str, Tensor]


@runtime_checkable
class Objective(Protocol):
    """A frozen dataclass that scores a model on a batch of demonstrated pairs."""

    @property
    def batch_size(self) -> int:
        """Demonstrated pairs in a batch."""
        ...

    @property
    def chain_steps(self) -> int:
        """Sampler updates (chains x steps) that one batch costs."""
        ...

    def initial_state(self, pairs: Pairs, *, generator: torch.Generator) -> State:
        """The state before the first batch, given all the data."""
        ...

    def __call__(
        self, model: EnergyModel, batch: Pairs, state: State, *, generator: torch.Generator
    ) -> Outcome:
        """The loss of one batch."""
        ...
