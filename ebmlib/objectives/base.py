"""The interface of an objective, as training uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel

Carry = dict[str, Tensor]
"""What an objective takes from batch to batch: banks of chains, a fitted proposal. Tensors only,
because it is checkpointed."""

MODEL = "model"
"""The name of the energy model among the losses of an :class:`Outcome`."""


class Outcome(NamedTuple):
    """What an objective returns for one batch.

    Attributes:
        losses: scalars to minimise, with their graphs: one under :data:`MODEL` and one for every
            part of the objective's own. Each changes only the parameters of its name. If its graph
            holds none of them, they and their optimiser stay as they are.
        carry: what the objective takes to the next batch.
        report: scalars for the history, detached; ``loss`` is always among them.
    """

    losses: dict[str, Tensor]
    carry: Carry
    report: dict[str, Tensor]


class PartOptimizer(NamedTuple):
    """How a part of an objective is trained, where that differs from the model's training.

    Attributes:
        lr: learning rate; the model's if None.
        optimizer: ``"adam"`` or ``"sgd"``; the model's if None.
        betas: of Adam; PyTorch's own if None.
    """

    lr: float | None = None
    optimizer: str | None = None
    betas: tuple[float, float] | None = None


@runtime_checkable
class Objective(Protocol):
    """A frozen dataclass that scores a model on a batch of demonstrated pairs.

    A new one is a file in this folder, its line in ``objectives/names.py``, and a row in the table
    of ``tests/objectives/test_every_objective.py``.
    Its ``revision`` (1 if it has none) is part of the key of what it trained: raise it when the
    same configuration trains to other weights.
    """

    @property
    def batch_size(self) -> int:
        """Demonstrated pairs in a batch."""
        ...

    @property
    def chain_steps(self) -> int:
        """Sampler updates (chains x steps) that one batch costs; 0 without chains."""
        ...

    def check(self, model: EnergyModel) -> None:
        """Refuse a model that this cannot train; called once, before the first update.

        Raises:
            InputError: says what to use instead.
        """
        ...

    def parts(
        self, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> nn.ModuleDict:
        """What is trained beside the model (a critic, a proposal, log Z); empty for most."""
        ...

    def part_optimizers(self) -> Mapping[str, PartOptimizer]:
        """How parts are trained, by name; one that is not named is trained like the model."""
        ...

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """What is carried into the first batch, given all the data."""
        ...

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The losses of one batch."""
        ...


class WithoutParts:
    """For objectives that train nothing beside the model and carry nothing along."""

    def check(self, model: EnergyModel) -> None:
        """Every model is accepted."""

    def parts(
        self, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> nn.ModuleDict:
        """No parts."""
        return nn.ModuleDict()

    def part_optimizers(self) -> Mapping[str, PartOptimizer]:
        """No parts, no optimisers."""
        return {}

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """Nothing is carried from batch to batch."""
        return {}
