"""Keys: what version 0.1 trained is found again, and a new field changes no key."""

import dataclasses
import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from ebmlib import InputError, Run, Store, config, execute
from ebmlib.training import keys

OLD = Path(__file__).parent / "store_of_version_0_1"
ENTRIES = json.loads((OLD / "expected.json").read_text(encoding="utf-8"))

DEFAULTS = {
    ("Arrival", 1): {},
    ("ContrastiveDivergence", 1): {
        "sampler": {"is": "SGLD"},
        "sgld_dim": 512,
        "reg_l1": 0.0,
        "reg_l2": 0.0,
        "start": {"is": "NoiseStart"},
        "data_noise": 0.0,
    },
    ("DataStart", 1): {},
    ("DemonstrationConfig", 1): {
        "steps": 100,
        "repetitions": 20,
        "sigma": 0.01,
        "length": 6.283185307179586,
        "seed": 0,
        "scaling": "each",
        "noise_on": "all",
    },
    ("DenoisingScoreMatching", 1): {"batch_size": 512, "data_noise": 0.0, "smoothing": 0.1},
    ("DiffusionRecovery", 1): {
        "batch_size": 512,
        "data_noise": 0.0,
        "smallest": 0.3,
        "largest": 2.0,
        "levels": 4,
        "recovery_steps": 30,
        "recovery_alpha": 0.4,
        "level_dim": 64,
        "reg_l2": 0.0,
    },
    ("EnergyConfig", 1): {
        "z_dim": 64,
        "h_dim": 128,
        "hidden_layers": 2,
        "embedding": True,
        "residual": True,
        "first_activation": "relu",
        "spectral_norm": "none",
        "output_bias": False,
        "temperature": 1.0,
        "activation": "relu",
        "standardise": False,
    },
    ("EnergyDiscrepancy", 1): {
        "batch_size": 512,
        "data_noise": 0.0,
        "negatives": 16,
        "reach": 0.5,
        "stabiliser": 1.0,
        "reg_l2": 0.0,
    },
    ("ExactLikelihood", 1): {"batch_size": 32, "data_noise": 0.0, "cells": 1024, "margin": 0.5},
    ("FDivergence", 1): {
        "proposal": {"is": "GaussianProposal"},
        "negatives": 64,
        "batch_size": 512,
        "data_noise": 0.0,
        "reg_l2": 0.0,
        "divergence": "jensen-shannon",
        "critic_dim": 64,
        "state_noise": 0.0,
        "noise_unit": "data",
        "noise_across": None,
        "critic_steps": 5,
    },
    ("FixedSteps", 1): {"steps": 100},
    ("GaussianProposal", 1): {"broaden": 1.5},
    ("ImportanceLikelihood", 1): {
        "proposal": {"is": "GaussianProposal"},
        "negatives": 64,
        "batch_size": 512,
        "data_noise": 0.0,
        "reg_l2": 0.0,
        "state_noise": 0.0,
        "noise_unit": "data",
        "noise_across": None,
    },
    ("ImprovedContrastiveDivergence", 1): {
        "sampler": {"is": "SGLD"},
        "sgld_dim": 512,
        "reg_l1": 0.0,
        "reg_l2": 0.0,
        "start": {"is": "NoiseStart"},
        "data_noise": 0.0,
        "chains_per_state": 16,
        "neighbour": 3,
        "kl_weight": 1.0,
        "through": 1,
    },
    ("Inference", 1): {
        "kernel": {"is": "SGLD"},
        "estimate": "exp",
        "population": None,
        "grid": None,
        "jump": None,
    },
    ("InfoNCE", 1): {
        "proposal": {"is": "UniformProposal"},
        "negatives": 64,
        "batch_size": 512,
        "data_noise": 0.0,
        "reg_l2": 0.0,
        "state_noise": 0.0,
        "noise_unit": "data",
        "noise_across": None,
    },
    ("JointContrastiveDivergence", 1): {
        "sampler": {"is": "SGLD"},
        "sgld_dim": 512,
        "reg_l1": 0.0,
        "reg_l2": 0.0,
        "state_noise": 0.1,
    },
    ("KernelSteinDiscrepancy", 1): {
        "batch_size": 512,
        "data_noise": 0.0,
        "action_width": 0.5,
        "state_width": 0.5,
    },
    ("LearnedImportanceLikelihood", 1): {
        "batch_size": 512,
        "data_noise": 0.0,
        "negatives": 64,
        "components": 4,
        "proposal_dim": 64,
        "reg_l2": 0.0,
    },
    ("LearnedRankingNCE", 1): {
        "batch_size": 512,
        "data_noise": 0.0,
        "negatives": 64,
        "components": 4,
        "proposal_dim": 64,
        "reg_l2": 0.0,
    },
    ("LearnedSteinDiscrepancy", 1): {
        "batch_size": 512,
        "data_noise": 0.0,
        "critic_steps": 5,
        "penalty": 10.0,
        "critic_dim": 64,
    },
    ("MALA", 1): {"alpha": 0.01, "steps": 100, "unit": "action"},
    ("MixtureProposal", 1): {"widths": [0.2, 1.0], "centres": 256},
    ("MultiLevelDenoising", 1): {
        "batch_size": 512,
        "data_noise": 0.0,
        "smallest": 0.1,
        "largest": 1.0,
        "levels": 6,
        "level_dim": 64,
    },
    ("NCE", 1): {
        "proposal": {"is": "GaussianProposal"},
        "negatives": 64,
        "batch_size": 512,
        "data_noise": 0.0,
        "reg_l2": 0.0,
        "log_z_dim": 64,
        "state_noise": 0.0,
        "noise_unit": "data",
        "noise_across": None,
    },
    ("NCEPlus", 1): {
        "batch_size": 512,
        "data_noise": 0.0,
        "negatives": 64,
        "widths": [0.1, 0.8],
        "jitter": 0.025,
        "reg_l2": 0.0,
    },
    ("NoiseStart", 1): {},
    ("PersistentStart", 1): {},
    ("RankingNCE", 1): {
        "proposal": {"is": "GaussianProposal"},
        "negatives": 64,
        "batch_size": 512,
        "data_noise": 0.0,
        "reg_l2": 0.0,
        "state_noise": 0.0,
        "noise_unit": "data",
        "noise_across": None,
    },
    ("ReplayStart", 1): {"per_pair": 5, "restart": 0.05},
    ("Run", 1): {
        "energy": {"is": "EnergyConfig"},
        "objective": {"is": "ContrastiveDivergence"},
        "training": {"is": "TrainingConfig"},
        "seed": 0,
        "inference": None,
        "features": {"is": "StateFeatures"},
    },
    ("SGLD", 1): {
        "alpha": 0.01,
        "steps": 100,
        "temperature": 1.0,
        "drift": None,
        "final_alpha": None,
        "unit": "action",
    },
    ("ScoreMatching", 1): {"batch_size": 512, "data_noise": 0.0},
    ("SelfNormalisedLikelihood", 1): {
        "proposal": {"is": "GaussianProposal"},
        "negatives": 64,
        "batch_size": 512,
        "data_noise": 0.0,
        "reg_l2": 0.0,
        "log_z_dim": 64,
        "state_noise": 0.0,
        "noise_unit": "data",
        "noise_across": None,
    },
    ("SlicedScoreMatching", 1): {"batch_size": 512, "data_noise": 0.0, "slices": 1},
    ("StateFeatures", 1): {"history": 0, "history_mean": False, "clock": False},
    ("SteinGenerator", 1): {
        "batch_size": 64,
        "data_noise": 0.0,
        "latent_dim": 8,
        "generator_dim": 64,
        "reg_l2": 0.0,
        "particles": 16,
        "kernel_width": 0.5,
    },
    ("TrainingConfig", 1): {
        "epochs": 1000,
        "lr": 0.001,
        "optimizer": "adam",
        "final_lr": None,
        "snapshot_every": None,
        "decay": "geometric",
    },
    ("UniformProposal", 1): {"margin": 0.5},
    ("VERA", 1): {
        "batch_size": 512,
        "data_noise": 0.0,
        "latent_dim": 8,
        "generator_dim": 64,
        "reg_l2": 0.0,
        "entropy": 1.0,
        "posterior_draws": 20,
    },
}
"""Every default by class and revision. Keys leave defaults out: whoever changes a default gives the
class a higher ``revision``, or models trained with the old default would be taken for others."""


def test_defaults_of_a_revision_never_change():
    import ebmlib

    assert all(getattr(ebmlib, name) for name in ebmlib.__all__)  # registers every class
    found = {}
    for name, kind in config.registered().items():
        if not kind.__module__.startswith("ebmlib"):
            continue
        defaults = {f.name: config.default_of(f) for f in dataclasses.fields(kind)}
        found[name, config.revision_of(kind)] = {
            field: config.identity(value)
            for field, value in defaults.items()
            if value is not dataclasses.MISSING
        }
    assert found == DEFAULTS, (
        "a default changed: raise the revision of its class; a new field: here"
    )


def test_a_field_at_its_default_changes_no_key_and_any_other_value_does():
    @config.register("Planted")
    @dataclass(frozen=True)
    class Before:
        width: int = 3

    old = config.digest(config.identity(Before(4)))
    config._CLASSES.pop("Planted")

    @config.register("Planted")
    @dataclass(frozen=True)
    class After:
        width: int = 3
        depth: float = 1.0

    try:
        assert config.digest(config.identity(After(4))) == old
        assert config.identity(After()) == {"is": "Planted"}
        changed = [After(4, 2.0), After(3), After(3, 2.0)]
        assert len({config.digest(config.identity(c)) for c in changed} | {old}) == 4
        assert config.from_dict(config.identity(After(4, 2.0))) == After(4, 2.0)
        assert config.from_dict({"is": "Planted", "width": 4}) == After(4, 1.0)
        After.revision = 2  # its meaning changed
        assert config.digest(config.identity(After(4))) != old
    finally:
        config._CLASSES.pop("Planted")


def test_a_name_belongs_to_one_class():
    with pytest.raises(InputError, match="Two configuration classes are called 'SGLD'"):
        config.register("SGLD")(type("Other", (), {}))


def test_how_actions_are_drawn_is_no_part_of_the_key(tiny_run):
    assert keys.key(tiny_run.with_(estimate="ml", kernel="mala"), "d") == keys.key(tiny_run, "d")


@pytest.mark.parametrize("name", ENTRIES)
def test_what_version_0_1_trained_is_found_under_its_old_key(name, tmp_path):
    store = Store(shutil.copytree(OLD, tmp_path / "store"))
    run = Run.from_dict(ENTRIES[name]["run"])
    found = store.train_or_load(run)
    assert found.loaded and found.record["key"] == ENTRIES[name]["key"]
    assert store.load(ENTRIES[name]["key"]).run == run
    again = execute(run)
    for weight, theirs in again.model.state_dict().items():
        torch.testing.assert_close(theirs, found.model.state_dict()[weight], rtol=1e-3, atol=1e-5)
    assert again.history["R"] == pytest.approx(found.history["R"], rel=1e-3)


def test_what_version_0_1_could_not_train_has_no_old_key(tiny_run):
    for later in (
        tiny_run.with_(objective="nce"),
        tiny_run.with_(sampler="mala"),
        tiny_run.with_(alpha_unit="s"),
        tiny_run.with_(features="position+clock"),
    ):
        assert keys.key_of_version_0_1(later, "d") is None
    assert keys.key_of_version_0_1(replace(tiny_run, inference=None), "d") is not None
