"""The learned Stein discrepancy: a critic finds where Stein's identity fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome, PartOptimizer
from ebmlib.objectives.data import FromData, report_of
from ebmlib.objectives.networks import Perceptron
from ebmlib.objectives.scales import scaled_actions, scaled_states, scales_of
from ebmlib.objectives.scores import demand_smooth, scored

CRITIC = "critic"
_BETAS = (0.0, 0.999)  # of Adam, for model and critic (Grathwohl et al.)


@register("LearnedSteinDiscrepancy")
@dataclass(frozen=True)
class LearnedSteinDiscrepancy(FromData):
    """The largest violation of Stein's identity that a critic c finds.

        S(theta, phi) = mean [ grad_a f(x, a) . c(x, a) + tr grad_a c(x, a) ],
        L(phi) = -S + l mean |c|^2,        L(theta) = S

    (Grathwohl et al., "Learning the Stein discrepancy for training and evaluating energy-based
    models without sampling", 2020). S is 0 for every c if grad_a f is the score of the data. The
    best critic is (grad_a f - score of the data) / 2 l, so that S becomes the Fisher divergence
    divided by 2 l, without a second derivative of f. Everything is in scaled actions. The
    model moves at every ``critic_steps``-th update; between those only the critic does.

    An update costs batch_size evaluations of the model and of the critic, and d backward passes
    through the critic.

    Attributes:
        batch_size, data_noise: see :class:`~ebmlib.objectives.data.FromData`.
        critic_steps: updates of the critic for one of the model.
        penalty: l.
        critic_dim: hidden features of the critic.
    """

    critic_steps: int = 5
    penalty: float = 10.0
    critic_dim: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("critic_steps", self.critic_steps)
        checks.positive("penalty", self.penalty, most=checks.LARGEST_SQUARED)
        checks.count("critic_dim", self.critic_dim)

    def check(self, model: EnergyModel) -> None:
        """Refuse a score that is not differentiable."""
        demand_smooth(self, model)

    def parts(
        self, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> nn.ModuleDict:
        """``critic``, from scaled states and actions to vectors like actions."""
        critic = Perceptron(
            state_dim + action_dim, action_dim, self.critic_dim, generator=generator
        )
        return nn.ModuleDict({CRITIC: critic})

    def part_optimizers(self) -> Mapping[str, PartOptimizer]:
        """Adam without momentum, for model and critic."""
        return {name: PartOptimizer(betas=_BETAS) for name in (MODEL, CRITIC)}

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """The scales of the data, and ``turn``, which counts updates."""
        turn = torch.zeros((), dtype=torch.int64, device=pairs.actions.device)
        return {**scales_of(pairs), "turn": turn}

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The losses of one batch; reports S and the level of f."""
        states, actions, _ = self.noisy(batch, generator)
        at = scored(model, states, actions)
        s = carry["action_scale"] * at.score  # of the scaled action
        a = scaled_actions(carry, actions).requires_grad_()
        c = parts[CRITIC](scaled_states(carry, states), a)
        trace = torch.stack([_derivative(c, a, i) for i in range(a.shape[1])]).sum(dim=0)
        discrepancy = ((s * c.detach()).sum(dim=1) + trace.detach()).mean()
        violation = ((s.detach() * c).sum(dim=1) + trace).mean()
        critic = -violation + self.penalty * c.square().sum(dim=1).mean()
        turn = carry["turn"] + 1
        moves = int(turn) % self.critic_steps == 0
        losses = {MODEL: discrepancy if moves else violation, CRITIC: critic}
        report = report_of(discrepancy, at.f)
        return Outcome(losses, carry | {"turn": turn}, report)


def _derivative(c: Tensor, a: Tensor, i: int) -> Tensor:
    """The derivative d c_i / d a_i, shape (n,), with its graph."""
    return torch.autograd.grad(c[:, i].sum(), a, create_graph=True)[0][:, i]
