"""From a density of actions to an action, and from actions to trajectories (section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ebmlib import checks
from ebmlib.errors import DivergenceError, InputError
from ebmlib.models.energy import EnergyModel
from ebmlib.progress import Progress
from ebmlib.sampling import compiled
from ebmlib.sampling.sgld import SGLD

Transition = Callable[[Tensor, Tensor], Tensor]
"""T(x, a): states (n, d_x) and actions (n, d_a) to next states (n, d_x)."""


def displacement(x: Tensor, a: Tensor) -> Tensor:
    """The thesis's system: an action is the step to the next position, T(x, a) = x + a."""
    return x + a


class Policy(Protocol):
    """An action for every state."""

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """Actions (n, d_a) for states (n, d_x)."""
        ...


@dataclass(frozen=True)
class _ChainPolicy:
    model: EnergyModel
    sampler: SGLD = field(default_factory=SGLD)
    population: int = 64

    def __post_init__(self) -> None:
        checks.instance("sampler", self.sampler, SGLD, "SGLD(alpha=0.01, steps=100)")
        checks.count("population", self.population)

    def _population(self, states: Tensor, jitter: float, generator: torch.Generator) -> Tensor:
        """Every state ``population`` times, with Gaussian jitter: (n p, d_x)."""
        candidates = states.repeat_interleave(self.population, dim=0)
        if jitter == 0:
            return candidates
        noise = torch.empty_like(candidates).normal_(generator=generator)
        return candidates + jitter * noise

    def _ends(self, candidates: Tensor, generator: torch.Generator) -> Tensor:
        """Chain ends from noise starts, one for every candidate state."""
        start = self.sampler.start(
            len(candidates), self.model.action_dim, generator=generator, like=candidates
        )
        return self.sampler.chain(self.model.score(candidates), start, generator=generator).actions


@dataclass(frozen=True)
class EXP(_ChainPolicy):
    """The expectation estimate E[a | x] by Algorithm 2.

    For every state, ``population`` candidates x + alpha xi are drawn, one chain is run from noise
    at each, and the action is the mean of the chain ends. Algorithm 2 writes the starts as
    N(0, alpha I); as in SGLD itself the standard deviation here is alpha.

    Attributes:
        model: the energy model.
        sampler: the chain; normally the one the model was trained with.
        population: p of Algorithm 2.
        jitter: standard deviation of the candidates' states; alpha if None, 0 for none.
    """

    jitter: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.jitter is not None:
            checks.non_negative("jitter", self.jitter)

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`Policy`."""
        jitter = self.sampler.alpha if self.jitter is None else self.jitter
        ends = self._ends(self._population(states, jitter, generator), generator)
        return ends.reshape(len(states), self.population, -1).mean(dim=1)


@dataclass(frozen=True)
class Draw(_ChainPolicy):
    """One action drawn from the policy, a ~ pi(. | x) (Algorithm 1): the end of one chain."""

    population: int = 1

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`Policy`."""
        return self._ends(states, generator)


@dataclass(frozen=True)
class ML(_ChainPolicy):
    """The most probable action, argmax_a f(x, a) (section 3.3): ascent from several starts.

    The ascent is the sampler at temperature 0. It starts at the origin and at ``population`` - 1
    noise starts, goes on in blocks of K steps until the best f of every state rises by less than
    ``tolerance`` in a block or ``blocks`` are done, and the best point at the end of a block
    wins. A model without a mode in reach (training does not forbid f to rise forever) thus gives
    the best point found.

    Attributes:
        blocks: most blocks of K steps.
        tolerance: rise of f in a block, in nats, that counts as arrived.
    """

    population: int = 8
    blocks: int = 10
    tolerance: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.count("blocks", self.blocks)
        checks.non_negative("tolerance", self.tolerance)

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`Policy`."""
        ascent = replace(self.sampler, temperature=0.0)
        candidates = self._population(states, 0.0, generator)
        score = self.model.score(candidates)
        a = ascent.start(
            len(candidates), self.model.action_dim, generator=generator, like=candidates
        )
        a[:: self.population] = 0.0
        best, f_best = a, score.value(a)
        for _ in range(self.blocks):
            a = ascent.chain(score, a, generator=generator).actions
            f = score.value(a)
            higher = f > f_best  # ascent in steps this large may also fall
            f_before, f_best = f_best, torch.where(higher, f, f_best)
            best = torch.where(higher[:, None], a, best)
            if (self._highest(f_best)[0] - self._highest(f_before)[0] <= self.tolerance).all():
                break
        winner = self._highest(f_best)[1]
        points = best.reshape(len(states), self.population, -1)
        return points[torch.arange(len(states), device=a.device), winner]

    def _highest(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """The largest f of every state's population, and which it is; f has shape (n p,)."""
        highest, which = f.reshape(-1, self.population).max(dim=1)
        return highest, which


class Trajectories(NamedTuple):
    """Rollouts from b starts: states (b, t + 1, d_x) and the actions taken, (b, t, d_a)."""

    states: Tensor
    actions: Tensor


@contextmanager
def _prepared(policy: Policy, starts: Tensor, steps: int) -> Iterator[None]:
    """The policy's model evaluating, compiled if the job is worth it; afterwards as it was."""
    model = getattr(policy, "model", None)
    if not isinstance(policy, _ChainPolicy) or not isinstance(model, EnergyModel):
        yield
        return
    before = model.compiled, model.training
    updates = len(starts) * policy.population * policy.sampler.steps * steps
    model.compiled = compiled.worthwhile(updates, compiled.operations(model.score(starts[:1])))
    model.eval()
    try:
        yield
    finally:
        model.compiled = before[0]
        model.train(before[1])


@torch.no_grad()
def rollout(
    policy: Policy,
    starts: Tensor,
    steps: int,
    *,
    generator: torch.Generator,
    transition: Transition = displacement,
) -> Trajectories:
    """Sample trajectories (Algorithm 1 with any policy), from all starts at once.

    Args:
        policy: an action for every state.
        starts: x_0 of every trajectory, (b, d_x).
        steps: t, the number of actions.
        generator: for the policy.
        transition: the system T(x, a).

    Raises:
        DivergenceError: a state that is not finite.
    """
    if starts.ndim != 2 or len(starts) == 0 or not torch.isfinite(starts).all():
        raise InputError(
            f"Starts must be finite and of shape (b, d), b > 0, got shape {tuple(starts.shape)}."
        )
    checks.count("trajectory steps", steps)
    x, states, actions = starts, [starts], []
    with Progress("trajectories", steps, unit="step") as progress, _prepared(policy, starts, steps):
        for step in range(steps):
            a = policy.act(x, generator=generator)
            x = transition(x, a)
            if not torch.isfinite(x).all():
                raise DivergenceError(
                    f"A trajectory left the finite numbers at step {step}; start nearer to the "
                    "demonstrations or train longer."
                )
            states.append(x)
            actions.append(a)
            progress.update(step + 1)
    return Trajectories(torch.stack(states, dim=1), torch.stack(actions, dim=1))
