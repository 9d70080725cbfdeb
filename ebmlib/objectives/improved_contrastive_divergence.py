"""Improved contrastive divergence: with the term that the usual gradient drops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import InputError
from ebmlib.models.energy import EnergyModel, evaluating
from ebmlib.objectives.base import MODEL, Carry, Outcome
from ebmlib.objectives.contrastive_divergence import ContrastiveDivergence
from ebmlib.objectives.data import with_noise
from ebmlib.objectives.scores import demand_smooth
from ebmlib.sampling.chain import run_chain
from ebmlib.sampling.sgld import SGLD, noise


@register("ImprovedContrastiveDivergence")
@dataclass(frozen=True)
class ImprovedContrastiveDivergence(ContrastiveDivergence):
    """Contrastive divergence, and the divergence of the chains' ends to the model.

        L(theta) = L_CD(theta) + w KL(q_theta || p_theta) as a function of q_theta,
        KL = -E_q [ f(x, a^) ] - H(q) + log Z,
        H(q) = d mean log |a^ - a^_k| + constant,        a^_k the k-th nearest to a^

    (Du, Li, Tenenbaum and Mordatch, "Improved contrastive divergence training of energy-based
    models", 2021). The chains' ends a^ depend on theta too, which contrastive divergence leaves
    out. Here f is held fixed and a^ is differentiated, through the last ``through`` steps of the
    chain. The entropy is estimated from neighbours among the chains of one state (Kozachenko and
    Leonenko 1987, Goria et al. 2005). The paper takes the nearest from its buffer of images; the
    gradient has a finite variance only if k d > 2, so actions need the third.

    An update costs that of contrastive divergence and ``through`` more steps, differentiated.

    Attributes:
        sampler, sgld_dim, reg_l1, reg_l2: see :class:`~ebmlib.objectives.contrast.Contrast`; the
            sampler is SGLD.
        start, data_noise: see :class:`~ebmlib.objectives.ContrastiveDivergence`.
        chains_per_state: chains of each demonstrated state of a batch, which has
            sgld_dim / chains_per_state pairs.
        neighbour: k.
        kl_weight: w.
        through: how many of the last steps are differentiated.
    """

    chains_per_state: int = 16
    neighbour: int = 3
    kl_weight: float = 1.0
    through: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.instance("sampler", self.sampler, SGLD, "SGLD(alpha=0.01, steps=100)")
        checks.count("neighbour", self.neighbour)
        checks.count("chains_per_state", self.chains_per_state, least=self.neighbour + 1)
        checks.non_negative("kl_weight", self.kl_weight, most=checks.LARGEST_SQUARED)
        checks.count("through", self.through)
        if self.through > self.sampler.steps:
            raise InputError(
                f"through must be at most the chain's {self.sampler.steps} steps, got "
                f"{self.through!r}."
            )
        if self.sgld_dim % self.chains_per_state:
            raise InputError(
                f"sgld_dim must be a multiple of chains_per_state, {self.chains_per_state!r}, got "
                f"{self.sgld_dim!r}."
            )

    @property
    def batch_size(self) -> int:
        """Demonstrated pairs in a batch."""
        return self.sgld_dim // self.chains_per_state

    def check(self, model: EnergyModel) -> None:
        """Refuse a score that is not differentiable."""
        demand_smooth(self, model)

    def __call__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        batch: Pairs,
        carry: Carry,
        *,
        generator: torch.Generator,
    ) -> Outcome:
        """The loss of one batch; reports what contrastive divergence does, and the new term."""
        batch = with_noise(batch, self.data_noise, generator)
        # all pairs may be fewer than a batch: each still has ``chains_per_state`` chains
        count = len(batch.states) * self.chains_per_state
        negatives = self.start.draw(batch, count, carry, self.sampler, generator=generator)
        fork = self.sampler.steps - self.through
        chain = run_chain(
            self.sampler,
            model.score(negatives.states),
            negatives.start,
            generator=generator,
            length=True,
            record=(fork,),
        )
        kept = self.start.keep(carry, negatives, chain.actions)
        outcome = self.outcome(model, batch, (negatives.states, chain.actions), chain, kept)
        # the last steps again, with noise of their own: another end of the same law
        before = chain.positions[0]
        ends = self.differentiable_ends(model, negatives.states, before, fork, generator)
        kl = self.divergence(model, negatives.states, ends, len(batch.states))
        total = outcome.losses[MODEL] + self.kl_weight * kl
        return outcome._replace(losses={MODEL: total}, report=outcome.report | {"kl": kl.detach()})

    def differentiable_ends(
        self,
        model: EnergyModel,
        x: Tensor,
        a: Tensor,
        first: int,
        generator: torch.Generator,
    ) -> Tensor:
        """Chain ends (n, d) as functions of theta, from ``a`` before step ``first``."""
        sampler = cast(SGLD, self.sampler)  # checked when this was made
        steps = list(zip(sampler.drifts(), sampler.noises(), strict=True))[first:]
        a = a.detach().requires_grad_()
        with evaluating(model):  # the power iteration advanced in the loss of the chains' ends
            for drift, scale in steps:
                score = torch.autograd.grad(model(x, a).sum(), a, create_graph=True)[0]
                a = a + drift * score + noise(torch.empty_like(a), scale, generator)
        return a

    def divergence(self, model: EnergyModel, x: Tensor, ends: Tensor, states: int) -> Tensor:
        """KL(q || p) up to constants, its gradient through the ends alone.

        Row i of ``ends`` (n, d) is a chain of state number i modulo ``states``.
        """
        target, still = model.score(x), ends.detach()
        # f to first order in the ends, theta held fixed
        f = target.value(still) + (target.score(still) * (ends - still)).sum(dim=1)
        d = ends.shape[1]
        own = ends.view(-1, states, d).transpose(0, 1)  # (states, chains of each, d)
        square = (own[:, :, None] - own[:, None]).square().sum(dim=3)
        near = square.kthvalue(1 + self.neighbour, dim=2).values  # the first is the chain itself
        near = near.clamp_min(torch.finfo(near.dtype).tiny)
        return -f.mean() - d * near.log().mean() / 2
