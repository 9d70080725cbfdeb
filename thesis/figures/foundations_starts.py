"""Figures of sections 2.3.2, 2.4 and 2.5: loss, divergence, starts, cloning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from ebmlib import figures, seeding
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.policies import EXP, Policy, Trajectories, rollout
from thesis.conditions import DATASETS, condition
from thesis.figure import Source, figure
from thesis.figures.foundations_sampling import in_words
from thesis.runs import sampler_of
from thesis.studies.foundations_estimators import LENGTHS
from thesis.studies.foundations_sampling import LONGER, NOT_CONVERGED
from thesis.study import Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CONVERGENCE = "foundations-convergence"


def _flat(axes: Any, results: Results) -> None:
    flat = results.values("start/noise-K-20", "kl_flat").mean()
    axes.axhline(flat, color="black", linestyle=":", linewidth=1, label="flat density")


def _kl(axes: Any, results: Results, name: str, label: str, style: str) -> None:
    """KL over epochs: geometric mean over the seeds whose training did not diverge."""
    rows = [row for row in results.rows if row["condition"] == name and "kl" in row]
    epochs = rows[0]["kl_epochs"]
    kl = np.exp(np.mean([np.log(row["kl"]) for row in rows], axis=0))
    axes.plot(epochs, kl, style, label=label, markersize=3)


@figure(
    "likelihood-gradient",
    title="Contrastive-divergence gradient against the likelihood's",
    alt=(
        "Two panels over the chain's steps K: cosine to the exact likelihood gradient and relative "
        "error. From noise and from data, early and late in training, the cosine rises to nearly "
        "one within about twenty steps; data starts get there first. The error levels off at a few "
        "per cent instead of falling to zero."
    ),
    studies=("foundations-gradient",),
)
def likelihood_gradient(source: Source) -> Figure:
    """Cosine and error of the expected contrastive gradient."""
    results = source.results("foundations-gradient")
    sheet, panels = figures.new(1, 2, width=9, height=3.4)
    name = results.conditions[0]
    for axes, key in zip(panels, ("cosine", "error"), strict=True):
        for start, colour in (("noise", "chain"), ("data", "data")):
            for epoch, style in ((100, "o-"), (1000, "s--")):
                values = results.values(name, f"{key}/{start}/{epoch}").mean(axis=0)
                label = f"{start} starts, epoch {epoch}"
                colour_of = figures.COLOURS[colour]
                axes.plot(LENGTHS, values, style, color=colour_of, label=label, markersize=4)
        axes.set_xscale("log")
    panels[1].set_yscale("log")
    figures.label_axes(panels[0], "chain steps $K$", "cosine to the exact gradient")
    figures.label_axes(panels[1], "chain steps $K$", "relative error")
    figures.legend_below(sheet)
    return sheet


@figure(
    "flat-density",
    title="Loss and exact divergence with data and noise starts, circle, K = 20",
    alt=(
        "Two panels over the epochs. Left: the loss with data starts at a small noise level stays "
        "on zero; with noise starts at the same level it swings widely; at the usual level both "
        "dip and return. Right, logarithmic: the divergence of the first stays at that of a flat "
        "density, of the second climbs far above it, of the others falls to about one."
    ),
    studies=(CONVERGENCE,),
)
def flat_density(source: Source) -> Figure:
    """Loss near zero with a flat density (claim C05)."""
    results = source.results(CONVERGENCE)
    sheet, (left, right) = figures.new(1, 2, width=9, height=3.6)
    for start in ("data", "noise"):
        for tail, level in (("-alpha-0.002", 0.002), ("", 0.01)):
            name = f"start/{start}-K-20{tail}"
            style = {"data": "-", "noise": "--"}[start]
            label = f"{start}, $\\alpha$ = {level:g}"
            loss = results.values(name, "loss").mean(axis=0)
            epochs = np.linspace(0, results.values(name, "epochs")[0], len(loss))
            left.plot(epochs, loss, style, label=label)
            _kl(right, results, name, label, style)
    _flat(right, results)
    left.set_yscale("symlog", linthresh=0.1)
    right.set_yscale("log")
    figures.label_axes(left, "epoch", "loss (nats)")
    figures.label_axes(right, "epoch", "KL(data || model) (nats)")
    figures.legend_below(sheet)
    return sheet


@figure(
    "loss-and-kl",
    title="Final loss against exact divergence, circle",
    alt=(
        "Scatter plot, both axes logarithmic: size of the mean loss over its own fluctuation "
        "against the divergence of data to model. Points left of the vertical line at one, whose "
        "loss oscillates around zero, spread over three orders of magnitude of divergence; all "
        "those of the smallest noise level lie far above the dotted line of a flat density. At the "
        "top right, about the vertical line, are the trainings of the largest, which ran away."
    ),
    studies=(CONVERGENCE,),
)
def loss_and_kl(source: Source) -> Figure:
    """The loss says little of the divergence (claim C06)."""
    results = source.results(CONVERGENCE)
    sheet, axes = figures.new(width=7.5, height=4)
    groups: dict[str, tuple[str, list[tuple[float, float]]]] = {}
    for row in results.rows:
        if row.get("kl_late") is None or row.get("loss_spread") is None:
            continue
        alpha, mark = _alpha(row["condition"])
        place = (abs(row["loss_late"]) / row["loss_spread"], row["kl_late"])
        groups.setdefault(f"$\\alpha$ = {alpha:g}", (mark, []))[1].append(place)
    for label in sorted(groups):
        mark, places = groups[label]
        axes.plot(*np.array(places).T, mark, label=label, markersize=5, alpha=0.8)
    _flat(axes, results)
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(right=6)
    figures.label_axes(axes, "|mean loss| over its fluctuation", "KL(data || model) (nats)")
    figures.legend_below(sheet)
    return sheet


def _alpha(name: str) -> tuple[float, str]:
    """Noise level of a circle condition and a mark for it."""
    marks = {0.001: "v", 0.002: "D", 0.0025: "^", 0.005: "s", 0.01: "o", 0.02: "x"}
    alpha = sampler_of(condition(name)).alpha
    return alpha, marks[alpha]


@figure(
    "long-run",
    title="Long chains on trained models",
    alt=(
        "Line plot of the energy score relative to K steps, at K, three K and ten K steps, on "
        "logarithmic axes. The lines of the four data sets and of mouse1 with K 100 lie on one; "
        "those of the circle trained with too small a noise level rise to about two and to twenty."
    ),
    studies=("foundations-long-run",),
)
def long_run(source: Source) -> Figure:
    """Score of long chains over that of K steps (claim C07)."""
    results = source.results("foundations-long-run")
    sheet, axes = figures.new(width=7, height=3.2)
    styles = ("o-", "s--", "^:", "D-.", "v-", "x--", "+-")
    for name, style in zip((*DATASETS, "mouse1-K-100", *NOT_CONVERGED), styles, strict=True):
        score = results.values(name, "score")
        ratio = (score / score[:, :1]).mean(axis=0)
        axes.plot(LONGER, ratio, style, label=in_words(name))
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xticks(LONGER, [f"{times} $K$" for times in LONGER])
    axes.minorticks_off()
    axes.set_yscale("log")
    axes.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    axes.minorticks_off()
    figures.label_axes(axes, "steps", "energy score over that at $K$")
    figures.legend_below(sheet)
    return sheet


@figure(
    "starts",
    title="Exact divergence over training by where chains start, circle",
    alt=(
        "Two logarithmic panels, K 20 and K 100, of the divergence over epochs. All starts fall "
        "from about four and a half to about one within a hundred epochs, persistent chains first, "
        "replay next, noise and data last, and stay there."
    ),
    studies=(CONVERGENCE,),
)
def starts(source: Source) -> Figure:
    """KL over epochs for the four starts (claim C40)."""
    results = source.results(CONVERGENCE)
    sheet, panels = figures.new(1, 2, width=9, height=3.6, sharey=True)
    styles = {"noise": "-", "data": "--", "persistent": "-.", "replay": ":"}
    for axes, steps in zip(panels, (20, 100), strict=True):
        for start, style in styles.items():
            name = f"start/{start}-K-{steps}"
            if name == "start/noise-K-100":
                name = "architecture/figure-3-2"
            _kl(axes, results, name, start, style)
        _flat(axes, results)
        axes.set_yscale("log")
        axes.set_ylim(0.4, 6)
        axes.set_yticks([0.5, 1, 2, 5], ["0.5", "1", "2", "5"])
        axes.minorticks_off()
        axes.set_xlim(0, 600)
        axes.set_xticks(range(0, 600, 100))  # 600 would stand beside the next panel's 0
        axes.set_title(f"$K$ = {steps}")
        figures.label_axes(axes, "epoch", "KL(data || model) (nats)" if steps == 20 else "")
    figures.legend_below(sheet)
    return sheet


@figure(
    "action-error",
    title="Squared action error of the estimators at held-out states",
    alt=(
        "Dot plot with one row per data set: mean squared error over that of EXP. A vertical line "
        "at one marks EXP; ML and MAP lie a few to thirty per cent to its right, single draws at "
        "about twice the error."
    ),
    studies=("foundations-estimators",),
)
def action_error(source: Source) -> Figure:
    """Risk of ML, MAP and a draw over that of EXP (claim C08)."""
    results = source.results("foundations-estimators")
    sheet, axes = figures.new(width=7.5, height=2.9)
    names = (*DATASETS, "fork")
    colours = {"ML": figures.COLOURS["ML"], "MAP": "#CC79A7", "DRAW": figures.COLOURS["DRAW"]}
    for (other, colour), mark in zip(colours.items(), ("o", "s", "^"), strict=True):
        ratios = [
            (results.values(n, f"risk/{other}") / results.values(n, "risk/EXP")).mean()
            for n in names
        ]
        label = "one draw" if other == "DRAW" else other
        axes.plot(ratios, range(len(names)), mark, color=colour, label=label)
    axes.axvline(1, color=figures.COLOURS["EXP"], label="EXP")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    figures.label_axes(axes, "mean squared error over that of EXP", "")
    figures.legend_below(sheet)
    return sheet


@dataclass(frozen=True)
class NearestNeighbours:
    """Behaviour cloning as regression: the mean action of the k nearest demonstrated states."""

    data: Demonstrations
    k: int = 15

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """Actions (n, 2) for states (n, 2); nothing is random."""
        _, near = cKDTree(self.data.states).query(states.cpu().numpy(), k=self.k)
        return torch.as_tensor(self.data.actions[near].mean(axis=1)).to(states)


def cloned(source: Source) -> dict[str, Trajectories]:
    """Rollouts on circle, from the origin and from inside: by regression and by EXP."""
    trained = source.trained("circle")
    data = trained.demonstrations
    middle = data.trajectories[0].mean(axis=0)
    origin = torch.tensor(np.array([[0.0, 0.0], 0.4 * middle]), dtype=torch.float32)
    policies: dict[str, Policy] = {
        "regression": NearestNeighbours(data),
        "EXP": EXP(trained.model, sampler_of(trained.run), 4 if source.small else 64),
    }
    found = {}
    for name, policy in policies.items():
        generator = seeding.generator(source.seed, "figure/cloning", source.where)
        steps = 25 if source.small else 100
        found[name] = rollout(policy, origin.to(source.where), steps, generator=generator)
    return found


@figure(
    "cloning",
    title="Behaviour cloning by regression and by an energy-based model, circle",
    alt=(
        "Two panels with the demonstrations of the circle in grey. Left: arrows show demonstrated "
        "state-action pairs along the circle. Right: trajectories from a start on the circle and "
        "one inside, by nearest-neighbour regression in orange and by EXP in blue. All reach the "
        "circle and follow it, the regression closely, EXP a little beside it in places."
    ),
    conditions=("circle",),
)
def cloning(source: Source) -> Figure:
    """Pairs, and rollouts of two cloned policies."""
    trained = source.trained("circle")
    data = trained.demonstrations
    sheet, (left, right) = figures.new(1, 2, width=9, height=4.2)
    figures.demonstrations(left, data, arrows=True)
    figures.demonstrations(right, data)
    for name, paths in cloned(source).items():
        figures.trajectories(right, paths, label="ML" if name == "regression" else name)
    for line in right.lines:
        if line.get_label() == "ML":
            line.set_label("regression")
    for panel in (left, right):
        panel.set_xticks((-2, -1.5, -1, -0.5, 0))
        panel.set_yticks((-1, -0.5, 0, 0.5, 1))
    left.set_title("what is given: state-action pairs")
    right.set_title("cloned policies")
    figures.legend_below(sheet)
    return sheet
