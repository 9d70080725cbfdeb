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
from thesis import claim, claims, measured
from thesis.conditions import condition
from thesis.display import ClaimsTable, HeldOut, SearchTable, Summary, VerdictBox
from thesis.runs import tiny
from thesis.study import Results
from thesis.verdicts import verdict

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
    _stale: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

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

    def results(self, name: str) -> Results:
        """The results of a study (see :func:`thesis.measured.load`)."""
        results = measured.load(name)
        self._asked[f"results {name}, seeds {len(results.seeds())}"] = results.provenance["digest"]
        return results

    def stale(self, results: Results) -> bool:
        """Whether results belong to another state of the code; found once per companion."""
        key = f"{results.study} {results.provenance.get('digest')}"
        if key not in self._stale:
            self._stale[key] = measured.stale(results)
        return self._stale[key]

    def figure(self, name: str) -> Figure:
        """A figure by its number in the thesis, or by its name."""
        from ebmlib.figures import using_style  # loads what draws
        from thesis import figures

        drawing = figures.get(name)
        self._asked.clear()
        with using_style():
            drawn = drawing.draw(self)
        drawn.provenance = {"figure": name, "from": dict(self._asked)}  # type: ignore[attr-defined]
        return drawn

    def verdict(self, id: str, first_seed: int = 0) -> VerdictBox:
        """A claim's verdict from a seed and up, which a notebook displays as a box."""
        found = claims.get(id)
        return VerdictBox(found, verdict(found, self.results, first_seed, self.stale))

    def verdicts(self, family: str = claim.THESIS) -> list[VerdictBox]:
        """The verdicts on a family's claims (see :data:`thesis.claim.FAMILIES`), by identifier."""
        return [self.verdict(found.id) for found in claims.claims(family)]

    def held_out(self, family: str = claim.THESIS) -> HeldOut:
        """Which verdicts change if the seeds known while rules were settled are left out."""
        first = claim.FIRST_HELD_OUT
        boxes = self.verdicts(family)
        return HeldOut(first, tuple((box, self.verdict(box.claim.id, first)) for box in boxes))

    def claims_table(self, family: str = claim.THESIS) -> ClaimsTable:
        """A family's verdicts, which a notebook displays as a table with links."""
        return ClaimsTable(tuple(self.verdicts(family)))

    def search_table(self, family: str = claim.THESIS) -> SearchTable:
        """The searches for claims that fail at our setting, as a table."""
        known = {id: each for id, each in claims.searches().items() if id.startswith(family)}
        return SearchTable(
            tuple((self.verdict(id), tuple(known[id].found(self.results))) for id in known)
        )

    def counts(self, family: str = claim.THESIS) -> dict[str, int]:
        """How many of a family's claims have each outcome."""
        return self.summary(family).counts

    def summary(self, family: str = claim.THESIS) -> Summary:
        """The counts, which a notebook displays as a list."""
        boxes = self.verdicts(family)
        found = Counter(box.verdict.outcome for box in boxes)
        counts = {outcome: found[outcome] for outcome in claim.OUTCOMES}
        return Summary(counts, any(box.verdict.stale for box in boxes))
