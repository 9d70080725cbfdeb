"""Ranking noise contrastive estimation: find the demonstrated action among m draws (2.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.noise import NoiseContrast


@register("RankingNCE")
@dataclass(frozen=True)
class RankingNCE(NoiseContrast):
    """The log probability of finding the demonstrated action a_0 among a_1 ... a_m ~ q.

        L(theta) = -mean [ g_0 - log sum_{j=0}^{m} exp g_j ],   g_j = f(x, a_j) - log q(a_j | x),

    (Ma and Collins, "Noise contrastive estimation and negative sampling for conditional models:
    consistency and statistical efficiency", 2018). Consistent for every m; as m grows its gradient
    becomes that of the likelihood by importance sampling. A part of f that depends on the state
    alone cancels.
    An update costs batch_size (1 + negatives) evaluations of the network, forward and backward.

    Attributes:
        proposal, negatives, batch_size, data_noise, reg_l2, state_noise, noise_unit,
            noise_across: see :class:`~ebmlib.objectives.noise.NoiseContrast`.
    """

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The loss of one batch; reports it and the levels of f."""
        batch = self.noisy(batch, carry, generator)
        at = self.contrasted(model, batch, carry, generator)
        g = at.f - at.log_q
        loss = -(g[:, 0] - g.logsumexp(dim=1)).mean()
        total = loss + self.reg_l2 * at.f.square().mean()
        return Outcome({MODEL: total}, carry, at.report(loss))
