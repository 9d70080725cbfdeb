"""What the laboratory page does for any data set and any setting: one run from data to verdict.

The page (book/lab.md) draws with :mod:`ebmlib.figures`; this module makes its run, keeps
demonstrations back, measures, and says what to change.
"""

from __future__ import annotations

import html
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ebmlib import seeding
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.errors import InputError, NoiseLevelWarning
from ebmlib.evaluation import data_density, diagnostics, gaussian, metrics
from ebmlib.evaluation.exact import Grid, model_density
from ebmlib.policies import Policy, TrainedPolicy, Trajectories, rollout
from ebmlib.sampling.kernel import Kernel
from ebmlib.training.presets import preset, presets
from ebmlib.training.run import Run
from ebmlib.training.store import Store, Trained
from thesis.runs import tiny
from thesis.studies.basins import HELD, NEAR, closest_hold
from thesis.studies.trajectories import OFFSETS, PLACES, closed, line, starts

Array = NDArray[np.float64]

KEPT_EVERY = 5
"""Of several strokes, every so manieth is kept back from training, where there are so many."""


def run_of(
    dataset: str, *, objective: str, policy: str, profile: str = "default", **values: Any
) -> Run:
    """The run of the page's parameters.

    Args:
        dataset: a bundled name, or the path of a drawing.
        objective: a name of :data:`ebmlib.objectives.names.NAMES`.
        policy: ``exp``, ``ml`` or ``draw``.
        profile: ``smoke`` makes the run tiny.
        values: hyper-parameters by the names of Table 4.1.

    Raises:
        InputError: a value that the run cannot have.
    """
    run = preset(dataset if dataset in presets() else "circle").with_(dataset=dataset)
    run = run.with_(objective=objective)
    has = {f.name for f in fields(run.objective)}  # type: ignore[arg-type]
    for name in {"reg_l1", "reg_l2"} & values.keys() - has:
        if values.pop(name) > 0:
            raise InputError(f"{objective} is trained without {name}; set it to 0.")
    # the estimate last: it takes over the chain as it is then
    run = run.with_(**values).with_(estimate=policy)
    return tiny(run) if profile == "smoke" else run


@dataclass(frozen=True)
class Split:
    """Demonstrations to train on, and others to measure against.

    Attributes:
        train: what the model is trained on.
        kept: trajectories that it never saw, (n_i + 1, d) each; the trained ones if ``how`` says
            so.
        how: where ``kept`` comes from, in words.
    """

    train: Demonstrations
    kept: tuple[Array, ...]
    how: str


def split(run: Run) -> Split:
    """Keep demonstrations back from training.

    Of a single path, copies with new noise; of several strokes every fifth; of fewer none.
    """
    whole = run.demonstrations()
    if whole.reference is not None:
        fresh = run.with_(data_seed=run.data.seed + 1).demonstrations().trajectories
        return Split(whole, fresh, "copies of the path with new noise, which training did not see")
    held = range(KEPT_EVERY - 1, len(whole), KEPT_EVERY)
    if not held:
        how = "the strokes that it was trained on, because fewer than five leave none to keep back"
        return Split(whole, whole.trajectories, how)
    rest = [i for i in range(len(whole)) if i not in held]
    times = None if whole.times is None else tuple(whole.times[i] for i in rest)
    train = replace(
        whole,
        trajectories=tuple(whole.trajectories[i] for i in rest),
        scales=whole.scales[rest],
        offsets=whole.offsets[rest],
        times=times,
    )
    kept = tuple(whole.trajectories[i] for i in held)
    return Split(train, kept, f"{len(kept)} strokes that were kept back from training")


def train(run: Run, demonstrations: Demonstrations, device: torch.device | str) -> Trained:
    """The trained run, from the store if it is there; a noise level that is too large is allowed.

    Raises:
        DivergenceError: the training ran away.
    """
    with warnings.catch_warnings():  # the page's verdict says it
        warnings.simplefilter("ignore", NoiseLevelWarning)
        return Store().train_or_load(run, device=device, demonstrations=demonstrations)


def sample(trained: Trained, count: int = 256, chains: int = 8) -> tuple[Array, Array, Array]:
    """States along the demonstrations, starts and ends of chains there.

    Returns:
        States (n, 2); starts and ends, (n, chains, 2) each.
    """
    data, kernel = trained.demonstrations, trained.inference.kernel
    device = next(trained.model.parameters()).device
    rows = np.linspace(0, data.n_pairs - 1, min(count, data.n_pairs)).astype(int)
    states = torch.tensor(data.states[rows], dtype=torch.float32, device=device)
    generator = seeding.generator(trained.run.seed, "laboratory", device)
    start = kernel.start(len(rows) * chains, data.dim, generator=generator, like=states)
    ends = ends_of(trained, kernel, states, start, generator)
    shape = (len(rows), chains, data.dim)
    found = (each.cpu().numpy().astype(float).reshape(shape) for each in (start, ends))
    return (data.states[rows], *found)


def ends_of(
    trained: Trained,
    kernel: Kernel,
    states: torch.Tensor,
    start: torch.Tensor,
    generator: torch.Generator,
) -> torch.Tensor:
    """Ends of chains from starts (n m, d) at states (n, d), m at each, (n m, d)."""
    from ebmlib.sampling.chain import run_chain

    target = trained.model.score(states.repeat_interleave(len(start) // len(states), dim=0))
    return run_chain(kernel, target, start, generator=generator).actions


def particles_after(trained: Trained, states: Array, steps: int, chains: int) -> Array:
    """Where chains of so many steps end at states (n, 2), (n, chains, 2); the starts for 0."""
    kernel = trained.inference.kernel
    device = next(trained.model.parameters()).device
    generator = seeding.generator(trained.run.seed, "particles", device)
    at = torch.tensor(states, dtype=torch.float32, device=device)
    moved = kernel.start(len(at) * chains, 2, generator=generator, like=at)
    if steps:
        longer = replace(kernel, steps=steps)  # type: ignore[type-var]
        moved = ends_of(trained, longer, at, moved, generator)
    return moved.cpu().numpy().astype(float).reshape(len(states), chains, 2)


def sanity(trained: Trained, before: Array, after: Array) -> dict[str, float]:
    """The sanity check of section 4.3.1 as shares.

    Returns:
        ``start_inside``: starts with |a| < 10 alpha (Eq 4.1). ``end_inside``: chain ends in
        B_eps(0) (Eq 3.3). ``demonstrated_inside``: demonstrated actions within sqrt(K) alpha, where
        noise alone reaches.
    """
    data, kernel = trained.demonstrations, trained.inference.kernel
    reach = math.sqrt(kernel.steps) * kernel.alpha

    def length(actions: Array) -> Array:
        return np.asarray(np.linalg.norm(actions, axis=-1))

    return {
        "start_inside": float((length(before) < 10 * kernel.alpha).mean()),
        "end_inside": float((length(after) < data.eps).mean()),
        "demonstrated_inside": float((length(data.actions) < reach).mean()),
    }


def divergences(trained: Trained, count: int = 32, chains: int = 256) -> dict[str, float]:
    """How far data, model and chains are from each other, in the mean over demonstrated states.

    Returns:
        ``kl``: KL(data || model), nats; NaN where the data's density is not known. ``tv``: total
        variation between chain ends and the model's density; ``tv_floor``: that of as many exact
        draws. ``border``: the model's mass at the edge of the grid, which should be near 0. All of
        them NaN where actions have more than two dimensions, which a grid cannot hold.
    """
    data, kernel = trained.demonstrations, trained.inference.kernel
    if data.dim > 2:
        return dict.fromkeys(("kl", "tv", "tv_floor", "border"), math.nan)
    device = next(trained.model.parameters()).device
    rows = np.linspace(0, data.n_pairs - 1, min(count, data.n_pairs)).astype(int)
    states = torch.tensor(data.states[rows], dtype=torch.float32, device=device)
    grid = Grid(radius=2 * data.eps, points=161, d=data.dim)
    model = model_density(trained.model, states, grid)
    generator = seeding.generator(trained.run.seed, "divergences", device)
    start = kernel.start(len(rows) * chains, data.dim, generator=generator, like=states)
    ends = ends_of(trained, kernel, states, start, generator)
    ends = ends.reshape(len(rows), chains, data.dim)
    kl = math.nan
    if data_density.has_known_density(data):
        kl = float(data_density.action_density(data, states, grid).kl(model).mean())
    return {
        "kl": kl,
        "tv": float(model.total_variation(ends).mean()),
        "tv_floor": float(model.total_variation_floor(chains).mean()),
        "border": float(model.border_mass().mean()),
    }


CHAINS: Mapping[str, Mapping[str, Any]] = {
    "ml": {"population": 4, "blocks": 5},
    "exp": {"population": 16},
    "draw": {},
}
"""Policy -> how many chains answer at a step."""


def trajectories(trained: Trained, small: bool = False) -> dict[tuple[str, str], Trajectories]:
    """Trajectories by every policy from starts inside, on and outside (section 4.4).

    Inside and outside are sides of a path in the plane: data of other dimensions have starts on
    the centre line alone.

    Returns:
        (kind of start, policy) -> trajectories from three starts.
    """
    data, acting = trained.demonstrations, TrainedPolicy.of(trained)
    device = next(trained.model.parameters()).device
    steps = 20 if small else steps_of(data)
    kinds = list(OFFSETS) if data.dim == 2 else ["on"]
    on = line(data)[[min(place, len(line(data)) - 1) for place in PLACES]]
    places = np.concatenate([starts(data, kind) for kind in kinds]) if data.dim == 2 else on
    points = torch.tensor(places, dtype=torch.float32, device=device)
    each = len(places) // len(kinds)
    sampled: dict[tuple[str, str], Trajectories] = {}
    for estimate, few in CHAINS.items():
        policy = replace(acting.chains(estimate), **few)
        generator = seeding.generator(trained.run.seed, estimate, device)
        found = rollout(policy, points, steps, generator=generator, features=acting.features)
        parts = zip(kinds, found.states.split(each), found.actions.split(each), strict=True)
        sampled |= {(kind, estimate): Trajectories(*part) for kind, *part in parts}
    return sampled


def distances(
    sampled: Mapping[tuple[str, str], Trajectories], policy: str, kept: tuple[Array, ...]
) -> dict[str, Array]:
    """Distances of one policy's trajectories to demonstrations, (3, steps + 1), by start."""
    return {
        kind: metrics.distance_to_nearest(found.states.cpu().numpy(), kept)
        for (kind, estimate), found in sampled.items()
        if estimate == policy
    }


def ends(found: Mapping[str, Array]) -> dict[str, float]:
    """Median over the starts of the mean distance over the last twenty steps, by kind of start."""
    return {kind: float(np.median(d[:, -20:].mean(axis=1))) for kind, d in found.items()}


@dataclass(frozen=True)
class Basin:
    """Where trajectories return from.

    Attributes:
        columns: x_1 of the starts, (n,).
        rows: x_2 of the starts, (n,).
        distance: closest distance to the demonstrations that is kept for ten steps, (n, n).
        near: distance up to which a trajectory has returned.
    """

    columns: Array
    rows: Array
    distance: Array
    near: float = NEAR

    @property
    def share(self) -> float:
        """The share of the starts that return; NaN of an empty map."""
        if not self.distance.size:
            return math.nan
        return float((self.distance <= self.near).mean())


def few_chains(trained: Trained, estimate: str) -> Policy:
    """A policy with so few chains that many starts can be followed."""
    population = 1 if estimate == "draw" else 2
    return replace(TrainedPolicy.of(trained).chains(estimate), population=population)


def basin(trained: Trained, policy: Policy, small: bool = False, size: int = 11) -> Basin:
    """Follow trajectories from a grid of starts around the demonstrations (section 4.4, 5).

    Data of other than two dimensions have no such map: it is empty, and its share NaN.
    """
    data = trained.demonstrations
    if data.dim != 2:
        return Basin(np.zeros(0), np.zeros(0), np.zeros((0, 0)))
    device = next(trained.model.parameters()).device
    size, steps = (3, 2 * HELD) if small else (size, len(line(data)) - 1)
    if closed(data) and not small:
        steps *= 2  # from near its centre a trajectory spirals out slowly
    low, high = data.states.min(axis=0) - 1.0, data.states.max(axis=0) + 1.0
    columns, rows = (np.linspace(low[axis], high[axis], size) for axis in (0, 1))
    points = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    generator = seeding.generator(trained.run.seed, "laboratory/basin", device)
    held = closest_hold(policy, points, data.trajectories, generator, device, steps)
    return Basin(columns, rows, held.reshape(size, size))


def steps_of(data: Demonstrations) -> int:
    """Steps to follow trajectories for: one and a half laps, or what the last start has left."""
    steps = len(line(data)) - 1
    return 3 * steps // 2 if closed(data) else max(1, steps - 30)


def late(history: Mapping[str, list[float]], name: str, part: int = 1) -> float:
    """Mean of a quantity over a tenth of the training, counted from its end; NaN if not there."""
    column = np.asarray(history.get(name, []), dtype=float)
    if not len(column):
        return math.nan
    tenth = max(1, len(column) // 10)
    end = len(column) - (part - 1) * tenth
    return float(column[max(0, end - tenth) : end].mean())


# --- what the page records ------------------------------------------------------------------------


def about_data(run: Run, data: Demonstrations) -> dict[str, Any]:
    """Name, counts and scales of the demonstrations, and the noise level against them."""
    s = data.action_scale()
    return {
        "dataset": data.name,
        "strokes": len(data),
        "pairs": data.n_pairs,
        "step": data.step_length,
        "eps": data.eps,
        "s": s,
        "alpha_over_s": run.in_actions(lambda: s).effective_inference.kernel.alpha / s
        if s > 0
        else math.inf,
    }


def about_training(trained: Trained) -> dict[str, Any]:
    """How long, with which chain, and where loss and R ended."""
    kernel, history = trained.inference.kernel, trained.history
    floor = gaussian.noise_floor(kernel.alpha, trained.demonstrations.dim)
    return {
        "seed": trained.run.seed,
        "updates": trained.run.training.epochs,
        "steps": kernel.steps,
        "level": kernel.alpha,
        "loss_end": late(history, "loss"),
        "loss_deepest": min(history["loss"]),
        "R_over_floor": late(history, "R") / floor,
    }


def about_trajectories(policy: str, parts: Split, last: Mapping[str, float]) -> dict[str, Any]:
    """Which policy, how starts and chains were chosen, and the distances at the end."""
    return {
        "policy": policy,
        "kept": parts.how,
        "exp_chains": CHAINS["exp"]["population"],
        "ml_ascents": CHAINS["ml"]["population"],
        "offset": OFFSETS["inside"],
        **{f"distance_{kind}": last.get(kind, math.nan) for kind in OFFSETS},
    }


# --- the verdict ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: it.
        found: the number, in words.
        wanted: what a sound run has.
        good: whether it has.
        change: what to change where it has not.
    """

    what: str
    found: str
    wanted: str
    good: bool
    change: str


@dataclass(frozen=True)
class Verdict:
    """All findings, which a notebook displays as a table."""

    findings: tuple[Finding, ...]

    @property
    def bad(self) -> int:
        """How many are not as wanted."""
        return sum(not finding.good for finding in self.findings)

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>"
            + "".join(
                f"<td>{html.escape(text)}</td>"
                for text in (
                    *("yes" if f.good else "NO", f.what, f.found, f.wanted),
                    "" if f.good else f.change,
                )
            )
            + "</tr>"
            for f in self.findings
        )
        heads = "".join(
            f"<th>{text}</th>" for text in ("sound", "what", "found", "wanted", "what to change")
        )
        return f'<table class="table"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>'

    def __str__(self) -> str:
        return "\n".join(
            f"{'yes' if f.good else 'NO ':3} {f.what}: {f.found} (wanted: {f.wanted})"
            + ("" if f.good else f"; {f.change}")
            for f in self.findings
        )


def verdict(
    trained: Trained,
    checked: Mapping[str, float],
    far: Mapping[str, float],
    ends: Mapping[str, float],
    share: float,
) -> Verdict:
    """What is sound in a run, and what to change where it is not.

    The bounds are rules of thumb of this page, not claims of the thesis.

    Args:
        trained: the run.
        checked: what :func:`sanity` gave.
        far: what :func:`divergences` gave.
        ends: distance to the kept demonstrations at the end, by kind of start.
        share: share of starts that return.
    """
    data, kernel, history = trained.demonstrations, trained.inference.kernel, trained.history
    s = data.action_scale()
    ratio = kernel.alpha / s if s > 0 else math.inf
    found = [
        Finding(
            "noise level over the data's scale, alpha / s", f"{ratio:.2f}", "0.2 to 1.5",
            0.2 <= ratio <= 1.5,
            "lower alpha, or add noise to the data (sigma)" if not ratio <= 1.5
            else "raise alpha: chains take K in proportion to 1 / alpha^2 to forget their start",
        ),
        Finding(
            "demonstrated actions that noise alone reaches in K steps",
            f"{checked['demonstrated_inside']:.0%}", "90 % and more",
            checked["demonstrated_inside"] >= 0.9, "raise K, or alpha as far as 1.5 s",
        ),
        Finding(
            "chain ends in the action set", f"{checked['end_inside']:.1%}", "99 % and more",
            checked["end_inside"] >= 0.99, "lower alpha, train longer, or lower lr",
        ),
    ]  # fmt: skip
    loss = np.abs(np.asarray(history["loss"], dtype=float))
    if "R" in history:  # the objective contrasts with chains: its loss comes back to 0
        back = abs(late(history, "loss")) / loss.max()
        found.append(
            Finding(
                "mean loss at the end over the loss at its deepest", f"{back:.2f}", "at most 0.25",
                back <= 0.25, "train longer, or lower lr",
            )
        )  # fmt: skip
        floor = diagnostics.relative_mean_step(1.0, kernel.alpha, data.dim)
        rise = (late(history, "R") - late(history, "R", part=2)) * float(floor)
        found.append(
            Finding(
                "R over its floor, change over the last tenth of the training", f"{rise:+.3f}",
                "within 0.03", abs(rise) <= 0.03, "train longer: the energy is still steepening",
            )
        )  # fmt: skip
    extra = far["tv"] - far["tv_floor"]
    if math.isfinite(extra):
        found.append(
            Finding(
                "total variation of chain ends to the model, above that of exact draws",
                f"{extra:.2f}", "at most 0.15", extra <= 0.15,
                "raise K, or alpha as far as 1.5 s: chains end before they forget their start",
            )
        )  # fmt: skip
    if math.isfinite(far["kl"]):
        found.append(
            Finding(
                "KL(data || model)", f"{far['kl']:.2f} nats", "at most 1", far["kl"] <= 1,
                "train longer, raise sgld_dim, or raise K",
            )
        )  # fmt: skip
    found.append(
        Finding(
            "distance to the kept demonstrations at the end, from starts on them",
            f"{ends['on']:.3f}", f"at most {NEAR:g}", ends["on"] <= NEAR,
            "more demonstrations or more noise on them (sigma), a longer training, policy exp",
        )
    )  # fmt: skip
    if math.isfinite(share):
        found.append(
            Finding(
                "starts on the map that return",
                f"{share:.0%}",
                "10 % and more",
                share >= 0.1,
                "more noise on the demonstrated positions (sigma): it is what teaches to come back",
            )
        )
    return Verdict(tuple(found))
