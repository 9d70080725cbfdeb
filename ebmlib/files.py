"""Tensors and a readable record in one file, written so that a kill leaves the old or the new."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ebmlib.errors import StoreError


def write_bytes(path: Path, content: bytes) -> None:
    """Replace ``path`` by ``content`` in one step.

    Raises:
        StoreError: no room, no permission; what stood there before is untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StoreError(
            f"Cannot write {path} ({error.strerror}); free some room, or name another place in "
            "EBMLIB_STORE."
        ) from error


def save_tensors(path: Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write tensors with a JSON record as one safetensors file (no pickle), atomically.

    The file carries a digest of all that it holds: a flipped bit in a weight is no damage that
    safetensors itself would notice.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(record)
    metadata = {"record": text, "sha256": _digest(plain, text)}
    write_bytes(path, save(plain, metadata=metadata))


def _digest(tensors: Mapping[str, Tensor], record: str) -> str:
    """SHA-256 of names, types, shapes and contents, and of the record's text."""
    sha256 = hashlib.sha256(record.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        sha256.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha256.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha256.hexdigest()


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_tensors` wrote.

    Raises:
        StoreError: the file is not there, cut short or not one of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}
            metadata = file.metadata()
            record = json.loads(metadata["record"])
        if "sha256" in metadata and metadata["sha256"] != _digest(tensors, metadata["record"]):
            raise ValueError("its content was changed")
        if not isinstance(record, dict):
            raise ValueError("its record is no dictionary")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StoreError(
            f"{path} is damaged or missing ({error}); it must be made again."
        ) from error
    return tensors, record


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors with ``prefix.`` before every name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def under_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names start with ``prefix.``, without it."""
    return {
        name.removeprefix(f"{prefix}."): tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{prefix}.")
    }
