"""Several seeds trained in step give the models that each of them gives alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from ebmlib import (
    MALA,
    SGLD,
    DenoisingScoreMatching,
    EnergyConfig,
    InputError,
    PersistentStart,
    Run,
    execute,
    execute_together,
)
from ebmlib.errors import DivergenceError
from ebmlib.sampling.starts import DataStart, ReplayStart

SEEDS = [3, 0, 7]
ONE_EPOCH, SIX_EPOCHS = 1e-6, 1e-4
"""Largest difference of a weight: float32's rounding, and what six epochs make of it."""

NETWORKS: dict[str, dict[str, Any]] = {
    "the thesis's": {},
    "tanh": {"first_activation": "tanh"},
    "silu": {"activation": "silu"},
    "silu without embedding": {"activation": "silu", "embedding": False},
    "plain": {"embedding": False, "residual": False},
    "bias and temperature": {"output_bias": True, "temperature": 2.0},
    "standardised": {"standardise": True},
    "one layer": {"hidden_layers": 0},
}


def same(run: Run, atol: float) -> None:
    """Check that every seed's weights and history are those of the seed alone."""
    together = execute_together(run, SEEDS)
    assert list(together) == SEEDS
    for seed, made in together.items():
        alone = execute(replace(run, seed=seed))
        assert not isinstance(made, DivergenceError)
        weights = alone.model.state_dict()
        assert made.model.state_dict().keys() == weights.keys()
        for name, weight in made.model.state_dict().items():
            torch.testing.assert_close(weight, weights[name], rtol=0, atol=atol)
        assert made.history.keys() == alone.history.keys()
        for name, column in made.history.items():
            expected = torch.tensor(alone.history[name])
            torch.testing.assert_close(
                torch.tensor(column), expected, rtol=100 * atol, atol=10 * atol
            )
        assert made.snapshots.keys() == alone.snapshots.keys()
    first, second = (together[seed].model.state_dict() for seed in SEEDS[:2])  # type: ignore[union-attr]
    assert not torch.allclose(first["fcn.0.weight"], second["fcn.0.weight"], atol=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_trains_as_it_does_alone(tiny_run: Run, name: str) -> None:
    run = replace(tiny_run, energy=EnergyConfig(z_dim=5, h_dim=8, **NETWORKS[name]))
    same(replace(run, training=replace(run.training, epochs=1)), ONE_EPOCH)
    same(run, SIX_EPOCHS)


@pytest.mark.parametrize(
    "changes",
    [
        {"start": DataStart()},
        {"start": PersistentStart()},
        {"start": ReplayStart()},
        {"data_noise": 0.1},
        {"reg_l1": 0.1, "reg_l2": 0.1},
        {"sampler": SGLD(alpha=0.1, steps=5, final_alpha=0.01, temperature=0.5)},
        {"sampler": SGLD(alpha=0.5, steps=3, unit="s", temperature=0.0)},
    ],
    ids=str,
)
def test_every_start_and_sampler_trains_as_it_does_alone(
    tiny_run: Run, changes: dict[str, Any]
) -> None:
    training = replace(tiny_run.training, final_lr=0.001, snapshot_every=3)
    same(
        replace(tiny_run, objective=replace(tiny_run.objective, **changes), training=training),
        SIX_EPOCHS,
    )


def test_a_seed_that_diverges_leaves_the_others_alone(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seed 0 starts from weights that are not finite; what it had is with its error."""
    from ebmlib.training import together

    begin = together._loop

    def poisoned(run: Run, *rest: Any) -> Any:
        begun = begin(run, *rest)
        if run.seed == 0:
            with torch.no_grad():
                begun.model.fcn[0].weight[0, 0] = float("nan")
        return begun

    expected = execute_together(tiny_run, [3, 7])
    monkeypatch.setattr(together, "_loop", poisoned)
    found = execute_together(tiny_run, SEEDS)
    error = found[0]
    assert isinstance(error, DivergenceError) and "stopped at epoch 0 of 6" in str(error)
    assert error.result.history == {}  # type: ignore[attr-defined]
    for seed in (3, 7):
        for name, weight in found[seed].model.state_dict().items():  # type: ignore[union-attr]
            other = expected[seed].model.state_dict()[name]  # type: ignore[union-attr]
            torch.testing.assert_close(weight, other, rtol=0, atol=SIX_EPOCHS)


def test_what_cannot_be_one_batch_is_refused_in_one_sentence(tiny_run: Run) -> None:
    mala = replace(tiny_run.objective, sampler=MALA(alpha=0.05, steps=4))
    for run, told in (
        (replace(tiny_run, objective=DenoisingScoreMatching()), "got DenoisingScoreMatching"),
        (replace(tiny_run, objective=mala), "with MALA"),
        (replace(tiny_run, energy=EnergyConfig(spectral_norm="fcn_0_2")), "spectral_norm="),
    ):
        with pytest.raises(InputError, match=told) as refused:
            execute_together(run, SEEDS)
        assert "one by one" in str(refused.value)
    for seeds in ([], [1, 1]):
        with pytest.raises(InputError, match="each once"):
            execute_together(tiny_run, seeds)
