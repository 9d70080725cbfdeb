"""Jobs on other machines: what they ask for, what is refused, and whole runs on a real SLURM."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm_support
from build_support import ROOT, Project, environment, make_project, wait_for
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from thesis import studies
from workflow import cluster, devices, job, locks, options, progress, terminal
from workflow.cluster import Executor
from workflow.paths import WorkflowError

PLUGIN = "slurm" in ExecutorPluginRegistry().get_registered_plugins()


# --- the command line ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--partition", "short"], "--partition says how jobs run on a cluster"),
        (["--gpus-per-job", "1"], "--gpus-per-job says how jobs run on a cluster"),
        (["--executor", "slurm", "--partition", "a b"], "expected a name, got 'a b'"),
        (["--executor", "slurm", "--gpus-per-job", "0"], "expected a whole number from 1 up"),
        (["--executor", "slurm", "--device", "cpu", "--gpus-per-job", "1"], "leave one of them"),
        (["--executor", "slurm", "--device", "cuda:1"], "use --device cuda"),
        (["batch", "lab", "--account", "A"], "--account says how jobs run on a cluster"),
    ],
)
def test_options_of_a_cluster_are_refused_in_one_sentence(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        options.parse(arguments)
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and told in said and said.count("\n") == 1


def test_an_executor_is_read_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EBMLIB_CALLED_FROM", "/elsewhere")
    given = ["--executor", "slurm", "--partition", "P", "--account", "A", "--gpus-per-job", "1"]
    given += ["--jobs", "7", "--executor-profile", "mine.yaml"]
    wanted = Executor("slurm", "P", "A", 1, Path("/elsewhere/mine.yaml"))
    build = options.parse([*given, "--profile", "full"])
    assert build.executor == wanted and build.jobs == 7
    batch = options.parse(["batch", "lab", "-p", "seed", "0:3", *given]).batch
    assert batch is not None and batch.executor == wanted and batch.jobs == 7
    assert options.parse([]).executor is None


def test_help_names_the_file_with_an_executors_options() -> None:
    done = subprocess.run(
        ["bash", str(ROOT / "run_all.sh"), "--help"], capture_output=True, text=True
    )
    named = re.findall(r"executors/slurm\.yaml", done.stdout)
    assert named and (ROOT / named[0]).is_file()


def test_a_plugin_that_is_not_there_gets_one_sentence_that_installs_it() -> None:
    with pytest.raises(WorkflowError) as refused:
        cluster.check(Executor("nowhere"))
    said = str(refused.value)
    assert "-m pip install 'snakemake-executor-plugin-nowhere'" in said and "\n" not in said


def test_the_extra_names_the_plugin_that_the_message_installs() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'"{cluster.PLUGINS["slurm"]}"' in text


@pytest.mark.skipif(not PLUGIN, reason="snakemake-executor-plugin-slurm is not installed")
def test_without_slurms_commands_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(WorkflowError, match="login node"):
        cluster.check(Executor("slurm"))


@pytest.mark.skipif(not PLUGIN, reason="snakemake-executor-plugin-slurm is not installed")
def test_a_slurm_that_hangs_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("sbatch", "squeue", "scancel"):
        (tmp_path / name).write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(cluster, "PATIENCE", 0.2)
    with pytest.raises(WorkflowError, match="does not answer within"):
        cluster.check(Executor("slurm"))


def test_devices_of_a_cluster_are_not_looked_for_here() -> None:
    assert devices.elsewhere("auto", None) == devices.Device("cpu")
    assert devices.elsewhere("cpu", None) == devices.Device("cpu")
    assert devices.elsewhere("auto", 1) == devices.Device("cuda")
    assert devices.elsewhere("cuda", None) == devices.Device("cuda")


def test_what_a_profile_says_is_left_to_it(tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text("jobs: 9\nretries: 5\nslurm-requeue: true\n", encoding="utf-8")
    executor = Executor("slurm", profile=profile)
    given = cluster.arguments(executor, None, tmp_path)
    assert {"--jobs", "--retries", "--slurm-no-requeue"}.isdisjoint(given)
    assert given[given.index("--latency-wait") + 1] == "60"
    assert given[-2:] == ["--profile", str(profile)]
    given = cluster.arguments(executor, 3, tmp_path)  # the command line goes first
    assert given[given.index("--jobs") + 1] == "3"
    other = cluster.arguments(Executor("cluster-generic"), None, tmp_path)
    assert other[other.index("--jobs") + 1] == str(cluster.JOBS)
    assert not [word for word in other if word.startswith("--slurm")] and "--profile" not in other
    profile.write_text("- jobs\n", encoding="utf-8")
    with pytest.raises(WorkflowError, match="must hold lines such as"):
        cluster.arguments(executor, None, tmp_path)
    profile.write_text("jobs: [\n", encoding="utf-8")
    with pytest.raises(WorkflowError, match="cannot read the profile"):
        cluster.arguments(executor, None, tmp_path)


# --- what a job asks for -------------------------------------------------------------------------


def test_another_attempt_gets_twice_the_memory_and_the_time() -> None:
    told = {"run": "r", "device": "cuda", "gpus_per_job": 1, "partition": "P"}
    found = cluster.resources("model", lambda job: 90.0, told)
    assert [found["mem_mb"](None, attempt) for attempt in (1, 2, 3)] == [2000, 4000, 8000]
    assert [found["runtime"](None, attempt) for attempt in (1, 2, 3)] == [16, 32, 64]
    assert found["gpu"] == 1 and found["slurm_partition"] == "P" and "slurm_account" not in found
    assert "gpu" not in cluster.resources("book", 1, told)
    assert cluster.resources("model", 1.0, {"device": "cuda"}) == {"gpu": 1}
    assert cluster.resources("model", 1.0, {}) == {"gpu": 0}


@pytest.mark.parametrize("seconds", [0.0, 1, 2, 5, 10, 19, 38, 60, 115, 154, 250, 400, 4000])
def test_short_trainings_come_in_jobs_of_several_minutes(seconds: float) -> None:
    name = cluster.group(seconds)
    size = 1 if name is None else int(name.rpartition("-")[2])
    together = size * (seconds + cluster.STARTING)
    assert together >= cluster.GROUPED or size == cluster.MOST_IN_GROUP
    assert size == 1 or together < 2 * cluster.GROUPED
    assert (size == 1) == (seconds + cluster.STARTING >= cluster.GROUPED)
    given = cluster.arguments(Executor("cluster-generic"), None, Path("logs"))
    assert name is None or f"{name}={size}" in given


def plan(target: str, *told: str) -> dict[str, list[str]]:
    """Return what Snakemake would do on a cluster, from nothing: the jobs of every rule."""
    done = subprocess.run(
        [*(sys.executable, "-m", "snakemake", "--dry-run", "--forceall", "--nolock", "--quiet"),
         *("host", "--cores", "1", "--config", *told, "--", target)],
        cwd=ROOT, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    jobs: dict[str, list[str]] = {}
    for block in re.split(r"^(?= *(?:local)?rule )", done.stdout, flags=re.MULTILINE)[1:]:
        jobs.setdefault(block.partition(":")[0].strip(), []).append(block)
    return jobs


@pytest.fixture
def at_work() -> Iterator[str]:
    """A run at work in the project's folder, whose mark is put back."""
    before = cluster.MARK.read_bytes() if cluster.MARK.exists() else None
    with cluster.at_work(Executor("slurm")) as run:
        yield run
    if before is None:
        cluster.MARK.unlink()
    else:
        cluster.MARK.write_bytes(before)


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["default", "full"])
def test_every_model_study_and_chapter_states_memory_time_and_gpu(
    at_work: str, profile: str
) -> None:
    told = (f"profile={profile}", "device=cuda", "gpus_per_job=1", f"run={at_work}", "seeds=2")
    target = {"default": "book", "full": "build/full/results/noise-level.json"}[profile]
    jobs = plan(target, *told)
    expected = {"default": {"rule model", "rule long_model", "rule chapter", "rule book"},
                "full": {"rule model", "rule study"}}  # fmt: skip
    assert {kind for kind in jobs if kind.startswith("rule ")} == expected[profile]
    for kind in expected[profile]:
        for block in jobs[kind]:
            stated = dict(re.findall(r"(\w+)=([^,\s]+)", block.partition("resources:")[2]))
            assert int(stated["mem_mb"]) >= 1000 and int(stated["runtime"]) >= 10, block
            assert int(stated["cpus_per_task"]) == cluster.CORES
            assert (stated.get("gpu") == "1") == (kind != "rule book")
    if profile == "full":  # every training of the study is a job, and the study waits for them
        (study,) = jobs["rule study"]
        waits = set(re.findall(r"build/full/models/[^,\s]+", study.partition("output:")[0]))
        made = re.findall(r"output: (\S+)", "".join(jobs["rule model"]))
        assert waits == set(made) and len(made) == 2 * len(studies.study("noise-level").conditions)


def test_a_job_of_a_run_that_is_over_touches_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "MARK", tmp_path / "mark")
    for name in (cluster.RUN, "OMP_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", "/bin")
    with cluster.at_work(Executor("slurm")) as first:
        cluster.arrive({"run": first})
        assert os.environ[cluster.RUN] == first
        assert os.environ["PATH"].split(":") == [str(Path(sys.executable).parent), "/bin"]
    with pytest.raises(SystemExit, match="is over"):
        cluster.arrive({"run": first})
    with cluster.at_work(Executor("slurm")) as second:
        assert cluster.over(first) and not cluster.over(second)
    with cluster.at_work(Executor("slurm")) as third, cluster.at_work(None):
        assert cluster.over(third)  # a build on one machine also ends what was left elsewhere
    cluster.MARK.unlink()
    assert not cluster.over(third)  # what cannot be read stops nothing
    cluster.arrive({})  # without an executor nothing is asked


def test_a_running_job_stops_when_another_run_is_at_work(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from workflow import cluster;"
        "cluster.MARK, cluster.LOOK_EVERY = Path(sys.argv[1]), 0.05; cluster.stop_with_run();"
        "print('at work', flush=True); time.sleep(120)"
    )
    mark = tmp_path / "mark"
    mark.write_text("first", encoding="utf-8")
    running = subprocess.Popen(
        [sys.executable, "-c", code, str(mark)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), cluster.RUN: "first"},
    )  # fmt: skip
    assert running.stdout is not None and running.stdout.readline() == "at work\n"
    time.sleep(0.5)
    assert running.poll() is None
    mark.unlink()  # what cannot be read stops nothing
    time.sleep(0.5)
    assert running.poll() is None
    mark.write_text("second", encoding="utf-8")
    assert running.wait(60) == 1
    assert "the run that began it is over" in running.stdout.read()


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (ValueError("cell 3 is wrong"), 1),
        (OSError("the shared disk went away"), 2),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 2),
    ],
)
def test_only_what_a_further_attempt_may_mend_is_done_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    attempts: int,
) -> None:
    told = tmp_path / "here.progress"
    for module in (cluster, locks, job):
        monkeypatch.setattr(module, "BUILD", tmp_path)
    monkeypatch.setattr(cluster, "MARK", tmp_path / "mark")
    monkeypatch.setattr(cluster, "stop_with_run", lambda: None)  # it ends the process
    monkeypatch.setattr(job, "progress_file", lambda profile, name: told)
    monkeypatch.setattr(job.locks, "die_with_parent", lambda last_act: None)
    monkeypatch.setattr(job.surroundings, "adopt", lambda: None)
    for name in (cluster.RUN, "IPYTHONDIR", "EBMLIB_PROGRESS", "EBMLIB_STORE"):
        monkeypatch.setenv(name, "")
    done = []

    def work() -> None:
        done.append(1)
        raise error

    for expected in (attempts, 2 * attempts):  # what another run has seen counts for nothing
        with cluster.at_work(Executor("slurm")) as run:
            monkeypatch.setenv(cluster.RUN, run)
            for _ in range(2):
                (tmp_path / "here.log").write_text("the log of this attempt\n", encoding="utf-8")
                assert job.run("here", "default", work) == 1
        assert len(done) == expected
    assert ("the log of this attempt" in capsys.readouterr().out) == (attempts == 1)


def test_the_page_shows_the_profile_that_is_there() -> None:
    page = (ROOT / "book" / "cluster.md").read_text(encoding="utf-8")
    profile = cluster.PROFILES / "slurm.yaml"
    assert f"```yaml\n{profile.read_text(encoding='utf-8')}```" in page
    for kind, most in cluster.MEGABYTES.items():
        assert re.search(rf"\|[^|]*\b{kind}\b[^|]*\| {most // 1000} GB \|", page), kind
    given = cluster.arguments(Executor("slurm", profile=profile), None, ROOT)
    assert "--jobs" not in given and "--retries" not in given


def test_the_page_s_numbers_are_those_of_the_simulation() -> None:
    page = " ".join((ROOT / "book" / "cluster.md").read_text(encoding="utf-8").split())
    record = json.loads((ROOT / "benchmarks/results/scheduler.json").read_text(encoding="utf-8"))
    rows = {(r["trainings"], r["together"], r["at_once"]): r for r in record["simulated"]}
    shown = re.findall(r"\| ([\d,]+) \| ([\d,]+) \| ([\d.]+) \| ([\d.]+) \| ([\d,]+) \| ([\d,]+) "
                       r"\| ([\d.]+) GB \|", page)  # fmt: skip
    assert len(shown) == 3
    for size, jobs, few, many, core_hours, kept, models in shown:
        number = int(size.replace(",", ""))
        row, faster = rows[number, True, 50], rows[number, True, 500]
        told = (f"{row['jobs']:,}", f"{row['hours']:.1f}", f"{faster['hours']:.1f}",
                f"{row['core_hours']:,.0f}", f"{row['files']:,}")  # fmt: skip
        assert told == (jobs, few, many, core_hours, kept), size
        assert float(models) == pytest.approx(row["gigabytes"], abs=0.5 if number > 520 else 0.05)
    together, alone = rows[100_000, True, 50], rows[100_000, False, 50]
    assert (
        f"take {alone['core_hours']:,.0f} core hours instead of {together['core_hours']:,.0f}"
        in page
    )
    assert round(alone["jobs"] / together["jobs"]) == 9 and "nine times as many jobs" in page
    measured = record["measured"]
    per_second = measured["slurm"]["submissions_per_second"]
    job = 2 * (measured["snakemake"]["processor"] + measured["studies"]["processor"])
    for told in (
        f"A submission takes {1 / per_second:.2f} seconds", f"the {per_second:.0f} a second that",
        f"a job costs {job:.0f} seconds", f"{measured['row_bytes'] / 1000:.1f} kB a row",
        f"training {measured['tiny_training']['processor']:.0f} seconds",
    ):  # fmt: skip
        assert told in page, told
    assert together["planning_hours"] * 60 == pytest.approx(10, abs=3)  # about ten minutes


def test_a_file_system_without_locks_is_refused_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(locks, "BUILD", tmp_path)
    monkeypatch.setattr(locks.fcntl, "flock", unknown)
    with pytest.raises(WorkflowError, match="has no locks"), locks.exclusive("lock", "waiting"):
        pass


# --- what the executor says -----------------------------------------------------------------------

LOG = """\
[Wed Nov 25 17:08:21 2026]
rule chapter:
    log: build/default/logs/other.log
    jobid: 2
Error in rule chapter:
    message: SLURM-job '7' failed, SLURM status is: 'TIMEOUT'. Detailed failure reason unavailable
    jobid: 2
    log: build/default/logs/other.log, /x/logs/slurm/rule_chapter/other/7.log (check log file(s))
[Wed Nov 25 17:08:22 2026]
Error in rule chapter:
    message: SLURM sbatch failed. The error message was 'sbatch: error: invalid partition
sbatch: error: Batch job submission failed'.
    jobid: 1
    log: build/default/logs/waiting.log (check log file(s) for error details)
Error in rule chapter:
    message: None
    log: build/default/logs/third.log (check log file(s) for error details)
"""


def test_why_slurm_stopped_a_job_is_told_by_its_name(tmp_path: Path) -> None:
    found = cluster.reasons(LOG)
    assert set(found) == {"other", "waiting"}
    assert "TIMEOUT" in found["other"] and "set-resources" in found["other"]
    assert found["waiting"].endswith("sbatch: error: Batch job submission failed")
    assert "\n" not in found["waiting"]
    log = tmp_path / "snakemake.log"
    log.write_text(LOG, encoding="utf-8")
    names = ["other", "waiting"]
    shown = terminal.Display(cluster.ROOT / "build", names, 0, log, remote=True)
    shown.finish()
    shown.folder = ROOT / "build" / "nowhere"
    assert shown._lines() == ["  in the queue: 1 jobs that have not begun"]
    assert [text.partition(":")[0] for text in shown.failures()] == [
        "Chapter 'other' failed", "Chapter 'waiting' failed",
    ]  # fmt: skip
    # A later attempt of the one ended well, and the other says itself why it failed.
    for name, ok in (("other", True), ("waiting", False)):
        path = tmp_path / f"{name}.progress"
        shown.chapters[name] = progress.Progress(path)
        progress.begin(path)
        progress.append(path, event="end", ok=ok, seconds=1, reason="" if ok else "cell 2: why")
        shown.chapters[name].read()
    (sentence,) = shown.failures()
    assert sentence.startswith("Chapter 'waiting' failed: cell 2: why")


# --- whole runs on a real SLURM -------------------------------------------------------------------

needs_slurm = pytest.mark.skipif(
    bool(slurm_support.missing()) or not PLUGIN,
    reason=slurm_support.missing() or "snakemake-executor-plugin-slurm is not installed",
)
FAST = "retries: 1\nlatency-wait: 20\nslurm-init-seconds-before-status-checks: 1\n"


@pytest.fixture(scope="module")
def real() -> Iterator[slurm_support.Slurm]:
    """A SLURM of one node; a machine where it cannot run skips, and says why."""
    before = dict(os.environ)
    try:
        with slurm_support.slurm() as running:
            os.environ.update(running.environment)
            yield running
    except RuntimeError as error:
        pytest.skip(f"SLURM does not run here: {error}")
    finally:
        os.environ.clear()
        os.environ.update(before)


class Build:
    """A build on the cluster, under way, with what it has said so far."""

    def __init__(self, project: Project) -> None:
        (project.root / "fast.yaml").write_text(FAST, encoding="utf-8")
        self.process = project.start(
            "--executor", "slurm", "--partition", "short", "--jobs", "5", "--no-book",
            "--executor-profile", str(project.root / "fast.yaml"),
        )  # fmt: skip
        self.said = self.errors = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        self.said, self.errors = self.process.communicate()

    def end(self, seconds: float = 240) -> int:
        self.reader.join(seconds)
        assert self.process.returncode is not None, f"not over after {seconds} s"
        return self.process.returncode


@needs_slurm
@pytest.mark.slow
def test_short_runs_of_a_batch_share_a_job(real: slurm_support.Slurm, tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    (project.root / "fast.yaml").write_text(FAST, encoding="utf-8")
    options = ["-p", "text", "a,b,c", "--name", "mine", "--device", "cpu", "--no-setup"]
    options += ["--executor", "slurm", "--executor-profile", str(project.root / "fast.yaml")]
    before = set(real.jobs("all"))
    done = project.run(command=[sys.executable, "-m", "workflow", "batch", "other", *options])
    assert done.code == 0 and "3 of 3 runs are there" in done.out, str(done)
    (number,) = set(real.jobs("all")) - before
    stated = real.ask("squeue", "--noheader", "--states=all", f"--jobs={number}", "--format=%m %l")
    assert stated == "4000M 36:00"  # the memory of one, since they come one after the other
    assert (project.root / "build/batch/mine/index.html").is_file()
    again = project.run(command=[sys.executable, "-m", "workflow", "batch", "other", *options])
    assert again.code == 0 and "Everything is up to date." in again.out, str(again)
    assert set(real.jobs("all")) - before == {number}


@needs_slurm
@pytest.mark.slow
def test_a_killed_job_is_tried_again_with_more_and_the_run_ends_well(
    real: slurm_support.Slurm, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "project")
    project.build("hold").touch()
    project.build("break").touch()  # the other chapter fails, and says so
    build = Build(project)
    wait_for(project.build("kernel").exists, "the chapter that waits", 120)
    (number,) = (
        line.split()[0]
        for line in real.ask("squeue", "--noheader", "--format=%i %k %m").splitlines()
        if "waiting" in line and "4000M" in line
    )
    real.ask("scancel", number)
    project.build("hold").unlink()

    def again() -> bool:
        jobs = real.ask("squeue", "--noheader", "--states=all", "--format=%k %m").splitlines()
        return any("waiting" in job and "8000M" in job for job in jobs)

    wait_for(again, "another attempt with twice the memory", 120)
    assert build.end() == 1, build.said
    assert "  waiting: done in" in build.said and "in the queue: " in build.said
    assert project.notebook("waiting").exists()
    # A second attempt would have succeeded, had the chapter been executed again.
    assert build.said.count("other: FAILED") == 1
    assert "Chapter 'other' failed: cell 3: ValueError: asked to break" in build.errors
    assert "Chapter 'waiting' failed" not in build.errors
    assert "ValueError: asked to break" in project.build("default/logs/other.log").read_text()
    done = project.run("--no-book")  # on this machine: what is there is kept
    assert done.code == 0 and "(1 of 2 executed)" in done.out, str(done)


@needs_slurm
@pytest.mark.slow
def test_the_same_command_goes_on_after_a_lost_head_and_a_lost_node(
    real: slurm_support.Slurm, tmp_path: Path
) -> None:
    project = make_project(tmp_path / "project")
    project.build("hold").touch()
    build = Build(project)
    wait_for(project.build("kernel").exists, "the chapter that waits", 120)
    build.process.kill()
    build.end()
    project.build("kernel").unlink()
    build = Build(project)
    wait_for(project.build("kernel").exists, "the chapter that waits, once more", 180)
    before = set(real.jobs("all"))
    real.kill("slurmd")

    def lost() -> bool:
        return "NODE_FAIL" in real.ask("squeue", "--noheader", "--states=all", "--format=%T")

    wait_for(lost, "the node lost", 120)
    wait_for(lambda: set(real.jobs("all")) - before, "another attempt", 120)
    real.start_node()
    project.build("hold").unlink()
    assert build.end() == 0, build.said
    assert project.notebook("waiting").exists() and project.notebook("other").exists()
