"""Every figure: functions that take results and draw them on given axes. Nothing trains here."""

from ebmlib.figures.comparison import rollouts_of_methods
from ebmlib.figures.fields import action_density, vector_field
from ebmlib.figures.network import architecture
from ebmlib.figures.returns import basin, over_seeds
from ebmlib.figures.style import (
    COLOURS,
    label_axes,
    legend_below,
    new,
    repeated,
    save,
    use_style,
    using_style,
)
from ebmlib.figures.training import gradient_norms, loss, mean_step
from ebmlib.figures.trajectories import actions, demonstrations, distance_over_time, trajectories

__all__ = [
    "COLOURS",
    "action_density",
    "actions",
    "architecture",
    "basin",
    "demonstrations",
    "distance_over_time",
    "gradient_norms",
    "label_axes",
    "legend_below",
    "loss",
    "mean_step",
    "new",
    "over_seeds",
    "repeated",
    "rollouts_of_methods",
    "save",
    "trajectories",
    "use_style",
    "using_style",
    "vector_field",
]
