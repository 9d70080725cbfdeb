"""A run: everything that determines a trained model, in one value."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ebmlib import checks, config, seeding
from ebmlib.config import register
from ebmlib.demonstrations.dataset import (
    DemonstrationConfig,
    Demonstrations,
    load_demonstrations,
)
from ebmlib.demonstrations.features import POSITION, StateFeatures
from ebmlib.demonstrations.pairs import Pairs, pairs_of
from ebmlib.errors import DeviceError, InputError, NoiseLevelWarning
from ebmlib.models.energy import EnergyConfig, EnergyModel
from ebmlib.objectives import names
from ebmlib.objectives.base import Objective
from ebmlib.objectives.contrastive_divergence import ContrastiveDivergence
from ebmlib.sampling.inference import Inference
from ebmlib.sampling.kernel import Kernel
from ebmlib.sampling.mala import MALA
from ebmlib.sampling.proposals import GaussianProposal, MixtureProposal, UniformProposal
from ebmlib.sampling.sgld import SGLD
from ebmlib.sampling.starts import DataStart, NoiseStart, PersistentStart, ReplayStart
from ebmlib.training.loop import Observer, TrainingConfig, TrainingResult, train


@register("Run")
@dataclass(frozen=True)
class Run:
    """Demonstrations, architecture, objective, training, seed, and how actions are drawn.

    ``run.with_(sgld_K=256, seed=3)`` is the run with other hyper-parameters, by the thesis's names
    (Table 4.1) or by the field names of the parts. Some values have names too: ``start="replay"``,
    ``objective="ranking-nce"``, ``kernel="mala"``, ``proposal="uniform"``.

    Attributes:
        data: which demonstrations, and how they are prepared.
        energy: the architecture.
        objective: what training minimises.
        training: how long and how fast.
        seed: of weights, batches and chains.
        inference: how actions are drawn from the trained model; None for the expectation estimate
            with the chain that the objective trained with.
        features: how a state is made from positions; ``features="position+history3"`` in words.

    Example:
        >>> from ebmlib import DemonstrationConfig, Run
        >>> run = Run(DemonstrationConfig("path1")).with_(epochs=200, objective="ranking-nce")
        >>> type(run.objective).__name__, run.training.epochs
        ('RankingNCE', 200)
    """

    data: DemonstrationConfig
    energy: EnergyConfig = field(default_factory=EnergyConfig)
    objective: Objective = field(default_factory=ContrastiveDivergence)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 0
    inference: Inference | None = None
    features: StateFeatures = POSITION

    def __post_init__(self) -> None:
        checks.instance("data", self.data, DemonstrationConfig, 'DemonstrationConfig("circle")')
        checks.instance("energy", self.energy, EnergyConfig, "EnergyConfig()")
        checks.instance("objective", self.objective, Objective, "ContrastiveDivergence()")
        checks.instance("training", self.training, TrainingConfig, "TrainingConfig()")
        checks.count("seed", self.seed, least=0, most=checks.LARGEST_SEED)
        checks.instance("features", self.features, StateFeatures, "StateFeatures(history=3)")
        if self.inference is not None:
            checks.instance("inference", self.inference, Inference, "Inference(kernel=SGLD())")

    @property
    def sampler(self) -> Kernel | None:
        """The kernel of the objective's chains; None for an objective without chains."""
        return getattr(self.objective, "sampler", None)

    @property
    def effective_inference(self) -> Inference:
        """How actions are drawn: ``inference``, or by default the objective's own chain.

        Raises:
            InputError: the objective has no chain and no inference is given.
        """
        if self.inference is not None:
            return self.inference
        if self.sampler is None:
            raise InputError(
                f"{config.name_of(type(self.objective))} trains without chains, so the run must "
                "say how actions are drawn: inference=Inference(SGLD(alpha=0.01, steps=100))."
            )
        return Inference(kernel=self.sampler)

    def with_(self, **changes: Any) -> Run:
        """This run with other hyper-parameters.

        A change of the objective keeps how actions are drawn. ``alpha`` and ``sgld_K`` mean the
        chain of the objective, or that of the inference where the objective has none.

        Raises:
            InputError: a name that no part has (the known ones are listed), or a bad value.
        """
        run = self
        # names that replace whole parts come first
        for name in sorted(changes, key=lambda name: name not in _CHOICES):
            run = run._with_one(name, changes[name])
        return run

    def _with_one(self, name: str, value: Any) -> Run:
        if name in _CHOICES and isinstance(value, str):
            known = _CHOICES[name]
            value = known[checks.one_of(name, value, known)]()
        if name == "features" and isinstance(value, str):
            value = StateFeatures.from_words(value)
        if name == "objective":
            kept = self.inference
            if kept is None and self.sampler is not None and not hasattr(value, "sampler"):
                kept = self.effective_inference
            return replace(self, objective=value, inference=kept)
        places = self._places()
        if name not in places:
            raise InputError(
                f"No hyper-parameter of this run is called {name!r}; known: "
                f"{', '.join(sorted(places))}."
            )
        path = places[name]
        whole = replace(self, inference=self._inference()) if path[0] == "inference" else self
        return _replaced(whole, path, value)

    def _inference(self) -> Inference:
        if self.inference is None and self.sampler is None:
            return Inference()
        return self.effective_inference

    def _places(self) -> dict[str, tuple[str, ...]]:
        """The place of every hyper-parameter by its names; the first part with a name has it."""
        own, sampler = ("objective",), ("objective", "sampler")
        if self.sampler is None:
            sampler = ("inference", "kernel")
        kernel = self.sampler or self._inference().kernel
        places: dict[str, tuple[str, ...]] = {}
        for part, path in (
            (self.training, ("training",)),
            (self.energy, ("energy",)),
            (self.objective, own),
            *((inner, (*own, name)) for name, inner in _fields_of(self.objective, "sampler")),
            (self.data, ("data",)),
            (self.features, ("features",)),
            (self._inference(), ("inference",)),
        ):
            for f in fields(part):
                places.setdefault(f.name, (*path, f.name))
        for f in fields(kernel):  # type: ignore[arg-type]
            for name in _NAMES_OF_SAMPLERS.get(f.name, (f.name,)):
                places[name] = (*sampler, f.name)
        places.setdefault("sgld_dim", (*own, "batch_size"))
        if "batch_size" not in {f.name for f in fields(self.objective)}:  # type: ignore[arg-type]
            places["batch_size"] = (*own, "sgld_dim")
        places |= {name: ("data", field) for name, field in _NAMES_OF_DATA.items()}
        return places | {f.name: (f.name,) for f in fields(self)}

    def table(self) -> dict[str, Any]:
        """The hyper-parameters of Table 4.1, by the thesis's names, and the number of epochs.

        What the objective does not have is left out.
        """
        objective, sampler = self.objective, self.sampler
        rows = {
            "lr": self.training.lr,
            "z_dim": self.energy.z_dim,
            "h_dim": self.energy.h_dim,
            "reg_l1": getattr(objective, "reg_l1", None),
            "reg_l2": getattr(objective, "reg_l2", None),
            "sgld_K": None if sampler is None else sampler.steps,
            "sgld_al": None if sampler is None else sampler.alpha,
            "sgld_dim": objective.batch_size,
            "dataset_sigma": self.data.sigma,
            "epochs": self.training.epochs,
        }
        return {name: value for name, value in rows.items() if value is not None}

    def demonstrations(self) -> Demonstrations:
        """The demonstrations (drawn with the data's own seed)."""
        return load_demonstrations(self.data)

    def in_actions(self, scale: Callable[[], float]) -> Run:
        """The run with every noise level in the units of the action.

        Args:
            scale: returns the data's own noise scale s (``demonstrations.action_scale``); called
                only if a noise level is in units of s.
        """
        run = self
        if self.sampler is not None and self.sampler.unit != "action":
            run = _replaced(run, ("objective", "sampler"), self.sampler.in_actions(scale()))
        if self.inference is not None and self.inference.kernel.unit != "action":
            kernel = self.inference.kernel.in_actions(scale())
            run = _replaced(run, ("inference", "kernel"), kernel)
        return run

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return config.to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Run:
        """The run that :meth:`to_dict` described.

        Raises:
            InputError: it does not describe a run, or names an unknown class.
        """
        run = config.from_dict(data)
        checks.instance("run", run, cls, 'Run(DemonstrationConfig("circle"))')
        return run


_CHOICES: dict[str, dict[str, Any]] = {
    "objective": names.NAMES,
    "start": {
        "noise": NoiseStart,
        "data": DataStart,
        "persistent": PersistentStart,
        "replay": ReplayStart,
    },
    "sampler": {"sgld": SGLD, "mala": MALA},
    "kernel": {"sgld": SGLD, "mala": MALA},
    "proposal": {
        "gaussian": GaussianProposal,
        "uniform": UniformProposal,
        "mixture": MixtureProposal,
    },
}
"""Values that have names, by hyper-parameter."""

_NAMES_OF_SAMPLERS = {
    "steps": ("sgld_K", "K"),
    "alpha": ("alpha", "sgld_al"),
    "temperature": ("sgld_temperature",),
    "unit": ("alpha_unit",),
}
"""Field of a sampler -> its names; the thesis's, or those that no other part has."""

_NAMES_OF_DATA = {"dataset_sigma": "sigma", "dataset": "source", "data_seed": "seed"}


def _fields_of(part: Any, but: str) -> Iterator[tuple[str, Any]]:
    """The fields of a configuration that are configurations, but for the field ``but``."""
    for f in fields(part):
        inner = getattr(part, f.name)
        if f.name != but and dataclasses.is_dataclass(inner):
            yield f.name, inner


def _replaced(part: Any, path: tuple[str, ...], value: Any) -> Any:
    """A copy of nested dataclasses with the field at ``path`` changed."""
    first, *rest = path
    if rest:
        value = _replaced(getattr(part, first), tuple(rest), value)
    return replace(part, **{first: value})


def device_of(name: str = "auto") -> torch.device:
    """The device that ``auto``, ``cpu``, ``cuda`` or ``cuda:1`` names.

    Raises:
        InputError: another word. DeviceError: a GPU that does not exist.

    Example:
        >>> from ebmlib import device_of
        >>> device_of("cpu")
        device(type='cpu')
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if gpus else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, colon, number = str(name).partition(":")
    if kind != "cuda" or (colon and not number.isdecimal()):
        raise InputError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}.")
    if int(number or 0) >= gpus:
        raise DeviceError(
            f"There is no device {name}, as this machine has {gpus} GPUs; use --device auto or cpu."
        )
    return torch.device(name)


def execute(
    run: Run,
    demonstrations: Demonstrations | None = None,
    *,
    device: torch.device | str = "cpu",
    observers: Mapping[str, Observer] | None = None,
    checkpoint_path: Path | None = None,
) -> TrainingResult:
    """Train the run's model (and load nothing: see :mod:`ebmlib.training.store` for that).

    Warns with :class:`NoiseLevelWarning` when the noise level of the objective's chains is too
    large for the data's own scale.

    Raises:
        DivergenceError: see :func:`ebmlib.training.loop.train`.
    """
    demonstrations = demonstrations or run.demonstrations()
    run = run.in_actions(demonstrations.action_scale)
    if run.sampler is not None:
        advice = demonstrations.advise_alpha(run.sampler.alpha)
        if advice:
            warnings.warn(advice, NoiseLevelWarning, stacklevel=2)
    pairs = pairs_of(demonstrations, device, run.features)
    model = untrained(run, pairs)
    return train(
        model,
        pairs,
        run.objective,
        run.training,
        generator=seeding.generator(run.seed, "training", device),
        parts=parts_of(run, model).to(device),
        observers=observers,
        checkpoint_path=checkpoint_path,
        task=f"{demonstrations.name}, seed {run.seed}",
    )


def untrained(run: Run, pairs: Pairs) -> EnergyModel:
    """The run's model before training, on the device of the pairs that it will be trained on."""
    model = EnergyModel(
        run.energy,
        pairs.states.shape[1],
        pairs.actions.shape[1],
        generator=seeding.generator(run.seed, "weights"),
    ).to(pairs.states.device)
    if run.energy.standardise:
        model.fit_standardisation(pairs.states, pairs.actions)
    return model


def parts_of(run: Run, model: EnergyModel) -> nn.ModuleDict:
    """What the run's objective trains beside the model, before training; on the CPU."""
    return run.objective.parts(
        model.state_dim, model.action_dim, generator=seeding.generator(run.seed, "parts")
    )
