"""What a chapter holds: trained models, results, figures and verdicts."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from ebmlib.errors import NoiseLevelWarning
from ebmlib.training.run import Run, device_of
from ebmlib.training.store import Store, Trained
from thesis import claim, figure, search, study
from thesis.conditions import condition, tiny
from thesis.display import ClaimsTable, HeldOut, SearchTable, ShownVerdict, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebmlib.demonstrations.dataset import Demonstrations

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
    _asked: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

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
        with warnings.catch_warnings():  # some conditions are past the stability limit on purpose
            warnings.simplefilter("ignore", NoiseLevelWarning)
            trained = self.store.train_or_load(self.run(name, seed), device=self.where)
        self._asked[f"{name}, seed {trained.run.seed}"] = trained.record["key"]
        return trained

    def demonstrations(self, name: str) -> Demonstrations:
        """The demonstrations of a condition."""
        demonstrations = condition(name).demonstrations()
        self._asked[f"data set {name}"] = demonstrations.digest()
        return demonstrations

    def results(self, name: str) -> study.Results:
        """The results of a study (see :func:`thesis.study.load`)."""
        results = study.load(name)
        self._asked[f"results {name}, seeds {len(results.seeds())}"] = results.provenance["digest"]
        return results

    def figure(self, name: str) -> Figure:
        """A figure by its number in the thesis, or by its name."""
        from ebmlib import figures

        drawing = figure.get(name)
        self._asked.clear()
        with figures.using_style():
            drawn = drawing.draw(self)
        drawn.provenance = {"figure": name, "from": dict(self._asked)}  # type: ignore[attr-defined]
        return drawn

    def verdict(self, id: str, first_seed: int = 0) -> ShownVerdict:
        """A claim's verdict from a seed and up, shown in a notebook as a box."""
        found = claim.get(id)
        return ShownVerdict(found, found.verdict(self.results, first_seed))

    def verdicts(self) -> list[ShownVerdict]:
        """All verdicts in the order of their identifiers."""
        return [self.verdict(found.id) for found in claim.claims()]

    def held_out(self) -> HeldOut:
        """Which verdicts change if the seeds known while rules were settled are left out."""
        first = claim.FIRST_HELD_OUT
        return HeldOut(first, tuple((v, self.verdict(v.claim.id, first)) for v in self.verdicts()))

    def claims_table(self) -> ClaimsTable:
        """All verdicts, shown in a notebook as a table with links."""
        return ClaimsTable(tuple(self.verdicts()))

    def search_table(self) -> SearchTable:
        """Where claims that fail at our setting were looked for, shown in a notebook as a table."""
        known = search.searches()
        return SearchTable(
            tuple((self.verdict(id), tuple(known[id].found(self.results))) for id in known)
        )

    def counts(self) -> dict[str, int]:
        """How many claims have each outcome."""
        found = Counter(shown.verdict.outcome for shown in self.verdicts())
        return {outcome: found[outcome] for outcome in claim.OUTCOMES}

    def summary(self) -> Summary:
        """The counts, shown in a notebook as a list."""
        return Summary(self.counts(), any(shown.verdict.stale for shown in self.verdicts()))
