"""What a chapter holds: trained models, results, figures and verdicts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from ebmlib.run import Run, device_of
from ebmlib.store import Store, Trained
from ebmlib.thesis import claim, figure, study
from ebmlib.thesis.claim import Claim, Verdict
from ebmlib.thesis.conditions import condition, tiny

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PROFILES = ("smoke", "default", "full")


@dataclass(frozen=True)
class Companion:
    """The thesis at hand.

    ``Companion().figure("4.6")`` draws a figure and trains what it needs, once;
    ``Companion().verdict("C27")`` judges a claim from measured results.

    Attributes:
        profile: ``"smoke"`` trains tiny models; the others train the conditions as they are.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        store: where trained models are kept.
        seed: the seed whose model a figure shows.
    """

    profile: str = "default"
    device: str = "auto"
    store: Store = field(default_factory=Store)
    seed: int = 0

    @property
    def small(self) -> bool:
        """Whether everything is to be tiny."""
        return self.profile == "smoke"

    @property
    def where(self) -> torch.device:
        """The device as PyTorch knows it."""
        return device_of(self.device)

    def run(self, name: str, seed: int | None = None) -> Run:
        """The run of a condition, as this profile trains it."""
        run = condition(name, self.seed if seed is None else seed)
        return tiny(run) if self.small else run

    def trained(self, name: str, seed: int | None = None) -> Trained:
        """The trained model of a condition: from the store, or trained now and kept."""
        return self.store.train_or_load(self.run(name, seed), device=self.where)

    def results(self, name: str) -> study.Results:
        """The results of a study (see :func:`ebmlib.thesis.study.load`)."""
        return study.load(name)

    def figure(self, name: str) -> Figure:
        """A figure by its number in the thesis, or by its name."""
        from ebmlib import figures

        drawing = figure.get(name)
        with figures.using_style():
            return drawing.draw(self)

    def verdict(self, id: str) -> ShownVerdict:
        """A claim's verdict, shown in a notebook as a box."""
        found = claim.get(id)
        return ShownVerdict(found, found.verdict(self.results))

    def verdicts(self) -> list[ShownVerdict]:
        """All verdicts in the order of their identifiers."""
        return [self.verdict(found.id) for found in claim.claims()]

    def counts(self) -> dict[str, int]:
        """How many claims have each outcome."""
        found = Counter(shown.verdict.outcome for shown in self.verdicts())
        return {outcome: found[outcome] for outcome in claim.OUTCOMES}


_CLASSES = {
    claim.REPRODUCED: "claim-reproduced",
    claim.IN_RANGE: "claim-in-range",
    claim.NOT_REPRODUCED: "claim-not-reproduced",
    claim.NOT_TESTABLE: "claim-not-testable",
}


@dataclass(frozen=True)
class ShownVerdict:
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
            f"  measured: {c.merit}: {self.number}, {v.seeds} seeds\n"
            f"  rule: {c.rule}\n  reading: {v.reading}{stale}"
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
            f"**Measured.** {c.merit}. **Rule.** {c.rule}",
            "",
            f"**Result.** {v.reading}",
            "",
            f"**Verdict.** {v.outcome[0].upper()}{v.outcome[1:]}{where}; number {self.number}, "
            f"{v.seeds} seeds. Tried: {c.tried}.",
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
