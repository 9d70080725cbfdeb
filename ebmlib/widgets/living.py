"""The living picture: trajectories of a trained policy that move without a click and a kernel.

    from ebmlib.widgets import living_picture
    living_picture(store.train_or_load(preset("circle")))

It is plain HTML: an SVG that is whole where scripts are off or motion is not wanted, and a short
script that plays trajectories computed beforehand. It needs neither a widget manager nor another
file.
"""

from __future__ import annotations

import base64
import html
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from ebmlib import checks, figures, seeding
from ebmlib.demonstrations.features import POSITION
from ebmlib.errors import InputError
from ebmlib.policies import EXP, rollout
from ebmlib.sampling.sgld import SGLD
from ebmlib.training.store import Trained
from ebmlib.widgets import bundle

_HALF = 300.0  # half of the SVG's width in its own units
_SHARE = 0.92  # of it that starts and demonstrations fill
_TAIL = 7  # actions, as in light.js
_DEMONSTRATIONS = 8  # at most: more of them look the same

_PAGE = """<figure class="ebm-live" data-count="{count}" data-frames="{frames}"><style>
.ebm-live {{ margin: 0 auto 1rem; max-width: {width}px; }}
.ebm-live svg {{ display: block; height: auto; width: 100%; }}
.ebm-live path {{ fill: none; stroke-linecap: round; stroke-linejoin: round; }}
.ebm-live-demo {{ stroke: currentColor; stroke-opacity: .28; stroke-width: 2; }}
.ebm-live-tails {{ stroke: {light}; stroke-opacity: .45; stroke-width: 3; }}
.ebm-live-dots {{ stroke: {light}; stroke-width: 10; }}
html[data-theme="dark"] :is(.ebm-live-tails, .ebm-live-dots) {{ stroke: {dark}; }}
</style><svg viewBox="{box}" role="img" aria-label="{words}">
<path class="ebm-live-demo" d="{demo}"/><path class="ebm-live-tails" d="{tails}"/>
<path class="ebm-live-dots" d="{dots}"/></svg>
<script type="module">{script}
for (const figure of document.querySelectorAll(".ebm-live:not([data-played])")) {{
  figure.dataset.played = "";
  playTrajectories(figure);
}}</script></figure>"""
_DARK = "#6bb7e8"


@dataclass(frozen=True)
class LivingPicture:
    """A figure as HTML.

    Attributes:
        html: the whole figure; put it into a page as it is.
        words: the picture in words.
    """

    html: str
    words: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.words


def living_picture(
    trained: Trained,
    *,
    count: int = 32,
    steps: int = 100,
    population: int = 8,
    seed: int = 0,
    width: int = 640,
) -> LivingPicture:
    """Trajectories of a policy (EXP, Algorithm 2) from starts around its demonstrations, moving.

    Args:
        trained: a trained run on data of two dimensions.
        count: trajectories. The figure takes about 5 bytes for each of their positions.
        steps: actions of each; then it begins anew, while the others go on.
        population: chains for every action.
        seed: of starts and chains.
        width: of the figure at most, CSS pixels.

    Raises:
        InputError: data not of two dimensions, a state that is more than the position, or a number
            that is none.
    """
    checks.count("count", count)
    checks.count("steps", steps)
    checks.count("width", width)
    demonstrations = trained.demonstrations
    if demonstrations.dim != 2:
        raise InputError(
            f"The living picture draws data of 2 dimensions, and {demonstrations.name} has "
            f"{demonstrations.dim}; pass another policy."
        )
    if trained.run.features != POSITION:
        raise InputError(
            "The living picture draws policies that know the position alone, and this one knows "
            f"{trained.run.features.words}; pass another policy."
        )
    every = np.concatenate(demonstrations.trajectories)
    low, high = every.min(axis=0), every.max(axis=0)
    centre, half = (low + high) / 2, 0.6 * (high - low)
    rng = np.random.default_rng(seed)
    starts = centre + half * rng.uniform(-1, 1, size=(count, 2))
    sampler = trained.inference.kernel
    policy = EXP(
        trained.model, SGLD(alpha=sampler.alpha, steps=sampler.steps), population=population
    )
    device = next(trained.model.parameters()).device
    found = rollout(
        policy,
        torch.tensor(starts, dtype=torch.float32),
        steps,
        generator=seeding.generator(seed, "rollout", device),
    ).states
    paths = found.double().cpu().numpy()
    to = _SHARE * _HALF / max(half)
    limit = 3000.0  # what has left the picture stays out of it, and within int16
    drawn = np.clip(_to_svg(paths, centre, to), -limit, limit)
    high_side = 2 * _HALF * half[1] / max(half)
    box = [-_HALF, -high_side / 2, 2 * _HALF, high_side]
    phase = np.arange(count) * (steps + 1) // count
    words = (
        f"{count} trajectories of the policy for {demonstrations.name}, from starts all around the "
        "demonstrations, on their way."
    )
    markup = _PAGE.format(
        count=count,
        frames=base64.b64encode(np.round(10 * drawn).astype("<i2").tobytes()).decode(),
        width=width,
        light=figures.COLOURS["EXP"],
        dark=_DARK,
        box=" ".join(f"{value:g}" for value in box),
        words=html.escape(words),
        demo="".join(
            _line(_to_svg(path, centre, to))
            for path in demonstrations.trajectories[:_DEMONSTRATIONS]
        ),
        tails="".join(
            _line(path[max(0, j - _TAIL) : j + 1]) for path, j in zip(drawn, phase, strict=True)
        ),
        dots="".join(f"M{path[j, 0]:.1f} {path[j, 1]:.1f}h0"
                     for path, j in zip(drawn, phase, strict=True)),
        script=bundle.joined("light.js"),
    )  # fmt: skip
    return LivingPicture(markup, words)


def _to_svg(
    points: NDArray[np.float64], centre: NDArray[np.float64], to: float
) -> NDArray[np.float64]:
    """Positions (..., 2) in the SVG's units, y downwards."""
    moved: NDArray[np.float64] = (points - centre) * (to, -to)
    return moved


def _line(points: NDArray[np.float64]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
