"""Configurations as plain data: nested frozen dataclasses to JSON and back."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ebmlib.errors import InputError


def to_dict(config: Any) -> Any:
    """A configuration as JSON-ready data; every dataclass carries its class name in ``is``."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        fields = {f.name: to_dict(getattr(config, f.name)) for f in dataclasses.fields(config)}
        return {"is": type(config).__name__, **fields}
    if isinstance(config, (list, tuple)):
        return [to_dict(value) for value in config]
    return config


def from_dict(data: Any, classes: Iterable[type]) -> Any:
    """The configuration that :func:`to_dict` described, built from the known ``classes``.

    Raises:
        InputError: a class or field that is not known.
    """
    known = {kind.__name__: kind for kind in classes}

    def build(value: Any) -> Any:
        if isinstance(value, Mapping):
            name = value.get("is")
            if name not in known:
                raise InputError(f"No configuration class is called {name!r}.")
            fields = {key: build(inner) for key, inner in value.items() if key != "is"}
            try:
                return known[name](**fields)
            except TypeError as error:
                raise InputError(
                    f"{name} cannot be made from {sorted(fields)}: {error}."
                ) from error
        return value

    return build(data)


def digest(data: Any) -> str:
    """SHA-256 (hex) of JSON-ready data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
