"""Configurations as plain data: nested frozen dataclasses to JSON and back. Standard library only.

A configuration class is registered under a name that stays the same when the class moves or is
renamed (:func:`register`). What identifies a configuration (:func:`identity`) leaves out every
field that equals its default, so that a field which is added later changes no key of what was
trained before. A class whose meaning changes raises its ``revision``, which is part of the
identity.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ebmlib import checks
from ebmlib.errors import InputError

_CLASSES: dict[str, type] = {}
_NAMES: dict[type, str] = {}
_Class = TypeVar("_Class", bound=type)


def register(name: str) -> Callable[[_Class], _Class]:
    """Register the decorated dataclass under ``name``, for ever.

    Raises:
        InputError: the name belongs to another class.
    """

    def decorate(kind: _Class) -> _Class:
        other = _CLASSES.get(name)
        if other is not None and other.__qualname__ != kind.__qualname__:
            raise InputError(
                f"Two configuration classes are called {name!r}: {other.__qualname__} and "
                f"{kind.__qualname__}; give one another name."
            )
        _CLASSES[name] = kind
        _NAMES[kind] = name
        return plain_numbers(kind)

    return decorate


def plain_numbers(kind: _Class) -> _Class:
    """Let a dataclass turn NumPy's numbers into Python's before it checks and keeps them."""
    made = kind.__init__  # type: ignore[misc]

    @functools.wraps(made)
    def init(self: Any, *values: Any, **named: Any) -> None:
        made(self, *map(checks.plain, values), **{n: checks.plain(v) for n, v in named.items()})

    kind.__init__ = init  # type: ignore[misc]
    return kind


def registered() -> dict[str, type]:
    """All registered classes by name (those whose modules were imported)."""
    return dict(sorted(_CLASSES.items()))


def name_of(kind: type) -> str:
    """The name a class is registered under; its own name if it is not registered."""
    return _NAMES.get(kind, kind.__name__)


def revision_of(kind: type) -> int:
    """The revision of a class: 1 unless it says otherwise."""
    return int(getattr(kind, "revision", 1))


def to_dict(config: Any) -> Any:
    """A configuration as JSON-ready data; every dataclass carries its registered name in ``is``."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        fields = {f.name: to_dict(getattr(config, f.name)) for f in dataclasses.fields(config)}
        return {"is": name_of(type(config)), **fields}
    if isinstance(config, (list, tuple)):
        return [to_dict(value) for value in config]
    return config


def identity(config: Any) -> Any:
    """What identifies a configuration, as JSON-ready data.

    Like :func:`to_dict`, but without the fields that equal their default, and with the revision of
    every class that has one above 1.
    """
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        kind = type(config)
        described: dict[str, Any] = {"is": name_of(kind)}
        if revision_of(kind) > 1:
            described["revision"] = revision_of(kind)
        for field in dataclasses.fields(config):
            value = getattr(config, field.name)
            if not _is_default(field, value):
                described[field.name] = identity(value)
        return described
    if isinstance(config, (list, tuple)):
        return [identity(value) for value in config]
    return config


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The default of a dataclass field, or :data:`dataclasses.MISSING`."""
    if field.default is not dataclasses.MISSING:
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return dataclasses.MISSING


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    default = default_of(field)
    return default is not dataclasses.MISSING and type(default) is type(value) and default == value


def from_dict(data: Any) -> Any:
    """The configuration that :func:`to_dict` or :func:`identity` described.

    Raises:
        InputError: a class or field that is not known, or a value that its class refuses.
    """
    if isinstance(data, Mapping):
        name = data.get("is")
        if not isinstance(name, str) or name not in _CLASSES:
            raise InputError(
                f"No configuration class is called {name!r}; known: {', '.join(sorted(_CLASSES))}."
            )
        fields = {
            key: from_dict(value) for key, value in data.items() if key not in ("is", "revision")
        }
        try:
            return _CLASSES[name](**fields)
        except TypeError as error:
            raise InputError(f"{name} cannot be made from {sorted(fields)}: {error}.") from error
    return data


def digest(data: Any) -> str:
    """SHA-256 (hex) of JSON-ready data, whatever the order of its keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
