"""Make mouse1.svg, mouse2.svg and two loops: mouse-like strokes, repeated with natural variation.

    python -m data.make_mouse [FOLDER]        (from the repository root)

The thesis's mouse recordings were never published; these drawings are reconstructions from its
description (sections 4.4.3 and 4.4.4). Movements come from the sigma-lognormal model of rapid hand
movements (Plamondon, "A kinematic theory of rapid human movements", 1995; O'Reilly and Plamondon,
"Development of a Sigma-Lognormal representation for on-line signatures", 2009). A movement is a sum
of strokes i, overlapping in time, each with a lognormal speed profile and a turning direction,

    |v_i(t)| = D_i Lambda(t; t0_i, mu_i, sigma_i),
    phi_i(t) = theta_s_i + (theta_e_i - theta_s_i) F(t; t0_i, mu_i, sigma_i),
    v(t)     = sum_i |v_i(t)| (cos phi_i(t), sin phi_i(t)),

where Lambda is the lognormal density of t - t0_i and F its distribution function. A person repeats
the plan, not the movement: every repetition draws all parameters around the plan's.

The same seed gives the same bytes.
"""

import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.special import ndtr

from ebmlib.demonstrations.polyline import FloatArray
from ebmlib.demonstrations.svg import write_svg

PERIOD = 8.0  # ms between events of a mouse that reports 125 times a second
ONSET = 0.15  # of the peak speed: see cut_ends


@dataclass(frozen=True)
class Stroke:
    """One stroke of a plan: distance [px], start and end direction [degrees], and timing.

    ``t0`` [s] is when the command is given; ``mu`` and ``sigma`` are the lognormal's parameters, so
    that exp(mu) [s] is the median delay of the movement behind the command.
    """

    distance: float
    start: float
    end: float
    t0: float
    mu: float
    sigma: float


@dataclass(frozen=True)
class Spread:
    """Standard deviations between repetitions: relative, degrees, degrees, seconds, log seconds."""

    distance: float
    direction: float
    turning: float
    t0: float
    mu: float


def vary(plan: tuple[Stroke, ...], spread: Spread, rng: np.random.Generator) -> list[Stroke]:
    """One repetition of a plan.

    Directions vary independently from stroke to stroke; so does everything else.
    """
    repetition = []
    for stroke in plan:
        distance, direction, turning, t0, mu = rng.standard_normal(5)
        middle = (stroke.start + stroke.end) / 2 + spread.direction * direction
        half = (stroke.end - stroke.start + spread.turning * turning) / 2
        repetition.append(
            Stroke(
                distance=stroke.distance * (1 + spread.distance * distance),
                start=middle - half,
                end=middle + half,
                t0=stroke.t0 + spread.t0 * t0,
                mu=stroke.mu + spread.mu * mu,
                sigma=stroke.sigma,
            )
        )
    return repetition


def movement(strokes: list[Stroke], t: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Position (n, 2) [px] and speed (n,) [px/s] at times t (n,) [s].

    A stroke's position has a closed form: with w = theta_e - theta_s and phi as above, it has moved
    D / w (sin phi - sin theta_s, cos theta_s - cos phi).
    """
    position, velocity = np.zeros((len(t), 2)), np.zeros((len(t), 2))
    for stroke in strokes:
        delay = np.maximum(t - stroke.t0, 1e-9)
        z = (np.log(delay) - stroke.mu) / stroke.sigma
        start, turn = np.radians(stroke.start), np.radians(stroke.end - stroke.start)
        phi = start + turn * ndtr(z)
        moved = np.stack([np.sin(phi) - np.sin(start), np.cos(start) - np.cos(phi)], axis=1)
        position += stroke.distance / turn * moved
        density = np.exp(-0.5 * z**2) / (stroke.sigma * np.sqrt(2 * np.pi) * delay)
        velocity += stroke.distance * density[:, None] * np.stack([np.cos(phi), np.sin(phi)], 1)
    return position, np.linalg.norm(velocity, axis=1)


def cut_ends(speed: FloatArray) -> slice:
    """The part of a movement from the first to the last sample above ONSET of the peak speed.

    At both ends the hand creeps. Kept, these samples would be many states near the origin whose
    action is almost zero, and a policy that imitates them never leaves; a button that is pressed
    while the hand already moves, and released before it stops, records the same.
    """
    fast = np.flatnonzero(speed > ONSET * speed.max())
    return slice(fast[0], fast[-1] + 1)


def record(strokes: list[Stroke]) -> tuple[FloatArray, FloatArray]:
    """What the mouse reports: positions (n, 2) [px] and times (n,) [ms] from 0."""
    t = np.arange(0.0, 4.0, PERIOD / 1000)
    position, speed = movement(strokes, t)
    kept = cut_ends(speed)
    points = position[kept] - position[kept][0]
    return points, PERIOD * np.arange(len(points))


# Rising to the right and bending over, then a fork: on and down, or up and back.
MOUSE1_STEM = (
    Stroke(250, 75, 45, 0.00, -1.10, 0.30),
    Stroke(240, 40, 0, 0.28, -1.10, 0.30),
)
MOUSE1_BRANCHES = (
    Stroke(190, 0, 70, 0.56, -1.10, 0.30),
    Stroke(190, -15, -85, 0.56, -1.10, 0.30),
)
MOUSE1_SPREAD = Spread(distance=0.06, direction=6.0, turning=10.0, t0=0.012, mu=0.03)

# A hook that winds inwards: down, round to the right, up and over.
MOUSE2_PLAN = (
    Stroke(260, -100, -60, 0.00, -1.10, 0.30),
    Stroke(230, -45, 60, 0.28, -1.10, 0.30),
    Stroke(210, 80, 175, 0.58, -1.10, 0.30),
)
MOUSE2_SPREAD = Spread(distance=0.012, direction=1.2, turning=2.0, t0=0.004, mu=0.008)

# Drawings as people make them, for tests and pages: (plan, spread) by name. Spreads are those of
# people who draw a shape several times with a mouse: some 3 % of a stroke's distance, 3 degrees of
# direction, 12 ms of timing.
PEOPLE = Spread(distance=0.03, direction=3.0, turning=5.0, t0=0.012, mu=0.02)

# A loop: the path crosses itself once, at a right angle or nearly so.
CROSSING_PLAN = (
    Stroke(300, 20, 50, 0.00, -1.10, 0.30),
    Stroke(260, 60, 190, 0.30, -1.10, 0.30),
    Stroke(260, 195, 300, 0.60, -1.10, 0.30),
    Stroke(300, 305, 335, 0.90, -1.10, 0.30),
)
# Out and back along the same road.
RETURNING_PLAN = (
    Stroke(320, 10, 35, 0.00, -1.10, 0.30),
    Stroke(320, 210, 192, 0.55, -1.10, 0.30),
)
# A stem, then one road or another.
FORKING_STEM = (Stroke(260, 80, 95, 0.00, -1.10, 0.30),)
FORKING_ROADS = (Stroke(260, 45, 15, 0.32, -1.10, 0.30), Stroke(260, 135, 165, 0.32, -1.10, 0.30))
# One shape at two speeds: the slow movements take 1.7 times as long.
SLOWER = 1.7

SHAPES = ("crossing", "returning", "forking", "speeds", "line")


def slowed(strokes: list[Stroke], factor: float) -> list[Stroke]:
    """The same path in ``factor`` times the time."""
    longer = math.log(factor)
    return [replace(s, t0=factor * s.t0, mu=s.mu + longer) for s in strokes]


def drawing(
    shape: str, count: int, rng: np.random.Generator, spread: Spread = PEOPLE
) -> list[FloatArray]:
    """``count`` repetitions of one of :data:`SHAPES`, positions (n_i, 2) in pixels each.

    On ``forking`` the first repetition takes the first road and the others in turn; on ``speeds``
    every other one is slow.
    """
    plans = {
        "crossing": CROSSING_PLAN,
        "returning": RETURNING_PLAN,
        "speeds": MOUSE2_PLAN,
        "line": (Stroke(500, 30, 33, 0.0, -1.10, 0.30),),
    }
    made = []
    for i in range(count):
        plan = (*FORKING_STEM, FORKING_ROADS[i % 2]) if shape == "forking" else plans[shape]
        strokes = vary(plan, spread, rng)
        if shape == "speeds" and i % 2:
            strokes = slowed(strokes, SLOWER)
        made.append(record(strokes)[0])
    return made


# What a hand and a mouse add to a movement.
UNEVEN = 0.35  # standard deviation of the logarithm of a sample's time, mean of three neighbours
TREMOR = 2.0  # pixels of white noise, mean of four neighbours: some 1 px remains


def by_hand(points: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A movement (n, 2) px with uneven speed and a trembling hand, in whole pixels (n, 2)."""
    n = len(points)
    pace = np.convolve(np.exp(UNEVEN * rng.standard_normal(n)), np.ones(3) / 3, "same")
    time = np.concatenate([[0.0], np.cumsum(pace)[:-1]])
    time *= (n - 1) / time[-1]
    tremor = TREMOR * rng.standard_normal((n, 2))
    moved = [
        np.interp(time, np.arange(n), points[:, k])
        + np.convolve(tremor[:, k], np.ones(4) / 4, "same")
        for k in (0, 1)
    ]
    return np.round(np.stack(moved, axis=1))


NOTE = (
    "Reconstruction from the description in the thesis, whose recordings were never published; "
    "made by data/make_mouse.py with the sigma-lognormal model of hand movement."
)


CROSSING_NOTE = (
    "Generated by data/make_mouse.py with the sigma-lognormal model of hand movement, uneven speed "
    "and tremor; nobody drew it."
)


def make(folder: Path) -> None:
    """Write mouse1.svg, mouse2.svg, crossing.svg and crossing-kept.svg into ``folder``."""
    loops_rng = np.random.default_rng(20261125)
    loops = [by_hand(x, loops_rng) for x in drawing("crossing", 7, loops_rng)]
    for name, recordings in (("crossing", loops[:4]), ("crossing-kept", loops[4:])):
        write_svg(
            folder / f"{name}.svg",
            recordings,
            [PERIOD * np.arange(len(points)) for points in recordings],
            decimals=0,
            title=name,
            description=CROSSING_NOTE,
        )
    rng = np.random.default_rng(20210317)
    mouse1 = [
        record(vary((*MOUSE1_STEM, MOUSE1_BRANCHES[i % 2]), MOUSE1_SPREAD, rng)) for i in range(14)
    ]
    mouse2 = [record(vary(MOUSE2_PLAN, MOUSE2_SPREAD, rng)) for _ in range(12)]
    for name, recordings in (("mouse1", mouse1), ("mouse2", mouse2)):
        write_svg(
            folder / f"{name}.svg",
            [points for points, _ in recordings],
            [times for _, times in recordings],
            decimals=2,
            title=name,
            description=NOTE,
        )


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
