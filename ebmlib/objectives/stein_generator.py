"""A generator that learns to take Stein variational gradient steps (amortised SVGD)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.generated import GENERATOR, Generated
from ebmlib.objectives.networks import ActionGenerator
from ebmlib.objectives.scales import in_action_units, scaled_states


@register("SteinGenerator")
@dataclass(frozen=True)
class SteinGenerator(Generated):
    """Maximum likelihood whose samples come from a generator that follows Stein's direction.

        L(theta) = mean f(x, a^) - mean f(x, a) + l2 mean f^2,
        L(phi)   = -mean_i D(a^_i) . a^_i    with D held fixed,        a^_i = g(x, z_i),
        D(a) = (1 / P) sum_j [ k(a^_j, a) grad_a f(x, a^_j) + grad_j k(a^_j, a) ],
        k(a, a') = exp(-|a - a'|^2 / 2 h^2)

    (Wang and Liu, "Learning to draw samples: with application to amortized MLE for generative
    adversarial learning", 2016). P actions are made at every state. D draws them to where f is high
    and keeps them apart: of all directions in the kernel's unit ball it lowers the divergence of
    the generator to the model fastest (Liu and Wang 2016). With few P the generator is too narrow.

    An update costs batch_size (1 + particles) evaluations of the model, and as many of the
    generator.

    Attributes:
        batch_size, data_noise, latent_dim, generator_dim, reg_l2: see
            :class:`~ebmlib.objectives.generated.Generated`.
        particles: P.
        kernel_width: h, as a share of the standard deviation of all actions.
    """

    batch_size: int = 64
    particles: int = 16
    kernel_width: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("particles", self.particles, least=2)
        checks.positive("kernel_width", self.kernel_width, most=checks.LARGEST_SQUARED)

    def parts(
        self, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> nn.ModuleDict:
        """``generator``, g."""
        return nn.ModuleDict({GENERATOR: self.generator_of(state_dim, action_dim, generator)})

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The losses of one batch; reports that of the model and the levels of f."""
        data = self.noisy(batch, generator)
        g, p = cast(ActionGenerator, parts[GENERATOR]), self.particles
        x = scaled_states(carry, data.states)
        z = g.latents(len(x), p, like=x, generator=generator)
        a = g(x[:, None].expand(-1, p, -1), z)
        loss, score, at = self.contrasted(model, data, in_action_units(carry, a))
        towards = stein_direction(a.detach(), carry["action_scale"] * score, self.kernel_width)
        losses = {
            MODEL: loss + self.reg_l2 * at.f.square().mean(),
            GENERATOR: -(towards * a).sum(dim=2).mean(),
        }
        return Outcome(losses, carry, at.report(loss))


def stein_direction(a: Tensor, score: Tensor, width: float) -> Tensor:
    """D of the docstring above, (n, P, d), for P actions and scores at each of n states.

    With r = a - a_j: grad_j k(a_j, a) = r k / h^2.
    """
    r = a[:, :, None] - a[:, None]  # (n, P, P, d): [i, j] is a_i - a_j
    k = (-r.square().sum(dim=3, keepdim=True) / (2 * width**2)).exp()
    return (k * (score[:, None] + r / width**2)).mean(dim=2)
