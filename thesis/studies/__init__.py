"""What is measured, one file per subject; a file lists its studies in ``STUDIES``."""

import importlib
import pkgutil

_MODULES = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]

STUDIES = {study.name: study for module in _MODULES for study in module.STUDIES}
"""Name -> study."""
