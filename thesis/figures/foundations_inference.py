"""Figures of sections 2.1 to 2.3: compatibility, estimators, temperature, objectives."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import optimize, special, stats

from ebmlib import figures
from ebmlib.demonstrations.dataset import DemonstrationConfig, load_demonstrations
from ebmlib.evaluation import gumbel, metrics
from ebmlib.evaluation.chain_law import ChainLaw
from ebmlib.evaluation.exact import Grid
from ebmlib.sampling.sgld import SGLD
from thesis.figure import Source, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PRIOR = (-2.0, 0.8)
"""Mean and standard deviation of the prior of the MAP estimate that the figure shows."""

_MAP = "#CC79A7"
LABELS = ("circle", "path1", "mouse1", "mouse2")


def compatibility() -> dict[str, float]:
    """E(stroke, label): mean squared distance of a partial stroke to the label's drawing."""
    return {
        label: float((metrics.distance_to_polyline(_stroke(), _template(label)) ** 2).mean())
        for label in LABELS
    }


def _stroke() -> np.ndarray:
    """The observation: the first 45 points of a shaky circle."""
    return load_demonstrations(DemonstrationConfig("circle", sigma=0.03)).trajectories[0][:46]


def _template(label: str) -> np.ndarray:
    data = load_demonstrations(DemonstrationConfig(label, sigma=0.0))
    return np.asarray(data.trajectories[0])


@figure(
    "2.1",
    title="Compatibility of an observation and a label",
    alt=(
        "Three panels. Left: a shaky stroke in black follows the first half of a circle, over thin "
        "drawings of circle, path1, mouse1 and mouse2. Middle: bars of the energy of the stroke "
        "with each label; the circle's is too short to be seen. Right: ten times the energy minus "
        "four; the circle's is now negative, and the order is the same."
    ),
)
def observation_and_label(source: Source) -> Figure:
    """A stroke and four labels, energies before and after a change of scale and level."""
    sheet, (left, middle, right) = figures.new(1, 3, width=9.5, height=3.4)
    colours = dict(zip(LABELS, ("#0072B2", "#D55E00", "#009E73", "#CC79A7"), strict=True))
    for label, colour in colours.items():
        left.plot(*_template(label).T, color=colour, linewidth=1, label=label)
    left.plot(*_stroke().T, color="black", linewidth=2.2, label="observation")
    left.set_aspect("equal")
    figures.label_axes(left, "$x_1$ (normalised length)", "$x_2$ (normalised length)")
    energies = compatibility()
    values = np.array(list(energies.values()))
    for axes, heights, name in (
        (middle, values, "$E$"),
        (right, 10 * values - 4, r"$10\,E - 4$"),
    ):
        axes.barh(LABELS, heights, color=[colours[label] for label in LABELS], height=0.55)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        figures.label_axes(axes, f"{name} (normalised length$^2$)", "")
    middle.set_title("energy of the pair")
    right.set_title("other scale and level, same order")
    left.set_title("observation and labels")
    figures.legend_below(sheet)
    return sheet


@figure(
    "inference",
    title="ML, MAP and EXP on a skewed density, and the losses that they minimise",
    alt=(
        "Two panels over the action. Left: a density with a long tail to the left; dashed to its "
        "left a prior. Vertical lines mark ML at the mode, EXP in the tail's direction and MAP "
        "between mode and prior. Right: three curves of expected loss; squared error is least at "
        "EXP, the chance to miss by more than a quarter is least near ML, absolute error between."
    ),
)
def three_estimators(source: Source) -> Figure:
    """The three estimators of section 2.1 on the skewed target."""
    sheet, (left, right) = figures.new(1, 2, width=9, height=3.4)
    a = np.linspace(-5, 2, 701)
    p = gumbel.density(a)
    points = {
        "ML": (gumbel.mode(), figures.COLOURS["ML"]),
        "EXP": (gumbel.mean(), figures.COLOURS["EXP"]),
        "MAP": (gumbel.map_estimate(*PRIOR), _MAP),
    }
    left.plot(a, p, color="black", label="density $p(a)$")
    left.plot(a, stats.norm.pdf(a, *PRIOR), "--", color=_MAP, label="prior $p_0(a)$")
    for name, (place, colour) in points.items():
        for axes in (left, right):
            axes.axvline(place, color=colour, label=name, linewidth=1.6)
    cumulative = stats.gumbel_l.cdf
    guess = np.linspace(-2.2, 1.2, 341)
    step = a[1] - a[0]
    absolute = (np.abs(a[None] - guess[:, None]) * p).sum(axis=1) * step
    losses = {
        "squared error": (gumbel.variance() + (guess - gumbel.mean()) ** 2, "-"),
        "absolute error": (absolute, "--"),
        "chance to miss by 1/4": (1 - cumulative(guess + 0.25) + cumulative(guess - 0.25), ":"),
    }
    for name, (loss, style) in losses.items():
        right.plot(guess, loss / loss.min(), style, color="black", label=name)
    right.set_ylim(0.98, 1.6)
    figures.label_axes(left, "action $a$", "density")
    figures.label_axes(right, "estimate", "expected loss over its minimum")
    figures.legend_below(sheet)
    return sheet


@figure(
    "temperature",
    title="One energy at several temperatures",
    alt=(
        "Three panels. First: the skewed energy, a valley that is steep on the right. Second: its "
        "density at temperatures a quarter, one and three; it is narrow and high when cold, broad "
        "and low with a long left tail when hot. Third: against temperature the mode stays at "
        "zero, the mean falls away from it and the standard deviation grows."
    ),
)
def temperatures(source: Source) -> Figure:
    """Eq 2.1 at several temperatures."""
    sheet, (first, second, third) = figures.new(1, 3, width=10, height=3.3)
    a = np.linspace(-5, 2, 400)
    first.plot(a, gumbel.energy(a), color="black")
    figures.label_axes(first, "action $a$", "energy $E(a)$")
    for temperature, style in ((0.25, "-"), (1.0, "--"), (3.0, ":")):
        density = gumbel.density(a, temperature=temperature)
        second.plot(a, density, style, label=f"$T$ = {temperature:g}")
    second.legend(loc="upper left")
    figures.label_axes(second, "action $a$", "density $p(a)$")
    T = np.geomspace(0.05, 4, 80)
    mean = [gumbel.mean(temperature=t) for t in T]
    spread = [math.sqrt(gumbel.variance(temperature=t)) for t in T]
    third.plot(T, np.zeros_like(T), color=figures.COLOURS["ML"], label="mode (ML)")
    third.plot(T, mean, "--", color=figures.COLOURS["EXP"], label="mean (EXP)")
    third.plot(T, spread, ":", color="black", label="standard deviation")
    third.legend(loc="upper left", bbox_to_anchor=(0, 0.93))
    third.set_ylim(-5, 7)
    figures.label_axes(third, "temperature $T$", "action")
    return sheet


NOISE = (-0.5, 1.6)
"""Mean and standard deviation of the noise that noise-contrastive estimation compares with."""
BLUR = 0.7
"""Standard deviation of the noise of denoising score matching."""


def objectives(k: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Objectives on the family p_k(a) ~ exp(k a - exp a), data from k = 1, and NCE's constant.

    Likelihood: log Gamma(k) - k psi(1). Score matching: (k - 1)^2 / 2 up to a constant. Denoising
    score matching with noise s: (k - exp(s^2 / 2))^2 / 2. Noise contrast: by quadrature, least
    over the free constant c that stands for -log Z.
    """
    a = np.linspace(-25, 6, 4001)
    h, data, noise = a[1] - a[0], gumbel.density(a), stats.norm.pdf(a, *NOISE)
    log_noise = stats.norm.logpdf(a, *NOISE)

    def contrast(c: float, shape: float) -> float:
        ratio = shape * a - np.exp(a) + c - log_noise
        return float(h * (data @ np.logaddexp(0, -ratio) + noise @ np.logaddexp(0, ratio)))

    found = [optimize.minimize_scalar(contrast, (-2, 2), args=(shape,)) for shape in k]
    values = {
        "maximum likelihood": special.gammaln(k) - k * special.psi(1),
        "score matching": (k - 1) ** 2 / 2,
        "denoising score matching": (k - math.exp(BLUR**2 / 2)) ** 2 / 2,
        "noise contrast": np.array([result.fun for result in found]),
    }
    return values, np.array([result.x for result in found])


@figure(
    "objectives",
    title="Objectives of section 2.3 on a family with one parameter",
    alt=(
        "Two panels over the family's parameter k. Left: four convex curves; those of maximum "
        "likelihood, score matching and noise contrast are least at the true value one, that of "
        "denoising score matching at about one point three. Right: the constant that noise "
        "contrast learns touches minus the logarithm of the partition function at k equal to one, "
        "and lies above it elsewhere."
    ),
)
def four_objectives(source: Source) -> Figure:
    """Likelihood, score matching, its denoising form and noise contrast."""
    sheet, (left, right) = figures.new(1, 2, width=9, height=3.4)
    k = np.linspace(0.4, 2, 17 if source.small else 65)
    values, constants = objectives(k)
    for (name, value), style in zip(values.items(), ("-", "--", ":", "-."), strict=True):
        scaled = (value - value.min()) / (value[0] - value.min())
        left.plot(k, scaled, style, label=name)
        left.plot(k[value.argmin()], 0, "o", color=left.lines[-1].get_color(), clip_on=False)
    left.axvline(1, color=figures.COLOURS["reference"], linewidth=0.8)
    figures.label_axes(left, "parameter $k$", "above minimum (scaled)")
    right.plot(k, constants, "-.", color="#CC79A7", label="constant learned by noise contrast")
    right.plot(k, -special.gammaln(k), color="black", label=r"$-\log Z(k)$")
    right.axvline(1, color=figures.COLOURS["reference"], linewidth=0.8)
    figures.label_axes(right, "parameter $k$", "constant (nats)")
    figures.legend_below(sheet)
    return sheet


def contrastive_estimate(start: str, steps: int, alpha: float = 0.5) -> float:
    """The k at which contrastive divergence of K steps is at rest, for data from k = 1.

    d f / d k = a, so training rests where the chains' exact mean is the data's, psi(1).
    """
    grid = Grid(8.0, 1, 161)
    actions = grid.actions(torch.empty(0, dtype=torch.float64))
    data = torch.as_tensor(gumbel.density(actions[:, 0])) * grid.spacing
    target = float(data @ actions[:, 0])

    def gap(k: float) -> float:
        chain = ChainLaw(lambda a: k - a.clamp(max=4).exp(), grid, SGLD(alpha=alpha))
        begin = data if start == "data" else chain.start()
        law = chain.after(begin, steps)
        return float(law @ actions[:, 0] / law.sum()) - target

    return float(optimize.brentq(gap, 1e-3, 2.0))


@figure(
    "short-chains",
    title="What contrastive divergence with short chains rests at",
    alt=(
        "Line plot of the learned parameter over ten to a hundred steps K on a logarithmic axis. "
        "Chains from noise give far too small values when they are short and pass the true value "
        "one at fifty steps; chains from data lie slightly above it at every length."
    ),
)
def short_chains(source: Source) -> Figure:
    """The parameter that K-step contrastive divergence learns, by start."""
    sheet, axes = figures.new(height=3.0)
    lengths = (10, 20) if source.small else (10, 14, 20, 30, 50, 100)
    for start, style, colour in (("noise", "o-", "chain"), ("data", "s--", "data")):
        values = [contrastive_estimate(start, steps) for steps in lengths]
        axes.plot(lengths, values, style, color=figures.COLOURS[colour], label=f"{start} starts")
    axes.axhline(1, color="black", linewidth=0.8, label="truth")
    axes.set_xscale("log")
    axes.set_xticks(lengths, [str(steps) for steps in lengths])
    axes.minorticks_off()
    figures.label_axes(axes, "chain steps $K$", "learned parameter $k$")
    figures.legend_below(sheet)
    return sheet
