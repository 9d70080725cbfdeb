"""What every command line here shares: one sentence for an error, one line for a warning."""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from ebmlib.errors import EbmlibError


class Parser(argparse.ArgumentParser):
    """A parser whose refusal is one line that starts with the program's short name."""

    def error(self, message: str) -> Any:
        """Exit with status 2."""
        self.exit(2, f"{_short(self.prog)}: {message}; see {self.prog} --help.\n")


def run(parser: Parser, arguments: Sequence[str] | None = None) -> int:
    """Run the command that ``arguments`` name; returns the exit status.

    Every command sets ``action``, a function of the parsed options. The status is 0, 2 for what the
    user can mend, 130 after an interruption, 141 when the reader of our output has gone. Characters
    that the terminal's encoding lacks are replaced.
    """
    _never_fail_on_a_character()
    options = parser.parse_args(arguments)
    name = _short(parser.prog)

    def one_line(message: Warning | str, *_: Any, **__: Any) -> None:
        print(f"{name}: warning: {message}", file=sys.stderr)

    warnings.showwarning = one_line
    try:
        options.action(options)
        sys.stdout.flush()
    except EbmlibError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted; the same command goes on from the last checkpoint.",
              file=sys.stderr)  # fmt: skip
        return 130
    except BrokenPipeError:
        _drop_output()  # the reader of our output has gone: nothing is left to say
        return 141
    except OSError as error:
        if error.filename is not None:
            raise
        print(f"{name}: the output cannot be written ({error.strerror}); free some room, or "
              "send it elsewhere; what was trained is in the store.", file=sys.stderr)  # fmt: skip
        _drop_output()
        return 2
    return 0


def _never_fail_on_a_character() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # it was closed
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _drop_output() -> None:
    """Let standard output lead to the null device, so that the last flush, at exit, succeeds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _short(program: str) -> str:
    """``python -m ebmlib train`` -> ``ebmlib``."""
    return program.removeprefix("python -m ").split()[0]
