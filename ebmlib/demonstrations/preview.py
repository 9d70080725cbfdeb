"""A small picture of demonstrations for a terminal, made of characters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ebmlib import checks
from ebmlib.demonstrations.polyline import FloatArray

# Dots of a braille character by row and column (Unicode, block U+2800).
_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
BLANK = 0x2800


def preview(
    trajectories: Sequence[FloatArray], *, width: int = 60, height: int = 20, plain: bool = False
) -> str:
    """Trajectories as lines of text, with the same scale across and upwards.

    Args:
        trajectories: (n_i, d) each; of more than two dimensions the first two are shown, and a
            single dimension over the number of the sample.
        width: characters across at most; a character is taken to be twice as high as wide.
        height: lines at most.
        plain: with ``*`` instead of braille dots, for terminals without Unicode.

    Returns:
        The lines, without a line feed at the end. ``o`` marks the starts in a plain picture.
    """
    checks.count("width", width)
    checks.count("height", height)
    flat = [_in_the_plane(points) for points in trajectories]
    everything = np.concatenate(flat)
    low, high = everything.min(axis=0), everything.max(axis=0)
    rows, columns = (1, 1) if plain else _DOTS.shape
    across, down = width * columns, height * rows  # dots; those of a plain picture are not square
    tall = 2.0 if plain else 1.0
    extent = np.maximum(high - low, 1e-12 * max(np.abs(everything).max(), 1e-100))
    scale = min((across - 1) / extent[0], (down - 1) * tall / extent[1])
    size = (np.round((high - low) * scale / (1, tall)).astype(int) + 1)[::-1]
    grid = np.zeros(size, dtype=bool)
    for points in flat:
        corners = (points - low) * scale / (1, tall)
        steps = np.abs(np.diff(corners, axis=0)).max(axis=1)
        fine = [
            start + (end - start) * np.linspace(0, 1, int(step) + 2)[:, None]
            for start, end, step in zip(corners[:-1], corners[1:], steps, strict=True)
        ]
        column, row = np.round(np.concatenate(fine)).astype(int).T
        grid[size[0] - 1 - row, column] = True
    if plain:
        marks = np.where(grid, "*", " ")
        for points in flat:
            column, row = np.round((points[0] - low) * scale / (1, tall)).astype(int)
            marks[size[0] - 1 - row, column] = "o"
        return "\n".join("".join(line).rstrip() for line in marks)
    padded = np.pad(grid, [(0, -size[0] % rows), (0, -size[1] % columns)])
    cells = padded.reshape(len(padded) // rows, rows, -1, columns)
    codes = BLANK + np.einsum("irjc,rc->ij", cells.astype(int), _DOTS)
    return "\n".join("".join(map(chr, line)).rstrip(chr(BLANK)) for line in codes)


def _in_the_plane(points: FloatArray) -> FloatArray:
    if points.shape[1] == 1:
        return np.column_stack([np.linspace(0, np.ptp(points) or 1.0, len(points)), points])
    return points[:, :2]
