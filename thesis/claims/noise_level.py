"""Claims on tuning the noise level of the sampler (section 4.3.1)."""

from __future__ import annotations

import numpy as np

from thesis.claim import Verdict, claim, judged, listed
from thesis.conditions import DATASETS, condition
from thesis.evidence import Ruling, all_of, any_of, fact
from thesis.runs import sampler_of
from thesis.statistics import Estimate, estimate
from thesis.study import Results, Row

PAGE = "experiments/noise-level"
GRID = "circle, $\\alpha$ 0.001 to 0.02 (0.11 to $2.2\\,s$), $K$ 25 to 200, 500 epochs"
LONG = (100, 200)
"""Numbers of steps K at which chains have the time to arrive at alpha of about s."""

TOO_HIGH = 1.5
"""A noise level above so many s is too high: a chain's variance is over twice the target's."""


def steps_of(row: Row) -> int:
    """K of a condition of the noise grid."""
    return sampler_of(condition(row["condition"])).steps


def too_high(row: Row) -> bool:
    """Whether a training's noise level is above 1.5 s."""
    return bool(row["alpha_over_s"] > TOO_HIGH)


def wide_at_the_mean(row: Row) -> bool:
    """The thesis's sign: means close (below s), variance large (above 2), from epoch 200 on."""
    seen = [
        gap < 1 and ratio > 2
        for epoch, gap, ratio in zip(
            row["epochs"], row["mean_gap"], row["variance_ratio"], strict=True
        )
        if epoch >= 200
    ]
    return bool(seen) and all(seen)


def passing(found: list[Row]) -> int:
    """How many of the trainings pass the sanity check at 99 %."""
    return sum(row["start_inside"] >= 0.99 and row["end_inside"] >= 0.99 for row in found)


def escape_at(escape: Results, condition: str, alpha_over_s: float) -> Estimate:
    """Escape share at the sampled noise level nearest to ``alpha_over_s``, over seeds."""
    places = escape.values(condition, "alphas_over_s")
    shares = escape.values(condition, "escaped")
    nearest = np.abs(places[0] - alpha_over_s).argmin()
    return estimate(shares[:, nearest])


@claim(
    "C22",
    section="4.3.1",
    page=PAGE,
    statement="A noise level that is too high drives chains out of the mode even when started "
    "there.",
    number="share of chains that leave the mode at the stability limit, $2\\,s$",
    unit="share",
    bound=(0.5, None),
    merit="share of chains, started at the demonstrated mean action, that are farther than $4\\,s$ "
    "from it after 100 steps at the sampled noise level nearest to $2\\,s$, $1.88\\,s$ ($s$: the "
    "data's own scale, in its narrowest direction)",
    rule="Reproduced if the share is below 5 % at $\\alpha = s/2$, above 50 % at the stability "
    "limit $2\\,s$, and of the chains that are out at half time fewer than half are back at "
    "the end "
    "there (each at the sampled level nearest to it). In a stated range if the first holds and the "
    "other two do at a higher sampled noise level.",
    tried="one trained circle ($\\alpha = 0.01$, $K = 100$) sampled at $\\alpha$ 0.0025 to 0.03",
    studies=("escape",),
    figure="noise-escape",
)
def c22(escape: Results) -> Verdict:
    """Escape share below and at the stability limit."""
    low, high = (escape_at(escape, "circle", place) for place in (0.5, 2.0))
    places = escape.values("circle", "alphas_over_s")[0]
    near = [places[np.abs(places - place).argmin()] for place in (0.5, 2.0)]
    stays = [
        estimate(np.nan_to_num(back, nan=1.0)) for back in escape.values("circle", "returned").T
    ]
    out = [estimate(share) for share in escape.values("circle", "escaped").T]
    limit = int(np.abs(places - 2.0).argmin())
    away = [share.above(0.5) & back.below(0.5) for share, back in zip(out, stays, strict=True)]
    good = [place for place, found in zip(places, away, strict=True) if found.answer]
    first = min(good) if good else 0.0
    last = ", the largest sampled" if first == max(places) else " on"
    where = f"from $\\alpha = {first:.1f}\\,s${last}"
    ranges = {where: low.below(0.05) & any_of(away)}
    reading = (
        f"At ${near[1]:.2f}\\,s$, {100 * high.value:.0f} % of the chains are out of the mode "
        f"at the "
        f"end, and {100 * stays[limit].value:.0f} % of those that were out at half time are back."
    )
    table = listed(
        *((f"${place:.2f}\\,s$", f"{share.text(2)}")
          for place, share in zip(places, out, strict=True)),
        head=("Noise level", "Share out of the mode"),
    )  # fmt: skip
    full = low.below(0.05) & away[limit]
    return judged(Ruling(full, ranges), high, reading, table=table)


@claim(
    "C23",
    section="4.3.1",
    page=PAGE,
    statement="Sanity check: initial actions lie within $10\\,\\alpha$ of the state (Eq 4.1 of the "
    "thesis), and after 100 steps within $B_\\varepsilon$.",
    number="share of chain ends in $B_\\varepsilon$, on the data set where it is smallest",
    unit="share",
    bound=(0.99, None),
    merit="share of chain ends in $B_\\varepsilon$, the smallest over the data sets",
    rule="Reproduced if on every data set at least 99 % of the starts lie in $B_{10\\alpha}$ "
    "and at "
    "least 99 % of the chain ends in $B_\\varepsilon$.",
    tried="path1, circle, mouse1 ($K = 256$) and mouse2 at $\\alpha = 0.01$; and " + GRID,
    studies=("sanity", "noise-level"),
    figure="4.3",
)
def c23(sanity: Results, noise_level: Results) -> Verdict:
    """The two shares, and whether the check tells good noise levels from bad ones."""
    starts = {name: estimate(sanity.values(name, "start_inside")) for name in DATASETS}
    found = {name: estimate(sanity.values(name, "end_inside")) for name in DATASETS}
    worst = min(found.values(), key=lambda share: share.low)
    grid = noise_level.completed()
    chains = [row for row in grid if row["mean_gap"][-1] > 3 or row["variance_ratio"][-1] > 3]
    density = [row for row in grid if row["density_mean_gap"] > 3]
    reading = (
        f"All four presets pass the check, but so do {passing(density)} of {len(density)} "
        f"trainings "
        "whose exact density has its mean far off."
        if worst.at_least(0.99).answer
        else f"On the worst data set {worst.text(4)} of the chain ends pass."
    )
    table = listed(
        ("starts that pass, smallest share",
         min(starts.values(), key=lambda share: share.low).text(4)),
        ("chain ends that pass, smallest share", worst.text(4)),
        ("trainings that pass, of those whose chains miss the demonstrated actions (mean off by "
         "over $3\\,s$, or over three times their variance)",
         f"{passing(chains)} of {len(chains)}"),
        ("trainings that pass, of those whose exact density has its mean off by over $3\\,s$",
         f"{passing(density)} of {len(density)}"),
    )  # fmt: skip
    holds = all_of(share.at_least(0.99) for share in (*starts.values(), *found.values()))
    return judged(Ruling(holds), worst, reading, table=table, parts=found)


@claim(
    "C24",
    section="4.3.1",
    page=PAGE,
    statement="Means close but variance large for many epochs: the noise level is too high.",
    number="share of trainings in which this sign tells whether the noise level is too high",
    unit="share",
    bound=(0.9, None),
    merit="share of trainings in which the sign (from epoch 200 to 500 the mean is off by less "
    "than $s$ and the variance is over twice the data's) tells a noise level above $1.5\\,s$ "
    "from a "
    "lower one",
    rule="Reproduced if over 90 % of the trainings with $K$ of 100 and more are told right, above "
    "and below $1.5\\,s$ each. In a stated range if at the first measurement (epoch 100) alone "
    "every mean above $1.5\\,s$ is off by less than $s$ and every variance there is larger "
    "than all "
    "below.",
    tried="circle, $\\alpha$ 0.001 to 0.02 (0.11 to $2.2\\,s$), $K$ 100 and 200, 500 epochs",
    studies=("noise-level",),
    figure="noise-gap",
)
def c24(noise_level: Results) -> Verdict:
    """The sign against the noise level."""
    long = [row for row in noise_level.completed() if steps_of(row) in LONG]
    right: dict[bool, dict[int, list[bool]]] = {True: {}, False: {}}
    for row in long:
        told = wide_at_the_mean(row) == too_high(row)
        right[too_high(row)].setdefault(row["seed"], []).append(told)
    by_side = {
        side: estimate([float(np.mean(each)) for each in seeds.values()] or [0.0])
        for side, seeds in right.items()
    }
    seeds = {row["seed"] for row in long}
    share = estimate(
        [float(np.mean([*right[True].get(s, []), *right[False].get(s, [])])) for s in sorted(seeds)]
    )
    high, low = ([row for row in long if too_high(row) == side] for side in (True, False))
    first = estimate([row["variance_ratio"][0] for row in high])
    last = estimate([row["mean_gap"][-1] for row in high])
    largest = max(row["variance_ratio"][0] for row in low)
    reading = (
        f"The sign appears in {100 * by_side[True].value:.0f} % of the {len(high)} trainings whose "
        f"noise level is too high, and in {100 * (1 - by_side[False].value):.0f} % of the "
        f"{len(low)} others."
    )
    table = listed(
        ("variance over the data's at epoch 100, noise level too high", first.text()),
        ("the same at lower noise levels, largest", f"{largest:.2g}"),
        ("distance of the means at the end, noise level too high (in $s$)", last.text(2)),
    )
    full = by_side[True].above(0.9) & by_side[False].above(0.9)
    close = all(row["mean_gap"][0] < 1 for row in high)
    apart = min(row["variance_ratio"][0] for row in high) > largest
    ranges = {"at epoch 100, before training runs away": fact(close and apart)}
    return judged(Ruling(full, ranges), share, reading, table=table)


def cell(noise_level: Results, alpha: float, steps: int, quantity: str) -> Estimate | None:
    """A quantity at the end of training in one cell of the grid; None if all trainings diverged."""
    name = f"noise/alpha-{alpha:g}-K-{steps}"
    found = [row[quantity] for row in noise_level.completed() if row["condition"] == name]
    values = [value[-1] if isinstance(value, list) else value for value in found]
    return estimate(values) if values else None
