"""Demonstrations: normalised trajectories and their state-action pairs, from any source.

``preprocessing.py`` says how recordings become trajectories, ``recordings.py`` which files are
read.
"""

import hashlib
import math
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from ebmlib import checks
from ebmlib.config import register
from ebmlib.demonstrations import bundled
from ebmlib.demonstrations.features import POSITION, StateFeatures
from ebmlib.demonstrations.noise_scale import local_action_scale
from ebmlib.demonstrations.polyline import FloatArray, as_float_array
from ebmlib.demonstrations.preprocessing import (
    DELTA,
    LENGTH,
    SCALINGS,
    check_assumptions,
    prepare,
)
from ebmlib.demonstrations.recordings import Recording, Source, read_recording
from ebmlib.demonstrations.summary import oddities, summary
from ebmlib.errors import InputError, InputWarning

if TYPE_CHECKING:
    import torch


NOISE_ON = ("all", "copies")


@register("DemonstrationConfig")
@dataclass(frozen=True)
class DemonstrationConfig:
    """Which demonstrations, and how they are prepared; part of a trained model's key.

    Attributes:
        source: a bundled name (``python -m ebmlib datasets``) or the path of an .svg, .npy,
            .npz, .mat or .csv file; ``FILE#columns=x,y&time=t`` chooses columns or arrays.
        steps: steps per trajectory after resampling; None keeps the samples as recorded.
        repetitions: noisy copies made of a single reference path; ignored for several paths.
        sigma: standard deviation of the added noise in normalised units (``dataset_sigma``).
        length: common length of the trajectories.
        seed: seed of the noise; a property of the data set, not of a training run.
        scaling: ``"each"``: every demonstration is scaled to ``length`` (section 3.1);
            ``"together"``: all by one factor, so that their lengths are ``length`` on average.
        noise_on: ``"all"``: noise is added to copies of a single path and to several
            demonstrations alike (the thesis); ``"copies"``: to copies of a single path alone.
    """

    source: str
    steps: int | None = 100
    repetitions: int = 20
    sigma: float = 0.01
    length: float = LENGTH
    seed: int = 0
    scaling: str = "each"
    noise_on: str = "all"

    def __post_init__(self) -> None:
        if not isinstance(self.source, str) or not self.source:
            raise InputError(
                f"source must be the name of a data set or of a file, got {self.source!r}."
            )
        if self.steps is not None:
            checks.count("steps", self.steps)
        checks.count("repetitions", self.repetitions)
        checks.non_negative("sigma", self.sigma)
        checks.positive("length", self.length)
        checks.count("seed", self.seed, least=0, most=checks.LARGEST_SEED)
        checks.one_of("scaling", self.scaling, SCALINGS)
        checks.one_of("noise_on", self.noise_on, NOISE_ON)


@dataclass(frozen=True, eq=False)
class Demonstrations:
    """A set of normalised trajectories tau_i = (x_0, ..., x_{n_i}) and their state-action pairs.

    Make one with :meth:`from_arrays`, :meth:`from_svg` or :func:`load_demonstrations`.

    Attributes:
        trajectories: (n_i + 1, d) float64 each, starting at the origin; read-only.
        scales: (N,) normalised units per original unit, one per demonstration.
        offsets: (N, d) where each demonstration started, in original units.
        name: what the set is called in messages and figures.
        times: (n_i + 1,) time stamps per trajectory as recorded (milliseconds for SVG), or None.
        reference: the normalised path without noise, if all are copies of one path, else None.
        sigma: standard deviation of the noise that was added.
        sources: what each demonstration was read from, such as the element ``path``.
        notes: one clause for each thing that was left out or interpreted in reading.
        scaling: whether they were scaled one by one or together.

    Raises:
        InputError: the trajectories break an assumption, differ in dimension, or are not numbers.
    """

    trajectories: tuple[FloatArray, ...]
    scales: FloatArray
    offsets: FloatArray
    times: tuple[FloatArray, ...] | None = None
    reference: FloatArray | None = None
    name: str = "demonstrations"
    sigma: float = 0.0
    sources: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    scaling: str = "each"

    def __post_init__(self) -> None:
        # Noise lengthens each trajectory differently, so assumption 3 cannot be checked after it.
        exact = self.sigma == 0 and self.scaling == "each"
        check_assumptions(self.trajectories, delta=DELTA if exact else None)
        n, d = len(self.trajectories), self.trajectories[0].shape[1]
        if self.scales.shape != (n,) or self.offsets.shape != (n, d):
            raise InputError(
                f"Expected scales of shape {(n,)} and offsets of shape {(n, d)}, got "
                f"{self.scales.shape} and {self.offsets.shape}."
            )
        reference = () if self.reference is None else (self.reference,)
        for array in (
            *self.trajectories,
            *(self.times or ()),
            *reference,
            self.scales,
            self.offsets,
        ):
            array.flags.writeable = False

    @classmethod
    def from_arrays(
        cls,
        arrays: Iterable[npt.ArrayLike],
        *,
        times: Sequence[npt.ArrayLike | None] | None = None,
        steps: int | None = None,
        length: float = LENGTH,
        sigma: float = 0.0,
        repetitions: int = 1,
        generator: np.random.Generator | None = None,
        name: str = "demonstrations",
        by: Literal["time", "arclength"] = "time",
        sources: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
        scaling: str = "each",
        noise_on: str = "all",
    ) -> "Demonstrations":
        """Prepare any list of position arrays; the other constructors call this one.

        Args:
            arrays: positions (n_i, d), n_i >= 2 samples each, the same d >= 1 for all. A single
                array is a reference path (see ``preprocessing.py``).
            times: increasing time stamps (n_i,) per array, or None where unknown.
            steps: steps per trajectory after resampling; None keeps the samples.
            length: common length of the trajectories.
            sigma: standard deviation of the added noise, in normalised units.
            repetitions: copies made of a single array.
            generator: source of the noise; needed where ``sigma`` is above 0.
            name: what to call the set.
            by: how several arrays without time stamps are resampled: "time", as a recording, whose
                samples are equally spaced in time; "arclength", as a drawing, at equal distances.
            sources: what each array was read from, for :meth:`summary`.
            notes: remarks on the reading, for :meth:`summary`.
            scaling: ``"each"`` or ``"together"``, see :class:`DemonstrationConfig`.
            noise_on: ``"all"`` or ``"copies"``, likewise.

        Warns with :class:`ebmlib.errors.InputWarning` where an array has more dimensions than
        samples, since its axes are probably swapped.

        Raises:
            InputError: an array has the wrong shape, one sample, no length or NaN, dimensions
                differ, or time stamps do not increase.

        Example:
            >>> import numpy as np
            >>> from ebmlib import Demonstrations
            >>> t = np.linspace(0, 1, 50)
            >>> strokes = [np.column_stack([t, up * t**2]) for up in (0.9, 1.0, 1.1)]
            >>> drawn = Demonstrations.from_arrays(strokes, steps=20)
            >>> drawn.n_pairs, drawn.trajectories[0][0].tolist()
            (60, [0.0, 0.0])
        """
        if checks.one_of("noise_on", noise_on, NOISE_ON) == "copies":
            arrays = arrays if getattr(arrays, "ndim", None) == 2 else list(arrays)
            sigma = sigma if len(arrays) == 1 else 0.0  # type: ignore[arg-type]
        return cls(
            *prepare(
                *(arrays, times, steps, length, sigma, repetitions, generator, name, by, scaling)
            ),
            name=name,
            sigma=float(sigma),
            sources=tuple(sources),
            notes=tuple(notes),
            scaling=scaling,
        )

    @classmethod
    def from_recording(cls, recording: Recording, **options: Any) -> "Demonstrations":
        """Prepare what ``read_recording`` returned; options as in :meth:`from_arrays`.

        Warns with :class:`ebmlib.errors.InputWarning` about each of :meth:`oddities`.
        """
        made = cls.from_arrays(
            recording.positions,
            times=recording.times,
            by="arclength" if recording.drawn else "time",
            sources=recording.sources,
            notes=recording.notes,
            **options,
        )
        for oddity in made.oddities():
            warnings.warn(oddity, InputWarning, stacklevel=3)
        return made

    @classmethod
    def from_svg(
        cls,
        path: str | os.PathLike[str],
        *,
        steps: int | None = 100,
        repetitions: int = 20,
        sigma: float = 0.01,
        length: float = LENGTH,
        generator: np.random.Generator | None = None,
        name: str | None = None,
    ) -> "Demonstrations":
        """Prepare the strokes of a drawing; arguments as in :meth:`from_arrays`."""
        return cls.from_recording(
            read_recording(path),
            steps=steps,
            repetitions=repetitions,
            sigma=sigma,
            length=length,
            generator=generator,
            name=Path(path).stem if name is None else name,
        )

    def summary(self) -> str:
        """One line on what was read: how many, from what, samples, dimensions, lengths, steps."""
        return summary(self)

    def oddities(self) -> tuple[str, ...]:
        """One sentence for each probable mistake in the data, such as a step that is too long."""
        return oddities(self)

    def __len__(self) -> int:
        return len(self.trajectories)

    @property
    def dim(self) -> int:
        """Dimension d of positions and actions."""
        return self.trajectories[0].shape[1]

    @property
    def n_pairs(self) -> int:
        """Number of state-action pairs, sum_i n_i."""
        return len(self.states)

    @cached_property
    def states(self) -> FloatArray:
        """(n_pairs, d): every position that an action was taken from, by demonstration and time."""
        return _frozen(np.concatenate([x[:-1] for x in self.trajectories]))

    def states_with(self, features: StateFeatures) -> FloatArray:
        """(n_pairs, d_x): states made of ``features``, in the order of :attr:`states`."""
        return features.states(self)

    @cached_property
    def actions(self) -> FloatArray:
        """(n_pairs, d): a_j = x_{j+1} - x_j, in the order of :attr:`states`."""
        return _frozen(np.concatenate([np.diff(x, axis=0) for x in self.trajectories]))

    @cached_property
    def demonstration_index(self) -> npt.NDArray[np.int64]:
        """(n_pairs,): which demonstration a pair belongs to."""
        counts = [len(x) - 1 for x in self.trajectories]
        return _frozen(np.repeat(np.arange(len(counts), dtype=np.int64), counts))

    @property
    def max_step(self) -> float:
        """Longest step of all, max_{i,j} ||x_{j+1} - x_j||."""
        return float(np.linalg.norm(self.actions, axis=1).max())

    @property
    def step_length(self) -> float:
        """Mean length of a step."""
        return float(np.linalg.norm(self.actions, axis=1).mean())

    @property
    def eps(self) -> float:
        """Radius of the action set, epsilon = 2 max_{i,j} ||x_j - x_{j+1}|| (section 3.2)."""
        return 2 * self.max_step

    def in_action_set(self, actions: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether actions (..., d) lie in B_eps(0) = {a : ||a|| < eps} (Eq. 3.3)."""
        values = as_float_array(actions, "actions")
        self._check_dimension(values)
        return np.asarray(np.linalg.norm(values, axis=-1) < self.eps)

    def normalise(self, points: npt.ArrayLike, index: int = 0) -> FloatArray:
        """Take points (..., d) from demonstration ``index``'s original units to normalised ones."""
        values = as_float_array(points, "points")
        self._check_dimension(values)
        return (values - self.offsets[self._index(index)]) * self.scales[index]

    def to_original(self, points: npt.ArrayLike, index: int = 0) -> FloatArray:
        """Undo :meth:`normalise`: put points (..., d) where demonstration ``index`` was drawn."""
        values = as_float_array(points, "points")
        self._check_dimension(values)
        return values / self.scales[self._index(index)] + self.offsets[index]

    def tensors(
        self,
        dtype: "torch.dtype | None" = None,
        device: "torch.device | str" = "cpu",
        features: StateFeatures = POSITION,
    ) -> "tuple[torch.Tensor, torch.Tensor]":
        """States (n_pairs, d_x) and actions (n_pairs, d), float32 unless another dtype is given."""
        import torch

        def tensor(array: FloatArray) -> torch.Tensor:
            return torch.tensor(array, dtype=dtype or torch.float32, device=device)

        return tensor(self.states_with(features)), tensor(self.actions)

    def digest(self) -> str:
        """SHA-256 of the trajectories, as 64 hexadecimal digits.

        Coordinates enter rounded to 9 decimals: the last bits of sums and square roots differ
        between processors, and are far below what float32 training can see.
        """
        text = hashlib.sha256()
        for points in self.trajectories:
            rounded = np.round(points, 9) + 0.0  # + 0.0 turns -0.0 into 0.0
            text.update(f"{points.shape}".encode())
            text.update(np.ascontiguousarray(rounded, dtype="<f8").tobytes())
        return text.hexdigest()

    def action_scale(self) -> float:
        """The data's own noise scale s: see ``noise_scale.local_action_scale``."""
        return self._action_scale

    @cached_property
    def _action_scale(self) -> float:
        return local_action_scale(self.states, self.actions)

    def advise_alpha(self, alpha: float) -> str | None:
        """One sentence if the noise level ``alpha`` is too large for the data, else None.

        A chain on a Gaussian of standard deviation s is stable only for alpha < 2 s; from 1.5 s on
        its variance is more than double the target's and training can run away.
        """
        checks.positive("alpha", alpha)
        s = self.action_scale()
        if math.isnan(s) or alpha < 1.5 * s:
            return None
        if s < 1e-6 * self.max_step:
            return (
                f"The actions of {self.name} do not vary given the state, so no alpha is small "
                "enough for training to settle: add noise to the data (sigma)."
            )
        state = "past" if alpha >= 2 * s else "near"
        return (
            f"alpha {alpha:g} is {state} the stability limit 2 s = {2 * s:.2g} of {self.name}, "
            f"whose actions vary by s = {s:.2g} given the state, so that training can run away: "
            f"use alpha below {1.5 * s:.2g}, or add noise to the data (sigma)."
        )

    def _index(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise InputError(f"index must be from 0 to {len(self) - 1}, got {index}.")
        return index

    def _check_dimension(self, values: FloatArray) -> None:
        if values.ndim == 0 or values.shape[-1] != self.dim:
            raise InputError(
                f"Expected an array of shape (..., {self.dim}), as {self.name} has {self.dim} "
                f"dimensions, got {values.shape}."
            )


def load_demonstrations(config: DemonstrationConfig) -> Demonstrations:
    """The demonstrations that ``config`` describes; the same bits for the same configuration.

    Raises:
        InputError: the source is neither a bundled name nor a readable file.

    Example:
        >>> from ebmlib import DemonstrationConfig, load_demonstrations
        >>> circle = load_demonstrations(DemonstrationConfig("circle", sigma=0.0))
        >>> len(circle), circle.trajectories[0].shape
        (20, (101, 2))
    """
    source = Source.parse(config.source)
    path, name = bundled.resolve(source.path)
    return Demonstrations.from_recording(
        read_recording(path, columns=source.columns, time=source.time),
        steps=config.steps,
        repetitions=config.repetitions,
        sigma=config.sigma,
        length=config.length,
        generator=np.random.default_rng(config.seed),
        name=name,
        scaling=config.scaling,
        noise_on=config.noise_on,
    )


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array
