"""Initial weights: uniform in +-1/sqrt(fan-in) like PyTorch's own, from a generator passed in."""

from __future__ import annotations

import math

import torch
from torch import nn


def initialise(layer: nn.Linear, generator: torch.Generator) -> None:
    """Draw weight and bias of a layer in place."""
    bound = 1 / math.sqrt(layer.in_features)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        if layer.bias is not None:
            layer.bias.uniform_(-bound, bound, generator=generator)


def linear(
    inputs: int, outputs: int, generator: torch.Generator, *, bias: bool = True
) -> nn.Linear:
    """A linear layer whose weights come from ``generator`` alone."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=bias, dtype=torch.float32)
    initialise(layer, generator)
    return layer
