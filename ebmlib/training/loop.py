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
from torch import Tensor

from ebmlib import checks
from ebmlib import files as checkpoint
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import DivergenceError, StoreError
from ebmlib.models.energy import EnergyModel
from ebmlib.objectives import Objective
from ebmlib.objectives.base import State
from ebmlib.progress import Progress
from ebmlib.sampling import compiled

TRAINING_REVISION = 1
"""Part of every store key; raise it when the same configuration trains to other weights."""

_SECONDS_BETWEEN_CHECKPOINTS = 20.0

Observer = Callable[[int, EnergyModel], Mapping[str, float | Tensor]]
"""Called after the backward pass of an epoch and before its update; returns scalars to record."""


@dataclass(frozen=True)
class TrainingConfig:
    """How long and how fast to train.

    Attributes:
        epochs: parameter updates. The thesis counts the same thing as epochs and as iterations
            (section 4.4.3 against Figure 4.7).
        lr: learning rate (thesis: ``lr``).
        optimizer: ``"adam"`` (the thesis) or ``"sgd"``.
        final_lr: decay the rate geometrically to this over the epochs; constant if None.
        snapshot_every: keep the weights of every so manieth epoch, and of epoch 0; None keeps
            only the last.
    """

    epochs: int = 1000
    lr: float = 1e-3
    optimizer: str = "adam"
    final_lr: float | None = None
    snapshot_every: int | None = None

    def __post_init__(self) -> None:
        checks.count("epochs", self.epochs)
        checks.positive("lr", self.lr)
        checks.one_of("optimizer", self.optimizer, ("adam", "sgd"))
        if self.final_lr is not None:
            checks.positive("final_lr", self.final_lr)
        if self.snapshot_every is not None:
            checks.count("snapshot_every", self.snapshot_every)

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch (counted from 0)."""
        if self.final_lr is None or self.epochs < 2:
            return self.lr
        return self.lr * (self.final_lr / self.lr) ** (epoch / (self.epochs - 1))


@dataclass
class TrainingResult:
    """What training leaves.

    Attributes:
        model: the trained model, in evaluation mode.
        history: one float per epoch and quantity (``loss``, ``R``, ``f_data``, ``f_chain``,
            ``f_magnitude``, ``gradient_norm/<layer>``, and what observers added; an observer's
            quantity is NaN in epochs where it was not told).
        snapshots: epoch -> weights, as :class:`TrainingConfig` asked.
        seconds: time spent in the loop, over all resumptions.
    """

    model: EnergyModel
    history: dict[str, list[float]]
    snapshots: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    seconds: float = 0.0

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
            raise checks.InputError(
                f"No snapshot of epoch {epoch} was kept (kept: {known}); set snapshot_every."
            )
        model.load_state_dict(self.snapshots[epoch])
        return model.eval()


def gradient_norms(epoch: int, model: EnergyModel) -> dict[str, float | Tensor]:
    """The observer of per-layer gradient norms: Euclidean over a layer's weight and bias."""
    return {
        f"gradient_norm/{name}": torch.nn.utils.get_total_norm(
            [p.grad for p in layer.parameters() if p.grad is not None]
        )
        for name, layer in model.layers().items()
    } | {
        f"gradient_norm/{name}.bias": layer.bias.grad.norm()
        for name, layer in list(model.layers().items())[-1:]
        if layer.bias is not None and layer.bias.grad is not None
    }


def _copy(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


class _Loop:
    """Everything that changes from one update to the next, and how it is saved."""

    def __init__(
        self,
        model: EnergyModel,
        pairs: Pairs,
        objective: Objective,
        config: TrainingConfig,
        generator: torch.Generator,
    ) -> None:
        self.model, self.config, self.generator = model, config, generator
        kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.SGD
        self.optimizer: torch.optim.Optimizer = kind(model.parameters(), lr=config.lr)
        self.state: State = objective.initial_state(pairs, generator=generator)
        self.history: dict[str, list[float]] = {}
        self.snapshots: dict[int, dict[str, Tensor]] = {}
        self.epoch = 0
        self.seconds = 0.0
        self.good = _copy(model.state_dict())  # the last weights whose loss was finite
        self.keep_snapshot()

    def keep_snapshot(self) -> None:
        every = self.config.snapshot_every
        if every is not None and self.epoch % every == 0:
            weights = _copy(self.model.state_dict())
            self.snapshots[self.epoch] = {name: tensor.cpu() for name, tensor in weights.items()}

    def record(self, numbers: Mapping[str, float | Tensor]) -> None:
        for name, value in numbers.items():
            column = self.history.setdefault(name, [])
            column.extend([math.nan] * (self.epoch - len(column)))  # not told until now
            column.append(float(value))

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
            **checkpoint.with_prefix("model", self.model.state_dict()),
            **checkpoint.with_prefix("optimizer", checkpoint.optimizer_tensors(self.optimizer)),
            **checkpoint.with_prefix("state", self.state),
            **checkpoint.with_prefix("good", self.good),
            **checkpoint.with_prefix("snapshots", snapshots),
            **checkpoint.with_prefix("history", history),
            "generator": self.generator.get_state(),
        }
        checkpoint.save_tensors(path, tensors, {"epoch": self.epoch, "seconds": self.seconds})

    def load(self, path: Path) -> None:
        tensors, record = checkpoint.load_tensors(path)
        self.model.load_state_dict(checkpoint.under_prefix("model", tensors))
        checkpoint.restore_optimizer(self.optimizer, checkpoint.under_prefix("optimizer", tensors))
        self.state = {
            name: tensor.to(self.state[name].device)
            for name, tensor in checkpoint.under_prefix("state", tensors).items()
        }
        self.history = {
            name: column.tolist()
            for name, column in checkpoint.under_prefix("history", tensors).items()
        }
        self.good = checkpoint.under_prefix("good", tensors)
        self.snapshots = {}
        for name, tensor in checkpoint.under_prefix("snapshots", tensors).items():
            epoch, weight = name.split(".", 1)
            self.snapshots.setdefault(int(epoch), {})[weight] = tensor
        self.generator.set_state(tensors["generator"])
        self.epoch, self.seconds = record["epoch"], record["seconds"]

    def result(self) -> TrainingResult:
        """What is trained so far."""
        for column in self.history.values():
            column.extend([math.nan] * (self.epoch - len(column)))
        return TrainingResult(self.model.eval(), self.history, self.snapshots, self.seconds)


def train(
    model: EnergyModel,
    pairs: Pairs,
    objective: Objective,
    config: TrainingConfig,
    *,
    generator: torch.Generator,
    observers: Mapping[str, Observer] | None = None,
    checkpoint_path: Path | None = None,
    task: str = "training",
) -> TrainingResult:
    """Minimise ``objective`` over ``pairs``; the model is changed in place.

    A batch is ``objective.batch_size`` pairs drawn without replacement (all of them if there are
    fewer). Killed at any moment, a second call with the same arguments and ``checkpoint_path``
    goes on from the last checkpoint and ends with the weights that it would have had.

    Args:
        model: the model, on the device to train on.
        pairs: the data, on the same device.
        objective: what to minimise.
        config: how long and how fast.
        generator: draws batches and chains, on the same device.
        observers: further functions (epoch, model) -> numbers for the history; the objective's
            report and the per-layer gradient norms are always recorded.
        checkpoint_path: file for checkpoints, removed by no one here; None keeps none.
        task: name for progress.

    Raises:
        DivergenceError: a loss, gradient or chain that is not finite; says the epoch and carries
            the result up to there as ``error.result``, its weights the last ones whose loss was
            finite. A second call with the same ``checkpoint_path`` stops at the same epoch.
    """
    watchers = {"gradient_norms": gradient_norms, **(observers or {})}
    loop = _Loop(model, pairs, objective, config, generator)
    if checkpoint_path is not None and checkpoint_path.exists():
        _resume(loop, checkpoint_path)
    size = min(objective.batch_size, len(pairs.states))
    model.compiled = compiled.worthwhile(
        objective.chain_steps * config.epochs, compiled.operations(model.score(pairs.states[:1]))
    )
    saved = time.monotonic()
    with Progress(task, config.epochs, loop.epoch) as progress:
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
    return loop.result()


def _resume(loop: _Loop, path: Path) -> None:
    """Go on from a checkpoint; a damaged one is told and passed over."""
    try:
        loop.load(path)
    except StoreError as error:
        warnings.warn(f"{error} Training starts again from epoch 0.", stacklevel=3)
    except (KeyError, RuntimeError, ValueError) as error:
        raise StoreError(
            f"The checkpoint {path} belongs to another configuration ({error}); delete it or "
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
    generator_state, buffers = loop.generator.get_state(), _copy(dict(loop.model.named_buffers()))
    try:
        numbers, state = _gradient(loop, pairs, objective, size, watchers)
    except DivergenceError:
        # as if the epoch had not begun: a resumed training must not get past it by other noise
        loop.generator.set_state(generator_state)
        loop.model.load_state_dict(buffers, strict=False)
        raise
    loop.good = _copy(loop.model.state_dict())
    for group in loop.optimizer.param_groups:
        group["lr"] = loop.config.rate(loop.epoch)
    loop.optimizer.step()
    loop.record(numbers)
    loop.state = state
    loop.epoch += 1
    loop.keep_snapshot()


def _gradient(
    loop: _Loop,
    pairs: Pairs,
    objective: Objective,
    size: int,
    watchers: Mapping[str, Observer],
) -> tuple[dict[str, Any], State]:
    """The backward pass of an epoch: leaves gradients, returns what to record and to carry on."""
    device = pairs.states.device
    chosen = torch.randperm(len(pairs.states), generator=loop.generator, device=device)[:size]
    batch = Pairs(*(column[chosen] for column in pairs))
    loop.model.train()
    outcome = objective(loop.model, batch, loop.state, generator=loop.generator)
    loop.optimizer.zero_grad(set_to_none=True)
    outcome.loss.backward()
    numbers: dict[str, Any] = dict(outcome.report)
    loop.model.eval()  # what observers evaluate must not advance the power iteration
    for watch in watchers.values():
        numbers |= watch(loop.epoch, loop.model)
    size_of_gradient = torch.nn.utils.get_total_norm(
        [p.grad for p in loop.model.parameters() if p.grad is not None]
    )
    if not torch.isfinite(outcome.loss) or not torch.isfinite(size_of_gradient):
        raise DivergenceError(
            f"the loss is {outcome.loss.item():g} and its gradient norm {size_of_gradient:g}"
        )
    return numbers, outcome.state


def _save_or_warn(loop: _Loop, path: Path) -> None:
    try:
        loop.save(path)
    except StoreError as error:  # a full disk must not cost the training that is under way
        warnings.warn(f"No checkpoint at epoch {loop.epoch}: {error}", stacklevel=3)


def _stopped(error: DivergenceError, loop: _Loop, path: Path | None) -> DivergenceError:
    """The error with its epoch and remedy; saves the checkpoint, attaches the last good state."""
    kept = "error.result"
    if path is not None:
        _save_or_warn(loop, path)
        kept += f" and (good.*) in {path}"
    stopped = DivergenceError(
        f"Training stopped at epoch {loop.epoch} of {loop.config.epochs}: "
        f"{str(error).rstrip('.')}; the last weights with a finite loss are in {kept}; "
        "lower alpha or lr, or raise reg_l2."
    )
    loop.model.load_state_dict(loop.good)
    stopped.result = loop.result()  # type: ignore[attr-defined]
    return stopped
