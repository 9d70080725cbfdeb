"""Many models of one method trained at once, by batched products of their weights.

S models of one architecture are S slices of one. Row r of a batch belongs to slice r // n, n
being the pairs of a slice's batch, and every linear layer multiplies each block of rows by its
slice's weights (``torch.baddbmm``). An objective whose loss is a mean over rows needs no change:
S times that mean is the sum of the slices' own losses, so each slice gets the gradient of its
own. (torch.func's vmap cannot go around an objective, since objectives differentiate inside.)

A slice draws from its own generator what it would draw alone (:class:`PerSlice`), so that its
result depends neither on how many are trained at once nor on which.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ebmlib import checks
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import DivergenceError, InputError
from ebmlib.models.energy import EnergyConfig, EnergyModel
from ebmlib.objectives.base import MODEL, Objective, PartOptimizer
from ebmlib.objectives.nce import LogNormaliser
from ebmlib.sampling.target import ValueTarget
from ebmlib.training.loop import TrainingConfig

_EPS = 1e-8  # of Adam
_BETAS = (0.9, 0.999)


class StackedLinear(nn.Module):
    """S linear layers: rows r of a batch (S n, ..., inputs) pass through layer r // n.

    Args:
        layers: of one shape.
    """

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        biases = [layer.bias for layer in layers]
        self.bias = (
            None if biases[0] is None else nn.Parameter(torch.stack([b.detach() for b in biases]))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(S n, ..., outputs)."""
        s = len(self.weight)
        flat = x.reshape(s, -1, x.shape[-1])
        weight = self.weight.transpose(1, 2)
        out = torch.bmm(flat, weight)
        if self.bias is not None:
            out = out + self.bias[:, None]
        return out.view(*x.shape[:-1], weight.shape[2])


_NoMode = torch._C.DisableTorchFunction


class StackedEnergy(EnergyModel):
    """S energy models as one; its score is differentiated, for the closed form knows one model.

    Attributes:
        rows: S n, the rows of a batch. An input of k times as many is k blocks of that layout (data
            and chains, one below the other), and is put in order first.
    """

    rows: int = 0

    def forward(self, x: Tensor, a: Tensor) -> Tensor:
        """F, (k S n, ...)."""
        with _NoMode():  # nothing is drawn here, and every call that is looked at costs time
            return self._forward(x, a)

    def _forward(self, x: Tensor, a: Tensor) -> Tensor:
        k = len(x) // self.rows if self.rows else 1
        if k <= 1:
            return super().forward(x, a)
        s = len(self.fcn[0].weight)  # type: ignore[arg-type]
        f = super().forward(_by_slice(x, k, s), _by_slice(a, k, s))
        return _by_slice(f, s, k)

    def score(self, x: Tensor) -> Any:
        """The target of chains at states x (k S n, d_x)."""
        c = self.config
        if c.activation == "silu" and c.embedding and c.residual and c.hidden_layers == 1:
            return _StackedScore(self, x)
        return ValueTarget(lambda a: self(x, a))


class _StackedScore:
    """f and grad_a f of a stack with one residual hidden layer and SiLU, in closed form.

    What the fixed states determine is computed once; weights are read as they are now.
    """

    def __init__(self, model: StackedEnergy, x: Tensor) -> None:
        first, hidden, output = (cast(StackedLinear, layer) for layer in model.fcn)
        fe_x, fe_a = cast(StackedLinear, model.fe_x), cast(StackedLinear, model.fe_a)
        self.s = len(first.weight)
        self.k = len(x) // model.rows if model.rows else 1
        with torch.no_grad():
            x = _by_slice(x, self.k, self.s) if self.k > 1 else x
            at = nn.functional.silu(fe_x(x)).view(self.s, -1, fe_x.weight.shape[1])
            z = at.shape[2]
            biases = [cast(Tensor, layer.bias).detach()[:, None] for layer in (fe_a, first, hidden)]
            self.bias_a, bias_0, self.bias_1 = biases
            self.w_a, self.w_1 = fe_a.weight.detach(), hidden.weight.detach()
            self.w_0 = first.weight.detach()[:, :, z:]
            self.fixed = at @ first.weight.detach()[:, :, :z].mT + bias_0
            self.out = output.weight.detach() / model.config.temperature  # (S, 1, h)

    def _slices(self, a: Tensor) -> Tensor:
        a = _by_slice(a, self.k, self.s) if self.k > 1 else a
        return a.reshape(self.s, -1, a.shape[1])

    def _rows(self, found: Tensor, shape: torch.Size) -> Tensor:
        flat = found.reshape(shape)
        return _by_slice(flat, self.s, self.k) if self.k > 1 else flat

    @torch.no_grad()
    def value(self, a: Tensor) -> Tensor:
        """F at actions (k S n, d)."""
        silu = nn.functional.silu
        h = silu(torch.baddbmm(self.bias_a, self._slices(a), self.w_a.mT))
        h = silu(torch.baddbmm(self.fixed, h, self.w_0.mT))
        h = silu(torch.baddbmm(self.bias_1, h, self.w_1.mT)) + h
        return self._rows((h @ self.out.mT), a.shape[:1])

    @torch.no_grad()
    def score(self, a: Tensor) -> Tensor:
        """grad_a f, of the same shape."""
        with _NoMode():
            h, d_a = _silu_and_slope(torch.baddbmm(self.bias_a, self._slices(a), self.w_a.mT))
            h, d_0 = _silu_and_slope(torch.baddbmm(self.fixed, h, self.w_0.mT))
            _, d_1 = _silu_and_slope(torch.baddbmm(self.bias_1, h, self.w_1.mT))
            g = torch.baddbmm(self.out, self.out * d_1, self.w_1)
            g = torch.bmm(g.mul_(d_0), self.w_0)
            return self._rows(torch.bmm(g.mul_(d_a), self.w_a), a.shape)


def _silu_and_slope(s: Tensor) -> tuple[Tensor, Tensor]:
    """SiLU, s sigma(s), and its derivative sigma(s) (1 + s (1 - sigma(s)))."""
    sigma = s.sigmoid()
    h = s * sigma
    return h, torch.addcmul(sigma, h, 1 - sigma)


class StackedLogNormaliser(LogNormaliser):
    """S of them; the constant of each is a parameter by itself."""

    def forward(self, x: Tensor) -> Tensor:
        """c(x), (S n,)."""
        assert self.hidden is not None and self.output is not None
        features = nn.functional.silu(self.hidden(x))
        constant = self.constant.repeat_interleave(len(x) // len(self.constant))
        return self.output(features).squeeze(-1) + constant


def _by_slice(x: Tensor, k: int, s: int) -> Tensor:
    """Rows in the order (k, s, n) put into the order (s, k, n)."""
    return x.view(k, s, -1, *x.shape[1:]).transpose(0, 1).reshape(x.shape)


def stacked(modules: Sequence[nn.Module]) -> nn.Module:
    """Modules of one architecture as one; a single module is left as it is.

    Raises:
        InputError: they hold parameters outside linear layers, which cannot be stacked.
    """
    first = modules[0]
    if len(modules) == 1:
        return first
    if isinstance(first, nn.Linear):
        return StackedLinear(modules)  # type: ignore[arg-type]
    if isinstance(first, nn.ModuleList):
        return nn.ModuleList([stacked(each) for each in zip(*modules, strict=True)])
    made: nn.Module
    if isinstance(first, EnergyModel):
        sizes = (first.config, first.state_dim, first.action_dim)
        made = StackedEnergy(*sizes, generator=torch.Generator())
    elif isinstance(first, LogNormaliser):
        made = StackedLogNormaliser(1, 1, generator=torch.Generator())
        constants = torch.stack([cast(LogNormaliser, m).constant.detach() for m in modules])
        made.constant = nn.Parameter(constants)
    else:
        if next(first.parameters(recurse=False), None) is not None:
            raise InputError(
                f"{type(first).__name__} has parameters beside linear layers; train one at a time."
            )
        made = type(first).__new__(type(first))
        nn.Module.__init__(made)
        own = {k: v for k, v in vars(first).items() if not k.startswith("_")}
        vars(made).update(own)
    for name, _ in first.named_children():
        setattr(made, name, stacked([getattr(m, name) for m in modules]))
    return made


def unstack(stack: nn.Module, modules: Sequence[nn.Module]) -> None:
    """Copy the slices' weights back into ``modules``, from which ``stack`` was made."""
    if len(modules) == 1:
        return
    with torch.no_grad():
        theirs = [dict(module.named_parameters()) for module in modules]
        for name, parameter in stack.named_parameters():
            for module, weights in zip(theirs, parameter, strict=True):
                module[name].copy_(weights)


class PerSlice(TorchFunctionMode):
    """While it is on, each slice's rows are drawn from its own generator, as if it were alone.

    Args:
        rows: S n, the rows of a batch; the first axis of that size, or a multiple, is split.
        generators: of the slices.
    """

    def __init__(self, rows: int, generators: Sequence[torch.Generator]) -> None:
        super().__init__()
        self.rows, self.generators = rows, generators

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace a random function by one call for each slice."""
        if not kwargs or kwargs.get("generator") is None:
            return func(*args, **(kwargs or {}))
        kwargs = dict(kwargs)
        if len(self.generators) == 1:
            return func(*args, **{**kwargs, "generator": self.generators[0]})
        if func is torch.Tensor.normal_:
            out, *rest = args
            shape, axis = self._split(out.shape)
            return out.copy_(
                self._each(lambda **k: func(out.new_empty(shape), *rest, **k), axis, kwargs)
            )
        if func is torch.multinomial:
            rows = args[0].chunk(len(self.generators))
            turn = iter(rows)
            return self._each(lambda **k: func(next(turn), *args[1:], **k), 0, kwargs)
        if func in (torch.rand, torch.randint):
            place = next(
                i for i, v in enumerate(args) if isinstance(v, tuple | list) or func is torch.rand
            )
            size = args[place] if isinstance(args[place], tuple | list) else args[place:]
            shape, axis = self._split(size)
            before = args[:place]
            return self._each(lambda **k: func(*before, shape, **k), axis, kwargs)
        raise InputError(f"{func.__name__} draws random numbers in a way that is not split yet.")

    def _split(self, size: Sequence[int]) -> tuple[list[int], int]:
        axis = next(i for i, n in enumerate(size) if n and n % self.rows == 0)
        shape = list(size)
        shape[axis] //= len(self.generators)
        return shape, axis

    def _each(self, draw: Callable[..., Tensor], axis: int, kwargs: dict[str, Any]) -> Tensor:
        n = self.rows // len(self.generators)
        each = [draw(**{**kwargs, "generator": generator}) for generator in self.generators]
        blocks = [rows.unflatten(axis, (-1, n)) for rows in each]  # (..., k, n, ...)
        return torch.cat(blocks, dim=axis + 1).flatten(axis, axis + 1)


class _Adam:
    """Adam whose learning rate is a slice's own (Kingma and Ba 2015; PyTorch's order of steps)."""

    def __init__(self, module: nn.Module, betas: tuple[float, float]) -> None:
        self.parameters = list(module.parameters())
        self.betas = betas
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]
        self.count = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None], rates: Tensor) -> None:
        if all(g is None for g in gradients):
            return  # not this module's turn
        b1, b2 = self.betas
        self.count += 1
        root = math.sqrt(1 - b2**self.count)
        for p, g, m, v in zip(self.parameters, gradients, self.first, self.second, strict=True):
            if g is None:
                continue
            m.lerp_(g, 1 - b1)
            v.mul_(b2).addcmul_(g, g, value=1 - b2)
            size = rates / (1 - b1**self.count)
            # one slice alone keeps the shapes of an ordinary module
            size = size.view(-1, *[1] * (p.ndim - 1)) if len(rates) > 1 else size[0]
            p.sub_(size * (m / (v.sqrt() / root).add_(_EPS)))


@dataclass(frozen=True)
class Slice:
    """One training of a stack.

    Attributes:
        pairs: its training set.
        seed: of its weights and of what training draws.
        lr: its learning rate.
    """

    pairs: Pairs
    seed: int
    lr: float


@dataclass
class Learned:
    """What a slice's training left.

    Attributes:
        model: the trained model.
        parts: what was trained beside it.
        carry: what the objective carried along.
        finite: whether all weights are.
        seconds: of the stack's training, divided by its slices.
        loss: the loss reported, of the whole stack, at every update.
    """

    model: EnergyModel
    parts: nn.ModuleDict
    carry: dict[str, Tensor]
    finite: bool
    seconds: float
    loss: list[float]


def train_stack(
    slices: Sequence[Slice],
    objective: Objective,
    energy: EnergyConfig,
    training: TrainingConfig,
    reference: Pairs,
    generators: Callable[[int, str], torch.Generator],
) -> list[Learned]:
    """Train one model for every slice, all at once.

    A batch of each slice is ``objective.batch_size`` / S pairs, so an objective is handed over
    with the batch (and the chains) of the whole stack. A slice's rate decays as ``training`` says
    from its own first rate.

    Args:
        slices: what is trained; one alone may have any objective.
        objective: the same for all.
        energy: the architecture.
        training: updates and decay.
        reference: pairs from which the objective takes scales and proposals, the same for all.
        generators: (seed, stream) -> generator, for the streams "weights" and "training".

    Raises:
        InputError: an objective whose parts cannot be stacked.
        DivergenceError: a chain left the finite numbers; which slice's is not known.
    """
    count = len(slices)
    dims = (reference.states.shape[1], reference.actions.shape[1])
    models, parts, draws = [], [], []
    for each in slices:
        weights = generators(each.seed, "weights")
        models.append(EnergyModel(energy, *dims, generator=weights))
        parts.append(objective.parts(*dims, generator=weights))
        draws.append(generators(each.seed, "training"))
    model = stacked(models)
    assert isinstance(model, EnergyModel)
    objective.check(model)
    names = list(parts[0])
    part = nn.ModuleDict({name: stacked([p[name] for p in parts]) for name in names})
    offsets = torch.tensor([0, *[len(s.pairs.states) for s in slices[:-1]]]).cumsum(0)
    all_pairs = Pairs(
        torch.cat([s.pairs.states for s in slices]),
        torch.cat([s.pairs.actions for s in slices]),
        torch.arange(sum(len(s.pairs.states) for s in slices)),
    )
    carry = objective.begin(reference, generator=draws[0])
    if hasattr(objective, "start"):  # the bank of chains belongs to the pairs trained on
        carry = objective.start.bank(all_pairs, objective.sampler, generator=draws[0])  # type: ignore[attr-defined]
    size = checks.count("pairs of a slice", objective.batch_size // count)
    rates = torch.tensor([s.lr for s in slices])
    trained: dict[str, nn.Module] = {MODEL: model, **dict(part.items())}
    own = objective.part_optimizers()
    optimisers = {
        name: _Adam(module, own.get(name, PartOptimizer()).betas or _BETAS)
        for name, module in trained.items()
    }
    losses: list[float] = []
    began = time.perf_counter()
    for epoch in range(training.epochs):
        rows = torch.cat(
            [
                offset + torch.randperm(len(s.pairs.states), generator=g)[:size]
                for s, g, offset in zip(slices, draws, offsets, strict=True)
            ]
        )
        batch = Pairs(*(column[rows] for column in all_pairs))
        if isinstance(model, StackedEnergy):
            model.rows = len(rows)
        with PerSlice(len(rows), draws):
            outcome = objective(model, part, batch, carry, generator=draws[0])
        carry = outcome.carry
        losses.append(float(outcome.report["loss"]))
        factor = training.rate(epoch) / training.lr
        gradients = {}
        last = list(outcome.losses)[-1]
        for name, loss in outcome.losses.items():
            gradients[name] = torch.autograd.grad(
                loss * count,
                list(trained[name].parameters()),
                retain_graph=name != last,
                allow_unused=True,
            )
        for name, found in gradients.items():
            optimisers[name].step(found, rates * factor)
    seconds = (time.perf_counter() - began) / count
    unstack(model, models)
    for name in names:
        unstack(part[name], [p[name] for p in parts])
    return [
        Learned(m.eval(), p.eval(), carry, _finite(m), seconds, losses)
        for m, p in zip(models, parts, strict=True)
    ]


def _finite(model: nn.Module) -> bool:
    return all(bool(torch.isfinite(p).all()) for p in model.parameters())


def train_slices(
    slices: Sequence[Slice], objective_of: Callable[[int], Objective], alone: bool, **rest: Any
) -> list[Learned | None]:
    """:func:`train_stack`, or one after the other; a slice that breaks down gives None.

    A slice breaks down where numbers are no longer finite; any other error is raised.

    Args:
        slices: what is trained.
        objective_of: how many slices -> the objective with a batch for as many.
        alone: train one after the other (parts that cannot be stacked).
        rest: as :func:`train_stack` takes it.
    """
    if not alone and len(slices) > 1:
        try:
            return list(train_stack(slices, objective_of(len(slices)), **rest))
        except (DivergenceError, RuntimeError) as error:  # of one slice, and stops all: see which
            only_if_not_finite(error)
    learned: list[Learned | None] = []
    for each in slices:
        try:
            learned += train_stack([each], objective_of(1), **rest)
        except (DivergenceError, RuntimeError) as error:
            only_if_not_finite(error)
            learned.append(None)
    return learned


def only_if_not_finite(error: Exception) -> None:
    """Raise an error again unless it says that numbers are not finite.

    Torch has no class for that: ``multinomial`` refuses such weights in words, and linear algebra
    such a matrix by LinAlgError.
    """
    refused = isinstance(error, torch.linalg.LinAlgError) or "probability tensor" in str(error)
    if not isinstance(error, DivergenceError) and not refused:
        raise error
