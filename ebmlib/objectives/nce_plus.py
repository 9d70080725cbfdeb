"""NCE+: ranking NCE with noise about the label, and a label that is jittered like it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.data import FromData
from ebmlib.objectives.noise import Contrasted
from ebmlib.sampling.proposals import spread_of, widths_of


@register("NCEPlus")
@dataclass(frozen=True)
class NCEPlus(FromData):
    """Find the jittered label a_0 among m draws about the label a.

        L(theta) = -mean [ g_0 - log sum_{j=0}^{m} exp g_j ],    g_j = f(x, a_j) - log q(a_j | a),
        a_0 = a + b w_k xi,     a_j = a + w_k xi,     q(a' | a) = (1 / K) sum_k N(a'; a, w_k^2 I),

    with a width w_k drawn anew each time, xi ~ N(0, I) (Gustafsson et al., "How to train your
    energy-based model for regression", 2020). As m grows this becomes the likelihood of the
    jittered labels: their variance is larger by b^2 mean w_k^2. With few draws there is a
    further bias, since the noise depends on the label: ranking NCE's proof needs a q that depends
    on x alone.

    An update costs batch_size (1 + negatives) evaluations of the network, forward and backward.

    Attributes:
        batch_size, data_noise: see :class:`~ebmlib.objectives.data.FromData`.
        negatives: m.
        widths: w_k, as shares of the standard deviation of all actions.
        jitter: b, as a share of the width.
        reg_l2: weight of mean f^2, which holds the energy level.
    """

    negatives: int = 64
    widths: tuple[float, ...] = (0.1, 0.8)
    jitter: float = 0.025
    reg_l2: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("negatives", self.negatives)
        object.__setattr__(self, "widths", widths_of(self.widths))
        checks.non_negative("jitter", self.jitter, most=checks.LARGEST_SQUARED)
        checks.non_negative("reg_l2", self.reg_l2)

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """Key ``widths`` (K,), in the units of the action."""
        spread = spread_of(pairs.actions)
        widths = torch.tensor(self.widths, dtype=spread.dtype, device=spread.device)
        return {"widths": spread * widths}

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
        states, label, _ = self.noisy(batch, generator)
        widths, shape = carry["widths"], (len(label), 1 + self.negatives)
        k = torch.randint(len(widths), shape, generator=generator, device=label.device)
        xi = label.new_empty((*shape, label.shape[1])).normal_(generator=generator)
        away = widths[k][..., None] * xi
        away = torch.cat([self.jitter * away[:, :1], away[:, 1:]], dim=1)
        # one pass over both kinds of points: spectral normalisation then advances once an update
        at = Contrasted(model(states[:, None], label[:, None] + away), log_q(away, widths))
        g = at.f - at.log_q
        loss = -(g[:, 0] - g.logsumexp(dim=1)).mean()
        total = loss + self.reg_l2 * at.f.square().mean()
        return Outcome({MODEL: total}, carry, at.report(loss))


def log_q(away: Tensor, widths: Tensor) -> Tensor:
    """Log of the equal mixture of N(0, w_k^2 I) at ``away`` (..., d), shape (...)."""
    d = away.shape[-1]
    each = -away.square().sum(dim=-1, keepdim=True) / (2 * widths.square()) - d * widths.log()
    return each.logsumexp(dim=-1) - math.log(len(widths)) - d / 2 * math.log(2 * math.pi)
