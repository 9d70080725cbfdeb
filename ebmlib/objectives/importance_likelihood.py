"""Maximum likelihood by importance sampling with a fixed proposal (section 2.3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.noise import NoiseContrast


def log_z_hat(f: Tensor, log_q: Tensor) -> Tensor:
    """Log of the importance-sampled partition function, shape (n,).

        Z^ = (1 / M) sum_j exp f(a_j) / q(a_j),        a_j ~ q

    Z^ has no bias; log Z^ is low by about Var(w) / (2 M Z^2), w = exp f / q.

    Args:
        f: f(x, a_j), (n, M).
        log_q: log q(a_j | x), (n, M).
    """
    return (f - log_q).logsumexp(dim=1) - math.log(f.shape[1])


@register("ImportanceLikelihood")
@dataclass(frozen=True)
class ImportanceLikelihood(NoiseContrast):
    """The negative log-likelihood, with the partition function by importance sampling.

        L(theta) = -mean [ f(x, a) - log Z^(x) ],    Z^(x) = (1/M) sum_j exp f(x, a_j) / q(a_j | x)

    (as in Gustafsson et al., "How to train your energy-based model for regression", 2020). The
    gradient has a bias that falls like 1 / M, and it is larger the less q is like the model.
    Unlike ranking NCE the sum leaves out the demonstrated action, so that f can rise without bound
    where draws of q never fall.

    An update costs batch_size (1 + negatives) evaluations of the network, forward and backward.

    Attributes:
        proposal, negatives, batch_size, data_noise, reg_l2, state_noise, noise_unit,
            noise_across: see :class:`~ebmlib.objectives.noise.NoiseContrast`; ``negatives`` is M.
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
        """The loss of one batch in nats; reports it, the levels of f, and log Z^."""
        batch = self.noisy(batch, carry, generator)
        at = self.contrasted(model, batch, carry, generator)
        log_z = log_z_hat(at.f[:, 1:], at.log_q[:, 1:])
        loss = -(at.f[:, 0] - log_z).mean()
        total = loss + self.reg_l2 * at.f.square().mean()
        report = at.report(loss) | {"log_z": log_z.detach().mean()}
        return Outcome({MODEL: total}, carry, report)
