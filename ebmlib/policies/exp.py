"""The expectation estimate E[a | x] (Algorithm 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ebmlib import checks, config
from ebmlib.policies.chains import ChainPolicy


@config.plain_numbers
@dataclass(frozen=True)
class EXP(ChainPolicy):
    """The expectation estimate E[a | x] by Algorithm 2.

    For every state, ``population`` candidates x + alpha xi are drawn, one chain is run from noise
    at each, and the action is the mean of the chain ends. Algorithm 2 writes the starts as
    N(0, alpha I); as in SGLD itself the standard deviation here is alpha.

    Attributes:
        model: the energy model.
        sampler: the chain; normally the one the model was trained with.
        population: p of Algorithm 2.
        jitter: standard deviation of the candidates' states; alpha if None, 0 for none.
        positions: how many leading numbers of a state are its position, which alone is jittered;
            all of them if None.

    Example:
        >>> import torch
        >>> from ebmlib import EXP, SGLD, EnergyConfig, EnergyModel, seeding
        >>> model = EnergyModel(EnergyConfig(), 2, 2, generator=seeding.generator(0, "weights"))
        >>> policy = EXP(model, SGLD(alpha=0.01, steps=5), population=16)
        >>> policy.act(torch.zeros(3, 2), generator=seeding.generator(0, "rollout")).shape
        torch.Size([3, 2])
    """

    jitter: float | None = None
    positions: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.jitter is not None:
            checks.non_negative("jitter", self.jitter, most=checks.LARGEST_SQUARED)
        if self.positions is not None:
            checks.count("positions", self.positions)

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`~ebmlib.policies.base.Policy`."""
        states = self._checked(states)
        jitter = self.sampler.alpha if self.jitter is None else self.jitter
        candidates = self._population(states)
        if jitter > 0:
            noise = torch.empty_like(candidates).normal_(generator=generator)
            if self.positions is not None:
                noise[:, self.positions :] = 0
            candidates = candidates + jitter * noise
        ends = self._ends(candidates, generator)
        return ends.reshape(len(states), self.population, -1).mean(dim=1)
