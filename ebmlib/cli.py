"""``python -m ebmlib``: data sets, training, sampling, the store, from a terminal."""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch

from ebmlib import checks, files, recipe, seeding, terminal
from ebmlib.comparison.compare import Comparison, compare
from ebmlib.comparison.methods import METHODS
from ebmlib.config import name_of
from ebmlib.demonstrations import bundled
from ebmlib.demonstrations.dataset import Demonstrations, load_demonstrations
from ebmlib.demonstrations.preview import preview
from ebmlib.demonstrations.recordings import Source
from ebmlib.errors import InputError
from ebmlib.objectives.names import NAMES
from ebmlib.policies.trained import TrainedPolicy
from ebmlib.policies.trajectories import Trajectories
from ebmlib.sampling.inference import GRID_ESTIMATES
from ebmlib.training.presets import preset, presets
from ebmlib.training.run import Run, device_of
from ebmlib.training.store import Store, Trained

_PICTURES = {".png", ".svg", ".pdf"}
_EPILOG = """\
examples:
  python -m ebmlib train circle
  python -m ebmlib train my-drawing.svg --out my-drawing.policy
  python -m ebmlib train my-drawing.svg --features position+clock --set epochs=800 --seed 1
  python -m ebmlib train table.csv --columns x,y --time seconds --preview
  python -m ebmlib sample circle --policy exp --start=-0.4,0 --start=0.4,0 --out circle.png
  python -m ebmlib sample my-drawing.svg --out trajectory.csv
  python -m ebmlib compare my-drawing.svg --csv methods.csv --out methods.png
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

    table = commands.add_parser("presets", help="print Table 4.1 with values")
    table.set_defaults(action=_presets)

    training = commands.add_parser("train", help="train a model, or load it if it was trained")
    _source(training)
    training.add_argument(
        "--out", type=Path, metavar="FILE.policy", help="also write the trained policy to one file"
    )
    training.add_argument(
        "--preview",
        nargs="?",
        const="",
        metavar="FILE",
        help="first show what was read: in the terminal, or as a picture (.png, .svg or .pdf)",
    )
    training.set_defaults(action=_train)

    sampling = commands.add_parser("sample", help="sample trajectories to CSV or a picture")
    _source(sampling)
    sampling.add_argument(
        "--policy",
        choices=GRID_ESTIMATES,
        help="default: the run's own: exp, or road for a drawing",
    )
    sampling.add_argument(
        "--start",
        action="append",
        metavar="X,Y",
        help="start in normalised units, repeatable (default: the origin)",
    )
    sampling.add_argument(
        "--steps",
        metavar="N",
        help="actions (default: as many as a demonstration has; for a drawing, until it arrives)",
    )
    sampling.add_argument(
        "--out", type=Path, metavar="FILE", help=".csv, .png, .svg or .pdf (default: CSV to stdout)"
    )
    sampling.set_defaults(action=_sample)

    comparing = commands.add_parser(
        "compare", help="compare the recipe with its peers: each demonstration left out once"
    )
    comparing.add_argument("files", nargs="+", metavar="FILE", help=".svg, .csv, .npy or .npz")
    comparing.add_argument(
        "--methods", nargs="+", metavar="NAME", help=f"of {', '.join(METHODS)} (default: all)"
    )
    comparing.add_argument("--seed", metavar="N", default="0", help="seed of all methods")
    comparing.add_argument("--csv", type=Path, metavar="FILE.csv", help="also write every row")
    comparing.add_argument(
        "--out", type=Path, metavar="FILE", help="also draw rollouts: .png, .svg or .pdf"
    )
    comparing.set_defaults(action=_compare)

    store = commands.add_parser("store", help="inspect and clear the store of trained models")
    store.add_argument("what", choices=("list", "show", "clear"))
    store.add_argument("key", nargs="?", help="key or the start of one")
    store.add_argument("--store", metavar="DIR", help="default: EBMLIB_STORE or build/store")
    store.set_defaults(action=_store)
    return parser


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", help="a preset, a file (.svg, .csv, .npy, .npz, .mat), or a .policy file"
    )
    parser.add_argument(
        "--columns", metavar="X,Y", help="columns of a table, or arrays of an .npz, to read"
    )
    parser.add_argument("--time", metavar="T", help="the column or array of time stamps")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="hyper-parameters by the names of Table 4.1 (python -m ebmlib presets)",
    )
    parser.add_argument("--objective", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    parser.add_argument(
        "--features",
        metavar="WORDS",
        help="what a state is, such as position+mean3+clock (default: chosen from a drawing)",
    )
    parser.add_argument(
        "--force",
        action="store_true",
        help="train a drawing even if the noise level is past its stability limit",
    )
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


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    changes = dict(assignment(text) for text in options.set)
    for name in ("objective", "features"):
        if getattr(options, name) is not None:
            changes[name] = getattr(options, name)
    if options.seed is not None:
        changes["seed"] = _value(options.seed)
    return changes


def _source_of(options: argparse.Namespace) -> str:
    """The source with the columns that were chosen."""
    columns: str | None = options.columns
    if columns is None and options.time is None:
        return str(options.source)
    chosen = None if columns is None else tuple(word.strip() for word in columns.split(","))
    if chosen is not None and not all(chosen):
        raise InputError(f"--columns takes names separated by commas, got {columns!r}.")
    return str(Source(options.source, chosen, options.time))


def assignment(text: str) -> tuple[str, Any]:
    """``alpha=0.02`` as a name and a value.

    Raises:
        InputError: it is not an assignment.
    """
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
    device, store, changes = device_of(options.device), Store(options.store), _changes(options)
    source = _source_of(options)
    if source in presets():
        run = preset(source).with_(**changes)
        return store.train_or_load(
            run, demonstrations=_reported(run.demonstrations(), options), device=device
        )
    demonstrations = _reported(load_demonstrations(recipe.data_of(source, **changes)), options)
    trained, choice = recipe.train(
        source,
        demonstrations=demonstrations,
        store=store,
        device=device,
        force=options.force,
        **changes,
    )
    print(f"ebmlib: {choice.line}.", file=sys.stderr)
    return trained


def _reported(demonstrations: Demonstrations, options: argparse.Namespace) -> Demonstrations:
    """Print what was read, before anything is trained on it; returns the demonstrations."""
    print(f"ebmlib: {demonstrations.summary()}.", file=sys.stderr)
    if getattr(options, "preview", None) is not None:
        _preview(demonstrations, options)
    return demonstrations


def _preview(demonstrations: Demonstrations, options: argparse.Namespace) -> None:
    """Show what was read, in the terminal or in a file."""
    if options.preview == "":
        shown = (
            demonstrations.trajectories
            if demonstrations.reference is None
            else (demonstrations.reference,)
        )
        picture = preview(shown)
        try:
            picture.encode(sys.stdout.encoding or "ascii")
        except UnicodeEncodeError:
            picture = preview(shown, plain=True)
        print(picture, flush=True)
        return
    out = Path(options.preview)
    if out.suffix.lower() not in _PICTURES or out == Path(options.source):
        raise InputError(
            f"--preview takes a new file that ends in .png, .svg or .pdf, got {options.preview!r}."
        )
    with _canvas(demonstrations, demonstrations.dim, out):
        pass
    print(f"wrote {out}", file=sys.stderr)


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
    generator = seeding.generator(seed, "rollout", device)
    if steps is None:
        followed = policy.follow(points, generator=generator, estimate=options.policy)
        paths = [path.points for path in followed]
        if policy.grid is not None:
            for number, path in enumerate(followed):
                print(
                    f"trajectory {number}: {path.why} after {len(path.actions)} actions",
                    file=sys.stderr,
                )
    else:
        made = policy.rollout(points, steps, generator=generator, estimate=options.policy)
        paths = list(made.states.cpu().numpy())
    if out is not None and picture:
        label = options.policy or policy.inference.estimate
        _draw(demonstrations, paths, label, out)
    else:
        _write_csv(paths, out)
    if out is not None:
        print(f"wrote {out}", file=sys.stderr)


def _compare(options: argparse.Namespace) -> None:
    if options.out is not None and options.out.suffix.lower() not in _PICTURES:
        raise InputError(f"--out must end in .png, .svg or .pdf, got {str(options.out)!r}.")
    _check_folder(options.out)
    _check_folder(options.csv, "--csv")
    names = options.methods or list(METHODS)
    methods = {checks.one_of("--methods", name, list(METHODS)): METHODS[name] for name in names}
    seed = checks.count("--seed", _value(options.seed), least=0)
    if len(options.files) > 1 and (options.out is not None or options.csv is not None):
        raise InputError(
            f"--csv and --out take one FILE, got {len(options.files)}; call compare for each FILE."
        )
    for file in options.files:
        made = compare(file, methods, seed=seed, progress=lambda line: print(line, file=sys.stderr))
        print(
            f"{file}: each of {len({row.shape for row in made.rows})} demonstrations left out once"
        )
        print(made.table())
        if options.csv is not None:
            files.write_bytes(options.csv, made.csv().encode())
        if options.out is not None:
            _draw_compared(made, options.out)


def _draw_compared(made: Comparison, out: Path) -> None:
    from ebmlib import figures  # imported here: matplotlib is slow to load

    titles = {
        name: f"{name}\n{made.interval(name, 'dtw')[0]:.2f} of the floor" for name in made.paths
    }
    split = made.split
    figure = figures.rollouts_of_methods(split.train.trajectories, split.kept, made.paths, titles)
    figures.save(figure, out)


def _check_folder(out: Path | None, option: str = "--out") -> None:
    if out is not None and not out.resolve().parent.is_dir():
        raise InputError(f"{option} must lie in an existing folder, got {out}; make it first.")


def _point(text: str, dim: int) -> list[float]:
    try:
        point = [float(number) for number in text.split(",")]
    except ValueError:
        point = []
    if len(point) != dim or not all(abs(number) < float("inf") for number in point):
        raise InputError(f"--start takes {dim} finite numbers separated by commas, got {text!r}.")
    return point


def _write_csv(paths: Sequence[npt.NDArray[Any]], out: Path | None) -> None:
    dim = paths[0].shape[1]
    names = ["x", "y", "z"][:dim] if dim <= 3 else [f"x{i}" for i in range(dim)]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["trajectory", "step", *names])
    for number, path in enumerate(paths):
        rows = enumerate(path.tolist())
        writer.writerows([number, step, *state] for step, state in rows)
    if out is None:
        print(table.getvalue(), end="")
    else:
        files.write_bytes(out, table.getvalue().encode())


def _draw(
    demonstrations: Demonstrations | None,
    paths: Sequence[npt.NDArray[Any]],
    policy: str,
    out: Path,
) -> None:
    with _canvas(demonstrations, paths[0].shape[1], out) as axes:
        from ebmlib import figures

        for number, path in enumerate(paths):
            one = Trajectories(torch.tensor(path)[None], torch.tensor(path)[None].diff(dim=1))
            figures.trajectories(axes, one, label=policy.upper(), named=number == 0)


@contextlib.contextmanager
def _canvas(demonstrations: Demonstrations | None, dim: int, out: Path) -> Iterator[Any]:
    """Axes with the demonstrations, to draw on; the picture is saved at the end."""
    from ebmlib import figures  # imported here: matplotlib is slow to load

    if dim != 2:
        raise InputError("Pictures show 2-D trajectories; write --out trajectories.csv instead.")
    with figures.using_style():
        figure, axes = figures.new(width=5.5, height=5)
        if demonstrations is not None:
            figures.demonstrations(axes, demonstrations)
        yield axes
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
            raise InputError("store show takes a key; python -m ebmlib store list prints the keys.")
        print(json.dumps(dict(store.load(options.key).record) | {"history": "..."}, indent=1))
    else:
        removed = store.clear(options.key)
        print(f"removed {len(removed)} entries from {store.root}")
