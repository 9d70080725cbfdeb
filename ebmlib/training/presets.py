"""Table 4.1 with values: the thesis names the hyper-parameters, the values are ours.

Every preset is Figure 3.2's network without spectral normalisation, trained by contrastive
divergence with noise-started chains. The noise level fits all four data sets because they share
one length scale (assumption 3 of section 3.1) and one ``dataset_sigma``.
"""

from __future__ import annotations

from ebmlib.demonstrations.dataset import DemonstrationConfig
from ebmlib.errors import InputError
from ebmlib.objectives import ContrastiveDivergence
from ebmlib.sampling.sgld import SGLD
from ebmlib.training.loop import TrainingConfig
from ebmlib.training.run import Run

_BASE = Run(
    data=DemonstrationConfig(source="circle", repetitions=20, sigma=0.01),
    objective=ContrastiveDivergence(sampler=SGLD(alpha=0.01, steps=100), sgld_dim=512),
    training=TrainingConfig(epochs=1000, lr=1e-3),
)

_PRESETS = {
    "path1": _BASE.with_(dataset="path1"),
    "circle": _BASE,
    "mouse1": _BASE.with_(dataset="mouse1", sgld_K=256, epochs=1500),
    "mouse2": _BASE.with_(dataset="mouse2"),
}


def presets() -> dict[str, Run]:
    """All presets by name.

    Example:
        >>> from ebmlib import presets
        >>> sorted(presets())
        ['circle', 'mouse1', 'mouse2', 'path1']
    """
    return dict(_PRESETS)


def preset(name: str) -> Run:
    """The preset of a data set.

    Raises:
        InputError: no preset of that name; the known ones are listed.

    Example:
        >>> from ebmlib import preset
        >>> run = preset("circle").with_(sgld_K=256, seed=3)
        >>> run.sampler.steps, run.seed
        (256, 3)
    """
    if name not in _PRESETS:
        raise InputError(f"No preset is called {name!r}; known: {', '.join(_PRESETS)}.")
    return _PRESETS[name]
