"""How well a method follows what people draw, judged by demonstrations that were kept aside.

Every demonstration is brought to the same number of steps, uniform in its samples, moved to start
at the origin, and all of a shape are scaled together. A rollout of as many steps starts at the
origin; its distance to a kept demonstration is the mean distance of the best pairing
(:func:`~ebmlib.evaluation.metrics.dtw_per_point`), as a multiple of the floor: the median distance
between demonstrations that trained and those that were kept, which is what people do themselves.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from torch import Tensor

from ebmlib import seeding
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.demonstrations.polyline import FloatArray, resample
from ebmlib.errors import InputError
from ebmlib.evaluation.metrics import distance_to_states, dtw_per_point, frechet_distance

IntArray = npt.NDArray[np.int64]

STEPS = 100
STUB = 60  # samples; a recording of fewer is a slip of the hand
MOST = 7
FIRST = 4
DRAWS = 20
FORKED = 4.0
AWAY = 0.5  # of the extent of the data: a rollout that gets farther from all states ran away


@dataclass(frozen=True, eq=False)
class Split:
    """A shape of the protocol: what trains, and what is kept.

    Attributes:
        name: of the shape.
        train: demonstrations to train on, scaled together.
        kept: (steps + 1, d) each, starting at the origin, in the units of ``train``.
    """

    name: str
    train: Demonstrations
    kept: tuple[FloatArray, ...]

    @classmethod
    def of(
        cls,
        name: str,
        recordings: Sequence[FloatArray],
        first: int = FIRST,
        steps: int | None = STEPS,
    ) -> Split:
        """The first recordings (n_i, d) train, the others are kept.

        Raises:
            InputError: nothing is kept, or fewer than two train.
        """
        if not 2 <= first < len(recordings):
            raise InputError(
                f"{name}: at least two demonstrations train and one is kept, got "
                f"{len(recordings)} of which {first} train; add demonstrations."
            )
        train = Demonstrations.from_arrays(
            recordings[:first], steps=steps, scaling="together", name=name
        )
        scale = float(train.scales[0])
        kept = []
        for points in recordings[first:]:
            sampled = points if steps is None else resample(points, steps, "time", None)
            kept.append((sampled - sampled[0]) * scale)
        return cls(name, train, tuple(kept))

    @property
    def steps(self) -> int:
        """Number of steps of a demonstration: the mean where they differ."""
        return round(sum(len(x) - 1 for x in self.train.trajectories) / len(self.train))

    def floor(self, distance: str = "dtw") -> float:
        """Median distance between demonstrations that trained and those that were kept."""
        of = DISTANCES[distance]
        return float(np.median([of(x, y) for x in self.train.trajectories for y in self.kept]))

    def kept_pairs(self, features: HasStates) -> tuple[Tensor, Tensor]:
        """States and actions of the kept demonstrations, states made of ``features``."""
        states = features.states(_Kept(self.kept))
        actions = np.concatenate([np.diff(x, axis=0) for x in self.kept])
        return (
            torch.tensor(states, dtype=torch.float32),
            torch.tensor(actions, dtype=torch.float32),
        )


DISTANCES = {"dtw": dtw_per_point, "frechet": frechet_distance}


class HasStates(Protocol):
    """State features."""

    def states(self, demonstrations: _Kept, /) -> FloatArray:
        """States of all pairs."""
        ...


@dataclass(frozen=True)
class _Kept:
    trajectories: Sequence[FloatArray]


class Fitted(Protocol):
    """A method that has seen the demonstrations."""

    def log_prob(self, kept: Split) -> Tensor | None:
        """Log density of every kept action, nats; None if the method has none."""
        ...

    def paths(self, n: int, steps: int, draws: bool, *, generator: torch.Generator) -> FloatArray:
        """Positions (n, steps + 1, d) of rollouts from the origin.

        Args:
            n: how many.
            steps: actions of each.
            draws: actions are drawn; else each is what the method takes for the best one.
            generator: of the draws.
        """
        ...

    @property
    def choice(self) -> str:
        """What was chosen from the data, in a few words."""
        ...


class Method(Protocol):
    """Something that learns from demonstrations."""

    def fit(self, demonstrations: Demonstrations, seed: int) -> Fitted:
        """What it learns."""
        ...


@dataclass(frozen=True)
class Row:
    """What was measured of one method on one shape with one seed.

    Attributes:
        shape, method, seed: of what.
        nats: mean negative log density of a kept action in units of the spread of the actions that
            trained; NaN for a method without a density.
        dtw: median over rollouts and kept demonstrations, as a multiple of the floor.
        dtw_draws: the same where actions are drawn.
        frechet: as ``dtw``, by the discrete Frechet distance.
        runaways: share of all rollouts that left the data (or the finite numbers).
        seconds: for learning.
        branch: where demonstrations fork: median distance to the nearest branch, as a multiple of
            the floor within branches; else NaN.
        shares: where they fork: share of the rollouts on the branch of the first demonstration, of
            the rollouts ``dtw`` is measured on, and of the demonstrations; else NaN.
        choice: what was chosen from the data.
    """

    shape: str
    method: str
    seed: int
    nats: float
    dtw: float
    dtw_draws: float
    frechet: float
    runaways: float
    seconds: float
    branch: float = math.nan
    shares: tuple[float, float] = (math.nan, math.nan)
    choice: str = ""


def measure(split: Split, name: str, method: Method, seed: int, draws: int = DRAWS) -> Row:
    """One row: fit, held-out density, rollouts by the method's best action and by draws."""
    began = time.perf_counter()
    fitted = method.fit(split.train, seed)
    seconds = time.perf_counter() - began
    log_p = fitted.log_prob(split)
    spread = math.sqrt(float(split.train.actions.var(axis=0).mean()))
    nats = math.nan
    if log_p is not None:
        nats = -float(log_p.double().mean()) - split.train.dim * math.log(spread)
    generator = seeding.generator(seed, "rollout")
    best = fitted.paths(draws, split.steps, False, generator=generator)
    drawn = fitted.paths(draws, split.steps, True, generator=generator)
    limit = AWAY * max(float(np.ptp(x, axis=0).max()) for x in split.train.trajectories)
    away = np.concatenate([_away(paths, split.train.states) for paths in (best, drawn)])
    branch, shares = _branches(split, best)
    return Row(
        shape=split.name,
        method=name,
        seed=seed,
        nats=nats,
        dtw=_distance(best, split, "dtw"),
        dtw_draws=_distance(drawn, split, "dtw"),
        frechet=_distance(best, split, "frechet"),
        runaways=float((away > limit).mean()),
        seconds=seconds,
        branch=branch,
        shares=shares,
        choice=fitted.choice,
    )


def _away(paths: FloatArray, states: FloatArray) -> FloatArray:
    """Largest distance of every path to the nearest state; infinite if a number is not finite."""
    finite = np.isfinite(paths).all(axis=(1, 2))
    away = np.full(len(paths), np.inf)
    if finite.any():
        away[finite] = distance_to_states(paths[finite], states).max(axis=1)
    return away


def _distance(paths: FloatArray, split: Split, distance: str) -> float:
    of = DISTANCES[distance]
    bounded = np.nan_to_num(paths, nan=1e6, posinf=1e6, neginf=-1e6)
    return float(np.median([of(bounded, x) for x in split.kept])) / split.floor(distance)


def branches(trajectories: Sequence[FloatArray]) -> IntArray | None:
    """Which of two branches each trajectory takes, the first one's called 0; None without a fork.

    Trajectories are clustered by their distance (average linkage, two clusters). They are two
    branches if the mean distance between the clusters is more than :data:`FORKED` times the mean
    distance within them.
    """
    n = len(trajectories)
    if n < 4:
        return None
    apart = np.zeros((n, n))
    for i, j in combinations(range(n), 2):
        apart[i, j] = apart[j, i] = dtw_per_point(trajectories[i], trajectories[j])
    pairs = squareform(apart, checks=False)
    side = fcluster(linkage(pairs, "average"), 2, "maxclust")
    same = squareform(side[:, None] == side, checks=False).astype(bool)
    if same.all() or pairs[~same].mean() <= FORKED * pairs[same].mean():
        return None
    return np.asarray(side != side[0], dtype=np.int64)


def _branches(split: Split, paths: FloatArray) -> tuple[float, tuple[float, float]]:
    every = [*split.train.trajectories, *split.kept]
    side = branches(every)
    if side is None:
        return math.nan, (math.nan, math.nan)
    n = len(split.train)
    bounded = np.nan_to_num(paths, nan=1e6, posinf=1e6, neginf=-1e6)
    to_each = np.array([dtw_per_point(bounded, x) for x in every])  # (all, paths)
    to_branch = np.array([np.median(to_each[side == k], axis=0) for k in (0, 1)])
    floor = np.median(
        [
            float(dtw_per_point(every[i], every[j]))
            for i in range(n)
            for j in range(n, len(every))
            if side[i] == side[j]
        ]
        or [math.nan]
    )
    share = float((to_branch[0] < to_branch[1]).mean())
    return float(np.median(to_branch.min(axis=0)) / floor), (share, float((side[:n] == 0).mean()))


def read_shape(folder: Path) -> list[FloatArray]:
    """The recordings of a folder of .npy files (1, N, d) or (N, d), y upwards, by the protocol.

    In the order of their numbers, without stubs, every other one where there are more than seven.

    Raises:
        InputError: the folder has no recordings.
    """
    files = sorted(folder.glob("*.npy"), key=lambda p: int(re.findall(r"\d+", p.stem)[-1]))
    if not files:
        raise InputError(f"{folder} has no .npy files; name a folder of shapes.")
    arrays = [np.load(file, allow_pickle=False).reshape(-1, 2) * [1.0, -1.0] for file in files]
    if len(arrays) > MOST:
        arrays = arrays[::2]
    return [x for x in arrays if len(x) > STUB][:MOST]
