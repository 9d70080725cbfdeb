"""What studies ask of any run, whatever its objective."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from ebmlib.errors import InputError
from ebmlib.sampling.sgld import SGLD
from ebmlib.training.run import Run


def sampler_of(run: Run) -> SGLD:
    """The sampler with which a run's model is asked for actions.

    That is the one of its ``inference`` where it has one, else the one that it trains with.

    Raises:
        InputError: the run has none (its objective trains without chains).
    """
    inference = getattr(run, "inference", None)
    sampler = getattr(run.objective, "sampler", None) if inference is None else inference.kernel
    if sampler is None:
        raise InputError(
            f"A run with a sampler is needed, and {type(run.objective).__name__} has none; give "
            "the run one, or measure what needs no chains."
        )
    return sampler


TINY = {"epochs": 20, "steps": 20, "sgld_dim": 64, "batch_size": 64}
"""What a tiny run has at most, by the names of fields."""


def tiny(run: Run) -> Run:
    """A run of the same kind that takes a second: for tests and the smoke profile."""
    training = _smaller(run.training)
    if training.snapshot_every:
        training = replace(training, snapshot_every=10)
    changes = {"objective": _smaller(run.objective), "training": training}
    if (inference := getattr(run, "inference", None)) is not None:
        changes["inference"] = replace(inference, kernel=_smaller(inference.kernel))
    return replace(run, **changes)


def _smaller(part: Any) -> Any:
    """A part of a run with no field above :data:`TINY`, and its sampler likewise."""
    found = {field.name: getattr(part, field.name) for field in fields(part)}
    changes = {name: min(found[name], most) for name, most in TINY.items() if name in found}
    if found.get("sampler") is not None:
        changes["sampler"] = _smaller(found["sampler"])
    return replace(part, **changes)


def sampler_updates(run: Run) -> int:
    """Chain steps of all chains of a training, nearly all of its cost; 0 without chains."""
    return run.training.epochs * getattr(run.objective, "chain_steps", 0)
