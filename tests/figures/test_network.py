"""The drawing of the architecture says what the model computes."""

from collections import Counter

import pytest
from matplotlib.figure import Figure

from ebmlib import EnergyConfig, EnergyModel, figures

WORDS = {"LeakyReLU", "ELU", "ReLU", "tanh", "SiLU", "no activation"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"LeakyReLU": 1, "ELU": 1, "ReLU": 3}),
        ({"first_activation": "tanh"}, {"LeakyReLU": 1, "ELU": 1, "tanh": 1, "ReLU": 2}),
        ({"activation": "silu"}, {"SiLU": 5}),
        ({"activation": "silu", "first_activation": "tanh"}, {"SiLU": 4, "tanh": 1}),
    ],
    ids=str,
)
def test_every_block_names_its_activation(changes, expected, generator):
    model = EnergyModel(EnergyConfig(z_dim=4, h_dim=6, **changes), 2, 2, generator=generator())
    axes = Figure().add_subplot()
    figures.architecture(axes, model)
    shown = Counter(text.get_text() for text in axes.texts if text.get_text() in WORDS)
    assert shown == expected | {"no activation": 1}
