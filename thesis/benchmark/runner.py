"""Search, freeze, run: one row for each training, kept as soon as it is there.

Every command goes on where it was left: what has a row is not run again. Rows are lines of JSON in
``thesis/results/benchmark/PROFILE-search.jsonl`` and ``PROFILE-run.jsonl``; a first line says with
what they were made.
"""

from __future__ import annotations

import json
import math
import platform
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ebmlib import checks, files, seeding
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import InputError
from ebmlib.objectives.info_nce import InfoNCE
from ebmlib.objectives.levels import LEVELS
from ebmlib.objectives.multi_level_denoising import MultiLevelDenoising
from ebmlib.objectives.nce import LOG_Z
from ebmlib.training.loop import TrainingConfig
from thesis import provenance
from thesis.benchmark import judge as judging
from thesis.benchmark import yardsticks
from thesis.benchmark.batched import Learned, Slice, only_if_not_finite, train_slices
from thesis.benchmark.problems import NAMES, SIZES, problem
from thesis.benchmark.settings import (
    ENERGY,
    FINAL_RATE,
    FIRST_SEARCH_SEED,
    METHODS,
    PROFILES,
    REFERENCE,
    SEARCHED,
    YARDSTICKS,
    Profile,
    settings_of,
)

FOLDER = Path(__file__).parents[1] / "results" / "benchmark"
"""Where committed rows are."""
ALL = (*METHODS, *YARDSTICKS)

Row = dict[str, Any]


class Rows:
    """The rows of a file, and new ones behind them.

    Args:
        path: the file; it is made, with its first line, if it is not there or empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        content = path.read_bytes() if path.exists() else b""
        if not content:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append([_provenance()])
        elif not content.endswith(b"\n"):  # a kill cut the last line short
            self._append([])
        self.rows = read(path)

    def has(self, **key: Any) -> bool:
        """Whether there is a row with these entries."""
        return any(all(row.get(k) == v for k, v in key.items()) for row in self.rows)

    def add(self, rows: Sequence[Row]) -> None:
        """Keep rows now, all of them or none: :meth:`has` takes one for the whole."""
        self._append(rows)
        self.rows += rows

    def _append(self, rows: Sequence[Row]) -> None:
        text = "".join(json.dumps(row) + "\n" for row in rows) or "\n"
        with self.path.open("ab", buffering=0) as file:  # one write, which no kill divides
            file.write(text.encode())


def read(path: Path) -> list[Row]:
    """The rows of a file without its first line; a line that a kill cut short is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return [row for row in found if "provenance" not in row]


def _provenance() -> Row:
    return {
        "provenance": {
            "commit": provenance.commit(),
            "platform": platform.platform(),
            "python": sys.version.split()[0],
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
    }


def search(profile: str, folder: Path = FOLDER, methods: Sequence[str] = ALL) -> None:
    """Run what the search needs (see :mod:`thesis.benchmark.settings`)."""
    plan, rows = _profile(profile), Rows(folder / f"{profile}-search.jsonl")
    for method in methods:
        for name in SEARCHED:
            seeds = range(FIRST_SEARCH_SEED, FIRST_SEARCH_SEED + plan.search_seeds)
            for value, settings in _by_value(settings_of(method, plan)):
                wanted = [(s, SIZES[-1], seed) for s in settings for seed in seeds]
                key = {"method": method, "problem": name, "value": value}
                if not rows.has(**key):
                    _run(rows, key, wanted, plan, draws=False)


def _by_value(settings: list[dict[str, Any]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    for value in dict.fromkeys(setting["value"] for setting in settings):
        yield value, [setting for setting in settings if setting["value"] == value]


def freeze(profile: str, folder: Path = FOLDER) -> Path:
    """Write the best setting of every method, ``PROFILE-frozen.json``.

    A method that was not searched on all problems is left out, and named on the terminal.

    Raises:
        InputError: nothing was searched yet.
    """
    plan, source = _profile(profile), folder / f"{profile}-search.jsonl"
    if not source.exists():
        raise InputError(
            f"{source} is missing; search first: python -m thesis benchmark search "
            f"--profile {profile}."
        )
    rows = read(source)
    chosen: dict[str, Any] = {}
    missing = []
    for method in ALL:
        scored = []
        for setting in settings_of(method, plan):
            own = [r for r in rows if r["method"] == method and r["value"] == setting["value"]
                   and r["lr"] == setting["lr"]]  # fmt: skip
            if len({(r["problem"], r["seed"]) for r in own}) == len(SEARCHED) * plan.search_seeds:
                scored.append((sum(score(r) for r in own) / len(own), setting))
        if len(scored) < len(settings_of(method, plan)):
            missing.append(method)
            continue
        best = min(scored, key=lambda each: each[0])
        chosen[method] = {**best[1], "score": round(best[0], 5), "settings": len(scored)}
    if missing:
        print(f"not searched, so not frozen: {', '.join(missing)}", file=sys.stderr)
    path = folder / f"{profile}-frozen.json"
    lines = ",\n".join(f' "{k}": {json.dumps(v)}' for k, v in chosen.items())
    files.write_bytes(path, f"{{\n{lines}\n}}\n".encode())
    return path


def score(row: Row) -> float:
    """min(1, KL / I) of a row; 1 where it diverged."""
    return 1.0 if row["diverged"] else min(1.0, row["kl"] / row["information"])


def run(
    profile: str,
    folder: Path = FOLDER,
    methods: Sequence[str] = ALL,
    problems: Sequence[str] = NAMES,
) -> None:
    """Run every frozen method on every problem, both sizes and all seeds as one stack.

    Raises:
        InputError: nothing is frozen yet.
    """
    plan, path = _profile(profile), folder / f"{profile}-frozen.json"
    if not path.exists():
        raise InputError(
            f"{path} is missing; search and freeze first: python -m thesis benchmark search, "
            "then freeze."
        )
    frozen = json.loads(path.read_text(encoding="utf-8"))
    rows = Rows(folder / f"{profile}-run.jsonl")
    for name in problems:
        for method in methods:
            setting = frozen.get(method)
            if setting is None or rows.has(method=method, problem=name):
                continue
            setting = {"value": setting["value"], "lr": setting["lr"]}
            wanted = [(setting, size, seed) for size in SIZES for seed in range(plan.seeds)]
            _run(rows, {"method": method, "problem": name}, wanted, plan, draws=True)


def _profile(name: str) -> Profile:
    checks.one_of("profile", name, PROFILES)
    return PROFILES[name]


def training_set(name: str, size: int, seed: int) -> Pairs:
    """The training set of a seed; the same for every method."""
    return problem(name).pairs(size, generator=seeding.generator(seed, f"benchmark/{name}/{size}"))


def _run(
    rows: Rows,
    key: Mapping[str, Any],
    wanted: Sequence[tuple[dict[str, Any], int, int]],
    plan: Profile,
    *,
    draws: bool,
) -> None:
    """Train what is wanted, (setting, size, seed), and add its rows all at once."""
    method, name = key["method"], key["problem"]
    known = judging.truth(name)
    made: list[Row] = []
    if method in YARDSTICKS:
        measured = _yardsticks(method, name, wanted, plan)
    else:
        measured = _energies(method, name, wanted, plan, draws)
    for (setting, size, seed), found in zip(wanted, measured, strict=False):
        diverged = found is None or not math.isfinite(found.get("kl", math.nan))
        numbers = {k: float(f"{v:.6g}") for k, v in (found or {}).items() if math.isfinite(v)}
        made.append(
            {**key, **setting, "size": size, "seed": seed, "diverged": diverged,
             "information": round(known.information, 6), **numbers}
        )  # fmt: skip
    rows.add(made)
    worst = max((row.get("kl", math.inf) for row in made), default=math.nan)
    spent = sum(row.get("seconds", 0.0) for row in made)
    print(f"{name:11} {method:32} {len(made)} runs, {spent:6.1f} s, worst KL {worst:.3g}",
          file=sys.stderr, flush=True)  # fmt: skip


def _yardsticks(
    method: str, name: str, wanted: Sequence[tuple[dict[str, Any], int, int]], plan: Profile
) -> Iterator[dict[str, float] | None]:
    known = judging.truth(name)
    for setting, size, seed in wanted:
        try:
            pairs = training_set(name, size, seed)
            fitted = yardsticks.fit(method, setting, pairs, seed, plan.updates)
        except InputError as error:
            print(f"left out: {error}", file=sys.stderr)
            return
        except ValueError:  # a covariance that is not positive definite
            yield None
            continue
        yield judging.judge(known, fitted.log_density) | {"seconds": fitted.seconds}


def _energies(
    method: str,
    name: str,
    wanted: Sequence[tuple[dict[str, Any], int, int]],
    plan: Profile,
    draws: bool,
) -> Iterator[dict[str, float] | None]:
    known, chosen = judging.truth(name), METHODS[method]
    d = known.problem.action_dim
    value = chosen.values[wanted[0][0]["value"]]
    slices = [Slice(training_set(name, size, seed), seed, s["lr"]) for s, size, seed in wanted]
    reference = known.problem.pairs(
        REFERENCE, generator=seeding.generator(0, f"benchmark/{name}/reference")
    )
    top = max(each.lr for each in slices)
    learned = train_slices(
        slices,
        lambda count: chosen.objective(value, d, count),
        chosen.alone,
        energy=ENERGY,
        training=TrainingConfig(
            epochs=plan.updates, lr=top, final_lr=top * FINAL_RATE, decay="cosine"
        ),
        reference=reference,
        generators=lambda seed, stream: seeding.generator(seed, f"benchmark/{name}/{stream}"),
    )
    objective = chosen.make(value, d)
    for (_, size, seed), one in zip(wanted, learned, strict=True):
        if one is None or not one.finite:
            yield None
            continue
        found = judging.judge(known, judging.of_model(one.model)) | {"seconds": one.seconds}
        late = one.loss[-max(1, len(one.loss) // 4) :]
        found["loss"] = sum(late) / len(late)
        found |= _extras(objective, one, known)
        if draws and seed == 0 and size == SIZES[-1]:
            found |= _drawn(known, one)
        yield found


def _drawn(known: judging.Truth, one: Learned) -> dict[str, float]:
    try:
        return judging.draws(known, one.model, generator=seeding.generator(0, "benchmark/draws"))
    except RuntimeError as error:  # a density that is not finite: nothing was drawn
        only_if_not_finite(error)
        return {}


def _extras(objective: object, one: Learned, known: judging.Truth) -> dict[str, float]:
    """What single statements need (M03, M04, M05)."""
    found: dict[str, float] = {}
    f = judging.of_model(one.model)
    if LOG_Z in one.parts:
        with torch.no_grad():
            c = one.parts[LOG_Z](known.states.float()).double()
        log_z = f(known.states, known.cells).logsumexp(dim=1) + known.log_volume
        found["log_z_error"] = float((c - log_z).abs().mean())
    if isinstance(objective, InfoNCE):
        log_q = objective.proposal.log_prob(
            one.carry, known.states[:1].float(), known.cells.float()[None]
        ).double()
        found["kl_with_q"] = judging.judge(known, lambda x, a: f(x, a) + log_q)["kl"]
    if isinstance(objective, MultiLevelDenoising) and known.problem.name in (
        "fork",
        "circle",
        "ring",
    ):
        found |= _levels(objective, one, known)
    return found


def _levels(objective: MultiLevelDenoising, one: Learned, known: judging.Truth) -> dict[str, float]:
    """KL of the data smoothed by either end's sigma to the model at either end."""
    carry, law = one.carry, known.problem.law(known.states)
    shift = one.parts[LEVELS]

    def at_level(t: float) -> Tensor:
        def f(x: Tensor, a: Tensor) -> Tensor:
            rows = []
            for row in x.float():
                states = row[None].expand(len(a), -1)
                level = torch.full((len(a),), t)
                rows.append(one.model(states, a) + shift(carry, states, a, level))
            return torch.stack(rows).double()

        with torch.no_grad():
            return judging.normalised(f(known.states, known.cells.float()), known.log_volume)

    found = {}
    for name, t in (("low", 0.0), ("high", 1.0)):
        log_q = at_level(t)
        for data, u in (("low", 0.0), ("high", 1.0)):
            sigma = float(objective.sigma(carry, torch.tensor(u)))
            log_p = judging.on_cells(law.smoothed(sigma), known.cells, known.log_volume)
            mass = (log_p + known.log_volume).exp()
            found[f"kl_{data}_to_{name}"] = float((mass * (log_p - log_q)).sum(dim=1).mean())
    return found
