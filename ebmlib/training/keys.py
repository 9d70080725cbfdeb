"""Keys: the names of trained runs in the store, today's and those of version 0.1."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

from ebmlib import config
from ebmlib.demonstrations.features import POSITION
from ebmlib.errors import InputError
from ebmlib.training.loop import TRAINING_REVISION
from ebmlib.training.run import Run

_LENGTH = 20  # hexadecimal digits of a digest: no two runs in 10^12 share a key

FIELDS_OF_VERSION_0_1: Mapping[str, tuple[str, ...]] = {
    "EnergyConfig": (
        *("z_dim", "h_dim", "hidden_layers", "embedding", "residual", "first_activation"),
        *("spectral_norm", "output_bias", "temperature"),
    ),
    "ContrastiveDivergence": (*("sampler", "sgld_dim", "reg_l1", "reg_l2", "start", "data_noise"),),
    "JointContrastiveDivergence": ("sampler", "sgld_dim", "reg_l1", "reg_l2", "state_noise"),
    "SGLD": ("alpha", "steps", "temperature", "drift", "final_alpha"),
    "NoiseStart": (),
    "DataStart": (),
    "PersistentStart": (),
    "ReplayStart": ("per_pair", "restart"),
    "TrainingConfig": ("epochs", "lr", "optimizer", "final_lr", "snapshot_every"),
}
"""The fields that configurations had in version 0.1, all of which were part of its keys."""


def key(run: Run, data_digest: str, observers: Mapping[str, Any] | None = None) -> str:
    """The name under which the store keeps the result: a digest of all that determines it.

    The content of a drawing is part of it, the path of its file is not. Neither is the device (it
    is in the record), nor ``run.inference``, which changes no weight.
    """
    parts = {
        "energy": config.identity(run.energy),
        "objective": config.identity(run.objective),
        "training": config.identity(run.training),
        "seed": run.seed,
        "data": data_digest,
        "revision": TRAINING_REVISION,
    }
    if run.features != POSITION:
        parts["features"] = config.identity(run.features)
    if observers:
        parts["observers"] = {
            name: _identity_of(name, observer) for name, observer in sorted(observers.items())
        }
    return config.digest(parts)[:_LENGTH]


def key_of_version_0_1(run: Run, data_digest: str) -> str | None:
    """The key that version 0.1 gave to the same training; None if it could not have made it.

    Entries that were trained with observers are not found again: their keys held an observer's
    name alone.
    """
    if TRAINING_REVISION != 1 or run.features != POSITION:
        return None
    parts = [_as_version_0_1(part) for part in (run.energy, run.objective, run.training)]
    if any(part is None for part in parts):
        return None
    return config.digest(
        {
            **dict(zip(("energy", "objective", "training"), parts, strict=True)),
            "seed": run.seed,
            "data": data_digest,
            "observers": [],
            "revision": TRAINING_REVISION,
        }
    )[:_LENGTH]


def _as_version_0_1(value: Any) -> Any:
    """``config.to_dict`` as version 0.1 had it, or None if a later field is not at its default."""
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    name = config.name_of(type(value))
    if name not in FIELDS_OF_VERSION_0_1 or config.revision_of(type(value)) != 1:
        return None
    described: dict[str, Any] = {"is": name}
    for field in dataclasses.fields(value):
        inner = getattr(value, field.name)
        if field.name not in FIELDS_OF_VERSION_0_1[name]:
            if inner != config.default_of(field):
                return None
            continue
        described[field.name] = _as_version_0_1(inner)
        if described[field.name] is None and inner is not None:
            return None
    return described


def _identity_of(name: str, observer: Callable[..., Any]) -> Any:
    """What identifies an observer: its code, and its fields if it is a dataclass.

    Raises:
        InputError: its code cannot be read, or it depends on values that are not part of it.
    """
    kind = observer if inspect.isroutine(observer) else type(observer)
    if inspect.isroutine(observer) and getattr(observer, "__closure__", None):
        raise InputError(
            f"Observer {name!r} depends on variables around it, which its key cannot hold; make it "
            "a function of its arguments alone, or a dataclass with __call__."
        )
    try:
        source = textwrap.dedent(inspect.getsource(kind))
    except (OSError, TypeError) as error:
        raise InputError(
            f"The code of observer {name!r} cannot be read, so a key cannot distinguish it from "
            f"others ({error}); write it in a file, as a function or a dataclass with __call__."
        ) from error
    code = config.digest(source)
    fields = config.to_dict(observer) if dataclasses.is_dataclass(observer) else None
    return [kind.__qualname__, code, fields]
