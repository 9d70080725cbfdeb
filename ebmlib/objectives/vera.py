"""VERA: an amortised sampler with an entropy term (variational entropy regularised)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Outcome, PartOptimizer
from ebmlib.objectives.generated import GENERATOR, Generated
from ebmlib.objectives.networks import ActionGenerator
from ebmlib.objectives.scales import in_action_units, scaled_states

POSTERIOR = "posterior"
_BETAS = (0.0, 0.9)  # of Adam, for all three (Grathwohl et al.)


class NoisyGenerator(nn.Module):
    """q(a | x, z) = N(g(x, z), sigma^2 I), in scaled actions; sigma is trained.

    Args:
        mean: g.
    """

    def __init__(self, mean: ActionGenerator) -> None:
        super().__init__()
        self.mean = mean
        self.log_sigma = nn.Parameter(torch.tensor(-1.0))


class Posterior(nn.Module):
    """xi(z | z_0) = N(z_0, diag eta^2), a guess at q(z | a) for an a that was made from z_0.

    Args:
        latent_dim: dimension of z.
    """

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.log_eta = nn.Parameter(torch.full((latent_dim,), -1.0))


@register("VERA")
@dataclass(frozen=True)
class VERA(Generated):
    """Maximum likelihood whose samples come from a generator that is kept broad.

        L(theta) = mean f(x, a^) - mean f(x, a) + l2 mean f^2,
        L(phi)   = -E [ f(x, a^) ] - l H(q_phi),     a^ = g(x, z) + sigma xi,    z, xi ~ N(0, I),
        grad_phi H = -E [ grad_a log q_phi(a^ | x) . grad_phi a^ ],
        grad_a log q_phi(a | x) = E_q(z | a) [ (g(x, z) - a) / sigma^2 ]

    (Grathwohl et al., "No MCMC for me: amortized sampling for fast and stable training of
    energy-based models", 2021). With l = 1, L(phi) is KL(q_phi || p_theta) up to log Z. The last
    expectation is over P draws about the z that made a^, z_p = z + eta xi_p, with the weights
    q(a^ | z_p) q(z_p) / xi(z_p | z), normalised; their bias falls like 1 / P. eta is trained by the
    evidence bound of log q(a^ | x). A generator that misses a mode teaches the model nothing there.

    An update costs 2 batch_size evaluations of the model and batch_size (2 + P) of the generator.

    Attributes:
        batch_size, data_noise, latent_dim, generator_dim, reg_l2: see
            :class:`~ebmlib.objectives.generated.Generated`.
        entropy: l.
        posterior_draws: P.
    """

    entropy: float = 1.0
    posterior_draws: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.non_negative("entropy", self.entropy, most=checks.LARGEST_SQUARED)
        checks.count("posterior_draws", self.posterior_draws)

    def parts(
        self, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> nn.ModuleDict:
        """``generator`` (g and sigma) and ``posterior`` (eta)."""
        mean = self.generator_of(state_dim, action_dim, generator)
        return nn.ModuleDict(
            {GENERATOR: NoisyGenerator(mean), POSTERIOR: Posterior(self.latent_dim)}
        )

    def part_optimizers(self) -> Mapping[str, PartOptimizer]:
        """Adam without momentum, for the model and both parts."""
        return {name: PartOptimizer(betas=_BETAS) for name in (MODEL, GENERATOR, POSTERIOR)}

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
        q, eta = cast(NoisyGenerator, parts[GENERATOR]), cast(Posterior, parts[POSTERIOR])
        x, n = scaled_states(carry, data.states), len(data.states)
        z = q.mean.latents(n, like=x, generator=generator)
        xi = torch.empty_like(data.actions).normal_(generator=generator)
        a = q.mean(x, z) + q.log_sigma.exp() * xi  # a^, scaled
        made = in_action_units(carry, a)
        loss, score, at = self.contrasted(model, data, made[:, None])
        own = self.own_score(q, eta, x, a.detach(), z, generator)
        towards = carry["action_scale"] * score[:, 0] - self.entropy * own
        losses = {
            MODEL: loss + self.reg_l2 * at.f.square().mean(),
            GENERATOR: -(towards * a).sum(dim=1).mean(),
            POSTERIOR: -_evidence(q, eta, x, a.detach(), z, generator),
        }
        report = at.report(loss) | {"sigma": q.log_sigma.detach().exp()}
        return Outcome(losses, carry, report)

    @torch.no_grad()
    def own_score(
        self,
        q: NoisyGenerator,
        posterior: Posterior,
        x: Tensor,
        a: Tensor,
        z: Tensor,
        generator: torch.Generator,
    ) -> Tensor:
        """grad_a log q_phi(a | x) in scaled actions, (n, d), for actions that z (n, ...) made."""
        xi = q.mean.latents(len(z), self.posterior_draws, like=z, generator=generator)
        near = z[:, None] + posterior.log_eta.exp() * xi
        away = q.mean(x[:, None].expand(-1, self.posterior_draws, -1), near) - a[:, None]
        variance = (2 * q.log_sigma).exp()
        # log of q(a | z_p) q(z_p) / xi(z_p | z), up to what all p share
        log_w = xi.square().sum(dim=2) / 2 - near.square().sum(dim=2) / 2
        log_w = log_w - away.square().sum(dim=2) / (2 * variance)
        return (log_w.softmax(dim=1)[..., None] * away).sum(dim=1) / variance


def _evidence(
    q: NoisyGenerator,
    posterior: Posterior,
    x: Tensor,
    a: Tensor,
    z: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """E_xi [ log q(a | z') + log q(z') - log xi(z' | z) ], one draw z', up to a constant."""
    near = z + posterior.log_eta.exp() * torch.empty_like(z).normal_(generator=generator)
    away = q.mean(x, near) - a
    fits = -away.square().sum(dim=1) / (2 * (2 * q.log_sigma).exp()) - near.square().sum(dim=1) / 2
    return fits.mean() + posterior.log_eta.sum()
