"""Data sets and EXP trajectories over them (Figures 4.12 to 4.27), and their distances."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.spatial import cKDTree

from ebmlib import figures, seeding
from ebmlib.policies import EXP, ML, Draw, Policy, Trajectories, rollout
from thesis.conditions import DATASETS
from thesis.figure import Source, figure
from thesis.runs import sampler_of
from thesis.studies.offsets import DISTANCES, NEIGHBOURS, POPULATION
from thesis.studies.trajectories import BRANCHING, PLACES, across, beside, closed, gap, line, starts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ebmlib.demonstrations.dataset import Demonstrations

DATA = {"path1": "4.12", "circle": "4.13", "mouse1": "4.20", "mouse2": "4.21"}
SAMPLED = {
    "path1": {"inside": "4.14", "on": "4.16", "outside": "4.18"},
    "circle": {"inside": "4.15", "on": "4.17", "outside": "4.19"},
    "mouse1": {"inside": "4.22", "on": "4.24", "outside": "4.26"},
    "mouse2": {"inside": "4.23", "on": "4.25", "outside": "4.27"},
}
LOOKS = {
    "path1": "an open S-shaped curve that rises, sinks steeply and rises again",
    "circle": "a closed circle of radius one, run counter-clockwise",
    "mouse1": "strokes that rise to the right and fork near their end, one branch up, one down",
    "mouse2": "a narrow bundle of strokes along a hook that goes down, right and back up",
}
WHERE = {
    "inside": "0.4 beside the demonstrations on their concave side",
    "on": "on the demonstrations",
    "outside": "0.4 beside the demonstrations on their convex side",
}
REPETITIONS = 3


def dataset(source: Source, name: str) -> Figure:
    """All demonstrations of a data set, with every sixth action of one of them."""
    sheet, axes = figures.new(height=3.6)
    figures.demonstrations(axes, source.demonstrations(name), arrows=True)
    return sheet


def datasets(source: Source) -> Figure:
    """All four data sets on one sheet."""
    sheet, axes = figures.new(2, 2, width=8, height=7)
    for panel, name in zip(axes.flat, DATASETS, strict=True):
        figures.demonstrations(panel, source.demonstrations(name), arrows=True)
        panel.set_title(name)
    return sheet


def actions(source: Source) -> Figure:
    """All demonstrated actions of the four data sets and their action sets."""
    sheet, axes = figures.new(2, 2, width=6.8, height=6.4)
    for panel, name in zip(axes.flat, DATASETS, strict=True):
        figures.actions(panel, source.demonstrations(name))
        panel.set_title(name)
    return sheet


def steps_from(demonstrations: Demonstrations, place: int) -> int:
    """Steps to draw from a place: one and a half laps, or to the end of an open path."""
    steps = len(line(demonstrations)) - 1
    return 3 * steps // 2 if closed(demonstrations) else steps - place


def sample(source: Source, name: str, kind: str) -> dict[str, list[Trajectories]]:
    """Trajectories by EXP from every place, several times, and one by ML from the first."""
    trained = source.trained(name)
    demonstrations, sampler = trained.demonstrations, sampler_of(trained.run)
    population, repetitions = (2, 1) if source.small else (8, REPETITIONS)
    exp = EXP(trained.model, sampler, population)
    ml = ML(trained.model, sampler, population=4, blocks=2 if source.small else 5)
    points = torch.tensor(starts(demonstrations, kind), dtype=torch.float32, device=source.where)
    generator = seeding.generator(source.seed, f"figure/{name}/{kind}", source.where)
    longest = steps_from(demonstrations, 0)
    often = points.repeat_interleave(repetitions, dim=0)
    sampled = rollout(exp, often, longest, generator=generator)
    cut = [steps_from(demonstrations, place) for place in PLACES for _ in range(repetitions)]
    whole = [
        Trajectories(states[None, : end + 1], taken[None, :end])
        for states, taken, end in zip(sampled.states, sampled.actions, cut, strict=True)
    ]
    return {"ML": [rollout(ml, points[:1], longest, generator=generator)], "EXP": whole}


def view(axes: Axes, demonstrations: Demonstrations, margin: float = 0.8) -> None:
    """The same window for all starts of a data set; who leaves it is cut at its edge."""
    low, high = demonstrations.states.min(axis=0), demonstrations.states.max(axis=0)
    axes.set_xlim(low[0] - margin, high[0] + margin)
    axes.set_ylim(low[1] - margin, high[1] + margin)


def from_places(source: Source, name: str, kind: str) -> Figure:
    """Trajectories from one kind of start over the demonstrations."""
    demonstrations = source.trained(name).demonstrations
    sheet, axes = figures.new(height=4.8)
    figures.demonstrations(axes, demonstrations)
    for policy, sampled in sample(source, name, kind).items():
        for number, trajectory in enumerate(sampled):
            figures.trajectories(
                axes, trajectory, label=policy, named=number == 0, faint=policy == "ML"
            )
    view(axes, demonstrations)
    figures.legend_below(sheet)
    return sheet


def distances(source: Source, name: str) -> Figure:
    """Distance to the nearest demonstration over time, by kind of start, over seeds."""
    results = source.results("trajectories")
    sheet, axes = figures.new()
    styles = {"inside": ("-", "EXP"), "on": (":", "reference"), "outside": ("--", "DRAW")}
    for kind, (style, colour) in styles.items():
        curves = results.values(name, kind)
        figures.over_seeds(
            axes, np.arange(curves.shape[1]), curves, label=f"start {kind}", linestyle=style,
            color=figures.COLOURS[colour],
        )  # fmt: skip
    axes.axhline(0.1, color=figures.COLOURS["limit"], linewidth=0.8, label="0.1")
    axes.set_yscale("symlog", linthresh=0.1, linscale=1)
    axes.set_ylim(bottom=0)
    ticks = [tick for tick in (0, 0.05, 0.1, 0.2, 0.5, 1, 2, 5) if tick <= axes.get_ylim()[1]]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlabel("step $j$")
    axes.set_ylabel("distance to the demonstrations\n(normalised length)")
    figures.legend_below(sheet)
    return sheet


def tail(source: Source) -> Figure:
    """Ends of demonstrations, EXP and single draws across the movement of mouse1."""
    trained = source.trained("mouse1")
    demonstrations, sampler = trained.demonstrations, sampler_of(trained.run)
    shown = np.stack(demonstrations.trajectories)
    points = torch.tensor(shown[:, BRANCHING], dtype=torch.float32, device=source.where)
    sheet, axes = figures.new(1, 3, width=9, height=3.6)
    origin, normal = across(demonstrations)
    steps = shown.shape[1] - 1 - BRANCHING
    chosen: dict[str, tuple[Policy, int]] = {
        "EXP": (EXP(trained.model, sampler, 2 if source.small else 8), 1),
        "DRAW": (Draw(trained.model, sampler), 3),
    }
    for panel, (policy, (act, repetitions)) in zip(axes, chosen.items(), strict=False):
        figures.demonstrations(panel, demonstrations)
        generator = seeding.generator(source.seed, f"figure/tail/{policy}", source.where)
        sampled = rollout(act, points.repeat(repetitions, 1), steps, generator=generator)
        figures.trajectories(panel, sampled, label=policy, faint=policy == "DRAW")
        panel.set_title({"EXP": "EXP", "DRAW": "DRAW (single draws)"}[policy])
        view(panel, demonstrations, 0.3)
    results = source.results("tail")
    rows = {name: results.values("mouse1", f"{name}_ends").ravel() for name in ("EXP", "DRAW")}
    rows = {"data": (shown[:, -1] - origin) @ normal, **rows}
    _strips(axes[2], rows, gap(rows["data"]))
    figures.legend_below(sheet)
    return sheet


def _strips(axes: Axes, rows: dict[str, np.ndarray], band: tuple[float, float]) -> None:
    """End coordinates as strips of points, with the gap between the branches shaded."""
    axes.axhspan(*band, color="#eeeeee", label="no demonstration ends here", zorder=0)
    for place, (name, ends) in enumerate(rows.items()):
        jitter = (np.arange(len(ends)) * 0.618 % 1 - 0.5) * 0.5
        colour = figures.COLOURS["demonstration" if name == "data" else name]
        axes.plot(place + jitter, ends, ".", color=colour, markersize=4)
    axes.set_xticks(range(len(rows)), ["demonstrations", "EXP", "single draws"])
    axes.set_ylabel("last position across the\nmovement (normalised length)")


def neighbour(source: Source) -> Figure:
    """Actions of the model and of the nearest demonstrated state, beside mouse2."""
    trained = source.trained("mouse2")
    data, sampler = trained.demonstrations, sampler_of(trained.run)
    offsets = (-0.7, -0.5, -0.3, 0.3, 0.5, 0.7)
    points = np.array([beside(data, p, o) for p in range(5, 96, 10) for o in offsets])
    policy = EXP(trained.model.eval(), sampler, 2 if source.small else POPULATION)
    states = torch.tensor(points, dtype=torch.float32, device=source.where)
    generator = seeding.generator(source.seed, "figure/neighbour", source.where)
    with torch.no_grad():
        acted = policy.act(states, generator=generator).cpu().numpy()
    _, found = cKDTree(data.states).query(points, NEIGHBOURS)
    sheet, (plane, curve) = figures.new(1, 2, width=10, height=4.2)
    figures.demonstrations(plane, data)
    for arrows, colour, label in (
        (data.actions[found].mean(axis=1), "reference", "nearest demonstrated actions"),
        (acted, "EXP", "EXP"),
    ):
        plane.quiver(
            *points.T, *arrows.T, angles="xy", scale_units="xy", scale=0.3, width=0.005,
            color=figures.COLOURS[colour], label=label, zorder=5,
        )  # fmt: skip
    results = source.results("offsets")
    named = {"nearest": ("angle of EXP to the nearest action", "-"),
             "turn": ("turn of EXP against the line", "--"),
             "nearest_turn": ("turn of the nearest twenty", ":")}  # fmt: skip
    for number, (quantity, (label, style)) in enumerate(named.items(), start=1):
        figures.over_seeds(
            curve, DISTANCES, results.values("mouse2", quantity), label=label, color=f"C{number}",
            linestyle=style,
        )  # fmt: skip
    curve.set_xlabel("distance from the centre line (normalised length)")
    curve.set_ylabel("angle (degrees)")
    figures.legend_below(sheet)
    return sheet


def _register() -> None:
    """One function draws all data sets, one all trajectories."""
    for name in DATASETS:
        figure(
            DATA[name],
            title=f"The data set {name}",
            alt=f"Demonstrations of {name}, {LOOKS[name]}, with arrows along the movement.",
        )(partial(dataset, name=name))
        for kind, number in SAMPLED[name].items():
            figure(
                number,
                title=f"EXP trajectories on {name}, starts {kind}",
                alt=f"Demonstrations of {name} in grey, {LOOKS[name]}, and nine trajectories by "
                f"EXP with one by ML, started {WHERE[kind]}.",
                conditions=(name,),
            )(partial(from_places, name=name, kind=kind))
        figure(
            f"distance-{name}",
            title=f"Distance to the demonstrations of {name} over time, by start",
            alt="Three curves with bands: distance to the demonstrations over the steps of "
            f"trajectories on {name} that start inside, on and outside.",
            studies=("trajectories",),
        )(partial(distances, name=name))


_register()
figure(
    "datasets",
    title="The four data sets",
    alt="Four panels with equal axes: " + "; ".join(f"{n}, {LOOKS[n]}" for n in DATASETS) + ".",
)(datasets)
figure(
    "actions",
    title="Demonstrated actions and the action set B_eps(0) of Eq 3.3",
    alt="Four panels of points inside a dashed circle of radius epsilon: a ring of a third of that "
    "radius for circle, the right half of such a ring for path1, a blob to the upper right of the "
    "origin for mouse1 and a loop that passes by the origin for mouse2.",
)(actions)
figure(
    "tail-mouse1",
    title="The tail of mouse1: demonstrations, EXP and single draws",
    alt="Two panels of trajectories over the forking strokes of mouse1, by EXP and by single "
    "draws, and strips of their last positions over all seeds, most in two groups like those "
    "of the demonstrations and some in the shaded gap between them.",
    conditions=("mouse1",),
    studies=("tail",),
)(tail)
figure(
    "neighbour-mouse2",
    title="Actions beside mouse2: the model's and the nearest demonstration's",
    alt="Pairs of arrows beside the hook of mouse2, one of the model and one of the nearest "
    "demonstrated actions, and curves of the angles between them over the distance.",
    conditions=("mouse2",),
    studies=("offsets",),
)(neighbour)
