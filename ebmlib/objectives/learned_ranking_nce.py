"""Ranking NCE whose proposal is a mixture density network, trained beside the model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.learned_noise import LearnedNoise
from ebmlib.objectives.mixture import PROPOSAL


@register("LearnedRankingNCE")
@dataclass(frozen=True)
class LearnedRankingNCE(LearnedNoise):
    """Find the demonstrated action a_0 among M draws of a proposal that follows the model.

        L(theta) = -mean [ g_0 - log sum_{j=0}^{M} exp g_j ],  g_j = f(x, a_j) - log q_phi(a_j | x)
        L(phi)   =  mean log [ (1 / M) sum_{j=1}^{M} exp f(x, a_j) / q_phi(a_j | x) ]

    (Gustafsson, Danelljan and Schoen, "Learning proposals for practical energy-based regression",
    2022; see :class:`~ebmlib.objectives.learned_noise.LearnedNoise`). Consistent for every M and
    every q_phi; the closer q_phi is to the model, the more informative is a draw.

    An update costs batch_size (1 + negatives) evaluations of the model, forward and backward, and
    batch_size of the proposal's network.

    Attributes:
        batch_size, data_noise, negatives, components, proposal_dim, reg_l2: see
            :class:`~ebmlib.objectives.learned_noise.LearnedNoise`.
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
        """The losses of one batch; reports that of the model, the levels of f, and L(phi)."""
        at, following = self.contrasted(model, parts, batch, carry, generator)
        g = at.f - at.log_q
        loss = -(g[:, 0] - g.logsumexp(dim=1)).mean()
        total = loss + self.reg_l2 * at.f.square().mean()
        report = at.report(loss) | {"log_z": following.detach()}
        return Outcome({MODEL: total, PROPOSAL: following}, carry, report)
