"""Figures of sections 4.3.2 and 4.3.3: training dynamic and non-converging chains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebmlib import figures
from ebmlib.thesis.figure import Source, figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@figure(
    "4.6",
    title="Mean step R over training on circle, K = 100",
    alt=(
        "Line plot of R over epochs. It starts on the dotted noise floor, rises within the first "
        "hundred and fifty epochs and stays on a plateau between the noise floor and the dashed "
        "line of a converged chain on a Gaussian of the data's narrowest scale."
    ),
    conditions=("circle",),
)
def mean_step_on_circle(source: Source) -> Figure:
    """R of the circle's preset."""
    trained = source.trained("circle")
    sheet, axes = figures.new()
    alpha = trained.run.objective.sampler.alpha
    figures.mean_step(axes, trained.history, alpha, scale=trained.demonstrations.action_scale())
    figures.legend_below(sheet)
    return sheet
