"""A self-normalised likelihood: log Z(x) by a network, in a bound that is linear in Z."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.importance_likelihood import log_z_hat
from ebmlib.objectives.nce import LOG_Z, LogNormaliser
from ebmlib.objectives.noise import NoiseContrast


@register("SelfNormalisedLikelihood")
@dataclass(frozen=True)
class SelfNormalisedLikelihood(NoiseContrast):
    """The negative log-likelihood, bounded from above by a learned c(x) in place of log Z(x).

        L(theta, c) = -mean [ f(x, a) - c(x) ] + mean [ Z^(x) exp(-c(x)) ] - 1
                    >= -mean [ f(x, a) - log Z(x) ]        in expectation,

    with equality where c = log Z, since log Z <= c + Z exp(-c) - 1 (Senetaire, Jeha, Mattei and
    Frellsen, "Learning energy-based models by self-normalising the likelihood", 2025). Z^ is the
    importance-sampled partition function. It enters linearly and has no bias, so neither has the
    gradient, whatever the number of draws: at the optimum f - c is the log density, and c, the
    trained part ``log_z``, is log Z(x).

    An update costs batch_size (1 + negatives) evaluations of the network, forward and backward.

    Attributes:
        proposal, negatives, batch_size, data_noise, reg_l2, state_noise, noise_unit,
            noise_across: see :class:`~ebmlib.objectives.noise.NoiseContrast`.
        log_z_dim: hidden features of c(x); 0 for one constant for all states.
    """

    log_z_dim: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("log_z_dim", self.log_z_dim, least=0)

    def parts(
        self, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> nn.ModuleDict:
        """``log_z``, a :class:`~ebmlib.objectives.nce.LogNormaliser`."""
        return nn.ModuleDict({LOG_Z: LogNormaliser(state_dim, self.log_z_dim, generator=generator)})

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The loss of one batch, which moves f and c alike; reports it, f and c."""
        batch = self.noisy(batch, carry, generator)
        at = self.contrasted(model, batch, carry, generator)
        c = parts[LOG_Z](batch.states)
        share = (log_z_hat(at.f[:, 1:], at.log_q[:, 1:]) - c).exp()
        loss = (-(at.f[:, 0] - c) + share - 1).mean()
        total = loss + self.reg_l2 * at.f.square().mean()
        report = at.report(loss) | {"log_z": c.detach().mean()}
        return Outcome({MODEL: total, LOG_Z: loss}, carry, report)
