"""A study: what is measured on which trained models, over which seeds.

A study names conditions and a measure; measuring it gives one row of plain numbers for every
condition and seed. Rows are kept one file each while a study is under way, so a kill costs one
row, and together with their provenance once it is done. Verdicts and figures read the rows; they
never measure.

A result carries the digest of everything that determined it: the conditions, the data, and all code
of the project that the measure and the trainings run through (:mod:`thesis.code`). If that digest
is not the one of today's code, the result is *stale* (:mod:`thesis.measured`), and says so wherever
it is shown.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch

from ebmlib import checks, config, seeding
from ebmlib import files as checkpoint
from ebmlib.errors import DivergenceError, InputError, StoreError
from ebmlib.progress import Progress
from ebmlib.sampling.sgld import SGLD
from ebmlib.training.run import Run
from ebmlib.training.store import Store, Trained
from thesis import code, provenance
from thesis.conditions import condition
from thesis.runs import sampler_of, sampler_updates, tiny

Row = dict[str, Any]
SEEDS, SEEDS_IF_SHORT = 5, 10
"""Seeds of a full measurement; the second where the trainings of one seed are short."""

SHORT = 40e6
"""Sampler updates in about a minute on one core."""


@dataclass(frozen=True)
class Cell:
    """One condition and seed, as a measure sees it.

    Attributes:
        condition: the condition's name.
        trained: its model, with history, snapshots and demonstrations.
        small: measure with the least effort (smoke profile and tests).
        load: another condition's model of the same seed, by a name that the study ``loads``.
    """

    condition: str
    seed: int
    trained: Trained
    small: bool
    load: Callable[[str], Trained]

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.trained.model.parameters()).device

    @property
    def sampler(self) -> SGLD:
        """The sampler with which the model is asked for actions.

        Raises:
            InputError: the condition has none.
        """
        return sampler_of(self.trained.run)

    def generator(self, stream: str) -> torch.Generator:
        """An independent generator for this condition, seed and purpose."""
        return seeding.generator(self.seed, f"{self.condition}/{stream}", self.device)


@dataclass(frozen=True)
class Study:
    """What is measured on which conditions, of any objective and data set.

    Attributes:
        name: name of its results.
        conditions: names from :mod:`thesis.conditions`.
        measure: cell -> numbers (floats, or lists of them for curves).
        seeds: how many seeds a full measurement takes; None: as many as its trainings allow.
        loads: conditions beside its own whose models the measure loads.
        clock: the numbers that are times on a clock, which no second measurement repeats.
    """

    name: str
    conditions: tuple[str, ...]
    measure: Callable[[Cell], Mapping[str, Any]]
    seeds: int | None = None
    loads: tuple[str, ...] = ()
    clock: tuple[str, ...] = ()

    @property
    def planned_seeds(self) -> int:
        """How many seeds a full measurement takes: 5, or 10 if they are cheap to train."""
        if self.seeds is not None:
            return self.seeds
        cost = sum(sampler_updates(condition(name)) for name in self.conditions)
        return SEEDS_IF_SHORT if cost <= SHORT else SEEDS

    def run(self, name: str, seed: int = 0, small: bool = False) -> Run:
        """The run of a condition of this study.

        Raises:
            InputError: neither measured nor loaded by this study, so that its digest lacks it.
        """
        if name not in (*self.conditions, *self.loads):
            raise InputError(
                f"Study {self.name} may load its conditions and those in `loads`, got {name!r}; "
                "name it there, so that the digest of its results covers it."
            )
        run = condition(name, seed)
        return tiny(run) if small else run

    def runs(self, small: bool = False) -> dict[str, Run]:
        """The run of every condition that is measured or loaded, with seed 0."""
        return {name: self.run(name, 0, small) for name in (*self.conditions, *self.loads)}

    def modules(self, small: bool = False) -> set[str]:
        """The modules that code starts from: the measure's, and those of the runs' parts."""
        parts = {type(part) for run in self.runs(small).values() for part in _parts(run)}
        return {self.measure.__module__, *(kind.__module__ for kind in parts)}

    def digest(self, small: bool = False) -> str:
        """SHA-256 of everything that determines the rows, but for the seeds."""
        runs = self.runs(small)
        return config.digest(
            {
                "study": self.name,
                "code": code.digest(self.modules(small)),
                "conditions": provenance.configurations(runs),
                "data": sorted(set(provenance.data(runs).values())),
            }
        )


def _parts(value: Any) -> Iterator[Any]:
    """A configuration and all configurations in it."""
    if dataclasses.is_dataclass(value):
        yield value
        for field in dataclasses.fields(value):
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from _parts(each)


@dataclass(frozen=True)
class Results:
    """Rows of a study, one for every condition and seed.

    Attributes:
        study: the study's name.
        rows: dictionaries with ``condition``, ``seed`` and the measured numbers.
        provenance: what :func:`thesis.provenance.record` says.
    """

    study: str
    rows: tuple[Row, ...]
    provenance: Mapping[str, Any]

    @property
    def conditions(self) -> list[str]:
        """Conditions that have a row, in the study's order."""
        return list(dict.fromkeys(row["condition"] for row in self.rows))

    def seeds(self, condition: str | None = None) -> list[int]:
        """Seeds measured: of one condition, or those that every condition has."""
        if condition is not None:
            return [row["seed"] for row in self.of(condition)]
        sets = [set(self.seeds(name)) for name in self.conditions]
        return sorted(set.intersection(*sets)) if sets else []

    def of(self, condition: str) -> list[Row]:
        """The rows of a condition, by seed."""
        found = (row for row in self.rows if row["condition"] == condition)
        return sorted(found, key=lambda row: row["seed"])

    def completed(self, condition: str | None = None) -> list[Row]:
        """The rows whose training did not diverge: of one condition by seed, or all."""
        found = self.rows if condition is None else self.of(condition)
        return [row for row in found if not row.get("diverged")]

    def from_seed(self, first: int) -> Results:
        """The rows of seeds ``first`` and up."""
        kept = tuple(row for row in self.rows if row["seed"] >= first)
        return replace(self, rows=kept)

    def values(self, condition: str, quantity: str) -> np.ndarray:
        """A quantity over the seeds of a condition, first axis the seeds.

        Raises:
            InputError: no such condition or quantity among the rows.
        """
        rows = self.of(condition)
        if not rows or any(quantity not in row for row in rows):
            known = sorted({name for row in self.rows for name in row})
            raise InputError(
                f"Study {self.study} has no {quantity!r} for {condition!r}; conditions: "
                f"{', '.join(self.conditions)}; quantities: {', '.join(known)}."
            )
        return np.array([row[quantity] for row in rows], dtype=float)

    def sha256(self) -> str:
        """SHA-256 of all that a results file says, whatever its layout."""
        # through JSON, so that lists and numbers are what they are when they are read
        said = {"study": self.study, "rows": list(self.rows), "provenance": dict(self.provenance)}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """As the text of a results file."""
        rows = ",\n  ".join(json.dumps(row) for row in self.rows)
        return (
            f'{{\n"study": {json.dumps(self.study)},\n'
            f'"sha256": {json.dumps(self.sha256())},\n'
            f'"provenance": {provenance.to_json(self.provenance)},\n'
            f'"rows": [\n  {rows}\n]\n}}\n'
        )


def measure(
    what: Study,
    *,
    seeds: Iterable[int] | None = None,
    store: Store | None = None,
    device: torch.device | str = "cpu",
    work: Path = Path("build/measurements"),
    small: bool = False,
) -> Results:
    """Measure a study, training what the store does not have; goes on where a kill left it.

    A training that diverges gives a row with ``diverged`` 1 and nothing else.

    Args:
        what: the study.
        seeds: which seeds; those that the study plans if None.
        store: where models come from; the default store if None.
        device: where to train and measure.
        work: folder for rows that are done.
        small: tiny trainings and the least effort, for tests.

    Raises:
        StoreError: ``work`` cannot be written.
    """
    store = store or Store()
    chosen = list(range(what.planned_seeds) if seeds is None else seeds)
    digest = what.digest(small)
    folder = work / what.name / digest[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"Cannot write {folder} ({error.strerror}); free some room.") from error
    cells = [(name, seed) for seed in chosen for name in what.conditions]
    rows = []
    with Progress(f"study {what.name}", len(cells), unit="row") as progress:
        for done, (name, seed) in enumerate(cells):
            rows.append(_row(what, name, seed, store, device, folder, small))
            progress.update(done + 1)
    rows.sort(key=lambda row: (what.conditions.index(row["condition"]), row["seed"]))
    record = provenance.record(digest, what.runs(small), device, small)
    return Results(what.name, tuple(rows), record)


def _row(
    what: Study, name: str, seed: int, store: Store, device: Any, folder: Path, small: bool
) -> Row:
    path = folder / f"{name.replace('/', '.')}.{seed}.json"
    with filelock.FileLock(path.with_suffix(".lock")):
        if path.exists():
            try:
                return _kept(path, name, seed)
            except _UNREADABLE as error:
                warnings.warn(
                    f"The row {path} is damaged ({checks.short(error)}); it is measured again.",
                    stacklevel=3,
                )

        def load(other: str) -> Trained:
            return store.train_or_load(what.run(other, seed, small), device=device)

        row: Row = {"condition": name, "seed": seed}
        try:
            row |= _plain(what.measure(Cell(name, seed, load(name), small, load)))
        except DivergenceError:
            row["diverged"] = 1
        checkpoint.write_bytes(path, json.dumps({"row": row, "sha256": _digest_of(row)}).encode())
    return row


_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def _kept(path: Path, name: str, seed: int) -> Row:
    """A row that was measured before, its digest and its name checked."""
    data = json.loads(path.read_text(encoding="utf-8"))
    row: Row = data["row"]
    if data["sha256"] != _digest_of(row):
        raise ValueError("its content was changed")
    if (row["condition"], row["seed"]) != (name, seed):
        raise ValueError(f"it is that of {row['condition']}, seed {row['seed']}")
    return row


def _digest_of(row: Row) -> str:
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()


def _plain(numbers: Mapping[str, Any]) -> Row:
    """Numbers as JSON takes them, to seven digits; what is not finite becomes null."""

    def plain(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu().numpy()
        if isinstance(value, np.ndarray) and value.ndim == 0:
            value = value.item()
        if isinstance(value, (list, tuple, np.ndarray)):
            return [plain(inner) for inner in value]
        if isinstance(value, (bool, int, np.integer, np.bool_)):
            return int(value)
        return float(f"{float(value):.7g}") if math.isfinite(float(value)) else None

    return {name: plain(value) for name, value in numbers.items()}
