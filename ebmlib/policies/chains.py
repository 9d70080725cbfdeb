"""Shared by the policies that make actions from the ends of chains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ebmlib import checks, memory
from ebmlib.arrays import as_tensor, like_of
from ebmlib.errors import InputError
from ebmlib.models.energy import EnergyModel
from ebmlib.sampling import fused
from ebmlib.sampling.chain import run_chain
from ebmlib.sampling.kernel import Kernel
from ebmlib.sampling.sgld import SGLD


@dataclass(frozen=True)
class ChainPolicy(ABC):
    """A model, the kernel of its chains, and how many chains every state has."""

    model: EnergyModel
    sampler: Kernel = field(default_factory=SGLD)
    population: int = 64

    def __post_init__(self) -> None:
        checks.instance("sampler", self.sampler, Kernel, "SGLD(alpha=0.01, steps=100)")
        checks.count("population", self.population)

    @abstractmethod
    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`~ebmlib.policies.base.Policy`."""

    def operations(self, states: Tensor) -> float:
        """See :class:`~ebmlib.policies.base.Costed`: the chains, which are nearly all of it."""
        updates = len(states) * self.population * self.sampler.steps
        return updates * fused.operations_of(self.model.score(states[:1]))

    @property
    def like(self) -> Tensor | None:
        """A tensor with the dtype and the device of the model, if it has them."""
        return like_of(self.model)

    def _checked(self, states: Tensor) -> Tensor:
        """States (n, d_x) of any real type as the model takes them, if memory holds their chains.

        Raises:
            InputError: they are not finite, of another shape, or too many.
        """
        states = as_tensor("States", states, self.like)
        if states.ndim != 2:
            raise InputError(f"States must have shape (n, d_x), got {tuple(states.shape)}.")
        chains = len(states) * self.population
        memory.demand(
            2 * chains * (states.shape[1] + self.model.action_dim) * states.element_size(),
            f"A policy with {self.population} chains for each of {len(states)} states",
            "lower population or pass fewer states at once",
            states.device,
        )
        return states

    def _population(self, states: Tensor) -> Tensor:
        """Every state ``population`` times: (n p, d_x)."""
        return states.repeat_interleave(self.population, dim=0)

    def _ends(self, candidates: Tensor, generator: torch.Generator) -> Tensor:
        """Chain ends from noise starts, one for every candidate state."""
        start = self.sampler.start(
            len(candidates), self.model.action_dim, generator=generator, like=candidates
        )
        target = self.model.score(candidates)
        return run_chain(self.sampler, target, start, generator=generator).actions
