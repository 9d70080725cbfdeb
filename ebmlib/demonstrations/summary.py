"""One line on what was read, and warnings about probable mistakes in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ebmlib.demonstrations.polyline import FloatArray, step_lengths

_ODD = ("blanks", "transposed", "shows nothing", "taken for", "cut off")
LONG_STEP = 0.1  # of a demonstration's length: a corner or a whole line can hide in it


class Summarised(Protocol):
    """The attributes of :class:`ebmlib.demonstrations.Demonstrations` that are used here."""

    @property
    def trajectories(self) -> Sequence[FloatArray]: ...  # noqa: D102
    @property
    def scales(self) -> FloatArray: ...  # noqa: D102
    @property
    def reference(self) -> FloatArray | None: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def sigma(self) -> float: ...  # noqa: D102
    @property
    def dim(self) -> int: ...  # noqa: D102
    @property
    def sources(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def notes(self) -> Sequence[str]: ...  # noqa: D102


def longest_share(demonstrations: Summarised) -> float:
    """The longest step as a share of the length of its demonstration, the largest of all."""
    return max(
        float(steps.max() / steps.sum()) for steps in map(step_lengths, demonstrations.trajectories)
    )


def summary(demonstrations: Summarised) -> str:
    """One line: how many demonstrations of what, samples, dimensions, lengths, steps, noise."""
    n, origins = len(demonstrations.trajectories), Counter(demonstrations.sources)
    copies = n if demonstrations.reference is not None else 0
    kinds = ", ".join(
        _count(count, what) if what.isalpha() else what for what, count in origins.items()
    )
    counts = [len(x) for x in demonstrations.trajectories]
    samples = str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    drawn = [
        step_lengths(x).sum() / scale
        for x, scale in zip(
            demonstrations.trajectories if copies == 0 else (demonstrations.reference,),
            demonstrations.scales,
            strict=False,
        )
        if x is not None
    ]
    noise = f", noise {demonstrations.sigma:g}" if demonstrations.sigma > 0 else ""
    made = f"{copies} copies of one path" if copies > 1 else _count(n, "demonstration")
    return (
        f"{demonstrations.name}: {made}{noise}"
        + (f" (from {kinds})" if kinds else "")
        + f", {samples} samples in {_count(demonstrations.dim, 'dimension')}, "
        f"mean length {np.mean(drawn):.4g} as drawn, longest step "
        f"{longest_share(demonstrations):.2g} of the length"
        + "".join(f"; {note}" for note in demonstrations.notes)
    )


def oddities(demonstrations: Summarised) -> tuple[str, ...]:
    """One sentence for each probable mistake in the data."""
    found = []
    share = longest_share(demonstrations)
    if share > LONG_STEP:
        found.append(
            f"The longest step of {demonstrations.name} is {share:.2g} of the length of its "
            "demonstration, so that details vanish: use more steps, or look for a jump in the data."
        )
    found.extend(
        f"{demonstrations.name}: {note}."
        for note in demonstrations.notes
        if any(word in note for word in _ODD)
    )
    return tuple(found)


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
