"""The thesis's figures, one file per part of the thesis."""

import importlib
import pkgutil

from ebmlib.errors import InputError
from thesis.figure import REGISTRY, ThesisFigure

for _module in pkgutil.iter_modules(__path__):  # a file registers what it has when it is imported
    importlib.import_module(f"{__name__}.{_module.name}")


def figures() -> dict[str, ThesisFigure]:
    """All figures by number or name."""
    return dict(REGISTRY)


def get(name: str) -> ThesisFigure:
    """The figure of a number or name.

    Raises:
        InputError: there is none; the known ones are listed.
    """
    if name not in REGISTRY:
        raise InputError(f"No figure is called {name!r}; known: {', '.join(REGISTRY)}.")
    return REGISTRY[name]
