"""The energy model f(x, a) of Figure 3.2 and every variant that section 4.2 compares.

The density of an action given a state is, with T the temperature (Eq 2.1, Eq 3.2),

    p(a | x) = exp f(x, a) / Z(x),        f(x, a) = -E(x, a) / T.

The network predicts -E: two feature extractors lift state and action to ``z_dim`` features each,
and a fully connected network FCN of width ``h_dim`` evaluates the pair,

    f(x, a) = FCN(FE_x(x), FE_a(a)) / T        (section 3.2.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from ebmlib import checks
from ebmlib.config import register
from ebmlib.errors import InputError
from ebmlib.models.initial import initialise
from ebmlib.models.score import ActionScore

SPECTRAL_NORMS = ("none", "fcn_0_2", "fcn_and_fe_x")
FIRST_ACTIVATIONS = ("relu", "tanh")
_NEGATIVE_SLOPE = 0.01  # of FE_x's LeakyReLU, PyTorch's default


@register("EnergyConfig")
@dataclass(frozen=True)
class EnergyConfig:
    """Architecture of :class:`EnergyModel`; the defaults are Figure 3.2 without normalisation.

    Attributes:
        z_dim: features that each extractor produces (thesis: ``z_dim``).
        h_dim: width of FCN (thesis: ``h_dim``).
        hidden_layers: square layers between FCN's input and output layer; 2 in Figure 3.2.
        embedding: with the extractors FE_x and FE_a; without them FCN reads (x, a) directly.
        residual: hidden layers add their input, out[i] = ReLU(FCN[i](out[i-1])) + out[i-1].
        first_activation: after FCN[0], ``"relu"`` or ``"tanh"`` (section 4.2).
        spectral_norm: ``"none"``, ``"fcn_0_2"`` (layers 0 and 2 of FCN, section 3.2.1) or
            ``"fcn_and_fe_x"`` (every layer of FCN and FE_x, section 4.2).
        output_bias: keeps a bias in the last layer; it cancels in the density (section 3.4).
        temperature: T of Eq 2.1.
    """

    z_dim: int = 64
    h_dim: int = 128
    hidden_layers: int = 2
    embedding: bool = True
    residual: bool = True
    first_activation: str = "relu"
    spectral_norm: str = "none"
    output_bias: bool = False
    temperature: float = 1.0

    def __post_init__(self) -> None:
        checks.count("z_dim", self.z_dim)
        checks.count("h_dim", self.h_dim)
        checks.count("hidden_layers", self.hidden_layers, least=0)
        for name in ("embedding", "residual", "output_bias"):
            checks.flag(name, getattr(self, name))
        checks.one_of("first_activation", self.first_activation, FIRST_ACTIVATIONS)
        checks.one_of("spectral_norm", self.spectral_norm, SPECTRAL_NORMS)
        checks.positive("temperature", self.temperature)

    @classmethod
    def plain(cls, h_dim: int = 128, **changes: object) -> EnergyConfig:
        """The three-layer network without embeddings that section 4.2 compares with."""
        settings = {"embedding": False, "hidden_layers": 1, "residual": False} | changes
        return cls(h_dim=h_dim, **settings)  # type: ignore[arg-type]


class EnergyModel(nn.Module):
    """The network; ``model(x, a)`` is f(x, a), the unnormalised log density of a given x.

    Args:
        config: the architecture.
        state_dim: dimension of x.
        action_dim: dimension of a.
        generator: draws the initial weights (CPU), uniform in +-1/sqrt(fan-in) like PyTorch's own.
    """

    def __init__(
        self, config: EnergyConfig, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.config = config
        self.state_dim = checks.count("state_dim", state_dim)
        self.action_dim = checks.count("action_dim", action_dim)
        z, h = config.z_dim, config.h_dim
        if config.embedding:
            self.fe_x: nn.Linear | None = nn.utils.skip_init(nn.Linear, state_dim, z)
            self.fe_a: nn.Linear | None = nn.utils.skip_init(nn.Linear, action_dim, z)
            self._state_features, inputs = z, 2 * z
        else:
            self.fe_x = self.fe_a = None
            self._state_features, inputs = state_dim, state_dim + action_dim
        widths = [inputs] + [h] * (config.hidden_layers + 1)
        layers = [nn.utils.skip_init(nn.Linear, m, n) for m, n in pairwise(widths)]
        layers.append(nn.utils.skip_init(nn.Linear, h, 1, bias=config.output_bias))
        self.fcn = nn.ModuleList(layers)
        for layer in [self.fe_x, self.fe_a, *layers]:
            if layer is not None:
                initialise(layer, generator)
        for layer in self._normalised_layers():
            _spectral_norm(layer, generator)

    def _fcn(self) -> list[nn.Linear]:
        return [cast(nn.Linear, layer) for layer in self.fcn]

    def _normalised_layers(self) -> list[nn.Linear]:
        if self.config.spectral_norm == "fcn_0_2":
            return [layer for i, layer in enumerate(self._fcn()) if i in (0, 2)]
        if self.config.spectral_norm == "fcn_and_fe_x":
            return [*self._fcn()] + ([self.fe_x] if self.fe_x is not None else [])
        return []

    def forward(self, x: Tensor, a: Tensor) -> Tensor:
        """f(x, a) of shape (...) for states x (..., state_dim) and actions a (..., action_dim).

        The leading shapes are broadcast, so states (n, 1, d_x) meet a grid of actions (1, g, d_a).
        """
        if self.fe_x is not None and self.fe_a is not None:
            x = nn.functional.leaky_relu(self.fe_x(x), _NEGATIVE_SLOPE)
            a = nn.functional.elu(self.fe_a(a))
        shape = torch.broadcast_shapes(x.shape[:-1], a.shape[:-1])
        x, a = x.expand(*shape, x.shape[-1]), a.expand(*shape, a.shape[-1])
        first, *hidden, output = self._fcn()
        activation = torch.tanh if self.config.first_activation == "tanh" else torch.relu
        out = activation(first(torch.cat([x, a], dim=-1)))
        for layer in hidden:
            out = torch.relu(layer(out)) + (out if self.config.residual else 0.0)
        return output(out).squeeze(-1) / self.config.temperature

    def energy(self, x: Tensor, a: Tensor) -> Tensor:
        """E(x, a) = -T f(x, a) (Eq 2.1), of shape (...)."""
        return -self.config.temperature * self(x, a)

    def score(self, x: Tensor) -> ActionScore:
        """The score a -> grad_a f(x, a) with the states x (n, state_dim) held fixed.

        A chain moves the action only, so FE_x and its half of FCN[0] are constants of the chain
        and are evaluated here, once. The weights are read as they are now: draw a new score after
        each parameter update.
        """
        if x.ndim != 2 or x.shape[1] != self.state_dim:
            raise InputError(
                f"States must have shape (n, {self.state_dim}), got {tuple(x.shape)}; "
                "pass one row per chain."
            )
        first, *hidden, output = self._fcn()
        with torch.no_grad(), evaluating(self):
            features = x
            if self.fe_x is not None:
                features = nn.functional.leaky_relu(self.fe_x(x), _NEGATIVE_SLOPE)
            weight, split = first.weight, self._state_features
            temperature = self.config.temperature
            return ActionScore(
                context=nn.functional.linear(features, weight[:, :split], first.bias),
                embedding=None
                if self.fe_a is None
                else (self.fe_a.weight.detach(), self.fe_a.bias.detach()),
                first=weight[:, split:].contiguous(),
                hidden=tuple((layer.weight.detach(), layer.bias.detach()) for layer in hidden),
                output=output.weight[0] / temperature,
                output_bias=output.bias[0] / temperature if self.config.output_bias else None,
                residual=self.config.residual,
                tanh=self.config.first_activation == "tanh",
            )

    def layers(self) -> dict[str, nn.Linear]:
        """The linear layers by the names of Figure 3.2: FE_x, FE_a, FCN[0], FCN[1], ..."""
        named: dict[str, nn.Linear | None] = {"FE_x": self.fe_x, "FE_a": self.fe_a}
        named |= {f"FCN[{i}]": layer for i, layer in enumerate(self._fcn())}
        return {name: layer for name, layer in named.items() if layer is not None}


def _spectral_norm(layer: nn.Linear, generator: torch.Generator) -> None:
    """PyTorch's spectral normalisation, its power iteration started from ``generator``."""
    with torch.random.fork_rng(devices=[]):  # registration draws from the global generator
        parametrizations.spectral_norm(layer)
    parametrized: Any = layer.parametrizations["weight"]  # type: ignore[index]
    norm = parametrized[0]
    with torch.no_grad():
        # the power iteration begins with u = W v, so that v alone sets it
        norm._v.normal_(generator=generator)
        norm._v.div_(norm._v.norm())
        norm._power_method(parametrized.original, 15)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Read normalised weights without advancing their power iteration (it belongs to training)."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def effective_weight(layer: nn.Linear) -> Tensor:
    """The weight a layer multiplies with, after spectral normalisation if it has one."""
    if not parametrize.is_parametrized(layer, "weight"):
        return layer.weight.detach()
    with torch.no_grad(), evaluating(layer):
        return layer.weight.detach()
