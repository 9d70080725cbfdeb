"""Statements of section 2.3 of the thesis, judged by the benchmark's rows: M01 and on.

The rules stand in :data:`thesis.benchmark.settings.STATEMENTS`, which was committed before any row
was there. A judge returns a :class:`~thesis.claim.Verdict`, so that a statement looks like a claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ebmlib.errors import InputError
from ebmlib.models.energy import EnergyConfig, EnergyModel
from thesis.benchmark.problems import CLOSED, SIZES
from thesis.benchmark.report import CONTROL, Block, Report, signed_rank
from thesis.benchmark.settings import METHODS, STATEMENTS
from thesis.claim import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    Bound,
    Claim,
    Verdict,
    judged,
)
from thesis.evidence import Evidence, by_parts
from thesis.statistics import Estimate, estimate

LARGE = SIZES[-1]
Array = NDArray[np.float64]
Judge = Callable[[Report], Verdict]
_STEIN = ("kernel-stein-discrepancy", "learned-stein-discrepancy", "stein-generator")


def statements(report: Report) -> list[tuple[Claim, Verdict]]:
    """All of them, judged."""
    return [statement(report, id) for id in _JUDGES]


def statement(report: Report, id: str) -> tuple[Claim, Verdict]:
    """One of them as a claim, and its verdict.

    Raises:
        InputError: there is none of that identifier.
    """
    if id not in _JUDGES:
        raise InputError(f"Statements are {', '.join(_JUDGES)}, got {id!r}.")
    judge, merit, needed = _JUDGES[id]
    unit, bound, over = _NUMBERS[id]
    text, rule = STATEMENTS[id]
    blocks = f"{len(report.blocks)} blocks (a problem and a size of its training set)"
    tried = f"{blocks}, {report.seeds} seeds each"
    claim = Claim(
        id,
        section="2.3",
        page="training/compared",
        statement=text,
        number=merit,
        unit=unit,
        bound=bound,
        merit=merit,
        rule=rule,
        tried=tried,
        studies=(),
        figure=None,
        judge=judge,
    )
    missing = [method for method in needed if method not in report.methods]
    if missing:
        reason = f"{', '.join(missing)} has no runs yet"
        return claim, _not_yet(reason)
    verdict = judge(report)
    if verdict.number is None:
        return claim, verdict
    return claim, replace(verdict, over=over.format(len(verdict.number.values)))


def _by_parts(holds: Mapping[str, bool], number: Estimate, reading: str, before: str) -> Verdict:
    """The verdict of a rule that is answered in every part without an interval."""
    ruling = by_parts({name: Evidence(held) for name, held in holds.items()})
    return judged(ruling, number, reading, before=before)


def _not_yet(reason: str) -> Verdict:
    return Verdict(NOT_TESTABLE, None, "It was not measured.", where=reason)


def _paired(report: Report, method: str, other: str, name: str = "kl") -> Array:
    """Mean over seeds of log (number of ``method`` / of ``other``), by block."""
    pairs = [
        np.log(report.values(method, name, *b)) - np.log(report.values(other, name, *b))
        for b in report.blocks
    ]
    return np.array([pair.mean() for pair in pairs])


def _times(gaps: Array) -> tuple[Estimate, str]:
    """The factor over blocks, with its interval, and as words."""
    found = estimate(np.exp(gaps))
    return found, f"{found.text(2)} over {len(gaps)} blocks"


def _words(blocks: Iterable[Block]) -> str:
    return ", ".join(f"{problem} {size}" for problem, size in blocks)


def _verdict(holds: bool, number: Estimate, reading: str) -> Verdict:
    return Verdict(REPRODUCED if holds else NOT_REPRODUCED, number, reading)


def _second_derivatives(report: Report) -> Verdict:
    plain = EnergyModel(EnergyConfig(4, 4), 2, 2, generator=torch.Generator().manual_seed(0))
    names = ("score-matching", "sliced-score-matching", "denoising-score-matching",
             "multi-level-denoising")  # fmt: skip
    refused = []
    for name in names:
        method = METHODS[name]
        try:
            method.make(method.values[0], 2).check(plain)
        except InputError:
            refused.append(name)
    wide = [b for b in report.blocks if b[0] not in ("skewed", "regression")]
    if not wide:
        return _not_yet("no problem of two or three dimensions has been run by all methods")
    ratio = np.array(
        [report.mean("score-matching", "seconds", *b)
         / report.mean("denoising-score-matching", "seconds", *b) for b in wide]
    )  # fmt: skip
    number = estimate(ratio)
    reading = (
        f"{len(refused)} of {len(names)} score methods refuse a network with ReLU. Score matching "
        f"takes {number.value:.2g} times as long as denoising ({_words(wide)})."
    )
    return _verdict(len(refused) == len(names) and bool((ratio >= 1.3).all()), number, reading)


def _stein(report: Report) -> Verdict:
    failed, runs, unsteady = 0, 0, []
    spreads = {}
    for method in (*_STEIN, CONTROL):
        spreads[method] = np.array(
            [np.ptp(np.log(report.values(method, "kl", *b))) for b in report.blocks]
        )
    for method in _STEIN:
        failed += sum(report.failures(method))
        runs += sum(len(report.of(method, *b)) for b in report.blocks)
        if np.mean(spreads[method] >= 2 * spreads[CONTROL]) > 0.5:
            unsteady.append(method)
    share = np.array([float(sum(report.failures(m))) for m in _STEIN])
    share /= runs / len(_STEIN)
    reading = (
        f"{failed} of {runs} runs failed ("
        + ", ".join(f"{m} {sum(report.failures(m))}" for m in _STEIN)
        + f"); the spread over seeds is at least twice that of {CONTROL} in most blocks for "
        + (", ".join(unsteady) or "none of them")
        + "."
    )
    return _verdict(failed >= runs / 20 or bool(unsteady), estimate(share), reading)


def _log_z(report: Report) -> Verdict:
    found = {p: report.mean("nce", "log_z_error", p, LARGE) for p, n in report.blocks
             if n == LARGE and p in CLOSED}  # fmt: skip
    number = estimate(list(found.values()))
    text = ", ".join(f"{p} {v:.2g}" for p, v in found.items())
    reading = f"The mean of $\\lvert c - \\log Z\\rvert$ is {text} nats."
    return _by_parts({p: v <= 0.1 for p, v in found.items()}, number, reading, "on ")


def _levels(report: Report) -> Verdict:
    holds, ratio = {}, []
    for problem in ("fork", "circle", "ring"):
        own = report.of("multi-level-denoising", problem, LARGE)
        own = [row for row in own if "kl_low_to_low" in row]
        if not own:
            continue
        low = [row["kl_low_to_low"] / row["kl_high_to_low"] for row in own]
        high = [row["kl_high_to_high"] / row["kl_low_to_high"] for row in own]
        ratio += low + high
        holds[problem] = max(low + high) < 1
    if not holds:
        return _not_yet("no run on fork, circle or ring ended")
    reading = (
        f"On {', '.join(holds)}, KL to the data at the model's own level is "
        f"{min(ratio):.2g} to {max(ratio):.2g} times that to the data at the other end; it must be "
        "less in every run."
    )
    return _by_parts(holds, estimate(ratio), reading, "on ")


def _info_nce(report: Report) -> Verdict:
    gaps = np.array(
        [report.mean("info-nce", "kl", *b) - report.mean("info-nce", "kl_with_q", *b)
         for b in report.blocks]
    )  # fmt: skip
    number = estimate(gaps)
    reading = (
        f"KL of $\\exp f$ is larger than that of $q \\exp f$ by {number.text(2)} nats; it is so in "
        f"{int((gaps > 0).sum())} of {len(gaps)} blocks."
    )
    return _by_parts(
        {f"{p} {n}": bool(g > 0) for (p, n), g in zip(report.blocks, gaps, strict=True)},
        number,
        reading,
        "on ",
    )


def _data_starts(report: Report) -> Verdict:
    gaps = _paired(report, "cd-data", "cd-noise")
    number, words = _times(gaps)
    p = signed_rank(gaps)
    reading = (
        f"KL of cd-data is {words} times that of cd-noise (Wilcoxon's test over blocks: "
        f"p = {p:.2g})."
    )
    return _verdict(p < 0.05 and gaps.mean() > 0, number, reading)


def _near_zero(report: Report) -> Verdict:
    worse, total = 0, 0
    for method in ("cd-noise", "cd-data"):
        for block in report.blocks:
            own, control = report.of(method, *block), report.values(CONTROL, "kl", *block)
            for row, exact in zip(own, control, strict=True):
                if abs(row.get("loss", np.inf)) < 0.1:
                    total += 1
                    worse += int(row["kl"] > 2 * exact)
    if not total:
        return Verdict(NOT_TESTABLE, None, "No such run.", where="no loss came that near to 0")
    share = float(worse / total)
    reading = f"The loss is near 0 in {total} runs, and KL is above twice the control's in {worse}."
    return _verdict(share >= 0.25, Estimate(share, share, share, 1), reading)


def _joint(report: Report) -> Verdict:
    ratio = {
        b: report.mean("joint-contrastive-divergence", "exp", *b)
        / report.mean("cd-noise", "exp", *b)
        for b in report.blocks
    }
    number = estimate([v for v in ratio.values() if np.isfinite(v)])
    reading = f"EXP's error of the joint is {number.text(2)} times that of the conditional."
    return _by_parts({f"{p} {n}": v <= 1.25 for (p, n), v in ratio.items()}, number, reading, "on ")


def _banks(report: Report) -> Verdict:
    holds, texts, all_gaps = {}, [], []
    for method in ("cd-persistent", "cd-replay"):
        gaps = _paired(report, method, "cd-noise")
        p = signed_rank(gaps)
        holds[method] = bool(p < 0.05 and gaps.mean() < 0)
        texts.append(f"{method} {np.exp(gaps.mean()):.2g} (p = {p:.2g})")
        all_gaps.append(gaps)
    number = estimate(np.exp(np.concatenate(all_gaps)))
    reading = (
        f"KL over that of cd-noise, geometric mean over blocks: {'; '.join(texts)}. These p-values "
        "of Wilcoxon's test must be below 0.05."
    )
    return _by_parts(holds, number, reading, "for ")


def _as_exact(report: Report) -> Verdict:
    blocks = [b for b in report.blocks if b[0] in CLOSED and b[1] == LARGE]
    good, best = [], {}
    for method in METHODS:
        if method == CONTROL or method not in report.methods:
            continue
        gaps = [report.mean(method, "kl", *b) - report.mean(CONTROL, "kl", *b) for b in blocks]
        shares = [report.mean(method, "mode_share", *b) for b in blocks]
        best[method] = max(gaps)
        if max(gaps) <= 0.01 and all(not np.isfinite(s) or s <= 0.02 for s in shares):
            good.append(method)
    three = sorted(best.values())[:3]
    nearest = sorted(best, key=lambda m: best[m])[:3]
    near = sum(gap <= 0.01 for gap in best.values())
    reading = (
        f"{near} methods come within 0.01 nats of exact likelihood or are ahead of it, the best "
        "by a gap of "
        + ", ".join(f"{best[m]:.2g} ({m})" for m in nearest)
        + f". Of these {near}, {', '.join(good) or 'none'} also meet the second half of the rule, "
        + "on the masses of modes."
    )
    return _verdict(len(good) >= 3, estimate(three), reading)


_JUDGES: dict[str, tuple[Judge, str, tuple[str, ...]]] = {
    "M01": (
        _second_derivatives,
        "seconds of score matching over those of denoising",
        ("score-matching", "denoising-score-matching"),
    ),
    "M02": (_stein, "share of failed runs of the three methods", (*_STEIN, CONTROL)),
    "M03": (_log_z, "$\\lvert c(x) - \\log Z(x)\\rvert$ in nats", ("nce",)),
    "M04": (_levels, "KL at the own level over that at the other end", ("multi-level-denoising",)),
    "M05": (_info_nce, "KL of $\\exp f$ minus that of $q \\exp f$, in nats", ("info-nce",)),
    "M06": (_data_starts, "KL of cd-data over that of cd-noise", ("cd-data", "cd-noise")),
    "M07": (
        _near_zero,
        "share of runs with a KL above twice the control's",
        ("cd-data", "cd-noise", CONTROL),
    ),
    "M08": (
        _joint,
        "EXP's error of the joint over that of the conditional",
        ("joint-contrastive-divergence", "cd-noise"),
    ),
    "M09": (_banks, "KL over that of cd-noise", ("cd-persistent", "cd-replay", "cd-noise")),
    "M10": (_as_exact, "largest gap to exact likelihood of the best three, in nats", (CONTROL,)),
}

_NUMBERS: dict[str, tuple[str, Bound, str]] = {
    "M01": ("times", (1.3, None), "{} blocks"),
    "M02": ("share", (0.05, None), "{} methods"),
    "M03": ("nats", (None, 0.1), "{} problems"),
    "M04": ("times", (None, 1.0), "{} comparisons"),
    "M05": ("nats", (0.0, None), "{} blocks"),
    "M06": ("times", (1.0, None), "{} blocks"),
    "M07": ("share", (0.25, None), "all these runs"),
    "M08": ("times", (None, 1.25), "{} blocks"),
    "M09": ("times", (None, 1.0), "{} pairs of a block and a method"),
    "M10": ("nats", (None, 0.01), "{} methods"),
}
"""Unit of a statement's number, where it must lie for the statement to hold, and what its interval
is over, with a place for how many."""
