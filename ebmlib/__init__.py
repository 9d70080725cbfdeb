"""Conditional energy-based models for imitation learning, after J. He (TU Darmstadt, 2021).

Data flows one way: demonstrations -> energy model -> training -> policy -> trajectories.

    from ebmlib import EXP, Store, preset, rollout, seeding
    trained = Store().train_or_load(preset("circle"))
    policy = EXP(trained.model, trained.run.objective.sampler)
    starts = torch.zeros(1, 2)
    trajectories = rollout(policy, starts, 150, generator=seeding.generator(0, "rollout"))
"""

from ebmlib.demonstrations import DemonstrationConfig, Demonstrations, load_demonstrations
from ebmlib.energy import EnergyConfig, EnergyModel
from ebmlib.errors import (
    DeviceError,
    DivergenceError,
    EbmlibError,
    InputError,
    NoiseLevelWarning,
    StoreError,
)
from ebmlib.exact import Grid, GridDensity, model_density
from ebmlib.objectives import ContrastiveDivergence
from ebmlib.policy import EXP, ML, Draw, Trajectories, rollout
from ebmlib.presets import for_drawing, preset, presets
from ebmlib.run import Run, device_of, execute, pairs_of
from ebmlib.sgld import SGLD, Chain
from ebmlib.starts import DataStart, NoiseStart, Pairs, PersistentStart, ReplayStart
from ebmlib.store import Store, Trained
from ebmlib.training import TrainingConfig, TrainingResult, train

__version__ = "0.1.0"

__all__ = [
    "EXP",
    "ML",
    "SGLD",
    "Chain",
    "ContrastiveDivergence",
    "DataStart",
    "DemonstrationConfig",
    "Demonstrations",
    "DeviceError",
    "DivergenceError",
    "Draw",
    "EbmlibError",
    "EnergyConfig",
    "EnergyModel",
    "Grid",
    "GridDensity",
    "InputError",
    "NoiseLevelWarning",
    "NoiseStart",
    "Pairs",
    "PersistentStart",
    "ReplayStart",
    "Run",
    "Store",
    "StoreError",
    "Trained",
    "TrainingConfig",
    "TrainingResult",
    "Trajectories",
    "device_of",
    "execute",
    "for_drawing",
    "load_demonstrations",
    "model_density",
    "pairs_of",
    "preset",
    "presets",
    "rollout",
    "train",
]
