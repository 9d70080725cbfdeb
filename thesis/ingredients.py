"""What each ingredient of the recipe for drawings is worth, over seeds: a table of the study."""

from __future__ import annotations

from dataclasses import dataclass

from thesis.markdown import table
from thesis.statistics import Estimate, estimate
from thesis.study import Results

RECIPE = "drawings/recipe"
TWO_DECIMALS = 10.0
"""Numbers below this have two decimals, larger ones none."""


def told(number: Estimate) -> str:
    """``0.74 [0.67, 0.80]``: as many decimals in all rows of a column."""
    digits = 2 if max(map(abs, number[:3])) < TWO_DECIMALS else 0
    value, low, high = (f"{round(each, digits) + 0.0:.{digits}f}" for each in number[:3])
    return f"{value} [{low}, {high}]"


CHANGES = {
    "drawings/recipe": "the recipe",
    "drawings/as-given": "states and actions as given",
    "drawings/no-state-noise": "no noise on states",
    "drawings/no-action-noise": "no noise on actions",
    "drawings/no-noise": "no noise",
    "drawings/oriented-noise": "noise along and across the action",
    "drawings/constant-rate": "a constant learning rate",
    "drawings/position": "state: position alone",
    "drawings/history": "state: position and last actions",
    "drawings/history-and-clock": "state: position, last actions and clock",
    "drawings/nce": "objective: NCE",
    "drawings/importance": "objective: likelihood by importance sampling",
    "drawings/chains-from-noise": "objective: chains that start from noise",
    "drawings/chains-kept": "objective: chains that are kept from update to update",
}
"""Condition -> what it changes, in words."""
STOPPED = "no noise, stopped early"


@dataclass(frozen=True)
class Ingredients:
    """The table: a row for every change of the recipe, with 95 % intervals over seeds.

    Attributes:
        results: of the study ``drawings``.
    """

    results: Results

    @property
    def seeds(self) -> int:
        """How many seeds every row has."""
        return len(self.results.seeds())

    def nats(self, name: str) -> Estimate:
        """What a kept action costs, in nats."""
        return estimate(self.results.values(name, "nats"))

    def worse(self, name: str) -> Estimate:
        """Nats per kept action that a change costs, paired by seed."""
        values = self.results.values
        return estimate(values(name, "nats") - values(RECIPE, "nats"))

    def stopped(self) -> Estimate:
        """The same of a training without noise, stopped early by the first kept stroke."""
        values = self.results.values
        late = values(RECIPE, "nats_last")  # on the strokes that did not stop it
        return estimate(values("drawings/no-noise", "nats_stopped") - late)

    def followed(self, name: str) -> Estimate:
        """Distance of a rollout to the kept strokes over that between people."""
        return estimate(self.results.values(name, "dtw"))

    def away(self, name: str) -> int:
        """How many seeds have a rollout that left the data."""
        return int(self.results.values(name, "away").sum())

    def _repr_markdown_(self) -> str:
        head = ("One change", "nats per kept action", "nats worse than the recipe",
                "rollout, DTW / floor", "left the data")  # fmt: skip
        rows = [head]
        for name, words in CHANGES.items():
            worse = "–" if name == RECIPE else told(self.worse(name))
            away = f"{self.away(name)} of {self.seeds}"
            rows.append((words, told(self.nats(name)), worse, told(self.followed(name)), away))
            if name == "drawings/no-noise":
                rows.append((STOPPED, "–", told(self.stopped()), "–", "–"))
        return "\n".join(table(rows))

    def __repr__(self) -> str:
        """The same as text."""
        return self._repr_markdown_()
