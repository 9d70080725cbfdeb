"""Figures of section 4.3.1: what the noise level does to the sampler and to training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.colors import LogNorm
from matplotlib.patches import Circle
from torch import Tensor

from ebmlib import figures, seeding
from ebmlib.evaluation import gaussian
from thesis.claims.noise_level import cell
from thesis.conditions import ALPHAS, STEPS
from thesis.figure import Source, figure
from thesis.runs import sampler_of
from thesis.statistics import interquartile_mean
from thesis.studies.noise_level import MODE, demonstrated_actions, ends
from thesis.study import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {25: "#56B4E9", 50: "#E69F00", 100: "#0072B2", 200: "#D55E00"}
MARKERS = {25: "o", 50: "s", 100: "^", 200: "D"}
MOST = 100.0
"""Gaps and ratios are drawn up to here; a training that ran away is at the upper edge."""


@figure(
    "4.3",
    "4.4",
    title="SGLD sanity check: action populations before and after K steps",
    alt=(
        "Two panels with eight states of the circle as dots and one of them enlarged in the "
        "middle. Left, before the chains run: a blue cloud of sampled actions lies on each state, "
        "well within a dashed ring, and green crosses of demonstrated actions lie one step on. "
        "Right, after the steps: every blue cloud has moved onto the green crosses of its state."
    ),
    conditions=("circle",),
)
def sanity_check(source: Source) -> Figure:
    """Populations at eight states of the circle, drawn where the action leads: x + a."""
    trained = source.trained("circle")
    data, sampler = trained.demonstrations, sampler_of(trained.run)
    truth = demonstrated_actions(data, 8)
    generator = seeding.generator(source.seed, "figure 4.3", source.where)
    found = ends(
        trained.model, truth, sampler, 60, generator=generator, record=(0, sampler.steps)
    ).cpu()
    pair_states, pair_actions = torch.tensor(data.states), torch.tensor(data.actions)
    states = torch.tensor(truth.states)
    nearest = torch.cdist(states, pair_states).topk(20, largest=False).indices
    target = states[:, None] + pair_actions[nearest]
    sheet, axes = figures.new(1, 2, width=8.0, height=4.8, sharex=True, sharey=True)
    titles = ("before: starts from noise", f"after {sampler.steps} steps")
    for panel, population, title in zip(axes, found, titles, strict=True):
        _populations(panel, states, states[:, None] + population, target, 10 * sampler.alpha)
        inset = panel.inset_axes((0.25, 0.28, 0.5, 0.44))
        _populations(
            inset, states[:1], states[:1, None] + population[:1], target[:1], 10 * sampler.alpha
        )
        middle, room = states[0], 12 * sampler.alpha
        inset.set_xlim(middle[0] - room, middle[0] + room)
        inset.set_ylim(middle[1] - room, middle[1] + room)
        inset.set_xticks([])
        inset.set_yticks([])
        panel.indicate_inset_zoom(inset)
        panel.text(0.02, 0.98, title, transform=panel.transAxes, va="top")
        panel.set_xlim(-2.2, 0.1)
        panel.set_ylim(-1.15, 1.3)
        panel.set_xlabel("$x_1 + a_1$ (normalised length)")
    axes[0].set_ylabel("$x_2 + a_2$ (normalised length)")
    sheet.set_layout_engine("compressed")
    figures.legend_below(sheet)
    return sheet


def _populations(axes: Axes, states: Tensor, sampled: Tensor, target: Tensor, r: float) -> None:
    """States (n, 2), where chains and demonstrations lead from them (n, m, 2), and B_r(x)."""
    axes.plot(
        *target.reshape(-1, 2).T, "x", color=figures.COLOURS["data"], markersize=4,
        markeredgewidth=0.8, label="demonstrated",
    )  # fmt: skip
    axes.plot(
        *sampled.reshape(-1, 2).T, ".", color=figures.COLOURS["chain"], markersize=2.5,
        label="chains",
    )  # fmt: skip
    axes.plot(*states.T, "o", color=figures.COLOURS["reference"], markersize=3.5, label="state")
    ring: dict[str, Any] = {"color": figures.COLOURS["limit"], "ls": "--", "lw": 0.8}
    for state in states:
        axes.add_patch(Circle(tuple(state.tolist()), r, fill=False, **ring))
    axes.plot([], [], label="$B_{10\\alpha}(x)$", **ring)
    axes.set_aspect("equal")


@figure(
    "noise-gap",
    title="Mean and variance of chain ends against the noise level",
    alt=(
        "Two log-log panels against alpha over s, one line for each K. The mean of the chains is "
        "within one s of the demonstrated mean up to alpha of about s and jumps to the upper edge "
        "beyond the dotted stability limit of two. The variance ratio lies between a half and one "
        "and a half up to s, above the dashed floor of the last step's noise, and jumps likewise."
    ),
    studies=("noise-level",),
)
def gap_over_noise_level(source: Source) -> Figure:
    """Gaps at the end of training, interquartile means over seeds."""
    results = source.results("noise-level")
    sheet, axes = figures.new(1, 2, height=3.6)
    found = results.completed()
    places = {round(row["alpha_over_s"], 6): row["variance_floor"] for row in found}
    x = np.array(sorted(places))
    axes[1].plot(x, [places[p] for p in x], "--", color="black", lw=0.9, label="last step's noise")
    for panel, quantity in zip(axes, ("mean_gap", "variance_ratio"), strict=True):
        for steps in STEPS:
            known = [(a, cell(results, a, steps, quantity)) for a in ALPHAS]
            points = [(a, e) for a, e in known if e is not None]
            if not points:
                continue
            scale = x[-1] / max(ALPHAS)
            values = np.minimum(MOST, [e.value for _, e in points])
            panel.plot(
                [a * scale for a, _ in points], values, color=COLOURS[steps],
                marker=MARKERS[steps], markersize=4, linewidth=1.2, label=f"$K$ = {steps}",
            )  # fmt: skip
        panel.axvline(2, color=figures.COLOURS["limit"], ls=":", label="stability limit $2 s$")
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_ylim(top=1.3 * MOST)
        panel.set_xlabel("noise level $\\alpha / s$")
    axes[0].set_ylabel("distance of the means (in $s$)")
    axes[1].set_ylabel("variance (over the data's)")
    axes[1].set_ylim(bottom=0.1)
    figures.legend_below(sheet)
    return sheet


@figure(
    "noise-phase",
    title="Phase diagram over noise level and number of steps",
    alt=(
        "Three grids of cells, alpha over s across and K upwards, each cell with its number. In "
        "the first the chains' mean is below one s everywhere but in the last column, which ran "
        "away. In the second the variance ratio is between a half and two but in the "
        "last column. In the "
        "third the mean of the exact density is tens of s off in the cells with small alpha and "
        "small K, left of a line, some s in two cells on it, and tens in the last column."
    ),
    studies=("noise-level",),
)
def phase_diagram(source: Source) -> Figure:
    """Chain and density against the demonstrations, every cell of the grid."""
    results = source.results("noise-level")
    sheet, axes = figures.new(1, 3, width=9.0, height=3.4, sharey=True)
    titles = {
        "mean_gap": "chain after $K$ steps:\nmean off by (in $s$)",
        "variance_ratio": "chain after $K$ steps:\nvariance over the data's",
        "density_mean_gap": "exact density:\nmean off by (in $s$)",
    }
    for panel, (quantity, title) in zip(axes, titles.items(), strict=True):
        shift = (0.22, 0.28) if panel is axes[2] else (0.0, 0.0)  # beside the dashed line
        image = _cells(panel, results, quantity, shift)
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("noise level $\\alpha / s$")
    _steps_needed(axes[2], results)
    axes[0].set_ylabel("steps $K$")
    bar = sheet.colorbar(image, ax=list(axes), shrink=0.9, extend="max")
    bar.set_label("log colour scale")
    return sheet


def _steps_needed(panel: Axes, results: Results) -> None:
    """The line above which a chain on a Gaussian of the data's variance arrives in K steps."""
    needed = {row["alpha_over_s"]: row["steps_needed"] for row in results.completed()}
    height = [np.log2(needed[place] / STEPS[0]) for place in sorted(needed)]
    limits = panel.get_xlim(), panel.get_ylim()
    panel.plot(range(len(height)), height, "--", color=figures.COLOURS["limit"], linewidth=2)
    panel.set_xlim(limits[0])
    panel.set_ylim(limits[1])


def _cells(panel: Axes, results: Results, quantity: str, shift: tuple[float, float]) -> Any:
    values = np.full((len(STEPS), len(ALPHAS)), np.nan)
    for row, steps in enumerate(STEPS):
        for column, alpha in enumerate(ALPHAS):
            found = cell(results, alpha, steps, quantity)
            values[row, column] = np.inf if found is None else found.value
    image = panel.imshow(
        np.clip(values, 0.3, MOST), norm=LogNorm(0.3, MOST), cmap="cividis_r", origin="lower",
        aspect="auto",
    )  # fmt: skip
    for (row, column), value in np.ndenumerate(values):
        text = f"{value:.2g}" if value < MOST else "away"
        colour = "white" if value > 6 else "black"
        x, y = column + shift[0], row + shift[1]
        panel.text(x, y, text, ha="center", va="center", color=colour, fontsize=8)
    places = sorted({round(row["alpha_over_s"], 2) for row in results.completed()})
    panel.set_xticks(range(len(ALPHAS)), [f"{place:g}" for place in places])
    panel.set_yticks(range(len(STEPS)), [str(steps) for steps in STEPS])
    panel.grid(False)
    return image


@figure(
    "noise-escape",
    title="Chains that leave the mode, against the noise level",
    alt=(
        "Line plot of the share of chains that are out of the mode after 100 steps, against alpha "
        "over s. It stays below a tenth up to about one and a half, passes one half below three "
        "and reaches three quarters; a dashed curve for a Gaussian of the model's own scale lies "
        "closely below it up to two, crosses it and rises to one at its stability limit."
    ),
    studies=("escape",),
)
def escape_over_noise_level(source: Source) -> Figure:
    """One model at many noise levels, over seeds, with a Gaussian's closed form."""
    results = source.results("escape")
    places = results.values("circle", "alphas_over_s")[0]
    shares = results.values("circle", "escaped")
    scale = float(np.median(results.values("circle", "model_scale")))
    sheet, axes = figures.new(height=3.4)
    axes.plot(
        places, interquartile_mean(shares, axis=0), "o-", color=figures.COLOURS["chain"],
        label="trained model",
    )  # fmt: skip
    axes.fill_between(
        places, shares.min(axis=0), shares.max(axis=0), color=figures.COLOURS["chain"], alpha=0.2,
        linewidth=0,
    )  # fmt: skip
    fine = np.linspace(places[0], min(places[-1], 2 * scale * 0.999), 200)
    variance = np.array([gaussian.stationary_variance(alpha, scale) for alpha in fine])
    axes.plot(
        fine, np.exp(-(MODE**2) / (2 * variance)), "--", color=figures.COLOURS["reference"],
        label=f"Gaussian, scale {scale:.2g} $s$",
    )  # fmt: skip
    axes.axvline(2, color=figures.COLOURS["limit"], ls=":", label="limit $2 s$")
    axes.axvline(2 * scale, color=figures.COLOURS["limit"], ls="-.", label="limit of that Gaussian")
    axes.set_xlabel("noise level $\\alpha / s$")
    axes.set_ylabel("share out of the mode after $K$ steps")
    axes.set_ylim(0, 1)
    figures.legend_below(sheet)
    return sheet
