"""What every command line here shares: one sentence for an error, one line for a warning."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from ebmlib.errors import EbmlibError


class Parser(argparse.ArgumentParser):
    """A parser whose error message is one line that starts with the program's short name."""

    def error(self, message: str) -> Any:
        """Exit with status 2."""
        _say(f"{_short(self.prog)}: {message}; see {self.prog} --help.")
        sys.exit(2)


def run(parser: Parser, arguments: Sequence[str] | None = None) -> int:
    """Run the command that ``arguments`` name; returns the exit status.

    Every command sets ``action``, a function of the parsed options. The status is 0 after success,
    2 after an error that the user can mend (a full disk included), 130 after an interruption, and
    141 if the reader of the output has closed it. Characters that the terminal's encoding lacks are
    replaced; if standard output is closed, nothing is printed.
    """
    with _open_streams():
        return _run(parser, arguments)


def _run(parser: Parser, arguments: Sequence[str] | None) -> int:
    try:
        options = parser.parse_args(arguments)
    except SystemExit:  # after --help or a refusal
        if _fails(sys.stdout):
            _abandon(sys.stdout)
        raise
    name = _short(parser.prog)

    def one_line(message: Warning | str, *_: Any, **__: Any) -> None:
        _say(f"{name}: warning: {message}")

    warnings.showwarning = one_line
    try:
        options.action(options)
        sys.stdout.flush()  # here, where a full disk can still be reported
    except EbmlibError as error:
        _say(f"{name}: {error}")
        return 2
    except KeyboardInterrupt:
        _say(f"{name}: interrupted; the same command goes on from the last checkpoint.")
        return 130
    except MemoryError:
        _say(f"{name}: there is not enough memory; ask for less at once.")
        return 2
    except BrokenPipeError:
        _abandon(sys.stdout)
        return 141  # the reader has closed our output: nothing can be printed
    except OSError as error:
        if error.filename is not None and not _fails(sys.stdout):
            raise  # the code that writes a file reports its errors itself
        _say(
            f"{name}: standard output cannot be written ({error.strerror}); what was "
            "trained is in the store: free some room and call again."
        )
        _abandon(sys.stdout)
        return 2
    return 0


@contextmanager
def _open_streams() -> Iterator[None]:
    """Make standard output and error writable, even if they are closed."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        sys.stdout, sys.stderr = (nowhere if s is None else s for s in before)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


def _say(line: str) -> None:
    """A line on standard error, if it can be written."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _fails(stream: TextIO) -> bool:
    """Whether a stream cannot be written to."""
    try:
        stream.flush()
    except OSError:
        return True
    return False


def _abandon(stream: TextIO) -> None:
    """Discard what a stream still holds: at exit Python would try to write it, and complain."""
    with suppress(OSError, ValueError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _short(program: str) -> str:
    """``python -m ebmlib train`` -> ``ebmlib``."""
    return program.removeprefix("python -m ").split()[0]
