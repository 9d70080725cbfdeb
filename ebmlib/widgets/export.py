"""Trained policies and demonstrations as JSON that the JavaScript numerics read.

Numbers are little-endian float32 in base64. Weights are the effective ones, after spectral
normalisation and with standardisation folded into them, so that the reader of the file need not
know about either.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ebmlib.models.energy import EnergyModel

if TYPE_CHECKING:
    from ebmlib.demonstrations.dataset import Demonstrations
    from ebmlib.training.run import Run

FORMAT = 2
"""Raised when a reader of the old format would misread the new one."""


def encode_float32(values: ArrayLike) -> str:
    """Numbers of any shape as base64 of little-endian float32, row-major."""
    return base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode("ascii")


def export_network(model: EnergyModel) -> dict[str, Any]:
    """The architecture and the effective weights of a model.

    Returns:
        ``format``, ``architecture`` (the fields of :class:`~ebmlib.models.energy.EnergyConfig`,
        ``state_dim`` and ``action_dim``) and ``layers``: by the names of Figure 3.2, ``shape``
        (rows, columns), ``weight`` and ``bias`` (base64 float32; None without a bias).
    """
    config = model.config
    return {
        "format": FORMAT,
        "architecture": {
            "state_dim": model.state_dim,
            "action_dim": model.action_dim,
            "z_dim": config.z_dim,
            "h_dim": config.h_dim,
            "residual": config.residual,
            "first_activation": config.first_activation,
            "activation": config.activation,
            "temperature": config.temperature,
        },
        "layers": {
            name: {
                "shape": list(weight.shape),
                "weight": encode_float32(weight.cpu()),
                "bias": None if bias is None else encode_float32(bias.cpu()),
            }
            for name, (weight, bias) in model.folded().items()
        },
    }


def export_demonstrations(demonstrations: Demonstrations) -> dict[str, Any]:
    """Trajectories, and the radius of their action set.

    Returns:
        ``name``, ``dim``, ``counts`` (positions per trajectory), ``positions`` (base64 float32, all
        trajectories one after the other), ``max_step`` and ``eps`` (section 3.2), ``single``
        (all are noisy copies of one reference path).
    """
    return {
        "name": demonstrations.name,
        "dim": demonstrations.dim,
        "counts": [len(x) for x in demonstrations.trajectories],
        "positions": encode_float32(np.concatenate(demonstrations.trajectories)),
        "max_step": demonstrations.max_step,
        "eps": demonstrations.eps,
        "single": demonstrations.reference is not None,
    }


def export_policy(model: EnergyModel, demonstrations: Demonstrations, run: Run) -> dict[str, Any]:
    """A trained policy: its network, the name of its data, the sampler it was trained with.

    The demonstrations travel apart (:func:`export_demonstrations`), since several policies share
    them.
    """
    sampler = run.effective_inference.kernel
    return {
        "dataset": demonstrations.name,
        "alpha": sampler.alpha,
        "trained_k": sampler.steps,
        "seed": run.seed,
        "network": export_network(model),
    }
