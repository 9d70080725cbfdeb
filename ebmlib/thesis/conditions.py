"""Every model that the companion trains, by name.

A *condition* is a run without its seed. Studies and figures name conditions, never
hyper-parameters, so that what several of them need is trained once.

``dataset`` names are the presets (Table 4.1). The others change one thing at a time on the circle,
with 256 pairs an update where the preset has 512:

- ``architecture/...`` the variants of sections 3.2.1 and 4.2;
- ``start/...``        where chains start (sections 2.3.2 and 2.4);
- ``noise/...``        noise level against steps K (sections 4.3.1 and 4.3.3), with 128 pairs;
- ``fork``             data with two modes (section 3.3);
- ``joint/circle``     the joint density of state and action (section 3.2).
"""

from __future__ import annotations

from dataclasses import replace

from ebmlib.energy import EnergyConfig
from ebmlib.errors import InputError
from ebmlib.objectives import JointContrastiveDivergence
from ebmlib.presets import preset
from ebmlib.run import Run
from ebmlib.sgld import SGLD

ALPHAS = (0.001, 0.0025, 0.005, 0.01, 0.02)
"""Noise levels of the phase diagrams; the circle's own scale s is about 0.009."""

STEPS = (25, 50, 100, 200)
"""Numbers of steps K of the phase diagrams."""

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
    cells = [(alpha, steps) for steps in STEPS for alpha in ALPHAS]
    cells += [(0.0025, 400), (0.0025, 1000)]
    return {
        f"noise/alpha-{alpha:g}-K-{steps}": base.with_(alpha=alpha, sgld_K=steps)
        for alpha, steps in cells
    }


def _joint() -> dict[str, Run]:
    base = preset("circle").with_(epochs=500)
    objective = JointContrastiveDivergence(sampler=SGLD(alpha=0.01, steps=100), sgld_dim=256)
    return {"joint/circle": replace(base, objective=objective)}


CONDITIONS: dict[str, Run] = {
    **{name: preset(name) for name in DATASETS},
    "mouse1-K-100": preset("mouse1").with_(sgld_K=100),
    "fork": preset("circle").with_(dataset="fork", sgld_dim=256),
    **_architectures(),
    **_starts(),
    **_noise_levels(),
    **_joint(),
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


def tiny(run: Run) -> Run:
    """A run of the same kind that takes a second: for tests and the smoke profile."""
    return run.with_(
        epochs=min(run.training.epochs, 20),
        sgld_K=min(run.objective.sampler.steps, 20),
        sgld_dim=min(run.objective.sgld_dim, 64),
        **({"snapshot_every": 10} if run.training.snapshot_every else {}),
    )


def sampler_updates(run: Run) -> int:
    """Chain steps of all chains of a training, which is nearly all of its cost."""
    return run.training.epochs * run.objective.chain_steps
