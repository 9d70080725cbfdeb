"""What studies ask of any run, whatever its objective."""

from __future__ import annotations

from typing import Any

from ebmlib.errors import InputError
from ebmlib.sampling.sgld import SGLD
from ebmlib.training.run import Run


def sampler_of(run: Run) -> SGLD:
    """The sampler with which a run's model is asked for actions.

    Raises:
        InputError: the run has none (its objective trains without chains).
    """
    sampler = _sampler(run)
    if sampler is None:
        raise InputError(
            f"A run with a sampler is needed, and {type(run.objective).__name__} has none; give "
            "the run one, or measure what needs no chains."
        )
    return sampler


def _sampler(run: Run) -> Any:
    return getattr(run.objective, "sampler", None)


def tiny(run: Run) -> Run:
    """A run of the same kind that takes a second: for tests and the smoke profile."""
    sampler, pairs = _sampler(run), getattr(run.objective, "sgld_dim", None)
    changes: dict[str, Any] = {"epochs": min(run.training.epochs, 20)}
    if sampler is not None:
        changes["sgld_K"] = min(sampler.steps, 20)
    if pairs is not None:
        changes["sgld_dim"] = min(pairs, 64)
    if run.training.snapshot_every:
        changes["snapshot_every"] = 10
    return run.with_(**changes)


def sampler_updates(run: Run) -> int:
    """Chain steps of all chains of a training, nearly all of its cost; 0 without chains."""
    return run.training.epochs * getattr(run.objective, "chain_steps", 0)
