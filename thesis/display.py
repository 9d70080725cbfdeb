"""How verdicts look: as text in a terminal, as boxes and a table in the book (MyST)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from thesis import claim
from thesis.claim import Claim, Verdict
from thesis.claims import searches
from thesis.search import Found

_CLASSES = {
    claim.REPRODUCED: "claim-reproduced",
    claim.IN_RANGE: "claim-in-range",
    claim.NOT_REPRODUCED: "claim-not-reproduced",
    claim.NOT_TESTABLE: "claim-not-testable",
}


@dataclass(frozen=True)
class VerdictBox:
    """A claim with its verdict, as a MyST box in the book and as text in a terminal."""

    claim: Claim
    verdict: Verdict

    @property
    def number(self) -> str:
        """The number with its interval, or a dash."""
        return self.verdict.number.text() if self.verdict.number else "–"

    def __str__(self) -> str:
        """One paragraph of plain text."""
        c, v = self.claim, self.verdict
        where = f" ({v.where})" if v.where else ""
        stale = " STALE: measured with another state of the code." if v.stale else ""
        return (
            f"{c.id} ({c.section}) {v.outcome}{where}: {c.statement}\n"
            f"  measured: {c.merit}: {self.number}, {_seeds(v.seeds)}\n"
            f"  rule: {c.rule}\n{self._searched()}  reading: {v.reading}{stale}"
        )

    def _searched(self) -> str:
        known = searches().get(self.claim.id)
        if known is None:
            return ""
        return (
            f"  other settings: {known.over}\n"
            f"  measured there: {known.merit}\n  rule there: {known.rule}\n"
        )

    def _repr_markdown_(self) -> str:
        c, v = self.claim, self.verdict
        where = f" ({v.where})" if v.where else ""
        lines = [
            f"({self.target})=",
            f":::{{admonition}} Claim {c.id}: {v.outcome}",
            f":class: claim {_CLASSES[v.outcome]}",
            "",
            f"**Claim.** {c.statement} *(Section {c.section} of the thesis.)*",
            "",
            f"**Measured.** {c.merit[0].upper()}{c.merit[1:]}. **Rule.** {c.rule}",
            "",
            f"**Result.** {v.reading}",
            "",
            f"**Verdict.** {v.outcome[0].upper()}{v.outcome[1:]}{where}; number {self.number}, "
            f"{_seeds(v.seeds)}. Tried: {c.tried}.",
        ]
        if known := searches().get(c.id):
            lines += [
                "",
                f"**Other settings.** Looked for at {known.over} "
                f"({{numref}}`{label(known.figure)}`). Measured there: {known.merit}. Rule "
                f"there: {known.rule}.",
            ]
        if v.stale:
            lines += ["", "**Stale.** These results were measured with another state of the code."]
        return "\n".join([*lines, ":::", ""])

    @property
    def target(self) -> str:
        """The label that links to this box in the book."""
        return f"claim-{self.claim.id.lower()}"

    def __repr__(self) -> str:
        """The same as text."""
        return str(self)


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
        lines = [
            "| Claim | Section | What the thesis says | Verdict | Number | Seeds | Figure |",
            "|---|---|---|---|---|---|---|",
        ]
        for box in self.verdicts:
            c, v = box.claim, box.verdict
            where = f" ({v.where})" if v.where else ""
            stale = ", **stale**" if v.stale else ""
            drawn = f"{{numref}}`{label(c.figure)}`" if c.figure else "–"
            cells = [
                f"{{ref}}`{c.id} <{box.target}>`",
                c.section,
                c.statement,
                f"{v.outcome}{where}{stale}",
                box.number,
                str(v.seeds) if v.seeds else "–",
                drawn,
            ]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return "\n".join(lines)

    def __repr__(self) -> str:
        """One line for each claim."""
        return "\n".join(f"{s.claim.id} {s.verdict.outcome}: {s.number}" for s in self.verdicts)


@dataclass(frozen=True)
class SearchTable:
    """Where else claims were looked for, as a table; every row links to the claim's box.

    Attributes:
        found: for each claim with a search, what was found at the other settings.
    """

    found: tuple[tuple[VerdictBox, tuple[Found, ...]], ...]

    def _repr_markdown_(self) -> str:
        lines = ["| Claim | What the thesis says | Looked for at | Holds at |", "|---|---|---|---|"]
        for box, found in self.found:
            good = [each.where for each in found if each.holds]
            where = "; ".join(good) if good else "none of them"
            over = searches()[box.claim.id].over
            cells = [
                f"{{ref}}`{box.claim.id} <{box.target}>`",
                box.claim.statement,
                over,
                f"{len(good)} of {len(found)}: {where}" if good else where,
            ]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)

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
        return self._text(lambda box: f"{{ref}}`{box.claim.id} <{box.target}>`")

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
