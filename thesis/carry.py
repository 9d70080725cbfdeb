"""Results carry over to changed code by proof: ``python -m thesis carry``.

When code is moved or renamed, the digest of a result changes although no number does. This command
proves that none does. It measures small rows of a study (all its conditions, seed 0, trainings and
measures of the smoke profile) at two commits on this machine: the one at which the result was
measured or last proved, and today's. It compares the numbers to the bit, before they are rounded
for the results file; and the recorded conditions and data must be today's. Only then does the
result get today's digest, with an entry ``carried`` in its provenance that says from which commit
and digest, to which, on what evidence, and when.

Numbers that are times on a clock (:attr:`thesis.study.Study.clock`) are left out, and named.

What was measured at a commit is kept under ``build/carry/``, so a command that was stopped goes on,
and the next one measures only what is new.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ebmlib.errors import EbmlibError, InputError
from ebmlib.training.run import Run
from thesis import measured, probe, provenance
from thesis.studies import studies, study
from thesis.study import Results, Study

WORK = Path("build/carry")
ROOT = Path(__file__).resolve().parents[1]
CARRIED = "carried"


@dataclass(frozen=True)
class Carried:
    """What became of one study's results.

    Attributes:
        study: its name.
        carried: they have today's digest now, or had it before.
        text: what happened, or what differs.
    """

    study: str
    carried: bool
    text: str


def carry(
    names: Sequence[str] = (),
    start: str | None = None,
    *,
    folder: Path = measured.COMMITTED,
    work: Path = WORK,
) -> Iterator[Carried]:
    """Carry results over to the commit that is checked out, study by study.

    Args:
        names: of studies; if there are none, all that were measured.
        start: the commit to compare with; that of the last proof if None.
        folder: where the results are.
        work: where measured rows are kept.

    Raises:
        InputError: no commit is checked out as it is, or one is not known.
    """
    here = provenance.commit()
    if here is None or here.endswith("-dirty"):
        raise InputError(
            f"Results carry over to a commit, and the working tree is at {here}; commit first."
        )
    waiting: dict[str, list[str]] = {}  # commit -> studies
    for name in names or [n for n in studies() if (folder / f"{n}.json").is_file()]:
        results = measured.load(name, folder)
        if not measured.stale(results):
            yield Carried(name, True, "has today's digest")
        else:
            commits = [start] if start else proofs(results)
            waiting.setdefault(_first(commits), []).append(name)
    wanted = [name for there in waiting.values() for name in there]
    if not wanted:
        return
    with ThreadPoolExecutor(max_workers=2) as pool:
        new = pool.submit(rows_at, here, wanted, work)
        old = {name: pool.submit(rows_at, name, there, work) for name, there in waiting.items()}
        for commit, there in waiting.items():
            before, after = old[commit].result(), new.result()
            for name in there:
                results = measured.load(name, folder)
                try:
                    proved = proof(study(name), results, before[name], after[name])
                except InputError as error:
                    yield Carried(name, False, str(error))
                    continue
                entry = {"from": {"commit": commit, "digest": results.provenance["digest"]}}
                measured.save(
                    carried(study(name), results, here, entry | proved), folder, publish=True
                )
                yield Carried(name, True, f"{proved['numbers']} numbers are those of {commit}")


def proofs(results: Results) -> list[str]:
    """The commits at which results were proved, the latest first, and that of their measurement."""
    proved = [entry["to"]["commit"] for entry in results.provenance.get(CARRIED, [])]
    return [*reversed(proved), str(results.provenance["commit"])]


def proof(what: Study, results: Results, before: Any, after: Any) -> dict[str, Any]:
    """The evidence that results belong to today's code.

    Args:
        what: the study as it is today.
        results: what is to carry over.
        before: what :mod:`thesis.probe` measured where the results are known to be right.
        after: the same, today.

    Raises:
        InputError: a number, a condition or the data differ, or the digest is not today's.
    """
    if after["digest"] != what.digest():
        raise InputError(
            f"The code of study {what.name} here is not that of the commit; commit all files."
        )
    if results.conditions != list(what.conditions):
        raise InputError(f"Study {what.name} has other conditions than its results; measure again.")
    runs = what.runs()
    recorded = results.provenance[provenance.CONFIGURATIONS]
    for name, run in runs.items():
        for data in (recorded.get(name), before["configurations"].get(name)):
            if data is not None and _run(data) != run:
                raise InputError(f"Condition {name} is not what it was; measure {what.name} again.")
    data = provenance.data(runs)
    if results.provenance["data"] != {name: data[name] for name in results.provenance["data"]}:
        raise InputError(f"The data of study {what.name} are not what they were; measure it again.")
    found = list(differences(before["rows"], after["rows"], what.clock))
    if found:
        raise InputError(
            f"{len(found)} of the compared numbers of study {what.name} differ, first {found[0]}; "
            f"measure it again: python -m thesis study {what.name}."
        )
    compared = _count(
        value
        for row in after["rows"].values()
        for quantity, value in row.items()
        if quantity not in what.clock
    )
    if not compared:
        raise InputError(f"Study {what.name} has only times on a clock, which prove nothing.")
    return {
        "compared": f"{len(after['rows'])} conditions, seed {probe.SEED}, smoke profile",
        "numbers": compared,
        **({"left_out_as_clock_times": list(what.clock)} if what.clock else {}),
    }


def _run(data: Any) -> Run:
    try:
        return Run.from_dict(data)
    except EbmlibError as error:
        raise InputError(f"A recorded configuration cannot be read any more: {error}") from error


def differences(before: Any, after: Any, clock: Iterable[str] = ()) -> Iterator[str]:
    """Where two measurements differ, in words; clock times may, if both have them."""
    if before.keys() != after.keys():
        yield f"the conditions ({', '.join(sorted(before.keys() ^ after.keys()))})"
    for name in before.keys() & after.keys():
        old, new = before[name], after[name]
        for quantity in sorted(old.keys() | new.keys()):
            there = quantity in old and quantity in new
            if not there or (quantity not in clock and old[quantity] != new[quantity]):
                yield f"{quantity} of {name}"


def carried(what: Study, results: Results, commit: str, entry: Mapping[str, Any]) -> Results:
    """Results with today's digest and the entry that says why."""
    runs, digest = what.runs(), what.digest()
    entries = [
        *results.provenance.get(CARRIED, []),
        {**entry, "to": {"commit": commit, "digest": digest}, "date": time.strftime("%Y-%m-%d")},
    ]
    record = {
        **{name: value for name, value in results.provenance.items() if name != CARRIED},
        "digest": digest,
        "data": provenance.data(runs),
        provenance.CONFIGURATIONS: provenance.configurations(runs),
        CARRIED: entries,
    }
    return replace(results, provenance=record)


def _count(values: Iterable[Any]) -> int:
    return sum(_count(value) if isinstance(value, list) else 1 for value in values)


def rows_at(commit: str, names: Sequence[str], work: Path = WORK) -> dict[str, Any]:
    """What :mod:`thesis.probe` measures of studies at a commit, kept under ``work``."""
    folder = work.resolve() / f"{commit}-{_machine()}"
    if any(not (folder / f"{name}.json").is_file() for name in names):
        tree = work.resolve() / "trees" / commit
        if not tree.is_dir():
            _extract(commit, tree)
        probed(tree, names, folder)
    return _read(names, folder)


def probed(tree: Path, names: Sequence[str], folder: Path) -> dict[str, Any]:
    """What :mod:`thesis.probe` measures of studies in a checkout; what ``folder`` has is kept.

    Raises:
        InputError: the checkout cannot measure them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in names if not (folder / f"{name}.json").is_file()]
    if missing:
        apart = ("EBMLIB_STORE", "EBMLIB_RESULTS", "EBMLIB_PROGRESS", "PYTHONPATH")
        environment = {name: value for name, value in os.environ.items() if name not in apart}
        environment |= {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-P", probe.__file__, str(tree), str(folder), *missing]
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise InputError(f"The studies cannot be measured in {tree}: {last}")
    return _read(names, folder)


def _read(names: Sequence[str], folder: Path) -> dict[str, Any]:
    return {
        name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8")) for name in names
    }


@cache
def _machine() -> str:
    """A short name for what the last bits depend on beside the code."""
    versions = [metadata.version(name) for name in ("torch", "numpy", "scipy")]
    parts = [sys.version, platform.platform(), platform.processor(), *versions]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


def _git(*arguments: str) -> bytes:
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(
            f"git {' '.join(arguments)} failed in {ROOT}; results carry over in a clone of the "
            "repository that has the commits they name."
        ) from error


def _first(names: Sequence[str]) -> str:
    """The first of some commits that this clone has, by its first twelve digits.

    A proof may name one that is gone since, because a branch was written anew.
    """
    for name in names[:-1]:
        with suppress(InputError):
            return _first([name])
    return _git("rev-parse", "--short=12", f"{names[-1]}^{{commit}}").decode().strip()


def _extract(commit: str, tree: Path) -> None:
    """The files of a commit, whole or not at all."""
    part = tree.with_name(f"{tree.name}.{os.getpid()}.part")
    with tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", commit))) as archive:
        archive.extractall(part, filter="data")
    os.replace(part, tree)
