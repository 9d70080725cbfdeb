"""InfoNCE: the contrast of implicit behavioural cloning, without the proposal's density."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.noise import NoiseContrast
from ebmlib.sampling.proposals import Proposal, UniformProposal


@register("InfoNCE")
@dataclass(frozen=True)
class InfoNCE(NoiseContrast):
    """Ranking NCE without -log q.

        L(theta) = -mean [ f(x, a_0) - log sum_{j=0}^{m} exp f(x, a_j) ],        a_1 ... a_m ~ q

    (van den Oord et al., "Representation learning with contrastive predictive coding", 2018;
    Florence et al., "Implicit behavioral cloning", 2021). At the optimum exp f is proportional to
    p / q, not to p: it is the density only where q is uniform, the default, as in implicit
    behavioural cloning. With q = N(0, r^2) and data N(mu, s^2), s < r, exp f has the mean
    mu r^2 / (r^2 - s^2) and the variance s^2 r^2 / (r^2 - s^2).

    An update costs batch_size (1 + negatives) evaluations of the network, forward and backward.

    Attributes:
        proposal, negatives, batch_size, data_noise, reg_l2, state_noise, noise_unit,
            noise_across: see :class:`~ebmlib.objectives.noise.NoiseContrast`.
    """

    proposal: Proposal = field(default_factory=UniformProposal)

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
        loss = -(at.f[:, 0] - at.f.logsumexp(dim=1)).mean()
        total = loss + self.reg_l2 * at.f.square().mean()
        return Outcome({MODEL: total}, carry, at.report(loss))
