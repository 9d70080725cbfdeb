"""``python -m thesis``: the thesis's figures, claims and studies from a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ebmlib import checks, terminal
from ebmlib.cli import assignment
from ebmlib.errors import InputError
from ebmlib.training.run import device_of
from ebmlib.training.store import Store
from thesis import measured, provenance
from thesis.companion import PROFILES, Companion, in_words
from thesis.study import Study, measure

RESULTS = Path("build/results")
"""Where a study's results go if nothing is said."""

_EPILOG = """\
examples:
  python -m thesis figure 4.7 --out mean-step.svg
  python -m thesis figure 4.7 --set alpha=0.02 K=200 --seeds 0:5 --out f.svg
  python -m thesis claim C27
  python -m thesis study basins --seeds 5 --out measured/
  python -m thesis carry
  python -m thesis benchmark search --profile smoke
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
    drawing.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="train its models with other hyper-parameters, by the names of Table 4.1",
    )
    drawing.add_argument("--seeds", metavar="0:5", help="draw it for each of these seeds")
    _models(drawing)
    drawing.set_defaults(action=_figure)

    claims = commands.add_parser("claim", help="the verdict on a claim of the thesis")
    claims.add_argument("id", nargs="?", help="C27, say; without it: all of them in one line each")
    claims.set_defaults(action=_claim)

    measuring = commands.add_parser("study", help="measure what verdicts are made from")
    measuring.add_argument("name", nargs="?", help="without it: list all studies")
    measuring.add_argument("--seeds", type=int, metavar="N", help="seeds 0 to N-1")
    measuring.add_argument(
        "--out", type=Path, metavar="DIR", help=f"where results go (default: {RESULTS})"
    )
    measuring.add_argument(
        "--publish",
        action="store_true",
        help="replace the committed results: a full measurement at a clean commit",
    )
    _models(measuring)
    measuring.set_defaults(action=_study)

    carrying = commands.add_parser(
        "carry", help="prove that committed results are those of changed code, and say so in them"
    )
    carrying.add_argument("names", nargs="*", metavar="STUDY", help="without any: all studies")
    carrying.add_argument(
        "--from", dest="start", metavar="COMMIT", help="default: where each was last proved"
    )
    carrying.set_defaults(action=_carry)

    trained = commands.add_parser(
        "benchmark", help="every training method on conditional densities that are known"
    )
    trained.add_argument("step", choices=("search", "freeze", "run"))
    trained.add_argument("--profile", default="committed", help="full, longer, committed or smoke")
    trained.add_argument("--methods", nargs="+", metavar="NAME", help="default: all")
    trained.add_argument("--problems", nargs="+", metavar="NAME", help="default: all; run only")
    trained.add_argument("--out", type=Path, metavar="DIR", help="default: build/benchmark")
    trained.set_defaults(action=_benchmark)

    frozen = commands.add_parser("rules", help="compare claims' rules with those that were frozen")
    frozen.add_argument(
        "--freeze", action="store_true", help="freeze the rules of new claims: before their study"
    )
    frozen.add_argument("--changed", metavar="WHY", help="list what changed, for this reason")
    frozen.set_defaults(action=_rules)

    sealing = commands.add_parser(
        "seal",
        help="give results that have none the digest of their content; rows stay as they are",
    )
    sealing.add_argument(
        "names", nargs="*", metavar="STUDY", help="without any: all that are there"
    )
    sealing.add_argument("--folder", type=Path, metavar="DIR", help="default: committed results")
    sealing.set_defaults(action=_seal)
    return parser


def _models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--profile", default="default", choices=PROFILES)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--store", metavar="DIR", help="default: EBMLIB_STORE or build/store")


def _figure(options: argparse.Namespace) -> None:
    from thesis import figures  # loads what draws

    if options.name is None:
        for name, known in figures.figures().items():
            print(f"{name:16} {known.title}")
        return
    out = options.out or Path(f"figure-{options.name}.png")
    if out.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"--out must end in .png, .svg or .pdf, got {str(out)!r}.")
    known = figures.get(options.name)
    companion = Companion(options.profile, options.device, Store(options.store))
    settings = dict(assignment(text) for text in options.set)
    drawn = companion.figure(options.name, seeds=_seeds(options.seeds), **settings)
    from ebmlib.figures import save

    save(drawn, out)
    values = in_words(settings)  # the title names those of the registered figure
    print(f"wrote {out}: {f'at {values}' if values else known.title}", file=sys.stderr)


def _seeds(text: str | None) -> list[int] | None:
    """``0:5`` is 0 to 4, ``0,3`` those two."""
    if text is None:
        return None
    first, colon, end = text.partition(":")
    parts = [first, end] if colon else text.split(",")
    if not all(part.isdecimal() for part in parts):
        raise InputError(f"--seeds takes a range such as 0:5 or a list such as 0,3, got {text!r}.")
    numbers = [int(part) for part in parts]
    return list(range(*numbers)) if colon else numbers


def _claim(options: argparse.Namespace) -> None:
    from thesis import claims
    from thesis.claim import FAMILIES

    companion = Companion()
    if options.id is not None:
        print(companion.verdict(claims.get(options.id.upper()).id))
        return
    for box in (box for family in FAMILIES for box in companion.verdicts(family)):
        mark = " STALE" if box.verdict.stale else ""
        print(f"{box.claim.id} {box.verdict.outcome:28} {box.number:>32}{mark}  "
              f"{box.claim.statement}")  # fmt: skip


def _rules(options: argparse.Namespace) -> None:
    from thesis import rules

    if options.freeze or options.changed:
        today = datetime.now(UTC).date().isoformat()
        for id in rules.freeze(today, options.changed or ""):
            print(f"{id} is frozen as of {today}")
        return
    differing = rules.differing()
    if differing:
        raise InputError(
            f"The rules of {', '.join(differing)} are not the frozen ones; python -m thesis rules "
            "--freeze takes new ones, --changed WHY lists changes."
        )
    print("Every rule is the one that was frozen.")


def _study(options: argparse.Namespace) -> None:
    from thesis import studies

    if options.name is None:
        for name, known in studies.studies().items():
            print(f"{name:16} {len(known.conditions)} conditions, {known.planned_seeds} seeds")
        return
    known = studies.study(options.name)
    if options.seeds is not None:
        checks.count("--seeds", options.seeds)
    small = options.profile == "smoke"
    if options.publish:
        _check_publishable(known, options, small)
    elif options.out is not None:
        measured.check_folder(options.out)
    else:
        print(f"Results go to {RESULTS}; EBMLIB_RESULTS={RESULTS} has them judged and drawn, "
              "--publish replaces the committed ones.", file=sys.stderr)  # fmt: skip
    results = measure(
        known,
        seeds=None if options.seeds is None else range(options.seeds),
        store=Store(options.store),
        device=device_of(options.device),
        small=small,
    )
    folder = measured.COMMITTED if options.publish else options.out or RESULTS
    print(f"wrote {measured.save(results, folder, publish=options.publish)}", file=sys.stderr)


def _check_publishable(known: Study, options: argparse.Namespace, small: bool) -> None:
    """Refuse, before anything is measured, what must not replace committed results."""
    planned, commit = known.planned_seeds, provenance.commit()
    if options.out is not None:
        raise InputError("--publish writes where the committed results are; leave out --out.")
    if small:
        raise InputError("A smoke measurement replaces no results; name a folder with --out.")
    if options.seeds is not None and options.seeds < planned:
        raise InputError(
            f"Committed results of {known.name} have {planned} seeds, got --seeds {options.seeds}; "
            "measure all of them, or name a folder with --out."
        )
    if commit is None or commit.endswith("-dirty"):
        raise InputError(
            f"Committed results name the commit they were measured at, got {commit}; commit first."
        )


def _benchmark(options: argparse.Namespace) -> None:
    from thesis.benchmark import runner
    from thesis.benchmark.problems import NAMES

    folder = options.out or Path("build/benchmark")
    methods = options.methods or list(runner.ALL)
    for name in methods:
        checks.one_of("method", name, runner.ALL)
    for name in options.problems or []:
        checks.one_of("problem", name, NAMES)
    if options.step == "search":
        runner.search(options.profile, folder, methods)
    elif options.step == "freeze":
        print(f"wrote {runner.freeze(options.profile, folder)}", file=sys.stderr)
    else:
        runner.run(options.profile, folder, methods, options.problems or NAMES)


def _seal(options: argparse.Namespace) -> None:
    folder = options.folder or measured.COMMITTED
    for name in options.names or sorted(path.stem for path in folder.glob("*.json")):
        done = measured.seal(name, folder)
        print(f"{name:26} {'sealed' if done else 'has its digest'}")


def _carry(options: argparse.Namespace) -> None:
    from thesis import studies
    from thesis.carry import carry

    for name in options.names:
        studies.study(name)
    failed = []
    for outcome in carry(options.names, options.start):
        mark = "carried" if outcome.carried else "REFUSED"
        print(f"{outcome.study:26} {mark}  {outcome.text}", flush=True)
        failed += [] if outcome.carried else [outcome.study]
    if failed:
        raise InputError(f"{len(failed)} results were not carried over: {', '.join(failed)}.")
