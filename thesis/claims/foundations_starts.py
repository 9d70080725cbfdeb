"""Claims on where chains start and on what loss and R prove (sections 2.3.2 and 2.4)."""

from __future__ import annotations

import math

import numpy as np

from ebmlib.sampling.starts import DataStart, NoiseStart, PersistentStart, ReplayStart
from thesis.claim import Verdict, claim, judged, listed
from thesis.conditions import ALPHAS, DATASETS, STEPS, condition
from thesis.evidence import Evidence, Ruling, all_of, by_parts, every, fact
from thesis.runs import sampler_of
from thesis.statistics import Estimate, epochs_until, estimate
from thesis.study import Results

STUDY = "foundations-convergence"
THRESHOLD = 1.5
"""Nats of KL(data || model), a third of a flat density's, that C40 waits for."""

NOISE = "architecture/figure-3-2"
"""The circle with noise starts and K = 100; the other starts are called start/..."""

_STARTS = {
    NoiseStart: "noise starts",
    DataStart: "data starts",
    PersistentStart: "persistent chains",
    ReplayStart: "a replay buffer",
}


def in_words(name: str) -> str:
    """A condition by its chains: ``"noise starts, K = 25, alpha = 0.001"`` (Markdown)."""
    run = condition(name)
    sampler = sampler_of(run)
    start = _STARTS[type(getattr(run.objective, "start", NoiseStart()))]
    return f"{start}, $K = {sampler.steps}$, $\\alpha = {sampler.alpha:g}$"


def of_seeds(results: Results, name: str, quantity: str) -> np.ndarray:
    """A number over the seeds; infinite where a training diverged and has none."""
    found = [row.get(quantity) for row in results.of(name)]
    return np.array([math.inf if value is None else value for value in found], dtype=float)


def _level(alpha: float, steps: int) -> str:
    return f"noise/alpha-{alpha:g}-K-{steps}"


@claim(
    "C03",
    section="2.4",
    page="foundations/sgld",
    statement="With chains that start from noise $R$ rises during training, to a plateau.",
    number="rise of $R$ over the noise floor on circle, from first to last epochs",
    unit="noise floors",
    bound=(0.0, None),
    merit="$R$ over the noise floor on circle, mean of the last fifth of the epochs minus that of "
    "the first five",
    rule="$R$ rises if its mean over the last fifth exceeds that of the first five epochs by more "
    "than 3 standard deviations of the last fifth; it is on a plateau if the last two fifths "
    "differ by less than 15 % of the rise. Reproduced if both hold in every seed of all "
    "noise-started conditions; in a range if they hold for every $K$ at some of the noise levels, "
    "and on the four data sets.",
    tried="the four presets, mouse1 at $K = 100$, and circle at $\\alpha$ 0.001 to 0.02 with "
    "$K$ 25 "
    "to 200",
    studies=(STUDY,),
    figure="2.2",
)
def c03(results: Results) -> Verdict:
    """Rise and plateau of R."""

    def holds(name: str) -> Evidence:
        first, before, late, spread = (
            of_seeds(results, name, f"R_{key}") for key in ("first", "before", "late", "spread")
        )
        if not np.isfinite(late).all():
            return fact(False)
        rise = late - first
        return every((rise > 3 * spread) & (np.abs(late - before) < 0.15 * rise))

    rise = estimate(results.values("circle", "R_late") - results.values("circle", "R_first"))
    data = {name: holds(name) for name in (*DATASETS, "mouse1-K-100")}
    levels = {alpha: [holds(_level(alpha, steps)) for steps in STEPS] for alpha in ALPHAS}
    good = [alpha for alpha in ALPHAS if all_of(levels[alpha]).answer]
    each = [*data.values(), *(cell for row in levels.values() for cell in row)]
    held = sum(found.answer is True for found in each)
    where = f"on all data sets; $\\alpha$ {', '.join(f'{alpha:g}' for alpha in good)}"
    ranges = {where: all_of([*data.values(), *(all_of(levels[alpha]) for alpha in good[:1])])}
    reading = (
        f"$R$ rises to a plateau in {held} of {len(each)} conditions that start chains from noise."
    )
    table = listed(
        *((f"$\\alpha = {alpha:g}$", f"{sum(c.answer is True for c in row)} of {len(row)}")
          for alpha, row in levels.items()),
        ("the data sets", f"{sum(c.answer is True for c in data.values())} of {len(data)}"),
        head=("Noise level", "Conditions in which it holds"),
    )  # fmt: skip
    return judged(Ruling(all_of(each), ranges if good else {}), rise, reading, table=table)


@claim(
    "C05",
    section="2.3.2",
    page="foundations/training",
    statement="With chains that start at data and move little, a flat density also reaches loss 0; "
    "noise starts avoid this.",
    number="KL divergence of the model trained from data starts over that of a flat density",
    unit="times",
    bound=(0.75, None),
    merit="exact $\\mathrm{KL}(\\mathrm{data}\\,\\|\\,\\mathrm{model})$ after training with data "
    "starts over that of a flat density",
    rule="The first half holds if the data-started loss is within 0.1 nats of 0 over the last "
    "fifth (mean and standard deviation) and the KL is above three quarters of a flat density's. "
    "Reproduced if moreover the noise-started model of the same $\\alpha$ and $K$ ends below half "
    "of the flat density's KL; in a range if that model only stops being flat (its $R$ exceeds the "
    "floor by more than 5 %) without ending there. All in every seed.",
    tried="circle, $K = 20$, $\\alpha = 0.002$; for comparison $\\alpha = 0.01$ with $K$ 20 "
    "and 100",
    studies=(STUDY,),
    figure="flat-density",
)
def c05(results: Results) -> Verdict:
    """Data against noise starts at a small noise level."""
    data, noise = (f"start/{start}-K-20-alpha-0.002" for start in ("data", "noise"))
    flat = results.values(data, "kl_flat")
    kl = results.values(data, "kl_late")
    share = estimate(kl / flat)
    loss = np.abs(results.values(data, "loss_late")) + results.values(data, "loss_spread")
    first = every(loss < 0.1) & every(kl > 0.75 * flat)
    other = results.values(noise, "kl_late")
    converged = every(other < 0.5 * flat)
    steep = every(results.values(noise, "R_late") > 1.05)
    reading = (
        f"From data starts the loss is 0 and the density stays flat ({share.text()} of a flat "
        "density's KL), but noise starts with so few small steps end farther from the data still."
        if first.answer and not converged.answer
        else f"Data starts end at {share.text()} of a flat density's KL."
    )
    where = "in its first half: from data starts a flat density reaches loss 0"
    table = listed(
        ("KL, data starts (nats)", estimate(kl).text()),
        ("KL, noise starts (nats)", estimate(other).text()),
        ("KL of a flat density (nats)", f"{float(flat.mean()):.3g}"),
        ("loss of data starts, farthest from 0 (nats)", f"{loss.max():.2g}"),
    )
    return judged(Ruling(first & converged, {where: first & steep}), share, reading, table=table)


@claim(
    "C06",
    section="2.3.2",
    page="foundations/training",
    statement="A loss that oscillates around 0 does not prove that the model has converged.",
    number="largest KL divergence of a model whose loss oscillates around 0",
    unit="nats",
    bound=(None, None),
    merit="largest exact $\\mathrm{KL}(\\mathrm{data}\\,\\|\\,\\mathrm{model})$ among conditions "
    "whose loss oscillates around 0 (mean of the last fifth of the epochs smaller than its "
    "standard "
    "deviation)",
    rule="Reproduced if among these conditions one has in every seed a KL above a flat density's, "
    "and another one below a third of it.",
    tried="circle: its preset, eleven combinations of start, $K$ and $\\alpha$, and $\\alpha$ "
    "0.001 "
    "to 0.02 with $K$ 25 to 200 from noise; the preset of path1",
    studies=(STUDY,),
    figure="loss-and-kl",
)
def c06(results: Results) -> Verdict:
    """KL where the loss says nothing."""
    known = [row["condition"] for row in results.rows if row.get("kl_late") is not None]
    found = {}
    for name in dict.fromkeys(known):
        loss, spread = (of_seeds(results, name, f"loss_{key}") for key in ("late", "spread"))
        if (np.abs(loss) < spread).all():  # false where a training diverged
            found[name] = of_seeds(results, name, "kl_late")
    flat = float(results.values(NOISE, "kl_flat").mean())
    worst = max(found, key=lambda name: float(found[name].min()))
    best = min(found, key=lambda name: float(found[name].max()))
    above = sum(bool((kl > flat).all()) for kl in found.values())
    ruling = Ruling(every(found[worst] > flat) & every(found[best] < flat / 3))
    low, high = estimate(found[best]), estimate(found[worst])
    reading = (
        f"The loss oscillates around 0 in {len(found)} conditions, whose KL reaches from "
        f"{low.value:.2g} to {high.value:.3g} nats; a flat density has {flat:.3g}."
    )
    table = listed(
        (f"smallest ({in_words(best)})", low.text()),
        (f"largest ({in_words(worst)})", high.text()),
        ("conditions above a flat density", f"{above} of {len(found)}"),
        head=("KL (nats)", "Value"),
    )
    return judged(ruling, high, reading, table=table, bound=(flat, None))


def epochs_to(results: Results, name: str) -> np.ndarray:
    """Epochs until KL(data || model) first falls to the threshold, per seed; infinite if never."""
    return np.array(
        [
            epochs_until(row.get("kl_epochs", []), row.get("kl", []), THRESHOLD)
            for row in results.of(name)
        ]
    )


_CHAINS = {"persistent": "persistent chains", "replay": "replay buffer"}


@claim(
    "C40",
    section="2.4",
    page="foundations/sgld",
    statement="Persistent chains and a replay buffer speed up convergence.",
    number="epochs with persistent chains over epochs with noise starts, $K = 20$",
    unit="times",
    bound=(None, 1.0),
    merit="epochs until the exact $\\mathrm{KL}(\\mathrm{data}\\,\\|\\,\\mathrm{model})$ falls to "
    f"{THRESHOLD:g} nats, a third of a flat density's, with persistent chains over that with noise "
    "starts, $K = 20$",
    rule="A start is faster if the ratio lies below 1 at $K = 20$ and at $K = 100$, and its KL is "
    f"still below {THRESHOLD:g} nats at the end of every seed. Reproduced if both are; in a range "
    "if one is.",
    tried="circle, $\\alpha = 0.01$, $K$ 20 and 100, 1000 epochs; replay of five ends a pair with "
    "5 % restarts; the KL is measured every 50 epochs and interpolated",
    studies=(STUDY,),
    figure="starts",
)
def c40(results: Results) -> Verdict:
    """Epochs to a stated KL by start."""
    parts: dict[str, Evidence] = {}
    ratios: dict[str, Estimate] = {}
    rows = []
    for start, words in _CHAINS.items():
        holds = []
        for steps in (20, 100):
            name = f"start/{start}-K-{steps}"
            noise = NOISE if steps == 100 else "start/noise-K-20"
            ratio = epochs_to(results, name) / epochs_to(results, noise)
            late = of_seeds(results, name, "kl_late")
            if not np.isfinite(ratio).all() or not (late <= THRESHOLD).all():
                holds.append(fact(False))
                rows.append((f"{words}, $K = {steps}$", f"ends at {late.max():.2g} nats"))
                continue
            found = ratios[f"{words}, K = {steps}"] = estimate(ratio)
            holds.append(found.below(1))
            rows.append((f"{words}, $K = {steps}$", found.text()))
        parts[f"with a {words}" if start == "replay" else f"with {words}"] = all_of(holds)
    number = next(iter(ratios.values()), estimate([0.0]))
    spans = [f"{min(r.value for r in ratios.values()):.2g}"] if ratios else []
    spans += [f"{max(r.value for r in ratios.values()):.2g}"] if len(ratios) > 1 else []
    reading = (
        f"Both need fewer epochs than noise starts: {' to '.join(spans)} times as many."
        if all(r.below(1).answer for r in ratios.values())
        else f"They need {' to '.join(spans)} times the epochs of noise starts."
        if len(ratios) == len(rows)
        else "Not every training stays at the KL that it is to reach."
    )
    table = listed(*rows, head=("Chains", "Epochs over those of noise starts"))
    return judged(by_parts(parts), number, reading, table=table, parts=ratios)
