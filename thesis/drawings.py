"""The recipe for drawings, and what each of its ingredients is worth: conditions by name.

All are trained on ``crossing`` (data/make_mouse.py), a generated loop of four uneven strokes, with
the recipe's own network and batches. Widths of the noise are those that the recipe chooses from
these data (tests/thesis/test_thesis_drawings.py holds them to it). Every condition changes one
thing of ``drawings/recipe``.
"""

from __future__ import annotations

from dataclasses import replace

from ebmlib.demonstrations.dataset import DemonstrationConfig
from ebmlib.demonstrations.features import StateFeatures
from ebmlib.models.energy import EnergyConfig
from ebmlib.objectives import (
    NCE,
    ContrastiveDivergence,
    ImportanceLikelihood,
    RankingNCE,
)
from ebmlib.sampling.inference import Inference
from ebmlib.sampling.sgld import SGLD
from ebmlib.sampling.starts import NoiseStart, PersistentStart
from ebmlib.training.loop import TrainingConfig
from ebmlib.training.run import Run

SOURCE, KEPT = "crossing", "crossing-kept"

STATE_NOISE, ACTION_NOISE = 0.14, 0.17
"""Widths of the noise on states and actions in units of their spread."""
ALONG, ACROSS = 0.28, 0.10
"""The same for actions, along the demonstrated action and across it."""

HISTORY = StateFeatures(3, history_mean=True)
CLOCK = StateFeatures(clock=True)

_NOISE = {
    "data_noise": ACTION_NOISE,
    "state_noise": STATE_NOISE,
    "noise_unit": "spread",
}
_DRAWS = {"negatives": 16, "batch_size": 128}


def _recipe() -> Run:
    return Run(
        data=DemonstrationConfig(SOURCE, scaling="together", noise_on="copies"),
        energy=EnergyConfig.plain(
            h_dim=64, hidden_layers=2, residual=True, activation="silu", standardise=True
        ),
        objective=RankingNCE(**_NOISE, **_DRAWS),  # type: ignore[arg-type]
        training=TrainingConfig(epochs=500, lr=1e-2, final_lr=1e-4, decay="cosine"),
        inference=Inference(estimate="road", grid=ACTION_NOISE, jump=(ACTION_NOISE, ACTION_NOISE)),
        features=CLOCK,
    )


def _drawings() -> dict[str, Run]:
    base = _recipe()
    chains = ContrastiveDivergence(
        sampler=SGLD(alpha=0.75, steps=20, unit="s"), sgld_dim=128, reg_l2=1e-3
    )
    found = {
        "recipe": base,
        "as-given": replace(base, energy=replace(base.energy, standardise=False)),
        "no-state-noise": base.with_(state_noise=0.0),
        "no-action-noise": base.with_(data_noise=0.0),
        "no-noise": base.with_(data_noise=0.0, state_noise=0.0, snapshot_every=50),
        "oriented-noise": base.with_(data_noise=ALONG, noise_across=ACROSS),
        "constant-rate": base.with_(final_lr=None),
        "position": replace(base, features=StateFeatures()),
        "history": replace(base, features=HISTORY),
        "history-and-clock": replace(base, features=replace(HISTORY, clock=True)),
        "nce": replace(base, objective=NCE(**_NOISE, **_DRAWS)),  # type: ignore[arg-type]
        "importance": replace(
            base,
            objective=ImportanceLikelihood(**_NOISE, **_DRAWS),  # type: ignore[arg-type]
        ),
        "chains-from-noise": replace(base, objective=replace(chains, start=NoiseStart())),
        "chains-kept": replace(base, objective=replace(chains, start=PersistentStart())),
    }
    return {f"drawings/{name}": run for name, run in found.items()}


DRAWINGS: dict[str, Run] = _drawings()
"""Condition -> run with seed 0."""
