"""Shared by the objectives whose negatives come from a generator, trained beside the model."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ebmlib import checks
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import Carry
from ebmlib.objectives.data import FromData
from ebmlib.objectives.networks import ActionGenerator
from ebmlib.objectives.noise import Contrasted
from ebmlib.objectives.scales import scales_of

GENERATOR = "generator"


@dataclass(frozen=True)
class Generated(FromData):
    """A generator's actions stand in for samples of the model.

        L(theta) = mean f(x, a^) - mean f(x, a) + l2 mean f^2,        a^ from the generator

    Attributes:
        batch_size, data_noise: see :class:`~ebmlib.objectives.data.FromData`.
        latent_dim: dimension of the generator's latent z.
        generator_dim: its hidden features.
        reg_l2: weight l2 of mean f^2, which holds the energy level.
    """

    latent_dim: int = 8
    generator_dim: int = 64
    reg_l2: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("latent_dim", self.latent_dim)
        checks.count("generator_dim", self.generator_dim)
        checks.non_negative("reg_l2", self.reg_l2)

    def generator_of(
        self, state_dim: int, action_dim: int, generator: torch.Generator
    ) -> ActionGenerator:
        """The generator before training."""
        return ActionGenerator(
            state_dim, action_dim, self.latent_dim, self.generator_dim, generator=generator
        )

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """The scales of the data (``objectives/scales.py``)."""
        return scales_of(pairs)

    def contrasted(
        self, model: EnergyModel, data: Pairs, generated: Tensor
    ) -> tuple[Tensor, Tensor, Contrasted]:
        """L(theta), grad_a f at the generated actions (n, m, d) without a graph, and f."""
        made = generated.detach().requires_grad_()
        # one pass over both kinds of points: spectral normalisation then advances once an update
        f = model(data.states[:, None], torch.cat([data.actions[:, None], made], dim=1))
        score = torch.autograd.grad(f[:, 1:].sum(), made, retain_graph=True)[0]
        loss = f[:, 1:].mean() - f[:, 0].mean()
        return loss, score, Contrasted(f, f)
