"""Where modules of version 0.1 are now: their old names work for one release, with a warning."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

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


def new_name(old: str) -> str | None:
    """The name that replaced ``old``, or None if it did not move."""
    head, below = old, ""
    while head not in MOVED:
        head, dot, last = head.rpartition(".")
        if not dot:
            return None
        below = f".{last}{below}"
    return MOVED[head] + below


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
            f"{spec.name} is now {new}; the old name goes with the next release.",
            DeprecationWarning,
            stacklevel=2,
        )
        module = importlib.import_module(new)
        self._kept = module.__spec__, module.__loader__, getattr(module, "__path__", None)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to execute; put back what the import system wrote into the module."""
        module.__spec__, module.__loader__, path = self._kept
        if path is None and hasattr(module, "__path__"):
            del module.__path__
        elif path is not None:
            module.__path__ = path


def install() -> None:
    """Let old names be imported (asked last, after every real module)."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
