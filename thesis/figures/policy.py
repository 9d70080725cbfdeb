"""Figures of sections 3.1 to 3.3: the problem, the policy as a density, sampled trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from matplotlib.patheffects import withStroke

from ebmlib import figures, seeding
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.evaluation import metrics
from ebmlib.evaluation.exact import Grid, model_density
from ebmlib.policies import EXP, ML, Draw, rollout
from ebmlib.training.store import Trained
from thesis.figure import Source, figure
from thesis.runs import sampler_of
from thesis.studies import implicit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = ("path1", "circle", "mouse2")


def hand_made() -> Demonstrations:
    """Three curves that satisfy the four assumptions of section 3.1 and no stronger ones."""
    curves = []
    for samples, bend, speed in ((14, 0.9, 1.0), (22, 1.1, 1.6), (31, 1.3, 0.7)):
        t = np.linspace(0, 1, samples) ** speed
        curves.append(np.stack([2.2 * t, bend * np.sin(2.6 * t)], axis=1) * (1 + 0.2 * bend))
    return Demonstrations.from_arrays(curves, name="curves of our own")


@figure(
    "3.1",
    title="Demonstrations that satisfy the four assumptions, and two sets that do not",
    alt=(
        "Three panels. Left, three bent curves start at the origin and have equal length; their "
        "dots are fewer or more and unevenly spaced. In the middle one curve is much shorter than "
        "the others. On the right one curve starts away from the origin."
    ),
)
def possible_demonstrations(source: Source) -> Figure:
    """Assumptions 1 and 2 are freedoms, 3 and 4 are what preprocessing makes true."""
    curves = hand_made().trajectories
    sheet, axes = figures.new(1, 3, width=10, height=3.4, sharex=True, sharey=True)
    panels = (
        ("valid", curves),
        ("breaks 3: lengths differ", (curves[0] * 0.45, *curves[1:])),
        ("breaks 4: not from the origin", (curves[0] + [0.9, -1.3], *curves[1:])),
    )
    for panel, (title, paths) in zip(axes, panels, strict=True):
        for number, path in enumerate(paths):
            panel.plot(*path.T, ".-", markersize=4, linewidth=0.9, label=f"demonstration {number}")
        panel.plot(0, 0, "o", color=figures.COLOURS["reference"], markersize=5, zorder=4)
        panel.set_title(title)
        panel.set_aspect("equal")
        panel.set_xlabel("$x_1$ (normalised length)")
    axes[0].set_ylabel("$x_2$ (normalised length)")
    figures.legend_below(sheet)
    return sheet


def _policy(name: str, trained: Trained, small: bool) -> Any:
    sampler = sampler_of(trained.run)
    if name == "ML":
        return ML(trained.model, sampler)
    return (
        EXP(trained.model, sampler, 4 if small else 64)
        if name == "EXP"
        else Draw(trained.model, sampler)
    )


def _sampled(source: Source, trained: Trained, name: str, starts: Any, steps: int) -> Any:
    """Trajectories of one policy; the generator belongs to the seed and the policy."""
    x = torch.as_tensor(np.asarray(starts), dtype=torch.float32).to(source.where)
    steps = min(steps, 5) if source.small else steps
    generator = seeding.generator(source.seed, f"figure/{name}", source.where)
    return rollout(_policy(name, trained, source.small), x, steps, generator=generator)


def _from_origin(source: Source, policy: str) -> Figure:
    sheet, axes = figures.new(1, len(SHOWN), width=10, height=4.5)
    for panel, name in zip(axes, SHOWN, strict=True):
        trained = source.trained(name)
        data = trained.demonstrations
        noise = np.random.default_rng(source.seed).standard_normal((2, data.dim))
        figures.demonstrations(panel, data)
        paths = _sampled(source, trained, policy, data.sigma * noise, 90)
        figures.trajectories(panel, paths, label=policy)
        panel.lines[0].set_label("demonstrations")  # one name, however many there are of each
        panel.set_title(name)
    figures.legend_below(sheet)
    return sheet


@figure(
    "3.3",
    title="Trajectories by the point estimate (ML)",
    alt=(
        "Three panels with the demonstrations of path1, circle and mouse2 in grey and two nearly "
        "identical trajectories of the most probable action in orange. They follow the shape, but "
        "run outside the first bend of path1, outside the lower left of the circle and well "
        "outside the bottom of mouse2's hook."
    ),
    conditions=SHOWN,
)
def point_estimate(source: Source) -> Figure:
    """ML rollouts from two starts about the origin."""
    return _from_origin(source, "ML")


@figure(
    "3.4",
    title="Trajectories by the expectation estimate (EXP)",
    alt=(
        "Three panels with the demonstrations of path1, circle and mouse2 in grey and two "
        "trajectories of the expected action in blue. They lie on the demonstrations nearly "
        "everywhere, a little inside at the top of the circle, and outside the grey band at the "
        "bottom of mouse2's hook, from where they come back."
    ),
    conditions=SHOWN,
)
def expectation_estimate(source: Source) -> Figure:
    """EXP rollouts from the same starts."""
    return _from_origin(source, "EXP")


@figure(
    "stray",
    title="Distance to the demonstrations over a rollout, EXP and ML",
    alt=(
        "Four panels, one for each data set: distance to the nearest demonstration over ninety "
        "steps, thin lines for single seeds and a thick one for their interquartile mean, EXP in "
        "blue and ML in orange. ML's thick line lies above EXP's for most of the time; on circle "
        "and mouse2 both rise above the dashed reach of the noise and come back, on path1 and "
        "mouse1 they end about or above it. The thin lines differ widely."
    ),
    studies=("policy",),
)
def stray(source: Source) -> Figure:
    """Measured distances over the steps, every seed."""
    from thesis.statistics import interquartile_mean

    results = source.results("policy")
    sheet, axes = figures.new(1, 4, width=10, height=3.8, sharey=True)
    for panel, name in zip(axes, results.conditions, strict=True):
        for policy in ("EXP", "ML"):
            curves = results.values(name, f"{policy}_distance")
            colour = figures.COLOURS[policy]
            panel.plot(curves.T, color=colour, linewidth=0.5, alpha=0.5)
            panel.plot(interquartile_mean(curves, axis=0), color=colour, linewidth=2, label=policy)
        reach = results.values(name, "reach")[0]
        panel.axhline(reach, color=figures.COLOURS["reference"], linestyle="--", label="reach")
        panel.set_title(name)
        panel.set_xlabel("step $j$")
    axes[0].set_ylim(bottom=0)
    axes[0].set_ylabel("distance (normalised units)")
    figures.legend_below(sheet)
    return sheet


def _marked(panel: Any, density: Any) -> None:
    """The exact mode and mean of the first state's density."""
    for name, action, marker, size in (
        ("ML", density.mode(), "^", 13),
        ("EXP", density.mean(), "o", 7),
    ):
        panel.plot(
            *action[0].cpu().numpy(), marker, color=figures.COLOURS[name], markersize=size,
            markerfacecolor="none", markeredgewidth=2, label=f"{name}, exact", linestyle="none",
            zorder=5, path_effects=[withStroke(linewidth=3.2, foreground="white")],
        )  # fmt: skip


@figure(
    "action-density",
    title="The exact density of the action in two states, and the action set",
    alt=(
        "Two panels of action space with a dashed circle, the action set. In both the density is "
        "one dark spot well inside it, with the exact mode and mean near its centre. On the data "
        "the demonstrated actions of nearby states lie in the spot; half a radius inside the spot "
        "sits closer to the origin."
    ),
    conditions=("circle",),
)
def action_density(source: Source) -> Figure:
    """The circle's model at a demonstrated state and half a radius inside."""
    trained = source.trained("circle")
    data = trained.demonstrations
    on = np.mean(data.trajectories, axis=0)[25]
    centre = data.states.mean(axis=0)
    sheet, axes = figures.new(1, 2, width=10, height=4.2)
    grid = Grid(1.25 * data.eps, points=31 if source.small else 151)
    states = (("on the demonstrations", on), ("half a radius inside", (on + centre) / 2))
    for panel, (title, state) in zip(axes, states, strict=True):
        x = torch.tensor(state[None], dtype=torch.float32, device=source.where)
        density = model_density(trained.model, x, grid)
        figures.action_density(panel, density, data.eps)
        near = np.linalg.norm(data.states - state, axis=1) < 0.05
        if near.any():
            panel.plot(
                *data.actions[near].T, ".", color=figures.COLOURS["data"], markersize=4,
                label="demonstrated within 0.05", zorder=4,
            )  # fmt: skip
        _marked(panel, density)
        panel.set_title(title)
    figures.legend_below(sheet)
    return sheet


@figure(
    "fork",
    title="Two modes: trajectories and the density where the strokes part",
    alt=(
        "Two panels. Left, demonstrations that part into a left and a right arm; all sampled "
        "trajectories take the left arm, those of EXP close to it, those of ML and a draw cutting "
        "the corner widely. Right, the density of the action at the fork: one dark spot at the "
        "left arm's action with the mode in it, a second one straight up, and a paler one at the "
        "right arm's; the mean lies between the first two, near the first."
    ),
    conditions=("fork",),
)
def fork(source: Source) -> Figure:
    """Rollouts on the fork, and the density at its splitting point."""
    trained = source.trained("fork")
    data = trained.demonstrations
    sheet, axes = figures.new(1, 2, width=10, height=4.4)
    figures.demonstrations(axes[0], data)
    for name in ("EXP", "ML", "DRAW"):
        paths = _sampled(source, trained, name, np.zeros((3, 2)), 95)
        figures.trajectories(axes[0], paths, label=name)
    at = np.mean([path[50] for path in data.trajectories], axis=0)
    x = torch.tensor(at[None], dtype=torch.float32, device=source.where)
    grid = Grid(1.25 * data.eps, points=31 if source.small else 151)
    density = model_density(trained.model, x, grid)
    figures.action_density(axes[1], density, data.eps)
    known = np.array([path[51] - path[50] for path in data.trajectories])
    axes[1].plot(
        *known.T, ".", color=figures.COLOURS["data"], markersize=4, label="demonstrated at the fork"
    )
    _marked(axes[1], density)
    figures.legend_below(sheet)
    return sheet


@figure(
    "trajectory-probability",
    title="Log density of whole trajectories under the learned policy",
    alt=(
        "Line plot of the summed log density of the actions over sixty steps of six trajectories. "
        "All rise nearly straight. ML's is highest, EXP's lies close below it, and the two single "
        "draws and the two demonstrations rise less steeply and with small kinks."
    ),
    conditions=("circle",),
)
def trajectory_probability(source: Source) -> Figure:
    """Eq 3.1's product as a sum of exact log densities."""
    from ebmlib.evaluation.exact import log_likelihood
    from ebmlib.sampling.starts import Pairs

    trained = source.trained("circle")
    data = trained.demonstrations
    steps = 5 if source.small else 60
    grid = Grid(1.05 * data.eps, points=25 if source.small else 101)
    paths = [("demonstration", path[: steps + 1]) for path in data.trajectories[:2]]
    for name, count in (("DRAW", 2), ("EXP", 1), ("ML", 1)):
        found = _sampled(source, trained, name, np.zeros((count, 2)), steps)
        paths += [(name, path) for path in found.states.double().cpu().numpy()]
    sheet, axes = figures.new()
    for number, (name, path) in enumerate(paths):
        x, a = path[:-1], np.diff(path, axis=0)
        states, actions = (
            torch.tensor(part, dtype=torch.float32, device=source.where) for part in (x, a)
        )
        pairs = Pairs(states, actions, torch.arange(len(x)))
        with torch.no_grad():
            total = log_likelihood(trained.model, pairs, grid).cumsum(0).cpu().numpy()
        label = name if name not in [before for before, _ in paths[:number]] else None
        axes.plot(total, color=figures.COLOURS[name], label=label)
    axes.set_xlabel("step $j$")
    axes.set_ylabel("$\\sum \\log \\pi_\\theta(a \\mid x)$ (nats)")
    figures.legend_below(sheet)
    return sheet


@figure(
    "implicit",
    title="Actions as the gradient of a state energy (Eq 3.4)",
    alt=(
        "Two panels with shades of a fitted state energy, its gradient as arrows, and the "
        "demonstrations in grey. On path1 the energy is a ridge that rises along the path; arrows "
        "beside it point to the path and forward. On circle the energy is a ring-shaped ridge and "
        "the arrows point to it from both sides instead of going round."
    ),
    conditions=("path1", "circle"),
)
def implicit_action(source: Source) -> Figure:
    """The best gradient field for an open and for a closed path."""
    sheet, axes = figures.new(1, 2, width=10, height=4.6)
    for panel, name in zip(axes, ("path1", "circle"), strict=True):
        data = source.trained(name).demonstrations
        energy = implicit.fit(data)
        low, high = data.states.min(axis=0) - 0.35, data.states.max(axis=0) + 0.35
        lines = [np.linspace(a, b, 70) for a, b in zip(low, high, strict=True)]
        plane = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
        value = energy.value(plane.reshape(-1, 2)).reshape(70, 70)
        shades = panel.contourf(*lines, value.T, levels=14, cmap="YlOrBr", alpha=0.55, zorder=0)
        panel.grid(False)
        beside = panel.inset_axes((1.03, 0, 0.05, 1))  # as high as the panel, whatever its aspect
        sheet.colorbar(shades, cax=beside, label="fitted state energy $E(x)$")
        figures.demonstrations(panel, data)
        states = plane[::6, ::6].reshape(-1, 2)
        states = states[metrics.distance_to_polyline(states, data.trajectories[0]) < 0.3]
        figures.vector_field(panel, states, energy.action(states), label="$\\nabla_x E(x)$")
        panel.set_title(name)
    figures.legend_below(sheet)
    return sheet
