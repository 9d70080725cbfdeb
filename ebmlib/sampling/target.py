"""What samplers see: an unnormalised log density over actions, everything else held fixed."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from ebmlib.errors import InputError


@runtime_checkable
class Target(Protocol):
    """An unnormalised log density f of n chains at once, each with its own fixed state.

    A model at fixed states is one (:meth:`ebmlib.models.energy.EnergyModel.score`), and so is any
    closed form, so that exact laws test the very samplers that training uses.
    """

    def value(self, a: Tensor, /) -> Tensor:
        """Values f(a) at actions (n, d), shape (n,)."""
        ...

    def score(self, a: Tensor, /) -> Tensor:
        """grad_a f at actions (n, d), of the same shape."""
        ...


@dataclass(frozen=True)
class ScoreTarget:
    """A target of which only the score is known: a function a -> grad_a f."""

    function: Callable[[Tensor], Tensor]

    def value(self, a: Tensor) -> Tensor:
        """The function's own ``value`` if it has one.

        Raises:
            InputError: it has none.
        """
        value = getattr(self.function, "value", None)
        if value is None:
            raise InputError(
                "This target has a score and no value, got one function a -> grad f; give an "
                "object with value(a) and score(a)."
            )
        return value(a)

    def score(self, a: Tensor) -> Tensor:
        """grad_a f."""
        return self.function(a)

    @property
    def has_value(self) -> bool:
        """Whether f itself is known."""
        return getattr(self.function, "value", None) is not None


@dataclass(frozen=True)
class ValueTarget:
    """A target given by its log density (n, d) -> (n,); autograd computes the score."""

    function: Callable[[Tensor], Tensor]

    @torch.no_grad()
    def value(self, a: Tensor) -> Tensor:
        """Values f(a) at actions (n, d), shape (n,)."""
        return self.function(a)

    def score(self, a: Tensor) -> Tensor:
        """grad_a f at actions (n, d), of the same shape."""
        with torch.enable_grad():
            a = a.detach().requires_grad_()
            return torch.autograd.grad(self.function(a).sum(), a)[0]


def as_target(given: Target | Callable[[Tensor], Tensor]) -> Target:
    """``given`` if it is a target, else the function a -> grad_a f as one.

    Raises:
        InputError: neither.
    """
    # a field ``score`` is not the method of that name
    if isinstance(given, Target) and inspect.ismethod(given.score):
        return given
    if callable(given):
        return ScoreTarget(given)
    raise InputError(
        f"A target has value(a) and score(a), or is a function a -> grad f; got {given!r}."
    )


def values_at(target: Target, positions: list[Tensor]) -> Tensor | None:
    """Values f at each of the positions (n, d), (len(positions), n); None if f is not known."""
    if not positions or not getattr(target, "has_value", True):
        return None
    return torch.stack([target.value(a) for a in positions])
