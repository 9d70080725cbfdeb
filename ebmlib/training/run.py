"""A run: everything that determines a trained model, in one value."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch

from ebmlib import checks, config, seeding
from ebmlib.demonstrations.dataset import DemonstrationConfig, Demonstrations, load_demonstrations
from ebmlib.demonstrations.pairs import pairs_of
from ebmlib.errors import DeviceError, InputError, NoiseLevelWarning
from ebmlib.models.energy import EnergyConfig, EnergyModel
from ebmlib.objectives import ContrastiveDivergence, JointContrastiveDivergence, Objective
from ebmlib.sampling.sgld import SGLD
from ebmlib.sampling.starts import DataStart, NoiseStart, PersistentStart, ReplayStart
from ebmlib.training.loop import TRAINING_REVISION, Observer, TrainingConfig, TrainingResult, train

_CLASSES = (
    DemonstrationConfig,
    EnergyConfig,
    ContrastiveDivergence,
    JointContrastiveDivergence,
    SGLD,
    NoiseStart,
    DataStart,
    PersistentStart,
    ReplayStart,
    TrainingConfig,
)


@dataclass(frozen=True)
class Run:
    """Demonstrations, architecture, objective, training and seed.

    ``run.with_(sgld_K=256, seed=3)`` is the run with other hyper-parameters, by the thesis's names
    (Table 4.1) or by the field names of the parts; ``start`` also takes ``"noise"``, ``"data"``,
    ``"persistent"`` or ``"replay"``.
    """

    data: DemonstrationConfig
    energy: EnergyConfig = field(default_factory=EnergyConfig)
    objective: ContrastiveDivergence | JointContrastiveDivergence = field(
        default_factory=ContrastiveDivergence
    )
    training: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 0

    def __post_init__(self) -> None:
        checks.instance("data", self.data, DemonstrationConfig, 'DemonstrationConfig("circle")')
        checks.instance("energy", self.energy, EnergyConfig, "EnergyConfig()")
        checks.instance("objective", self.objective, Objective, "ContrastiveDivergence()")
        checks.instance("training", self.training, TrainingConfig, "TrainingConfig()")
        checks.count("seed", self.seed, least=0)

    def with_(self, **changes: Any) -> Run:
        """This run with other hyper-parameters.

        Raises:
            InputError: a name that no part has (the known ones are listed), or a bad value.
        """
        run = self
        for name, value in changes.items():
            part, attribute = _where(name)
            if attribute == "start" and isinstance(value, str):
                value = _STARTS[checks.one_of("start", value, _STARTS)]
            if part == "":
                run = replace(run, **{attribute: value})
            elif part == "sampler":
                sampler = replace(run.objective.sampler, **{attribute: value})
                run = replace(run, objective=replace(run.objective, sampler=sampler))
            else:
                old = getattr(run, part)
                _has(old, attribute)
                run = replace(run, **{part: replace(old, **{attribute: value})})
        return run

    def table(self) -> dict[str, Any]:
        """The hyper-parameters of Table 4.1, by the thesis's names, and the number of epochs."""
        return {
            "lr": self.training.lr,
            "z_dim": self.energy.z_dim,
            "h_dim": self.energy.h_dim,
            "reg_l1": self.objective.reg_l1,
            "reg_l2": self.objective.reg_l2,
            "sgld_K": self.objective.sampler.steps,
            "sgld_al": self.objective.sampler.alpha,
            "sgld_dim": self.objective.sgld_dim,
            "dataset_sigma": self.data.sigma,
            "epochs": self.training.epochs,
        }

    def demonstrations(self) -> Demonstrations:
        """The demonstrations (drawn with the data's own seed)."""
        return load_demonstrations(self.data)

    def key(self, data_digest: str, observers: tuple[str, ...] = ()) -> str:
        """The name under which the store keeps the result (DESIGN: what determines it).

        The path of a drawing is not part of it, what is drawn is; the device is not part of it
        either and stands in the record.
        """
        parts = {
            "energy": config.to_dict(self.energy),
            "objective": config.to_dict(self.objective),
            "training": config.to_dict(self.training),
            "seed": self.seed,
            "data": data_digest,
            "observers": sorted(observers),
            "revision": TRAINING_REVISION,
        }
        return config.digest(parts)[:20]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready data."""
        return config.to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Run:
        """The run that :meth:`to_dict` described."""
        return config.from_dict(data, (cls, *_CLASSES))


_STARTS = {
    "noise": NoiseStart(),
    "data": DataStart(),
    "persistent": PersistentStart(),
    "replay": ReplayStart(),
}

_THESIS_NAMES = {
    "sgld_K": ("sampler", "steps"),
    "K": ("sampler", "steps"),
    "sgld_al": ("sampler", "alpha"),
    "alpha": ("sampler", "alpha"),
    "sgld_temperature": ("sampler", "temperature"),
    "dataset_sigma": ("data", "sigma"),
    "dataset": ("data", "source"),
    "data_seed": ("data", "seed"),
    "seed": ("", "seed"),
}


def _parameters() -> dict[str, tuple[str, str]]:
    """Name -> (part, attribute) of every hyper-parameter."""
    known = dict(_THESIS_NAMES)
    parts = {
        "training": TrainingConfig,
        "energy": EnergyConfig,
        "objective": ContrastiveDivergence,
        "data": DemonstrationConfig,
    }
    for part, kind in (*parts.items(), ("objective", JointContrastiveDivergence)):
        for f in fields(kind):
            if f.name not in ("sampler", "source", "seed"):
                known.setdefault(f.name, (part, f.name))
    for name in ("drift", "final_alpha"):
        known[name] = ("sampler", name)
    return known


def _has(part: Any, attribute: str) -> None:
    known = sorted(f.name for f in fields(part))
    if attribute not in known:
        raise InputError(f"{type(part).__name__} has no {attribute!r}; it has {', '.join(known)}.")


def _where(name: str) -> tuple[str, str]:
    known = _parameters()
    if name not in known:
        raise InputError(
            f"No hyper-parameter is called {name!r}; known: {', '.join(sorted(known))}."
        )
    return known[name]


def device_of(name: str = "auto") -> torch.device:
    """The device that ``auto``, ``cpu``, ``cuda`` or ``cuda:1`` names.

    Raises:
        InputError: another word. DeviceError: a GPU that is not there.
    """
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if there else "cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, colon, number = str(name).partition(":")
    if kind != "cuda" or (colon and not number.isdecimal()):
        raise InputError(f"device must be auto, cpu, cuda or cuda:N, got {name!r}.")
    if int(number or 0) >= there:
        raise DeviceError(
            f"Device {name} was asked for and {there} GPUs are here; use --device auto or cpu."
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

    Warns with :class:`NoiseLevelWarning` when alpha is too large for the data's own scale.

    Raises:
        DivergenceError: see :func:`ebmlib.training.train`.
    """
    demonstrations = demonstrations or run.demonstrations()
    advice = demonstrations.advise_alpha(run.objective.sampler.alpha)
    if advice:
        warnings.warn(advice, NoiseLevelWarning, stacklevel=2)
    model = EnergyModel(
        run.energy,
        demonstrations.dim,
        demonstrations.dim,
        generator=seeding.generator(run.seed, "weights"),
    ).to(device)
    return train(
        model,
        pairs_of(demonstrations, device),
        run.objective,
        run.training,
        generator=seeding.generator(run.seed, "training", device),
        observers=observers,
        checkpoint_path=checkpoint_path,
        task=f"{demonstrations.name}, seed {run.seed}",
    )
