"""Where the chains of training start: noise, data, a persistent bank, a replay buffer.

A start is a value without state. What must be remembered between updates is its *bank*, a
dictionary of tensors that is passed in and returned, so that it can be saved in a checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from ebmlib import checks
from ebmlib.sgld import SGLD

Bank = dict[str, Tensor]


class Pairs(NamedTuple):
    """State-action pairs: states (n, d_x), actions (n, d_a), their places in the data ids (n,)."""

    states: Tensor
    actions: Tensor
    ids: Tensor


class Negatives(NamedTuple):
    """Chains about to run: states (m, d_x), starts (m, d_a), their places in the data ids (m,)."""

    states: Tensor
    start: Tensor
    ids: Tensor


@runtime_checkable
class Start(Protocol):
    """Where chains start, and what is kept of where they ended."""

    def bank(self, pairs: Pairs, sampler: SGLD, *, generator: torch.Generator) -> Bank:
        """The bank before the first update, for all ``pairs`` of the data."""
        ...

    def draw(
        self, batch: Pairs, m: int, bank: Bank, sampler: SGLD, *, generator: torch.Generator
    ) -> Negatives:
        """``m`` starts; their states are those of the batch, in turn, unless the bank has them."""
        ...

    def keep(self, bank: Bank, negatives: Negatives, ends: Tensor) -> Bank:
        """The bank after the chains have ended at ``ends`` (m, d_a)."""
        ...


def _cycle(batch: Pairs, m: int) -> Pairs:
    """The batch's pairs, repeated in turn until there are ``m``."""
    turn = torch.arange(m, device=batch.states.device) % len(batch.states)
    return Pairs(batch.states[turn], batch.actions[turn], batch.ids[turn])


class _WithoutBank:
    def bank(self, pairs: Pairs, sampler: SGLD, *, generator: torch.Generator) -> Bank:
        return {}

    def keep(self, bank: Bank, negatives: Negatives, ends: Tensor) -> Bank:
        return bank


@dataclass(frozen=True)
class NoiseStart(_WithoutBank):
    """The thesis's noise initialisation (sections 2.3.2, 3.4): a^0 ~ N(0, alpha^2 I)."""

    def draw(
        self, batch: Pairs, m: int, bank: Bank, sampler: SGLD, *, generator: torch.Generator
    ) -> Negatives:
        """See :class:`Start`."""
        states, actions, ids = _cycle(batch, m)
        start = sampler.start(m, actions.shape[1], generator=generator, like=actions)
        return Negatives(states, start, ids)


@dataclass(frozen=True)
class DataStart(_WithoutBank):
    """Contrastive divergence proper (section 2.3.2): a^0 is the demonstrated action."""

    def draw(
        self, batch: Pairs, m: int, bank: Bank, sampler: SGLD, *, generator: torch.Generator
    ) -> Negatives:
        """See :class:`Start`."""
        return Negatives(*_cycle(batch, m))


@dataclass(frozen=True)
class PersistentStart:
    """Persistent contrastive divergence (section 2.4): one chain for every demonstrated pair.

    A chain goes on where it ended when its pair was last in a batch; it began from noise.
    """

    def bank(self, pairs: Pairs, sampler: SGLD, *, generator: torch.Generator) -> Bank:
        """See :class:`Start`; key ``actions``, shape (n, d_a)."""
        n, d = pairs.actions.shape
        return {"actions": sampler.start(n, d, generator=generator, like=pairs.actions)}

    def draw(
        self, batch: Pairs, m: int, bank: Bank, sampler: SGLD, *, generator: torch.Generator
    ) -> Negatives:
        """See :class:`Start`."""
        states, _, ids = _cycle(batch, m)
        return Negatives(states, bank["actions"][ids], ids)

    def keep(self, bank: Bank, negatives: Negatives, ends: Tensor) -> Bank:
        """See :class:`Start`; of several chains at one pair the bank keeps the last."""
        actions = bank["actions"].clone()
        # when m exceeds the batch a pair occurs several times and which write wins is undefined,
        # so only the last occurrence of each is written
        last = torch.full((len(actions),), -1, dtype=torch.long, device=actions.device)
        order = torch.arange(len(ends), device=actions.device)
        last.scatter_reduce_(0, negatives.ids, order, "amax")
        seen = last >= 0
        actions[seen] = ends[last[seen]]
        return {"actions": actions}


@dataclass(frozen=True)
class ReplayStart:
    """A replay buffer of past chains (section 2.4, Du and Mordatch 2019).

    The last ``capacity`` chain ends are kept with their states. A new chain goes on from one of
    them, at random, or with probability ``restart`` starts again from noise at a batch state.
    """

    capacity: int = 10_000
    restart: float = 0.05

    def __post_init__(self) -> None:
        checks.count("replay capacity", self.capacity)
        checks.fraction("restart probability", self.restart)

    def bank(self, pairs: Pairs, sampler: SGLD, *, generator: torch.Generator) -> Bank:
        """See :class:`Start`; keys ``states``, ``actions``, ``ids``, ``filled``, ``cursor``."""
        capacity = self.capacity
        return {
            "states": pairs.states.new_zeros((capacity, pairs.states.shape[1])),
            "actions": pairs.actions.new_zeros((capacity, pairs.actions.shape[1])),
            "ids": torch.zeros(capacity, dtype=torch.long, device=pairs.states.device),
            "filled": torch.zeros((), dtype=torch.long),
            "cursor": torch.zeros((), dtype=torch.long),
        }

    def draw(
        self, batch: Pairs, m: int, bank: Bank, sampler: SGLD, *, generator: torch.Generator
    ) -> Negatives:
        """See :class:`Start`."""
        fresh = NoiseStart().draw(batch, m, {}, sampler, generator=generator)
        filled = int(bank["filled"])
        if filled == 0:
            return fresh
        device = batch.states.device
        restart = torch.rand(m, generator=generator, device=device) < self.restart
        slot = torch.randint(filled, (m,), generator=generator, device=device)
        row = restart[:, None]
        return Negatives(
            torch.where(row, fresh.states, bank["states"][slot]),
            torch.where(row, fresh.start, bank["actions"][slot]),
            torch.where(restart, fresh.ids, bank["ids"][slot]),
        )

    def keep(self, bank: Bank, negatives: Negatives, ends: Tensor) -> Bank:
        """See :class:`Start`; the oldest ends make room."""
        count = min(len(ends), self.capacity)
        cursor = int(bank["cursor"])
        slots = (cursor + torch.arange(count, device=ends.device)) % self.capacity
        return {
            "states": bank["states"].index_copy(0, slots, negatives.states[-count:]),
            "actions": bank["actions"].index_copy(0, slots, ends[-count:]),
            "ids": bank["ids"].index_copy(0, slots, negatives.ids[-count:]),
            "filled": (bank["filled"] + count).clamp(max=self.capacity),
            "cursor": (bank["cursor"] + count) % self.capacity,
        }
