"""Shared by the objectives that contrast demonstrated actions with draws from a proposal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from ebmlib import checks
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import Carry, WithoutParts
from ebmlib.objectives.data import with_noise
from ebmlib.sampling.proposals import GaussianProposal, Proposal

NOISE_UNITS = ("data", "spread")
_STATE_UNIT, _ACTION_UNIT = "state_unit", "action_unit"


class Contrasted(NamedTuple):
    """Values f and log q at the demonstrated action and at the noise, for n states.

    Attributes:
        f: f(x, a), (n, 1 + m), the demonstrated action first.
        log_q: log q(a | x), of the same shape.
    """

    f: Tensor
    log_q: Tensor

    def report(self, loss: Tensor) -> dict[str, Tensor]:
        """Scalars for the history: the loss, the levels of f, and its largest magnitude."""
        f = self.f.detach()
        return {
            "loss": loss.detach(),
            "f_data": f[:, 0].mean(),
            "f_noise": f[:, 1:].mean(),
            "f_magnitude": f.abs().max(),
        }


@dataclass(frozen=True)
class NoiseContrast(WithoutParts):
    """Contrast with draws from a proposal whose density is known; no chains.

    Attributes:
        proposal: q; its fit to the data is carried along.
        negatives: draws for every demonstrated action.
        batch_size: demonstrated pairs of an update.
        data_noise: standard deviation of Gaussian noise added to the demonstrated actions of each
            batch, in the action's units.
        reg_l2: weight of mean f^2, which holds the energy level.
        state_noise: standard deviation of Gaussian noise added to the states of each batch.
        noise_unit: ``"data"``: both noises are in the units of states and actions; ``"spread"``:
            in units of the standard deviation of each dimension of the states, and of the root
            mean square of the actions' standard deviations (the scales of
            :meth:`~ebmlib.models.energy.EnergyModel.fit_standardisation`).
        noise_across: standard deviation of the noise on actions across the action that was
            demonstrated, ``data_noise`` being that along it, since people vary in speed more than
            in direction; None for the same in all directions.

    With fresh noise on states and actions at every update, the density that is learned is that of
    the data smoothed by the kernel of the noise (Bishop, "Training with noise is equivalent to
    Tikhonov regularization", 1995): an unlimited network would learn a kernel density of the same
    widths.
    """

    proposal: Proposal = field(default_factory=GaussianProposal)
    negatives: int = 64
    batch_size: int = 512
    data_noise: float = 0.0
    reg_l2: float = 0.0
    state_noise: float = 0.0
    noise_unit: str = "data"
    noise_across: float | None = None

    def __post_init__(self) -> None:
        checks.instance("proposal", self.proposal, Proposal, "GaussianProposal()")
        checks.count("negatives", self.negatives)
        checks.count("batch_size", self.batch_size)
        checks.non_negative("data_noise", self.data_noise, most=checks.LARGEST_SQUARED)
        checks.non_negative("reg_l2", self.reg_l2)
        checks.non_negative("state_noise", self.state_noise, most=checks.LARGEST_SQUARED)
        checks.one_of("noise_unit", self.noise_unit, NOISE_UNITS)
        if self.noise_across is not None:
            checks.non_negative("noise_across", self.noise_across, most=checks.LARGEST_SQUARED)

    @property
    def chain_steps(self) -> int:
        """0: there are no chains."""
        return 0

    def begin(self, pairs: Pairs, *, generator: torch.Generator) -> Carry:
        """The proposal as it was fitted to the data, and the units of the noise."""
        carry = dict(self.proposal.fit(pairs))
        if self.noise_unit == "spread":
            of_states = pairs.states.var(dim=0, correction=0).sqrt()
            of_actions = pairs.actions.var(dim=0, correction=0).mean().sqrt()
            carry |= {_STATE_UNIT: of_states, _ACTION_UNIT: of_actions}
        return carry

    def noisy(self, batch: Pairs, carry: Carry, generator: torch.Generator) -> Pairs:
        """The batch with noise on its actions and states; at a noise of 0 nothing is drawn."""
        in_spreads = self.noise_unit == "spread"
        of_actions = carry[_ACTION_UNIT] if in_spreads else 1.0
        batch = with_noise(batch, self.data_noise, generator, of_actions, self.noise_across)
        if self.state_noise == 0:
            return batch
        xi = torch.empty_like(batch.states).normal_(generator=generator)
        unit = carry[_STATE_UNIT] if in_spreads else 1.0
        return batch._replace(states=batch.states + self.state_noise * unit * xi)

    def contrasted(
        self, model: EnergyModel, batch: Pairs, carry: Carry, generator: torch.Generator
    ) -> Contrasted:
        """Draw from the proposal and evaluate f and log q at all 1 + m actions of each state."""
        return self.evaluated(model, batch, carry, generator)[0]

    def evaluated(
        self, model: EnergyModel, batch: Pairs, carry: Carry, generator: torch.Generator
    ) -> tuple[Contrasted, Tensor]:
        """The same, and the actions (n, 1 + m, d)."""
        noise = self.proposal.sample(carry, batch.states, self.negatives, generator=generator)
        actions = torch.cat([batch.actions[:, None], noise], dim=1)
        # one pass over both kinds of points: spectral normalisation then advances once an update
        f = model(batch.states[:, None], actions)
        return Contrasted(f, self.proposal.log_prob(carry, batch.states, actions)), actions
