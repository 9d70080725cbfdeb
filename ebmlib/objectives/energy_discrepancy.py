"""Energy discrepancy: the data in contrast with the same data after a little diffusion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.data import FromData
from ebmlib.objectives.noise import Contrasted
from ebmlib.sampling.proposals import spread_of


@register("EnergyDiscrepancy")
@dataclass(frozen=True)
class EnergyDiscrepancy(FromData):
    """Contrast f at the data with f where diffusion away and back leads.

        L(theta) = mean log [ w / M + (1 / M) sum_j exp( f(x, a_j) - f(x, a) ) ],
        a_t = a + sqrt(t) xi,        a_j = a_t + sqrt(t) xi_j,        xi ~ N(0, I)

    (Schroeder et al., "Energy discrepancies: a score-independent loss for energy-based models",
    2023). No density but the data's is needed, nor a score. For M to infinity the optimum is the
    density at every t: the loss tends to t times that of score matching as t goes to 0, and to the
    likelihood as t grows. With few draws it is biased, and w, which keeps a single bad draw from
    deciding, has a bias too: both fall like 1 / M.

    An update costs batch_size (1 + negatives) evaluations of the network, forward and backward.

    Attributes:
        batch_size, data_noise: see :class:`~ebmlib.objectives.data.FromData`.
        negatives: M.
        reach: sqrt(t), as a share of the standard deviation of all actions.
        stabiliser: w.
        reg_l2: weight of mean f^2, which holds the energy level.
    """

    negatives: int = 16
    reach: float = 0.5
    stabiliser: float = 1.0
    reg_l2: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("negatives", self.negatives)
        checks.positive("reach", self.reach, most=checks.LARGEST_SQUARED)
        checks.non_negative("stabiliser", self.stabiliser, most=checks.LARGEST_SQUARED)
        checks.non_negative("reg_l2", self.reg_l2)

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """Key ``root_t``, sqrt(t) in the units of the action."""
        return {"root_t": self.reach * spread_of(pairs.actions)}

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
        states, a, _ = self.noisy(batch, generator)
        n, d = a.shape
        xi = a.new_empty((n, 1 + self.negatives, d)).normal_(generator=generator)
        a_t = a[:, None] + carry["root_t"] * xi[:, :1]
        a_j = a_t + carry["root_t"] * xi[:, 1:]
        # one pass over both kinds of points: spectral normalisation then advances once an update
        f = model(states[:, None], torch.cat([a[:, None], a_j], dim=1))
        away = f[:, 1:] - f[:, :1]
        if self.stabiliser > 0:
            log_w = torch.full_like(away[:, :1], math.log(self.stabiliser))
            away = torch.cat([log_w, away], dim=1)
        loss = (away.logsumexp(dim=1) - math.log(self.negatives)).mean()
        total = loss + self.reg_l2 * f.square().mean()
        return Outcome({MODEL: total}, carry, Contrasted(f, f).report(loss))
