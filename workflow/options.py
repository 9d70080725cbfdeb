"""The command line of run_all.sh. Standard library only."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from workflow import batch
from workflow.batch import Request
from workflow.cluster import Executor
from workflow.paths import PROFILES

DESCRIPTION = """\
Set everything up, execute the chapters, render the book. Nothing is done twice: a second call does
what is missing or out of date, also after an interruption of any kind.

  ./run_all.sh [options]               build the book
  ./run_all.sh pdf [options]           build the book, then print it to build/PROFILE/book.pdf
  ./run_all.sh batch CHAPTER -p ...    execute a chapter many times (batch --help says how)
  ./run_all.sh test [--fast] [pytest options]
                                       set up and run the tests; --fast: those of a few seconds,
                                       without a browser and without building the book
  ./run_all.sh setup                   set up and stop
  ./run_all.sh clean                   remove executed chapters and books; trained models stay
"""
EPILOG = """\
profiles:
  smoke     every chapter, tiny: to see that everything works
  default   what the book shows
  full      all seeds: hours

on a cluster (the book's page "On a cluster" says more):
  --executor slurm makes every model, study and chapter a job of SLURM, through Snakemake's plugin.
  Its other options stand in a Snakemake profile, executors/slurm.yaml: the file to change or copy.
  For another plugin, cluster-generic say, executors/cluster-generic.yaml is read where it is there.

PYTHON=/path/to/python ./run_all.sh takes that Python to make the virtual environment.
"""


@dataclass(frozen=True)
class Options:
    """What the user asked for."""

    command: str  # build, pdf, batch, test, setup or clean
    profile: str = "default"
    chapters: tuple[str, ...] = ()
    seeds: int | None = None
    device: str = "auto"
    jobs: int | None = None
    executor: Executor | None = None
    book: bool = True
    setup: bool = True
    pytest: tuple[str, ...] = ()
    batch: Request | None = None


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"run_all.sh: {message}; ./run_all.sh --help lists the options", file=sys.stderr)
        sys.exit(2)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 up, got '{text}'")
    return int(text)


def _word(text: str) -> str:
    if not re.fullmatch(r"[\w.,@+-]+", text):
        raise argparse.ArgumentTypeError(f"expected a name, got '{text}'")
    return text


def add_executor(add: Callable[..., Any]) -> None:
    """Add the options for jobs on other machines."""
    through = "run the jobs through a Snakemake executor plugin: slurm, or another by its name"
    profile = "with --executor: its options, a Snakemake profile (as a rule executors/NAME.yaml)"
    gpus = "with --executor: GPUs for each job; jobs then compute on one"
    add("--executor", type=_word, metavar="NAME", help=through)
    add("--partition", type=_word, metavar="P", help="with --executor: SLURM's partition")
    add("--account", type=_word, metavar="A", help="with --executor: SLURM's account")
    add("--gpus-per-job", type=_count, metavar="N", help=gpus)
    add("--executor-profile", type=Path, metavar="FILE", help=profile)


def executor(given: argparse.Namespace, error: Callable[[str], NoReturn]) -> Executor | None:
    """What the command line says of an executor; None: jobs run here."""
    beside = ("partition", "account", "gpus_per_job", "executor_profile")
    if given.executor is None:
        if lone := [name for name in beside if getattr(given, name) is not None]:
            option = lone[0].replace("_", "-")
            error(f"--{option} says how jobs run on a cluster, so it goes with --executor slurm")
        return None
    if given.gpus_per_job is not None and given.device == "cpu":
        error("--gpus-per-job asks for GPUs and --device cpu for none; leave one of them out")
    if given.device.startswith("cuda:"):
        error(
            f"--device {given.device} names a GPU of this machine, and with --executor the cluster "
            "chooses; use --device cuda"
        )
    profile = given.executor_profile
    if profile is not None:
        profile = Path(os.environ.get(batch.CALLED_FROM) or Path.cwd()) / profile
    return Executor(given.executor, given.partition, given.account, given.gpus_per_job, profile)


def _device(text: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"expected auto, cpu, cuda or cuda:I, got '{text}'")
    return text


def _profile(text: str) -> str:
    if text not in PROFILES:
        raise argparse.ArgumentTypeError(f"expected {', '.join(PROFILES)}, got '{text}'")
    return text


FAST = "not slow and not browser and not book"
"""The tests of ``--fast``, by their markers (pyproject.toml says what these mean)."""

_WORKERS = re.compile(r"-n.*|--numprocesses(=.*)?|--dist(=.*)?|--pdb|--trace|--collect-only|--co")
MOST_WORKERS = 4  # each takes the memory of PyTorch and of what a test trains


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """What stands before and after the first ``--``."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at + 1 :]


def _pytest(given: list[str], *, fast: bool) -> tuple[str, ...]:
    """Pytest's options: what was given, after those for all cores, and for a choice of tests.

    Tests that share something stay in one process (tests/conftest.py names the groups).
    """
    options = ["-m", FAST] if fast else []
    if not any(map(_WORKERS.fullmatch, given)):
        workers = str(min(os.cpu_count() or 1, MOST_WORKERS))
        options += ["-n", workers, "--dist", "loadgroup", "--no-loadscope-reorder"]
    return (*options, *given)


def parse(arguments: list[str]) -> Options:
    """Read the command line; a mistake prints one sentence and exits with status 2."""
    parser = _Parser(
        prog="./run_all.sh",
        usage=argparse.SUPPRESS,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--profile", type=_profile, default="default", help="smoke, default or full"
    )
    parser.add_argument(
        "--chapter",
        action="append",
        default=[],
        metavar="NAME",
        help="execute only this chapter and what it needs (repeatable); the book is rendered with "
        "what has been executed so far",
    )
    parser.add_argument(
        "--seeds", type=_count, metavar="N", help="seeds in the chapters that take several"
    )
    parser.add_argument(
        "--device",
        type=_device,
        default="auto",
        help="auto (a GPU where there is one), cpu, cuda (all GPUs, one per chapter) or cuda:I",
    )
    parser.add_argument(
        "--jobs",
        type=_count,
        metavar="N",
        help="jobs at once (as a rule: one per core; with --executor: 50)",
    )
    add_executor(parser.add_argument)
    parser.add_argument(
        "--no-book", action="store_true", help="execute the chapters and stop before the book"
    )
    parser.add_argument(
        "--no-setup",
        action="store_true",
        help="install nothing: use the packages of the Python that runs this",
    )
    if arguments[:1] == ["test"]:
        own, rest = _split(arguments[1:])
        setup = "--no-setup" not in own
        named = [item for item in own if item not in ("--no-setup", "--fast")]
        return Options("test", setup=setup, pytest=_pytest(named + rest, fast="--fast" in own))
    if arguments[:1] == ["batch"]:
        request = batch.parse(arguments[1:], _Parser)
        return Options("batch", setup="--no-setup" not in arguments, batch=request)
    if arguments[:1] in (["setup"], ["clean"]):
        if arguments[1:]:
            parser.error(f"{arguments[0]} takes no options, got '{arguments[1]}'")
        return Options(arguments[0])
    printing = arguments[:1] == ["pdf"]
    given = parser.parse_args(arguments[1:] if printing else arguments)
    if printing and given.no_book:
        parser.error("pdf prints the book, so --no-book does not go with it")
    return Options(
        "pdf" if printing else "build",
        profile=given.profile,
        chapters=tuple(given.chapter),
        seeds=given.seeds,
        device=given.device,
        jobs=given.jobs,
        executor=executor(given, parser.error),
        book=not given.no_book,
        setup=not given.no_setup,
    )
