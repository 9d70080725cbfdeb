"""Every model that the companion trains, by name.

A *condition* is a run without its seed. Studies and figures name conditions, never
hyper-parameters, so that what several of them need is trained once.

``dataset`` names are the presets (Table 4.1). Most others change one thing on the circle, with 256
pairs an update where the preset has 512; those with another data set or another number of pairs or
epochs say so where they are made:

- ``architecture/...`` the variants of sections 3.2.1 and 4.2;
- ``start/...``        where chains start (sections 2.3.2 and 2.4);
- ``noise/...``        noise level against steps K (sections 4.3.1 and 4.3.3), with 128 pairs;
- ``fork``             data with two modes (section 3.3);
- ``joint/circle``     the joint density of state and action (section 3.2);
- ``lr/...``, ``size/...``, ``depth/...``, ``normalised/...``, ``sigma/...``, ``fork/...`` and
  ``mouse1/...`` other settings, for claims that do not hold at ours;
- ``drawings/...``     the recipe for drawings and its ingredients (:mod:`thesis.drawings`).
"""

from __future__ import annotations

from dataclasses import replace

from ebmlib.errors import InputError
from ebmlib.models.energy import EnergyConfig
from ebmlib.objectives import JointContrastiveDivergence
from ebmlib.sampling.sgld import SGLD
from ebmlib.training.presets import preset
from ebmlib.training.run import Run
from thesis.drawings import DRAWINGS

ALPHAS = (0.001, 0.0025, 0.005, 0.01, 0.02)
"""Noise levels of the phase diagrams; the circle's own scale s is about 0.009."""

STEPS = (25, 50, 100, 200)
"""Numbers of steps K of the phase diagrams."""

NOISE_GRID = {
    f"noise/alpha-{alpha:g}-K-{steps}": (alpha, steps)
    for alpha, steps in (
        *((alpha, steps) for steps in STEPS for alpha in ALPHAS),
        *((0.0025, steps) for steps in (400, 1000)),
    )
}
"""Condition -> noise level and K."""

STARTS = (
    *(f"start/{name}-K-20" for name in ("noise", "data", "persistent", "replay")),
    *(f"start/{name}-K-100" for name in ("data", "persistent", "replay")),
    *(f"start/{name}-K-20-alpha-0.002" for name in ("noise", "data")),
    "start/persistent-K-100-decay",
)
"""Conditions whose chains start elsewhere, or have other K, while training."""

DATASETS = ("path1", "circle", "mouse1", "mouse2")


def _architectures() -> dict[str, Run]:
    base = preset("circle").with_(sgld_dim=256, epochs=1000, snapshot_every=50)
    short = base.with_(epochs=500)
    plain = replace(base.with_(epochs=3000), energy=EnergyConfig.plain())
    return {
        "architecture/figure-3-2": base,
        "architecture/half": base.with_(z_dim=32, h_dim=64),
        "architecture/sn-fcn-0-2": base.with_(spectral_norm="fcn_0_2"),
        "architecture/sn-all": base.with_(spectral_norm="fcn_and_fe_x"),
        "architecture/no-residual": short.with_(residual=False),
        "architecture/bias": short.with_(output_bias=True),
        "architecture/regularised": short.with_(reg_l1=1e-3, reg_l2=1e-3),
        "architecture/path1": base.with_(dataset="path1"),
        "architecture/plain": plain,
        "architecture/plain-path1": plain.with_(dataset="path1"),
        "architecture/plain-tanh": plain.with_(epochs=500, first_activation="tanh"),
    }


def _starts() -> dict[str, Run]:
    base = preset("circle").with_(sgld_dim=256, epochs=1000, snapshot_every=50)
    short = base.with_(sgld_K=20)
    found = {f"start/{name}-K-20": short.with_(start=name) for name in _STARTS}
    found |= {f"start/{name}-K-100": base.with_(start=name) for name in _STARTS if name != "noise"}
    found |= {
        f"start/{name}-K-20-alpha-0.002": short.with_(start=name, alpha=0.002)
        for name in ("noise", "data")
    }
    found["start/persistent-K-100-decay"] = base.with_(start="persistent", final_lr=1e-5)
    return found


_STARTS = ("noise", "data", "persistent", "replay")


def _noise_levels() -> dict[str, Run]:
    base = preset("circle").with_(sgld_dim=128, epochs=500, snapshot_every=100)
    return {
        name: base.with_(alpha=alpha, sgld_K=steps) for name, (alpha, steps) in NOISE_GRID.items()
    }


def _joint() -> dict[str, Run]:
    base = preset("circle").with_(epochs=500)
    objective = JointContrastiveDivergence(sampler=SGLD(alpha=0.01, steps=100), sgld_dim=256)
    return {"joint/circle": replace(base, objective=objective)}


RATES = (0.01, 0.03, 0.1)
"""Learning rates, where ours is 0.001."""

LEVEL_RATES = (0.01, 0.03, 0.05, 0.1)
"""For the level of f, which leaves float32's range somewhere between two of the above."""

DEPTHS = (4, 8, 16)
"""Numbers of hidden layers, where Figure 3.2 has two."""

NORMALISED_DEPTHS = (2, 4, 8, 16)
SIGMAS = (0.02, 0.05)
"""Noise on the demonstrated positions, where ours is 0.01."""

WIDER_DATA = ("path1", "circle", "mouse2")


def _learning_rates() -> dict[str, Run]:
    """Networks of sections 3.2.1, 3.4 and 4.2 at higher rates, for as long as at ours.

    Only the level of f, which leaves its range early or not at all, has 300 epochs.
    """
    base = preset("circle").with_(sgld_dim=256, epochs=1000, snapshot_every=50)
    plain = replace(base.with_(epochs=3000), energy=EnergyConfig.plain())
    found: dict[str, Run] = {}
    for lr in RATES:
        kinds = {
            "early": base.with_(epochs=24, snapshot_every=3),
            "embedding": base,
            "sn-fcn-0-2": base.with_(spectral_norm="fcn_0_2"),
            "plain": plain,
            "plain-tanh": plain.with_(epochs=500, first_activation="tanh"),
            "plain-path1": plain.with_(dataset="path1"),
        }
        found |= {f"lr/{kind}-{lr:g}": run.with_(lr=lr) for kind, run in kinds.items()}
    level = base.with_(epochs=300)
    for lr in LEVEL_RATES:
        found[f"lr/figure-3-2-{lr:g}"] = level.with_(lr=lr)
        found[f"lr/regularised-{lr:g}"] = level.with_(lr=lr, reg_l1=1e-3, reg_l2=1e-3)
    return found


def _other_settings() -> dict[str, Run]:
    sized = preset("circle").with_(sgld_dim=256, epochs=1000, snapshot_every=50)
    found = {
        "size/quarter": sized.with_(z_dim=16, h_dim=32),
        "size/eighth": sized.with_(z_dim=8, h_dim=16),
    }
    base = preset("circle").with_(sgld_dim=128, epochs=200)
    for depth in DEPTHS:
        found[f"depth/residual-{depth}"] = base.with_(hidden_layers=depth)
        found[f"depth/no-residual-{depth}"] = base.with_(hidden_layers=depth, residual=False)
    normalised = base.with_(
        epochs=500, snapshot_every=50, spectral_norm="fcn_and_fe_x", residual=False
    )
    for depth in NORMALISED_DEPTHS:
        found[f"normalised/no-residual-{depth}"] = normalised.with_(hidden_layers=depth)
    for sigma in SIGMAS:
        for name in WIDER_DATA:
            found[f"sigma/{name}-{sigma:g}"] = preset(name).with_(dataset_sigma=sigma)
    # with less noise on the positions the action's scale s shrinks, and alpha has to follow:
    # three quarters of s, as at ours
    quiet = preset("mouse2").with_(dataset_sigma=0.003, alpha=0.003, sgld_K=200)
    found["sigma/mouse2-0.003"] = quiet
    fork = preset("circle").with_(dataset="fork", sgld_dim=128)
    found |= {f"fork/lr-{lr:g}": fork.with_(lr=lr) for lr in (0.003, 0.01)}
    found["fork/epochs-3000"] = fork.with_(epochs=3000)
    mouse = preset("mouse1").with_(sgld_dim=128, alpha=0.003)
    found |= {f"mouse1/alpha-0.003-K-{steps}": mouse.with_(sgld_K=steps) for steps in (100, 256)}
    return found


CONDITIONS: dict[str, Run] = {
    **{name: preset(name) for name in DATASETS},
    "mouse1-K-100": preset("mouse1").with_(sgld_K=100),
    "fork": preset("circle").with_(dataset="fork", sgld_dim=256),
    **_architectures(),
    **_starts(),
    **_noise_levels(),
    **_joint(),
    **_learning_rates(),
    **_other_settings(),
    **DRAWINGS,
}
"""Name -> run with seed 0."""


def condition(name: str, seed: int = 0) -> Run:
    """The run of a condition and a seed.

    Raises:
        InputError: no condition of that name; the known ones are listed.
    """
    if name not in CONDITIONS:
        raise InputError(f"No condition is called {name!r}; known: {', '.join(CONDITIONS)}.")
    return CONDITIONS[name].with_(seed=seed)
