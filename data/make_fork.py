"""Make data/fork.svg: demonstrations that go straight and then half left, half right.

    python -m data.make_fork [FOLDER]        (from the repository root)

The thesis assumes that an action has one mode (section 3.2) and says that the expected action fails
where it has several (section 3.3). It shows no such data; this drawing is the smallest that has
them. All strokes share a stem and turn by 60 degrees at its end, so that the state at the turn
alone does not tell which way to go. Stem and prong take the same time, so that every step has the
same length. The library adds the noise.
"""

import sys
from pathlib import Path

import numpy as np

from ebmlib.demonstrations.svg import write_svg

STROKES = 20
HALF = 512.0  # milliseconds for the stem, and for the prong
TURN = np.deg2rad(60)


def make(folder: Path) -> None:
    """Write fork.svg into ``folder``."""
    stem, tip = np.array([0.0, 0.0]), np.array([0.0, 100.0])
    strokes = []
    for i in range(STROKES):
        side = -1 if i % 2 else 1
        prong = tip + 100 * np.array([side * np.sin(TURN), np.cos(TURN)])
        strokes.append(np.array([stem, tip, prong]))
    write_svg(
        folder / "fork.svg",
        strokes,
        [[0.0, HALF, 2 * HALF]] * STROKES,
        decimals=2,
        title="fork",
        description="Made by data/make_fork.py: half of the strokes turn left, half turn right.",
    )


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
