"""A real SLURM of one node, for tests: no systemd, no cgroups, no accounting database, no root.

Debian's ``slurmctld``, ``slurmd`` and ``munge`` are started as the user who runs the tests, with
sockets, ports and folders of their own, so that a cluster which this machine may belong to is not
touched. Job states come from ``squeue``, since nothing else keeps them.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SBIN = ("/usr/sbin", "/usr/local/sbin", "/sbin")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "srun", "scancel", "sinfo")
NODE = "tiny"

CONF = """\
ClusterName=tiny
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
SlurmctldPort={ctld}
SlurmdPort={slurmd}
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={here}/munge.sock
StateSaveLocation={here}/state
SlurmdSpoolDir={here}/spool
SlurmctldPidFile={here}/slurmctld.pid
SlurmdPidFile={here}/slurmd.pid
SlurmctldLogFile={here}/slurmctld.log
SlurmdLogFile={here}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,defer_batch,sched_min_interval=0
SlurmdTimeout=6
SlurmctldTimeout=6
InactiveLimit=0
KillWait=2
OverTimeLimit=0
MinJobAge=300
MaxArraySize=10001
ReturnToService=2
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1
PartitionName=short Nodes={node} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str:
    """Say in one sentence why no SLURM can be started here; empty if one can."""
    lacking = [name for name in PROGRAMS if _find(name) is None]
    if lacking:
        return f"SLURM is not installed ({', '.join(lacking)}); Debian: slurmctld slurmd munge"
    return ""


def _find(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *SBIN]))


def _port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Slurm:
    """The running daemons, and what the clients' commands need."""

    folder: Path
    processes: dict[str, subprocess.Popen[bytes]]

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables by which commands find this SLURM."""
        return {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        }

    def ask(self, *command: str) -> str:
        """Run a client command; return what it says."""
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=60,
            env={**os.environ, **self.environment},
        )  # fmt: skip
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def jobs(self, states: str = "running") -> list[str]:
        """Return the numbers of the jobs in some states."""
        return self.ask("squeue", "--noheader", "--format=%i", f"--states={states}").split()

    def start(self, name: str, *options: str) -> None:
        """Start a daemon in the foreground of a process of its own."""
        program = _find(name)
        assert program is not None
        # A test run that is killed takes its daemons with it.
        bound = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        with (self.folder / f"{name}.out").open("ab") as out:
            self.processes[name] = subprocess.Popen(
                [*bound, program, *options], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env={**os.environ, **self.environment}, start_new_session=True,
            )  # fmt: skip

    def start_node(self) -> None:
        """Start the node's daemon and wait until the node takes jobs."""
        self.start("slurmd", "-D", "-N", NODE)
        self.until("idle", "mixed", "allocated")

    def until(self, *states: str) -> None:
        """Wait until the node is in one of some states."""
        said = ""
        for _ in range(150):
            with suppress(AssertionError):
                said = self.ask("sinfo", "--noheader", "--format=%T")
                if said in states:
                    return
            time.sleep(0.2)
        logs = [(self.folder / f"{name}.log") for name in ("slurmctld", "slurmd")]
        tails = "\n".join(path.read_text()[-800:] for path in logs if path.exists())
        raise RuntimeError(f"the node is '{said}', not {states}:\n{tails}")

    def kill(self, name: str) -> None:
        """Kill a daemon."""
        process = self.processes.pop(name)
        process.kill()
        process.wait()


@contextmanager
def slurm(cpus: int = 4, memory: int = 16000) -> Iterator[Slurm]:
    """Run a SLURM of one node, as large as is said whatever the machine has.

    Raises:
        RuntimeError: a daemon does not come up; it says what its log says.
    """
    # A socket's path is short, so not in pytest's folder.
    with tempfile.TemporaryDirectory(prefix="slurm", ignore_cleanup_errors=True) as place:
        here = Path(place)
        for name in ("state", "spool"):
            (here / name).mkdir()
        # In a job the plugin calls srun without SLURM_CONF: it counts on /etc/slurm/slurm.conf.
        wrapper = here / "bin" / "srun"
        wrapper.parent.mkdir()
        wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={here}/slurm.conf exec {_find("srun")} "$@"\n')
        wrapper.chmod(0o755)
        key = here / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        text = CONF.format(
            here=here, user=getpass.getuser(), host=socket.gethostname().partition(".")[0],
            ctld=_port(), slurmd=_port(), node=NODE, cpus=cpus, memory=memory,
        )  # fmt: skip
        (here / "slurm.conf").write_text(text, encoding="utf-8")
        (here / "gres.conf").write_text(
            f"NodeName={NODE} Name=gpu File=/dev/null\n", encoding="utf-8"
        )
        running = Slurm(here, {})
        try:
            running.start(
                "munged", "--foreground", "--force", f"--key-file={key}",
                f"--socket={here}/munge.sock", f"--pid-file={here}/munged.pid",
                f"--log-file={here}/munged.log", f"--seed-file={here}/munged.seed",
            )  # fmt: skip
            for _ in range(100):
                if (here / "munge.sock").exists():
                    break
                time.sleep(0.1)
            running.start("slurmctld", "-D", "-c")
            running.start_node()
            yield running
        finally:
            with suppress(AssertionError, subprocess.TimeoutExpired):
                running.ask("scancel", "--signal=KILL", "--full", "--user", getpass.getuser())
            for process in reversed(list(running.processes.values())):
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
