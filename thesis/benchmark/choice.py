"""Which method for which data: questions about the data, answered by measured rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ebmlib.errors import InputError
from thesis import markdown
from thesis.benchmark.problems import SIZES
from thesis.benchmark.report import CONTROL, Block, Report
from thesis.benchmark.settings import METHODS, YARDSTICKS

_SMALL, _LARGE = SIZES[0], SIZES[-1]
ENERGIES = tuple(METHODS)
WITHOUT_GRID = tuple(name for name in METHODS if name != CONTROL)
_CHAINS = tuple(name for name, method in METHODS.items() if method.family == "chains")
WITHOUT_CHAINS = tuple(name for name in WITHOUT_GRID if name not in _CHAINS)


@dataclass(frozen=True)
class Branch:
    """One question, and the blocks that answer it.

    Attributes:
        name: a word for it.
        question: about the data or about what is wanted.
        problems: whose blocks answer it.
        sizes: of training sets.
        number: by which methods are ordered, the lowest first.
        among: methods that may be used.
        advice: what to keep in mind there.
    """

    name: str
    question: str
    problems: tuple[str, ...]
    sizes: tuple[int, ...]
    number: str
    among: tuple[str, ...]
    advice: str = ""


BRANCHES = (
    Branch("grid", "Few dimensions, and a grid can be afforded in training",
           ("fork", "circle", "ring", "skewed", "regression"), SIZES, "kl", ENERGIES,
           "Exact likelihood has only its learning rate to tune, and its loss is in nats."),
    Branch("small", "Few demonstrations, no grid",
           ("fork", "circle", "ring", "skewed", "regression"), (_SMALL,), "kl", WITHOUT_GRID,
           "With few demonstrations every method can learn them by heart: keep some of them back."),
    Branch("large", "Many demonstrations, no grid",
           ("fork", "circle", "ring", "skewed", "regression"), (_LARGE,), "kl", WITHOUT_GRID),
    Branch("modes", "Several modes whose shares matter",
           ("fork", "regression"), (_LARGE,), "mode_share", WITHOUT_GRID,
           "A score says nothing of the shares of modes that lie far apart."),
    Branch("curved", "One curved mode", ("ring",), SIZES, "kl", WITHOUT_GRID),
    Branch("noise", "Noise that is skewed and changes with the state",
           ("skewed",), SIZES, "kl", WITHOUT_GRID),
    Branch("cube", "Three dimensions", ("cube",), SIZES, "kl", WITHOUT_GRID,
           "The exact likelihood has a coarse grid here: 9 cells along each axis."),
    Branch("mean", "Only the mean action is used (EXP)",
           ("fork", "circle", "ring", "skewed", "regression"), SIZES, "exp", WITHOUT_GRID,
           "With the policy EXP of the thesis nothing but the mean counts."),
    Branch("quick", "Seconds of training matter most, among those within twice the best KL",
           ("fork", "circle", "ring", "skewed", "regression"), (_LARGE,), "seconds",
           WITHOUT_CHAINS,
           "Methods with chains are left out."),
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What was measured at a branch.

    Attributes:
        branch: which.
        methods: the best, in order.
        values: their numbers: geometric means over blocks and seeds.
        control: exact likelihood's number there.
        runs: how many runs stand behind each number.
    """

    branch: Branch
    methods: tuple[str, ...]
    values: tuple[float, ...]
    control: float
    runs: int


def answer(report: Report, name: str, count: int = 3) -> Answer:
    """The best methods at a branch.

    Raises:
        InputError: no branch of that name, or none of its problems was run.
    """
    branch = next((b for b in BRANCHES if b.name == name), None)
    if branch is None:
        raise InputError(f"Branches are {', '.join(b.name for b in BRANCHES)}, got {name!r}.")
    blocks = [b for b in report.blocks if b[0] in branch.problems and b[1] in branch.sizes]
    if not blocks:
        raise InputError(f"No problem of the branch {name} was run; run {branch.problems}.")
    own = {m: mean_of(report, m, branch.number, blocks) for m in branch.among
           if m in report.methods}  # fmt: skip
    if branch.number == "seconds":
        kl = {m: mean_of(report, m, "kl", blocks) for m in own}
        own = {m: v for m, v in own.items() if kl[m] <= 2 * min(kl.values())}
    order = sorted((m for m in own if np.isfinite(own[m])), key=lambda m: own[m])[:count]
    there = CONTROL in report.methods
    control = mean_of(report, CONTROL, branch.number, blocks) if there else float("nan")
    runs = len(blocks) * report.seeds
    return Answer(branch, tuple(order), tuple(own[m] for m in order), control, runs)


def mean_of(report: Report, method: str, number: str, blocks: Sequence[Block]) -> float:
    """Geometric mean over seeds and blocks; infinite if a run has not the number."""
    found = np.concatenate([report.values(method, number, *b) for b in blocks])
    if not np.isfinite(found).all():
        return float("inf")
    return float(np.exp(np.log(np.maximum(found, 1e-12)).mean()))


def answered(report: Report) -> list[Answer]:
    """Answers at those branches of which a problem has been run."""
    there = {problem for problem, _ in report.blocks}
    known = [b for b in BRANCHES if set(b.problems) & there]
    return [found for b in known if (found := answer(report, b.name)).methods]


def tree(report: Report) -> str:
    """The branches as questions with their answers, in Markdown."""
    lines = []
    for place, found in enumerate(answered(report), start=1):
        first, *others = found.methods
        then = f", then {' and '.join(others)}" if others else ""
        advice = f" {found.branch.advice}" if found.branch.advice else ""
        lines.append(f"{place}. **{found.branch.question}:** {first}{then}.{advice}")
    return "\n".join(lines)


def table(report: Report) -> str:
    """Answers as a table in Markdown, the exact likelihood beside them."""
    units = {"kl": "KL, nats", "mode_share": "error of the shares", "exp": "error of EXP's action",
             "seconds": "seconds"}  # fmt: skip
    rows = [["question", "best", "second", "third", "exact likelihood", "number", "runs"]]
    for found in answered(report):
        best = [f"{m} {v:.2g}" for m, v in zip(found.methods, found.values, strict=True)]
        best += ["–"] * (3 - len(best))
        unit = units[found.branch.number]
        row = [found.branch.question, *best, f"{found.control:.2g}", unit, str(found.runs)]
        rows.append(row)
    return "\n".join(markdown.table(rows))


def against_yardsticks(report: Report) -> str:
    """The best energy without a grid beside the yardsticks, by block, as a table in Markdown."""
    known = [name for name in YARDSTICKS if name in report.methods]
    rows = [["problem, pairs", "best energy", "its KL", *known]]
    for block in report.blocks:
        kl = {m: mean_of(report, m, "kl", [block]) for m in WITHOUT_GRID if m in report.methods}
        best = min(kl, key=lambda m: kl[m])
        others = [f"{mean_of(report, m, 'kl', [block]):.2g}" for m in known]
        rows.append([f"{block[0]}, {block[1]}", best, f"{kl[best]:.2g}", *others])
    return "\n".join(markdown.table(rows))


def family_table(report: Report, family: str) -> str:
    """Methods of a family with what they cost and how they fail, as a table in Markdown."""
    ratios = "KL over exact likelihood's", "seconds over its"
    rows = [["method", *ratios, "failed runs", "learning rate"]]
    blocks, there = report.blocks, CONTROL in report.methods
    for name, method in METHODS.items():
        if method.family != family or name not in report.methods:
            continue
        cells = []
        for number in ("kl", "seconds"):
            own = mean_of(report, name, number, blocks)
            control = mean_of(report, CONTROL, number, blocks) if there else float("nan")
            cells.append(f"{own / control:.2g}" if np.isfinite(own) else "–")
        diverged, useless = report.failures(name)
        failed = f"{diverged} diverged, {useless} useless" if diverged + useless else "none"
        rate = report.frozen.get(name, {}).get("lr", float("nan"))
        rows.append([name, *cells, failed, f"{rate:g}"])
    return "\n".join(markdown.table(rows))
