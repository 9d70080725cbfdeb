"""Small networks that are parts of objectives: a critic and a generator of actions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ebmlib.models.initial import linear


class Perceptron(nn.Module):
    """Two hidden layers of SiLU.

    Args:
        inputs, outputs: dimensions.
        width: hidden features.
        generator: draws the initial weights.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.first = linear(inputs, width, generator)
        self.second = linear(width, width, generator)
        self.output = linear(width, outputs, generator)

    def forward(self, *inputs: Tensor) -> Tensor:
        """(..., outputs) for tensors (..., d_1), (..., d_2), ..., which are concatenated."""
        silu = nn.functional.silu
        return self.output(silu(self.second(silu(self.first(torch.cat(inputs, dim=-1))))))


class ActionGenerator(nn.Module):
    """A scaled action of a state and a latent: W z + c(x, z), z ~ N(0, I).

    c is a perceptron whose last layer is 0 before training, so that training begins with a
    Gaussian of about unit variance.

    Args:
        state_dim, action_dim: dimensions of x and a.
        latent_dim: dimension of z.
        width: hidden features of c.
        generator: draws the initial weights.
    """

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        latent_dim: int,
        width: int,
        *,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.linear = linear(latent_dim, action_dim, generator, bias=False)
        nn.init.normal_(self.linear.weight, 0.0, latent_dim**-0.5, generator=generator)
        self.curve = Perceptron(state_dim + latent_dim, action_dim, width, generator=generator)
        nn.init.zeros_(self.curve.output.weight)
        nn.init.zeros_(self.curve.output.bias)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """Scaled actions (..., d) for scaled states (..., d_x) and latents (..., latent_dim)."""
        return self.linear(z) + self.curve(x, z)

    def latents(self, *shape: int, like: Tensor, generator: torch.Generator) -> Tensor:
        """Draws of z, shape (*shape, latent_dim), in the dtype and device of ``like``."""
        return like.new_empty((*shape, self.latent_dim)).normal_(generator=generator)
