"""Figures of section 4.3.3 on chains that converge or only seem to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from ebmlib import figures, seeding
from ebmlib.figures.convergence import UNSTABLE, particles, phase_map
from ebmlib.figures.style import label_axes
from thesis.claims.convergence import ABOVE, EXCESS, R_says, noise_started
from thesis.conditions import NOISE_GRID
from thesis.figure import Source, figure
from thesis.runs import sampler_of
from thesis.statistics import interquartile_mean
from thesis.study import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebmlib.training.store import Trained

LOOKS = (0, 46, 100, 150)
PLACES = (8, 11, 14)
"""Places on the reference path whose chains are drawn."""

SMALL = "noise/alpha-0.001-K-100"
CONVERGING = "circle"


@figure(
    "4.8",
    "4.9",
    "4.10",
    "4.11",
    title="Particles on circle after 0, 46, 100 and 150 steps of samplers trained at K = 100",
    alt=(
        "Two rows of four panels show an arc of the circle with three states, their demonstrated "
        "next states as crosses, and blue particles. Top, alpha 0.01: the particles lie on the "
        "states at 0 steps and form the same wide clouds around the crosses at 46, 100 and 150. "
        "Bottom, alpha 0.001: the clouds are half way at 46, on the crosses at 100 and half a step "
        "past them at 150."
    ),
    conditions=(CONVERGING, SMALL),
)
def particles_on_circle(source: Source) -> Figure:
    """One row for chains that converge, one for chains that do not."""
    sheet, axes = figures.new(2, 4, width=10, height=5.8, sharex=True, sharey=True)
    for row, name in zip(axes, (CONVERGING, SMALL), strict=True):
        trained = source.trained(name)
        states, actions, chains = _chains(trained, source.seed)
        for panel, look, ends in zip(row, LOOKS, chains, strict=True):
            particles(panel, trained.demonstrations, states, actions, ends)
            alpha = sampler_of(trained.run).alpha
            panel.set_title(f"$\\alpha$ = {alpha:g}, {look} steps", fontsize=9)
            panel.label_outer()
    figures.legend_below(sheet)
    return sheet


def _chains(trained: Trained, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """States, demonstrated actions and chains at :data:`LOOKS` (4, n, m, 2)."""
    reference = trained.demonstrations.reference
    assert reference is not None
    population, device = 48, next(trained.model.parameters()).device
    states, actions = reference[list(PLACES)], np.diff(reference, axis=0)[list(PLACES)]
    sampler = replace(sampler_of(trained.run), steps=LOOKS[-1])
    generator = seeding.generator(seed, "particles", device)
    x = torch.tensor(states, dtype=torch.float32, device=device)
    start = sampler.start(len(x) * population, 2, generator=generator, like=x)
    score = trained.model.score(x).repeat(population)
    chain = sampler.chain(score, start, generator=generator, record=LOOKS)
    ends = chain.positions.reshape(len(LOOKS), len(x), population, 2).cpu().double().numpy()
    return states, actions, ends


@figure(
    "steps",
    title="Progress and distance to the demonstrated action over sampling steps, K = 100",
    alt=(
        "Two panels with a curve for each of four noise levels. Left, the progress along the "
        "demonstrated action over steps up to 200: at alpha 0.001 a straight line through one at "
        "100 steps, at 0.0025 a bent curve that crosses one there, at 0.005 and 0.01 curves that "
        "are at one early and stay. Right, the distance to the demonstrated action up to 1000 "
        "steps: for the two small noise levels it has its minimum at 100 steps and grows again."
    ),
    studies=("convergence",),
)
def over_steps(source: Source) -> Figure:
    """Signed progress near K, distance over a long chain."""
    results = source.results("convergence")
    sheet, (near, far) = figures.new(1, 2, width=9, height=3.6)
    styles = ("-", "--", "-.", ":")
    for number, alpha in enumerate((0.001, 0.0025, 0.005, 0.01)):
        name = f"noise/alpha-{alpha:g}-K-100"
        steps = results.values(name, "steps")[0]
        label, style = f"$\\alpha = {alpha:g}$", styles[number]
        short = steps <= 200
        for axes, quantity, chosen in ((near, "progress", short), (far, "distance", steps >= 10)):
            curve = interquartile_mean(results.values(name, quantity), axis=0)
            axes.plot(steps[chosen], curve[chosen], style, color=f"C{number}", label=label)
    near.axhline(1, color=figures.COLOURS["reference"], linewidth=0.8)
    far.set_xscale("log")
    far.set_yscale("log")
    for axes in (near, far):
        axes.axvline(100, color=figures.COLOURS["reference"], linestyle=":", linewidth=1)
    label_axes(near, "sampling steps $l$", "progress along the action")
    label_axes(far, "sampling steps $l$", "distance (steps $|a^*|$)")
    figures.legend_below(sheet)
    return sheet


@figure(
    "drift",
    title="Where chains are at 0.46 K, K, 1.5 K and 10 K, over noise level and K",
    alt=(
        "Four maps over five noise levels and six K with a number in every cell. At K the progress "
        "is near one in every stable cell. At 0.46 K it is near 0.46 in the lower left, where "
        "noise level and K are small, and one to the right. At 1.5 K it is near 1.5 in the lower "
        "left and one to the right, and the distance after 10 K is three to five steps there and "
        "near zero to the right. The column of the largest noise level is marked: "
        "its chains run away."
    ),
    studies=("convergence",),
)
def drift_map(source: Source) -> Figure:
    """Signed progress at four times, one map each."""
    results = source.results("convergence")
    columns = {
        "progress_before": "progress at $0.46\\,K$",
        "progress_at": "progress at $K$",
        "progress_after": "progress at $1.5\\,K$",
        "distance_long": "distance after $10\\,K$ (steps $|a^*|$)",
    }
    sheet, axes = figures.new(2, 2, width=9, height=7, sharex=True, sharey=True)
    for panel, (quantity, title) in zip(axes.flat, columns.items(), strict=True):
        values, scale = _over_grid(results, quantity)
        centre, limits = (1.0, (0.4, 1.6)) if quantity != "distance_long" else (None, (0, 6))
        image = phase_map(panel, values, scale=scale, centre=centre, limits=limits)
        sheet.colorbar(image, ax=panel, shrink=0.9)
        panel.set_title(title, fontsize=10)
        panel.label_outer()
    return sheet


def _over_grid(results: Results, quantity: str) -> tuple[dict[tuple[float, int], float], float]:
    """(alpha, K) -> interquartile mean over seeds, and the data's scale s."""
    found: dict[tuple[float, int], float] = {}
    rows = [row for row in results.rows if row["condition"] in NOISE_GRID and "K" in row]
    for row in rows:
        values = results.values(row["condition"], quantity)
        found[row["alpha"], row["K"]] = float(interquartile_mean(values))
    return found, rows[0]["s"]


@figure(
    "verdict-of-R",
    title="R's verdict against the exact one, over all models",
    alt=(
        "Scatter plot, one mark a model: R over its noise floor on the horizontal axis against the "
        "excess total variation to the model's exact density on the vertical one. "
        "Blue marks, which R calls converged, lie below the dashed line and above it, many at one, "
        "where chain and density have nothing in common. Of the orange marks, which R rejects, "
        "some lie far above the line and some below it, at the left of a dotted line."
    ),
    studies=("convergence",),
)
def verdict_of_R(source: Source) -> Figure:
    """R's plateau against the exact distance; the colour is R's verdict."""
    rows = [row for row in source.results("convergence").rows if row.get("excess") is not None]
    sheet, axes = figures.new(width=8, height=4)
    colours = {True: figures.COLOURS["chain"], False: figures.COLOURS["limit"]}
    names = {True: "yes", False: "no"}
    for said in (True, False):
        for noise, marker in ((True, "o"), (False, "D")):
            chosen = [r for r in rows if R_says(r) == said and noise_started(r) == noise]
            # a model whose R ran away is shown at the right edge
            x = [min(r["R_plateau"] or UNSTABLE, UNSTABLE) - 1 for r in chosen]
            label = f"$R$: {names[said]}, {'noise' if noise else 'other'} start"
            face = {} if noise else {"markerfacecolor": "none", "markersize": 8}
            axes.plot(x, [r["excess"] for r in chosen], marker,
                      **{"color": colours[said], "markersize": 5, "alpha": 0.8} | face,
                      label=label)  # fmt: skip
    axes.axhline(EXCESS, color=figures.COLOURS["reference"], linestyle="--", linewidth=1,
                 label="border of the exact verdict")  # fmt: skip
    axes.axvline(ABOVE - 1, color=figures.COLOURS["reference"], linestyle=":", linewidth=1,
                 label="least rise for a yes")  # fmt: skip
    axes.set_xscale("symlog", linthresh=0.01)
    axes.set_xlim(left=-0.001)
    label_axes(axes, "$R$ over its noise floor, less 1 (last fifth)",
               "excess total variation\nto the exact density")  # fmt: skip
    figures.legend_below(sheet)
    return sheet


@figure(
    "step-scale",
    title="Two readings of K times the step scale against r_k, over training",
    alt=(
        "Line plot with a logarithmic axis of two ratios over epochs. Reading 1, noise over path, "
        "stays just below one. Reading 2, summed gradient steps over the distance gained, rises "
        "from near zero within a hundred epochs, to about nine at alpha 0.01 and to one at alpha "
        "0.001."
    ),
    studies=("step-scale",),
)
def step_scale(source: Source) -> Figure:
    """Both ratios on the circle, and the second where chains do not converge."""
    results = source.results("step-scale")
    sheet, axes = figures.new()
    colours = figures.COLOURS
    curves = (
        ("architecture/figure-3-2", "noise", "path", colours["reference"], ":", "reading 1"),
        ("architecture/figure-3-2", "drift", "net", colours["chain"], "-", "reading 2"),
        (SMALL, "drift", "net", colours["limit"], "--", "reading 2"),
    )
    for name, above, below, colour, style, label in curves:
        ratio = results.values(name, above) / results.values(name, below)
        epochs = results.values(name, "epochs")[0]
        alpha = "0.001" if name == SMALL else "0.01"
        axes.plot(epochs, interquartile_mean(ratio, axis=0), style, marker=".", color=colour,
                  label=f"{label}, $\\alpha = {alpha}$")  # fmt: skip
    axes.axhline(1, color=colours["reference"], linewidth=0.8)
    axes.set_yscale("log")
    label_axes(axes, "epoch", "ratio ($K$ times the step scale to $r_k$)")
    figures.legend_below(sheet)
    return sheet
