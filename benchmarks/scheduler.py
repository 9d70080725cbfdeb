"""How time and cost grow on a cluster, up to 100,000 trainings: measured pieces, simulated whole.

    python -m benchmarks.scheduler             # measures here, simulates, writes results and figure
    python -m benchmarks.scheduler --simulate  # simulates from what was measured before

Measured on a SLURM of one node that is started for it (tests/slurm_support.py): submissions per
second, what an empty job costs through Snakemake, how long a question about all states takes.
Measured without SLURM: how long Snakemake plans, the process of a training, the size of what is
kept.

Simulated is the head process of ``./run_all.sh --executor slurm``: it submits, at most ``--jobs``
at a time, and notices an end when it next asks. Trainings last what the thesis's 520 do.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import RESULTS, provenance, summary, warn_if_busy, write

ROOT = RESULTS.parents[1]
SIZES = (100, 520, 1000, 3000, 10_000, 30_000, 100_000)
JOBS = (50, 500)
ASKING = 20.0
"""Seconds between two questions about the states, in executors/slurm.yaml."""

MOST_BETWEEN = 180.0
"""The plugin asks ten seconds later each time that nothing has ended, up to this."""


# --- measured -------------------------------------------------------------------------------------


def measure() -> dict[str, Any]:
    """Measure the pieces; each stands under the name that the simulation asks for."""
    found: dict[str, Any] = {}
    found["row_bytes"] = _row_bytes()
    found["slurm"] = _slurm()
    print("SLURM:", found["slurm"], flush=True)
    found["snakemake"] = _job()
    found["studies"] = _spent([sys.executable, "-c", _STUDIES], ROOT)  # as the Snakefile does
    found["tiny_training"] = _training()
    print("a tiny training:", found["tiny_training"], flush=True)
    found["planning"] = {str(jobs): _planning(jobs) for jobs in (100, 300, 1000)}
    print("planning:", found["planning"], flush=True)
    return found


def _spent(command: list[str], here: str | Path, **environment: str) -> dict[str, float]:
    """Seconds on the clock and of the processor, and the peak of memory, of a command.

    Seconds of the processor are what the simulation takes: others at work do not change them.
    """
    begun = time.perf_counter()
    running = subprocess.Popen(
        command, cwd=here, env={**os.environ, **environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert running.stderr is not None
    said = running.stderr.read().decode()
    _, status, used = os.wait4(running.pid, 0)
    assert not status, said
    return {
        "clock": time.perf_counter() - begun,
        "processor": used.ru_utime + used.ru_stime,
        "peak_megabytes": used.ru_maxrss / 1024,
    }


def _training() -> dict[str, float]:
    """A training of a second in a process of its own, and what it leaves in the store."""
    code = "from thesis import Companion; Companion('smoke', 'cpu').trained('circle')"
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-W", "ignore", "-c", code]
        found = _spent(command, ROOT, EBMLIB_STORE=place)
        kept = [path for path in Path(place).rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in kept)
    return {**found, "files": len(kept), "bytes": size}


_PLAN = """\
rule all:
    input: expand("{{i}}.done", i=range({jobs}))
rule train:
    input: {inputs}
    output: "{{i}}.done"
    group: "g"
    resources: mem_mb=lambda w, attempt: 2000 * attempt, runtime=lambda w, attempt: 10 * attempt
    shell: "touch {{output}}"
"""


def _planning(jobs: int) -> dict[str, float]:
    """Snakemake's plan of many jobs, each made from as many files as a training is."""
    from workflow.chapters import training_files

    with tempfile.TemporaryDirectory() as place:
        here = Path(place)
        names = [f"in{number}" for number in range(len(training_files()))]
        for name in names:
            (here / name).touch()
        (here / "Snakefile").write_text(_PLAN.format(jobs=jobs, inputs=names))
        command = [*(sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "all"),
                   *("--cores", "1", "--nolock")]  # fmt: skip
        return _spent(command, here)


_STUDIES = "from thesis.studies import studies; studies()"


def _job() -> dict[str, float]:
    """One of the two Snakemakes that a job starts, around work that takes no time."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "Snakefile").write_text(_EMPTY)
        command = [sys.executable, "-m", "snakemake", "--cores", "1", "--nolock", "0.done"]
        return _spent(command, place)


def _row_bytes() -> float:
    files = [json.loads(path.read_text()) for path in (ROOT / "thesis/results").glob("*.json")]
    rows = [len(json.dumps(row)) for each in files for row in each["rows"]]
    return sum(rows) / len(rows)


def _slurm() -> dict[str, Any] | str:
    sys.path.insert(0, str(ROOT / "tests"))
    import slurm_support

    if lacking := slurm_support.missing():
        return lacking
    with slurm_support.slurm(cpus=4) as real:
        os.environ.update(real.environment)
        begun = time.perf_counter()
        calls = [
            subprocess.Popen(
                f"for i in $(seq {count}); do sbatch -o /dev/null --hold --wrap true; done",
                shell=True, stdout=subprocess.DEVNULL,
            )
            for count in (50, 50)  # the plugin submits from two threads
        ]  # fmt: skip
        for call in calls:
            call.wait()
        rate = 100 / (time.perf_counter() - begun)
        real.ask("scancel", "--user", os.environ.get("USER", "root"))
        asking = {}
        for jobs in (100, 1000, 4000):
            real.ask("sbatch", "-o", "/dev/null", "--hold", f"--array=1-{jobs}", "--wrap", "true",
                     "--job-name", f"n{jobs}")  # fmt: skip
            taken = []
            for _ in range(3):
                begun = time.perf_counter()
                real.ask("squeue", "--array", "--noheader", "--states=all", "--format=%i|%T",
                         f"--name=n{jobs}")  # fmt: skip
                taken.append(time.perf_counter() - begun)
            asking[str(jobs)] = summary(taken)
        real.ask("scancel", "--user", os.environ.get("USER", "root"))
        return {"submissions_per_second": rate, "asking_seconds": asking, "empty_job": _empty(real)}


_EMPTY = """\
rule all:
    input: expand("{i}.done", i=range(6))
rule empty:
    output: "{i}.done"
    resources: mem_mb=500, runtime=5
    shell: "touch {output}"
"""


def _empty(real: Any) -> dict[str, float]:
    """Seconds of jobs that do nothing, through Snakemake and its plugin, two at a time."""
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "Snakefile").write_text(_EMPTY)
        command = [*(sys.executable, "-m", "snakemake", "--executor", "slurm", "--jobs", "2"),
                   *("--slurm-status-command", "squeue", "--cores", "1", "--nolock"),
                   *("--slurm-init-seconds-before-status-checks", "1")]  # fmt: skip
        done = subprocess.run(command, cwd=place, capture_output=True, text=True)
        assert not done.returncode, done.stderr
    ended = real.ask("squeue", "--noheader", "--states=CD", "--format=%S %e").splitlines()
    taken = []
    for line in ended:
        start, end = (
            time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) for text in line.split()
        )
        taken.append(end - start)
    return summary(taken)


# --- simulated ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cluster:
    """What the simulation takes from the measurement.

    Attributes:
        submissions: jobs that the head submits in a second.
        job: seconds that a job costs beside its trainings: two starts of Snakemake.
        training: seconds that a training's process costs beside its updates.
    """

    submissions: float
    job: float
    training: float


def lengths() -> list[float]:
    """Seconds of updates of every training of the thesis's studies, on two cores."""
    from thesis.conditions import condition
    from thesis.runs import sampler_updates
    from thesis.studies import studies, study
    from workflow.batch import SECONDS_PER_UPDATE

    named = {
        (name, seed)
        for each in studies()
        for name in study(each).conditions
        for seed in range(study(each).planned_seeds)
    }
    return sorted(sampler_updates(condition(name)) * SECONDS_PER_UPDATE for name, _ in named)


def kept_bytes() -> float:
    """Bytes of weights that a training of the thesis's studies keeps, snapshots too; their mean."""
    from ebmlib import EnergyModel, seeding
    from thesis.conditions import condition
    from thesis.studies import studies, study

    sizes = []
    for each in studies():
        for name in study(each).conditions:
            run = condition(name)
            dim = run.features.dim(2, 2)
            model = EnergyModel(run.energy, dim, 2, generator=seeding.generator(0, "weights"))
            every = run.training.snapshot_every
            count = 1 + (0 if every is None else 1 + run.training.epochs // every)
            weights = sum(tensor.numel() for tensor in model.state_dict().values())
            sizes += [4 * count * weights] * study(each).planned_seeds
    return sum(sizes) / len(sizes)


def grouped(seconds: list[float], together: bool) -> list[list[float]]:
    """Trainings as jobs: each alone, or those of one size class together (workflow/cluster.py)."""
    from workflow.cluster import group

    if not together:
        return [[each] for each in seconds]
    classes: dict[str | None, list[float]] = {}
    for each in seconds:
        classes.setdefault(group(each), []).append(each)
    jobs = []
    for name, members in classes.items():
        size = int(name.rpartition("-")[2]) if name else 1
        jobs += [members[start : start + size] for start in range(0, len(members), size)]
    return jobs


def simulate(jobs: list[list[float]], at_once: int, cluster: Cluster) -> dict[str, float]:
    """Run the head process over the jobs; every job that is submitted starts at once.

    Returns:
        ``hours`` until the last end is noticed; ``core_hours`` (two cores a job); ``busy``: the
        part of them in which trainings advance; ``per_minute``: submissions in the busiest minute;
        ``questions``: how often the states were asked for.
    """
    left = list(reversed(jobs))
    running: list[float] = []
    clock, pause, used, questions = 0.0, ASKING, 0.0, 0
    submitted: list[float] = []
    while left or running:
        begun = clock
        while left and len(running) < at_once:
            clock += 1 / cluster.submissions
            members = left.pop()
            seconds = cluster.job + sum(each + cluster.training for each in members)
            heapq.heappush(running, clock + seconds)
            used += seconds
            submitted.append(clock)
        clock = max(clock, begun + pause)
        questions += 1
        ended = 0
        while running and running[0] <= clock:
            heapq.heappop(running)
            ended += 1
        pause = ASKING if ended else min(pause + 10, MOST_BETWEEN)
    minutes: dict[int, int] = {}
    for each in submitted:
        minutes[int(each // 60)] = minutes.get(int(each // 60), 0) + 1
    return {
        "hours": clock / 3600,
        "core_hours": 2 * used / 3600,
        "busy": sum(map(sum, jobs)) / used,
        "jobs": len(jobs),
        "per_minute": max(minutes.values()),
        "questions": questions,
    }


def table(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Simulate every size, alone and together, for every bound on jobs at one time."""
    slurm = measured["slurm"]
    cluster = Cluster(
        slurm["submissions_per_second"],
        2 * (measured["snakemake"]["processor"] + measured["studies"]["processor"]),
        measured["tiny_training"]["processor"],
    )
    drawn = random.Random(0)
    known, kept = lengths(), kept_bytes()
    rows = []
    start, slope = line(measured["planning"])
    for size in SIZES:
        seconds = known if size == len(known) else drawn.choices(known, k=size)
        for together in (False, True):
            jobs = grouped(seconds, together)
            drawn.shuffle(jobs)
            for at_once in JOBS:
                row = {"trainings": size, "together": together, "at_once": at_once}
                row |= simulate(jobs, at_once, cluster)
                # beside the store: a stamp, a log and a progress file
                row["files"] = size * (measured["tiny_training"]["files"] + 3)
                row["gigabytes"] = size * kept / 1e9
                row["rows_megabytes"] = size * measured["row_bytes"] / 1e6
                row["planning_hours"] = (start + slope * size) / 3600
                rows.append(row)
    return rows


def line(planning: Mapping[str, Mapping[str, float]]) -> tuple[float, float]:
    """Draw a line through the two largest plans: processor seconds, and those of each job."""
    (few, first), (many, second) = sorted((int(n), p["processor"]) for n, p in planning.items())[
        -2:
    ]
    slope = (second - first) / (many - few)
    return first - slope * few, slope


def draw(rows: list[dict[str, Any]], place: Path) -> None:
    """Draw hours, jobs and files over the number of trainings."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"svg.hashsalt": "scheduler", "svg.fonttype": "path", "font.size": 10})
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.5), layout="constrained")
    grouped = {True: "grouped", False: "one training a job"}
    for at_once, colour in zip(JOBS, ("#0b6e99", "#b3541e"), strict=True):
        for together, style in ((True, "-o"), (False, "--o")):
            chosen = [r for r in rows if r["together"] == together and r["at_once"] == at_once]
            sizes = [r["trainings"] for r in chosen]
            looks = {"markersize": 3, "color": colour}
            label = f"{at_once} jobs at once, {grouped[together]}"
            axes[0].plot(sizes, [r["hours"] for r in chosen], style, label=label, **looks)
            if at_once == JOBS[0]:
                looks["color"] = "#333333"
                count = [r["jobs"] for r in chosen]
                axes[1].plot(sizes, count, style, label=grouped[together], **looks)
    axes[2].plot(sizes, [r["files"] for r in chosen], "-o", markersize=3, label="files")
    size = [1000 * r["gigabytes"] for r in chosen]
    axes[2].plot(sizes, size, "--o", markersize=3, label="megabytes of models")
    for axis, title in zip(axes, ("Hours", "Jobs of the scheduler", "What is kept"), strict=True):
        axis.set(xscale="log", yscale="log", title=title, xlabel="trainings")
        axis.grid(alpha=0.25)
        axis.legend(fontsize=7, frameon=False)
    figure.savefig(place, metadata={"Date": None}, facecolor="white")
    plt.close(figure)
    text = re.sub(r"[ \t]+$", "", place.read_text(encoding="utf-8"), flags=re.MULTILINE)
    place.write_text(text, encoding="utf-8")


def main() -> None:
    """Measure, simulate, print a table, write results/scheduler.json and the page's figure."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--simulate", action="store_true", help="from what was measured before")
    parser.add_argument("--note", default="", help="kept with the figures")
    settings = parser.parse_args()
    path = RESULTS / "scheduler.json"
    if settings.simulate:
        record = json.loads(path.read_text(encoding="utf-8"))
    else:
        warn_if_busy()
        record = provenance() | {"note": settings.note, "measured": measure()}
        if isinstance(record["measured"]["slurm"], str):
            sys.exit(record["measured"]["slurm"])
    record["simulated"] = rows = table(record["measured"])
    print(
        "trainings  grouped  at once     jobs   hours  core hours  busy  jobs/min    files     GB"
    )
    for r in rows:
        print(
            f"{r['trainings']:>9,}  {r['together']!s:>7}  {r['at_once']:>7}  {r['jobs']:>7,}  "
            f"{r['hours']:>6.1f}  {r['core_hours']:>10,.0f}  {r['busy']:>4.0%}  "
            f"{r['per_minute']:>8}  {r['files']:>7,}  {r['gigabytes']:>5.1f}"
        )
    write("scheduler", record)
    draw(rows, ROOT / "book" / "assets" / "scheduler.svg")


if __name__ == "__main__":
    main()
