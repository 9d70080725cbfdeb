"""``python -m ebmlib``: data sets, training, sampling, the store, from a terminal."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ebmlib import checks, files, seeding, terminal
from ebmlib.config import name_of
from ebmlib.demonstrations import bundled
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.errors import InputError
from ebmlib.objectives.names import NAMES
from ebmlib.policies.trained import TrainedPolicy
from ebmlib.policies.trajectories import Trajectories
from ebmlib.sampling.inference import ESTIMATES
from ebmlib.training.presets import for_drawing, preset, presets
from ebmlib.training.run import Run, device_of
from ebmlib.training.store import Store, Trained

_PICTURES = {".png", ".svg", ".pdf"}
_EPILOG = """\
examples:
  python -m ebmlib train circle
  python -m ebmlib train my-drawing.svg --set sgld_K=256 epochs=2000 --seed 1
  python -m ebmlib sample circle --policy exp --start=-0.4,0 --start=0.4,0 --out circle.png
  python -m ebmlib sample my-drawing.svg --out trajectory.csv
"""


_MOVED = ("figure", "claim", "study")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (see :func:`ebmlib.terminal.run`)."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given and given[0] in _MOVED:
        print(f"ebmlib: {given[0]} is a command of the thesis now: python -m thesis {given[0]}.",
              file=sys.stderr)  # fmt: skip
        return 2
    return terminal.run(_parser(), given)


def _parser() -> terminal.Parser:
    parser = terminal.Parser(
        prog="python -m ebmlib",
        description="Conditional energy-based models for imitation learning.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    listing = commands.add_parser("datasets", help="list the bundled data sets")
    listing.set_defaults(action=_datasets)

    table = commands.add_parser("presets", help="Table 4.1 with values")
    table.set_defaults(action=_presets)

    training = commands.add_parser("train", help="train a model, or load it if it was trained")
    _source(training)
    training.add_argument(
        "--out", type=Path, metavar="FILE.policy", help="also write the trained policy to one file"
    )
    training.set_defaults(action=_train)

    sampling = commands.add_parser("sample", help="sample trajectories to CSV or a picture")
    _source(sampling)
    sampling.add_argument(
        "--policy", choices=ESTIMATES, help="default: as the run says, which is exp"
    )
    sampling.add_argument(
        "--start",
        action="append",
        metavar="X,Y",
        help="start in normalised units, repeatable (default: the origin)",
    )
    sampling.add_argument(
        "--steps", metavar="N", help="actions (default: as many as a demonstration has)"
    )
    sampling.add_argument(
        "--out", type=Path, metavar="FILE", help=".csv, .png, .svg or .pdf (default: CSV to stdout)"
    )
    sampling.set_defaults(action=_sample)

    store = commands.add_parser("store", help="inspect and clear the store of trained models")
    store.add_argument("what", choices=("list", "show", "clear"))
    store.add_argument("key", nargs="?", help="key or the start of one")
    store.add_argument("--store", metavar="DIR", help="default: EBMLIB_STORE or build/store")
    store.set_defaults(action=_store)
    return parser


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", help="a preset, a drawing (.svg, .csv, .npy, .npz), or a .policy file"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="hyper-parameters by the names of Table 4.1 (python -m ebmlib presets)",
    )
    parser.add_argument("--objective", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--seed", metavar="N", help="seed of weights, batches and chains")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--store", metavar="DIR", help="default: EBMLIB_STORE or build/store")


def _datasets(options: argparse.Namespace) -> None:
    for name, description in bundled.names().items():
        print(f"{name:8} {description}")


def _presets(options: argparse.Namespace) -> None:
    tables = {name: run.table() for name, run in presets().items()}
    print(f"{'':14}" + "".join(f"{name:>10}" for name in tables))
    for row in next(iter(tables.values())):
        print(f"{row:14}" + "".join(f"{table[row]:>10g}" for table in tables.values()))


def _run_of(options: argparse.Namespace) -> Run:
    name = options.source
    run = preset(name) if name in presets() else for_drawing(name)
    changes = dict(_assignment(text) for text in options.set)
    if options.objective is not None:
        changes["objective"] = options.objective
    if options.seed is not None:
        changes["seed"] = _value(options.seed)
    return run.with_(**changes)


def _assignment(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"--set takes NAME=VALUE, got {text!r}.")
    return name, _value(value)


def _value(text: str) -> Any:
    """A number, true, false or null as JSON writes them; anything else is a word."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _trained(options: argparse.Namespace) -> Trained:
    run, device = _run_of(options), device_of(options.device)
    return Store(options.store).train_or_load(run, device=device)


def _train(options: argparse.Namespace) -> None:
    _check_folder(options.out)
    trained = _trained(options)
    record, history = trained.record, trained.history
    how = "loaded from the store" if trained.loaded else f"trained in {record['seconds']:.0f} s"
    print(f"{trained.demonstrations.name}, seed {trained.run.seed}: {how}, key {record['key']}")
    last = [f"{name} {history[name][-1]:.3g}" for name in ("loss", "R") if name in history]
    print(f"{', '.join(last)} after {trained.run.training.epochs} epochs")
    if options.out is not None:
        TrainedPolicy.of(trained).save(options.out)
        print(f"wrote {options.out}", file=sys.stderr)


def _sample(options: argparse.Namespace) -> None:
    steps = (
        None
        if options.steps is None
        else checks.count("--steps", _value(options.steps), most=checks.MOST_UPDATES)
    )
    out: Path | None = options.out
    if out is not None and out.suffix.lower() not in _PICTURES | {".csv"}:
        raise InputError(f"--out must end in .csv, .png, .svg or .pdf, got {str(out)!r}.")
    _check_folder(out)
    picture = out is not None and out.suffix.lower() in _PICTURES
    demonstrations: Demonstrations | None = None
    if options.source.endswith(".policy"):
        policy = TrainedPolicy.load(options.source, device_of(options.device))
        seed = policy.configuration["seed"] if options.seed is None else _value(options.seed)
    else:
        trained = _trained(options)
        policy, demonstrations = TrainedPolicy.of(trained), trained.demonstrations
        seed = trained.run.seed
    dim = policy.model.action_dim
    points = [_point(text, dim) for text in options.start or [",".join(["0"] * dim)]]
    device = next(policy.model.parameters()).device
    trajectories = policy.rollout(
        points,
        steps,
        generator=seeding.generator(seed, "rollout", device),
        estimate=options.policy,
    )
    if out is not None and picture:
        label = options.policy or policy.inference.estimate
        _draw(demonstrations, trajectories, label, out)
    else:
        _write_csv(trajectories, out)
    if out is not None:
        print(f"wrote {out}", file=sys.stderr)


def _check_folder(out: Path | None) -> None:
    if out is not None and not out.resolve().parent.is_dir():
        raise InputError(f"--out names a folder that is not there: {out.resolve().parent}.")


def _point(text: str, dim: int) -> list[float]:
    try:
        point = [float(number) for number in text.split(",")]
    except ValueError:
        point = []
    if len(point) != dim or not all(abs(number) < float("inf") for number in point):
        raise InputError(f"--start takes {dim} finite numbers with commas, got {text!r}.")
    return point


def _write_csv(trajectories: Trajectories, out: Path | None) -> None:
    states = trajectories.states.cpu()
    dim = states.shape[2]
    names = ["x", "y", "z"][:dim] if dim <= 3 else [f"x{i}" for i in range(dim)]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["trajectory", "step", *names])
    for number, trajectory in enumerate(states.tolist()):
        writer.writerows([number, step, *state] for step, state in enumerate(trajectory))
    if out is None:
        print(table.getvalue(), end="")
    else:
        files.write_bytes(out, table.getvalue().encode())


def _draw(
    demonstrations: Demonstrations | None, trajectories: Trajectories, policy: str, out: Path
) -> None:
    from ebmlib import figures  # draws only when asked: matplotlib is slow to load

    if trajectories.states.shape[2] != 2:
        raise InputError("Pictures show 2-D trajectories; write --out trajectories.csv instead.")
    with figures.using_style():
        figure, axes = figures.new(width=5.5, height=5)
        if demonstrations is not None:
            figures.demonstrations(axes, demonstrations)
        figures.trajectories(axes, trajectories, label=policy.upper())
        figure.legend(loc="outside upper center", ncols=2)
    figures.save(figure, out)


def _store(options: argparse.Namespace) -> None:
    store = Store(options.store)
    if options.what == "list":
        for record in store.records():
            run = Run.from_dict(record["run"])
            sampler = run.sampler
            how = (
                name_of(type(run.objective))
                if sampler is None
                else (f"K {sampler.steps}  alpha {sampler.alpha:g}")
            )
            print(
                f"{record['key']}  {run.data.source:10} seed {run.seed}  {how}  "
                f"{run.training.epochs} epochs  {record['seconds']:.0f} s  {record['finished']}"
            )
        if not store.keys():
            print(f"The store {store.root} holds no trained model.")
    elif options.what == "show":
        if options.key is None:
            raise InputError("store show takes a key; python -m ebmlib store list tells them.")
        print(json.dumps(dict(store.load(options.key).record) | {"history": "..."}, indent=1))
    else:
        removed = store.clear(options.key)
        print(f"removed {len(removed)} entries from {store.root}")
