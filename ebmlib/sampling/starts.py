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
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.sampling.kernel import Kernel

Bank = dict[str, Tensor]


class Negatives(NamedTuple):
    """Chains about to run: states (m, d_x), starts (m, d_a), ids (m,): rows in the data."""

    states: Tensor
    start: Tensor
    ids: Tensor


@runtime_checkable
class Start(Protocol):
    """Where chains start, and what is kept of where they ended."""

    def bank(self, pairs: Pairs, sampler: Kernel, *, generator: torch.Generator) -> Bank:
        """The bank before the first update, for all ``pairs`` of the data."""
        ...

    def draw(
        self, batch: Pairs, m: int, bank: Bank, sampler: Kernel, *, generator: torch.Generator
    ) -> Negatives:
        """``m`` starts at the states of the batch, in turn."""
        ...

    def keep(self, bank: Bank, negatives: Negatives, ends: Tensor) -> Bank:
        """The bank after the chains have ended at ``ends`` (m, d_a)."""
        ...


def _cycle(batch: Pairs, m: int) -> Pairs:
    """The batch's pairs, repeated in turn until there are ``m``."""
    turn = torch.arange(m, device=batch.states.device) % len(batch.states)
    return Pairs(batch.states[turn], batch.actions[turn], batch.ids[turn])


class _WithoutBank:
    def bank(self, pairs: Pairs, sampler: Kernel, *, generator: torch.Generator) -> Bank:
        return {}

    def keep(self, bank: Bank, negatives: Negatives, ends: Tensor) -> Bank:
        return bank


@register("NoiseStart")
@dataclass(frozen=True)
class NoiseStart(_WithoutBank):
    """The thesis's noise initialisation (sections 2.3.2, 3.4): a^0 ~ N(0, alpha^2 I)."""

    def draw(
        self, batch: Pairs, m: int, bank: Bank, sampler: Kernel, *, generator: torch.Generator
    ) -> Negatives:
        """See :class:`Start`."""
        states, actions, ids = _cycle(batch, m)
        start = sampler.start(m, actions.shape[1], generator=generator, like=actions)
        return Negatives(states, start, ids)


@register("DataStart")
@dataclass(frozen=True)
class DataStart(_WithoutBank):
    """Contrastive divergence proper (section 2.3.2): a^0 is the demonstrated action."""

    def draw(
        self, batch: Pairs, m: int, bank: Bank, sampler: Kernel, *, generator: torch.Generator
    ) -> Negatives:
        """See :class:`Start`."""
        return Negatives(*_cycle(batch, m))


@register("PersistentStart")
@dataclass(frozen=True)
class PersistentStart:
    """Persistent contrastive divergence (section 2.4): one chain for every demonstrated pair.

    A chain goes on where it ended when its pair was last in a batch; it began from noise.
    """

    def bank(self, pairs: Pairs, sampler: Kernel, *, generator: torch.Generator) -> Bank:
        """See :class:`Start`; key ``actions``, shape (n, d_a)."""
        n, d = pairs.actions.shape
        return {"actions": sampler.start(n, d, generator=generator, like=pairs.actions)}

    def draw(
        self, batch: Pairs, m: int, bank: Bank, sampler: Kernel, *, generator: torch.Generator
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


@register("ReplayStart")
@dataclass(frozen=True)
class ReplayStart:
    """A replay buffer of past chains (section 2.4, Du and Mordatch 2019) for a conditional density.

    The last ``per_pair`` chain ends of every demonstrated pair are kept. A new chain goes on from
    one of its own pair's, at random, or with probability ``restart`` starts again from noise.

    The chains' states are those of the batch, as with every start: only then does the
    part of f that depends on the state alone cancel in the loss. In one buffer for all pairs the
    states of the chains would drift away from those of the data, where f would grow without bound.

    Example:
        >>> from ebmlib import ReplayStart, preset
        >>> preset("circle").with_(start="replay").objective.start == ReplayStart()
        True
    """

    per_pair: int = 5
    restart: float = 0.05

    def __post_init__(self) -> None:
        checks.count("replay per_pair", self.per_pair)
        checks.fraction("restart probability", self.restart)

    def bank(self, pairs: Pairs, sampler: Kernel, *, generator: torch.Generator) -> Bank:
        """See :class:`Start`; keys ``actions`` (n, per_pair, d_a) and ``ended`` (n,), how many."""
        n, d = pairs.actions.shape
        return {
            "actions": pairs.actions.new_zeros((n, self.per_pair, d)),
            "ended": torch.zeros(n, dtype=torch.long, device=pairs.states.device),
        }

    def draw(
        self, batch: Pairs, m: int, bank: Bank, sampler: Kernel, *, generator: torch.Generator
    ) -> Negatives:
        """See :class:`Start`."""
        states, noise, ids = NoiseStart().draw(batch, m, {}, sampler, generator=generator)
        device = states.device
        restart = (
            torch.rand(m, generator=generator, dtype=torch.float32, device=device) < self.restart
        )
        there = bank["ended"][ids].clamp(max=self.per_pair)
        slot = (
            torch.rand(m, generator=generator, dtype=torch.float32, device=device) * there
        ).long()
        past = bank["actions"][ids, slot]
        again = restart | (there == 0)
        return Negatives(states, torch.where(again[:, None], noise, past), ids)

    def keep(self, bank: Bank, negatives: Negatives, ends: Tensor) -> Bank:
        """See :class:`Start`; a pair's oldest ends make room."""
        ids = negatives.ids
        order = torch.argsort(ids, stable=True)
        count = torch.bincount(ids, minlength=len(bank["ended"]))
        first = count.cumsum(0) - count  # where a pair's chains begin in this order
        turn = torch.empty_like(ids)
        turn[order] = torch.arange(len(ids), device=ids.device) - first[ids[order]]
        kept = turn >= count[ids] - self.per_pair  # the last of several chains at a pair
        slots = (bank["ended"][ids] + turn) % self.per_pair
        actions = bank["actions"].clone()
        actions[ids[kept], slots[kept]] = ends[kept]
        return {"actions": actions, "ended": bank["ended"] + count}
