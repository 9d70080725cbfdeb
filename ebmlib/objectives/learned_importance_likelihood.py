"""Maximum likelihood by importance sampling with a learned proposal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.importance_likelihood import log_z_hat
from ebmlib.objectives.learned_noise import LearnedNoise
from ebmlib.objectives.mixture import PROPOSAL


@register("LearnedImportanceLikelihood")
@dataclass(frozen=True)
class LearnedImportanceLikelihood(LearnedNoise):
    """The negative log-likelihood by importance sampling; the proposal follows the model.

        L(theta) = -mean [ f(x, a) - log Z^(x) ],
        Z^(x)    = (1 / M) sum_j exp f(x, a_j) / q_phi(a_j | x),        a_j ~ q_phi,
        L(phi)   =  mean log Z^(x)        with f held fixed

    (see :class:`~ebmlib.objectives.learned_noise.LearnedNoise` for the source). log Z^ is low by
    about Var(w) / (2 M Z^2), w = exp f / q_phi, which L(phi) makes small.

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
        """The losses of one batch; reports that of the model in nats, the levels of f, log Z^."""
        at, following = self.contrasted(model, parts, batch, carry, generator)
        log_z = log_z_hat(at.f[:, 1:], at.log_q[:, 1:])
        loss = -(at.f[:, 0] - log_z).mean()
        total = loss + self.reg_l2 * at.f.square().mean()
        report = at.report(loss) | {"log_z": log_z.detach().mean()}
        return Outcome({MODEL: total, PROPOSAL: following}, carry, report)
