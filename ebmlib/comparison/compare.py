"""One's own demonstrations, every method, each demonstration left out once."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ebmlib import seeding
from ebmlib.comparison.protocol import Fitted, Method, Row, Split, measure
from ebmlib.demonstrations.polyline import FloatArray
from ebmlib.demonstrations.recordings import read_recording
from ebmlib.errors import InputError

COLUMNS = ("nats", "dtw", "dtw_draws", "frechet", "runaways", "seconds")
_RESAMPLES = 2000
_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Comparison:
    """What :func:`compare` measured.

    Attributes:
        rows: one for every method and left-out demonstration.
        paths: rollouts (n, steps + 1, d) of every method, from the fold of the last demonstration.
        split: that fold.
        left: methods that were left out, and why.
    """

    rows: tuple[Row, ...]
    paths: Mapping[str, FloatArray]
    split: Split
    left: Mapping[str, str] = field(default_factory=dict)

    def interval(self, method: str, column: str) -> tuple[float, float, float]:
        """Mean over left-out demonstrations and its 95 % bootstrap interval; NaN if unknown."""
        values = [getattr(row, column) for row in self.rows if row.method == method]
        found = np.array([value for value in values if not math.isnan(value)])
        if len(found) == 0:
            return math.nan, math.nan, math.nan
        rng = np.random.default_rng(0)
        means = found[rng.integers(len(found), size=(_RESAMPLES, len(found)))].mean(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        return float(found.mean()), float(low), float(high)

    def table(self) -> str:
        """The comparison as text: a row for every method."""
        lines = [f"{'':28}" + "".join(f"{_TITLES[column]:>22}" for column in COLUMNS)]
        for method in dict.fromkeys(row.method for row in self.rows):
            cells = []
            for column in COLUMNS:
                mean, low, high = self.interval(method, column)
                cells.append("-" if math.isnan(mean) else f"{mean:.2f} [{low:.2f}, {high:.2f}]")
            lines.append(f"{method:28}" + "".join(f"{cell:>22}" for cell in cells))
        lines += [f"{method:28}  left out: {why}" for method, why in self.left.items()]
        return "\n".join(lines)

    def csv(self) -> str:
        """All rows as CSV, a header line first."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["method", "left_out", *COLUMNS, "choice"])
        for row in self.rows:
            numbers = [f"{getattr(row, column):.6g}" for column in COLUMNS]
            writer.writerow([row.method, row.shape, *numbers, row.choice])
        return file.getvalue()


_TITLES = {
    "nats": "nats per action",
    "dtw": "DTW / floor",
    "dtw_draws": "draws, DTW / floor",
    "frechet": "Frechet / floor",
    "runaways": "runaways",
    "seconds": "seconds",
}


def compare(
    source: str | Path | Sequence[FloatArray],
    methods: Mapping[str, Method],
    *,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> Comparison:
    """Leave out every demonstration once; train every method on the others.

    Args:
        source: a file of recordings, or positions (n_i, d) of every demonstration.
        methods: by name.
        seed: of all methods.
        progress: told which method is at work.

    Raises:
        InputError: fewer than three demonstrations, or no method could be used.
    """
    if isinstance(source, (str, Path)):
        recordings = list(read_recording(str(source)).positions)
        name = Path(source).stem
    else:
        recordings, name = list(source), "demonstrations"
    if len(recordings) < 3:
        raise InputError(
            f"{name}: to leave one out, at least three demonstrations are needed, got "
            f"{len(recordings)}; draw the shape more often."
        )
    rows: list[Row] = []
    left: dict[str, str] = {}
    paths: dict[str, FloatArray] = {}
    for method_name, method in methods.items():
        keeping = _Keeping(method)
        try:
            for index in range(len(recordings)):
                split = _fold(recordings, index)
                progress(f"{method_name}, {index + 1} of {len(recordings)} left out")
                rows.append(measure(split, method_name, keeping, seed))
        except InputError as error:
            left[method_name] = str(error)
            rows = [row for row in rows if row.method != method_name]
            continue
        paths[method_name] = keeping.fitted.paths(
            _SHOWN, split.steps, False, generator=seeding.generator(seed, "picture")
        )
    if not rows:
        raise InputError(f"{name}: no method could be used: {'; '.join(left.values())}")
    return Comparison(tuple(rows), paths, _fold(recordings, len(recordings) - 1), left)


@dataclass
class _Keeping:
    """A method that keeps what it fitted last."""

    method: Method
    fitted: Fitted = field(init=False)

    def fit(self, demonstrations, seed):  # type: ignore[no-untyped-def]  # as Method's
        self.fitted = self.method.fit(demonstrations, seed)
        return self.fitted


def _fold(recordings: Sequence[FloatArray], left: int) -> Split:
    order = [x for i, x in enumerate(recordings) if i != left] + [recordings[left]]
    return Split.of(f"demonstration {left}", order, first=len(recordings) - 1)
