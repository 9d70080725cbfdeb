"""Trajectories: a policy and a system, step after step (Algorithm 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from ebmlib import checks, memory
from ebmlib.arrays import as_tensor, like_of
from ebmlib.demonstrations.features import POSITION, StateFeatures
from ebmlib.errors import DivergenceError, InputError
from ebmlib.policies.base import Costed, Policy, Remembering
from ebmlib.progress import Progress
from ebmlib.sampling import fused

System = Callable[[Tensor, Tensor], Tensor]
"""The system T(x, a): states (n, d_x) and actions (n, d_a) to next states (n, d_x)."""


def displacement(x: Tensor, a: Tensor) -> Tensor:
    """The thesis's system: an action is the step to the next position, T(x, a) = x + a.

    Example:
        >>> import torch
        >>> from ebmlib.policies import displacement
        >>> displacement(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.5, 0.0]])).tolist()
        [[1.5, 2.0]]
    """
    return x + a


class Trajectories(NamedTuple):
    """Rollouts from b starts: positions ``states`` (b, t + 1, d) and actions taken (b, t, d_a)."""

    states: Tensor
    actions: Tensor


@torch.no_grad()
def rollout(
    policy: Policy,
    starts: Tensor,
    steps: int,
    *,
    generator: torch.Generator,
    transition: System = displacement,
    features: StateFeatures = POSITION,
    horizon: int | None = None,
) -> Trajectories:
    """Sample trajectories (Algorithm 1 with any policy), from all starts at once.

    Args:
        policy: an action for every state.
        starts: x_0 of every trajectory, positions (b, d): a tensor, an array or lists of any real
            type. They are converted to the dtype and the device of the policy if it has them
            (``like``).
        steps: t, the number of actions.
        generator: for the policy.
        transition: the system T(x, a).
        features: how the policy's states are made from positions and the actions taken.
        horizon: number of actions of a whole demonstration, for features with a clock; ``steps`` if
            None.

    Raises:
        InputError: starts that are not finite numbers (b, d), no generator, or more than memory
            holds.
        DivergenceError: a state that is not finite.

    Example:
        >>> import torch
        >>> from ebmlib import rollout, seeding
        >>> class Right:  # a policy that always steps to the right
        ...     def act(self, states, *, generator):
        ...         return torch.tensor([[0.5, 0.0]]).expand(len(states), 2)
        >>> draws = seeding.generator(0, "rollout")
        >>> paths = rollout(Right(), torch.zeros(1, 2), 3, generator=draws)
        >>> paths.states[0, :, 0].tolist()
        [0.0, 0.5, 1.0, 1.5]
    """
    starts = as_tensor("Starts", starts, like_of(policy))
    if starts.ndim != 2 or len(starts) == 0:
        raise InputError(
            f"Starts must be finite and of shape (b, d), b > 0, got shape {tuple(starts.shape)}."
        )
    checks.instance("generator", generator, torch.Generator, "seeding.generator(0, 'rollout')")
    steps = checks.count("trajectory steps", steps, most=checks.MOST_UPDATES)
    memory.demand(  # positions and actions, and both once more in one tensor
        4 * (steps + 1) * starts.numel() * starts.element_size(),
        f"{len(starts)} trajectories of {steps} steps",
        "take fewer steps, or fewer starts at once",
        starts.device,
    )
    past = features.begin(starts, steps if horizon is None else horizon)
    states, actions = [starts], []
    work = policy.operations(past.states) * steps if isinstance(policy, Costed) else 0.0
    if isinstance(policy, Remembering):
        policy = policy.remembering()
    fuse = fused.permitted(fused.worthwhile(work))
    with fuse, Progress("trajectories", steps, unit="step") as progress:
        for step in range(steps):
            a = policy.act(past.states, generator=generator)
            x = transition(past.positions, a)
            if not torch.isfinite(x).all():
                raise DivergenceError(
                    f"A trajectory's position is not finite after step {step}; start nearer to the "
                    "demonstrations or train longer."
                )
            past = past.advance(a, x)
            states.append(x)
            actions.append(a)
            progress.update(step + 1)
    return Trajectories(torch.stack(states, dim=1), torch.stack(actions, dim=1))
