"""The claims and the searches for them, one file per part of the thesis."""

import importlib
import pkgutil
from collections.abc import Iterator

from ebmlib.errors import InputError
from thesis import claim, search

for _module in pkgutil.iter_modules(__path__):  # a file registers what it has when it is imported
    importlib.import_module(f"{__name__}.{_module.name}")


def claims(family: str | None = None) -> Iterator[claim.Claim]:
    """The claims in the order of their identifiers: of one family (its letter), or all."""
    known = (claim.REGISTRY[id] for id in sorted(claim.REGISTRY))
    return (each for each in known if family in (None, each.family))


def get(id: str) -> claim.Claim:
    """The claim of an identifier.

    Raises:
        InputError: there is none; the known ones are listed.
    """
    known = claim.REGISTRY
    if id not in known:
        raise InputError(f"No claim is called {id!r}; known: {', '.join(sorted(known))}.")
    return known[id]


def searches() -> dict[str, search.Search]:
    """All searches by the claim's identifier."""
    return dict(sorted(search.REGISTRY.items()))
