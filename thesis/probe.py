"""Measure small rows of studies in the checkout on the path, to the last bit.

Run as a script by :mod:`thesis.carry`, in a process of its own, on checkouts of any age:

    python -P probe.py TREE FOLDER STUDY...

writes ``FOLDER/STUDY.json`` for each, whole or not at all. A number is written as ``float.hex``
writes it, before it is rounded for a results file. It uses only what every version of the thesis
has, and finds it under its old and its new name.
"""

import importlib
import json
import os
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEED = 0
"""The seed whose rows are measured; trainings and measures are the smoke profile's."""


def main(tree: str, folder: str, names: list[str]) -> None:
    """Measure the rows of some studies of a checkout."""
    import torch

    from ebmlib import Store

    torch.set_num_threads(1)
    package = "ebmlib.thesis" if (Path(tree) / "ebmlib" / "thesis").is_dir() else "thesis"
    find = _find(package)
    there = Path(str(sys.modules[find("Study").__module__].__file__))
    assert there.is_relative_to(Path(tree).resolve()), f"{there} was imported, not {tree}"
    store = Store(Path(folder) / "store")
    for name in names:
        found = measure(find("study")(name), store, find)
        path = Path(folder) / f"{name}.json"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(found), encoding="utf-8")
        os.replace(part, path)


def _find(package: str) -> Any:
    """A function that finds a name in the thesis, whichever module has it."""
    modules = [f"{package}.{name}" for name in ("study", "studies", "conditions", "runs")]

    def find(name: str) -> Any:
        for module in modules:
            try:
                return getattr(importlib.import_module(module), name)
            except (ModuleNotFoundError, AttributeError):
                continue
        raise SystemExit(f"No module of {modules} has {name}.")

    return find


def measure(study: Any, store: Any, find: Any) -> dict[str, Any]:
    """Rows, configurations and digest of a study.

    Returns:
        ``rows``: condition -> quantity -> numbers; ``configurations``: condition, measured or
        loaded -> its run; ``digest``: the study's, of a full measurement.
    """
    condition, tiny, cell = find("condition"), find("tiny"), find("Cell")
    configurations: dict[str, Any] = {}

    def load(name: str) -> Any:
        run = condition(name, SEED)
        configurations[name] = run.to_dict()
        return store.train_or_load(tiny(run), device="cpu")

    rows = {}
    for name in study.conditions:
        try:
            rows[name] = exact(study.measure(cell(name, SEED, load(name), True, load)))
        except Exception as error:
            if type(error).__name__ != "DivergenceError":
                raise
            rows[name] = {"diverged": exact(1)}
    return {"rows": rows, "configurations": configurations, "digest": study.digest()}


def exact(value: Any) -> Any:
    """Numbers, and lists of them, as text that holds every bit."""
    if isinstance(value, Mapping):
        return {str(name): exact(inner) for name, inner in value.items()}
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, (list, tuple)) or hasattr(value, "ndim"):
        return [exact(inner) for inner in value]
    return float(value).hex()


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main(sys.argv[1], sys.argv[2], sys.argv[3:])
