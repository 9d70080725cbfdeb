"""Argument checks shared by the configuration dataclasses: every error is one sentence."""

import sys
from collections.abc import Collection
from typing import Any

from ebmlib.errors import InputError

MOST = 10**7
"""Largest batch, population, grid and chain: more would not fit in memory or never end."""

MOST_UPDATES = 10**9
"""Largest number of epochs and of steps of a trajectory, each of which is short."""

LARGEST_SEED = 2**63 - 1
"""Largest seed: seeds are stored with 64 bits."""

LARGEST = 3.4e38
"""Largest number: models compute in float32."""

LARGEST_SQUARED = 1.8e19
"""Largest number that is squared, such as a noise level."""


def plain(value: Any) -> Any:
    """``value`` with numbers of Python in place of numbers of NumPy and tensors of one number.

    Everything with an empty shape is replaced by its ``item()``, also inside tuples and lists, so
    that a configuration holds only what JSON and its key can represent.
    """
    if type(value) in (tuple, list):
        return type(value)(plain(inner) for inner in value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    largest = sys.float_info.max  # compared, not converted: a whole number may be too large
    return -largest <= value <= largest


def positive(name: str, value: Any, most: float = LARGEST) -> float:
    """Return ``value`` if it is a finite number above zero, at most ``most``, else raise.

    Raises:
        InputError: it is not.
    """
    value = plain(value)
    if not _is_number(value) or value <= 0:
        raise InputError(f"{name} must be a finite number above 0, got {short(value)}.")
    return float(_at_most(name, value, most))


def non_negative(name: str, value: Any, most: float = LARGEST) -> float:
    """Return ``value`` if it is a finite number of at least zero, at most ``most``, else raise."""
    value = plain(value)
    if not _is_number(value) or value < 0:
        raise InputError(f"{name} must be a finite number of at least 0, got {short(value)}.")
    return float(_at_most(name, value, most))


def count(name: str, value: Any, least: int = 1, most: int = MOST) -> int:
    """Return ``value`` if it is a whole number from ``least`` to ``most``, else raise."""
    value = plain(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(f"{name} must be a whole number of at least {least}, got {short(value)}.")
    return int(_at_most(name, value, most))


def _at_most(name: str, value: Any, most: float) -> Any:
    if value > most:
        raise InputError(
            f"{name} must be at most {most if isinstance(most, int) else format(most, 'g')}, as "
            f"more than that cannot be computed, got {short(value)}."
        )
    return value


def fraction(name: str, value: Any) -> float:
    """Return ``value`` if it lies in [0, 1], else raise."""
    value = plain(value)
    if not _is_number(value) or not 0 <= value <= 1:
        raise InputError(f"{name} must be a number from 0 to 1, got {short(value)}.")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """Return ``value`` if it is True or False, else raise."""
    value = plain(value)
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False, got {short(value)}.")
    return value


def short(value: Any) -> str:
    """``value`` as one line of a message; long text is cut."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # a whole number of more digits than Python writes
        text = f"a {type(value).__name__} that is too long to be written"
    return text if len(text) <= 100 else f"{text[:97]}..."


def instance(name: str, value: Any, kind: type, example: str) -> None:
    """Raise unless ``value`` is an instance of ``kind``; ``example`` says how to make one."""
    if isinstance(value, type) or not isinstance(value, kind):
        raise InputError(f"{name} must be an object such as {example}, got {short(value)}.")


def one_of(name: str, value: Any, known: Collection[str]) -> str:
    """Return ``value`` if it is one of the ``known`` names, else raise and list them."""
    if not isinstance(value, str) or value not in known:
        raise InputError(f"{name} must be one of {', '.join(sorted(known))}, got {short(value)}.")
    return str(value)
