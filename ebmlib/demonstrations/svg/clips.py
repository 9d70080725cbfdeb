"""What clip paths, masks and viewports leave of a stroke: regions, and the pieces within them.

A region is a union of polygons (SVG 2, section 11.5 on fill rules; CSS Masking 1, section 5). A
stroke is divided where its centre line crosses a region's edge, and each piece is kept or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ebmlib.demonstrations.polyline import FloatArray, step_lengths
from ebmlib.demonstrations.svg.values import CannotEvaluateError

BoolArray = npt.NDArray[np.bool_]

MAX_PAIRS = 200_000_000  # of segments and edges that are compared
_CHUNK = 2_000_000
_NEGLIGIBLE = 1e-6  # of the length: a stroke that ends on an edge is not cut by it
_PROBES = 9  # points of a piece that are looked at


class Shape(NamedTuple):
    """A filled shape.

    Attributes:
        polygons: (n, 2) vertices each, closed or not.
        even_odd: whether it is filled by the even-odd rule, else by the nonzero rule.
    """

    polygons: tuple[FloatArray, ...]
    even_odd: bool = False

    def holds(self, points: FloatArray) -> BoolArray:
        """Whether points (n, 2) lie in the shape."""
        winding = np.zeros(len(points), dtype=np.int64)
        for start, end in map(_edges, self.polygons):
            rows = max(1, _CHUNK // len(start))
            for at in range(0, len(points), rows):
                winding[at : at + rows] += _winding(points[at : at + rows], start, end)
        return winding % 2 != 0 if self.even_odd else winding != 0


class Region(NamedTuple):
    """What is let through: the union of shapes; nothing where there are none."""

    shapes: tuple[Shape, ...] = ()

    def holds(self, points: FloatArray) -> BoolArray:
        """Whether points (n, 2) lie in the region."""
        found = np.zeros(len(points), dtype=bool)
        for shape in self.shapes:
            found |= shape.holds(points)
        return found

    def edges(self) -> tuple[FloatArray, FloatArray]:
        """Starts and ends (m, 2) of the edges of its polygons."""
        pairs = [_edges(polygon) for shape in self.shapes for polygon in shape.polygons]
        none = np.zeros((0, 2))
        return (
            np.concatenate([none, *(start for start, _ in pairs)]),
            np.concatenate([none, *(end for _, end in pairs)]),
        )


def rectangle(matrix: FloatArray, x: float, y: float, width: float, height: float) -> Region:
    """The region of a rectangle under a (3, 3) matrix."""
    corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    return Region((Shape((corners @ matrix[:2, :2].T + matrix[:2, 2],)),))


def kept(
    points: FloatArray, regions: Sequence[Region], tolerance: float
) -> list[tuple[float, float]]:
    """Which parts of a polyline lie in all regions.

    Args:
        points: (n, 2) vertices.
        regions: what is let through.
        tolerance: how far outside a line still counts as inside: half of its width, since so much
            of it is seen there.

    Returns:
        From where to where, as numbers of vertices: (0, n - 1) if nothing is cut off, (1.5, n - 1)
        if it begins in the middle of the second segment; empty if nothing is left.

    Raises:
        CannotEvaluateError: too many edges.
    """
    last = len(points) - 1
    stops = np.array([0.0, last])
    for region in regions:
        if not region.shapes:
            return []
        stops = np.concatenate([stops, _crossings(points, region)])
    stops = np.unique(stops)
    shares = (np.arange(_PROBES) + 0.5) / _PROBES
    probes = stops[:-1, None] + np.diff(stops)[:, None] * shares
    places = at(points, probes.ravel())
    inside = np.ones(len(places), dtype=bool)
    for region in regions:
        within = region.holds(places)
        if not within.all():
            within[~within] = _distance(places[~within], region) <= tolerance
        inside &= within
    whole = np.asarray(inside.reshape(probes.shape).all(axis=1))
    found: list[tuple[float, float]] = []
    for begin, end, is_inside in zip(stops[:-1], stops[1:], whole, strict=True):
        if is_inside and found and found[-1][1] == begin:
            found[-1] = (found[-1][0], float(end))
        elif is_inside:
            found.append((float(begin), float(end)))
    total = step_lengths(points).sum()
    lengths = [step_lengths(piece(points, *span)).sum() for span in found]
    if sum(lengths) >= (1 - _NEGLIGIBLE) * total:
        return [(0.0, float(last))]
    return [
        span for span, length in zip(found, lengths, strict=True) if length > _NEGLIGIBLE * total
    ]


def at(values: FloatArray, where: FloatArray) -> FloatArray:
    """The values (n, ...) at numbers of vertices (k,), linear in between."""
    low = np.clip(np.floor(where).astype(np.int64), 0, len(values) - 2)
    share = (where - low).reshape(-1, *[1] * (values.ndim - 1))
    return np.asarray(values[low] + share * (values[low + 1] - values[low]))


def piece(values: FloatArray, begin: float, end: float) -> FloatArray:
    """The values from one number of a vertex to another, with all vertices between them."""
    if begin == 0 and end == len(values) - 1:
        return values
    between = np.arange(np.floor(begin) + 1, np.ceil(end))
    return at(values, np.concatenate([[begin], between, [end]]))


def _edges(polygon: FloatArray) -> tuple[FloatArray, FloatArray]:
    return polygon, np.roll(polygon, -1, axis=0)


def _winding(points: FloatArray, start: FloatArray, end: FloatArray) -> npt.NDArray[np.int64]:
    """How often a closed polygon goes around each point."""
    x, y = points[:, :1], points[:, 1:]
    (x0, y0), (x1, y1) = start.T, end.T
    left = (x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)
    up = (y0 <= y) & (y < y1) & (left > 0)
    down = (y1 <= y) & (y < y0) & (left < 0)
    return np.asarray(up.sum(axis=1) - down.sum(axis=1))


def _crossings(points: FloatArray, region: Region) -> FloatArray:
    """The numbers of vertices at which a polyline meets the edges of a region."""
    start, end = region.edges()
    if len(start) * len(points) > MAX_PAIRS:
        raise CannotEvaluateError(
            f"a clip path of {len(start)} edges on a line of {len(points)} points is too detailed"
        )
    along = end - start
    rows = max(1, _CHUNK // max(1, len(start)))
    found = []
    for low in range(0, len(points) - 1, rows):
        p = points[low : low + rows + 1]
        step = np.diff(p, axis=0)[:, None]
        apart = start - p[:-1, None]
        cross = step[..., 0] * along[:, 1] - step[..., 1] * along[:, 0]
        with np.errstate(all="ignore"):
            t = (apart[..., 0] * along[:, 1] - apart[..., 1] * along[:, 0]) / cross
            u = (apart[..., 0] * step[..., 1] - apart[..., 1] * step[..., 0]) / cross
            meets = (t > -1e-9) & (t < 1 + 1e-9) & (u > -1e-9) & (u < 1 + 1e-9)
        number, edge = np.nonzero(meets)
        found.append(low + number + np.clip(t[number, edge], 0.0, 1.0))
    return np.concatenate(found) if found else np.zeros(0)


def _distance(points: FloatArray, region: Region) -> FloatArray:
    """Distance (n,) of points to the nearest edge of a region."""
    start, end = region.edges()
    along = end - start
    square = np.maximum((along**2).sum(axis=1), 1e-300)
    result = np.empty(len(points))
    rows = max(1, _CHUNK // len(start))
    for low in range(0, len(points), rows):
        away = points[low : low + rows, None] - start
        share = np.clip((away * along).sum(axis=-1) / square, 0.0, 1.0)
        result[low : low + rows] = np.linalg.norm(away - share[..., None] * along, axis=-1).min(
            axis=1
        )
    return result
