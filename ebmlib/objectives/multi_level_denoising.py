"""Denoising score matching at several noise levels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import InputError
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.data import FromData, report_of
from ebmlib.objectives.levels import LEVELS, LevelShift
from ebmlib.objectives.scales import scales_of
from ebmlib.objectives.scores import demand_smooth


@register("MultiLevelDenoising")
@dataclass(frozen=True)
class MultiLevelDenoising(FromData):
    """Denoising at L noise levels, each with a density of its own.

        L(theta) = mean |sigma_t grad_a f_t(x, a + sigma_t xi) + xi|^2 / 2,        xi ~ N(0, I)

    with a level drawn for every pair, sigma_t in geometric progression (Song and Ermon,
    "Generative modeling by estimating gradients of the data distribution", 2019). f_0 is the
    model: it is trained at the smallest level and, since f_t = f_0 + t h, helped by the others
    where there are few data. See ``objectives/levels.py``.

    An update costs batch_size evaluations of two networks and a backward pass through their
    gradients.

    Attributes:
        batch_size, data_noise: see :class:`~ebmlib.objectives.data.FromData`.
        smallest, largest: sigma_0 and sigma_1, as shares of the standard deviation of all actions.
        levels: L.
        level_dim: width of the network h.
    """

    smallest: float = 0.1
    largest: float = 1.0
    levels: int = 6
    level_dim: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("smallest", self.smallest, most=checks.LARGEST_SQUARED)
        checks.positive("largest", self.largest, most=checks.LARGEST_SQUARED)
        checks.count("levels", self.levels, least=2)
        checks.count("level_dim", self.level_dim)
        if self.largest <= self.smallest:
            raise InputError(
                f"largest must be above smallest ({self.smallest:g}), got {self.largest!r}."
            )

    def check(self, model: EnergyModel) -> None:
        """Refuse a score that is not differentiable."""
        demand_smooth(self, model)

    def parts(
        self, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> nn.ModuleDict:
        """``levels``, the network of t h(x, t, a)."""
        shift = LevelShift(state_dim, action_dim, self.level_dim, generator=generator)
        return nn.ModuleDict({LEVELS: shift})

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """The scales of the data (``objectives/scales.py``)."""
        return scales_of(pairs)

    def sigma(self, carry: Carry, t: Tensor) -> Tensor:
        """The noise level sigma_t in the units of the action."""
        ratio = self.largest / self.smallest
        return carry["action_scale"] * self.smallest * ratio**t

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The loss of one batch; reports it and the level of f."""
        states, actions, _ = self.noisy(batch, generator)
        drawn = torch.randint(
            self.levels, (len(states),), generator=generator, device=states.device
        )
        t = drawn.to(actions) / (self.levels - 1)
        sigma, xi = self.sigma(carry, t), torch.empty_like(actions).normal_(generator=generator)
        a = (actions + sigma[:, None] * xi).requires_grad_()
        f = model(states, a)
        f_t = f + parts[LEVELS](carry, states, a, t)
        score = torch.autograd.grad(f_t.sum(), a, create_graph=True)[0]
        loss = (sigma[:, None] * score + xi).square().sum(dim=1).mean() / 2
        return Outcome({MODEL: loss, LEVELS: loss}, carry, report_of(loss, f))
