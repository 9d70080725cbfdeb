"""f-EBM: training by any f-divergence, with a critic for its variational form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.networks import Perceptron
from ebmlib.objectives.noise import NoiseContrast
from ebmlib.objectives.scales import scaled_actions, scaled_states, scales_of

CRITIC = "critic"


class Divergence(NamedTuple):
    """phi' and phi* of phi', as functions of h = log r, for D = E_model phi(data / model).

    Attributes:
        on_data: phi'(r).
        on_model: r phi'(r) - phi(r).
    """

    on_data: Callable[[Tensor], Tensor]
    on_model: Callable[[Tensor], Tensor]


_softplus = nn.functional.softplus
_LOG_2 = 0.6931471805599453
DIVERGENCES = {
    # phi = r log r
    "kl": Divergence(lambda h: h + 1, torch.exp),
    # phi = -log r
    "reverse-kl": Divergence(lambda h: -(-h).exp(), lambda h: h - 1),
    # phi = r log r - (1 + r) log((1 + r) / 2)
    "jensen-shannon": Divergence(lambda h: _LOG_2 - _softplus(-h), lambda h: _softplus(h) - _LOG_2),
    # phi = (sqrt r - 1)^2
    "squared-hellinger": Divergence(lambda h: 1 - (-h / 2).exp(), lambda h: (h / 2).exp() - 1),
}


@register("FDivergence")
@dataclass(frozen=True)
class FDivergence(NoiseContrast):
    """The divergence E_p_theta phi(p / p_theta) of the data to the model, as a critic bounds it.

        V(theta, omega) = E_data [ phi'(e^H) ] - E_p_theta [ phi*(phi'(e^H)) ],    H = H_omega(x, a)
        L(omega) = -V,        L(theta) = V,
        grad_theta V = -Cov_p_theta( grad_theta f, phi*(phi'(e^H)) )

    (Yu et al., "Training deep energy-based models with f-divergence minimization", 2020). At the
    best critic H = log(p / p_theta), V is the divergence, and with phi = r log r its gradient is
    that of the likelihood. The paper draws from the model by chains. Actions have few dimensions
    here, so expectations over the model are over M draws of the proposal with weights exp f / q,
    normalised at every state; their bias falls like 1 / M.

    An update costs batch_size (1 + negatives) evaluations of the model and of the critic.

    Attributes:
        proposal, negatives, batch_size, data_noise, reg_l2, state_noise, noise_unit,
            noise_across: see :class:`~ebmlib.objectives.noise.NoiseContrast`; ``negatives`` is M.
        divergence: ``"kl"``, ``"reverse-kl"``, ``"jensen-shannon"`` or ``"squared-hellinger"``.
        critic_dim: hidden features of H.
        critic_steps: updates of the critic for one of the model.
    """

    divergence: str = "jensen-shannon"
    critic_dim: int = 64
    critic_steps: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.one_of("divergence", self.divergence, DIVERGENCES)
        checks.count("critic_dim", self.critic_dim)
        checks.count("critic_steps", self.critic_steps)

    def parts(
        self, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> nn.ModuleDict:
        """``critic``, H of scaled states and actions."""
        critic = Perceptron(state_dim + action_dim, 1, self.critic_dim, generator=generator)
        return nn.ModuleDict({CRITIC: critic})

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """The fitted proposal, the scales of data and noise, and ``turn``, which counts updates."""
        turn = torch.zeros((), dtype=torch.int64, device=pairs.actions.device)
        carry = super().begin(pairs, generator=generator)
        return {**carry, **scales_of(pairs), "turn": turn}

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The losses of one batch; reports V and the levels of f."""
        batch = self.noisy(batch, carry, generator)
        turn = carry["turn"] + 1
        at, actions = self.evaluated(model, batch, carry, generator)
        x = scaled_states(carry, batch.states)[:, None].expand(*actions.shape[:2], -1)
        h = parts[CRITIC](x, scaled_actions(carry, actions)).squeeze(-1)
        phi = DIVERGENCES[self.divergence]
        f = at.f[:, 1:]
        w = (f - at.log_q[:, 1:]).detach().softmax(dim=1)
        on_model = phi.on_model(h[:, 1:])
        expected = (w * on_model).sum(dim=1)
        bound = (phi.on_data(h[:, 0]) - expected).mean()  # f is not in its graph
        away = (on_model - expected[:, None]).detach()
        loss = -(w * away * f).sum(dim=1).mean()  # its gradient is that of V, its value is not
        total = loss + self.reg_l2 * at.f.square().mean()
        moves = int(turn) % self.critic_steps == 0
        losses = {MODEL: total if moves else -bound, CRITIC: -bound}
        return Outcome(losses, carry | {"turn": turn}, at.report(bound))
