"""What training does, as numbers: a change of its behaviour must raise the training revision.

The store trusts an entry whose key is the same, and the revision is part of the key. If this test
fails because training now gives other weights on purpose, raise ``TRAINING_REVISION`` and replace
the numbers by what this module prints when it is run (``python tests/test_golden.py``).
"""

from dataclasses import replace

import pytest
import torch

from ebmlib import (
    SGLD,
    ContrastiveDivergence,
    EnergyConfig,
    EnergyModel,
    Pairs,
    PersistentStart,
    ReplayStart,
    TrainingConfig,
    seeding,
    train,
)
from ebmlib.training.loop import TRAINING_REVISION

REVISION = 1
RUNS = {
    "thesis": (EnergyConfig(z_dim=6, h_dim=10), ContrastiveDivergence(), TrainingConfig(lr=0.01)),
    "persistent": (
        EnergyConfig(z_dim=6, h_dim=10, spectral_norm="fcn_and_fe_x", first_activation="tanh"),
        ContrastiveDivergence(start=PersistentStart(), reg_l2=0.1, data_noise=0.02),
        TrainingConfig(optimizer="sgd", lr=0.05, final_lr=0.01),
    ),
    "replay": (
        EnergyConfig.plain(h_dim=10, output_bias=True, temperature=0.5),
        ContrastiveDivergence(start=ReplayStart(per_pair=2, restart=0.3), reg_l1=0.1),
        TrainingConfig(lr=0.01),
    ),
}
GOLDEN = {
    "thesis": {
        "f_data": [0.2406679, 0.2408596, 0.2441231, 0.2646645],
        "f_chain": [0.2339159, 0.2330612, 0.2356664, 0.2420561],
        "R": [0.1290645, 0.1221876, 0.1201918, 0.1312248],
        "weights": [
            1.404498,
            1.048228,
            1.325333,
            1.113885,
            1.734098,
            0.4783828,
            1.715677,
            0.5911539,
            1.846191,
            0.6376995,
            0.6951003,
        ],
    },
    "persistent": {
        "f_data": [0.174409, 0.1529568, 0.1689663, 0.1636961],
        "f_chain": [0.1744424, 0.1443967, 0.1779752, 0.1769682],
        "R": [0.1211935, 0.1246505, 0.1221678, 0.1230329],
        "weights": [
            1.085788,
            1.373038,
            1.276265,
            1.09962,
            0.4651472,
            1.713767,
            0.571069,
            1.677293,
            0.6431211,
            1.822788,
            0.6500317,
        ],
    },
    "replay": {
        "f_data": [0.4608871, 0.4385933, 0.3323359, 0.2928215],
        "f_chain": [0.4577793, 0.4372326, 0.3253145, 0.2776044],
        "R": [0.1272209, 0.1200006, 0.1255241, 0.1266892],
        "weights": [1.867705, 0.7080164, 1.789512, 0.3688456, 0.6629792, 0.2481924],
    },
}


def measure(name: str) -> dict[str, list[float]]:
    """History and weights of four epochs, on data made of sines so that no generator enters."""
    energy, objective, config = RUNS[name]
    objective = replace(objective, sampler=SGLD(alpha=0.1, steps=5), sgld_dim=16)
    k = torch.arange(40.0)
    pairs = Pairs(
        torch.stack([k.sin(), k.cos()], dim=1),
        0.3 * torch.stack([(3 * k).sin(), (5 * k).cos()], dim=1),
        torch.arange(40),
    )
    model = EnergyModel(energy, 2, 2, generator=seeding.generator(5, "weights"))
    result = train(
        model,
        pairs,
        objective,
        replace(config, epochs=4),
        generator=seeding.generator(5, "training"),
    )
    history = {key: result.history[key] for key in ("f_data", "f_chain", "R")}
    sizes = [float(p.detach().double().norm()) for p in result.model.parameters()]
    return history | {"weights": sizes}


@pytest.mark.parametrize("name", RUNS)
def test_training_does_what_it_did_when_the_revision_was_set(name):
    assert TRAINING_REVISION == REVISION, "new revision: run this file and replace the numbers"
    for quantity, values in measure(name).items():
        assert values == pytest.approx(GOLDEN[name][quantity], rel=1e-4, abs=1e-6), (
            f"{quantity} changed: if that is meant, raise TRAINING_REVISION"
        )


if __name__ == "__main__":
    for run in RUNS:
        print(f"    {run!r}: {{")
        for quantity, values in measure(run).items():
            print(f"        {quantity!r}: {[float(f'{value:.7g}') for value in values]},")
        print("    },")
