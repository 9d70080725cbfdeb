"""State features: how a state is made from positions and from the actions before it.

The thesis's state is the position alone (section 3.1). A path that crosses itself, or strokes that
stand still, need more: the last actions, or how much of the demonstration has passed. The action
a_j that is predicted is never a part of its own state: a history holds a_{j-1} and earlier ones.

Nothing here needs PyTorch when it is imported, so that configurations can name features without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations.polyline import FloatArray
from ebmlib.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    Array = TypeVar("Array", Tensor, FloatArray)

LONGEST_HISTORY = 1000
_WORDS = re.compile(r"position(?:\+(history|mean)([1-9][0-9]{0,3}))?(\+clock)?")


class HasTrajectories(Protocol):
    """Anything with trajectories of positions, such as Demonstrations."""

    @property
    def trajectories(self) -> Sequence[FloatArray]:
        """(n_i + 1, d) each."""
        ...


@register("StateFeatures")
@dataclass(frozen=True)
class StateFeatures:
    """Which features make a state, in this order: the position, past actions, a clock.

    For action j of the n_i of a demonstration, j from 0, with k = ``history``::

        position        x_j                                                              (d,)
        history         a_{j-1}, a_{j-2}, ..., a_{j-k}: most recent first, 0 before a_0  (k d_a,)
          or its mean   (a_{j-m} + ... + a_{j-1}) / m over those that exist,
                        m = min(j, k); 0 at j = 0                                        (d_a,)
        clock           j / n_i, in [0, 1)                                               (1,)

    Attributes:
        history: how many of the last actions are features; 0 for none.
        history_mean: their mean is the feature, not each of them.
        clock: whether the elapsed fraction of the demonstration is a feature.

    Raises:
        InputError: a history that is not a whole number from 0 to 1000, or a mean over none.

    Example:
        >>> from ebmlib import StateFeatures
        >>> StateFeatures(history=3).dim(position_dim=2, action_dim=2)
        8
        >>> StateFeatures.from_words("position+history3") == StateFeatures(history=3)
        True
    """

    history: int = 0
    history_mean: bool = False
    clock: bool = False

    def __post_init__(self) -> None:
        checks.count("history", self.history, least=0)
        checks.flag("history_mean", self.history_mean)
        checks.flag("clock", self.clock)
        if self.history > LONGEST_HISTORY:
            raise InputError(
                f"history must be at most {LONGEST_HISTORY} actions, got {self.history}."
            )
        if self.history_mean and self.history == 0:
            raise InputError(
                "history_mean is a mean of the last actions: pass a history above 0, got 0."
            )

    @classmethod
    def from_words(cls, words: str) -> StateFeatures:
        """The features that ``words`` names, such as "position" or "position+mean3+clock".

        Raises:
            InputError: a word that is not known, or an order that is not the state's.
        """
        match = _WORDS.fullmatch(str(words))
        if match is None:
            raise InputError(
                "State features are words joined by +: position, then history<k> or mean<k> for "
                f"the last k actions (1 to {LONGEST_HISTORY}), then clock, such as "
                f"position+history3+clock; got {words!r}."
            )
        kind, count, clock = match.groups()
        return cls(int(count or 0), history_mean=kind == "mean", clock=clock is not None)

    @property
    def words(self) -> str:
        """These features as the words that :meth:`from_words` reads."""
        past = f"+{'mean' if self.history_mean else 'history'}{self.history}"
        return f"position{past if self.history else ''}{'+clock' if self.clock else ''}"

    def dim(self, position_dim: int, action_dim: int) -> int:
        """Dimension d_x of a state."""
        actions = min(self.history, 1) if self.history_mean else self.history
        return position_dim + actions * action_dim + int(self.clock)

    @staticmethod
    def positions(states: Array, position_dim: int) -> Array:
        """The positions (..., d) in states (..., d_x), arrays or tensors alike; a view."""
        return states[..., :position_dim]

    def states(self, demonstrations: HasTrajectories) -> FloatArray:
        """States (n_pairs, d_x) of all pairs, in the order of ``Demonstrations.states``."""
        return np.concatenate([self._states(x) for x in demonstrations.trajectories])

    def _states(self, x: FloatArray) -> FloatArray:
        n, k = len(x) - 1, self.history
        parts = [x[:-1]]
        if k > 0:
            # Row j of ``past`` is a_{j-k}: what lies before the first action is zero.
            past = np.concatenate([np.zeros((k, x.shape[1])), np.diff(x, axis=0)])
            recent = np.stack([past[k - i : k - i + n] for i in range(1, k + 1)], axis=1)
            if self.history_mean:
                parts.append(recent.sum(axis=1) / np.clip(np.arange(n), 1, k)[:, None])
            else:
                parts.append(recent.reshape(n, -1))
        if self.clock:
            parts.append(np.arange(n)[:, None] / n)
        return np.concatenate(parts, axis=1)

    def begin(
        self,
        positions: Tensor,
        horizon: int | Tensor | None = None,
        *,
        history: Tensor | None = None,
        elapsed: int | Tensor | None = None,
        action_dim: int | None = None,
    ) -> RolloutMemory:
        """What a rollout from ``positions`` has to remember; without a history it starts fresh.

        Replaying the actions of a demonstration, with its n_i as horizon, gives the rows of
        :meth:`states` again.

        Args:
            positions: (b, d), where the rollouts start; their dtype and device are the states'.
            horizon: number of steps of a demonstration, one or (b,); only a clock needs it.
            history: (b, m, d_a) actions that were taken before, oldest first, of which the last
                are used; nothing if None.
            elapsed: number of actions taken before, one or (b,); m if None. In a row with fewer
                than m only its last ``elapsed`` count, so that rows may start at different times.
            action_dim: d_a; that of the history or else of the positions if None.

        Raises:
            InputError: shapes that do not fit, a clock without horizon, a history that is too
                short for ``elapsed``.
        """
        import torch

        if positions.ndim != 2:
            raise InputError(
                f"Positions must have the shape (b, d), got shape {tuple(positions.shape)}."
            )
        b, d = positions.shape
        if history is None:
            history = positions.new_zeros(b, 0, action_dim or d)
        if history.ndim != 3 or len(history) != b or action_dim not in (None, history.shape[2]):
            raise InputError(
                f"history must have the shape ({b}, m, {action_dim or 'd_a'}), one row for every "
                f"position, got shape {tuple(history.shape)}."
            )
        m, d_a = history.shape[1:]
        taken = _counts("elapsed", m if elapsed is None else elapsed, positions, least=0)
        if m < self.history and (taken > m).any():
            raise InputError(
                f"After {int(taken.max())} actions {self.words} needs the last "
                f"{min(self.history, int(taken.max()))}, but history has {m}: pass more of them."
            )
        if self.clock and horizon is None:
            raise InputError(
                f"{self.words} has a clock: pass horizon, the number of steps of a demonstration."
            )
        recent = history.flip(1)[:, : self.history]  # most recent first
        exists = torch.arange(recent.shape[1], device=positions.device) < taken[:, None]
        recent = torch.where(exists[..., None], recent, 0.0)
        none = positions.new_zeros(b, self.history - recent.shape[1], d_a)
        return RolloutMemory(
            features=self,
            positions=positions,
            recent=torch.cat([recent, none], dim=1),
            taken=taken,
            horizon=None if horizon is None else _counts("horizon", horizon, positions, least=1),
        )


POSITION = StateFeatures()
"""The thesis's state: the position alone."""


@dataclass(frozen=True, eq=False)
class RolloutMemory:
    """Where b rollouts are, and the part of their past that is needed; made by ``begin``.

    Attributes:
        features: what the states are made of.
        positions: (b, d) where they are.
        recent: (b, k, d_a) last k actions, most recent first; 0 where there was none.
        taken: (b,) number of actions taken so far, whole numbers.
        horizon: (b,) number of steps of a demonstration, or None where there is no clock.
    """

    features: StateFeatures
    positions: Tensor
    recent: Tensor
    taken: Tensor
    horizon: Tensor | None

    @property
    def states(self) -> Tensor:
        """States (b, d_x), as :class:`StateFeatures` describes; the clock is held at most at 1."""
        import torch

        parts, k = [self.positions], self.features.history
        if self.features.history_mean:
            parts.append(self.recent.sum(dim=1) / self.taken.clamp(1, k)[:, None])
        elif k > 0:
            parts.append(self.recent.flatten(start_dim=1))
        if self.features.clock and self.horizon is not None:
            elapsed = self.taken.to(self.positions.dtype) / self.horizon
            parts.append(elapsed.clamp(max=1.0)[:, None])
        # Positions alone are passed on as they are: a copy may be laid out otherwise in memory,
        # and the last bits of a product depend on that.
        return self.positions if len(parts) == 1 else torch.cat(parts, dim=1)

    def advance(self, actions: Tensor, positions: Tensor) -> RolloutMemory:
        """What to remember after ``actions`` (b, d_a) led to the next ``positions`` (b, d).

        Raises:
            InputError: the shapes differ from those of the step before.
        """
        import torch

        expected, k = (len(self.positions), self.recent.shape[2]), self.features.history
        if (k > 0 and actions.shape != expected) or positions.shape != self.positions.shape:
            raise InputError(
                f"Expected actions of shape {expected} and positions of shape "
                f"{tuple(self.positions.shape)}, as before, got {tuple(actions.shape)} and "
                f"{tuple(positions.shape)}."
            )
        recent = torch.cat([actions[:, None], self.recent], dim=1)[:, :k] if k else self.recent
        return replace(self, positions=positions, recent=recent, taken=self.taken + 1)


def _counts(name: str, value: int | Tensor, positions: Tensor, least: int) -> Tensor:
    """Whole numbers (b,), one for every position, from one or from b of them."""
    import torch

    counts = torch.as_tensor(value, device=positions.device)
    whole = counts.dtype in (torch.int32, torch.int64)
    if not whole or counts.shape not in ((), positions.shape[:1]) or (counts < least).any():
        raise InputError(
            f"{name} must be a whole number of at least {least}, or {len(positions)} of them, "
            f"got {value!r}."
        )
    return counts.expand(len(positions))
