"""The expected action along lines across the demonstrations (sections 4.4.1 and 4.4.4).

At places along the centre line, states are moved to either side, and the mean action there (EXP) is
compared with the one on the line, and with the action of the nearest demonstrated state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ebmlib.evaluation import metrics
from ebmlib.policies import EXP
from thesis.studies.trajectories import beside, line
from thesis.study import Cell, Study

Array = NDArray[np.float64]

DISTANCES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
"""Distances from the centre line, on either side, normalised units."""

POPULATION = 32

NEIGHBOURS = 20
"""So many nearest demonstrated actions are averaged where their noise is to be left out."""


def angle(a: Array, b: Array) -> Array:
    """Angle between vectors (..., 2) in degrees, (...)."""
    cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def measure(cell: Cell) -> dict[str, Any]:
    """Mean actions by distance from the centre line, medians over both sides and all places.

    Returns:
        By distance: ``away``, the distance to the nearest demonstration; ``change``, the length of
        the difference to the action on the line, over the length of that; ``turn``, the angle to
        it; ``toward``, the component of the action towards the line over a mean step; ``nearest``,
        the angle to the action of the nearest demonstrated state; ``smooth``, the angle to the mean
        action of the 20 nearest; ``nearest_turn``, the angle that this mean turns from its value
        on the line. Numbers of the data: ``scatter``, the root mean square difference of a
        demonstrated action to the mean of the 20 nearest over a mean step; ``scatter_angle``, the
        median angle between them. Angles are in degrees.
    """
    demonstrations, sampler = cell.trained.demonstrations, cell.sampler
    population = 4 if cell.small else POPULATION
    offsets = np.array(sorted({*DISTANCES, *(-distance for distance in DISTANCES)}))
    centre = int(np.flatnonzero(offsets == 0)[0])
    count = len(line(demonstrations)) - 1
    places = range(count // 10, count * 9 // 10 + 1, count // 20)
    points = np.array([[beside(demonstrations, p, o) for o in offsets] for p in places])
    states = torch.tensor(points.reshape(-1, 2), dtype=torch.float32, device=cell.device)
    with torch.no_grad():
        policy = EXP(cell.trained.model.eval(), sampler, population)
        flat = policy.act(states, generator=cell.generator("offsets")).cpu().numpy()
    actions = flat.astype(np.float64).reshape(points.shape)

    tree = cKDTree(demonstrations.states)
    nearest = demonstrations.actions[tree.query(points)[1]]
    smooth = demonstrations.actions[tree.query(points, NEIGHBOURS)[1]].mean(axis=-2)
    on_line = actions[:, centre : centre + 1]
    inward = np.array([beside(demonstrations, p, 1) - beside(demonstrations, p, 0) for p in places])
    toward = -np.sign(offsets) * (actions * inward[:, None]).sum(-1) / demonstrations.step_length
    change = np.linalg.norm(actions - on_line, axis=-1) / np.linalg.norm(on_line, axis=-1)
    tables = {
        "away": metrics.distance_to_nearest(points, demonstrations.trajectories),
        "change": change,
        "turn": angle(actions, on_line),
        "toward": toward,
        "nearest": angle(actions, nearest),
        "smooth": angle(actions, smooth),
        "nearest_turn": angle(smooth, smooth[:, centre : centre + 1]),
    }
    sides = [np.isclose(abs(offsets), distance) for distance in DISTANCES]
    found: dict[str, Any] = {
        name: [np.median(table[:, side]) for side in sides] for name, table in tables.items()
    }
    local = demonstrations.actions[tree.query(demonstrations.states, NEIGHBOURS)[1]].mean(axis=-2)
    gaps = ((demonstrations.actions - local) ** 2).sum(-1)
    found["scatter"] = np.sqrt(gaps.mean()) / demonstrations.step_length
    found["scatter_angle"] = np.median(angle(demonstrations.actions, local))
    return found


STUDIES = (Study("offsets", ("path1", "circle", "mouse1", "mouse2"), measure),)
