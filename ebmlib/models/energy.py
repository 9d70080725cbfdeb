"""The energy model f(x, a) of Figure 3.2 and every variant that section 4.2 compares.

The density of an action given a state is, with T the temperature (Eq 2.1, Eq 3.2),

    p(a | x) = exp f(x, a) / Z(x),        f(x, a) = -E(x, a) / T.

The network predicts -E: two feature extractors lift state and action to ``z_dim`` features each,
and a fully connected network FCN of width ``h_dim`` evaluates the pair,

    f(x, a) = FCN(FE_x(x), FE_a(a)) / T        (section 3.2.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from ebmlib import checks, memory
from ebmlib.arrays import as_tensor
from ebmlib.config import register
from ebmlib.errors import InputError
from ebmlib.models.initial import initialise
from ebmlib.models.score import ActionScore

SPECTRAL_NORMS = ("none", "fcn_0_2", "fcn_and_fe_x")
ACTIVATIONS = ("relu", "silu")
FIRST_ACTIVATIONS = ("relu", "tanh")
_NEGATIVE_SLOPE = 0.01  # of FE_x's LeakyReLU, PyTorch's default
_WIDEST, _DEEPEST = 100_000, 1000  # of a network that some machine can hold
_SMALLEST_SPREAD = 1e-6  # of the largest magnitude; less is hardly more than float32's rounding


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
        first_activation: after FCN[0]: ``"tanh"`` (section 4.2), or ``"relu"``, which stands for
            the one that ``activation`` names.
        spectral_norm: ``"none"``, ``"fcn_0_2"`` (layers 0 and 2 of FCN, section 3.2.1) or
            ``"fcn_and_fe_x"`` (every layer of FCN and FE_x, section 4.2).
        output_bias: keeps a bias in the last layer; it cancels in the density (section 3.4).
        temperature: T of Eq 2.1.
        activation: ``"relu"`` is the thesis's network: ReLU in FCN, LeakyReLU in FE_x, ELU in
            FE_a. ``"silu"`` puts SiLU(s) = s sigmoid(s) (Elfwing, Uchibe and Doya 2018) in the
            place of all of them, so that f has every derivative; a tanh after FCN[0] stays.
        standardise: f is evaluated at centred and scaled states and actions, see
            :meth:`EnergyModel.fit_standardisation`.
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
    activation: str = "relu"
    standardise: bool = False

    def __post_init__(self) -> None:
        checks.count("z_dim", self.z_dim, most=_WIDEST)
        checks.count("h_dim", self.h_dim, most=_WIDEST)
        checks.count("hidden_layers", self.hidden_layers, least=0, most=_DEEPEST)
        for name in ("embedding", "residual", "output_bias", "standardise"):
            checks.flag(name, getattr(self, name))
        checks.one_of("first_activation", self.first_activation, FIRST_ACTIVATIONS)
        checks.one_of("spectral_norm", self.spectral_norm, SPECTRAL_NORMS)
        checks.positive("temperature", self.temperature)
        checks.one_of("activation", self.activation, ACTIVATIONS)

    @property
    def twice_differentiable(self) -> bool:
        """Whether grad_a f is differentiable in a everywhere, and its derivative continuous.

        An objective that needs tr grad_a^2 f (score matching) needs this. With ReLU, grad_a f
        jumps where an activation crosses 0, and what the jumps contribute is missing from the
        trace. ELU' has no jump but a kink at 0.
        """
        smooth = self.first_activation == "tanh" and not self.hidden_layers and not self.embedding
        return self.activation == "silu" or smooth

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

    Attributes:
        state_mean, state_scale, action_mean, action_scale: with ``config.standardise`` only,
            buffers of shapes (state_dim,) and (action_dim,), in the units of x and a; see
            :meth:`fit_standardisation`.

    Example:
        >>> import torch
        >>> from ebmlib import EnergyConfig, EnergyModel, seeding
        >>> model = EnergyModel(EnergyConfig(), 2, 2, generator=seeding.generator(0, "weights"))
        >>> x, a = torch.zeros(5, 2), torch.zeros(5, 2)
        >>> model(x, a).shape  # f(x, a), one number for each pair
        torch.Size([5])
    """

    state_mean: Tensor
    state_scale: Tensor
    action_mean: Tensor
    action_scale: Tensor

    def __init__(
        self, config: EnergyConfig, state_dim: int, action_dim: int, *, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.config = config
        self.state_dim = checks.count("state_dim", state_dim, most=_WIDEST)
        self.action_dim = checks.count("action_dim", action_dim, most=_WIDEST)
        z, h = config.z_dim, config.h_dim
        memory.demand(
            4 * (h * h * config.hidden_layers + h * (2 * z + state_dim + action_dim)),
            f"A network of {config.hidden_layers} layers of width {h}",
            "lower h_dim or hidden_layers",
        )
        if config.embedding:
            self.fe_x: nn.Linear | None = nn.utils.skip_init(
                nn.Linear, state_dim, z, dtype=torch.float32
            )
            self.fe_a: nn.Linear | None = nn.utils.skip_init(
                nn.Linear, action_dim, z, dtype=torch.float32
            )
            self._state_features, inputs = z, 2 * z
        else:
            self.fe_x = self.fe_a = None
            self._state_features, inputs = state_dim, state_dim + action_dim
        widths = [inputs] + [h] * (config.hidden_layers + 1)
        kind = {"dtype": torch.float32}  # whatever the default is
        layers = [nn.utils.skip_init(nn.Linear, m, n, **kind) for m, n in pairwise(widths)]
        layers.append(nn.utils.skip_init(nn.Linear, h, 1, bias=config.output_bias, **kind))
        self.fcn = nn.ModuleList(layers)
        for layer in [self.fe_x, self.fe_a, *layers]:
            if layer is not None:
                initialise(layer, generator)
        for layer in self._normalised_layers():
            _spectral_norm(layer, generator)
        if config.standardise:
            # NaN until they are fitted, so that a missing fit is noticed
            for name, size in (("state", state_dim), ("action", action_dim)):
                self.register_buffer(
                    f"{name}_mean", torch.full((size,), math.nan, dtype=torch.float32)
                )
                self.register_buffer(
                    f"{name}_scale", torch.full((size,), math.nan, dtype=torch.float32)
                )
            self._standardised = False
            self.register_load_state_dict_post_hook(_note_standardisation)

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
        if self.config.standardise:
            self._demand_standardisation()
            x = (x - self.state_mean) / self.state_scale
            a = (a - self.action_mean) / self.action_scale
        if self.fe_x is not None and self.fe_a is not None:
            x = self._state_activation(self.fe_x(x))
            a = self._silu_or(nn.functional.elu)(self.fe_a(a))
        shape = torch.broadcast_shapes(x.shape[:-1], a.shape[:-1])
        x, a = x.expand(*shape, x.shape[-1]), a.expand(*shape, a.shape[-1])
        first, *hidden, output = self._fcn()
        activation = self._silu_or(torch.relu)
        first_activation = torch.tanh if self.config.first_activation == "tanh" else activation
        out = first_activation(first(torch.cat([x, a], dim=-1)))
        for layer in hidden:
            out = activation(layer(out)) + (out if self.config.residual else 0.0)
        return output(out).squeeze(-1) / self.config.temperature

    @property
    def like(self) -> Tensor:
        """A tensor with the dtype and the device of the weights."""
        return self._fcn()[0].bias.detach()

    def _silu_or(self, activation: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return nn.functional.silu if self.config.activation == "silu" else activation

    def _state_activation(self, s: Tensor) -> Tensor:
        return self._silu_or(partial(nn.functional.leaky_relu, negative_slope=_NEGATIVE_SLOPE))(s)

    @property
    def twice_differentiable(self) -> bool:
        """See :attr:`EnergyConfig.twice_differentiable`."""
        return self.config.twice_differentiable

    def fit_standardisation(self, states: Tensor, actions: Tensor) -> None:
        """Take means and scales from the training data; they become part of the ``state_dict``.

        With m and s the means and scales, and g the network, the model is from then on

            f(x, a) = g((x - m_x) / s_x, (a - m_a) / s_a).

        It stays a function of states and actions in the data's own units, and so do its score (the
        chain rule divides g's by s_a), its grids and its log Z. Its density is that of the
        standardised action divided by prod_i s_a,i: the two log densities, and the two log Z,
        differ by sum_i log s_a,i, a constant.

        The scale of a state is the standard deviation of each dimension by itself, since features
        may have different units. The scale of actions is one number, the root mean square of the
        standard deviations over the dimensions: actions are steps in one space, the chain's noise
        is equal in all directions, and a direction in which the data hardly move is not blown up
        by its own small spread. Where the spread is below 1e-6 of the largest magnitude (a
        constant), that magnitude is the scale, or 1 if it is 0. So the data in other units give
        the same standardised data.

        Args:
            states: (n, state_dim), of the training pairs.
            actions: (n, action_dim).

        Raises:
            InputError: ``config.standardise`` is off, or the data do not fit the model.
        """
        if not self.config.standardise:
            raise InputError(
                "This model was made without standardisation; make it with "
                "EnergyConfig(standardise=True) or leave this call out."
            )
        _check_data("States", states, self.state_dim)
        _check_data("Actions", actions, self.action_dim)
        x, a = states.detach().double(), actions.detach().double()
        with torch.no_grad():
            self.state_mean.copy_(x.mean(dim=0))
            self.state_scale.copy_(_scale(x.var(dim=0, correction=0).sqrt(), x.abs().amax(dim=0)))
            self.action_mean.copy_(a.mean(dim=0))
            spread = a.var(dim=0, correction=0).mean().sqrt()
            self.action_scale.copy_(_scale(spread, a.abs().max()))
        self._standardised = True

    def _demand_standardisation(self) -> None:
        if not self._standardised:
            raise InputError(
                "This model standardises its inputs and has seen no data; call "
                "fit_standardisation(states, actions) with the training data, or load weights."
            )

    def folded(self) -> dict[str, tuple[Tensor, Tensor | None]]:
        """Effective (weight, bias) of every layer, by the names of :meth:`layers`, detached.

        Spectral normalisation is carried out. With ``standardise`` the layers that read states and
        actions take these in their own units,

            W ((x - m) / s) + b = (W / s) x + (b - W (m / s)),

        so that a reader of these weights needs neither means nor scales.
        """
        weights: dict[str, tuple[Tensor, Tensor | None]] = {
            name: (effective_weight(layer), None if layer.bias is None else layer.bias.detach())
            for name, layer in self.layers().items()
        }
        if self.config.standardise:
            self._demand_standardisation()
            state, action = (
                (self.state_mean, self.state_scale),
                (self.action_mean, self.action_scale),
            )
            if self.config.embedding:
                readers = {"FE_x": state, "FE_a": action}
            else:
                both = zip(state, action, strict=True)
                mean, scale = (torch.cat(parts) for parts in both)
                readers = {"FCN[0]": (mean, scale)}
            for name, (mean, scale) in readers.items():
                weight, bias = weights[name]
                weights[name] = _fold(weight, bias, mean, scale)
        return weights

    def energy(self, x: Tensor, a: Tensor) -> Tensor:
        """E(x, a) = -T f(x, a) (Eq 2.1), of shape (...)."""
        return -self.config.temperature * self(x, a)

    def score(self, x: Tensor) -> ActionScore:
        """The score a -> grad_a f(x, a) with the states x (n, state_dim) held fixed.

        A chain moves the action only, so FE_x and its half of FCN[0] are constants of the chain
        and are evaluated here, once. The weights are read once: make a new score after each
        parameter update.

        Raises:
            InputError: states that are not finite numbers of shape (n, state_dim), as a tensor, an
                array or lists of any real type.
        """
        x = as_tensor("States", x, self.like)
        if x.ndim != 2 or x.shape[1] != self.state_dim:
            raise InputError(
                f"States must have shape (n, {self.state_dim}), got {tuple(x.shape)}; "
                "pass one row per chain."
            )
        memory.demand(
            2 * len(x) * self.config.h_dim * x.element_size(),
            f"The score of {len(x)} states",
            "pass fewer states at once, or lower the population of the policy",
            x.device,
        )
        first, *hidden, output = self._fcn()
        with torch.no_grad(), evaluating(self):
            features, weight, bias = x, first.weight.detach(), first.bias.detach()
            split, fe_a = self._state_features, self.fe_a
            embedding = None if fe_a is None else (fe_a.weight.detach(), fe_a.bias.detach())
            if self.config.standardise:
                self._demand_standardisation()
                features = (x - self.state_mean) / self.state_scale
                action = self.action_mean, self.action_scale
                if embedding is not None:
                    embedding = _fold(*embedding, *action)
                else:
                    half, bias = _fold(weight[:, split:], bias, *action)
                    weight = torch.cat([weight[:, :split], half], dim=1)
            if self.fe_x is not None:
                features = self._state_activation(self.fe_x(features))
            temperature = self.config.temperature
            return ActionScore(
                context=nn.functional.linear(features, weight[:, :split], bias),
                embedding=embedding,
                first=weight[:, split:].contiguous(),
                hidden=tuple((layer.weight.detach(), layer.bias.detach()) for layer in hidden),
                output=output.weight[0] / temperature,
                output_bias=output.bias[0] / temperature if self.config.output_bias else None,
                residual=self.config.residual,
                tanh=self.config.first_activation == "tanh",
                silu=self.config.activation == "silu",
            )

    def layers(self) -> dict[str, nn.Linear]:
        """The linear layers by the names of Figure 3.2: FE_x, FE_a, FCN[0], FCN[1], ..."""
        named: dict[str, nn.Linear | None] = {"FE_x": self.fe_x, "FE_a": self.fe_a}
        named |= {f"FCN[{i}]": layer for i, layer in enumerate(self._fcn())}
        return {name: layer for name, layer in named.items() if layer is not None}

    def activations(self) -> dict[str, str]:
        """What follows each layer of :meth:`layers`: ``"SiLU"``, ...; the last layer is absent."""
        silu, tanh = self.config.activation == "silu", self.config.first_activation == "tanh"
        named = {"FE_x": "LeakyReLU", "FE_a": "ELU"} if self.config.embedding else {}
        named |= {f"FCN[{i}]": "ReLU" for i in range(len(self.fcn) - 1)}
        named = {name: "SiLU" if silu else activation for name, activation in named.items()}
        return named | ({"FCN[0]": "tanh"} if tanh else {})


def _check_data(name: str, values: Tensor, size: int) -> None:
    if values.ndim != 2 or values.shape[1] != size or len(values) == 0:
        raise InputError(
            f"{name} must have shape (n, {size}) with n of at least 1, got {tuple(values.shape)}; "
            "pass the training pairs."
        )
    if not bool(torch.isfinite(values).all()):
        raise InputError(f"{name} must be finite to be standardised, got NaN or infinity.")


def _scale(spread: Tensor, magnitude: Tensor) -> Tensor:
    """The spread, or for a constant its magnitude, or 1 if that is 0."""
    constant = torch.where(magnitude > 0, magnitude, 1.0)
    return torch.where(spread > _SMALLEST_SPREAD * magnitude, spread, constant)


def _fold(
    weight: Tensor, bias: Tensor | None, mean: Tensor, scale: Tensor
) -> tuple[Tensor, Tensor]:
    """(W', b') with W' v + b' = W ((v - mean) / scale) + b; summed in float64."""
    folded = weight.double() / scale.double()
    moved = -(folded @ mean.double())
    if bias is not None:
        moved = moved + bias.double()
    return folded.to(weight.dtype), moved.to(weight.dtype)


def _note_standardisation(model: nn.Module, _: Any) -> None:
    """After weights were loaded: whether means and scales came with them."""
    loaded = cast(EnergyModel, model)
    loaded._standardised = bool(torch.isfinite(loaded.state_scale).all())


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
    """Read normalised weights without advancing their power iteration (only training does)."""
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
