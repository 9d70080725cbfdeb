"""Scribbles as a person draws them again and again, to test the page's recipe."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SHAPES = ("eight", "spiral", "star", "signature")
SAMPLES, PERIOD = 200, 8.0  # samples of a stroke, ms between them
Array = npt.NDArray[np.float64]


def curve(shape: str, u: Array) -> Array:
    """Positions (n, 2) of a shape at shares u of its time."""
    if shape == "eight":
        return np.stack([0.5 * np.sin(4 * np.pi * u), np.sin(2 * np.pi * u)], axis=1)
    if shape == "spiral":
        turn, radius = 6 * np.pi * u, 0.1 + 0.9 * u
        return np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=1)
    if shape == "star":
        corners = 4 * np.pi * np.arange(6) / 5
        xy = (np.sin(corners), np.cos(corners))
        return np.stack([np.interp(5 * u, np.arange(6), c) for c in xy], axis=1)
    if shape == "signature":
        t = 2 * np.pi * u
        x = 2.6 * u + 0.28 * np.sin(5 * t)
        y = 0.45 * np.sin(5 * t + 0.9) * (0.6 + 0.5 * np.cos(2 * t + 0.4)) + 0.25 * np.sin(t)
        return np.stack([x, y], axis=1)
    if shape in ("left", "right"):  # a stem, then one side of a round obstacle
        side = -1 if shape == "left" else 1
        return np.stack(
            [side * 0.7 * np.sin(np.pi * np.clip(1.5 * u - 0.5, 0, 1)) ** 2, 2 * u], axis=1
        )
    raise ValueError(shape)


def repetitions(shape: str, count: int, seed: int) -> list[Array]:
    """A shape drawn ``count`` times, (n, 2) each, with the spread of a person who takes care.

    Every time it is turned by 2 degrees, scaled by 3 % and bent by five low harmonics whose size
    is about 2 % of its extent, and its timing is off by about 2 % of its duration (standard
    deviations).
    A shape ``"a|b"`` is drawn as a and as b in turn.
    """
    rng = np.random.default_rng([seed, *map(ord, shape)])
    u = np.linspace(0, 1, SAMPLES)
    drawn = []
    for number in range(count):
        names = shape.split("|")
        late, uneven = 0.02 * rng.normal(), 0.012 * rng.normal()
        time = u + late * np.sin(np.pi * u) + uneven * np.sin(2 * np.pi * u)
        points = curve(names[number % len(names)], np.clip(time, 0, 1))
        extent = float(np.ptp(points, axis=0).max())
        angle, scale = np.deg2rad(2) * rng.normal(), 1 + 0.03 * rng.normal()
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        bend = np.zeros_like(points)
        for k in range(1, 6):
            one, two = rng.normal(size=(2, 2)) / k
            bend += np.outer(np.cos(np.pi * k * u), one) + np.outer(np.sin(np.pi * k * u), two)
        drawn.append(scale * points @ turn.T + 0.0167 * extent * bend)
    return drawn


def strokes(paths: list[Array]) -> list[dict[str, Any]]:
    """Paths as the recorder's strokes, within its drawing area (y upwards, all on one scale)."""
    every = np.concatenate(paths)
    low, size = every.min(axis=0), float(np.ptp(every, axis=0).max())
    return [
        {
            "points": ((path - low) / size * 520 + [40, -560]).round(2).tolist(),
            "times": (PERIOD * np.arange(len(path))).tolist(),
        }
        for path in paths
    ]
