"""What the build takes over from where it is started: the table of variables, and the streams.

A build gives the same book wherever and by whomever it is started. So every process of it gets its
environment from one table, RULES, and nothing that was made for something else: a profile of
Snakemake, a kernel of another project, modules of another Python. Whatever is not in the table is
inherited. The front end calls adopt() before anything else, and so does every job, which may have
been started by a Snakemake called by hand. Standard library only.
"""

from __future__ import annotations

import codecs
import io
import locale
import os
import select
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from workflow.paths import BUILD

SETTINGS = BUILD / ".settings"
"""Where programs find settings and caches of the build's own, instead of the user's."""


@dataclass(frozen=True)
class Rule:
    """What becomes of the variables whose names fit.

    Attributes:
        names: names, with ``*`` for any characters.
        why: what goes wrong, or would depend on the user, without the rule.
        value: what they are set to; None: they are dropped.
        keep: names that fit and are nevertheless inherited.
    """

    names: tuple[str, ...]
    why: str
    value: str | None = None
    keep: tuple[str, ...] = ()

    def fits(self, name: str) -> bool:
        """Tell whether a variable of this name falls under the rule."""
        return name not in self.keep and any(fnmatchcase(name, each) for each in self.names)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


RULES = (
    Rule(
        _names("PYTHON*"),
        "modules, home, switches and hooks meant for another Python: it finds foreign packages, "
        "does not find workflow, stops at a warning or waits at a prompt",
        keep=_names("PYTHON PYTHONDONTWRITEBYTECODE PYTHONPYCACHEPREFIX PYTHONUNBUFFERED"),
    ),
    Rule(("PYTHONNOUSERSITE",), "packages of the user's own are not those of the lock", "1"),
    Rule(("PYTHONUTF8",), "files and logs are UTF-8, whatever the terminal is", "1"),
    Rule(_names("VIRTUAL_ENV __PYVENV_LAUNCHER__"), "IPython adds the packages of that one"),
    Rule(
        _names("SNAKEMAKE_*"),
        "a profile may turn the build into a dry run, or send its jobs to a cluster",
    ),
    Rule(
        _names("JUPYTER_* JUPYTERLAB_* IPYTHON* IPYKERNEL_* PYDEVD_* NBCLIENT_*"),
        "another project's kernel, extension or start-up file would execute the chapters",
    ),
    Rule(("JUPYTER_NO_CONFIG", "JUPYTER_PREFER_ENV_PATH"), "the kernel is this environment's", "1"),
    *(
        Rule((name,), "the user's own is neither read nor needed", str(SETTINGS / folder))
        for name, folder in (
            ("JUPYTER_CONFIG_DIR", "jupyter/config"),
            ("JUPYTER_DATA_DIR", "jupyter/data"),
            ("JUPYTER_RUNTIME_DIR", "jupyter/runtime"),
            ("IPYTHONDIR", "ipython"),
            ("MPLCONFIGDIR", "matplotlib"),
        )
    ),
    Rule(
        _names("MATPLOTLIBRC MPLBACKEND"),
        "figures are drawn in the style of the project, and by the kernel's own backend",
    ),
    Rule(
        _names("BASH_ENV ENV BASH_FUNC_* BASHOPTS SHELLOPTS POSIXLY_CORRECT BASH_XTRACEFD CDPATH "
               "GLOBIGNORE"),
        "bash, which starts the jobs, would read a file, take functions or options from it",
    ),
    Rule(
        _names("GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_COMMON_DIR GIT_OBJECT_DIRECTORY "
               "GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_NAMESPACE GIT_PREFIX GIT_CEILING_DIRECTORIES"),
        "inside a hook git sets them, and the commit told would be of another repository",
    ),
    Rule(
        _names("PIP_TARGET PIP_PREFIX PIP_ROOT PIP_USER PIP_PYTHON PIP_DRY_RUN PIP_REQUIREMENT "
               "PIP_EDITABLE PIP_NO_DEPS PIP_PLATFORM PIP_ABI PIP_IMPLEMENTATION "
               "PIP_PYTHON_VERSION PIP_IGNORE_INSTALLED PIP_REQUIRE_HASHES PIP_SRC "
               "PIP_REQUIRE_VIRTUALENV PIP_LOG PIP_REPORT PIP_HELP PIP_VERSION"),
        "packages would go elsewhere, or not at all; where they come from is the user's choice",
    ),
    Rule(
        _names("UV_PYTHON UV_PYTHON_PREFERENCE UV_SYSTEM_PYTHON UV_BREAK_SYSTEM_PACKAGES UV_TARGET "
               "UV_PREFIX UV_PROJECT UV_PROJECT_ENVIRONMENT UV_WORKING_DIRECTORY UV_DRY_RUN "
               "UV_EXCLUDE_NEWER UV_RESOLUTION UV_PRERELEASE UV_REQUIRE_HASHES UV_CONSTRAINT "
               "UV_OVERRIDE UV_NO_DEPS"),
        "as for pip",
    ),
    Rule(
        _names("NODE_OPTIONS NODE_PATH NODE_ENV NODE_V8_COVERAGE NODE_REPL_EXTERNAL_MODULE"),
        "node loads what they name; NODE_ENV=production leaves out packages that the book needs",
    ),
    Rule(
        tuple(
            spelt
            for name in _names("prefix global location omit include only production dev dry_run "
                               "package_lock package_lock_only workspace workspaces")
            for spelt in (f"npm_config_{name}", f"NPM_CONFIG_{name.upper()}")
        ),
        "packages would go elsewhere, or not at all",
    ),
    Rule(("DOCUTILSCONFIG", "SPHINXOPTS"), "the book would be rendered with other settings"),
    Rule(
        _names("FORCE_COLOR CLICOLOR_FORCE TTY_COMPATIBLE TTY_INTERACTIVE"),
        "logs are read by the front end, which knows no colours",
    ),
)  # fmt: skip

FOLDERS = _names(
    "TMPDIR XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_RUNTIME_DIR "
    "PIP_CACHE_DIR UV_CACHE_DIR npm_config_cache"
)
"""Folders that programs write to: dropped when they cannot, so that the next best is taken."""


def for_children(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the build's processes, made from the one that it was started in.

    The home of the user stays, for the caches of packages there, unless it cannot be written to:
    then it is a folder of the build.
    """
    kept = {name: value for name, value in environ.items() if not any(r.fits(name) for r in RULES)}
    for rule in RULES:
        if rule.value is not None:
            kept.update((name, rule.value) for name in rule.names)
    for name in FOLDERS:
        if name in kept and not _writable(kept[name]):
            del kept[name]
    if not _writable(kept.get("HOME", "")):
        kept["HOME"] = str(SETTINGS / "home")
    return kept


def _writable(folder: str) -> bool:
    """Tell by trying: who may do everything cannot write to every file system."""
    if not os.path.isabs(folder):
        return False
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def adopt() -> None:
    """Make this process's environment, and so that of all it starts, the one of for_children."""
    wanted = for_children(os.environ)
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)
    if wanted["HOME"] == str(SETTINGS / "home"):
        Path(wanted["HOME"]).mkdir(parents=True, exist_ok=True)


class _Lossy(io.RawIOBase):
    """A stream that goes on when what is written can go nowhere: to a full disk, a closed pipe."""

    def __init__(self, descriptor: int, told: str) -> None:
        self.descriptor = descriptor
        self.told = told

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        try:
            while True:
                try:
                    return os.write(self.descriptor, view)
                except BlockingIOError:  # another program has made the terminal non-blocking
                    select.select([], [self.descriptor], [])
        except OSError as error:
            _to_nowhere(self.descriptor)
            if self.told:
                print(self.told.format(why=error.strerror), file=sys.stderr, flush=True)
            return len(view)


def _to_nowhere(descriptor: int) -> None:
    """Let a descriptor, open or not, lead to the null device: also for the processes to come."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
    os.set_inheritable(descriptor, True)


def lossy_streams(environ: Mapping[str, str]) -> str:
    """Make standard output and error streams that lose what they cannot show, and never fail.

    A character that the terminal's encoding lacks becomes ``?``. What cannot be written, since the
    stream is closed or its disk full, is dropped, and standard error says so once.

    Args:
        environ: as this process got it; the user's PYTHONIOENCODING and PYTHONUTF8 count.

    Returns:
        The encoding, for a process that takes this one's place.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            _to_nowhere(descriptor)
    encoding = _encoding(environ)
    lost = "run_all.sh: standard output cannot be written ({why}); the work goes on without it"
    for name, descriptor, told in (("stdout", 1, lost), ("stderr", 2, "")):
        before = getattr(sys, name)
        if before is not None:
            before.flush()
        raw = _Lossy(descriptor, told)
        buffered = io.BufferedWriter(raw)
        stream = io.TextIOWrapper(buffered, encoding, "replace", line_buffering=True)
        setattr(sys, name, stream)
    return encoding


def _encoding(environ: Mapping[str, str]) -> str:
    """Return what Python would encode output in, had it been started without -E."""
    named = environ.get("PYTHONIOENCODING", "").partition(":")[0]
    if not named and environ.get("PYTHONUTF8") == "0":
        named = locale.getencoding()
    try:
        return codecs.lookup(named).name
    except LookupError:
        return getattr(sys.stdout, "encoding", None) or "utf-8"
