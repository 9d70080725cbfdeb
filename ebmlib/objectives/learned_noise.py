"""Shared by the objectives whose proposal is a trained mixture density network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives import mixture
from ebmlib.objectives.base import Carry
from ebmlib.objectives.data import FromData
from ebmlib.objectives.importance_likelihood import log_z_hat
from ebmlib.objectives.mixture import PROPOSAL, MixtureDensity
from ebmlib.objectives.noise import Contrasted
from ebmlib.objectives.scales import scales_of


@dataclass(frozen=True)
class LearnedNoise(FromData):
    """Contrast with draws from a mixture density network q_phi that is fitted to the model.

        L(phi) = mean log [ (1 / M) sum_j exp f(x, a_j) / q_phi(a_j | x) ],        a_j ~ q_phi

    with f and the draws held fixed: as M grows its gradient is that of the divergence
    KL(p_theta || q_phi) of the model to the proposal (Gustafsson, Danelljan and Schoen, "Learning
    proposals for practical energy-based regression", 2022). In that paper the network
    reads features of the model; here it reads the state.

    Attributes:
        batch_size, data_noise: see :class:`~ebmlib.objectives.data.FromData`.
        negatives: M, draws for every demonstrated action.
        components: Gaussians of the mixture.
        proposal_dim: hidden features of the network.
        reg_l2: weight of mean f^2, which holds the energy level.
    """

    negatives: int = 64
    components: int = 4
    proposal_dim: int = 64
    reg_l2: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("negatives", self.negatives)
        checks.count("components", self.components)
        checks.count("proposal_dim", self.proposal_dim)
        checks.non_negative("reg_l2", self.reg_l2)

    def parts(
        self, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> nn.ModuleDict:
        """``proposal``, a :class:`~ebmlib.objectives.mixture.MixtureDensity`."""
        network = MixtureDensity(
            state_dim, action_dim, self.components, self.proposal_dim, generator=generator
        )
        return nn.ModuleDict({PROPOSAL: network})

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """The scales of the data (``objectives/scales.py``)."""
        return scales_of(pairs)

    def contrasted(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        generator: torch.Generator,
    ) -> tuple[Contrasted, Tensor]:
        """Values f and log q (without a graph) at all 1 + M actions of each state; and L(phi)."""
        states, actions, _ = self.noisy(batch, generator)
        q = parts[PROPOSAL](carry, states)
        noise = mixture.sample(carry, q, self.negatives, generator=generator)
        actions = torch.cat([actions[:, None], noise], dim=1)
        log_q = mixture.log_prob(carry, q, actions)
        # one pass over both kinds of points: spectral normalisation then advances once an update
        at = Contrasted(model(states[:, None], actions), log_q.detach())
        return at, log_z_hat(at.f.detach()[:, 1:], log_q[:, 1:]).mean()
