"""Runs, configurations and presets: what they accept, refuse, and turn into."""

import dataclasses
import json
import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch

import ebmlib
from ebmlib import (
    EXP,
    MALA,
    ML,
    NCE,
    SGLD,
    VERA,
    ContrastiveDivergence,
    DemonstrationConfig,
    DenoisingScoreMatching,
    DeviceError,
    DiffusionRecovery,
    Draw,
    EbmlibError,
    EnergyConfig,
    EnergyDiscrepancy,
    EnergyModel,
    ExactLikelihood,
    FDivergence,
    GaussianProposal,
    Grid,
    ImportanceLikelihood,
    ImprovedContrastiveDivergence,
    Inference,
    InfoNCE,
    InputError,
    JointContrastiveDivergence,
    KernelSteinDiscrepancy,
    LearnedImportanceLikelihood,
    LearnedRankingNCE,
    LearnedSteinDiscrepancy,
    MixtureProposal,
    MultiLevelDenoising,
    NCEPlus,
    NoiseLevelWarning,
    NoiseStart,
    PersistentStart,
    RankingNCE,
    ReplayStart,
    Run,
    ScoreMatching,
    SelfNormalisedLikelihood,
    SlicedScoreMatching,
    StateFeatures,
    SteinGenerator,
    TrainingConfig,
    UniformProposal,
    config,
    device_of,
    execute,
    for_drawing,
    load_demonstrations,
    pairs_of,
    preset,
    seeding,
)
from ebmlib.evaluation import gaussian
from ebmlib.training.presets import presets

NOT_NUMBERS = ["3", "", None, True, False, math.nan, math.inf, -math.inf, [1], 1j, Fraction(1, 2)]
POSITIVE = [0, 0.0, -1, -1e-9, 10**400, *NOT_NUMBERS]
NON_NEGATIVE = [-1, -1e-9, *NOT_NUMBERS]
COUNT = [0, -1, 2.0, 2.5, *NOT_NUMBERS]
COUNT_FROM_0 = [-1, 2.0, 2.5, *NOT_NUMBERS]
FLAG = [0, 1, "yes", "", None, math.nan]
NAME = ["", "Relu", 3, None, math.nan, True, ("relu",)]
OBJECT = ["", "noise", 3, None, math.nan, True, {}]

CONTRASTED = (
    *(NCE, RankingNCE, ImportanceLikelihood, InfoNCE, SelfNormalisedLikelihood, FDivergence),
)
LEARNED = (LearnedImportanceLikelihood, LearnedRankingNCE)
GENERATED = (VERA, SteinGenerator)
FROM_DATA = (
    *(DenoisingScoreMatching, EnergyDiscrepancy, ExactLikelihood, MultiLevelDenoising, NCEPlus),
    *(ScoreMatching, SlicedScoreMatching, KernelSteinDiscrepancy, LearnedSteinDiscrepancy),
    *(DiffusionRecovery, *LEARNED, *GENERATED),
)
CHAINED = (ContrastiveDivergence, ImprovedContrastiveDivergence)
BAD = {
    (DemonstrationConfig, "source"): ["", 3, None, math.nan, True],
    (DemonstrationConfig, "steps"): [bad for bad in COUNT if bad is not None],
    (DemonstrationConfig, "repetitions"): COUNT,
    (DemonstrationConfig, "sigma"): NON_NEGATIVE,
    (DemonstrationConfig, "length"): POSITIVE,
    (DemonstrationConfig, "seed"): COUNT_FROM_0,
    (DemonstrationConfig, "scaling"): NAME,
    (DemonstrationConfig, "noise_on"): NAME,
    (StateFeatures, "history"): [1001, *COUNT_FROM_0],
    (StateFeatures, "history_mean"): FLAG,
    (StateFeatures, "clock"): FLAG,
    (EnergyConfig, "z_dim"): COUNT,
    (EnergyConfig, "h_dim"): COUNT,
    (EnergyConfig, "hidden_layers"): COUNT_FROM_0,
    (EnergyConfig, "embedding"): FLAG,
    (EnergyConfig, "residual"): FLAG,
    (EnergyConfig, "output_bias"): FLAG,
    (EnergyConfig, "first_activation"): NAME,
    (EnergyConfig, "spectral_norm"): NAME,
    (EnergyConfig, "temperature"): POSITIVE,
    (EnergyConfig, "activation"): ["tanh", *NAME],
    (EnergyConfig, "standardise"): FLAG,
    (SGLD, "alpha"): POSITIVE,
    (SGLD, "steps"): COUNT_FROM_0,
    (SGLD, "temperature"): NON_NEGATIVE,
    (SGLD, "drift"): [bad for bad in POSITIVE if bad is not None],
    (SGLD, "final_alpha"): [bad for bad in POSITIVE if bad is not None],
    (ReplayStart, "per_pair"): COUNT,
    (ReplayStart, "restart"): [1.1, *NON_NEGATIVE],
    **{
        (kind, name): bad
        for kind in CHAINED
        for name, bad in (
            ("sampler", [SGLD, *OBJECT]),
            ("start", [NoiseStart, *OBJECT]),
            ("sgld_dim", COUNT),
            ("reg_l1", NON_NEGATIVE),
            ("reg_l2", NON_NEGATIVE),
            ("data_noise", NON_NEGATIVE),
        )
    },
    (ImprovedContrastiveDivergence, "chains_per_state"): [3, 7, *COUNT],
    (ImprovedContrastiveDivergence, "neighbour"): COUNT,
    (ImprovedContrastiveDivergence, "kl_weight"): NON_NEGATIVE,
    (ImprovedContrastiveDivergence, "through"): [101, *COUNT],
    (TrainingConfig, "epochs"): COUNT,
    (TrainingConfig, "lr"): POSITIVE,
    (TrainingConfig, "optimizer"): NAME,
    (TrainingConfig, "final_lr"): [bad for bad in POSITIVE if bad is not None],
    (TrainingConfig, "snapshot_every"): [bad for bad in COUNT if bad is not None],
    (TrainingConfig, "decay"): NAME,
    (Run, "data"): ["circle", *OBJECT],
    (Run, "energy"): OBJECT,
    (Run, "objective"): OBJECT,
    (Run, "training"): OBJECT,
    (Run, "seed"): COUNT_FROM_0,
    (Run, "inference"): [bad for bad in OBJECT if bad is not None],
    (SGLD, "unit"): NAME,
    (MALA, "alpha"): POSITIVE,
    (MALA, "steps"): COUNT_FROM_0,
    (MALA, "unit"): NAME,
    (Inference, "kernel"): [SGLD, *OBJECT],
    (Inference, "estimate"): NAME,
    (Inference, "population"): [bad for bad in COUNT if bad is not None],
    (Inference, "grid"): [bad for bad in POSITIVE if bad is not None],
    (Inference, "jump"): [[], (0.1,), (0.1, -1.0), (0.1, math.nan), (1, 2, 3), "ab", 3, True, {}],
    (GaussianProposal, "broaden"): POSITIVE,
    (UniformProposal, "margin"): NON_NEGATIVE,
    (MixtureProposal, "widths"): [[], (), (0.0,), (-1,), ("a",), 3, None, math.nan],
    (MixtureProposal, "centres"): COUNT,
    **{
        (kind, name): bad
        for kind in CONTRASTED
        for name, bad in (
            ("proposal", [GaussianProposal, *OBJECT]),
            ("negatives", COUNT),
            ("batch_size", COUNT),
            ("data_noise", NON_NEGATIVE),
            ("reg_l2", NON_NEGATIVE),
            ("state_noise", NON_NEGATIVE),
            ("noise_unit", NAME),
            ("noise_across", [bad for bad in NON_NEGATIVE if bad is not None]),
        )
    },
    (NCE, "log_z_dim"): COUNT_FROM_0,
    (SelfNormalisedLikelihood, "log_z_dim"): COUNT_FROM_0,
    **{
        (kind, name): bad
        for kind in FROM_DATA
        for name, bad in (("batch_size", COUNT), ("data_noise", NON_NEGATIVE))
    },
    **{
        (kind, name): bad
        for kind in LEARNED
        for name, bad in (
            ("negatives", COUNT),
            ("components", COUNT),
            ("proposal_dim", COUNT),
            ("reg_l2", NON_NEGATIVE),
        )
    },
    **{
        (kind, name): bad
        for kind in GENERATED
        for name, bad in (
            ("latent_dim", COUNT),
            ("generator_dim", COUNT),
            ("reg_l2", NON_NEGATIVE),
        )
    },
    (VERA, "entropy"): NON_NEGATIVE,
    (VERA, "posterior_draws"): COUNT,
    (SteinGenerator, "particles"): [1, *COUNT],
    (SteinGenerator, "kernel_width"): POSITIVE,
    (KernelSteinDiscrepancy, "action_width"): POSITIVE,
    (KernelSteinDiscrepancy, "state_width"): POSITIVE,
    (LearnedSteinDiscrepancy, "critic_steps"): COUNT,
    (LearnedSteinDiscrepancy, "penalty"): POSITIVE,
    (LearnedSteinDiscrepancy, "critic_dim"): COUNT,
    (FDivergence, "divergence"): NAME,
    (FDivergence, "critic_dim"): COUNT,
    (FDivergence, "critic_steps"): COUNT,
    (DiffusionRecovery, "smallest"): POSITIVE,
    (DiffusionRecovery, "largest"): [0.3, *POSITIVE],
    (DiffusionRecovery, "levels"): [1, *COUNT],
    (DiffusionRecovery, "recovery_steps"): COUNT,
    (DiffusionRecovery, "recovery_alpha"): POSITIVE,
    (DiffusionRecovery, "level_dim"): COUNT,
    (DiffusionRecovery, "reg_l2"): NON_NEGATIVE,
    (ExactLikelihood, "cells"): [7, *COUNT],
    (ExactLikelihood, "margin"): NON_NEGATIVE,
    (NCEPlus, "negatives"): COUNT,
    (NCEPlus, "widths"): [[], (), (0.0,), (-1,), ("a",), 3, None, math.nan],
    (NCEPlus, "jitter"): NON_NEGATIVE,
    (NCEPlus, "reg_l2"): NON_NEGATIVE,
    (EnergyDiscrepancy, "negatives"): COUNT,
    (EnergyDiscrepancy, "reach"): POSITIVE,
    (EnergyDiscrepancy, "stabiliser"): NON_NEGATIVE,
    (EnergyDiscrepancy, "reg_l2"): NON_NEGATIVE,
    (SlicedScoreMatching, "slices"): COUNT,
    (DenoisingScoreMatching, "smoothing"): POSITIVE,
    (MultiLevelDenoising, "smallest"): POSITIVE,
    (MultiLevelDenoising, "largest"): [0.1, *POSITIVE],
    (MultiLevelDenoising, "levels"): [1, *COUNT],
    (MultiLevelDenoising, "level_dim"): COUNT,
    (JointContrastiveDivergence, "sampler"): [SGLD, *OBJECT],
    (JointContrastiveDivergence, "sgld_dim"): COUNT,
    (JointContrastiveDivergence, "reg_l1"): NON_NEGATIVE,
    (JointContrastiveDivergence, "reg_l2"): NON_NEGATIVE,
    (JointContrastiveDivergence, "state_noise"): NON_NEGATIVE,
    (Grid, "radius"): POSITIVE,
    (Grid, "d"): [0, 4, -1, 1.5, "2", None, math.nan],
    (Grid, "points"): [1, *COUNT],
    (EXP, "sampler"): OBJECT,
    (EXP, "population"): COUNT,
    (EXP, "positions"): [bad for bad in COUNT if bad is not None],
    (Run, "features"): ["position", *OBJECT],
    (EXP, "jitter"): [bad for bad in NON_NEGATIVE if bad is not None],
    (ML, "population"): COUNT,
    (ML, "blocks"): COUNT,
    (ML, "tolerance"): NON_NEGATIVE,
    (Draw, "sampler"): OBJECT,
}
SAID = {  # where the message names a parameter otherwise
    (SGLD, "steps"): "K",
    (MALA, "steps"): "K",
    (ReplayStart, "restart"): "restart probability",
    (Grid, "d"): "dimensions",
    (Grid, "points"): "grid points",
    (Grid, "radius"): "grid radius",
}
NEEDED = {
    DemonstrationConfig: {"source": "circle"},
    Run: {"data": DemonstrationConfig("circle")},
    Grid: {"radius": 1.0},
    **{kind: {"model": object()} for kind in (EXP, ML, Draw)},
}


@pytest.mark.parametrize(("kind", "name"), BAD, ids=lambda value: getattr(value, "__name__", value))
def test_bad_values_are_refused_in_one_sentence_that_names_the_parameter(kind, name):
    for value in BAD[kind, name]:
        with pytest.raises(InputError) as caught:
            kind(**(NEEDED.get(kind, {}) | {name: value}))
        message = str(caught.value)
        assert SAID.get((kind, name), name) in message, message
        assert message.endswith(".") and "\n" not in message
        short = repr(value)[:15]
        assert short in message or kind is Grid, message


def test_every_field_of_every_configuration_is_tried():
    kinds = {kind for kind, _ in BAD} - {EXP, ML, Draw} | {NoiseStart, PersistentStart}
    for kind in kinds:
        for field in dataclasses.fields(kind):
            assert (kind, field.name) in BAD
    exported = {
        value
        for name in ebmlib.__all__
        if dataclasses.is_dataclass(value := getattr(ebmlib, name))
        and name not in ("TrainingResult", "Trained", "GridDensity", "Demonstrations", "DataStart")
        and name != "TrainedPolicy"
    }
    assert exported <= kinds | {EXP, ML, Draw}, "a new configuration needs its bad values here"


def test_numpy_numbers_that_are_floats_are_taken_and_configurations_are_frozen():
    assert SGLD(alpha=np.float64(0.1)).alpha == 0.1
    with pytest.raises(dataclasses.FrozenInstanceError):
        SGLD().alpha = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("bad", [0, -1, 1.5, "2", None, True])
def test_sizes_of_a_model_are_checked(bad, generator):
    for dims in ((bad, 2), (2, bad)):
        with pytest.raises(InputError, match=r"(state|action)_dim must be a whole number"):
            EnergyModel(EnergyConfig(), *dims, generator=generator())


def test_closed_forms_check_their_arguments():
    for call in (
        lambda: gaussian.mean_after(3, -1.0, 1.0, 0.0),
        lambda: gaussian.mean_after(3, 1.0, math.nan, 0.0),
        lambda: gaussian.largest_stable_alpha(0),
        lambda: gaussian.noise_floor(0.1, 0),
        lambda: seeding.generator(-1),
        lambda: seeding.generator("seed"),
    ):
        with pytest.raises(InputError):
            call()


def test_with_changes_one_value_by_the_thesis_name_or_the_field_name():
    run = preset("circle").with_(
        sgld_K=256, sgld_al=0.02, dataset_sigma=0.03, seed=4, dataset="path1", drift=0.1, z_dim=8
    )
    assert run.objective.sampler == SGLD(alpha=0.02, steps=256, drift=0.1)
    assert (run.data.sigma, run.data.source, run.seed, run.energy.z_dim) == (0.03, "path1", 4, 8)
    assert run.with_(K=5, alpha=0.5).objective.sampler == SGLD(alpha=0.5, steps=5, drift=0.1)
    assert run.data.seed == 0 and run.with_(data_seed=3).data.seed == 3
    assert run.with_(start=PersistentStart()).objective.start == PersistentStart()
    assert run.training == preset("circle").training
    with pytest.raises(InputError, match=r"called 'speed'; known: K, .*alpha, .*z_dim"):
        run.with_(speed=3)
    with pytest.raises(InputError, match="alpha must be a finite number above 0, got -1"):
        run.with_(alpha=-1)


def test_table_holds_what_the_thesis_names_in_table_4_1():
    run = preset("circle").with_(lr=0.1, reg_l1=0.2, reg_l2=0.3, sgld_dim=7, epochs=9)
    expected = {
        "lr": 0.1,
        "z_dim": 64,
        "h_dim": 128,
        "reg_l1": 0.2,
        "reg_l2": 0.3,
        "sgld_K": 100,
        "sgld_al": 0.01,
        "sgld_dim": 7,
        "dataset_sigma": 0.01,
        "epochs": 9,
    }
    assert run.table() == expected
    assert preset("path1").with_(**expected).table() == expected


def test_presets_are_one_per_bundled_data_set_and_do_not_ask_for_too_much_noise():
    assert set(presets()) == {"path1", "circle", "mouse1", "mouse2"}
    for name, run in presets().items():
        assert run == preset(name) and run.data.source == name
        assert run.demonstrations().advise_alpha(run.objective.sampler.alpha) is None, name
    with pytest.raises(InputError, match=r"called 'spiral'; known: .*circle"):
        preset("spiral")
    with pytest.raises(InputError, match=r"'spiral'.*circle"):
        for_drawing("spiral")


def test_configurations_survive_json_and_digests_ignore_the_order_of_keys(tiny_run):
    data = json.loads(json.dumps(tiny_run.to_dict()))
    assert Run.from_dict(data) == tiny_run
    assert config.digest({"a": 1, "b": [2, None]}) == config.digest({"b": [2, None], "a": 1})
    assert config.digest({"a": 1}) != config.digest({"a": 2})
    with pytest.raises(InputError, match="alpha must be"):
        data["objective"]["sampler"]["alpha"] = -1
        Run.from_dict(data)


def test_streams_of_one_seed_are_independent_and_repeat():
    def first(seed, stream):
        return torch.randn(4, generator=seeding.generator(seed, stream)).tolist()

    assert first(0, "a") == first(0, "a")
    kinds = [(0, "a"), (0, "b"), (1, "a"), (1, "b"), (0, ""), (2**40, "a")]
    assert len({tuple(first(*kind)) for kind in kinds}) == len(kinds)


def test_devices_by_name():
    assert device_of("cpu") == torch.device("cpu")
    if not torch.cuda.is_available():
        assert device_of("auto") == device_of() == torch.device("cpu")
        for name in ("cuda", "cuda:0", "cuda:1"):
            with pytest.raises(DeviceError, match=rf"no device {name}, as this machine has 0 GPUs"):
                device_of(name)
    for name in ("tpu", "", "cuda:x", "cuda:", "cuda:-1", "gpu", None, 3):
        with pytest.raises(InputError, match="device must be auto, cpu, cuda or cuda:N"):
            device_of(name)


def test_pairs_are_the_demonstrations_in_order(tiny_run):
    data = load_demonstrations(tiny_run.data)
    pairs = pairs_of(data)
    assert pairs.states.dtype == pairs.actions.dtype == torch.float32
    assert len(pairs.states) == 6 * 25 and pairs.ids.tolist() == list(range(150))
    np.testing.assert_allclose(pairs.states.numpy(), data.states, atol=1e-6)
    np.testing.assert_allclose(pairs.actions.numpy(), data.actions, atol=1e-6)


def test_executing_a_run_depends_on_its_seed_and_nothing_else(tiny_run):
    one, two = execute(tiny_run), execute(tiny_run, load_demonstrations(tiny_run.data))
    assert one.history == two.history
    assert all(
        torch.equal(p, q)
        for p, q in zip(one.model.parameters(), two.model.parameters(), strict=True)
    )
    other = execute(tiny_run.with_(seed=1))
    assert other.history["loss"] != one.history["loss"]
    assert not other.model.training


def test_too_large_a_noise_level_is_said_before_training(tiny_run):
    with warnings.catch_warnings():
        warnings.simplefilter("error", NoiseLevelWarning)
        execute(tiny_run)
    loud = tiny_run.with_(alpha=1.0, K=1, epochs=1)
    with pytest.warns(NoiseLevelWarning, match=r"alpha 1 is past the stability limit 2 s = .*use"):
        execute(loud)


def test_every_error_of_the_library_is_one_base_class():
    for name in ("InputError", "DeviceError", "StoreError", "DivergenceError"):
        assert issubclass(getattr(ebmlib, name), EbmlibError)
