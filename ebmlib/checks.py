"""Argument checks shared by the configuration dataclasses: every refusal is one sentence."""

import sys
from collections.abc import Collection
from typing import Any

from ebmlib.errors import InputError


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    largest = sys.float_info.max  # compared, not converted: a whole number may be too large
    return -largest <= value <= largest


def positive(name: str, value: Any) -> float:
    """Return ``value`` if it is a finite number above zero, else raise :class:`InputError`."""
    if not _is_number(value) or value <= 0:
        raise InputError(f"{name} must be a finite number above 0, got {value!r}.")
    return float(value)


def non_negative(name: str, value: Any) -> float:
    """Return ``value`` if it is a finite number of at least zero, else raise."""
    if not _is_number(value) or value < 0:
        raise InputError(f"{name} must be a finite number of at least 0, got {value!r}.")
    return float(value)


def count(name: str, value: Any, least: int = 1) -> int:
    """Return ``value`` if it is a whole number of at least ``least``, else raise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {value!r}.")
    return value


def fraction(name: str, value: Any) -> float:
    """Return ``value`` if it lies in [0, 1], else raise."""
    if not _is_number(value) or not 0 <= value <= 1:
        raise InputError(f"{name} must be a number from 0 to 1, got {value!r}.")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """Return ``value`` if it is True or False, else raise."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, got {value!r}.")
    return value


def instance(name: str, value: Any, kind: type, example: str) -> None:
    """Raise unless ``value`` is an instance of ``kind``; ``example`` says how to make one."""
    if isinstance(value, type) or not isinstance(value, kind):
        raise InputError(f"{name} must be an object such as {example}, got {value!r}.")


def one_of(name: str, value: Any, known: Collection[str]) -> str:
    """Return ``value`` if it is one of the ``known`` names, else raise and list them."""
    if value not in known:
        raise InputError(f"{name} must be one of {', '.join(sorted(known))}, got {value!r}.")
    return str(value)
