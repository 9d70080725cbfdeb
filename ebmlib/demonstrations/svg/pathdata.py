"""Path data (SVG 2, chapter 9) to the segments of svgpathtools, one list per subpath.

svgpathtools reads path data too, but skips characters that it cannot read, stops at arcs that end
where they begin, and joins subpaths. Here the grammar decides: what does not fit it is refused.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt
from svgpathtools.path import Arc, CubicBezier, Line, QuadraticBezier

CURVE_POINTS = 256  # chords per curved segment; a half circle is then 6e-6 of its length too short

Segment = Any  # of svgpathtools, which ships no types
Subpath = list[Segment]

_BLANK = re.compile(r"[ \t\n\r\f]*")
_BETWEEN = re.compile(r"[ \t\n\r\f]*(?:,[ \t\n\r\f]*)?")
_NUMBER = re.compile(r"[-+]?(?:[0-9]*\.[0-9]+|[0-9]+)(?:[eE][-+]?[0-9]+)?")
_FLAG = re.compile("[01]")
_ARGUMENTS = {"M": 2, "L": 2, "H": 1, "V": 1, "C": 6, "S": 4, "Q": 4, "T": 2, "A": 7, "Z": 0}


class PathDataError(ValueError):
    """Path data that does not fit the grammar."""


def commands(data: str) -> list[tuple[str, list[float]]]:
    """The commands of path data, each with one set of arguments.

    Raises:
        PathDataError: the text does not fit the grammar.
    """
    result: list[tuple[str, list[float]]] = []
    place = _end(_BLANK, data, 0)
    while place < len(data):
        letter = data[place]
        if letter.upper() not in _ARGUMENTS or (not result and letter not in "Mm"):
            raise PathDataError(f"unexpected {data[place : place + 20]!r}")
        place = _end(_BLANK, data, place + 1)
        count = _ARGUMENTS[letter.upper()]
        if count == 0:
            result.append((letter, []))
            continue
        first = True
        while True:
            arguments, after = _arguments(letter.upper(), data, place, first)
            if arguments is None:
                break
            place = after
            result.append((letter, arguments))
            letter = {"M": "L", "m": "l"}.get(letter, letter)
            first = False
        place = _end(_BLANK, data, place)
    return result


def _arguments(letter: str, data: str, place: int, first: bool) -> tuple[list[float] | None, int]:
    """The next full set of a command's arguments and where it ends; None if no more begins."""
    found: list[float] = []
    for i in range(_ARGUMENTS[letter]):
        at = place if first and i == 0 else _end(_BETWEEN, data, place)
        match = (_FLAG if letter == "A" and i in (3, 4) else _NUMBER).match(data, at)
        if match is None:
            if i == 0 and not first and at == _end(_BLANK, data, place):
                return None, place
            found_text = repr(data[at : at + 20]) if at < len(data) else "the end"
            raise PathDataError(f"{letter} takes {_ARGUMENTS[letter]} numbers, got {found_text}")
        found.append(float(match[0]))
        place = match.end()
    return found, place


def _end(pattern: re.Pattern[str], data: str, place: int) -> int:
    match = pattern.match(data, place)
    return match.end() if match else place


def subpaths(data: str) -> list[Subpath]:
    """The segments of path data, cut at every moveto, where a pen would be lifted.

    A moveto without a segment gives no subpath, and an arc that ends where it begins gives no
    segment; an arc with a radius of 0 is a line (SVG 2, section 9.5.1).

    Raises:
        PathDataError: the text does not fit the grammar.
    """
    result: list[Subpath] = []
    current: Subpath = []
    here = begin = 0j
    before, control = "", 0j  # the last command, and its last control point
    for letter, arguments in commands(data):
        kind = letter.upper()
        base = 0j if letter == kind else here
        points = [
            complex(x, y) + base for x, y in zip(arguments[::2], arguments[1::2], strict=False)
        ]
        if kind == "M":
            current = []
            result.append(current)
            here = begin = points[0]
            before = "M"
            continue
        if kind == "Z":
            if here != begin:
                current.append(Line(here, begin))
            here = begin
        elif kind in "LHV":
            if kind == "H":
                end = complex(arguments[0] + base.real, here.imag)
            elif kind == "V":
                end = complex(here.real, arguments[0] + base.imag)
            else:
                end = points[0]
            current.append(Line(here, end))
            here = end
        elif kind in "CS":
            if kind == "S":
                points.insert(0, here + here - control if before in ("C", "S") else here)
            current.append(CubicBezier(here, *points))
            control, here = points[1], points[2]
        elif kind in "QT":
            if kind == "T":
                points.insert(0, here + here - control if before in ("Q", "T") else here)
            current.append(QuadraticBezier(here, *points))
            control, here = points
        else:
            rx, ry, turn, large, sweep, x, y = arguments
            end = complex(x, y) + base
            if end != here:
                current.append(_arc(here, complex(abs(rx), abs(ry)), turn, large, sweep, end))
            here = end
        before = kind
    return [segments for segments in result if segments]


def _arc(
    start: complex, radius: complex, turn: float, large: float, sweep: float, end: complex
) -> Segment:
    if radius.real == 0 or radius.imag == 0:
        return Line(start, end)
    exact = _EllipticalArc(start, radius, math.radians(turn), large != sweep, sweep == 1, end)
    arc = Arc(start, radius, turn, large, sweep, end)
    # svgpathtools takes the angle from a cosine, which has no correct digits for a nearly flat arc,
    # so that the arc may go once around the ellipse.
    return arc if abs(math.radians(arc.delta) - exact.swept) < 1e-7 * abs(exact.swept) else exact


class _EllipticalArc:
    """An arc by its centre and angles (SVG 2, appendix B.2.4), also where it is nearly flat."""

    def __init__(
        self, start: complex, radius: complex, turn: float, far: bool, sweep: bool, end: complex
    ) -> None:
        self.start, self.end = start, end
        rx, ry = radius.real, radius.imag
        self.axes = complex(math.cos(turn), math.sin(turn))
        half = (start - end) / 2 / self.axes
        u, v = half.real / rx, half.imag / ry  # half of the chord where the ellipse is a circle
        square = u * u + v * v
        if square > 1:  # radii that do not reach are scaled up
            rx, ry = rx * math.sqrt(square), ry * math.sqrt(square)
            u, v, square = u / math.sqrt(square), v / math.sqrt(square), 1.0
        apart = math.sqrt((1 - square) / square) * (1 if far else -1)
        middle = complex(apart * v, -apart * u)
        self.rx, self.ry = rx, ry
        self.centre = complex(rx * middle.real, ry * middle.imag) * self.axes + (start + end) / 2
        self.begin = math.atan2(v - middle.imag, u - middle.real)
        # The chord is seen from the centre under this angle; its sine is half of the chord.
        minor = 2 * math.asin(min(1.0, math.sqrt(square)))
        self.swept = (minor if far == sweep else 2 * math.pi - minor) * (1 if sweep else -1)

    def point(self, t: npt.NDArray[np.float64]) -> npt.NDArray[np.complex128]:
        """The points at parameters from 0 to 1."""
        angle = self.begin + t * self.swept
        flat = self.rx * np.cos(angle) + 1j * self.ry * np.sin(angle)
        return np.asarray(flat * self.axes + self.centre)


def n_points(segments: Subpath) -> int:
    """How many points :func:`polyline` returns."""
    return 1 + sum(1 if isinstance(segment, Line) else CURVE_POINTS for segment in segments)


def polyline(segments: Subpath) -> npt.NDArray[np.float64]:
    """The (n, 2) vertices of a subpath; a curve becomes :data:`CURVE_POINTS` chords."""
    points = np.concatenate([np.array([segments[0].start]), *map(_chords, segments)])
    return np.stack([points.real, points.imag], axis=1)


def _chords(segment: Segment) -> npt.NDArray[np.complex128]:
    """Points along a segment without its first one, as complex numbers."""
    if isinstance(segment, Line):
        return np.array([segment.end])
    points = np.array(segment.point(np.linspace(0, 1, CURVE_POINTS + 1)[1:]), dtype=np.complex128)
    points[-1] = segment.end  # exactly, so that closed shapes close
    return points
