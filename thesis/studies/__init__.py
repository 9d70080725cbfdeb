"""What is measured, one file per subject; a file lists its studies in ``STUDIES``."""

import importlib
import pkgutil

from ebmlib.errors import InputError
from thesis.study import Study

_MODULES = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]

STUDIES: dict[str, Study] = {study.name: study for each in _MODULES for study in each.STUDIES}
"""Name -> study."""


def studies() -> dict[str, Study]:
    """All studies by name."""
    return dict(STUDIES)


def study(name: str) -> Study:
    """The study of a name.

    Raises:
        InputError: there is none; the known ones are listed.
    """
    if name not in STUDIES:
        raise InputError(f"No study is called {name!r}; known: {', '.join(STUDIES)}.")
    return STUDIES[name]
