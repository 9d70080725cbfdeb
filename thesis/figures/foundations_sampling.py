"""Figures of section 2.4: what the sampler does, on a Gaussian and on trained models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ebmlib import figures, seeding
from ebmlib.evaluation import gaussian
from ebmlib.evaluation.chain_law import ChainLaw, total_variation
from ebmlib.evaluation.exact import Grid
from ebmlib.sampling.sgld import SGLD
from thesis.conditions import DATASETS, condition
from thesis.figure import Source, figure
from thesis.runs import sampler_of
from thesis.studies.foundations_sampling import LEVELS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STEPS = 60
_ALPHA, _START = 0.5, 3.0
CONVERGING = {
    "mouse1, $K$ = 256": "mouse1",
    "mouse1, $K$ = 100": "mouse1-K-100",
}
NOT_CONVERGING = {
    r"noise, $\alpha$ = 0.01": ("start/noise-K-20", "-"),
    r"noise, $\alpha$ = 0.002": ("start/noise-K-20-alpha-0.002", "--"),
    r"data, $\alpha$ = 0.002": ("start/data-K-20-alpha-0.002", ":"),
}
"""Label -> condition and line; circle at K = 20."""


def in_words(name: str) -> str:
    """A condition as a figure names it: ``noise/alpha-0.005-K-25`` is circle at that level."""
    if name in DATASETS:
        return name
    run = condition(name)
    data, sampler = run.data.source, sampler_of(run)
    other = sampler.alpha != sampler_of(condition(data)).alpha
    level = f", $\\alpha$ = {sampler.alpha:g}" if other else ""
    return f"{data}{level}, $K$ = {sampler.steps}"


@figure(
    "gaussian-chain",
    title="A Langevin chain on a Gaussian against its closed forms",
    alt=(
        "Four panels; dots from simulated chains lie on lines from closed forms. The mean falls "
        "geometrically to zero, the variance rises to a limit slightly above the target's, the "
        "autocorrelation falls geometrically, and the mean step grows with the noise level, faster "
        "than the dotted noise floor, without bound at twice the target's standard deviation."
    ),
)
def gaussian_chain(source: Source) -> Figure:
    """Mean, variance, autocorrelation and R of simulated chains on N(0, 1), with closed forms."""
    sheet, axes = figures.new(2, 2, width=9, height=5.4)
    (mean, variance), (correlation, step) = axes
    steps = np.arange(0, _STEPS + 1, 3)
    positions = _simulated(2000 if source.small else 8000, tuple(steps))
    line = np.arange(_STEPS + 1)
    dots: dict[str, Any] = {"color": figures.COLOURS["chain"], "markersize": 4}
    curve: dict[str, Any] = {"color": figures.COLOURS["limit"]}
    mean.plot(steps, positions.mean(axis=1), "o", **dots, label="simulated")
    expected = [gaussian.mean_after(int(k), _ALPHA, 1.0, _START) for k in line]
    mean.plot(line, expected, **curve, label="closed form")
    figures.label_axes(mean, "steps $K$", "mean (units of $s$)")
    variance.plot(steps, positions.var(axis=1), "o", **dots)
    variance.plot(line, [gaussian.variance_after(int(k), _ALPHA, 1.0, 0.0) for k in line], **curve)
    variance.axhline(1, color="black", linewidth=0.8, linestyle="--", label="target")
    figures.label_axes(variance, "steps $K$", "variance (units of $s^2$)")
    late = positions[steps >= 30]
    lags = steps[steps >= 30] - 30
    found = [np.corrcoef(late[0], row)[0, 1] for row in late]
    correlation.plot(lags, found, "o", **dots)
    rho = 1 - _ALPHA**2 / 2
    correlation.plot(line[:31], rho ** line[:31], **curve)
    figures.label_axes(correlation, "lag (steps)", "autocorrelation")
    _step_lengths(step, dots, curve)
    figures.legend_below(sheet)
    return sheet


def _simulated(chains: int, steps: tuple[int, ...]) -> np.ndarray:
    """Positions after ``steps`` of 1-D chains that start at one point, (len(steps), chains)."""
    start = torch.full((chains, 1), _START, dtype=torch.float64)
    sampler = SGLD(alpha=_ALPHA, steps=int(max(steps)))
    generator = seeding.generator(0, "figure/gaussian-chain")
    found = sampler.chain(lambda a: -a, start, generator=generator, record=steps)
    return found.positions[:, :, 0].numpy()


def _step_lengths(axes: Any, dots: dict[str, Any], curve: dict[str, Any]) -> None:
    """R in 2-D over the noise level: simulated at stationarity, closed form and floor."""
    generator = seeding.generator(0, "figure/gaussian-steps")
    levels = np.linspace(0.2, 1.8, 9)
    found = []
    for alpha in levels:
        spread = gaussian.stationary_variance(float(alpha), 1.0) ** 0.5
        start = spread * torch.randn(2000, 2, generator=generator, dtype=torch.float64)
        chain = SGLD(alpha=float(alpha), steps=20).chain(
            lambda a: -a, start, generator=generator, length=True
        )
        found.append(float(chain.mean_step.mean()))
    axes.plot(levels, found, "o", **dots)
    line = np.linspace(0.02, 1.92, 96)
    axes.plot(line, [gaussian.stationary_mean_step(float(al), 1.0, 2) for al in line], **curve)
    floor = [gaussian.noise_floor(float(alpha), 2) for alpha in line]
    axes.plot(line, floor, ":", color="black", label="noise floor")
    axes.axvline(2, color="black", linewidth=0.8)
    axes.annotate("unstable", (2, 0.3), xytext=(-6, 0), textcoords="offset points", ha="right")
    figures.label_axes(axes, r"noise level $\alpha$ (units of $s$)", "$R$ in 2-D (units of $s$)")


@figure(
    "noise-law",
    title="Distance of the chain's law to the model over the noise level, circle",
    alt=(
        "Two panels over the noise level. Left: total variation after one hundred steps is high at "
        "the smallest level, lowest at half the trained level and rises to above a half at the "
        "largest; without the approach from noise it grows from zero. Right: the variance of the "
        "chain over the model's grows from one, above the Gaussian closed form except at the "
        "largest level."
    ),
    studies=("foundations-noise-law",),
)
def noise_law(source: Source) -> Figure:
    """Exact law against exact density (claim C02)."""
    results = source.results("foundations-noise-law")
    sheet, (left, right) = figures.new(1, 2, width=9, height=3.4)
    alpha = 0.01 * np.array(LEVELS)
    for name, style, label in (
        ("tv_short", "o-", "100 steps from noise"),
        ("tv_long", "s--", "long chain"),
    ):
        left.plot(alpha, results.values("circle", name).mean(axis=0), style, label=label)
    ratio = results.values("circle", "variance").mean(axis=0)
    right.plot(alpha, ratio, "s--", color=left.lines[1].get_color())
    spread = float(source.results("foundations-convergence").values("circle", "model_std").mean())
    line = np.linspace(0.001, 0.025, 60)
    closed = [gaussian.stationary_variance(float(each), spread) / spread**2 for each in line]
    right.plot(line, closed, color=figures.COLOURS["limit"], label="Gaussian of the model's scale")
    for axes in (left, right):
        axes.axvline(0.01, color="black", linewidth=0.8, linestyle=":", label="trained with")
    right.set_ylim(0.8, 8)
    figures.label_axes(left, r"noise level $\alpha$ (normalised units)", "total variation")
    figures.label_axes(right, r"noise level $\alpha$ (normalised units)", "variance over model's")
    figures.legend_below(sheet)
    return sheet


@figure(
    "chain-length",
    title="Length that a longer chain adds per step, measured and predicted",
    alt=(
        "Dot plot with one row per model. Dots for the length gained per step between K and 2 K "
        "and crosses for the exact prediction coincide in nearly all rows, a few per cent above "
        "the noise floor; open squares for a Gaussian of the data's scale often lie elsewhere."
    ),
    studies=("foundations-length",),
)
def chain_length(source: Source) -> Figure:
    """Gain of length against its exact value (claim C04)."""
    results = source.results("foundations-length")
    sheet, axes = figures.new(width=8, height=3.6)
    names = results.conditions
    rows = np.arange(len(names))
    marks = {
        "gain": ("o", "from $K$ to $2K$", figures.COLOURS["chain"]),
        "exact": ("x", "exact, on the model", "black"),
        "gaussian": ("s", "Gaussian of scale $s$", figures.COLOURS["limit"]),
        "first": ("^", "first $K$ steps", "#CC79A7"),
    }
    for key, (mark, label, colour) in marks.items():
        values = [results.values(name, key).mean() for name in names]
        face = "none" if mark in "s^" else colour
        axes.plot(values, rows, mark, color=colour, markerfacecolor=face, label=label)
    axes.axvline(1, color="black", linestyle=":", linewidth=1)
    axes.set_yticks(rows, [in_words(name) for name in names])
    axes.invert_yaxis()
    figures.label_axes(axes, "mean step over the noise floor", "")
    figures.legend_below(sheet)
    return sheet


@figure(
    "burn-in",
    title="Burn-in and mixing between two modes",
    alt=(
        "Two panels. Left: image of the chain's exact density over action and step on a "
        "logarithmic axis; it starts at minus one, fills the left mode within some ten steps and "
        "the right mode only after hundreds. Right: total variation to the target over the steps "
        "for two close, two medium and two distant modes; the further apart, the longer at a half."
    ),
)
def burn_in(source: Source) -> Figure:
    """The exact law of a chain on two modes."""
    sheet, (left, right) = figures.new(1, 2, width=9, height=3.5)
    stops = np.unique(np.geomspace(1, 100 if source.small else 3000, 36).astype(int))
    for gap, style in ((0.7, "-"), (0.85, "--"), (1.0, ":")):
        chain, target, laws = two_modes(gap, stops)
        distance = [total_variation(law, target) for law in laws]
        right.plot(stops, distance, style, label=f"modes at $\\pm${gap:g}")
        if gap == 0.85:
            image = torch.stack(laws).numpy().T / chain.grid.spacing
            mesh = left.pcolormesh(stops, chain.actions[:, 0].numpy(), image, shading="nearest")
            sheet.colorbar(mesh, ax=left, label="density")
    left.grid(visible=False)
    for axes in (left, right):
        axes.set_xscale("log")
    right.set_ylim(0, 1)
    figures.label_axes(left, "step", "action $a$")
    figures.label_axes(right, "step", "total variation to the target")
    right.legend(loc="lower left")
    return sheet


def two_modes(gap: float, stops: np.ndarray) -> tuple[ChainLaw, torch.Tensor, list[torch.Tensor]]:
    """A chain (alpha 0.15) on two Gaussians of width 0.3 at +-gap: its laws at the stops."""

    def log_density(a: torch.Tensor) -> torch.Tensor:
        sides = torch.cat([a - gap, a + gap], dim=1)
        return torch.logsumexp(-(sides**2) / (2 * 0.3**2), dim=1)

    def score(a: torch.Tensor) -> torch.Tensor:
        a = a.detach().requires_grad_()
        return torch.autograd.grad(log_density(a).sum(), a)[0]

    chain = ChainLaw(score, Grid(2.2, 1, 80), SGLD(alpha=0.15))
    target = torch.softmax(log_density(chain.actions), dim=0)
    law, done, laws = chain.start(torch.tensor([-1.0]), 0.1), 0, []
    for stop in stops:
        law, done = chain.after(law, int(stop) - done), int(stop)
        laws.append(law)
    return chain, target, laws


@figure(
    "2.2",
    title="R over training: chains that converge and chains that do not",
    alt=(
        "Two panels of R over its noise floor. Left: mouse1 with K 256 and K 100; both rise "
        "quickly from one and then ever more slowly, to a little below 1.1. Right, on a "
        "logarithmic axis: on circle with twenty steps, noise starts at the usual noise level rise "
        "to 1.14; at a fifth of it they rise to about 1.55; data starts at a fifth of it never "
        "leave one."
    ),
    conditions=("mouse1", "mouse1-K-100", *(name for name, _ in NOT_CONVERGING.values())),
)
def mean_steps(source: Source) -> Figure:
    """R of converging and non-converging chains."""
    sheet, (left, right) = figures.new(1, 2, width=9, height=3.6)
    for label, name in CONVERGING.items():
        left.plot(relative(source, name), linewidth=0.8, label=label)
    for label, (name, style) in NOT_CONVERGING.items():
        right.plot(relative(source, name), style, linewidth=1.1, label=label)
    right.set_yscale("log")
    right.set_yticks([1, 1.2, 1.4, 1.6], ["1", "1.2", "1.4", "1.6"])
    right.minorticks_off()
    left.set_title("mouse1")
    right.set_title("circle, $K$ = 20")
    for axes in (left, right):
        axes.axhline(1, color="black", linestyle=":", linewidth=1)
        axes.legend(loc="center right")
        figures.label_axes(axes, "epoch", "$R$ over its noise floor")
    return sheet


def relative(source: Source, name: str) -> np.ndarray:
    """R of a condition over its noise floor, averaged over ten epochs."""
    trained = source.trained(name)
    floor = gaussian.noise_floor(sampler_of(trained.run).alpha, 2)
    R = np.asarray(trained.history["R"]) / floor
    width = min(10, len(R))
    return np.convolve(R, np.ones(width) / width, mode="valid")


@figure(
    "annealing",
    title="Score of samples with constant and annealed noise",
    alt=(
        "Dot plot with one row per data set. The scores with constant noise and with three "
        "annealed schedules lie close together, all far to the left of the chains' starts."
    ),
    studies=("foundations-annealing",),
)
def annealing(source: Source) -> Figure:
    """Constant against annealed noise (claim C01)."""
    results = source.results("foundations-annealing")
    sheet, axes = figures.new(width=8, height=2.8)
    names = {
        "constant": ("o", "constant"),
        "annealed-3": ("x", "annealed to 1/3"),
        "annealed-10": ("+", "annealed to 1/10"),
        "annealed-from-above": ("s", "from 3/2 to 1/2"),
        "start": ("|", "start of the chains"),
    }
    for key, (mark, label) in names.items():
        values = [results.values(name, f"score/{key}").mean() for name in DATASETS]
        axes.plot(values, range(len(DATASETS)), mark, label=label, markerfacecolor="none")
    axes.set_yticks(range(len(DATASETS)), DATASETS)
    axes.set_xlim(left=0)
    axes.invert_yaxis()
    figures.label_axes(axes, "energy score (normalised units)", "")
    figures.legend_below(sheet)
    return sheet
