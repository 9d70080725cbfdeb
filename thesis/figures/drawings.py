"""Figures of the part on drawings: what the noise does to the density, and what is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ebmlib import figures, seeding
from ebmlib.policies.trained import TrainedPolicy
from thesis.figure import Source, figure
from thesis.studies.drawings import CELLS, HALF, again, split

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DENSITIES = {
    "drawings/no-noise": "without noise",
    "drawings/recipe": "with noise, and a clock",
    "drawings/position": "with noise, position alone",
}
FOLLOWED = {
    "drawings/position": "position",
    "drawings/history": "position and last actions",
    "drawings/recipe": "position and clock",
}


@figure(
    "drawing-densities",
    title="The exact density at the crossing of a generated loop, with and without noise",
    alt=(
        "Three panels of action space. Without noise the probability lies in a tight spot "
        "inside the near-by demonstrated actions. With noise and a clock it is one wider, "
        "smooth spot around them. With the position alone there is a second, paler "
        "spot, where the other passage through the crossing goes."
    ),
    conditions=tuple(DENSITIES),
)
def densities(source: Source) -> Figure:
    """p(a | x) at the kept state that is nearest to another passage; dots are near-by actions."""
    held = split()
    step = int(np.argmin(again(held)))
    known = np.array(held.train.actions)
    spread = float(np.sqrt(known.var(axis=0).mean()))
    place = held.kept[0][step]
    near = np.linalg.norm(held.train.states - place, axis=1)
    beside = known[np.argsort(near)[:24]] / spread
    n = 15 if source.small else CELLS
    axis = torch.linspace(-HALF, HALF, n) * spread
    points = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).reshape(-1, 2)
    sheet, axes = figures.new(1, 3, width=10, height=3.6, sharex=True, sharey=True)
    for panel, (name, title) in zip(axes, DENSITIES.items(), strict=True):
        policy = TrainedPolicy.of(source.trained(name))
        states, kept = held.kept_pairs(policy.features)
        with torch.no_grad():
            f = policy.model(
                states[step][None, None].to(source.where), points[None].to(source.where)
            )
        mass = f.double().softmax(dim=1).reshape(n, n).cpu().numpy()
        panel.imshow(
            mass.T, origin="lower", extent=(-HALF, HALF, -HALF, HALF), cmap="Greys", aspect="equal"
        )
        panel.plot(*beside.T, ".", color=figures.COLOURS["EXP"], markersize=4,
                   label="near-by demonstrated actions")  # fmt: skip
        panel.plot(*(kept[step].numpy() / spread), "x", color=figures.COLOURS["ML"],
                   label="action that was taken")  # fmt: skip
        panel.set_title(title)
        panel.set_xlabel("$a_1$ (spreads of the actions)")
    axes[0].set_ylabel("$a_2$ (spreads of the actions)")
    figures.legend_below(sheet)
    return sheet


@figure(
    "drawing-followed",
    title="Rollouts over a generated loop that crosses itself, by the state they know",
    alt=(
        "Three panels with the same loop, which crosses itself once. With the position alone the "
        "rollouts leave the loop at the crossing. With the last actions, and with a clock, they "
        "go round the loop and end where the strokes end."
    ),
    conditions=tuple(FOLLOWED),
)
def followed(source: Source) -> Figure:
    """Ten rollouts from the origin over the strokes that trained and those that were kept."""
    held = split()
    paths = {}
    for name, title in FOLLOWED.items():
        policy = TrainedPolicy.of(source.trained(name))
        made = policy.rollout(
            torch.zeros(10, held.train.dim),
            5 if source.small else held.steps,
            generator=seeding.generator(source.seed, name, source.where),
            estimate="road",
        )
        paths[title] = made.states.double().cpu().numpy()
    return figures.rollouts_of_methods(held.train.trajectories, held.kept, paths)
