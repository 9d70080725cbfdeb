"""The most probable action (section 3.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ebmlib import checks, config
from ebmlib.policies.chains import ChainPolicy
from ebmlib.sampling.chain import run_chain


@config.plain_numbers
@dataclass(frozen=True)
class ML(ChainPolicy):
    """The most probable action, argmax_a f(x, a) (section 3.3): ascent from several starts.

    The ascent is the sampler at temperature 0. It starts at the origin and at ``population`` - 1
    noise starts, goes on in blocks of K steps until the best f of every state rises by less than
    ``tolerance`` in a block or ``blocks`` are done, and the best point at the end of a block
    wins. A model without a mode in reach (training does not keep f from rising forever) thus gives
    the best point found.

    Attributes:
        blocks: most blocks of K steps.
        tolerance: rise of f in a block, in nats, that counts as arrived.
    """

    population: int = 8
    blocks: int = 10
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("blocks", self.blocks)
        checks.non_negative("tolerance", self.tolerance)

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`~ebmlib.policies.base.Policy`."""
        states = self._checked(states)
        ascent = self.sampler.ascent()
        candidates = self._population(states)
        score = self.model.score(candidates)
        a = ascent.start(
            len(candidates), self.model.action_dim, generator=generator, like=candidates
        )
        a[:: self.population] = 0.0
        best, f_best = a, score.value(a)
        for _ in range(self.blocks):
            a = run_chain(ascent, score, a, generator=generator).actions
            f = score.value(a)
            higher = f > f_best  # ascent in steps this large may also fall
            f_before, f_best = f_best, torch.where(higher, f, f_best)
            best = torch.where(higher[:, None], a, best)
            if (self._highest(f_best)[0] - self._highest(f_before)[0] <= self.tolerance).all():
                break
        winner = self._highest(f_best)[1]
        points = best.reshape(len(states), self.population, -1)
        return points[torch.arange(len(states), device=a.device), winner]

    def _highest(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """The largest f of every state's population, and which it is; f has shape (n p,)."""
        highest, which = f.reshape(-1, self.population).max(dim=1)
        return highest, which
