"""Noise contrastive estimation with a learned log Z(x) (section 2.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.models.initial import linear
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.noise import NoiseContrast

LOG_Z = "log_z"


class LogNormaliser(nn.Module):
    """c(x), an estimate of log Z(x): one hidden layer, 0 before training.

    Args:
        state_dim: dimension of x.
        width: hidden features; 0 for a constant that does not depend on x.
        generator: draws the initial weights.
    """

    def __init__(self, state_dim: int, width: int, *, generator: torch.Generator) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.zeros((), dtype=torch.float32))
        self.hidden = linear(state_dim, width, generator) if width else None
        self.output = linear(width, 1, generator, bias=False) if width else None
        if self.output is not None:
            nn.init.zeros_(self.output.weight)

    def forward(self, x: Tensor) -> Tensor:
        """c(x), shape (n,), for states (n, d_x)."""
        if self.hidden is None or self.output is None:
            return self.constant.expand(len(x))
        features = nn.functional.silu(self.hidden(x))
        return self.output(features).squeeze(-1) + self.constant


@register("NCE")
@dataclass(frozen=True)
class NCE(NoiseContrast):
    """A classifier of demonstrated actions against k draws of q each, with log Z(x) learned.

        L(theta, c) = -mean log sigma(g(a)) - sum_{j=1}^{k} mean log sigma(-g(a_j)),
        g(a) = f(x, a) - c(x) - log q(a | x) - log k,

    (Gutmann and Hyvarinen, "Noise-contrastive estimation: a new estimation principle for
    unnormalized statistical models", 2010). At the optimum f - c is the log density, so that the
    trained part ``log_z`` is log Z(x): the density is normalised without an integral.

    An update costs batch_size (1 + negatives) evaluations of the network, forward and backward.

    Attributes:
        proposal, negatives, batch_size, data_noise, reg_l2, state_noise, noise_unit,
            noise_across: see :class:`~ebmlib.objectives.noise.NoiseContrast`; ``negatives`` is k.
        log_z_dim: hidden features of c(x); 0 for one constant for all states.
    """

    log_z_dim: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("log_z_dim", self.log_z_dim, least=0)

    def parts(
        self, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> nn.ModuleDict:
        """``log_z``, a :class:`LogNormaliser`."""
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
        k = at.log_q.new_full((), self.negatives).log()
        g = at.f - c[:, None] - at.log_q - k
        log_sigma = nn.functional.logsigmoid
        loss = -(log_sigma(g[:, 0]) + log_sigma(-g[:, 1:]).sum(dim=1)).mean()
        total = loss + self.reg_l2 * at.f.square().mean()
        report = at.report(loss) | {"log_z": c.detach().mean()}
        return Outcome({MODEL: total, LOG_Z: loss}, carry, report)
