"""Shared by the objectives that contrast demonstrated pairs with the ends of chains."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ebmlib import checks
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome, WithoutParts
from ebmlib.sampling.chain import Chain
from ebmlib.sampling.kernel import Kernel
from ebmlib.sampling.sgld import SGLD


@dataclass(frozen=True)
class Contrast(WithoutParts):
    """Approximate maximum likelihood: chain ends stand in for samples of the model.

    With demonstrated pairs (x, a) and chain ends (x^, a^) of K SGLD steps,

        L(theta) = mean f(x^, a^) - mean f(x, a) + l1 mean |f| + l2 mean f^2,

    so that following -grad L raises f where the demonstrations are and lowers it where the chains
    ended. The regularisers hold the energy level, which the difference alone leaves free, and run
    over both kinds of points.

    Attributes:
        sampler: the chain (thesis: ``sgld_al``, ``sgld_K``).
        sgld_dim: negatives of an update, and demonstrated pairs of a batch.
        reg_l1, reg_l2: weights l1 and l2 of the energy-level regularisers.
    """

    sampler: Kernel = field(default_factory=SGLD)
    sgld_dim: int = 512
    reg_l1: float = 0.0
    reg_l2: float = 0.0

    def __post_init__(self) -> None:
        checks.instance("sampler", self.sampler, Kernel, "SGLD(alpha=0.01, steps=100)")
        checks.count("sgld_dim", self.sgld_dim)
        checks.non_negative("reg_l1", self.reg_l1)
        checks.non_negative("reg_l2", self.reg_l2)
        checks.count("sgld_K", self.sampler.steps)

    @property
    def batch_size(self) -> int:
        """Demonstrated pairs in a batch."""
        return self.sgld_dim

    @property
    def chain_steps(self) -> int:
        """Sampler updates that one batch costs."""
        return self.sgld_dim * self.sampler.steps

    def outcome(
        self,
        model: EnergyModel,
        data: Pairs,
        ends: tuple[Tensor, Tensor],
        chain: Chain,
        carry: Carry,
    ) -> Outcome:
        """The loss at demonstrated pairs ``data`` and at the ``ends`` (x^, a^) of ``chain``.

        Reports the difference of the two means ("loss"), R, the levels of f on data and chain
        ends, and the largest |f|.
        """
        states, actions = ends
        # one pass over both kinds of points: spectral normalisation then advances once an update
        f = model(torch.cat([data.states, states]), torch.cat([data.actions, actions]))
        f_data, f_chain = f[: len(data.states)], f[len(data.states) :]
        difference = f_chain.mean() - f_data.mean()
        loss = difference + self.reg_l1 * f.abs().mean() + self.reg_l2 * f.square().mean()
        with torch.no_grad():
            report = {
                "loss": difference.detach(),
                "R": chain.mean_step.mean(),
                "f_data": f_data.mean(),
                "f_chain": f_chain.mean(),
                "f_magnitude": f.abs().max(),
            }
        return Outcome({MODEL: loss}, carry, report)
