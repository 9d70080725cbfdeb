"""The front end of the build: what run_all.sh calls. Standard library only.

Options, set-up, then the same command once more with the Python of the environment that is now
there; what a build needs beyond the standard library is imported there (workflow/build.py).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from workflow import batch, chapters, environment, locks, options, pdf, surroundings
from workflow.paths import BUILD, ROOT, WorkflowError
from workflow.progress import duration


class Stopped(BaseException):
    """A signal asked this process to stop."""


def _stop(number: int, _frame: FrameType | None) -> None:
    raise Stopped(number)


def main(arguments: list[str]) -> int:
    """Do what the command line asks for; return the exit status."""
    encoding = surroundings.lossy_streams(os.environ)
    surroundings.adopt()
    wanted = options.parse(arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        if wanted.command == "clean":
            return clean()
        chapter_list = chapters.load()
        for name in wanted.chapters:
            try:
                chapter_list[name]
            except WorkflowError as error:
                print(f"run_all.sh: {error}", file=sys.stderr)
                return 2
        if wanted.command == "pdf":
            pdf.chromium()  # said before an hour of building, not after
        os.chdir(ROOT)
        python = Path(sys.executable)
        if wanted.setup:
            begun = time.monotonic()
            python = environment.ensure()
            print(f"Everything is installed (set-up {duration(time.monotonic() - begun)}).")
        # The project's Python comes first for every process from here on.
        os.environ["PATH"] = f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        if wanted.command == "setup":
            return 0
        # What writes to the terminal itself loses, as this process does, what cannot be shown.
        shown = {**os.environ, "PYTHONIOENCODING": f"{encoding}:replace"}
        if wanted.command == "test":
            return _run(python, "pytest", *wanted.pytest, environ=shown)
        if wanted.setup:
            sys.stdout.flush()
            again = [str(python), "-m", "workflow", *arguments, "--no-setup"]
            os.execve(python, again, shown)
        if wanted.batch is not None:
            return batch.main(wanted.batch, chapter_list)
        from workflow.build import build

        code = build(wanted, chapter_list)
        if code or wanted.command != "pdf":
            return code
        with locks.exclusive(locks.RUN_LOCK, locks.WAITING):
            return _run(python, "workflow.pdf", "--profile", wanted.profile, environ=shown)
    except WorkflowError as error:
        print(f"run_all.sh: {error}", file=sys.stderr)
        return 1
    except OSError as error:  # a full disk, a folder that cannot be written to
        print(f"run_all.sh: {error.strerror or error}: {error.filename or ''}", file=sys.stderr)
        return 1
    except Stopped as stopped:
        print("\nStopped. The same command continues from here.", file=sys.stderr)
        return 128 + int(stopped.args[0])


def _run(python: Path, module: str, *arguments: str, environ: dict[str, str]) -> int:
    return subprocess.run([str(python), "-m", module, *arguments], env=environ).returncode


def clean() -> int:
    """Remove what a build made, except trained models, packages and front-end files."""
    with locks.exclusive(locks.RUN_LOCK, locks.WAITING), locks.after_orphans():
        for profile in options.PROFILES:
            shutil.rmtree(BUILD / profile, ignore_errors=True)
        shutil.rmtree(ROOT / ".snakemake", ignore_errors=True)
    print("Removed the executed chapters and the books; trained models and packages are kept.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
