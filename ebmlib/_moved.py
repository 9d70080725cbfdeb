"""Where modules and functions of version 0.1 are now: old names work for one release and warn."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

MOVED = {
    "ebmlib.bundled": "ebmlib.demonstrations.bundled",
    "ebmlib.local_scale": "ebmlib.demonstrations.noise_scale",
    "ebmlib.polyline": "ebmlib.demonstrations.polyline",
    "ebmlib.preprocessing": "ebmlib.demonstrations.preprocessing",
    "ebmlib.recordings": "ebmlib.demonstrations.recordings",
    "ebmlib.svg": "ebmlib.demonstrations.svg",
    "ebmlib.energy": "ebmlib.models.energy",
    "ebmlib.score": "ebmlib.models.score",
    "ebmlib.compiled": "ebmlib.sampling.compiled",
    "ebmlib.sgld": "ebmlib.sampling.sgld",
    "ebmlib.starts": "ebmlib.sampling.starts",
    "ebmlib.checkpoint": "ebmlib.files",
    "ebmlib.presets": "ebmlib.training.presets",
    "ebmlib.run": "ebmlib.training.run",
    "ebmlib.store": "ebmlib.training.store",
    "ebmlib.policy": "ebmlib.policies",
    "ebmlib.demonstrated": "ebmlib.evaluation.data_density",
    "ebmlib.diagnostics": "ebmlib.evaluation.diagnostics",
    "ebmlib.exact": "ebmlib.evaluation.exact",
    "ebmlib.gaussian": "ebmlib.evaluation.gaussian",
    "ebmlib.gumbel": "ebmlib.evaluation.gumbel",
    "ebmlib.metrics": "ebmlib.evaluation.metrics",
    "ebmlib.transition": "ebmlib.evaluation.chain_law",
    "ebmlib.thesis": "thesis",
    "ebmlib.thesis.elsewhere": "thesis.search",
    "ebmlib.thesis.shown": "thesis.display",
    "ebmlib.thesis.terminal": "thesis.cli",
}
"""Old name -> new name; a module below an old name is found below the new one."""

RENAMED = {"ebmlib.evaluation.data_density.known": "has_known_density"}
"""Old name of a function, by its module's name today -> new name in the same module."""


def new_name(old: str) -> str | None:
    """The name that replaced ``old``, or None if it did not move."""
    head, below = old, ""
    while head not in MOVED:
        head, dot, last = head.rpartition(".")
        if not dot:
            return None
        below = f".{last}{below}"
    return MOVED[head] + below


def renamed(module: str) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module: finds its functions under their old names, and warns."""

    def find(name: str) -> Any:
        new = RENAMED.get(f"{module}.{name}")
        if new is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warnings.warn(
            f"{module}.{name} is now {new}; the old name is removed in the next release.",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(sys.modules[module], new)

    return find


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the module that took an old name's place, and warns."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if new_name(name) is None:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        new = str(new_name(spec.name))
        warnings.warn(
            f"{spec.name} is now {new}; the old name is removed in the next release.",
            DeprecationWarning,
            stacklevel=2,
        )
        module = importlib.import_module(new)
        self._saved = module.__spec__, module.__loader__, getattr(module, "__path__", None)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to execute; restore the attributes that the import system overwrote."""
        module.__spec__, module.__loader__, path = self._saved
        if path is None and hasattr(module, "__path__"):
            del module.__path__
        elif path is not None:
            module.__path__ = path


def install() -> None:
    """Make old names importable; this finder comes last, after every real module."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
