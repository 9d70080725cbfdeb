"""The training loop: batches, optimiser, observers, checkpoints, divergence."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ebmlib import checks, files
from ebmlib.config import register
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import DivergenceError, InputError, StoreError
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives.base import MODEL, Carry, Objective, PartOptimizer
from ebmlib.progress import Progress
from ebmlib.sampling import fused
from ebmlib.training import checkpoint

TRAINING_REVISION = 1
"""Part of every store key; raise it when the same configuration trains to other weights."""

_SECONDS_BETWEEN_CHECKPOINTS = 20.0

Observer = Callable[[int, EnergyModel], Mapping[str, float | Tensor]]
"""Called after the backward pass of an epoch and before its update; returns scalars to record."""


@register("TrainingConfig")
@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast to train.

    Attributes:
        epochs: parameter updates. The thesis counts the same thing as epochs and as iterations
            (section 4.4.3 against Figure 4.7).
        lr: learning rate (thesis: ``lr``).
        optimizer: ``"adam"`` (the thesis) or ``"sgd"``.
        final_lr: decay the rate to this over the epochs; constant if None.
        decay: how: ``"geometric"``, by the same factor in every epoch, or ``"cosine"``, by half a
            cosine (Loshchilov and Hutter, "SGDR", 2017).
        snapshot_every: keep the weights after every so many epochs, and of epoch 0; None keeps
            only the last.
    """

    epochs: int = 1000
    lr: float = 1e-3
    optimizer: str = "adam"
    final_lr: float | None = None
    snapshot_every: int | None = None
    decay: str = "geometric"

    def __post_init__(self) -> None:
        checks.count("epochs", self.epochs, most=checks.MOST_UPDATES)
        checks.positive("lr", self.lr)
        checks.one_of("optimizer", self.optimizer, ("adam", "sgd"))
        if self.final_lr is not None:
            checks.positive("final_lr", self.final_lr)
        if self.snapshot_every is not None:
            checks.count("snapshot_every", self.snapshot_every, most=checks.MOST_UPDATES)
        checks.one_of("decay", self.decay, ("geometric", "cosine"))

    def rate(self, epoch: int, first: float | None = None) -> float:
        """Learning rate of an epoch (counted from 0).

        Args:
            epoch: the number of the epoch.
            first: the rate of epoch 0, if it is not ``lr``; it decays by the same factor.
        """
        first = self.lr if first is None else first
        if self.final_lr is None or self.epochs < 2:
            return first
        factor, part = self.final_lr / self.lr, epoch / (self.epochs - 1)
        if self.decay == "cosine":
            return first * (factor + (1 - factor) * (1 + math.cos(math.pi * part)) / 2)
        return first * factor**part


@dataclass
class TrainingResult:
    """The result of a training.

    Attributes:
        model: the trained model, in evaluation mode.
        history: one float per epoch and quantity (``loss``, ``R``, ``f_data``, ``f_chain``,
            ``f_magnitude``, ``gradient_norm/<layer>``, and what observers added; an observer's
            quantity is NaN in epochs where it was not reported).
        snapshots: epoch -> weights, by ``snapshot_every`` of :class:`TrainingConfig`.
        seconds: time spent in the loop, over all resumptions.
        parts: what the objective trained beside the model, by name.
        fused: whether chains were allowed to be fused (:mod:`ebmlib.sampling.fused`).
    """

    model: EnergyModel
    history: dict[str, list[float]]
    snapshots: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    seconds: float = 0.0
    parts: nn.ModuleDict = field(default_factory=nn.ModuleDict)
    fused: bool = False

    def at(self, epoch: int) -> EnergyModel:
        """The model with the weights it had after ``epoch`` updates (a snapshot's)."""
        model = EnergyModel(
            self.model.config,
            self.model.state_dim,
            self.model.action_dim,
            generator=torch.Generator(),
        )
        if epoch not in self.snapshots:
            known = ", ".join(map(str, sorted(self.snapshots))) or "none"
            raise InputError(
                f"No snapshot of epoch {epoch} was kept (kept: {known}); set snapshot_every."
            )
        model.load_state_dict(self.snapshots[epoch])
        return model.eval()


def _gradient_norm(module: nn.Module) -> Tensor:
    """Euclidean norm of the gradient of a module's parameters; 0 where they have none."""
    parameters = list(module.parameters())
    gradients = [p.grad for p in parameters if p.grad is not None]
    return torch.nn.utils.get_total_norm(gradients) if gradients else parameters[0].new_zeros(())


def gradient_norms(epoch: int, model: EnergyModel) -> dict[str, float | Tensor]:
    """The observer of per-layer gradient norms: Euclidean over a layer's weight and bias."""
    return {
        f"gradient_norm/{name}": _gradient_norm(layer) for name, layer in model.layers().items()
    } | {
        f"gradient_norm/{name}.bias": layer.bias.grad.norm()
        for name, layer in list(model.layers().items())[-1:]
        if layer.bias is not None and layer.bias.grad is not None
    }


class _Loop:
    """Everything that changes from one update to the next, and how it is saved."""

    def __init__(
        self,
        model: EnergyModel,
        parts: nn.ModuleDict,
        pairs: Pairs,
        objective: Objective,
        config: TrainingConfig,
        generator: torch.Generator,
    ) -> None:
        self.model, self.parts, self.config, self.generator = model, parts, config, generator
        own = objective.part_optimizers()
        self.trained: dict[str, nn.Module] = {MODEL: model, **dict(parts.items())}
        self.optimizers = {
            name: _optimizer(module, config, own.get(name, PartOptimizer()))
            for name, module in self.trained.items()
        }
        self.rates = {name: own[name].lr if name in own else None for name in self.trained}
        self.carry: Carry = objective.begin(pairs, generator=generator)
        self.history: dict[str, list[float]] = {}
        self.snapshots: dict[int, dict[str, Tensor]] = {}
        self.epoch = 0
        self.seconds = 0.0
        self.fused = fused.worthwhile(_operations(model, pairs, objective) * config.epochs)
        self.good = self.weights()  # the last weights whose losses were finite
        self.keep_snapshot()

    def weights(self) -> dict[str, Tensor]:
        """A copy of the model's weights and, with their names in front, of the parts'."""
        return checkpoint.copy(self.model.state_dict()) | checkpoint.copy(
            files.with_prefix("parts", self.parts.state_dict())
        )

    def put_back(self, weights: Mapping[str, Tensor]) -> None:
        """Restore what :meth:`weights` copied."""
        own = {n: w for n, w in weights.items() if not n.startswith("parts.")}
        self.model.load_state_dict(own)
        self.parts.load_state_dict(files.under_prefix("parts", weights))

    def keep_snapshot(self) -> None:
        every = self.config.snapshot_every
        if every is not None and self.epoch % every == 0:
            weights = checkpoint.copy(self.model.state_dict())
            self.snapshots[self.epoch] = {name: tensor.cpu() for name, tensor in weights.items()}

    def record(self, numbers: Mapping[str, float | Tensor]) -> None:
        for name, value in numbers.items():
            column = self.history.setdefault(name, [])
            column.extend([math.nan] * (self.epoch - len(column)))  # not reported until now
            column.append(float(value))

    def step(self, numbers: Mapping[str, float | Tensor], carry: Carry) -> None:
        """Move every module along the gradients that were left in it; that ends the epoch."""
        self.good = self.weights()
        for name, optimizer in self.optimizers.items():
            for group in optimizer.param_groups:
                group["lr"] = self.config.rate(self.epoch, self.rates[name])
            optimizer.step()
        self.record(numbers)
        self.carry = carry
        self.epoch += 1
        self.keep_snapshot()

    def save(self, path: Path) -> None:
        snapshots = {
            f"{epoch}.{name}": tensor
            for epoch, weights in self.snapshots.items()
            for name, tensor in weights.items()
        }
        history = {
            name: torch.tensor(column, dtype=torch.float64) for name, column in self.history.items()
        }
        tensors = {
            **files.with_prefix("model", self.model.state_dict()),
            **files.with_prefix("parts", self.parts.state_dict()),
            **files.with_prefix("carry", self.carry),
            **files.with_prefix("good", self.good),
            **files.with_prefix("snapshots", snapshots),
            **files.with_prefix("history", history),
            "generator": self.generator.get_state(),
        }
        for name, optimizer in self.optimizers.items():
            tensors |= files.with_prefix(
                f"optimizer/{name}", checkpoint.optimizer_tensors(optimizer)
            )
        record = {"epoch": self.epoch, "seconds": self.seconds, "fused": self.fused}
        files.save_tensors(path, tensors, record, files.IN_STORE)

    def load(self, path: Path) -> None:
        tensors, record = files.load_tensors(path, remedy="it cannot be used")
        self.model.load_state_dict(files.under_prefix("model", tensors))
        self.parts.load_state_dict(files.under_prefix("parts", tensors))
        for name, optimizer in self.optimizers.items():
            checkpoint.restore_optimizer(
                optimizer, files.under_prefix(f"optimizer/{name}", tensors)
            )
        self.carry = {
            name: tensor.to(self.carry[name].device)
            for name, tensor in files.under_prefix("carry", tensors).items()
        }
        self.history = {
            name: column.tolist() for name, column in files.under_prefix("history", tensors).items()
        }
        self.good = files.under_prefix("good", tensors)
        self.snapshots = checkpoint.by_number(files.under_prefix("snapshots", tensors))
        self.generator.set_state(tensors["generator"])
        if not 0 <= record["epoch"] <= self.config.epochs:
            raise ValueError(f"it is at epoch {record['epoch']} of {self.config.epochs}")
        self.epoch, self.seconds = record["epoch"], record["seconds"]
        self.fused = record["fused"]  # the training goes on with the path it began with

    def result(self) -> TrainingResult:
        """What is trained so far."""
        for column in self.history.values():
            column.extend([math.nan] * (self.epoch - len(column)))
        return TrainingResult(
            self.model.eval(),
            self.history,
            self.snapshots,
            self.seconds,
            self.parts.eval(),
            self.fused,
        )


def train(
    model: EnergyModel,
    pairs: Pairs,
    objective: Objective,
    config: TrainingConfig,
    *,
    generator: torch.Generator,
    parts: nn.ModuleDict | None = None,
    observers: Mapping[str, Observer] | None = None,
    checkpoint_path: Path | None = None,
    task: str = "training",
) -> TrainingResult:
    """Minimise ``objective`` over ``pairs``; the model is changed in place.

    A batch is ``objective.batch_size`` pairs drawn without replacement (all of them if there are
    fewer). Every loss moves only the parameters it is named for: the model's, and those of each
    part of the objective, by an optimiser of its own. Killed at any moment, a second call with the
    same arguments and ``checkpoint_path`` goes on from the last checkpoint and ends with the
    weights that it would have had.

    Args:
        model: the model, on the device to train on.
        pairs: the data, on the same device.
        objective: what to minimise.
        config: how long and how fast.
        generator: draws batches and chains, on the same device.
        parts: what the objective trains beside the model (``objective.parts``), on the same device;
            made from ``generator`` if None.
        observers: further functions (epoch, model) -> numbers for the history; the objective's
            report and the per-layer gradient norms are always recorded.
        checkpoint_path: file for checkpoints, which is not removed; no checkpoints if None.
        task: name for progress.

    Raises:
        InputError: the objective cannot train this model (``objective.check``).
        DivergenceError: a loss, gradient or chain that is not finite; says the epoch and carries
            the result up to there as ``error.result``, its weights the last ones whose loss was
            finite. A second call with the same ``checkpoint_path`` stops at the same epoch.

    Example:
        >>> from ebmlib import preset, execute
        >>> result = execute(preset("circle").with_(epochs=2, sgld_dim=16, sgld_K=2))
        >>> len(result.history["loss"])
        2
    """
    objective.check(model)
    watchers = {"gradient_norms": gradient_norms, **(observers or {})}
    if parts is None:
        parts = objective.parts(model.state_dim, model.action_dim, generator=generator)
        parts = parts.to(pairs.states.device)
    loop = _Loop(model, parts, pairs, objective, config, generator)
    if checkpoint_path is not None and checkpoint_path.exists():
        _resume(loop, checkpoint_path)
    size = min(objective.batch_size, len(pairs.states))
    saved = time.monotonic()
    with fused.permitted(loop.fused), Progress(task, config.epochs, loop.epoch) as progress:
        while loop.epoch < config.epochs:
            began = time.monotonic()
            try:
                _update(loop, pairs, objective, size, watchers)
            except DivergenceError as error:
                raise _stopped(error, loop, checkpoint_path) from error
            loop.seconds += time.monotonic() - began
            progress.update(loop.epoch)
            if checkpoint_path and time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                _save_or_warn(loop, checkpoint_path)
                saved = time.monotonic()
    _check_last_update(loop, checkpoint_path)
    return loop.result()


def _check_last_update(loop: _Loop, path: Path | None) -> None:
    """Check the weights after the last update; those of earlier updates show in the next loss."""
    if not all(torch.isfinite(p).all() for m in loop.trained.values() for p in m.parameters()):
        error = DivergenceError("the last update left weights that are not finite")
        raise _stopped(error, loop, path)


def _operations(model: EnergyModel, pairs: Pairs, objective: Objective) -> float:
    """Multiplications and additions of the chains of one batch."""
    if objective.chain_steps == 0:
        return 0.0
    return objective.chain_steps * fused.operations_of(model.score(pairs.states[:1]))


def _optimizer(
    module: nn.Module, config: TrainingConfig, own: PartOptimizer
) -> torch.optim.Optimizer:
    lr = config.lr if own.lr is None else own.lr
    if (own.optimizer or config.optimizer) == "sgd":
        return torch.optim.SGD(module.parameters(), lr=lr)
    return torch.optim.Adam(module.parameters(), lr=lr, betas=own.betas or (0.9, 0.999))


def _resume(loop: _Loop, path: Path) -> None:
    """Go on from a checkpoint; a damaged one is reported and skipped."""
    try:
        loop.load(path)
    except StoreError as error:
        warnings.warn(f"{error} Training starts again from epoch 0.", stacklevel=3)
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(
            f"The checkpoint {path} belongs to another configuration ({reason}); delete it or "
            "name another one."
        ) from error


def _update(
    loop: _Loop,
    pairs: Pairs,
    objective: Objective,
    size: int,
    watchers: Mapping[str, Observer],
) -> None:
    """One parameter update; leaves the loop as it was if the loss or a gradient is not finite."""
    generator_state = loop.generator.get_state()
    buffers = {
        name: checkpoint.copy(dict(module.named_buffers())) for name, module in loop.trained.items()
    }
    try:
        numbers, carry = _gradient(loop, pairs, objective, size, watchers)
    except DivergenceError:
        # as if the epoch had not begun: with other noise a resumed training could pass it
        loop.generator.set_state(generator_state)
        for name, module in loop.trained.items():
            module.load_state_dict(buffers[name], strict=False)
        raise
    loop.step(numbers, carry)


def _gradient(
    loop: _Loop,
    pairs: Pairs,
    objective: Objective,
    size: int,
    watchers: Mapping[str, Observer],
) -> tuple[dict[str, Any], Carry]:
    """The backward pass of an epoch: leaves gradients, returns what to record and to carry on."""
    device = pairs.states.device
    chosen = torch.randperm(len(pairs.states), generator=loop.generator, device=device)[:size]
    batch = Pairs(*(column[chosen] for column in pairs))
    for module in loop.trained.values():
        module.train()
    outcome = objective(loop.model, loop.parts, batch, loop.carry, generator=loop.generator)
    _backward(outcome.losses, loop.trained)
    numbers: dict[str, Any] = dict(outcome.report)
    for module in loop.trained.values():
        module.eval()  # what observers evaluate must not advance the power iteration
    for watch in watchers.values():
        numbers |= watch(loop.epoch, loop.model)
    check_finite(outcome.losses, loop.trained)
    return numbers, outcome.carry


def check_finite(losses: Mapping[str, Tensor], trained: Mapping[str, nn.Module]) -> None:
    """Check losses and the gradients that they left in the modules they are named for.

    Raises:
        DivergenceError: one of them is not finite.
    """
    for name, loss in losses.items():
        size_of_gradient = _gradient_norm(trained[name])
        if not torch.isfinite(loss) or not torch.isfinite(size_of_gradient):
            whose = "the loss" if name == MODEL else f"the loss of {name}"
            raise DivergenceError(
                f"{whose} is {loss.item():g} and its gradient norm {size_of_gradient:g}"
            )


def _backward(losses: Mapping[str, Tensor], trained: Mapping[str, nn.Module]) -> None:
    """Leave in every module's parameters the gradient of the loss that is named for it."""
    if losses.keys() != trained.keys():
        raise InputError(
            f"An objective must return one loss for each of {', '.join(trained)}, got "
            f"{', '.join(losses) or 'none'}."
        )
    gradients: list[tuple[nn.Parameter, Tensor | None]] = []
    last = list(losses)[-1]
    for name, loss in losses.items():
        parameters = list(trained[name].parameters())
        found = torch.autograd.grad(loss, parameters, retain_graph=name != last, allow_unused=True)
        gradients += zip(parameters, found, strict=True)
    for parameter, gradient in gradients:
        parameter.grad = gradient


def _save_or_warn(loop: _Loop, path: Path) -> bool:
    """Save a checkpoint; whether it could be saved."""
    try:
        loop.save(path)
    except StoreError as error:  # a full disk must not cost the training that is under way
        warnings.warn(f"No checkpoint at epoch {loop.epoch}: {error}", stacklevel=3)
        return False
    return True


def _stopped(error: DivergenceError, loop: _Loop, path: Path | None) -> DivergenceError:
    """The error with its epoch and remedy; saves the checkpoint, attaches the last good state."""
    where = "error.result"
    if path is not None and _save_or_warn(loop, path):
        where += f" and (good.*) in {path}"
    stopped = DivergenceError(
        f"Training stopped at epoch {loop.epoch} of {loop.config.epochs}: "
        f"{str(error).rstrip('.')}; the last weights with a finite loss are in {where}; "
        "lower alpha or lr, or raise reg_l2."
    )
    loop.put_back(loop.good)
    stopped.result = loop.result()  # type: ignore[attr-defined]
    return stopped
