"""Train once, load ever after.

An entry is a folder named by the run's key (:meth:`ebmlib.training.run.Run.key`):

    <key>/model.safetensors     weights, and those of snapshots
    <key>/run.json              configuration, data digest, history, versions, device, time
    <key>.work/                 checkpoint of a training under way
    <key>.lock                  held while training, so that two processes train it once

An entry is written beside its place and renamed; its weights carry a digest, and an entry that
does not match it is told, set aside as ``<key>.damaged`` and trained again.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import torch
from torch import Tensor

from ebmlib import files as checkpoint
from ebmlib import seeding
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.errors import InputError, StoreError
from ebmlib.models.energy import EnergyModel
from ebmlib.sampling import compiled
from ebmlib.training.loop import TRAINING_REVISION, Observer, TrainingResult
from ebmlib.training.run import Run, execute


@dataclass(frozen=True)
class Trained:
    """A trained run, from the store or fresh.

    Attributes:
        run: its configuration.
        result: model, history and snapshots.
        demonstrations: what it was trained on.
        record: provenance (key, data digest, versions, device, time, seconds).
        loaded: it came from the store.
    """

    run: Run
    result: TrainingResult
    demonstrations: Demonstrations
    record: Mapping[str, Any]
    loaded: bool

    @property
    def model(self) -> EnergyModel:
        """The trained model."""
        return self.result.model

    @property
    def history(self) -> dict[str, list[float]]:
        """Quantities over epochs, see :class:`~ebmlib.training.TrainingResult`."""
        return self.result.history


class Store:
    """A folder of trained models.

    Args:
        root: the folder; ``EBMLIB_STORE`` or ``build/store`` if None. It is made when needed.
    """

    def __init__(self, root: str | Path | None = None) -> None:
        self.root = Path(root or os.environ.get("EBMLIB_STORE") or "build/store")

    def train_or_load(
        self,
        run: Run,
        *,
        device: torch.device | str = "cpu",
        observers: Mapping[str, Observer] | None = None,
        demonstrations: Demonstrations | None = None,
    ) -> Trained:
        """The trained run: loaded if it is in the store, else trained and kept.

        Args:
            run: what to train.
            device: where to train, and where the model is put.
            observers: see :func:`ebmlib.training.train`; their names are part of the key.
            demonstrations: the data, if not to be loaded from ``run.data`` (its digest is part of
                the key either way).

        Raises:
            StoreError: the store cannot be written. Said before training where it can be known;
                if room runs out at the end the result is kept in a temporary folder, and said.
            DivergenceError: see :func:`ebmlib.training.train`; nothing is entered.
        """
        demonstrations = demonstrations or run.demonstrations()
        data = demonstrations.digest()
        key = run.key(data, tuple(observers or ()))
        self._prepare()
        with filelock.FileLock(self.root / f"{key}.lock"):
            trained = self._try_load(key, run, demonstrations, device)
            if trained is not None:
                return trained
            work = self.root / f"{key}.work"
            work.mkdir(exist_ok=True)
            result = execute(
                run,
                demonstrations,
                device=device,
                observers=observers,
                checkpoint_path=work / "checkpoint.safetensors",
            )
            record = _provenance(run, key, data, device, result)
            self._enter(key, result, record)
            shutil.rmtree(work, ignore_errors=True)
        return Trained(run, result, demonstrations, record, loaded=False)

    def load(self, key: str, device: torch.device | str = "cpu") -> Trained:
        """The entry whose key starts with ``key``.

        Raises:
            InputError: none or several start so. StoreError: the entry is damaged.
        """
        matches = [known for known in self.keys() if known.startswith(key)] if key else []
        if len(matches) != 1:
            known = ", ".join(self.keys()) or "none"
            what = "No entry" if not matches else f"{len(matches)} entries"
            raise InputError(f"{what} of the store start with {key!r}; keys: {known}.")
        record, tensors = self._read(matches[0])
        run = Run.from_dict(record["run"])
        demonstrations = run.demonstrations()
        if demonstrations.digest() != record["data_digest"]:
            warnings.warn(
                f"The data of {run.data.source} have changed since entry {key} was trained.",
                stacklevel=2,
            )
        return Trained(run, _result(run, record, tensors, device), demonstrations, record, True)

    def keys(self) -> list[str]:
        """Keys of the entries, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(
            p.parent.name for p in self.root.glob("*/run.json") if "." not in p.parent.name
        )

    def records(self) -> list[dict[str, Any]]:
        """Provenance of every readable entry, without the history."""
        found = []
        for key in self.keys():
            try:
                record = json.loads((self.root / key / "run.json").read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue
            record.pop("history", None)
            found.append(record)
        return found

    def clear(self, key: str | None = None) -> list[str]:
        """Remove one entry (its full key or a unique start of it), or all; returns the keys."""
        chosen = self.keys()
        if key is not None:
            chosen = [known for known in chosen if known.startswith(key)]
            if len(chosen) != 1:
                raise InputError(
                    f"{len(chosen)} entries of the store start with {key!r}; name one."
                )
        for known in chosen:
            shutil.rmtree(self.root / known)
        if key is None:
            self._clear_remains()
        return chosen

    def _clear_remains(self) -> None:
        """Remove what kills and damage left, but nothing of a training that is under way."""
        for rest in [*self.root.glob("*.damaged.*"), *self.root.glob("*.new.*")]:
            shutil.rmtree(rest, ignore_errors=True)
        for path in self.root.glob("*.lock"):
            with suppress(filelock.Timeout), filelock.FileLock(path, timeout=0):
                shutil.rmtree(path.with_suffix(".work"), ignore_errors=True)
                path.unlink(missing_ok=True)

    def _prepare(self) -> None:
        """Make the store, and find out before hours of training whether it can be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as file:
                file.write(b"room")
        except OSError as error:
            raise StoreError(
                f"The store {self.root} cannot be written ({error.strerror}); name another place "
                "in EBMLIB_STORE or --store."
            ) from error

    def _try_load(
        self, key: str, run: Run, demonstrations: Demonstrations, device: torch.device | str
    ) -> Trained | None:
        entry = self.root / key
        if not entry.exists():
            return None
        try:
            record, tensors = self._read(key)
            result = _result(run, record, tensors, device)
        except StoreError as error:
            aside = self.root / f"{key}.damaged.{time.time_ns()}"
            warnings.warn(f"{error} Set aside as {aside.name}; training again.", stacklevel=3)
            os.replace(entry, aside)
            return None
        return Trained(run, result, demonstrations, record, loaded=True)

    def _read(self, key: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
        entry = self.root / key
        try:
            record = json.loads((entry / "run.json").read_text(encoding="utf-8"))
            weights = (entry / "model.safetensors").read_bytes()
            digests = record.pop("record_sha256"), record["weights_sha256"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"Entry {key} of the store is damaged ({error!r}).") from error
        if digests != (_digest_of_record(record), hashlib.sha256(weights).hexdigest()):
            raise StoreError(f"Entry {key} of the store is damaged (its content was changed).")
        tensors, _ = checkpoint.load_tensors(entry / "model.safetensors")
        return record, tensors

    def _enter(self, key: str, result: TrainingResult, record: dict[str, Any]) -> None:
        """Write an entry beside its place, then rename it there."""
        for place in (self.root, Path(tempfile.gettempdir())):
            temporary = place
            try:
                temporary = Path(tempfile.mkdtemp(prefix=f"{key}.new.", dir=place))
                temporary.chmod(0o755)  # mkdtemp makes it private; a store may be shared
                _write(temporary, result, record)
                if place == self.root:
                    os.replace(temporary, self.root / key)
                    return
            except (OSError, StoreError) as error:
                failure = error
                if temporary != place:
                    shutil.rmtree(temporary, ignore_errors=True)
                continue
            raise StoreError(
                f"The store {self.root} took no more ({failure}); the trained model is in "
                f"{temporary}: free some room and move it to {self.root / key}."
            )
        raise StoreError(
            f"Neither the store {self.root} nor {tempfile.gettempdir()} took the trained model "
            f"({failure}); free some room and call again, the last checkpoint is kept."
        )


def _write(folder: Path, result: TrainingResult, record: dict[str, Any]) -> None:
    tensors = checkpoint.with_prefix("model", result.model.state_dict())
    for epoch, weights in result.snapshots.items():
        tensors |= checkpoint.with_prefix(f"snapshots.{epoch}", weights)
    path = folder / "model.safetensors"
    checkpoint.save_tensors(path, tensors, {"key": record["key"]})
    record["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    whole = record | {"history": _writable(result.history)}
    text = json.dumps(whole | {"record_sha256": _digest_of_record(whole)}, indent=1)
    checkpoint.write_bytes(folder / "run.json", text.encode())


def _digest_of_record(record: Mapping[str, Any]) -> str:
    """SHA-256 of a record as it comes back from JSON, whatever its layout on disk."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _writable(history: dict[str, list[float]]) -> dict[str, list[float | None]]:
    """JSON has no NaN: epochs in which an observer was silent become null."""
    return {
        name: [value if value == value else None for value in column]
        for name, column in history.items()
    }


def _result(
    run: Run, record: dict[str, Any], tensors: dict[str, Tensor], device: torch.device | str
) -> TrainingResult:
    dims = record["dimensions"]
    model = EnergyModel(
        run.energy, dims["state"], dims["action"], generator=seeding.generator(run.seed, "weights")
    )
    try:
        model.load_state_dict(checkpoint.under_prefix("model", tensors))
    except RuntimeError as error:
        raise StoreError(f"Entry {record.get('key')} does not fit its configuration.") from error
    snapshots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in checkpoint.under_prefix("snapshots", tensors).items():
        epoch, weight = name.split(".", 1)
        snapshots.setdefault(int(epoch), {})[weight] = tensor
    history = {
        name: [float("nan") if value is None else value for value in column]
        for name, column in record["history"].items()
    }
    return TrainingResult(model.to(device).eval(), history, snapshots, record["seconds"])


def _provenance(
    run: Run, key: str, data: str, device: torch.device | str, result: TrainingResult
) -> dict[str, Any]:
    kind = torch.device(device).type
    return {
        "key": key,
        "run": run.to_dict(),
        "data_digest": data,
        "dimensions": {"state": result.model.state_dim, "action": result.model.action_dim},
        "training_revision": TRAINING_REVISION,
        "seconds": result.seconds,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "device": torch.cuda.get_device_name(device) if kind == "cuda" else "cpu",
        "compiled": kind == "cpu" and result.model.compiled and compiled.available(),
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
        "versions": {
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "ebmlib": _version(),
        },
    }


def _version() -> str:
    try:
        return metadata.version("ebmlib")
    except metadata.PackageNotFoundError:
        return "source"
