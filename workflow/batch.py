"""Many executions of one chapter, with other parameters each.

A batch is described by one file, ``batch.toml``, which a colleague re-runs::

    chapter = "lab"
    name = "noise"
    profile = "default"

    [grid]                   # every combination
    alpha = [0.005, 0.01]
    seed = [0, 1, 2]

    [[run]]                  # rows of a table; each with every combination of the grid
    K = 50

Its folder, ``build/batch/NAME/``, holds that file, the executed notebooks, the numbers that the
pages record, and ``index.html``. Reading the command line needs the standard library only.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import itertools
import json
import math
import os
import re
import sys
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workflow import chapters
from workflow.cluster import Executor
from workflow.paths import BUILD, PROFILES, ROOT, WorkflowError, replace_file

BATCHES = BUILD / "batch"
ASKED_FROM = 10_000
"""A batch of more runs is started only by ``--yes``."""

MOST = 1_000_000
"""Runs that a batch may have."""

CALLED_FROM = "EBMLIB_CALLED_FROM"
"""Names the folder that run_all.sh was called in: relative paths are the user's."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RANGE = re.compile(r"(-?\d+):(-?\d+)(?::([1-9]\d*))?")
_BY_OPTION = {"profile": "--profile", "device": "--device"}

USAGE = """\
Execute a chapter many times with other parameters, and put all its numbers into one table.

  ./run_all.sh batch CHAPTER -p NAME VALUES [-p NAME VALUES ...] [options]
  ./run_all.sh batch --file batch.toml [options]

VALUES are values with commas, or a range: 0.005,0.01 or circle,my-drawing.svg or 0:5 (0 to 4).
Every combination is a run. What is there already is not executed again, also after a kill.
"""


@dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    chapter: str | None = None
    given: tuple[tuple[str, str], ...] = ()
    table: Path | None = None
    file: Path | None = None
    name: str | None = None
    profile: str | None = None
    device: str = "auto"
    executor: Executor | None = None
    jobs: int | None = None
    dry_run: bool = False
    yes: bool = False


@dataclass(frozen=True)
class Batch:
    """A chapter and its runs.

    Attributes:
        chapter: which chapter.
        profile: smoke, default or full.
        rows: rows of a table; one empty row if there is none.
        grid: parameter -> values, combined with every row.
        name: of its folder.
        folder: what relative paths of files are relative to.
    """

    chapter: str
    profile: str
    rows: tuple[Mapping[str, Any], ...] = ({},)
    grid: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    name: str = ""
    folder: Path = ROOT

    def __len__(self) -> int:
        return len(self.rows) * math.prod(len(values) for values in self.grid.values())

    def runs(self) -> Iterator[dict[str, Any]]:
        """The parameters of every run, the last parameter fastest."""
        for row in self.rows:
            for values in itertools.product(*self.grid.values()):
                yield {**row, **dict(zip(self.grid, values, strict=True))}

    def names(self) -> list[str]:
        """The parameters that it sets."""
        return list(dict.fromkeys([*(name for row in self.rows for name in row), *self.grid]))

    def mapped(self, change: Callable[[str, Any], Any]) -> Batch:
        """The batch with every value changed by ``change(name, value)``."""
        rows = tuple(
            {name: change(name, value) for name, value in row.items()} for row in self.rows
        )
        grid = {
            name: tuple(change(name, value) for value in values)
            for name, values in self.grid.items()
        }
        return replace(self, rows=rows, grid=grid)

    def text(self) -> str:
        """As batch.toml."""
        lines = ["# ./run_all.sh batch --file batch.toml", f"chapter = {json.dumps(self.chapter)}"]
        lines += [f"name = {json.dumps(self.name)}", f"profile = {json.dumps(self.profile)}"]
        if self.grid:
            lines += ["", "[grid]"]
            lines += [f"{name} = {json.dumps(list(values))}" for name, values in self.grid.items()]
        for row in self.rows if self.rows != ({},) else ():
            lines += ["", "[[run]]"]
            lines += [f"{name} = {json.dumps(value)}" for name, value in row.items()]
        return "\n".join(lines) + "\n"


# --- from the command line or a file ------------------------------------------------------------


def parse(arguments: Sequence[str], parser: type[argparse.ArgumentParser]) -> Request:
    """Read the command line behind ``batch``; a mistake is told as the parser's class tells it."""
    from workflow.options import _count, _device, _profile, add_executor, executor

    reader = parser(
        prog="./run_all.sh batch", usage=argparse.SUPPRESS, description=USAGE, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    add = reader.add_argument
    add("chapter", nargs="?", metavar="CHAPTER", help="a chapter of book/chapters.toml")
    add("-p", dest="given", nargs=2, action="append", default=[], metavar=("NAME", "VALUES"),
        help="a parameter of the chapter and its values")  # fmt: skip
    add("--table", type=Path, metavar="FILE.csv", help="a run for each row; columns are parameters")
    add("--file", type=Path, metavar="batch.toml", help="a batch that was described before")
    add("--name", help="of its folder in build/batch (as a rule: the chapter and a digest)")
    add("--profile", type=_profile, help="smoke, default or full")
    add("--device", type=_device, default="auto", help="auto, cpu, cuda or cuda:I")
    add("--jobs", type=_count, metavar="N", help="runs at once (as a rule: one per core)")
    add_executor(add)
    add("--dry-run", action="store_true", help="say how many runs and how long, and stop")
    add("--yes", action="store_true", help=f"start a batch of more than {ASKED_FROM:,} runs")
    add("--no-setup", action="store_true", help="install nothing")
    given = reader.parse_args(list(arguments))
    if (given.chapter is None) == (given.file is None):
        reader.error("batch takes a chapter, or --file and a batch.toml")
    if given.file is not None and (given.given or given.table or given.profile or given.name):
        reader.error("--file describes the whole batch; -p, --table, --name and --profile do not "
                     "go with it")  # fmt: skip
    return Request(
        given.chapter, tuple(map(tuple, given.given)), given.table, given.file, given.name,
        given.profile, given.device, executor(given, reader.error), given.jobs, given.dry_run,
        given.yes,
    )  # fmt: skip


def describe(request: Request, known: chapters.ChapterList) -> Batch:
    """The batch that a request asks for, checked.

    Raises:
        WorkflowError: a chapter, parameter or value that it cannot have; nothing was written.
    """
    here = Path(os.environ.get(CALLED_FROM) or Path.cwd())
    if request.file is not None:
        batch = _from_file(here / request.file)
    else:
        assert request.chapter is not None
        batch = Batch(
            request.chapter, request.profile or "default", _table(here, request.table),
            _grid(request.given), request.name or "", here,
        )  # fmt: skip
    defaults = parameters(known[batch.chapter])
    _check_names(batch, defaults)
    if not len(batch):
        raise WorkflowError("the batch has no run: a table needs rows and a parameter values")
    if len(batch) > MOST:
        raise WorkflowError(f"a batch has at most {MOST:,} runs, and this one {len(batch):,}")
    batch = batch.mapped(lambda name, value: fit(name, value, defaults[name], batch.folder))
    for name in batch.names():
        rows = [row[name] for row in batch.rows if name in row]
        for value in dict.fromkeys(batch.grid.get(name, rows)):
            check_range(name, value)
    if not batch.name:
        told = hashlib.sha256(batch.text().encode()).hexdigest()
        batch = replace(batch, name=f"{batch.chapter}-{told[:6]}")
    if not _NAME.fullmatch(batch.name):
        raise WorkflowError(
            f"'{batch.name}' cannot name a batch; use letters, digits, dots and hyphens"
        )
    return batch


def parameters(chapter: chapters.Chapter) -> dict[str, Any]:
    """The parameters that a batch may set, with their defaults.

    Raises:
        WorkflowError: the chapter declares none.
    """
    defaults = chapters.parameter_defaults(chapter.source) | dict(chapter.parameters)
    kept = (*_BY_OPTION, *chapter.fixed)
    found = {name: value for name, value in defaults.items() if name not in kept}
    if not found:
        raise WorkflowError(
            f"chapter '{chapter.name}' declares no parameters that a batch could change; "
            f"a cell of {chapter.source} tagged `parameters` would"
        )
    return found


def _check_names(batch: Batch, defaults: Mapping[str, Any]) -> None:
    for name in batch.names():
        if name in _BY_OPTION:
            raise WorkflowError(f"'{name}' is the same for all runs: use {_BY_OPTION[name]}")
        if name not in defaults:
            raise WorkflowError(
                f"chapter '{batch.chapter}' has no parameter '{name}'; it has: "
                f"{', '.join(defaults)}"
            )
    both = set(batch.grid) & {name for row in batch.rows for name in row}
    if both:
        raise WorkflowError(f"'{both.pop()}' is in the table and in -p; say it once")
    if any(row.keys() != batch.rows[0].keys() for row in batch.rows):
        raise WorkflowError("every row of a table must set the same parameters")


def _grid(given: Sequence[tuple[str, str]]) -> dict[str, tuple[Any, ...]]:
    grid: dict[str, tuple[Any, ...]] = {}
    for name, text in given:
        if name in grid:
            raise WorkflowError(f"-p {name} is given twice; give all its values with commas")
        grid[name] = tuple(_values(name, text))
    return grid


def _values(name: str, text: str) -> Iterator[Any]:
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        if found:
            numbers = range(int(found[1]), int(found[2]), int(found[3] or 1))
            if numbers[MOST:]:  # its length may be more than Python counts
                raise WorkflowError(
                    f"a batch has at most {MOST:,} runs, and {name}={part.strip()} alone has more"
                )
            yield from numbers
        elif part.strip():
            yield part.strip()
        else:
            raise WorkflowError(f"-p {name} has an empty value in '{text}'")


def _table(here: Path, path: Path | None) -> tuple[Mapping[str, Any], ...]:
    if path is None:
        return ({},)
    try:
        with open(here / path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise WorkflowError(f"cannot read the table {path}: {error}") from None
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values() or "" in row.values():
            raise WorkflowError(f"row {number} of {path} does not have one value for every column")
    return tuple(rows)


def _from_file(path: Path) -> Batch:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise WorkflowError(f"cannot read the batch {path}: {error}") from None
    if unknown := set(table) - {"chapter", "name", "profile", "grid", "run"}:
        raise WorkflowError(f"{path.name} has an unknown key '{unknown.pop()}'")
    grid, rows = table.get("grid", {}), table.get("run", [{}])
    profile = table.get("profile", "default")
    sound = isinstance(table.get("chapter"), str) and isinstance(table.get("name", ""), str)
    sound = sound and isinstance(grid, dict) and all(isinstance(v, list) for v in grid.values())
    sound = sound and isinstance(rows, list) and all(isinstance(row, dict) for row in rows)
    if not sound or profile not in PROFILES:
        raise WorkflowError(
            f"{path.name} must hold a chapter, a profile ({', '.join(PROFILES)}), and a [grid] of "
            "lists or rows [[run]]"
        )
    values = {name: tuple(values) for name, values in grid.items()}
    return Batch(table["chapter"], profile, tuple(rows), values, table.get("name", ""), path.parent)


def fit(name: str, value: Any, default: Any, folder: Path) -> Any:
    """A value as the parameter's default has it: a number, a whole number, true or false, a word.

    A word that names a file of ``folder`` becomes the file's path.

    Raises:
        WorkflowError: it is of another kind.
    """
    given = value
    if isinstance(value, str) and not isinstance(default, str):
        try:
            value = json.loads(value)
        except ValueError:
            pass  # a word, which the next lines refuse
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if isinstance(default, bool):
        right, what = isinstance(value, bool), "true or false"
    elif isinstance(default, int):
        right, what = number and value == value // 1, "a whole number"
        value = int(value) if right else value
    elif isinstance(default, float):
        right, what = number and math.isfinite(value), "a number"
        value = float(value) if right else value
    elif isinstance(default, str):
        right, what = isinstance(value, (str, int)), f"a word such as '{default}'"
        value = _file_or_word(str(value), folder)
    else:
        right, what = isinstance(value, (str, int, float, bool)), "one value"
    if not right:
        raise WorkflowError(f"'{name}' takes {what}, got '{given}'")
    return value


def _file_or_word(text: str, folder: Path) -> str:
    path = folder / text
    return path.resolve().as_posix() if path.suffix and path.is_file() else text


_HYPERPARAMETERS = (
    *("alpha", "K", "epochs", "sgld_dim", "lr", "z_dim", "h_dim", "reg_l1", "reg_l2"),
    *("seed", "sigma", "objective", "policy", "dataset"),
)
"""Names that mean the same in every chapter that declares them (Table 4.1)."""


def check_range(name: str, value: Any) -> None:
    """Check a value of a hyper-parameter of Table 4.1 as a run of the library checks it.

    Raises:
        WorkflowError: it is out of range, or a data set that is not there.
    """
    if name not in _HYPERPARAMETERS:
        return
    from ebmlib.errors import EbmlibError
    from ebmlib.training.presets import preset

    try:
        run = preset("circle").with_(**{"estimate" if name == "policy" else name: value})
        if name == "dataset":
            run.demonstrations()
    except EbmlibError as error:
        raise WorkflowError(str(error).rstrip(".")) from None


# --- its folder ---------------------------------------------------------------------------------


def prepare(batch: Batch, known: chapters.ChapterList, device: str) -> dict[str, dict[str, Any]]:
    """Lay out the batch's folder; return the injected parameters of every run by its number.

    Files that parameters name are copied into it, so that the folder can be sent to a colleague.

    Raises:
        WorkflowError: another batch of this name is there.
    """
    place = BATCHES / batch.name
    kept: dict[str, str] = {}

    def keep(_name: str, value: Any) -> Any:
        if isinstance(value, str) and os.path.isabs(value) and Path(value).is_file():
            return kept.setdefault(value, f"data/{_free(Path(value).name, list(kept.values()))}")
        return value

    described = batch.mapped(keep)
    text = described.text()
    ours = place / "batch.toml"
    if ours.exists() and ours.read_text(encoding="utf-8") != text:
        raise WorkflowError(
            f"the batch '{batch.name}' in {ours.parent.relative_to(ROOT)} has other parameters; "
            "give this one another --name, or remove that folder"
        )
    for origin, target in kept.items():
        content = Path(origin).read_bytes()
        write_if_changed(place / target, content)
    write_if_changed(ours, text.encode())
    base = known.parameters(batch.chapter, batch.profile, device)
    width = max(3, len(str(len(batch))))
    runs = {}
    for number, given in enumerate(described.runs(), start=1):
        inside = {
            name: (place / value).relative_to(ROOT).as_posix() if value in kept.values() else value
            for name, value in given.items()
        }
        runs[f"{number:0{width}}"] = {"given": given, "injected": base | inside}
    files = {target: _digest(place / target) for target in kept.values()}
    code = {name: _digest(ROOT / name) for name in code_of(known[batch.chapter])}
    description = {"chapter": batch.chapter, "profile": batch.profile, "runs": runs}
    write_if_changed(place / "runs.json", json.dumps(description, indent=1).encode())
    # One small file stands for all that a run depends on: thousands of runs would ask for each.
    write_if_changed(place / "inputs.json", json.dumps(files | code, indent=1).encode())
    return runs


def code_of(chapter: chapters.Chapter) -> list[str]:
    """Files whose change makes an executed run out of date, relative to ROOT."""
    engine = ("workflow/execute.py", "requirements.txt")
    return [chapter.source.as_posix(), *engine, *chapters.library_files()]


def _free(name: str, taken: Collection[str]) -> str:
    numbered = (f"{number}-{name}" for number in range(2, len(taken) + 3))
    return next(each for each in (name, *numbered) if f"data/{each}" not in taken)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_if_changed(path: Path, content: bytes) -> None:
    """Write a file unless it holds this already: what is younger is out of date."""
    if path.is_file() and path.read_bytes() == content:
        return
    replace_file(path, content)


# --- how long ------------------------------------------------------------------------------------

SECONDS_PER_UPDATE = 1.5e-6
"""One step of one chain of Figure 3.2's network: the circle's preset trains in about 75 s on two
cores with a C compiler. Used until a run of the chapter has been measured here."""

_SECONDS_BESIDE = 30.0
"""Kernel, imports, pictures; until a run of the chapter has been measured here."""


@dataclass(frozen=True)
class Cost:
    """What a run costs: seconds beside training, seconds for a step of one chain, from how many."""

    beside: float = _SECONDS_BESIDE
    per_update: float = SECONDS_PER_UPDATE
    measured: int = 0

    def of(self, injected: Mapping[str, Any]) -> float:
        """Seconds of a run, its models not trained yet."""
        return self.beside + self.per_update * updates(injected)


def updates(injected: Mapping[str, Any]) -> float:
    """Chain steps of the training, epochs x chains x K; 0 for a chapter without these names.

    The smoke profile's runs are tiny, whatever is asked for (``thesis.runs.TINY``).
    """
    found = [injected.get(name) for name in ("epochs", "sgld_dim", "K")]
    numbers = [value for value in found if isinstance(value, int)]
    if len(numbers) < len(found):
        return 0.0
    if injected.get("profile") == "smoke":
        numbers = [min(pair) for pair in zip(numbers, (20, 64, 20), strict=True)]
    return float(math.prod(numbers))


def measured_cost(chapter: str, profile: str, folder: Path | None = None) -> Cost:
    """The cost of a chapter's run from those that were executed here, the smoke profile's apart."""
    beside, training, done = [], 0.0, 0.0
    for path in sorted((folder or BATCHES).glob("*/runs/*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            small = record["injected"].get("profile") == "smoke"
            if record["chapter"] != chapter or small != (profile == "smoke"):
                continue
            beside.append(record["seconds"] - record["training_seconds"])
            if record["training_seconds"] > 0:
                training += record["training_seconds"]
                done += updates(record["injected"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    if not beside:
        return Cost()
    rate = training / done if done else SECONDS_PER_UPDATE
    return Cost(sum(beside) / len(beside), rate, len(beside))


# --- the command ---------------------------------------------------------------------------------


def main(request: Request, known: chapters.ChapterList) -> int:
    """Do what the command line asks for; return the exit status."""
    from workflow import cluster, devices
    from workflow.progress import duration

    batch = describe(request, known)
    where = request.executor
    if where is not None:
        cluster.check(where)
    cost = measured_cost(batch.chapter, batch.profile)
    if where is None:
        device = devices.resolve(request.device)
        jobs = request.jobs or max(1, min(os.cpu_count() or 1, len(batch)))
    else:
        device = devices.elsewhere(request.device, where.gpus)
        jobs = request.jobs or cluster.JOBS
    base = known.parameters(batch.chapter, batch.profile, device.kind)
    work = sum(cost.of(base | run) for run in batch.runs())
    total = work / min(jobs, len(batch))
    source = (
        f"from {cost.measured} earlier runs of '{batch.chapter}' here"
        if cost.measured
        else f"from our own measurements; no run of '{batch.chapter}' has been measured here yet"
    )
    there = len(list((BATCHES / batch.name / "runs").glob("*.json")))
    print(
        f"Batch '{batch.name}': {len(batch):,} runs of '{batch.chapter}' ({there} are there), "
        f"{jobs} at once; all of them take about {duration(total)} if no model is trained yet "
        f"({source}).",
        flush=True,
    )
    if request.dry_run:
        return 0
    if len(batch) > ASKED_FROM and not request.yes and not _agreed(len(batch)):
        raise WorkflowError(
            f"this batch has {len(batch):,} runs, more than {ASKED_FROM:,}; --yes starts it"
        )
    return _run(batch, known, request, device, jobs, work / len(batch))


def _agreed(count: int) -> bool:
    if not sys.stdin.isatty():
        return False
    return input(f"Start {count:,} runs? [y/N] ").strip().lower() in ("y", "yes")


def _run(
    batch: Batch,
    known: chapters.ChapterList,
    request: Request,
    device: Any,
    jobs: int,
    seconds: float,
) -> int:
    from workflow import batch_report, cluster, locks
    from workflow.build import engine
    from workflow.paths import logs

    place = f"batch/{batch.name}"
    where = request.executor
    with (
        locks.exclusive(locks.RUN_LOCK, locks.WAITING),
        cluster.at_work(where) as run,
        locks.after_orphans() as jobs_lock,
    ):
        runs = prepare(batch, known, device.kind)
        threads = max(1, (os.cpu_count() or 1) // jobs) if where is None else cluster.CORES
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
        config = [f"batch='{batch.name}'", f"device={device.kind}"]
        if device.gpus:
            config.append("gpus='" + ",".join(device.gpus) + "'")
        if where is None:
            workers = ["--cores", str(jobs), "--resources", f"gpu={len(device.gpus)}"]
        else:
            workers = cluster.arguments(where, request.jobs, logs(place) / where.name)
            config += [*cluster.configuration(where, device.kind, run), f"seconds={seconds:.0f}"]
        command = [
            *(sys.executable, "-m", "workflow.engine", "--snakefile", "workflow/batch.smk"),
            *(*workers, "--nolock", "--rerun-incomplete", "--keep-going", "--config", *config),
        ]
        names = [f"run.{number}" for number in runs]
        display, failed = engine(command, place, jobs_lock, names, run)
        report = batch_report.make(batch.name)
    for reason in failed:
        print(reason, file=sys.stderr)
    executed = [number for number in runs if display.outcome(f"run.{number}")]
    if not executed and not failed:
        print("Everything is up to date.")
    print(f"{report.done} of {len(runs)} runs are there. The table is {report.index}")
    if failed:
        print("The same command redoes only what failed.", file=sys.stderr)
    return 1 if failed else 0
