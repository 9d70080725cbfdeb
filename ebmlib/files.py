"""Tensors and a readable record in one file; a killed write leaves the old file or the new one."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ebmlib.errors import StoreError

IN_STORE = "free some room, or name another place in EBMLIB_STORE"
"""What to do about a file of the store that cannot be written."""


def write_bytes(
    path: Path, content: bytes, remedy: str = "free some room, or name another file"
) -> None:
    """Replace ``path`` by ``content`` in one step.

    A link is followed, so that the file it points to is replaced. An existing file keeps its
    permissions, a new one gets those that the umask leaves. A pipe or a terminal is written to
    directly.

    Args:
        path: the file.
        content: the whole content.
        remedy: what to do if it cannot be written, as the end of a sentence.

    Raises:
        StoreError: no room, no permission; what stood there before is untouched.
    """
    try:
        place = Path(os.path.realpath(path))
        if place.exists() and not place.is_file() and not place.is_dir():
            place.write_bytes(content)
            return
        # a name of its own: another process, user or machine may write the same file
        temporary = place.with_name(f".{secrets.token_hex(8)}.part")
        try:
            with open(temporary, "xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if place.exists():
                shutil.copymode(place, temporary)
            os.replace(temporary, place)
        finally:
            temporary.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"Cannot write {path} ({reason}); {remedy}.") from error


def save_tensors(
    path: Path,
    tensors: Mapping[str, Tensor],
    record: Mapping[str, Any],
    remedy: str = "free some room, or name another file",
) -> None:
    """Write tensors with a JSON record as one safetensors file (no pickle), atomically.

    The file carries a digest of its whole content: safetensors itself does not notice a flipped
    bit in a weight.

    Raises:
        StoreError: it cannot be written; ``remedy`` says what to do.
    """
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    text = json.dumps(record)
    metadata = {"record": text, "sha256": _digest(plain, text)}
    write_bytes(path, save(plain, metadata=metadata), remedy)


def _digest(tensors: Mapping[str, Tensor], record: str) -> str:
    """SHA-256 of names, types, shapes and contents, and of the record's text."""
    sha256 = hashlib.sha256(record.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        sha256.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha256.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha256.hexdigest()


def load_tensors(
    path: Path, *, sealed: bool = True, remedy: str = "it must be made again"
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`save_tensors` wrote.

    Args:
        path: the file.
        sealed: refuse a file without a digest, as version 0.1 wrote them.
        remedy: what to do if it cannot be read, as the end of a sentence.

    Raises:
        StoreError: the file is missing, cut short, changed or not written by ebmlib.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}
            metadata = file.metadata()
            record = json.loads(metadata["record"])
        if sealed or "sha256" in metadata:
            if metadata.get("sha256") != _digest(tensors, metadata["record"]):
                raise ValueError("its content was changed")
        if not isinstance(record, dict):
            raise ValueError("its record is not a dictionary")
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise StoreError(f"{path} is damaged or missing ({reason}); {remedy}.") from error
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
