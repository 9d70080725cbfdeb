"""``python -m thesis``: the thesis's figures, claims and studies from a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ebmlib import checks, terminal
from ebmlib.errors import InputError
from ebmlib.training.run import device_of
from ebmlib.training.store import Store
from thesis import claim, figure, study
from thesis.companion import PROFILES, Companion

_EPILOG = """\
examples:
  python -m thesis figure 4.7 --out mean-step.svg
  python -m thesis claim C27
  python -m thesis study basins --seeds 5 --out measured/
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (see :func:`ebmlib.terminal.run`)."""
    return terminal.run(_parser(), arguments)


def _parser() -> terminal.Parser:
    parser = terminal.Parser(
        prog="python -m thesis",
        description="The thesis's figures by number, its claims with verdicts, its studies.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    drawing = commands.add_parser("figure", help="draw a figure of the thesis by its number")
    drawing.add_argument("name", nargs="?", help="4.7, say; without it: list all figures")
    drawing.add_argument(
        "--out", type=Path, metavar="FILE", help=".png, .svg or .pdf (default: figure-NAME.png)"
    )
    _models(drawing)
    drawing.set_defaults(action=_figure)

    claims = commands.add_parser("claim", help="the verdict on a claim of the thesis")
    claims.add_argument("id", nargs="?", help="C27, say; without it: all of them in one line each")
    claims.set_defaults(action=_claim)

    measuring = commands.add_parser("study", help="measure what verdicts are made from")
    measuring.add_argument("name", nargs="?", help="without it: list all studies")
    measuring.add_argument("--seeds", type=int, metavar="N", help="seeds 0 to N-1")
    measuring.add_argument(
        "--out", type=Path, metavar="DIR", help="where results go (default: the package's own)"
    )
    _models(measuring)
    measuring.set_defaults(action=_study)
    return parser


def _models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", default="default", choices=PROFILES)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--store", metavar="DIR", help="default: EBMLIB_STORE or build/store")


def _figure(options: argparse.Namespace) -> None:
    if options.name is None:
        for name, known in figure.figures().items():
            print(f"{name:16} {known.title}")
        return
    out = options.out or Path(f"figure-{options.name}.png")
    if out.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"--out must end in .png, .svg or .pdf, got {str(out)!r}.")
    known = figure.get(options.name)
    companion = Companion(options.profile, options.device, Store(options.store))
    drawn = companion.figure(options.name)
    from ebmlib import figures

    figures.save(drawn, out)
    print(f"wrote {out}: {known.title}", file=sys.stderr)


def _claim(options: argparse.Namespace) -> None:
    companion = Companion()
    if options.id is not None:
        print(companion.verdict(claim.get(options.id.upper()).id))
        return
    for shown in companion.verdicts():
        mark = " STALE" if shown.verdict.stale else ""
        print(f"{shown.claim.id} {shown.verdict.outcome:28} {shown.number:>32}{mark}  "
              f"{shown.claim.statement}")  # fmt: skip


def _study(options: argparse.Namespace) -> None:
    if options.name is None:
        for name, known in study.studies().items():
            print(f"{name:16} {len(known.conditions)} conditions, {known.planned_seeds} seeds")
        return
    known = study.study(options.name)
    if options.seeds is not None:
        checks.count("--seeds", options.seeds)
    results = study.measure(
        known,
        seeds=None if options.seeds is None else range(options.seeds),
        store=Store(options.store),
        device=device_of(options.device),
        small=options.profile == "smoke",
    )
    if options.profile == "smoke" and options.out is None:
        raise InputError("A smoke measurement replaces no results; name a folder with --out.")
    print(f"wrote {study.save(results, options.out or study.COMMITTED)}", file=sys.stderr)
