"""Train once, load ever after.

An entry is a folder named by the run's key (:mod:`ebmlib.training.keys`):

    <key>/model.safetensors     weights, of the model, its snapshots and what was trained beside it
    <key>/run.json              configuration, data digest, history, versions, device, time
    <key>.work/                 checkpoint of a training under way
    <key>.lock                  held while training, so that two processes train it once

An entry is written beside its place and renamed. Its weights and its record carry digests; one that
does not match is reported, set aside as ``<key>.damaged`` and trained again. Entries that version
0.1 made are found under their old keys. Loading an entry needs neither the drawing nor a place to
write.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import re
import secrets
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import torch
from torch import Tensor

from ebmlib import checks, files, seeding
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.errors import InputError, StoreError
from ebmlib.models.energy import EnergyModel
from ebmlib.sampling import compiled
from ebmlib.sampling.inference import Inference
from ebmlib.training import checkpoint, keys
from ebmlib.training.loop import TRAINING_REVISION, Observer, TrainingResult
from ebmlib.training.run import Run, execute, parts_of


@dataclass(frozen=True)
class Trained:
    """A trained run, from the store or fresh.

    Attributes:
        run: its configuration.
        result: model, history and snapshots.
        record: provenance (key, data digest, versions, device, time, seconds).
        loaded: whether it came from the store.
        given: the demonstrations it was trained on, if they are in memory.
    """

    run: Run
    result: TrainingResult
    record: Mapping[str, Any]
    loaded: bool
    given: Demonstrations | None = None

    @property
    def model(self) -> EnergyModel:
        """The trained model."""
        return self.result.model

    @property
    def history(self) -> dict[str, list[float]]:
        """Quantities over epochs, see :class:`~ebmlib.training.loop.TrainingResult`."""
        return self.result.history

    @property
    def inference(self) -> Inference:
        """How the run draws actions, with its noise level in the units of the action."""
        scale = self.record.get("action_scale")
        ask = self.demonstrations.action_scale if scale is None else lambda: float(scale)
        return self.run.in_actions(ask).effective_inference

    @cached_property
    def demonstrations(self) -> Demonstrations:
        """What it was trained on; read again if not in memory, with a warning if changed.

        Raises:
            InputError: the drawing is no longer where it was.
        """
        if self.given is not None:
            return self.given
        found = self.run.demonstrations()
        if found.digest() != self.record["data_digest"]:
            warnings.warn(
                f"The data of {self.run.data.source} have changed since entry "
                f"{self.record['key']} was trained.",
                stacklevel=3,
            )
        return found


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
            observers: see :func:`ebmlib.training.loop.train`; their names and their code are part
                of the key.
            demonstrations: the data, if not to be loaded from ``run.data`` (its digest is part of
                the key either way).

        Raises:
            StoreError: the store cannot be written, or is another user's. Raised before training
                where possible; if room runs out at the end, the result is kept in a folder that the
                message names.
            DivergenceError: see :func:`ebmlib.training.loop.train`; nothing is entered.
            InputError: an observer that no key can distinguish from others.
        """
        demonstrations = demonstrations or run.demonstrations()
        data = demonstrations.digest()
        key = keys.key(run, data, observers)
        old = None if observers else keys.key_of_version_0_1(run, data)
        # an entry loads from a full or read-only store too, and while another process trains
        for name in (key, old):
            if name is not None and (
                trained := self._load_undamaged(name, run, demonstrations, device)
            ):
                return trained
        self._prepare()
        with self._locked(key):
            trained = self._try_load(key, run, demonstrations, device)
            if trained is not None:
                return trained
            work = self.root / f"{key}.work"
            with _as_store_error(f"The store {self.root} cannot be written", files.IN_STORE):
                work.mkdir(exist_ok=True)
            result = execute(
                run,
                demonstrations,
                device=device,
                observers=observers,
                checkpoint_path=work / _CHECKPOINT,
            )
            record = _provenance(run, key, data, device, result)
            scale = demonstrations.action_scale()
            record["action_scale"] = scale if math.isfinite(scale) else None
            self._enter(key, result, record)
            shutil.rmtree(work, ignore_errors=True)
        return Trained(run, result, record, loaded=False, given=demonstrations)

    def load(self, key: str, device: torch.device | str = "cpu") -> Trained:
        """The entry whose key starts with ``key``.

        Raises:
            InputError: no key or several start with it.
            StoreError: the entry is damaged, or was made by a version that knows other classes.
        """
        entries = self.keys()
        matches = [name for name in entries if name.startswith(key)] if key else []
        if len(matches) != 1:
            raise InputError(
                f"{key!r} must be the start of one key of the store, got {len(matches)} matches; "
                f"keys: {', '.join(entries) or 'none'}."
            )
        record, tensors = self._read(matches[0])
        run = _run_of(record)
        return Trained(run, _result(run, record, tensors, device), record, loaded=True)

    def keys(self) -> list[str]:
        """Keys of the entries, sorted.

        Raises:
            StoreError: the folder cannot be read.
        """
        return [name for name in self._folders() if _KEY.fullmatch(name)]

    def _folders(self) -> list[str]:
        """Folders of the store that have a record like an entry, without remains of kills."""
        try:
            names = sorted(os.listdir(self.root)) if self.root.exists() else []
        except OSError as error:
            raise StoreError(
                f"The store {self.root} cannot be read ({error.strerror}); name another place in "
                "EBMLIB_STORE or --store."
            ) from error
        return [name for name in names if "." not in name and _has_record(self.root / name)]

    def records(self) -> list[dict[str, Any]]:
        """Provenance of every readable entry, without the history.

        An entry that cannot be read hides no other: a warning names it and says what to do.
        """
        found = []
        for key in self._folders():
            if not _KEY.fullmatch(key):
                warnings.warn(
                    f"{self.root / key} is not an entry of the store but has a run.json; move it "
                    "elsewhere.",
                    stacklevel=2,
                )
                continue
            try:
                record = _record(self.root / key)
                _run_of(record)
            except StoreError as error:
                if _has_record(self.root / key):  # else it was cleared a moment ago
                    warnings.warn(str(error), stacklevel=2)
                continue
            record.pop("history", None)
            found.append(record)
        return found

    def clear(self, key: str | None = None) -> list[str]:
        """Remove one entry (its full key or a unique start of it), or all; returns the keys.

        An entry is removed in one step, so that a process that loads it meanwhile finds it whole or
        not at all. Trainings under way and folders that are not entries are left alone.

        Raises:
            InputError: no key or several start with it.
            StoreError: some could not be removed; the others were.
        """
        chosen = self.keys()
        if key is not None:
            chosen = [name for name in chosen if name.startswith(key)]
            if len(chosen) != 1:
                raise InputError(
                    f"{key!r} must be the start of one key of the store, got {len(chosen)} "
                    "matches; store list prints the keys."
                )
        removed, failed = [], []
        for name in chosen:
            aside = self.root / f"{name}.cleared.{secrets.token_hex(4)}"
            try:
                os.replace(self.root / name, aside)
                shutil.rmtree(aside)
            except FileNotFoundError:  # another process cleared it a moment ago
                continue
            except OSError as error:
                failed.append(f"{name} ({error.strerror})")
            else:
                removed.append(name)
        if key is None:
            self._clear_remains()
        if failed:
            raise StoreError(
                f"{len(failed)} entries of the store {self.root} could not be removed: "
                f"{', '.join(failed)}; ask their owner."
            )
        return removed

    def _clear_remains(self) -> None:
        """Remove the remains of kills and damage, but nothing of a training that is under way."""
        for kind in ("damaged", "cleared"):
            for rest in self.root.glob(f"*.{kind}.*"):
                shutil.rmtree(rest, ignore_errors=True)
        for key in {path.name.partition(".")[0] for path in self.root.glob("*.*")}:
            if not _KEY.fullmatch(key):
                continue
            path = self.root / f"{key}.lock"
            with suppress(filelock.Timeout, OSError), filelock.FileLock(path, timeout=0):
                for rest in [self.root / f"{key}.work", *self.root.glob(f"{key}.new.*")]:
                    shutil.rmtree(rest, ignore_errors=True)
                path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, key: str) -> Iterator[None]:
        """Hold the lock of a key, which any user of a shared store may take."""
        path = self.root / f"{key}.lock"
        lock = filelock.FileLock(path, mode=_MODE)
        with _as_store_error(
            f"The lock {path} cannot be taken", "remove it if no training is under way, or name "
            "another place in EBMLIB_STORE or --store",
        ):  # fmt: skip
            lock.acquire()
        try:
            with suppress(OSError):
                path.chmod(_MODE)  # also where the first user's umask forbids it
            yield
        finally:
            lock.release()

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

    def _load_undamaged(
        self, key: str, run: Run, demonstrations: Demonstrations, device: torch.device | str
    ) -> Trained | None:
        """The entry if it exists and is undamaged; changes nothing."""
        if not _has_record(self.root / key):
            return None
        try:
            record, tensors = self._read(key)
            result = _result(run, record, tensors, device)
        except StoreError:
            return None
        return Trained(run, result, record, loaded=True, given=demonstrations)

    def _try_load(
        self, key: str, run: Run, demonstrations: Demonstrations, device: torch.device | str
    ) -> Trained | None:
        entry = self.root / key
        if not os.path.lexists(entry):
            return None
        try:
            record, tensors = self._read(key)
            result = _result(run, record, tensors, device)
        except StoreError as error:
            if isinstance(error.__cause__, PermissionError):
                raise  # it is another user's, and may be whole
            aside = self.root / f"{key}.damaged.{time.time_ns()}"
            what = f"The damaged entry {entry} cannot be set aside"
            remedy = "ask its owner, or name another place in EBMLIB_STORE or --store"
            with _as_store_error(what, remedy):
                os.replace(entry, aside)
            warnings.warn(f"{error} Set aside as {aside.name}; training again.", stacklevel=3)
            return None
        return Trained(run, result, record, loaded=True, given=demonstrations)

    def _read(self, key: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
        entry = self.root / key
        record = _record(entry)
        try:
            weights = (entry / "model.safetensors").read_bytes()
        except OSError as error:
            raise _damaged(entry, error) from error
        if record["weights_sha256"] != hashlib.sha256(weights).hexdigest():
            raise _damaged(entry, "its weights were changed")
        # files of version 0.1 have the digest above alone
        tensors, weights_record = files.load_tensors(
            entry / "model.safetensors", sealed=False, remedy=_remedy(entry)
        )
        if (owner := weights_record.get("key", key)) != key:
            raise _damaged(entry, f"its weights belong to entry {owner}")
        return record, tensors

    def _enter(self, key: str, result: TrainingResult, record: dict[str, Any]) -> None:
        """Write an entry beside its place, then rename it there."""
        for place in (self.root, Path(tempfile.gettempdir())):
            temporary = place
            try:
                # not mkdtemp, whose folders are private: a store may be shared
                temporary = place / f"{key}.new.{secrets.token_hex(8)}"
                temporary.mkdir()
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
                f"The store {self.root} cannot be written ({failure}); the trained model is in "
                f"{temporary}: free some room and move it to {self.root / key}."
            )
        kept = ", the last checkpoint is kept"
        raise StoreError(
            f"Neither the store {self.root} nor {tempfile.gettempdir()} can hold the trained model "
            f"({failure}); free some room and call again"
            f"{kept if (self.root / f'{key}.work' / _CHECKPOINT).exists() else ''}."
        )


def _write(folder: Path, result: TrainingResult, record: dict[str, Any]) -> None:
    tensors = files.with_prefix("model", result.model.state_dict())
    tensors |= files.with_prefix("parts", result.parts.state_dict())
    for epoch, weights in result.snapshots.items():
        tensors |= files.with_prefix(f"snapshots.{epoch}", weights)
    path = folder / "model.safetensors"
    files.save_tensors(path, tensors, {"key": record["key"]}, files.IN_STORE)
    record["weights_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    whole = record | {"history": _without_nan(result.history)}
    text = json.dumps(whole | {"record_sha256": _digest_of_record(whole)}, indent=1)
    files.write_bytes(folder / "run.json", text.encode(), files.IN_STORE)


_FIELDS: dict[str, Any] = {
    "key": str,
    "run": dict,
    "data_digest": str,
    "dimensions": dict,
    "seconds": (int, float),
    "finished": str,
    "history": dict,
    "weights_sha256": str,
}
"""What a record must hold, and of which type."""

_MODE = 0o666  # of lock files, which hold nothing: a store may be shared
_KEY = re.compile("[0-9a-f]{20}")
_CHECKPOINT = "checkpoint.safetensors"


@contextmanager
def _as_store_error(what: str, remedy: str) -> Iterator[None]:
    """Turn an error of the system into a StoreError: what failed, and what to do."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(f"{what} ({error.strerror or error}); {remedy}.") from error


def _has_record(entry: Path) -> bool:
    """Whether there is a folder with a record, or one into which we may not look."""
    hidden = os.path.isdir(entry) and not os.access(entry, os.X_OK)
    return hidden or os.path.isfile(entry / "run.json")


def _remedy(entry: Path) -> str:
    return f"remove it with python -m ebmlib store clear {entry.name}"


def _damaged(entry: Path, why: str | Exception) -> StoreError:
    if isinstance(why, PermissionError):
        return StoreError(
            f"You may not read entry {entry.name} of the store; ask the owner of {entry} to allow "
            "it, or name another place in EBMLIB_STORE or --store."
        )
    why = why if isinstance(why, str) else checks.short(why)
    return StoreError(f"Entry {entry.name} of the store is damaged ({why}); {_remedy(entry)}.")


def _record(entry: Path) -> dict[str, Any]:
    """The record of an entry, its digest, fields and name checked.

    Raises:
        StoreError: it cannot be read or is not whole; the message names the entry and the remedy.
    """
    try:
        record = json.loads((entry / "run.json").read_text(encoding="utf-8"))
        digest = record.pop("record_sha256")
        for name, kind in _FIELDS.items():
            if not isinstance(record[name], kind):
                raise TypeError(f"{name} is {record[name]!r}")
        sizes = record["dimensions"]
        if not all(type(sizes[side]) is int and sizes[side] > 0 for side in ("state", "action")):
            raise TypeError(f"dimensions are {sizes!r}")
        if not all(isinstance(column, list) for column in record["history"].values()):
            raise TypeError("its history holds no lists")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(entry, error) from error
    if digest != _digest_of_record(record):
        raise _damaged(entry, "its record was changed")
    if record["key"] != entry.name:
        raise _damaged(entry, f"its record belongs to entry {checks.short(record['key'])}")
    return record


def _run_of(record: Mapping[str, Any]) -> Run:
    """The run of a record.

    Raises:
        StoreError: it names classes or fields that this version does not know.
    """
    try:
        return Run.from_dict(record["run"])
    except InputError as error:
        raise StoreError(
            f"Entry {record['key']} of the store was made by another version "
            f"({str(error).rstrip('.')}); load it with that version, or remove it with "
            f"python -m ebmlib store clear {record['key']}."
        ) from error


def _digest_of_record(record: Mapping[str, Any]) -> str:
    """SHA-256 of a record as it comes back from JSON; its layout on disk does not matter."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _without_nan(history: dict[str, list[float]]) -> dict[str, list[float | None]]:
    """JSON has no NaN: epochs in which an observer reported nothing become null."""
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
        model.load_state_dict(files.under_prefix("model", tensors))
        parts = parts_of(run, model)
        parts.load_state_dict(files.under_prefix("parts", tensors))
        snapshots = checkpoint.by_number(files.under_prefix("snapshots", tensors))
        history = {
            name: [float("nan") if value is None else float(value) for value in column]
            for name, column in record["history"].items()
        }
    except (RuntimeError, ValueError, TypeError) as error:
        raise StoreError(
            f"Entry {record['key']} of the store does not fit its configuration; remove it with "
            f"python -m ebmlib store clear {record['key']}."
        ) from error
    return TrainingResult(
        model.to(device).eval(),
        history,
        snapshots,
        record["seconds"],
        parts.to(device).eval(),
        bool(record.get("compiled")),
    )


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
        "compiled": kind == "cpu" and result.fused and compiled.available(),
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
