"""The network as blocks (Fig 3.2): widths, activations and parameter counts from the model."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from ebmlib.figures.style import COLOURS
from ebmlib.models.energy import EnergyModel

_HEIGHT, _WIDTH = 1.1, 2.4
_FIRST = 4.5  # where the first FCN block stands


def architecture(axes: Axes, model: EnergyModel, normalised: tuple[str, ...] = ()) -> None:
    """Draw an embedding network with its residual layers.

    Args:
        axes: where to draw; its frame is taken away.
        model: gives the sizes; made with embedding.
        normalised: layers (``"FCN[0]"``) drawn as spectrally normalised.
    """
    layers, activations = model.layers(), model.activations()

    def block(x: float, y: float, name: str) -> None:
        layer = layers[name]
        count = sum(parameter.numel() for parameter in layer.parameters())
        marked = name in normalised
        axes.add_patch(
            FancyBboxPatch(
                (x - _WIDTH / 2, y - _HEIGHT / 2), _WIDTH, _HEIGHT, boxstyle="round,pad=0.05",
                facecolor="#F6C9B2" if marked else "#DCE9F4", zorder=2,
                edgecolor=COLOURS["limit"] if marked else COLOURS["chain"],
                linestyle="--" if marked else "-",
            )
        )  # fmt: skip
        text = f"{name}\n{layer.in_features} → {layer.out_features}\n{count:,} parameters"
        axes.text(x, y, text, ha="center", va="center", fontsize=8, zorder=3)
        activation = activations.get(name, "no activation")
        axes.text(x, y - 0.85, activation, ha="center", va="center", fontsize=8.5, style="italic")

    def arrow(start: tuple[float, float], end: tuple[float, float], bend: float = 0.0) -> None:
        style = f"arc3,rad={bend}"
        axes.add_patch(
            FancyArrowPatch(
                start, end, arrowstyle="-|>", mutation_scale=9, connectionstyle=style,
                color=COLOURS["reference"], linewidth=1.0, zorder=1, shrinkA=0, shrinkB=0,
            )
        )  # fmt: skip

    fcn = [name for name in layers if name.startswith("FCN")]
    half, step = _WIDTH / 2 + 0.06, 3.0
    for y, letter, name in ((1.1, "state $x$", "FE_x"), (-1.1, "action $a$", "FE_a")):
        axes.text(-0.85, y, letter, ha="right", va="center")
        arrow((-0.75, y), (1.0 - half, y))
        block(1.0, y, name)
        arrow((1.0 + half, y), (_FIRST - half, 0.25 * y))
    for number, name in enumerate(fcn):
        x = _FIRST + step * number
        last = number == len(fcn) - 1
        block(x, 0, name)
        if 0 < number < len(fcn) - 1 and model.config.residual:
            arrow((x - step / 2 - 0.1, 0.1), (x + step / 2 - 0.05, 0.1), -0.75)
            axes.text(x, 1.3, "+ input", ha="center", va="bottom", fontsize=8.5)
        if not last:
            arrow((x + half, 0), (x + step - half, 0))
        else:
            arrow((x + half, 0), (x + half + 0.5, 0))
            axes.text(x + half + 0.6, 0, "$f(x, a)$", ha="left", va="center")
    if normalised:
        words = "dashed: the blocks that section 3.2.1 wraps with spectral normalisation"
        axes.text(_FIRST - half, -1.95, words, fontsize=8.5, color=COLOURS["limit"], va="center")
    axes.set_xlim(-2.2, _FIRST + step * (len(fcn) - 1) + half + 1.6)
    axes.set_ylim(-2.3, 2.1)
    axes.set_aspect("equal")
    axes.set_axis_off()
