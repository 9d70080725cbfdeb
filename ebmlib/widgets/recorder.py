"""The recorder: demonstrations drawn by the reader, in the page or in JupyterLab."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import traitlets

from ebmlib import figures
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.demonstrations.polyline import as_float_array, check_polyline, check_times
from ebmlib.demonstrations.svg import Drawing, write_svg
from ebmlib.errors import InputError
from ebmlib.widgets import bundle
from ebmlib.widgets.picture import Pictured, script, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAINING: dict[str, float] = {
    "steps": 100,
    "copies": 20,
    "sigma": 0.01,
    "h_dim": 64,
    "batch": 64,
    "negatives": 12,
    "lr": 1e-2,
    "final_lr": 1e-4,
    "epochs": 800,
    "shown_every": 80,
    "shown": 8,
    "seed": 0,
}
"""How the page trains on a drawing: the recipe of :mod:`ebmlib.recipe` in sizes that take seconds.

``steps`` per trajectory; a single stroke becomes so many ``copies`` with noise ``sigma``;
``h_dim``, the width of the network's layers; ``batch`` demonstrated actions an update, each among
``negatives``; the rate, from ``lr`` to ``final_lr`` by half a cosine over all ``epochs`` (updates);
trajectories are drawn after every ``shown_every`` updates, ``shown`` of them where strokes fork and
else one; the ``seed`` of everything. Features of the state and widths of the noise are chosen from
the drawing.
"""

_WORDS = (
    "Two panels. Left: three strokes in the shape of an S lying on its side, as drawn. Right: the "
    "same strokes normalised, all starting at the origin with length two pi; a dashed circle "
    "around the origin is the action set."
)


def example_strokes() -> list[dict[str, Any]]:
    """Three strokes like an S on its side, with the speed of a hand: slow at both ends."""
    u = np.linspace(0, 1, 76)
    along = 0.6 * u + 0.4 * (10 * u**3 - 15 * u**4 + 6 * u**5)
    strokes = []
    for lift, bend in ((0, 0), (14, 8), (-12, -9)):
        x = 90 + 420 * along
        y = -300 + lift + (115 + bend) * np.sin(2 * np.pi * along + 0.004 * lift)
        points = np.stack([x, y], axis=1).round(2)
        strokes.append({"points": points.tolist(), "times": (16.0 * np.arange(len(u))).tolist()})
    return strokes


class DrawingRecorder(Pictured):
    """A drawing area that records strokes with their time stamps, and trains on them in the page.

        recorder = DrawingRecorder()
        recorder                      # draw
        recorder.demonstrations()     # normalised, ready for training
        recorder.save_svg("my-drawing.svg")

    Attributes:
        strokes: list of ``{"points": [[x, y], ...], "times": [t, ...]}``, y upwards in units of the
            drawing area (600 x 576), milliseconds since the stroke's first point. Settable: arrays
            are taken too.
        settings: how the page trains, see :data:`TRAINING`; what is left out keeps its value there.
        numbers: sent by the page when training pauses and every few seconds: ``epochs``,
            ``seconds``, ``loss``, ``distance`` of the trajectories to the drawing (DTW per point to
            the nearest stroke, normalised units), ``floor`` (the same between strokes; None for a
            single one) and ``ends`` (why each trajectory ended).
    """

    _esm = script("recorder.js")
    _css = style() + (bundle.FOLDER / "recorder.css").read_text(encoding="utf-8")

    strokes = traitlets.List(traitlets.Dict()).tag(sync=True)
    settings = traitlets.Dict().tag(sync=True)
    numbers = traitlets.Dict().tag(sync=True)
    example = traitlets.List(traitlets.Dict()).tag(sync=True)
    engine = traitlets.Unicode().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        own = {
            "settings": {},
            "example": example_strokes(),
            "engine": bundle.joined("trainer.js") + "\nconst Engine = TrainingSession;\n",
        }
        super().__init__(**own | traits)

    @traitlets.validate("strokes")
    def _checked_strokes(self, proposal: Any) -> list[dict[str, Any]]:
        return [_stroke(value, f"stroke {i + 1}") for i, value in enumerate(proposal["value"])]

    @traitlets.validate("settings")
    def _known_settings(self, proposal: Any) -> dict[str, float]:
        unknown = sorted(set(proposal["value"]) - set(TRAINING))
        if unknown:
            raise InputError(
                f"settings has no {', '.join(unknown)}; known are {', '.join(sorted(TRAINING))}."
            )
        return TRAINING | proposal["value"]

    @property
    def drawing(self) -> Drawing:
        """The strokes as :func:`ebmlib.demonstrations.svg.read_svg` would give them.

        Raises:
            InputError: nothing has been drawn.
        """
        if not self.strokes:
            raise InputError("Nothing has been drawn; draw at least one stroke in the recorder.")
        return Drawing(
            tuple(np.array(stroke["points"], dtype=np.float64) for stroke in self.strokes),
            tuple(np.array(stroke["times"], dtype=np.float64) for stroke in self.strokes),
        )

    def demonstrations(
        self,
        *,
        steps: int | None = 100,
        repetitions: int = 20,
        sigma: float = 0.01,
        generator: np.random.Generator | None = None,
        name: str = "drawing",
    ) -> Demonstrations:
        """The strokes as demonstrations; arguments as in ``Demonstrations.from_svg``.

        Args:
            steps: steps per trajectory after resampling in time; None keeps the samples.
            repetitions: noisy copies made of a single stroke; ignored for several.
            sigma: standard deviation of the added noise in normalised units.
            generator: source of the noise; needed where ``sigma`` is above 0.
            name: what to call the set.

        Raises:
            InputError: nothing has been drawn, or noise is asked for without a generator.
        """
        strokes, times = self.drawing
        return Demonstrations.from_arrays(
            strokes,
            times=times,
            steps=steps,
            repetitions=repetitions,
            sigma=sigma,
            generator=generator,
            name=name,
        )

    def save_svg(self, path: str | os.PathLike[str], *, title: str = "my-drawing") -> None:
        """Write the strokes as an SVG file that ``python -m ebmlib train`` takes as it is.

        Raises:
            InputError: nothing has been drawn, or the file cannot be written.
        """
        strokes, times = self.drawing
        write_svg(path, strokes, times, title=title)

    def description(self) -> str:
        """The picture in words."""
        if not self.strokes:
            return _WORDS
        return f"Left: {len(self.strokes)} strokes as drawn. Right: the same strokes, normalised."

    def picture(self) -> Figure:
        """The drawing (an example where nothing has been drawn) and its normalised form."""
        drawn = self if self.strokes else DrawingRecorder(strokes=self.example)
        data = drawn.demonstrations(steps=int(self.settings["steps"]), repetitions=1, sigma=0.0)
        figure, (left, right) = figures.new(1, 2, width=7.4, height=3.6)
        for stroke in drawn.drawing.strokes:
            left.plot(*stroke.T, color=figures.COLOURS["EXP"])
            left.plot(*stroke[0], "o", color=figures.COLOURS["reference"], markersize=4)
        left.set_aspect("equal", adjustable="datalim")
        left.set_title("as drawn")
        figures.demonstrations(right, data)
        circle = data.eps * np.exp(1j * np.linspace(0, 2 * np.pi, 100))
        right.plot(circle.real, circle.imag, "--", color=figures.COLOURS["limit"])
        right.set_title("normalised, with the action set")
        return figure


def _stroke(value: Any, label: str) -> dict[str, Any]:
    """A stroke as plain lists, or an InputError that names it."""
    if not isinstance(value, dict) or set(value) != {"points", "times"}:
        raise InputError(f"{label}: expected {{'points': ..., 'times': ...}}, got {value!r:.60}.")
    points: npt.NDArray[np.float64] = as_float_array(value["points"], label)
    check_polyline(points, label)
    if points.shape[1] != 2:
        raise InputError(f"{label} has shape {points.shape}; a drawing needs (n, 2).")
    return {
        "points": points.tolist(),
        "times": check_times(value["times"], len(points), label).tolist(),
    }
