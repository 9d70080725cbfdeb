"""How verdicts look: as text in a terminal, as boxes and a table in the book (MyST)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thesis import claim
from thesis.claim import Bound, Claim, Table, Verdict
from thesis.claims import searches
from thesis.conditions import DATASETS
from thesis.markdown import table
from thesis.search import Found
from thesis.statistics import Estimate, short
from thesis.strip import bound_text, strip
from thesis.verdicts import tried

_CLASSES = {
    claim.REPRODUCED: "claim-reproduced",
    claim.IN_RANGE: "claim-in-range",
    claim.INCONCLUSIVE: "claim-inconclusive",
    claim.NOT_REPRODUCED: "claim-not-reproduced",
    claim.NOT_TESTABLE: "claim-not-testable",
}

SIGNIFICANT = 0.05
"""A corrected p-value above this does not stand beside the other verdicts."""


@dataclass(frozen=True)
class VerdictBox:
    """A claim with its verdict, as a MyST box in the book and as text in a terminal.

    Attributes:
        claim: the claim.
        verdict: what was found of it.
        corrected: its p-value after Holm's correction for all claims of its family, if known.
    """

    claim: Claim
    verdict: Verdict
    corrected: float | None = None

    @property
    def number(self) -> str:
        """The number with its interval, or a dash."""
        return self.verdict.number.text() if self.verdict.number else "–"

    @property
    def bound(self) -> Bound:
        """What the number is held against: the claim's bound, or a measured one."""
        return self.verdict.bound or self.claim.bound

    @property
    def asked(self) -> str:
        """Where the number had to lie, in words; nothing if its rule asks for something else."""
        low, high = (None if end is None else bound_text(end) for end in self.bound)
        if low and high:
            return f"{low} to {high}"
        if low:
            return f"{'at least' if self.claim.unit == 'share' else 'more than'} {low}"
        return f"less than {high}" if high else ""

    @property
    def counts(self) -> str:
        """The p-value and what the correction for many claims makes of it, in a sentence."""
        v = self.verdict
        if v.outcome == claim.NOT_TESTABLE:
            return "Nothing was tested, so nothing is shown."
        if v.outcome == claim.INCONCLUSIVE:
            return "The interval lies on both sides of a bound of the rule, so nothing is shown."
        if v.over and v.p == 1:
            return "The runs answer the rule; the correction for the forty claims leaves it out."
        if v.p == 0:
            return (
                "A rule that asks for every seed is refuted by one seed; no correction is needed."
            )
        told = _p(v.p)
        if self.corrected is None:
            return f"The test of this verdict has {told}."
        stands = "stands" if self.corrected <= SIGNIFICANT else "does not stand"
        return (
            f"The test of this verdict has {told}; corrected for all claims it has "
            f"{_p(self.corrected)} and {stands} beside the others."
        )

    def _where(self) -> str:
        v = self.verdict
        if not v.where:
            return ""
        if v.outcome == claim.INCONCLUSIVE:
            return f"It is open {v.where}."
        if v.outcome == claim.IN_RANGE:
            return f"It holds {v.where}."
        return f"{v.where[0].upper()}{v.where[1:]}."

    def _says(self) -> str:
        v = self.verdict
        return " ".join(each for each in (v.reading, self._where(), tried(v.elsewhere)) if each)

    def _told(self) -> str:
        """The number, its unit, its meaning and what the rule asks of it."""
        c, v = self.claim, self.verdict
        if v.number is None:
            return "–"
        unit, scale = _unit(c), f" ({c.unit})" if c.unit[0].isdigit() else ""
        low, high = v.number.low, v.number.high
        digits = 4 if low != high and short(low) == short(high) else 3
        told = short(v.number.value, digits)
        ends = f" ({short(low, digits)} to {short(high, digits)} over {v.over or _seeds(v.seeds)})"
        if v.number.n < 2 and v.over:
            ends = f" (over {v.over})"
        asked = f"; the rule asks for {self.asked}" if self.asked else ""
        return f"{told}{unit}{ends}: {c.number}{scale}{asked}"

    def __str__(self) -> str:
        """One paragraph of plain text."""
        c, v = self.claim, self.verdict
        stale = " STALE: measured with another state of the code." if v.stale else ""
        return plain(
            f"{c.id} ({c.source}) {v.outcome}: {c.statement}\n"
            f"  found: {self._says()}{stale}\n"
            f"  number: {self._told()}\n"
            f"  measured: {c.merit}\n"
            f"  rule: {c.rule}\n{self._searched()}  test: {self.counts}"
        )

    def _searched(self) -> str:
        known = searches().get(self.claim.id)
        if known is None:
            return ""
        return (
            f"  other settings: {known.over}\n"
            f"  measured there: {known.merit}\n  rule there: {known.rule}\n"
        )

    @property
    def plot(self) -> str:
        """The number over seeds against its bound, as a line of HTML; nothing without a number."""
        v = self.verdict
        if v.number is None or not v.number.values:
            return ""
        parts: Mapping[str, Estimate] = v.parts or {"": v.number}
        return strip(parts, self.bound, plain(f"{self.claim.id}: {self._told()}"))

    def summary(self) -> str:
        """What a reader sees of the box before it is unfolded (Markdown)."""
        c, v = self.claim, self.verdict
        lines = [f"*{c.statement}* ({c.source})", "", self._says()]
        if v.number is not None:
            lines += ["", f"**Number.** {self._told()}.", "", self.plot]
        if v.stale:
            lines += ["", "**Stale.** These results were measured with another state of the code."]
        return "\n".join(lines)

    def details(self) -> str:
        """The rule, how it was measured, and further numbers (Markdown)."""
        c, v = self.claim, self.verdict
        lines = [f"**Rule.** {c.rule}", "", f"**Measured.** {_sentence(c.merit)}"]
        lines += ["", f"**Tried.** {_sentence(c.tried)}", "", f"**Test.** {self.counts}"]
        if v.table:
            lines += ["", *table(v.table)]
        if known := searches().get(c.id):
            lines += [
                "",
                f"**Other settings.** {_sentence(known.over)} See "
                f"{{numref}}`{label(known.figure)}`. Measured there: {known.merit}. Rule there: "
                f"{known.rule}.",
            ]
            if v.elsewhere:
                lines += ["", *table(_elsewhere(known.number, v.elsewhere))]
        return "\n".join(lines)

    def _repr_markdown_(self) -> str:
        c, v = self.claim, self.verdict
        return "\n".join(
            [
                f"({self.target})=",
                f"::::{{admonition}} Claim {c.id}: {v.outcome}",
                f":class: claim {_CLASSES[v.outcome]}",
                "",
                self.summary(),
                "",
                ":::{dropdown} Rule, ranges and further numbers",
                self.details(),
                ":::",
                "::::",
                "",
            ]
        )

    @property
    def target(self) -> str:
        """The label that links to this box in the book."""
        return f"claim-{self.claim.id.lower()}"

    @property
    def link(self) -> str:
        """Its identifier as a link to this box (MyST)."""
        return f"{{ref}}`{self.claim.id} <{self.target}>`"

    def __repr__(self) -> str:
        """The same as text."""
        return str(self)


def _unit(claim: Claim) -> str:
    """What stands after the number: its unit, if it is one and not a scale or a share."""
    return "" if claim.unit == "share" or claim.unit[0].isdigit() else f" {claim.unit}"


def _elsewhere(number: str, found: tuple[Found, ...]) -> Table:
    def says(each: Found) -> str:
        return f"yes{', ' + each.part if each.part else ''}" if each.holds else (
            "open" if each.open else "no"
        )  # fmt: skip

    rows = ((each.setting, each.number.text(2), says(each)) for each in found)
    return (("Setting", f"{number[0].upper()}{number[1:]}", "Holds"), *rows)


def _sentence(text: str) -> str:
    named = text.startswith((*DATASETS, "fork"))  # a name keeps its small letter
    front = text[0] if named else text[0].upper()
    return f"{front}{text[1:]}" + ("" if text.endswith(".") else ".")


def _p(value: float) -> str:
    return "$p < 0.001$" if value < 0.001 else f"$p = {value:.2g}$"


_SIGNS = {
    r"\\alpha": "alpha", r"\\varepsilon": "eps", r"\\sigma": "sigma", r"\\pi": "pi", r"\\,": " ",
    r"\\mid": "|", r"\\\|": "||", r"\\exp": "exp", r"\\log": "log", r"\\lvert ?": "|",
    r" ?\\rvert": "|", r"\\mathrm\{(.*?)\}": r"\1", r"\\sqrt\{(.*?)\}": r"sqrt(\1)",
    r"\^\{(.*?)\}": r"^\1", r"\$": "", r"  +\|\|  +": " || ", r"\*(\S.*?)\*": r"\1",
}  # fmt: skip


def plain(text: str) -> str:
    """Markdown with formulas as a terminal shows it."""
    for sign, word in _SIGNS.items():
        text = re.sub(sign, word, text)
    return text


def _seeds(number: int) -> str:
    return "1 seed" if number == 1 else f"{number} seeds"


def label(name: str) -> str:
    """The label under which the book shows a figure: ``4.9`` -> ``fig-4-8``, its sheet's first."""
    from thesis import figures  # loads what draws

    return "fig-" + figures.get(name).name.replace(".", "-")


@dataclass(frozen=True)
class ClaimsTable:
    """All verdicts as one table; every row links to the claim's box and to its figure."""

    verdicts: tuple[VerdictBox, ...]

    def _repr_markdown_(self) -> str:
        head = ("Claim", "What the thesis says", "Verdict", "Number", "Had to be", "Figure")
        rows = [head]
        for box in self.verdicts:
            c, v = box.claim, box.verdict
            where = f" {v.where}" if v.where and v.outcome == claim.IN_RANGE else ""
            stale = ", **stale**" if v.stale else ""
            mark = "&nbsp;†" if box.corrected is not None and _falls(box) else ""
            rows.append(
                (
                    f"{box.link}<br>{c.source}",
                    c.statement,
                    f"**{v.outcome}**{mark}{where}{stale}",
                    f"**{box.number}**{_unit(c)}, {_seeds(v.seeds)}<br>{c.number}",
                    box.asked or "see the box",
                    f"{{numref}}`{label(c.figure)}`" if c.figure else "–",
                )
            )
        return "\n".join(table(rows))

    def __repr__(self) -> str:
        """One line for each claim."""
        return "\n".join(f"{s.claim.id} {s.verdict.outcome}: {s.number}" for s in self.verdicts)


def _undecided(box: VerdictBox) -> bool:
    return box.verdict.outcome in (claim.INCONCLUSIVE, claim.NOT_TESTABLE)


def _falls(box: VerdictBox) -> bool:
    """Whether a verdict does not stand the correction for many claims."""
    return not _undecided(box) and box.corrected is not None and box.corrected > SIGNIFICANT


@dataclass(frozen=True)
class Correction:
    """What becomes of verdicts when their tests are corrected for being many, as a paragraph."""

    verdicts: tuple[VerdictBox, ...]

    @property
    def fallen(self) -> list[VerdictBox]:
        """The verdicts that do not stand it."""
        return [box for box in self.verdicts if _falls(box)]

    def _text(self, name: Callable[[VerdictBox], str]) -> str:
        open_ = sum(box.verdict.outcome == claim.INCONCLUSIVE for box in self.verdicts)
        kept = sum(not _undecided(box) for box in self.verdicts) - len(self.fallen)
        counted = [box for box in self.fallen if box.verdict.p == 0.5**box.verdict.seeds]
        return (
            f"Of {len(self.verdicts)} verdicts {open_} are inconclusive by their own interval, and "
            f"{kept} stand when all are corrected for being {len(self.verdicts)}. The other "
            f"{len(self.fallen)} do not: {', '.join(name(box) for box in self.fallen)}. For "
            f"{len(counted)} of these the rule asks for something in every seed; five seeds out of "
            "five are too few to show that beside so many other claims, and ten out of ten "
            "would do."
        )

    def _repr_markdown_(self) -> str:
        return self._text(lambda box: box.link)

    def __repr__(self) -> str:
        """The same as plain text."""
        return self._text(lambda box: box.claim.id)


@dataclass(frozen=True)
class VerdictChanges:
    """The verdicts that are others than on a day before, as a table.

    Attributes:
        date: that day.
        pairs: the earlier outcome and today's box.
    """

    date: str
    pairs: tuple[tuple[str, VerdictBox], ...]

    @property
    def changed(self) -> list[tuple[str, VerdictBox]]:
        """Those whose outcome differs."""
        return [(old, box) for old, box in self.pairs if old != box.verdict.outcome]

    def _repr_markdown_(self) -> str:
        rows = [("Claim", f"Before {self.date}", "Now", "Why")]
        for old, box in self.changed:
            v = box.verdict
            why = f"{box._where()} {box.number}; the rule asks for {box.asked}.".strip()
            rows.append((box.link, old, f"**{v.outcome}**", why))
        return "\n".join(table(rows))

    def __repr__(self) -> str:
        """One line for each change."""
        return "\n".join(
            f"{box.claim.id} was {old}, is {box.verdict.outcome}" for old, box in self.changed
        )


@dataclass(frozen=True)
class RuleChanges:
    """The rules that changed after their rows had been measured, as a table.

    Attributes:
        changes: ``claim``, ``date`` and ``why`` of each, and digests of the rule before and after.
    """

    changes: tuple[Mapping[str, str], ...]

    def _repr_markdown_(self) -> str:
        rows = [("Claim", "Day", "What changed")]
        for each in self.changes:
            id = each["claim"]
            why = f"{each['why'][0].upper()}{each['why'][1:]}."
            rows.append((f"{{ref}}`{id} <claim-{id.lower()}>`", each["date"], why))
        return "\n".join(table(rows))

    def __repr__(self) -> str:
        """One line for each change."""
        return "\n".join(f"{each['claim']} {each['date']}: {each['why']}" for each in self.changes)


@dataclass(frozen=True)
class MoreSeeds:
    """What it would take to decide what is open: five more seeds of some studies, as a table.

    Attributes:
        rows: studies, the open verdicts that hang on them, their seeds, and the minutes that one
            core takes to train what five more seeds need.
        total: the minutes for all of them together; studies share trainings.
    """

    rows: tuple[tuple[tuple[str, ...], tuple[VerdictBox, ...], int, float], ...]
    total: float

    def _repr_markdown_(self) -> str:
        rows = [("Open claims", "Seeds so far", "Five more, minutes of one core")]
        for _, boxes, seeds, minutes in self.rows:
            names = ", ".join(box.link for box in boxes)
            rows.append((names, str(seeds), f"{minutes:.0f}"))
        rows.append(("all, trainings shared", "", f"{self.total:.0f}"))
        return "\n".join(table(rows))

    def __repr__(self) -> str:
        """One line for each study."""
        return "\n".join(
            f"{', '.join(box.claim.id for box in boxes)} ({', '.join(studies)}): {seeds} seeds, "
            f"five more take {minutes:.0f} minutes"
            for studies, boxes, seeds, minutes in self.rows
        )


@dataclass(frozen=True)
class SearchTable:
    """Where else claims were looked for, as a table; every row links to the claim's box.

    Attributes:
        found: for each claim with a search, what was found at the other settings.
    """

    found: tuple[tuple[VerdictBox, tuple[Found, ...]], ...]

    def _repr_markdown_(self) -> str:
        rows = [("Claim", "What the thesis says", "Looked for at", "Holds at")]
        for box, found in self.found:
            good = [each.where for each in found if each.holds]
            unknown = [each.setting for each in found if each.open]
            where = "; ".join(good) if good else "none of them"
            where += f" (open: {'; '.join(unknown)})" if unknown else ""
            over = searches()[box.claim.id].over
            holds = f"{len(good)} of {len(found)}: {where}" if good else where
            rows.append((box.link, box.claim.statement, over, holds))
        return "\n".join(table(rows))

    def __repr__(self) -> str:
        """One line for each claim."""
        return "\n".join(
            f"{box.claim.id}: {sum(each.holds for each in found)} of {len(found)}"
            for box, found in self.found
        )


@dataclass(frozen=True)
class HeldOut:
    """What becomes of the verdicts on the seeds that no rule was made with, as a paragraph.

    Attributes:
        first: the first of those seeds.
        pairs: each verdict over all seeds, and over those alone.
    """

    first: int
    pairs: tuple[tuple[VerdictBox, VerdictBox], ...]

    @property
    def changed(self) -> list[tuple[VerdictBox, VerdictBox]]:
        """The pairs whose outcome differs."""
        return [(a, b) for a, b in self.pairs if a.verdict.outcome != b.verdict.outcome]

    def _text(self, name: Callable[[VerdictBox], str]) -> str:
        kept = len(self.pairs) - len(self.changed)
        text = f"Judged from seed {self.first} and up alone, {kept} of {len(self.pairs)} verdicts"
        if not self.changed:
            return f"{text} stay what they are."
        listed = "; ".join(
            f"{name(a)}, {a.verdict.outcome} over all seeds, is then {b.verdict.outcome}"
            for a, b in self.changed
        )
        return f"{text} stay what they are. {listed}."

    def _repr_markdown_(self) -> str:
        return self._text(lambda box: box.link)

    def __repr__(self) -> str:
        """The same as plain text."""
        return self._text(lambda box: box.claim.id)


@dataclass(frozen=True)
class Summary:
    """How many claims have each outcome, as a list."""

    counts: dict[str, int]
    stale: bool

    def _repr_markdown_(self) -> str:
        lines = [f"- **{number}** {outcome}" for outcome, number in self.counts.items() if number]
        if self.stale:
            lines += ["", "Some of these results were measured with another state of the code."]
        return "\n".join(lines)

    def __repr__(self) -> str:
        """The counts in one line."""
        return ", ".join(f"{number} {outcome}" for outcome, number in self.counts.items())
