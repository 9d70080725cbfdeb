"""Claims on the regions from which trajectories return (sections 4.4.2 and 5)."""

from __future__ import annotations

import numpy as np

from thesis.claim import Verdict, claim, judged
from thesis.conditions import DATASETS
from thesis.evidence import Ruling, all_of, by_parts
from thesis.statistics import Estimate, estimate
from thesis.study import Results

RETURNS = (
    "A trajectory *returns* if within 100 steps (on circle 200) it stays within 0.1 of the "
    "demonstrations, ten times the noise on their positions, for ten steps in a row. "
)


def share(basins: Results, condition: str, offset: float) -> np.ndarray:
    """The share that returns from a signed distance, (seeds,)."""
    offsets = basins.values(condition, "offsets")[0]
    return basins.values(condition, "returned")[:, int(np.abs(offsets - offset).argmin())]


def reach(basins: Results, condition: str) -> np.ndarray:
    """The distance outside up to which at least 90 % return, by seed, (seeds,)."""
    offsets = basins.values(condition, "offsets")[0]
    outside = sorted(-offset for offset in offsets if offset < 0)
    table = np.array([share(basins, condition, -distance) for distance in outside])
    kept = np.cumprod(table >= 0.9, axis=0).sum(axis=0)
    return np.array([outside[k - 1] if k else 0.0 for k in kept])


@claim(
    "C34",
    section="4.4.2",
    page="experiments/circle",
    statement="On circle, trajectories from inside settle on the reference, and the region of "
    "convergence is about 1.5 radii.",
    number="radius of the region from which at least 90 % of the trajectories return",
    unit="radii",
    bound=(1.25, 1.75),
    merit="distance from the centre, in radii, up to which at least 90 % of starts outside return",
    rule=RETURNS + "Reproduced if at least 90 % return from 0.25, 0.5 and 0.75 inside and, over "
    "150 steps, end within 0.1 of the circle, and the region's radius lies within 1.25 to 1.75. In "
    "a stated range if only one of these two holds.",
    tried="circle, starts at up to 3 radii, 10 places around it",
    studies=("basins", "trajectories"),
    figure="basin-circle",
)
def c34(basins: Results, trajectories: Results) -> Verdict:
    """Inside, and how far outside."""
    inside = [estimate(share(basins, "circle", offset)) for offset in (0.25, 0.5, 0.75)]
    end = estimate(trajectories.values("circle", "inside_worst"))
    region = estimate(1 + reach(basins, "circle"))
    farthest = 1 - float(basins.values("circle", "offsets")[0].min())
    settle = all_of(found.at_least(0.9 - 1e-9) for found in inside) & end.below(0.1)
    as_told = region.within(1.25, 1.75)
    least = "at least " if region.value >= farthest else ""  # none was placed farther out
    ranges = {
        f"for starts inside; the region reaches to {least}{region.value:.3g} radii": settle,
        "for the region outside, not for starts inside": as_told,
    }
    shares = ", ".join(f"{100 * found.value:.0f} %" for found in inside)
    reading = (
        f"Trajectories return from up to {least}{region.value:.3g} radii, and those from "
        f"inside end "
        f"{end.text(2)} from the circle at worst."
    )
    table = (
        ("Starts", "Return or end"),
        ("0.25, 0.5 and 0.75 inside, share that returns", shares),
        ("0.4 inside, largest distance at the end", end.text(2)),
        ("outside, radius of the region (radii)", region.text(3)),
    )
    return judged(Ruling(settle & as_told, ranges), region, reading, table=table)


@claim(
    "C37",
    section="5",
    page="conclusion",
    statement="All four policies work in a reasonably large neighbourhood of the demonstrations.",
    number="distance up to which at least 90 % of the trajectories return, on the worst data set",
    unit="normalised units",
    bound=(0.5, None),
    merit="largest distance from the demonstrations up to which at least 90 % of starts return, on "
    "either side, on the data set where it is smallest",
    rule=RETURNS + "Reproduced if this distance lies at or above 0.5, eight mean steps or half the "
    "circle's radius, on all four data sets; in a stated range if on some.",
    tried="path1, circle, mouse1, mouse2, starts at up to 1.0 beside the first half of open paths",
    studies=("basins",),
    figure="neighbourhood",
)
def c37(basins: Results) -> Verdict:
    """The neighbourhood of each data set, and the smallest."""
    found: dict[str, Estimate] = {
        name: estimate(basins.values(name, "radius")) for name in DATASETS
    }
    smallest = min(found.values(), key=lambda estimated: estimated.value)
    half = {name: _worse(basins, name, 0.5) for name in DATASETS}
    far = max(found, key=lambda name: found[name].value)
    reading = (
        f"Trajectories return from up to {found[far].value:.2g} beside the demonstrations of "
        f"{far}, "
        f"but on the worst data set only from {smallest.value:.2g} beside them."
    )
    table = (
        ("", *DATASETS),
        ("returns from up to", *(found[n].text(2) for n in DATASETS)),
        ("share that returns from 0.5, worse side", *(f"{100 * half[n]:.0f} %" for n in DATASETS)),
    )
    large = {name: found[name].at_least(0.5) for name in DATASETS}
    return judged(by_parts(large), smallest, reading, before="on ", table=table, parts=found)


def _worse(basins: Results, condition: str, distance: float) -> float:
    sides = [share(basins, condition, sign * distance) for sign in (1, -1)]
    return estimate(np.minimum(*sides)).value
