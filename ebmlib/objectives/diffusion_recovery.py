"""Diffusion recovery likelihood: conditionals of less noisy given more noisy actions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import InputError
from ebmlib.models.energy import EnergyModel, evaluating
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.data import FromData
from ebmlib.objectives.levels import LEVELS, LevelShift
from ebmlib.objectives.noise import Contrasted
from ebmlib.objectives.scales import scales_of
from ebmlib.sampling.chain import run_chain
from ebmlib.sampling.sgld import SGLD
from ebmlib.sampling.target import ValueTarget


@register("DiffusionRecovery")
@dataclass(frozen=True)
class DiffusionRecovery(FromData):
    """Maximum likelihood of an action a_t, given the same action with more noise.

        a_0 = a,    a_{t+1} = a_t + sigma_t xi,
        p_t(a | a_{t+1}) = exp( f_t(x, a) - |a_{t+1} - a|^2 / 2 sigma_t^2 ) / Z,
        L(theta) = mean [ (sigma_0 / sigma_t) (f_t(x, a^) - f_t(x, a_t)) + l2 f_t^2 ]

    with a level t drawn for every pair, and a^ the end of K Langevin steps on p_t that begin at
    a_{t+1} (Gao et al., "Learning energy-based models by diffusion recovery likelihood", 2021, with
    noise that only adds up; for images it has 12 levels from 0.05 to 2). Near a_{t+1} the
    conditional is almost a Gaussian, so that short chains do sample it, and its optimum is the
    density of a_t for every sigma_t. f_0 is the model, the density of the actions themselves; the
    levels above it are f_t = f_0 + t h, see ``objectives/levels.py``, of use for drawing by steps
    from the largest level down.

    An update costs batch_size (K + 2) evaluations of two networks.

    Attributes:
        batch_size, data_noise: see :class:`~ebmlib.objectives.data.FromData`.
        smallest, largest: sigma of the first and of the last level, as shares of the standard
            deviation of all actions; geometric between them.
        levels: how many.
        recovery_steps: K.
        recovery_alpha: noise level of the chain, as a share of sigma_t.
        level_dim: width of the network h.
        reg_l2: weight l2 of mean f^2, which holds the energy level.
    """

    smallest: float = 0.3
    largest: float = 2.0
    levels: int = 4
    recovery_steps: int = 30
    recovery_alpha: float = 0.4
    level_dim: int = 64
    reg_l2: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.positive("smallest", self.smallest, most=checks.LARGEST_SQUARED)
        checks.positive("largest", self.largest, most=checks.LARGEST_SQUARED)
        checks.count("levels", self.levels, least=2)
        checks.count("recovery_steps", self.recovery_steps)
        checks.positive("recovery_alpha", self.recovery_alpha, most=checks.LARGEST_SQUARED)
        checks.count("level_dim", self.level_dim)
        checks.non_negative("reg_l2", self.reg_l2)
        if self.largest <= self.smallest:
            raise InputError(
                f"largest must be above smallest ({self.smallest:g}), got {self.largest!r}."
            )

    @property
    def chain_steps(self) -> int:
        """Sampler updates that one batch costs."""
        return self.batch_size * self.recovery_steps

    def parts(
        self, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> nn.ModuleDict:
        """``levels``, the network of t h(x, t, a)."""
        shift = LevelShift(state_dim, action_dim, self.level_dim, generator=generator)
        return nn.ModuleDict({LEVELS: shift})

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """The scales of the data (``objectives/scales.py``)."""
        return scales_of(pairs)

    def sigmas(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """The noise sigma_t of every level, and the noise gathered by a_t; (levels,) each.

        As shares of the standard deviation of all actions.
        """
        t = torch.arange(self.levels, dtype=like.dtype, device=like.device) / (self.levels - 1)
        step = self.smallest * (self.largest / self.smallest) ** t
        gathered = (step.square().cumsum(dim=0) - step.square()).clamp(min=0).sqrt()
        gathered[0] = 0.0  # exactly
        return step, gathered

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The losses of one batch; reports it and the levels of f_t."""
        states, actions, _ = self.noisy(batch, generator)
        n, shift = len(states), parts[LEVELS]
        level = torch.randint(self.levels, (n,), generator=generator, device=states.device)
        t = level.to(actions) / (self.levels - 1)
        sigma, gathered = (carry["action_scale"] * s[level] for s in self.sigmas(actions))
        xi = actions.new_empty((2, *actions.shape)).normal_(generator=generator)
        a_t = actions + gathered[:, None] * xi[0]
        above = a_t + sigma[:, None] * xi[1]
        recovered = self.recover(model, shift, carry, states, above, t, sigma, generator)
        # one pass over both kinds of points: spectral normalisation then advances once an update
        f = model(states[:, None], torch.stack([a_t, recovered], dim=1))
        added = [shift(carry, states, a, t) for a in (a_t, recovered)]
        f = f + torch.stack(added, dim=1)
        loss = (self.smallest * carry["action_scale"] / sigma * (f[:, 1] - f[:, 0])).mean()
        total = loss + self.reg_l2 * f.square().mean()
        return Outcome({MODEL: total, LEVELS: total}, carry, Contrasted(f, f).report(loss))

    def recover(
        self,
        model: EnergyModel,
        shift: nn.Module,
        carry: Carry,
        states: Tensor,
        above: Tensor,
        t: Tensor,
        sigma: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """Draws (n, d) from p_t(a | ``above``), by a chain on u = (a - above) / sigma_t."""

        def log_density(u: Tensor) -> Tensor:
            a = above + sigma[:, None] * u
            return model(states, a) + shift(carry, states, a, t) - u.square().sum(dim=1) / 2

        chain = SGLD(alpha=self.recovery_alpha, steps=self.recovery_steps)
        with evaluating(model):  # the power iteration belongs to the update
            u = run_chain(
                chain, ValueTarget(log_density), torch.zeros_like(above), generator=generator
            ).actions
        return above + sigma[:, None] * u
