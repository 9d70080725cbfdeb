"""What training does, as numbers: a change of its behaviour must raise the training revision.

The store trusts an entry whose key is the same, and the revision is part of the key. If this test
fails because training now gives other weights on purpose, raise ``TRAINING_REVISION`` and replace
the numbers by what this module prints when it is run (``python tests/training/test_golden.py``).
"""

from dataclasses import replace

import pytest
import torch

from ebmlib import (
    MALA,
    NCE,
    SGLD,
    ContrastiveDivergence,
    DataStart,
    EnergyConfig,
    EnergyModel,
    JointContrastiveDivergence,
    MixtureProposal,
    Pairs,
    PersistentStart,
    RankingNCE,
    ReplayStart,
    TrainingConfig,
    UniformProposal,
    seeding,
    train,
)
from ebmlib.models.energy import SPECTRAL_NORMS
from ebmlib.objectives.names import NAMES
from ebmlib.training.loop import TRAINING_REVISION

REVISION = 1
SMALL = {"z_dim": 6, "h_dim": 10}
SAMPLER = SGLD(alpha=0.1, steps=5)


def chains(**options):
    return ContrastiveDivergence(SAMPLER, sgld_dim=16, **options)


PLAIN_STEPS = TrainingConfig(optimizer="sgd", lr=0.05)
"""Adam would blow a gradient that is rounding alone up to its step size."""


def variant(**changes):
    """The thesis's objective with another architecture."""
    return EnergyConfig(**(SMALL | changes)), chains(), PLAIN_STEPS


def objective(given):
    """The thesis's architecture with another objective."""
    return EnergyConfig(**SMALL), given, PLAIN_STEPS


RUNS = {
    "thesis": (EnergyConfig(**SMALL), chains(), TrainingConfig(lr=0.01)),
    "persistent": (
        EnergyConfig(**SMALL, spectral_norm="fcn_and_fe_x", first_activation="tanh"),
        chains(start=PersistentStart(), reg_l2=0.1, data_noise=0.02),
        TrainingConfig(optimizer="sgd", lr=0.05, final_lr=0.01),
    ),
    "replay": (
        EnergyConfig.plain(h_dim=10, output_bias=True, temperature=0.5),
        chains(start=ReplayStart(per_pair=2, restart=0.3), reg_l1=0.1),
        TrainingConfig(lr=0.01),
    ),
    "from data": objective(chains(start=DataStart())),
    "adjusted chains": objective(ContrastiveDivergence(MALA(0.1, 5), sgld_dim=16)),
    "annealed chains": objective(
        ContrastiveDivergence(
            SGLD(0.1, 5, temperature=0.5, drift=0.01, final_alpha=0.02), sgld_dim=16
        )
    ),
    "joint": objective(JointContrastiveDivergence(SAMPLER, sgld_dim=16, state_noise=0.2)),
    "nce": objective(NCE(negatives=6, batch_size=16, log_z_dim=4, data_noise=0.01)),
    "nce, one constant": objective(
        NCE(UniformProposal(), negatives=3, batch_size=16, log_z_dim=0, reg_l2=0.1)
    ),
    "ranking nce": objective(
        RankingNCE(MixtureProposal(centres=8), negatives=6, batch_size=16, reg_l2=0.01)
    ),
    **{
        f"spectral norm {norm}": variant(spectral_norm=norm)
        for norm in SPECTRAL_NORMS
        if norm != "none"
    },
    "tanh": variant(first_activation="tanh"),
    "plain": (EnergyConfig.plain(h_dim=10), chains(), PLAIN_STEPS),
    "no residual": variant(residual=False),
    "no hidden layer": variant(hidden_layers=0),
    "three hidden layers": variant(hidden_layers=3),
    "bias": variant(output_bias=True),
    "temperature": variant(temperature=0.3),
    "silu": variant(activation="silu"),
    "standardised": variant(standardise=True),
    "standardised, plain": (
        EnergyConfig.plain(h_dim=10, standardise=True, activation="silu"),
        chains(),
        PLAIN_STEPS,
    ),
}
QUANTITIES = ("f_data", "f_chain", "f_noise", "R", "log_z")
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
    "from data": {
        "f_data": [0.2406679, 0.2401449, 0.2273611, 0.2377993],
        "f_chain": [0.2382348, 0.2376801, 0.2240181, 0.2368027],
        "R": [0.1295535, 0.1249186, 0.1177337, 0.1305224],
        "weights": [
            1.372815,
            1.085747,
            1.2769,
            1.099302,
            1.714065,
            0.4650084,
            1.677316,
            0.5708376,
            1.822701,
            0.6440604,
            0.6507333,
        ],
    },
    "adjusted chains": {
        "f_data": [0.2406679, 0.2343786, 0.2364984, 0.2404527],
        "f_chain": [0.2329128, 0.2286764, 0.2402023, 0.2428429],
        "R": [0.1303892, 0.1120441, 0.1113654, 0.1148558],
        "weights": [
            1.373023,
            1.086116,
            1.276667,
            1.099028,
            1.713882,
            0.4664021,
            1.677498,
            0.5701343,
            1.822857,
            0.644061,
            0.6505966,
        ],
    },
    "annealed chains": {
        "f_data": [0.2406679, 0.2397027, 0.2380341, 0.2412279],
        "f_chain": [0.2370633, 0.2380382, 0.2382249, 0.2376516],
        "R": [0.04806268, 0.04655039, 0.04504651, 0.0486704],
        "weights": [
            1.372999,
            1.086142,
            1.276567,
            1.09932,
            1.714025,
            0.4655634,
            1.677466,
            0.5702996,
            1.822761,
            0.6442062,
            0.6506886,
        ],
    },
    "joint": {
        "f_data": [0.2406679, 0.2400711, 0.2335433, 0.2348898],
        "f_chain": [0.2390233, 0.2336795, 0.2349173, 0.2370307],
        "R": [0.1854639, 0.198622, 0.1938682, 0.2035961],
        "weights": [
            1.373047,
            1.085344,
            1.276659,
            1.099748,
            1.714072,
            0.4643209,
            1.67739,
            0.5708811,
            1.822706,
            0.6442072,
            0.6503928,
        ],
    },
    "nce": {
        "f_data": [0.2416662, 0.1293471, 0.04233877, -0.01839664],
        "f_noise": [0.2404034, 0.1245095, 0.04152996, -0.01858521],
        "log_z": [0.0, 0.05938483, 0.1101411, 0.1417935],
        "weights": [
            1.374638,
            1.083701,
            1.278347,
            1.101055,
            1.716934,
            0.4446491,
            1.680245,
            0.5701462,
            1.82886,
            0.6289441,
            0.6312165,
            0.1464344,
            1.291275,
            0.9510666,
            0.07385053,
        ],
    },
    "nce, one constant": {
        "f_data": [0.2406679, 0.1770432, 0.1232921, 0.08339286],
        "f_noise": [0.2351253, 0.1720923, 0.1218481, 0.08055707],
        "log_z": [0.0, 0.02558708, 0.04704653, 0.06520829],
        "weights": [
            1.373963,
            1.084547,
            1.277357,
            1.0999,
            1.714918,
            0.4512541,
            1.67889,
            0.5685747,
            1.826233,
            0.6323773,
            0.630502,
            0.0807403,
        ],
    },
    "ranking nce": {
        "f_data": [0.2406679, 0.2416313, 0.2393522, 0.241569],
        "f_noise": [0.23691, 0.2378691, 0.2393927, 0.2430911],
        "weights": [
            1.372744,
            1.085774,
            1.277035,
            1.09956,
            1.714183,
            0.465146,
            1.677366,
            0.5701996,
            1.822716,
            0.6440956,
            0.6506092,
        ],
    },
    "spectral norm fcn_0_2": {
        "f_data": [0.2391538, 0.237294, 0.2344143, 0.2385696],
        "f_chain": [0.2314057, 0.2327701, 0.230042, 0.2315712],
        "R": [0.1290629, 0.1221961, 0.1201901, 0.1312365],
        "weights": [
            1.372984,
            1.086056,
            1.277437,
            1.09924,
            0.4651446,
            1.713777,
            1.677607,
            0.5700817,
            0.6440611,
            1.822789,
            0.6518496,
        ],
    },
    "spectral norm fcn_and_fe_x": {
        "f_data": [0.3681514, 0.3586588, 0.3558742, 0.362012],
        "f_chain": [0.357074, 0.3520143, 0.3494079, 0.3503908],
        "R": [0.1290594, 0.1221873, 0.1201815, 0.1312402],
        "weights": [
            1.086131,
            1.373039,
            1.277704,
            1.099118,
            0.4640216,
            1.713798,
            0.5704333,
            1.677295,
            0.6440226,
            1.822791,
            0.6500524,
        ],
    },
    "tanh": {
        "f_data": [0.1364301, 0.124339, 0.1272031, 0.1317304],
        "f_chain": [0.1157224, 0.1180101, 0.1170278, 0.118757],
        "R": [0.1290333, 0.1222158, 0.1202236, 0.1312413],
        "weights": [
            1.37288,
            1.085951,
            1.278279,
            1.098773,
            1.714881,
            0.4651976,
            1.677494,
            0.5712637,
            1.822252,
            0.6441327,
            0.6538915,
        ],
    },
    "plain": {
        "f_data": [-0.05774881, -0.06196849, -0.05210184, -0.05037163],
        "f_chain": [-0.06051595, -0.06263242, -0.05457638, -0.04900132],
        "R": [0.1290668, 0.1222298, 0.1202052, 0.1312642],
        "weights": [1.852165, 0.6599492, 1.752001, 0.3680956, 0.6279215],
    },
    "no residual": {
        "f_data": [0.09842585, 0.1001562, 0.09936057, 0.09665379],
        "f_chain": [0.1013534, 0.1006974, 0.09953547, 0.09838071],
        "R": [0.1290903, 0.12222, 0.1202048, 0.1312518],
        "weights": [
            1.373059,
            1.085902,
            1.276242,
            1.099352,
            1.713687,
            0.4651568,
            1.6772,
            0.5704624,
            1.82264,
            0.6441327,
            0.6496058,
        ],
    },
    "no hidden layer": {
        "f_data": [0.001159608, -0.00180799, -0.0008114006, 0.01174814],
        "f_chain": [-0.01021431, -0.003830046, -0.001984755, 0.00410202],
        "R": [0.1290536, 0.1222132, 0.1202253, 0.1312369],
        "weights": [1.373179, 1.085899, 1.277174, 1.099358, 1.714449, 0.465119, 0.6553669],
    },
    "three hidden layers": {
        "f_data": [-0.1148468, -0.1236251, -0.1220255, -0.1269012],
        "f_chain": [-0.1186636, -0.1279979, -0.1253789, -0.1318629],
        "R": [0.1290758, 0.1222007, 0.120195, 0.1312328],
        "weights": [
            1.373103,
            1.085718,
            1.27691,
            1.099523,
            1.714129,
            0.4647912,
            1.676972,
            0.5715237,
            1.822563,
            0.6441084,
            1.768897,
            0.5483679,
            0.7021726,
        ],
    },
    "bias": {
        "f_data": [0.1635717, 0.1625134, 0.1595906, 0.1632553],
        "f_chain": [0.1568197, 0.1581751, 0.1558892, 0.1570512],
        "R": [0.1290645, 0.1221976, 0.1201969, 0.1312349],
        "weights": [
            1.373037,
            1.08596,
            1.277185,
            1.09946,
            1.714652,
            0.4647713,
            1.677509,
            0.5703312,
            1.82275,
            0.6440611,
            0.6516432,
            0.07709619,
        ],
    },
    "temperature": {
        "f_data": [0.8022262, 0.7836992, 0.7766306, 0.7938333],
        "f_chain": [0.7799177, 0.7675766, 0.7631575, 0.7688293],
        "R": [0.1290227, 0.1221184, 0.1201696, 0.1311927],
        "weights": [
            1.373837,
            1.08545,
            1.279095,
            1.098929,
            1.716383,
            0.4655957,
            1.678003,
            0.5698812,
            1.822586,
            0.6441414,
            0.6560341,
        ],
    },
    "silu": {
        "f_data": [0.1247032, 0.1262502, 0.1222296, 0.120713],
        "f_chain": [0.1198085, 0.1246282, 0.1200133, 0.1176624],
        "R": [0.1290715, 0.1222172, 0.1202133, 0.1312463],
        "weights": [
            1.373043,
            1.085875,
            1.27686,
            1.099276,
            1.714097,
            0.4648919,
            1.677405,
            0.5707264,
            1.822666,
            0.64411,
            0.6509262,
        ],
    },
    "standardised": {
        "f_data": [0.2295703, 0.212378, 0.2105298, 0.2215144],
        "f_chain": [0.2002497, 0.1958718, 0.1877543, 0.1917792],
        "R": [0.1290359, 0.1221608, 0.1201108, 0.1312833],
        "weights": [
            1.374783,
            1.083153,
            1.278348,
            1.100722,
            1.716846,
            0.4636637,
            1.677452,
            0.5718624,
            1.82216,
            0.6440405,
            0.6577171,
        ],
    },
    "standardised, plain": {
        "f_data": [0.00573567, -0.00250933, 0.007822647, 0.01291272],
        "f_chain": [0.004162669, -0.007185569, -0.003089995, 0.01074139],
        "R": [0.1290863, 0.1221909, 0.1201554, 0.1312745],
        "weights": [1.853519, 0.6577218, 1.7524, 0.3679413, 0.6291439],
    },
}


def measure(name: str) -> dict[str, list[float]]:
    """History and weights of four epochs, on data made of sines so that no generator enters."""
    energy, objective, config = RUNS[name]
    k = torch.arange(40.0)
    pairs = Pairs(
        torch.stack([k.sin(), k.cos()], dim=1),
        0.3 * torch.stack([(3 * k).sin(), (5 * k).cos()], dim=1),
        torch.arange(40),
    )
    model = EnergyModel(energy, 2, 2, generator=seeding.generator(5, "weights"))
    if energy.standardise:
        model.fit_standardisation(pairs.states, pairs.actions)
    result = train(
        model,
        pairs,
        objective,
        replace(config, epochs=4),
        generator=seeding.generator(5, "training"),
    )
    history = {key: result.history[key] for key in QUANTITIES if key in result.history}
    both = [*result.model.parameters(), *result.parts.parameters()]
    return history | {"weights": [float(p.detach().double().norm()) for p in both]}


@pytest.mark.parametrize("name", RUNS)
def test_training_does_what_it_did_when_the_revision_was_set(name):
    assert TRAINING_REVISION == REVISION, "new revision: run this file and replace the numbers"
    found = measure(name)
    assert found.keys() == GOLDEN[name].keys()
    for quantity, values in found.items():
        assert values == pytest.approx(GOLDEN[name][quantity], rel=1e-4, abs=1e-6), (
            f"{quantity} changed: if that is meant, raise TRAINING_REVISION"
        )


WITH_ROWS = ("contrastive-divergence", "joint-contrastive-divergence", "nce", "ranking-nce")


def test_there_is_a_golden_row_for_the_objectives_of_results_and_every_normalisation():
    found = {type(objective) for _, objective, _ in RUNS.values()}
    assert found == {NAMES[name] for name in WITH_ROWS}
    assert {energy.spectral_norm for energy, _, _ in RUNS.values()} == set(SPECTRAL_NORMS)


if __name__ == "__main__":
    torch.set_num_threads(1)  # as in the tests
    for run in RUNS:
        print(f"    {run!r}: {{")
        for quantity, values in measure(run).items():
            print(f"        {quantity!r}: {[float(f'{value:.7g}') for value in values]},")
        print("    },")
