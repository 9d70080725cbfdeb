"""The thesis's table of contents, and where the book shows each part of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from thesis.claim import THESIS
from thesis.claims import claims
from thesis.display import label
from thesis.figure import NUMBERS

SECTIONS = {
    "1.1": ("Background", "introduction"),
    "1.2": ("Motivation", "introduction"),
    "1.3": ("Contribution", "introduction"),
    "2.1": ("Probabilistic inference", "foundations/inference"),
    "2.2": ("Energy-based model", "foundations/energy"),
    "2.3": ("Training", "foundations/training"),
    "2.4": ("Stochastic gradient Langevin dynamics", "foundations/sgld"),
    "2.5": ("Imitation learning", "foundations/imitation"),
    "3.1": ("Problem statement", "method/problem"),
    "3.2": ("Modelling policy", "method/policy"),
    "3.2.1": ("Model architecture", "method/network"),
    "3.3": ("Sampling action", "method/sampling"),
    "3.4": ("Learning policy", "method/learning"),
    "4.1": ("Environment set-up", "experiments/setup"),
    "4.2": ("Model architecture tuning", "experiments/architecture"),
    "4.3.1": ("Tuning SGLD noise level", "experiments/noise-level"),
    "4.3.2": ("Training dynamic", "experiments/dynamic"),
    "4.3.3": ("Non-converging MCMC", "experiments/non-converging"),
    "4.4.1": ("path1", "experiments/path1"),
    "4.4.2": ("circle", "experiments/circle"),
    "4.4.3": ("mouse1", "experiments/mouse1"),
    "4.4.4": ("mouse2", "experiments/mouse2"),
    "5": ("Conclusion", "conclusion"),
}
"""Section of the thesis -> its title there, and the book's page, as seen from book/."""

EQUATIONS = {
    "2.1": "eq-boltzmann",
    "3.1": "eq-trajectory-probability",
    "3.2": "eq-conditional",
    "3.3": "eq-action-set",
    "3.4": "eq-implicit",
    "3.5": "eq-gradient",
    "4.1": "eq-sanity",
}
"""Numbered equation of the thesis -> its label in the book."""

OTHERS = {
    "Table 4.1": "experiments/setup",
    "Algorithm 1": "method/problem",
    "Algorithm 2": "method/sampling",
}
"""Tables and algorithms of the thesis -> the book's page."""


def section_of(number: str) -> str:
    """The entry of :data:`SECTIONS` that a section belongs to: ``2.3.2`` -> ``2.3``.

    Raises:
        KeyError: it belongs to none.
    """
    found = number.strip()
    while found not in SECTIONS:
        if "." not in found:
            raise KeyError(number)
        found = found.rpartition(".")[0]
    return found


@dataclass(frozen=True)
class ThesisMap:
    """Sections, equations, figures and claims of the thesis, with links, as tables in MyST."""

    def sections(self) -> Iterator[str]:
        """A row for each section: title, page, the claims that it makes."""
        made: dict[str, list[str]] = {number: [] for number in SECTIONS}
        for claim in claims(THESIS):
            for number in claim.section.split(","):
                made[section_of(number)].append(f"{{ref}}`{claim.id} <claim-{claim.id.lower()}>`")
        for number, (title, page) in SECTIONS.items():
            listed = ", ".join(made[number]) or "–"
            yield f"| thesis {number} | {title} | {{doc}}`{page}` | {listed} |"

    def numbered(self) -> Iterator[str]:
        """A row for each equation, table and algorithm."""
        for number, name in EQUATIONS.items():
            yield f"| Eq {number} of the thesis | {{eq}}`{name}` |"
        for number, page in OTHERS.items():
            yield f"| {number} of the thesis | {{doc}}`{page}` |"

    def figures(self) -> Iterator[str]:
        """A row for each figure of the book that shows figures of the thesis."""
        shown: dict[str, list[str]] = {}
        for number in NUMBERS:
            shown.setdefault(label(number), []).append(number)
        for name, numbers in shown.items():
            several = "s" if len(numbers) > 1 else ""
            yield f"| Figure{several} {', '.join(numbers)} of the thesis | {{numref}}`{name}` |"

    def _repr_markdown_(self) -> str:
        parts = [
            "| thesis | title | page | claims |\n|---|---|---|---|\n" + "\n".join(self.sections()),
            "| equation, table, algorithm | here |\n|---|---|\n" + "\n".join(self.numbered()),
            "| figure | here |\n|---|---|\n" + "\n".join(self.figures()),
        ]
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        """One line for each section."""
        return "\n".join(f"{number} {title}: {page}" for number, (title, page) in SECTIONS.items())
