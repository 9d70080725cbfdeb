"""The recipe for drawings: every choice is made from the data, none is asked of the user.

    from ebmlib import recipe, seeding
    policy = recipe.learn("my-drawing.svg")
    for path in policy.follow(generator=seeding.generator(0, "rollout")):
        print(path.why, policy.to_original(path.points))
    policy.save("my-drawing.policy")

States and actions are standardised; every update adds fresh noise to both, as wide as the kernel
density that predicts a left-out demonstration best (closed form). The energy is trained by ranking
NCE against Gaussian negatives with a cosine decay. Whether a state needs more than the position is
read off the actions at near-by states; how long to train, off a demonstration that is kept when
there are three or more. Actions come from the density itself, on a grid.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ebmlib.demonstrations.dataset import DemonstrationConfig, Demonstrations, load_demonstrations
from ebmlib.demonstrations.features import StateFeatures
from ebmlib.demonstrations.pairs import Pairs, pairs_of
from ebmlib.demonstrations.polyline import FloatArray
from ebmlib.errors import InputError, NoiseLevelWarning
from ebmlib.evaluation.metrics import dtw_per_point
from ebmlib.models.energy import EnergyConfig, EnergyModel
from ebmlib.models.kernel_density import KernelDensity
from ebmlib.objectives.ranking_nce import RankingNCE
from ebmlib.policies.grid import ActionGrid, GridEXP
from ebmlib.policies.trained import TrainedPolicy
from ebmlib.policies.trajectories import rollout
from ebmlib.sampling.inference import Inference
from ebmlib.sampling.proposals import GaussianProposal
from ebmlib.sampling.sgld import SGLD
from ebmlib.training.loop import TrainingConfig
from ebmlib.training.run import Run
from ebmlib.training.store import Store, Trained

ENERGY = EnergyConfig.plain(
    h_dim=64, hidden_layers=2, residual=True, activation="silu", standardise=True
)
TRAINING = TrainingConfig(epochs=500, lr=1e-2, final_lr=1e-4, decay="cosine")
NEGATIVES, BATCH = 16, 128
NARROWEST = 0.05  # of the actions' spread: noise on them, which the grid of actions resolves

OTHER_TIME = 0.15  # of a demonstration: near-by states farther apart in time are another passage
AMBIGUOUS = 0.03  # share of states at which another passage acts otherwise
SNAPSHOTS = 5
WORTHWHILE = 0.01  # nats per action by which a shorter training must be better
MARGIN = 1.05  # a clock may be this much farther from a left-out demonstration
LOST = 1.5  # times the distance between people: then the last actions are looked at too
MOST_COMPARED = 7  # demonstrations whose distances are looked at: DTW of all pairs is slow


@dataclass(frozen=True)
class Choice:
    """A run for some demonstrations, and why it is this one.

    Attributes:
        run: what to train.
        reasons: what was chosen, in the order in which it was, a few words each.
    """

    run: Run
    reasons: tuple[str, ...]

    @property
    def line(self) -> str:
        """One line that says what was chosen and why."""
        return "; ".join(self.reasons)


def choose(
    demonstrations: Demonstrations,
    data: DemonstrationConfig | None = None,
    *,
    features: StateFeatures | None = None,
    seed: int = 0,
) -> Choice:
    """Everything but the length of training, in closed form.

    Args:
        demonstrations: at least two (a single path comes as noisy copies).
        data: where they come from.
        features: of the state, if they are not to be chosen.
        seed: of weights and batches.

    Raises:
        InputError: there is one demonstration, or actions that do not vary.
    """
    reasons = []
    if features is None:
        features, why = features_of(demonstrations)
        reasons.append(f"state {features.words}: {why}")
    else:
        reasons.append(f"state {features.words}: as asked")
    kernel = kernel_density(demonstrations, features)
    width = max(kernel.action_width, NARROWEST)
    reasons.append(
        f"noise {kernel.state_width:.2f} on states and {width:.2f} on actions, in units of their "
        "spread: a kernel density of these widths predicts left-out demonstrations best"
    )
    run = Run(
        data=data or DemonstrationConfig(demonstrations.name, scaling="together", sigma=0.0),
        energy=ENERGY,
        objective=RankingNCE(
            proposal=GaussianProposal(),
            negatives=NEGATIVES,
            batch_size=BATCH,
            data_noise=width,
            state_noise=kernel.state_width,
            noise_unit="spread",
        ),
        training=TRAINING,
        seed=seed,
        inference=_inference(demonstrations, width),
        features=features,
    )
    return Choice(run, tuple(reasons))


def _inference(demonstrations: Demonstrations, width: float) -> Inference:
    if demonstrations.dim <= 2:
        return Inference(estimate="road", grid=width, jump=(width, width))
    # no grid: chains as narrow as the noise that the density was smoothed with
    spread = math.sqrt(float(demonstrations.actions.var(axis=0).mean()))
    return Inference(SGLD(alpha=0.5 * width * spread, steps=100))


def kernel_density(
    demonstrations: Demonstrations, features: StateFeatures, oriented: bool = False
) -> KernelDensity:
    """The kernel density of demonstrations whose widths predict a left-out one best."""
    states, actions = demonstrations.tensors(torch.float64, features=features)
    groups = torch.from_numpy(demonstrations.demonstration_index.copy())
    return KernelDensity.fit(states, actions, groups, oriented=oriented)


def ambiguity(demonstrations: Demonstrations) -> float:
    """Share of the states that are passed at another time with another action.

    Around each state the demonstrated pairs are weighed by a Gaussian of the width that predicts
    left-out demonstrations best from position and clock. The state counts if pairs of another
    passage (farther in time than :data:`OTHER_TIME` of a demonstration) have at least a tenth of
    the weight and their mean action differs from that of this passage by more than half a step.
    """
    clocked = kernel_density(demonstrations, StateFeatures(clock=True))
    position = torch.tensor(demonstrations.states / demonstrations.states.std(axis=0).max())
    near = _squares(position) / (2 * clocked.state_width**2)
    weight = torch.exp(-near)
    time = torch.tensor(
        np.concatenate([np.arange(len(x) - 1) / (len(x) - 1) for x in demonstrations.trajectories])
    )
    other = (time[:, None] - time[None]).abs() > OTHER_TIME
    actions = torch.tensor(np.array(demonstrations.actions))
    here, there = weight * ~other, weight * other
    share = there.sum(dim=1) / weight.sum(dim=1)
    gap = here @ actions / here.sum(dim=1, keepdim=True)
    gap = gap - there @ actions / there.sum(dim=1, keepdim=True).clamp(min=1e-300)
    length = actions.norm(dim=1).mean()
    return float(((share > 0.1) & (gap.norm(dim=1) > 0.5 * length)).double().mean())


def _squares(points: Tensor) -> Tensor:
    return torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").square()


def features_of(demonstrations: Demonstrations) -> tuple[StateFeatures, str]:
    """The features of the state, and why."""
    clock = StateFeatures(clock=True)
    share = ambiguity(demonstrations)
    if share > AMBIGUOUS:
        passed = f"{share:.0%} of the states are passed again with other actions"
        if left_out_distance(demonstrations, clock) <= LOST:
            return clock, f"{passed}, and the clock tells the passages apart"
        return StateFeatures(3, history_mean=True, clock=True), f"{passed}, out of time"
    position = StateFeatures()
    without = left_out_distance(demonstrations, position)
    with_clock = left_out_distance(demonstrations, clock)
    if with_clock <= MARGIN * without:
        return clock, (
            f"no passage is ambiguous, and left-out demonstrations are followed as well with a "
            f"clock ({with_clock:.2f}) as without ({without:.2f} of the distance between people)"
        )
    return position, (
        f"no passage is ambiguous, and a clock leads astray ({with_clock:.2f} with, "
        f"{without:.2f} without, of the distance between people)"
    )


def left_out_distance(demonstrations: Demonstrations, features: StateFeatures) -> float:
    """How far rollouts of a kernel density stay from left-out demonstrations.

    The density of all demonstrations but one is followed by its mean from the origin. Its DTW to
    the nearest of all demonstrations counts (where roads fork the mean road is to be neither), as
    a multiple of the median distance of a demonstration to its nearest other; the median over
    (at most :data:`MOST_COMPARED`) left-out ones is returned; 1 where there are fewer than three.
    """
    paths = demonstrations.trajectories[:MOST_COMPARED]
    if len(paths) < 3:
        return 1.0
    whole = kernel_density(demonstrations, features)
    index = torch.from_numpy(demonstrations.demonstration_index.copy())
    apart = _apart(paths)
    np.fill_diagonal(apart, np.inf)
    floor = float(np.median(apart.min(axis=1)))
    found = []
    for left, own in enumerate(paths):
        kept = index != left
        fold = replace(whole, states=whole.states[kept], actions=whole.actions[kept])
        steps = len(own) - 1
        start = torch.zeros(1, demonstrations.dim, dtype=torch.float64)
        path = rollout(
            _Mean(fold), start, steps, generator=torch.Generator(), features=features
        ).states[0]
        found.append(float(_distances(paths, path.numpy()).min()))
    return float(np.median(found)) / floor if floor > 0 else 1.0


def _distances(paths: Sequence[npt.NDArray[np.float64]], path: npt.ArrayLike) -> np.ndarray:
    """DTW of every path to one; it is symmetric, and those of equal length are one table."""
    if len({len(each) for each in paths}) == 1:
        return dtw_per_point(np.stack(paths), path)
    return np.array([float(dtw_per_point(each, path)) for each in paths])


@dataclass(frozen=True, eq=False)
class _Mean:
    """The mean of a kernel density as a policy."""

    kernel: KernelDensity

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`~ebmlib.policies.base.Policy`."""
        return self.kernel.mean(states)


def with_length(
    choice: Choice,
    demonstrations: Demonstrations,
    *,
    store: Store,
    device: torch.device | str = "cpu",
) -> Choice:
    """The choice with the length of training that a kept demonstration tells.

    Of three demonstrations or more, one is kept (that of median distance to the others) and the
    run is trained on the others. If its actions were more likely before the end, by more than
    :data:`WORTHWHILE`, that is how long to train.
    """
    epochs = choice.run.training.epochs
    if len(demonstrations) < 3 or demonstrations.reference is not None or demonstrations.dim > 2:
        return choice
    kept = _typical(demonstrations)
    every = max(1, epochs // SNAPSHOTS)
    trial = choice.run.with_(snapshot_every=every)
    trained = store.train_or_load(
        trial, demonstrations=_without(demonstrations, kept), device=device
    )
    pairs = pairs_of(demonstrations, device, choice.run.features)
    rows = torch.from_numpy(demonstrations.demonstration_index == kept).nonzero()[::3, 0]
    shown = Pairs(*(column[rows.to(column.device)] for column in pairs))
    width = choice.run.inference.grid if choice.run.inference is not None else None
    if width is None:  # actions by chains, as asked
        return choice
    actions = torch.tensor(demonstrations.actions, dtype=torch.float32, device=device)
    grid = ActionGrid.around(actions, width * float(actions.var(dim=0, correction=0).mean().sqrt()))
    nats = {
        epoch: _nats(trained.result.at(epoch).to(device), shown, grid)
        for epoch in sorted(trained.result.snapshots)
        if epoch > 0
    }
    if not nats:
        return choice
    last = max(nats)
    best = min(nats, key=lambda epoch: nats[epoch])
    if nats[best] > nats[last] - WORTHWHILE or best == last:
        why = f"{epochs} updates: a kept demonstration was still no less likely at the end"
        return Choice(choice.run, (*choice.reasons, why))
    why = f"{best} of {epochs} updates: after them a kept demonstration became less likely"
    return Choice(choice.run.with_(epochs=best), (*choice.reasons, why))


@torch.no_grad()
def _nats(model: EnergyModel, pairs: Pairs, grid: ActionGrid) -> float:
    """Mean -log p(a | x) of pairs, in nats, with Z(x) summed over the grid."""
    log_z = GridEXP(model, grid).levels(pairs.states).logsumexp(dim=1)
    log_z = log_z + grid.points.shape[1] * math.log(grid.spacing)
    return float((log_z - model(pairs.states, pairs.actions)).mean())


def _apart(paths: Sequence[FloatArray]) -> FloatArray:
    """DTW per point of every path to every other, (n, n)."""
    return np.array([_distances(paths, x) for x in paths])


def _typical(demonstrations: Demonstrations) -> int:
    paths = demonstrations.trajectories[:MOST_COMPARED]
    order = np.argsort(np.median(_apart(paths), axis=1), kind="stable")
    return int(order[(len(order) - 1) // 2])


def _without(demonstrations: Demonstrations, left: int) -> Demonstrations:
    kept = [i for i in range(len(demonstrations)) if i != left]
    return replace(
        demonstrations,
        trajectories=tuple(demonstrations.trajectories[i].copy() for i in kept),
        scales=demonstrations.scales[kept].copy(),
        offsets=demonstrations.offsets[kept].copy(),
        times=None,
        name=f"{demonstrations.name} without one",
    )


def data_of(source: str, **changes: Any) -> DemonstrationConfig:
    """How a drawing is prepared: scaled together, and noise only on copies of a single path.

    Args:
        source: see :func:`for_drawing`.
        **changes: likewise; those that concern the data are taken.
    """
    data = DemonstrationConfig(source, scaling="together", noise_on="copies")
    return _changed(data, changes)


def for_drawing(source: str, *, force: bool = False, **changes: Any) -> Run:
    """The recipe's run for a drawing (all but the length of training; :func:`learn` finds that).

    Args:
        source: .svg, .npy, .npz or .csv, or a bundled name.
        force: trains past the stability limit of a noise level, where it is else refused.
        **changes: hyper-parameters set by hand, as in :meth:`~ebmlib.training.run.Run.with_`.

    Raises:
        InputError: no such source, or a noise level past the stability limit of these data.
    """
    return choice_for_drawing(source, force=force, **changes)[0].run


def choice_for_drawing(
    source: str,
    *,
    demonstrations: Demonstrations | None = None,
    force: bool = False,
    **changes: Any,
) -> tuple[Choice, Demonstrations]:
    """What :func:`for_drawing` chose and why, with the demonstrations (read if not given)."""
    data = data_of(source, **changes)
    demonstrations = demonstrations or load_demonstrations(data)
    return _choose_with(changes, demonstrations, data, force=force), demonstrations


def _choose_with(
    changes: Mapping[str, Any],
    demonstrations: Demonstrations,
    data: DemonstrationConfig | None,
    *,
    force: bool,
) -> Choice:
    """:func:`choose`, then what is set by hand; the noise level is checked."""
    features = changes.get("features")
    if isinstance(features, str):
        features = StateFeatures.from_words(features)
    choice = choose(demonstrations, data, features=features)
    choice = replace(choice, run=choice.run.with_(**changes))
    check_noise_level(choice.run, demonstrations, force=force)
    return choice


_DATA_NAMES = {"dataset_sigma": "sigma", "dataset": "source", "data_seed": "seed"}


def _changed(data: DemonstrationConfig, changes: Mapping[str, Any]) -> DemonstrationConfig:
    fields = set(DemonstrationConfig.__dataclass_fields__) - {"seed"}
    named = {_DATA_NAMES.get(name, name): value for name, value in changes.items()
             if name in _DATA_NAMES or name in fields}  # fmt: skip
    return replace(data, **named)


def check_noise_level(run: Run, demonstrations: Demonstrations, *, force: bool = False) -> None:
    """Refuse a run whose chains have a noise level past the stability limit of the data.

    Raises:
        InputError: it has, and ``force`` is not set (then it is a warning).
    """
    if run.sampler is None:
        return
    alpha = run.in_actions(demonstrations.action_scale).sampler.alpha  # type: ignore[union-attr]
    scale = demonstrations.action_scale()
    if math.isnan(scale) or alpha < 2 * scale:
        return
    advice = demonstrations.advise_alpha(alpha)
    if force:
        warnings.warn(str(advice), NoiseLevelWarning, stacklevel=2)
        return
    raise InputError(f"{str(advice).rstrip('.')}; --force or force=True trains all the same.")


def learn(
    source: str | Iterable[npt.ArrayLike],
    *,
    store: Store | None = None,
    device: torch.device | str = "cpu",
    force: bool = False,
    **changes: Any,
) -> TrainedPolicy:
    """Train the recipe on a drawing or on arrays, or load what it trained before.

    Args:
        source: a file or a bundled name, or positions (n_i, d) of every demonstration.
        store: where trained models are kept; the default store if None.
        device: where to train.
        force: see :func:`for_drawing`.
        **changes: likewise.

    Raises:
        InputError: see :func:`for_drawing`.
    """
    trained, _ = train(source, store=store, device=device, force=force, **changes)
    return TrainedPolicy.of(trained)


def train(
    source: str | Iterable[npt.ArrayLike] | Demonstrations,
    *,
    demonstrations: Demonstrations | None = None,
    store: Store | None = None,
    device: torch.device | str = "cpu",
    force: bool = False,
    **changes: Any,
) -> tuple[Trained, Choice]:
    """What :func:`learn` makes a policy of, and what was chosen.

    Arguments and errors are those of :func:`learn`, and ``demonstrations``: what a file or a
    bundled name holds (:func:`data_of`), if it was read already.
    """
    if isinstance(source, str):
        choice, demonstrations = choice_for_drawing(
            source, demonstrations=demonstrations, force=force, **changes
        )
    else:
        demonstrations = _demonstrations(source)
        choice = _choose_with(changes, demonstrations, None, force=force)
    store = store or Store()
    if "epochs" not in changes:
        choice = with_length(choice, demonstrations, store=store, device=device)
    run = choice.run
    return store.train_or_load(run, demonstrations=demonstrations, device=device), choice


def _demonstrations(source: Iterable[npt.ArrayLike] | Demonstrations) -> Demonstrations:
    if isinstance(source, Demonstrations):
        return source
    arrays: Sequence[npt.ArrayLike] = list(source)
    rules = data_of("arrays")
    return Demonstrations.from_arrays(
        arrays,
        steps=rules.steps,
        sigma=rules.sigma,
        repetitions=rules.repetitions,
        generator=np.random.default_rng(rules.seed),
        scaling=rules.scaling,
        noise_on=rules.noise_on,
    )
