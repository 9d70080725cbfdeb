"""Where else a claim was looked for: the settings tried when it does not hold at ours.

A claim is judged at one setting. Where it fails there, a *search* judges it at others, by the
claim's own rule, ranges included. If it holds at some, the claim is reproduced in that range; the
others stand beside them in a figure, so that a reader sees the border.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ebmlib.errors import InputError
from thesis.evidence import Evidence, Ruling
from thesis.statistics import Estimate
from thesis.study import Results


@dataclass(frozen=True)
class Found:
    """The claim at one other setting.

    Attributes:
        setting: in words that follow "at": ``"8 hidden layers"``.
        number: the figure of merit there.
        evidence: whether the claim's rule is met, in full or in a range that the rule itself has.
        part: that range, where it is met in no more: ``"in 4 of 5 seeds"``.
    """

    setting: str
    number: Estimate
    evidence: Evidence
    part: str = ""

    @property
    def holds(self) -> bool:
        """Whether the rule is known to be met."""
        return self.evidence.answer is True

    @property
    def open(self) -> bool:
        """Whether an interval lies on both sides of a bound, so that it is not known."""
        return self.evidence.answer is None

    @property
    def where(self) -> str:
        """The setting, and the range within it."""
        return f"{self.setting} ({self.part})" if self.part else self.setting


def at_setting(setting: str, number: Estimate, ruling: Ruling) -> Found:
    """What a claim's rule says at a setting; the rule's own range is named, if that is all."""
    part = "" if ruling.full.answer else ", ".join(ruling.good)
    return Found(setting, number, ruling.somewhere, part)


@dataclass(frozen=True)
class Search:
    """What was tried for a claim, and by which criterion.

    Attributes:
        claim: its identifier.
        over: what was varied, with its values.
        number: what the number at a setting is, in a few words with its unit: ``"median gradient
            norm"``. It need not be the claim's own number.
        merit: the same in full.
        rule: when the claim holds at a setting.
        bound: values of the number between or beyond which it may hold, drawn as lines.
        studies: names of the studies whose results the judge gets, in this order.
        figure: the figure that shows the settings.
        judge: results -> the settings tried.
    """

    claim: str
    over: str
    number: str
    merit: str
    rule: str
    bound: tuple[float, ...]
    studies: tuple[str, ...]
    figure: str
    judge: Callable[..., list[Found]]

    def found(self, load: Callable[[str], Results], first_seed: int = 0) -> list[Found]:
        """The settings tried, judged from the seed ``first_seed`` and up."""
        return self.judge(*(load(name).from_seed(first_seed) for name in self.studies))


REGISTRY: dict[str, Search] = {}
"""What :func:`search` registered; :func:`thesis.claims.searches` is sure to have all."""


def search(
    claim: str,
    *,
    over: str,
    number: str,
    merit: str,
    rule: str,
    studies: tuple[str, ...],
    figure: str,
    bound: tuple[float, ...] = (),
) -> Callable[[Callable[..., list[Found]]], Search]:
    """Register the decorated judge as the search for a claim."""

    def register(judge: Callable[..., list[Found]]) -> Search:
        if claim in REGISTRY:
            raise InputError(f"Claim {claim} has two searches; make one of them.")
        REGISTRY[claim] = Search(claim, over, number, merit, rule, bound, studies, figure, judge)
        return REGISTRY[claim]

    return register
