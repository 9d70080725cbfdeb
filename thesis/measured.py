"""What was measured: results in files, and whether they still belong to today's code."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from pathlib import Path

from ebmlib import checks, files
from ebmlib.errors import InputError, StoreError
from thesis.studies import study
from thesis.study import Results

COMMITTED = Path(__file__).with_name("results")
"""Results of the last full run, part of the package."""


def stale(results: Results) -> bool:
    """Whether results belong to another state of the code, the data or the conditions."""
    small = bool(results.provenance.get("small"))
    return bool(results.provenance.get("digest") != study(results.study).digest(small))


def save(results: Results, folder: Path, *, publish: bool = False) -> Path:
    """Write results as ``folder/<study>.json``, whole or not at all.

    Args:
        results: rows with their provenance.
        folder: where to; it is made if it is not there.
        publish: the folder may be the package's own, whose results the book shows.

    Raises:
        InputError: the folder is the package's own and this was not said.
    """
    if not publish:
        check_folder(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{results.study}.json"
    files.write_bytes(path, results.to_json().encode())
    return path


def check_folder(folder: Path) -> None:
    """Refuse to write where the committed results are.

    Raises:
        InputError: the folder is the package's own.
    """
    if folder.resolve() == COMMITTED.resolve():
        raise InputError(
            f"{folder} holds the committed results, which only --publish replaces; name another "
            "folder with --out."
        )


def load(name: str, folder: Path | None = None) -> Results:
    """Results of a study: from ``folder`` or ``EBMLIB_RESULTS``, else those of the package.

    Raises:
        InputError: there are none. StoreError: the file is damaged, its content is not what its
            digest says, or it is of another study.
    """
    given = folder or os.environ.get("EBMLIB_RESULTS")
    places = ([Path(given)] if given else []) + [COMMITTED]
    for place in places:
        path = place / f"{name}.json"
        if path.is_file():
            return _read(path, *_state(path))
    study(name)
    raise InputError(f"Study {name} was not measured yet: python -m thesis study {name}.")


@lru_cache(maxsize=256)
def _read(path: Path, modified: int, size: int, sealed: bool = True) -> Results:
    """The results in a file, read once for as long as it stays as it is; checked by its digest."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        results = Results(data["study"], tuple(data["rows"]), data["provenance"])
        told = data.get("sha256")
        if told is not None and told != results.sha256():
            raise ValueError("its content was changed")
        if results.study != path.stem:
            raise ValueError(f"it holds study {results.study!r}")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(
            f"The results {path} are damaged ({checks.short(error)}); measure again: "
            f"python -m thesis study {path.stem}."
        ) from error
    if sealed and told is None:
        raise StoreError(
            f"The results {path} carry no digest of their content; if they are as they were "
            f"measured, give them one: python -m thesis seal {path.stem}."
        )
    return results


def seal(name: str, folder: Path = COMMITTED) -> bool:
    """Give results that were measured before results carried a digest theirs; rows stay as are.

    Args:
        name: of the study.
        folder: where its results are.

    Returns:
        Whether there was none before.

    Raises:
        InputError: there are no results. StoreError: they have another digest, or are damaged.
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        raise InputError(f"There are no results {path}; python -m thesis study lists the names.")
    results = _read(path, *_state(path), sealed=False)
    if "sha256" in json.loads(path.read_text(encoding="utf-8")):
        return False
    files.write_bytes(path, results.to_json().encode())
    return True


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_mtime_ns, state.st_size
