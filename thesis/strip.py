"""A small picture of a number over seeds against the bound of its rule, as SVG for a page.

It is made of lines and text in the colour of the page's text, so that it is read in light and in
dark alike, and of one shade for where the number must lie.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

from thesis.statistics import Estimate, short

WIDTH, ROW, AXIS, TOP = 360, 24, 30, 16
"""Width of the picture; height of a row, of the axis below and of the bound's label above; "
"pixels."""

LETTER = 6.3
"""Width of a letter."""

WIDE = 30.0
"""Above this ratio of the largest to the smallest number the axis is logarithmic."""


def strip(
    parts: Mapping[str, Estimate],
    bound: tuple[float | None, float | None],
    alt: str,
) -> str:
    """A row for every part: a dot for each seed, the interval as a bar, its mean as a stroke.

    Args:
        parts: name of a row (``""``: none) -> the number over seeds.
        bound: lower and upper bound of where the number must lie; None where there is none.
        alt: what a reader hears who does not see it.

    Returns:
        One line of HTML: a ``div`` of class ``claim-plot``.
    """
    scale = _Scale(parts, bound)
    height = TOP + ROW * len(parts) + AXIS
    bottom = TOP + ROW * len(parts)
    drawn = []
    low, high = (scale.at(b) if b is not None else None for b in bound)
    left, right = low if low is not None else scale.left, high if high is not None else WIDTH - 12
    if low is not None or high is not None:
        drawn.append(
            f'<rect class="claim-plot-inside" x="{left:.1f}" y="{TOP}" '
            f'width="{max(right - left, 1):.1f}" height="{bottom - TOP}"/>'
        )
    for place, value in ((low, bound[0]), (high, bound[1])):
        if place is not None and value is not None:
            drawn.append(
                f'<line class="claim-plot-bound" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" '
                f'y2="{bottom}"/>'
                f'<text x="{place:.1f}" y="{TOP - 4}" text-anchor="middle">'
                f"{bound_text(value)}</text>"
            )
    for row, (name, number) in enumerate(parts.items()):
        y = TOP + ROW * (row + 0.5)
        drawn.append(f'<text x="0" y="{y + 4:.1f}">{html.escape(name)}</text>')
        ends = [scale.at(value) for value in (number.low, number.high)]
        middle = scale.at(number.value)
        drawn.append(
            f'<line class="claim-plot-interval" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<line class="claim-plot-mean" x1="{middle:.1f}" x2="{middle:.1f}" '
            f'y1="{y - 7:.1f}" y2="{y + 7:.1f}"/>'
        )
        drawn += [
            f'<circle cx="{scale.at(value):.1f}" cy="{y:.1f}" r="3"/>' for value in number.values
        ]
    drawn.append(
        f'<line class="claim-plot-axis" x1="{scale.left:.1f}" x2="{WIDTH - 12}" y1="{bottom}" '
        f'y2="{bottom}"/>'
    )
    for value in scale.ticks():
        x = scale.at(value)
        drawn.append(
            f'<line class="claim-plot-axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" '
            f'y2="{bottom + 4}"/>'
            f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{short(value)}</text>'
        )
    told = html.escape(alt, quote=True)
    return (
        f'<div class="claim-plot"><svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-label="{told}">{"".join(drawn)}</svg></div>'
    )


def bound_text(value: float) -> str:
    """A bound as it was stated (1375), or to three digits if it was measured (0.0928)."""
    stated = short(value, 4)
    return stated if float(f"{value:.4g}") == value else short(value, 3)


class _Scale:
    """From a number to a place, linear or logarithmic."""

    def __init__(
        self, parts: Mapping[str, Estimate], bound: tuple[float | None, float | None]
    ) -> None:
        known = [v for number in parts.values() for v in (*number.values, number.low, number.high)]
        known += [v for v in bound if v is not None]
        self.log = min(known) > 0 and max(known) / min(known) > WIDE
        low, high = (self._to(v) for v in (min(known), max(known)))
        margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        self.low, self.high = low - margin, high + margin
        names = max((len(name) for name in parts), default=0)
        self.left = LETTER * names + 12 if names else 12.0

    def _to(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def at(self, value: float) -> float:
        share = (self._to(value) - self.low) / (self.high - self.low)
        return self.left + share * (WIDTH - 12 - self.left)

    def ticks(self) -> Sequence[float]:
        """Round numbers, three to six of them."""
        if self.log:
            first, last = math.ceil(self.low), math.floor(self.high)
            every = max(1, math.ceil((last - first) / 4))
            return [10.0**k for k in range(first, last + 1, every)]
        span = self.high - self.low
        unit = 10 ** math.floor(math.log10(span / 3))
        step = next(unit * m for m in (1, 2, 5, 10) if span / (unit * m) <= 5)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [round(k * step, 12) for k in range(first, last + 1)]
