"""Jobs on other machines: what is asked of a Snakemake executor plugin, and what a job is told.

``./run_all.sh --executor slurm`` hands every job to the plugin. Nothing here submits, waits or asks
for states: that is the plugin's. This module says what each job needs (memory, time, GPU), which
small trainings share a job, and how a run that is over is told from the one at work, since a job on
another machine does not see the process that began its run end.

Standard library only, but for reading a profile of Snakemake.
"""

from __future__ import annotations

import math
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workflow.paths import BUILD, ROOT, WorkflowError, replace_file

PLUGINS = {"slurm": "snakemake-executor-plugin-slurm>=2.8,<3"}
"""What is installed for an executor; for another, the plugin of its name. As in pyproject.toml."""

PROFILES = ROOT / "executors"
"""Snakemake profiles with the options of executors, one file each: NAME.yaml."""

JOBS = 50
"""Jobs that wait or run at one time, as a rule."""

CORES = 2
"""Cores of a job: as many as a training uses well (benchmarks/threads.py)."""

MEGABYTES = {"model": 2000, "study": 3000, "chapter": 4000, "run": 4000, "book": 4000}
"""Memory of a job's first attempt; about twice what one was seen to take."""

RETRIES = 2
"""Further attempts for a job that its machine, its time or its memory stopped."""

MORE = 2
"""Memory and time of an attempt, as a multiple of those of the one before."""

GROUPED = 300.0
"""Seconds of work that trainings in one job have together, at least where there are enough."""

MOST_IN_GROUP = 64
"""Trainings that share a job, at most; a power of two."""

STARTING = 8.0
"""Seconds from the start of a job's process to its first update."""

RUN = "EBMLIB_RUN"
"""Names the run that a job belongs to; unset on one machine."""

MARK = BUILD / ".run-at-work"
"""Holds the name of the run at work. Jobs of any other one stop."""

PATIENCE = 60.0
"""Seconds that SLURM has to answer a question."""

LOOK_EVERY = 2.0
"""Seconds between two looks at the mark."""

GRACE = 30.0
"""Seconds that an interrupted Snakemake has to take its jobs out of the queue."""


@dataclass(frozen=True)
class Executor:
    """Where jobs run, if not here.

    Attributes:
        name: of a Snakemake executor plugin.
        partition: of SLURM; the cluster's own choice if None.
        account: of SLURM; the plugin's guess if None.
        gpus: GPUs that a job asks for, with a device that is one.
        profile: a Snakemake profile with the plugin's options; executors/NAME.yaml if None.
    """

    name: str
    partition: str | None = None
    account: str | None = None
    gpus: int | None = None
    profile: Path | None = None


def check(executor: Executor) -> None:
    """See that the plugin is installed and that its cluster can be asked.

    Raises:
        WorkflowError: not so; it says what to do.
    """
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    known = sorted(ExecutorPluginRegistry().get_registered_plugins())
    if executor.name not in known:
        wanted = PLUGINS.get(executor.name, f"snakemake-executor-plugin-{executor.name}")
        raise WorkflowError(
            f"Snakemake has no executor '{executor.name}' here, only {', '.join(known)}; install "
            f"it with: {Path(sys.executable)} -m pip install '{wanted}'"
        )
    if executor.profile is not None and not executor.profile.is_file():
        raise WorkflowError(
            f"--executor-profile names {executor.profile}, and there is no such file; copy "
            "executors/slurm.yaml and change it"
        )
    if executor.name != "slurm":
        return
    missing = [name for name in ("sbatch", "squeue", "scancel") if shutil.which(name) is None]
    if missing:
        raise WorkflowError(
            f"--executor slurm needs SLURM's commands and finds no {', '.join(missing)}; start the "
            "build on a login node of the cluster"
        )
    try:
        asked = subprocess.run(
            ["squeue", "--noheader", "--me"], capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise WorkflowError(
            f"--executor slurm: SLURM does not answer within {PATIENCE:.0f} s; try squeue --me"
        ) from None
    if asked.returncode:
        why = (asked.stderr.strip() or "no answer").splitlines()[-1]
        raise WorkflowError(f"--executor slurm: SLURM does not answer: {why}")


def arguments(executor: Executor, jobs: int | None, logs: Path) -> list[str]:
    """Return Snakemake's options for an executor.

    What the profile says is left to it.

    Args:
        executor: the executor.
        jobs: jobs that wait or run at one time; None: :data:`JOBS`.
        logs: folder for the logs of the executor itself.
    """
    profile = executor.profile or PROFILES / f"{executor.name}.yaml"
    said = _settings(profile)
    # One core: the jobs of a group come one after the other, their times are added.
    ours = {"executor": executor.name, "cores": "1"}
    if jobs is not None or "jobs" not in said:
        ours["jobs"] = str(jobs or JOBS)
    defaults = {"retries": str(RETRIES), "latency-wait": "60"}
    if executor.name == "slurm":
        defaults["slurm-logdir"] = str(logs)
        # Attempts are counted in one place: Snakemake's.
        defaults["slurm-no-requeue"] = ""
        if not _accounting():
            defaults["slurm-status-command"] = "squeue"
    ours |= {name: value for name, value in defaults.items() if name not in said}
    if "slurm-requeue" in said:
        ours.pop("slurm-no-requeue", None)
    options = [word for name, value in ours.items() for word in (f"--{name}", value) if word]
    sizes = [2**power for power in range(int(math.log2(MOST_IN_GROUP)) + 1)]
    options += ["--group-components", *(f"trainings-{size}={size}" for size in sizes)]
    return [*options, *(("--profile", str(profile)) if profile.is_file() else ())]


def _settings(profile: Path) -> Mapping[str, Any]:
    import yaml

    if not profile.is_file():
        return {}
    try:
        table = yaml.safe_load(profile.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())
        raise WorkflowError(f"cannot read the profile {profile}: {why}") from None
    if not isinstance(table, dict):
        raise WorkflowError(f"the profile {profile} must hold lines such as 'retries: 2'")
    return {str(name): value for name, value in table.items()}


def _accounting() -> bool:
    """Tell whether SLURM keeps accounts; without them ``squeue`` alone knows how a job ended."""
    try:
        asked = subprocess.run(
            ["sacct", "--noheader", "--starttime=now"], capture_output=True, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def configuration(executor: Executor, device: str, run: str) -> list[str]:
    """Return what the Snakefile is told, beside what every build tells it."""
    told = [f"run={run}"]
    if executor.partition is not None:
        told.append(f"partition='{executor.partition}'")
    if executor.account is not None:
        told.append(f"account='{executor.account}'")
    if device == "cuda":
        told.append(f"gpus_per_job={executor.gpus or 1}")
    return told


# --- what a job needs ----------------------------------------------------------------------------


def resources(kind: str, seconds: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resources of a rule: on a cluster memory, time, cores, GPUs, and where.

    An attempt that follows one that failed gets :data:`MORE` times the memory and the time.

    Args:
        kind: of job, a name of :data:`MEGABYTES`.
        seconds: wildcards -> the seconds that such a job takes on two cores, or a number.
        config: what the Snakefile was told.
    """
    gpus = int(config.get("gpus_per_job", 1)) if config.get("device") == "cuda" else 0
    if not config.get("run"):  # on one machine GPUs are counted, and nothing else is asked for
        return {} if kind == "book" else {"gpu": gpus}

    def minutes(wildcards: Any, attempt: int) -> int:
        taken = seconds(wildcards) if callable(seconds) else seconds
        return math.ceil((10 + 4 * taken / 60) * MORE ** (attempt - 1))

    def megabytes(wildcards: Any, attempt: int) -> int:
        return int(MEGABYTES[kind] * MORE ** (attempt - 1))

    found: dict[str, Any] = {"mem_mb": megabytes, "runtime": minutes, "cpus_per_task": CORES}
    if gpus and kind != "book":
        found["gpu"] = gpus
    for name in ("partition", "account"):
        if name in config:
            found[f"slurm_{name}"] = str(config[name])
    return found


def group(seconds: float) -> str | None:
    """Return the group of a training: those of one group and size share a job.

    The size is a power of two, so that :data:`GROUPED` seconds of work come together; None: alone.
    """
    together = GROUPED / (seconds + STARTING)
    size = min(2 ** math.ceil(math.log2(together)), MOST_IN_GROUP) if together > 1 else 1
    return f"trainings-{size}" if size > 1 else None


# --- which run a job belongs to ------------------------------------------------------------------


@contextmanager
def at_work(executor: Executor | None) -> Iterator[str]:
    """Be the run at work; yield its name, empty on one machine.

    Whatever an earlier run has left on other machines stops: it finds another name, or none.
    """
    name = ""
    if executor is not None:
        host = re.sub(r"\W", "-", socket.gethostname())
        name = f"run-{host}-{os.getpid()}-{time.time_ns():x}"
    if name or MARK.exists():
        _mark(name)
    try:
        yield name
    finally:
        if name:
            _mark("")


def _mark(name: str) -> None:
    replace_file(MARK, name.encode())


def over(run: str) -> bool:
    """Tell whether a run is over; a mark that cannot be read tells nothing."""
    try:
        return MARK.read_text(encoding="utf-8") != run
    except OSError:
        return False


def arrive(config: Mapping[str, Any]) -> None:
    """Begin a Snakefile: on another machine, jobs find this Python and the name of their run.

    A job that waited in the queue while its run ended stops here, before it touches a file.
    """
    run = str(config.get("run", ""))
    if not run:
        return
    if over(run):
        sys.exit(f"The run {run}, which this job belongs to, is over.")
    os.environ[RUN] = run
    os.environ.setdefault("OMP_NUM_THREADS", str(CORES))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    here = str(Path(sys.executable).parent)
    if os.environ.get("PATH", "").split(os.pathsep)[0] != here:
        os.environ["PATH"] = f"{here}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def stop_with_run() -> None:
    """Watch, in a thread, whether this job's run is at work, and exit when it is over."""
    run = os.environ.get(RUN, "")
    if not run:
        return

    def watch() -> None:
        while not over(run):
            time.sleep(LOOK_EVERY)
        print("stopped: the run that began it is over", flush=True)
        os._exit(1)

    threading.Thread(target=watch, name="stop-with-run", daemon=True).start()


# --- what the executor says ----------------------------------------------------------------------

_ENDED = re.compile(r"SLURM-job '([\d_]+)' failed.*?SLURM status is:\s+'(\w+)'", re.DOTALL)
_REFUSED = re.compile(r"The error message was '(.*?)'\.", re.DOTALL)
_STATES = {
    "TIMEOUT": "it took longer than the time that it was given (SLURM: TIMEOUT), also the last "
    "time; give it more in set-resources of the profile",
    "OUT_OF_MEMORY": "it took more memory than it was given (SLURM: OUT_OF_MEMORY), also the last "
    "time; give it more in set-resources of the profile",
    "NODE_FAIL": "its node was lost (SLURM: NODE_FAIL)",
    "CANCELLED": "it was taken out of the queue or killed (SLURM: CANCELLED)",
    "FAILED": "it ended without saying why (SLURM: FAILED)",
    "PREEMPTED": "another user's job took its place (SLURM: PREEMPTED)",
}


def reasons(log: str) -> dict[str, str]:
    """Return why jobs that could not say so themselves failed, by their log, from Snakemake's log.

    Args:
        log: the text of Snakemake's own log.
    """
    found: dict[str, str] = {}
    for part in re.split(r"^(?=Error in (?:rule|group)\b)", log, flags=re.MULTILINE)[1:]:
        state = _ENDED.search(part)
        refused = _REFUSED.search(part)
        if state:
            why = _STATES.get(state[2], f"SLURM says {state[2]}")
        elif refused:
            why = f"it was not taken into the queue: {' '.join(refused[1].split())}"
        else:
            continue
        # The job's own log comes first, that of the executor second.
        names = re.findall(r"^\s+log: (?:\S*/)?([^/\s,]+)\.log\b", part, re.MULTILINE)
        found |= dict.fromkeys(names, why)
    return found


class Handed:
    """The jobs that Snakemake has handed over so far, by the names of their logs."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.offset = 0
        self.names: set[str] = set()

    def read(self) -> set[str]:
        """Read what is new in Snakemake's log; return all names."""
        try:
            with self.log.open("rb") as file:
                file.seek(self.offset)
                new = file.read()
        except OSError:
            return self.names
        whole = new[: new.rfind(b"\n") + 1]
        self.offset += len(whole)
        text = whole.decode("utf-8", "replace")
        self.names |= set(re.findall(r"^\s+log: (?:\S*/)?(\S+)\.log$", text, re.MULTILINE))
        return self.names
