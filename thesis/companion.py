"""What a chapter holds: trained models, results, figures and verdicts."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from ebmlib.errors import InputError, NoiseLevelWarning
from ebmlib.training.run import Run, device_of
from ebmlib.training.store import Store, Trained
from thesis import claim, claims, measured, rules
from thesis.conditions import condition
from thesis.display import (
    ClaimsTable,
    Correction,
    HeldOut,
    MoreSeeds,
    RuleChanges,
    SearchTable,
    Summary,
    VerdictBox,
    VerdictChanges,
)
from thesis.evidence import holm
from thesis.page_settings import Note, in_place, of_book
from thesis.runs import sampler_updates, tiny
from thesis.studies import study
from thesis.study import SEEDS, SHORT, Results
from thesis.verdicts import verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ebmlib.demonstrations.dataset import Demonstrations
    from thesis.figure import ThesisFigure

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
        settings: hyper-parameters that every condition is trained with in place of its own, by the
            names of :meth:`ebmlib.training.run.Run.with_`.
        book: the condition whose values a page declares as its parameters (see :meth:`page`).
        values: what the page was executed with, by the names of its parameters.
    """

    profile: str = "default"
    device: str = "auto"
    store: Store = field(default_factory=Store)
    seed: int = 0
    settings: Mapping[str, Any] = field(default_factory=dict)
    book: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    _asked: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _stale: dict[str, bool] = field(default_factory=dict, init=False, repr=False, compare=False)
    _holm: dict[str, dict[str, float]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def page(
        cls,
        book: str,
        profile: str = "default",
        device: str = "auto",
        *,
        seed: int = 0,
        **values: Any,
    ) -> Companion:
        """The companion of a page that declares hyper-parameters.

        A condition with the book's value of a parameter is trained with the page's. One that
        differs from the book there (the other noise level of a comparison) keeps what it has.

        Args:
            book: the condition whose values are the page's defaults.
            profile: see the class.
            device: see the class.
            seed: the seed whose models the page shows.
            values: the page's parameters, by the names of Table 4.1.

        Raises:
            InputError: a name or a value that the condition cannot have.
        """
        made = cls(profile, device, seed=seed, book=book, values=values)
        made.run(book)
        return made

    @property
    def changes(self) -> dict[str, Any]:
        """What the page was executed with in place of the book's values."""
        if self.book is None:
            return {}
        known = of_book(condition(self.book), self.values)
        found = {name: value for name, value in self.values.items() if value != known[name]}
        return found | ({"seed": self.seed} if self.seed else {})

    @property
    def at(self) -> str:
        """For captions: ``seed 0`` at the book's settings, else every value that differs."""
        others = {name: value for name, value in self.changes.items() if name != "seed"}
        return ", ".join([*([in_words(others)] if others else []), f"seed {self.seed}"])

    def note(self) -> Note | None:
        """What a page says first if it was executed with other values than the book's."""
        return Note(self.changes, in_words(self.changes)) if self.changes else None

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
        run = self._whole(name, self.seed if seed is None else seed)
        return tiny(run) if self.small else run

    def _whole(self, name: str, seed: int = 0) -> Run:
        """The run of a condition with the page's and the caller's settings."""
        run = condition(name, seed)
        if self.book is not None:
            run = in_place(run, condition(self.book), self.values)
        return run.with_(**self.settings)

    def trained(self, name: str, seed: int | None = None) -> Trained:
        """The trained model of a condition: from the store, or trained now and kept."""
        with warnings.catch_warnings():  # some conditions are past the stability limit on purpose
            warnings.simplefilter("ignore", NoiseLevelWarning)
            trained = self.store.train_or_load(self.run(name, seed), device=self.where)
        self._asked[f"{name}, seed {trained.run.seed}"] = trained.record["key"]
        return trained

    def demonstrations(self, name: str) -> Demonstrations:
        """The demonstrations of a condition."""
        demonstrations = self._whole(name).demonstrations()
        self._asked[f"data set {name}"] = demonstrations.digest()
        return demonstrations

    def results(self, name: str) -> Results:
        """The results of a study (see :func:`thesis.measured.load`).

        Raises:
            InputError: other settings are asked for than those it was measured at.
        """
        if self.settings:
            raise InputError(
                f"The results of the study {name} were measured at its own settings, so they "
                f"cannot be shown at {in_words(self.settings)}; measure a study of your own."
            )
        results = measured.load(name)
        self._asked[f"results {name}, seeds {len(results.seeds())}"] = results.provenance["digest"]
        return results

    def stale(self, results: Results) -> bool:
        """Whether results belong to another state of the code; found once per companion."""
        key = f"{results.study} {results.provenance.get('digest')}"
        if key not in self._stale:
            self._stale[key] = measured.stale(results)
        return self._stale[key]

    def figure(self, name: str, *, seeds: Iterable[int] | None = None, **settings: Any) -> Figure:
        """A figure by its number in the thesis, or by its name.

        ``Companion().figure("4.7", alpha=0.02, K=200)`` trains its models with these values and
        says so above the picture.

        Args:
            name: number or name.
            seeds: draw it once for each, below each other; the companion's seed if None.
            settings: hyper-parameters in place of those of the figure's conditions.

        Raises:
            InputError: no such figure, or none that depends on such a setting.
        """
        from ebmlib.figures import repeated, using_style  # loads what draws
        from thesis import figures

        drawing = figures.get(name)
        several = [settings.pop("seed", self.seed)] if seeds is None else list(seeds)
        settings = {**self.settings, **settings}
        if not several:
            raise InputError("seeds names no seed; give one or more, such as range(5).")
        changed = bool(settings) or several != [self.seed]
        sources = [replace(self, seed=seed, settings=settings) for seed in several]
        if changed:
            self._check(drawing, sources)
        self._asked.clear()
        if self.changes and self._depends(drawing):
            settings, changed = {**self.changes, **settings}, True
        with using_style():
            titles = [_title(drawing.name, source) for source in sources]
            if len(sources) > 1:
                draws = [partial(drawing.draw, source) for source in sources]
                drawn = repeated(draws, titles)
            else:
                drawn = drawing.draw(sources[0])
                if changed:
                    drawn.suptitle(titles[0])
        for source in sources:
            self._asked.update(source._asked)
        about = {"figure": name, "from": dict(self._asked)}
        drawn.provenance = about | ({"settings": settings} if settings else {})  # type: ignore[attr-defined]
        return drawn

    def _depends(self, drawing: ThesisFigure) -> bool:
        """Whether a figure changes with the page: it draws models, or data with other noise."""
        data = not drawing.studies and "sigma" in self.changes
        return bool(drawing.conditions) or data

    @staticmethod
    def _check(drawing: ThesisFigure, sources: list[Companion]) -> None:
        """Refuse, before anything is trained, what the figure does not depend on."""
        known = ", ".join(sources[0].settings) or "seed"
        if drawing.studies:
            raise InputError(
                f"Figure {drawing.name} draws what the study {drawing.studies[0]} measured at its "
                f"own settings and seeds, so it has no parameter {known}."
            )
        if not drawing.conditions:
            raise InputError(
                f"Figure {drawing.name} draws no trained model, so it has no parameter {known}."
            )
        for source in sources:
            for name in drawing.conditions:
                source.run(name)

    def verdict(self, id: str, first_seed: int = 0) -> VerdictBox:
        """A claim's verdict from a seed and up, which a notebook displays as a box."""
        found = claims.get(id)
        made = verdict(found, self.results, first_seed, self.stale)
        corrected = None if first_seed else self._corrected(found.family).get(id)
        return VerdictBox(found, made, corrected)

    def _corrected(self, family: str) -> dict[str, float]:
        """The p-values of a family's verdicts after Holm's correction; found once."""
        if family not in self._holm:
            known = claims.claims(family)
            judged = {c.id: verdict(c, self.results, stale=lambda results: False) for c in known}
            self._holm[family] = holm({id: each.p for id, each in judged.items()})
        return self._holm[family]

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

    def correction(self, family: str = claim.THESIS) -> Correction:
        """What Holm's correction for many claims changes, as a paragraph."""
        return Correction(tuple(self.verdicts(family)))

    def verdict_changes(self, family: str = claim.THESIS) -> VerdictChanges:
        """Which verdicts are others than before intervals could leave one open, as a table."""
        before = rules.manifest()["before"]
        known = [(before["verdicts"].get(box.claim.id), box) for box in self.verdicts(family)]
        return VerdictChanges(before["date"], tuple((old, box) for old, box in known if old))

    def more_seeds(self, family: str = claim.THESIS) -> MoreSeeds:
        """What five more seeds of the studies behind open verdicts would cost, as a table."""
        open_ = [b for b in self.verdicts(family) if b.verdict.outcome == claim.INCONCLUSIVE]
        rows, all_minutes = [], dict[str, float]()
        for studies in dict.fromkeys(box.claim.studies for box in open_):
            minutes = {
                each: SEEDS * sampler_updates(condition(each)) / SHORT
                for name in studies
                for each in study(name).runs()
            }
            all_minutes |= minutes
            boxes = tuple(box for box in open_ if box.claim.studies == studies)
            rows.append((studies, boxes, boxes[0].verdict.seeds, sum(minutes.values())))
        return MoreSeeds(tuple(rows), sum(all_minutes.values()))

    def rule_changes(self, family: str = claim.THESIS) -> RuleChanges:
        """Which rules changed after their rows had been measured, as a table."""
        changes = rules.manifest()["changes"]
        return RuleChanges(tuple(each for each in changes if each["claim"].startswith(family)))

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


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings as ``alpha = 0.02, K = 200``."""
    return ", ".join(f"{name} = {value}" for name, value in settings.items())


def _title(name: str, source: Companion) -> str:
    told = in_words({**source.changes, **source.settings, "seed": source.seed})
    return f"Figure {name} at {told}" + (" (tiny: smoke profile)" if source.small else "")
