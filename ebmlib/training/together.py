"""Several seeds of one run, their chains as one batch: for a GPU, which one training does not fill.

Nearly all of a training is its chains, and on a card nearly all of a chain is waiting: 100 steps of
512 chains are thousands of small products. :func:`execute_together` trains S seeds in step. In
every epoch each seed draws its own batch, starts and noise, from its own generator; then one chain
moves all S x n positions, by batched products over the S networks; then each seed takes its own
loss, gradient and optimiser step.

So every seed sees the random numbers that it would see alone, and the models are the same up to the
order in which products are added: after one epoch weights agree with those of
:func:`ebmlib.training.run.execute` to 1e-6. Training amplifies such differences, as it does those
between two machines; ``tests/training/test_together.py`` states the tolerance after more epochs.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from operator import index

import torch
from torch import Tensor

from ebmlib import seeding
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.demonstrations.pairs import Pairs
from ebmlib.errors import DivergenceError, InputError, NoiseLevelWarning
from ebmlib.models.score import ActionScore
from ebmlib.objectives.contrastive_divergence import ContrastiveDivergence
from ebmlib.objectives.data import with_noise
from ebmlib.progress import Progress
from ebmlib.sampling.chain import Chain
from ebmlib.sampling.sgld import SGLD, noise
from ebmlib.sampling.starts import Negatives
from ebmlib.training import loop as single
from ebmlib.training.run import Run, pairs_of, untrained


class StackedScore:
    """The scores of S networks of one architecture, each with n states of its own, in one call.

    The same closed form as :class:`~ebmlib.models.score.ActionScore`, which says what the symbols
    are; every product has a leading axis of the networks.

    Args:
        scores: one for each network.
    """

    def __init__(self, scores: Sequence[ActionScore]) -> None:
        self.one = scores[0]
        self.context = torch.stack([s.context for s in scores])
        self.first = torch.stack([s.first for s in scores])
        self.output = _rows([s.output for s in scores])
        self.hidden = [
            (torch.stack([matrix for matrix, _ in layer]), _rows([bias for _, bias in layer]))
            for layer in zip(*(s.hidden for s in scores), strict=True)
        ]
        readers = [s.embedding for s in scores if s.embedding is not None]
        self.embedding = (
            (torch.stack([matrix for matrix, _ in readers]), _rows([bias for _, bias in readers]))
            if readers
            else None
        )

    @torch.no_grad()
    def __call__(self, a: Tensor) -> Tensor:
        """grad_a f(x, a), shape (S, n, d), for actions a (S, n, d)."""
        one, functional = self.one, torch.nn.functional
        rho = functional.silu if one.silu else torch.relu
        u = before_psi = a
        if self.embedding is not None:
            matrix, bias = self.embedding
            before_psi = torch.baddbmm(bias, a, matrix.mT)
            u = functional.silu(before_psi) if one.silu else functional.elu(before_psi)
        s_0 = torch.baddbmm(self.context, u, self.first.mT)
        out = torch.tanh(s_0) if one.tanh else rho(s_0)
        before = []
        for matrix, bias in self.hidden:
            s = torch.baddbmm(bias, out, matrix.mT)
            out = rho(s) + out if one.residual else rho(s)
            before.append(s)
        g = self.output.expand_as(s_0)
        for s, (matrix, _) in zip(reversed(before), reversed(self.hidden), strict=True):
            through = one._times_slope(g, s) @ matrix
            g = through + g if one.residual else through
        g = g * (1 - torch.tanh(s_0).square()) if one.tanh else one._times_slope(g, s_0)
        g = g @ self.first
        if self.embedding is None:
            return g
        if one.silu:
            return torch.ops.aten.silu_backward(g, before_psi) @ self.embedding[0]
        return (g * (u.clamp(max=0) + 1)) @ self.embedding[0]


def _rows(vectors: list[Tensor]) -> Tensor:
    """Vectors (h,) of S networks as (S, 1, h), to be added to the rows of (S, n, h)."""
    return torch.stack(vectors).unsqueeze(1)


def run_chains(
    kernel: SGLD,
    scores: Sequence[ActionScore],
    starts: Sequence[Tensor],
    *,
    generators: Sequence[torch.Generator],
) -> list[Chain]:
    """The chains of S networks, moved together; see :func:`ebmlib.sampling.chain.run_chain`.

    A chain that leaves the finite numbers is returned as it is: the others go on.

    Args:
        kernel: Langevin dynamics, in the action's units.
        scores: one for each network, of one architecture.
        starts: (n, d) for each network, of one n.
        generators: each network's own.
    """
    score = StackedScore(scores)
    a = torch.stack(list(starts))
    total = torch.zeros(a.shape[:2], dtype=torch.float64, device=a.device)
    xi = torch.empty_like(a)
    for drift, scale in kernel._schedule:
        for own, generator in zip(xi, generators, strict=True):
            noise(own, scale, generator)
        moved = score(a).mul_(drift).add_(xi)
        total += torch.linalg.vector_norm(moved, dim=2)
        a = a + moved
    nothing = a.new_empty((0, *a.shape[1:]))
    return [
        Chain(ends, length, kernel.steps, (), nothing, None)
        for ends, length in zip(a, total, strict=True)
    ]


def execute_together(
    run: Run,
    seeds: Sequence[int],
    demonstrations: Demonstrations | None = None,
    *,
    device: torch.device | str = "cpu",
) -> dict[int, single.TrainingResult | DivergenceError]:
    """Train a run with several seeds in step, their chains as one batch (see above).

    A seed that diverges leaves the others alone; in its place stands the error, with the result up
    to there as ``error.result``, as :func:`ebmlib.training.loop.train` raises it. Nothing is read
    from the store or written to it, and no checkpoints are kept.

    Args:
        run: what to train; its own seed does not count.
        seeds: which seeds, each once.
        demonstrations: those of the run; read if None.
        device: where to train.

    Returns:
        The result of every seed, in the order of ``seeds``.

    Raises:
        InputError: no seed or one twice, or a run whose chains cannot be one batch: another
            objective than contrastive divergence, another kernel than SGLD, spectral normalisation.
    """
    chosen = [index(seed) for seed in seeds]
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError(f"seeds must be one or more, each once, got {chosen}.")
    demonstrations = demonstrations or run.demonstrations()
    run = run.in_actions(demonstrations.action_scale)
    objective = _objective_of(run)
    if advice := demonstrations.advise_alpha(objective.sampler.alpha):
        warnings.warn(advice, NoiseLevelWarning, stacklevel=2)
    pairs = pairs_of(demonstrations, device, run.features)
    loops = {seed: _loop(replace(run, seed=seed), pairs, device) for seed in chosen}
    results: dict[int, single.TrainingResult | DivergenceError] = {}
    task = f"{demonstrations.name}, {len(chosen)} seeds"
    with Progress(task, run.training.epochs, 0) as progress:
        for epoch in range(run.training.epochs):
            _epoch(loops, results, pairs, objective)
            progress.update(epoch + 1)
    for seed, loop in loops.items():
        try:
            single._check_last_update(loop, None)
            results[seed] = loop.result()
        except DivergenceError as error:
            results[seed] = error
    return {seed: results[seed] for seed in chosen}


def _objective_of(run: Run) -> ContrastiveDivergence:
    objective = run.objective
    if type(objective) is not ContrastiveDivergence or type(objective.sampler) is not SGLD:
        kernel = getattr(objective, "sampler", None)
        raise InputError(
            "Seeds are trained together by ContrastiveDivergence with SGLD, got "
            f"{type(objective).__name__}{f' with {type(kernel).__name__}' if kernel else ''}; "
            "train them one by one."
        )
    if run.energy.spectral_norm != "none":
        raise InputError(
            "Seeds are trained together without spectral normalisation, got spectral_norm="
            f"{run.energy.spectral_norm!r}; train them one by one."
        )
    return objective


def _loop(run: Run, pairs: Pairs, device: torch.device | str) -> single._Loop:
    """The state of one seed's training, as :func:`ebmlib.training.run.execute` begins it."""
    model = untrained(run, pairs)
    generator = seeding.generator(run.seed, "training", device)
    begun = single._Loop(
        model, torch.nn.ModuleDict(), pairs, run.objective, run.training, generator
    )
    begun.fused = False
    return begun


def _epoch(
    loops: dict[int, single._Loop],
    results: dict[int, single.TrainingResult | DivergenceError],
    pairs: Pairs,
    objective: ContrastiveDivergence,
) -> None:
    """One update of every seed that is left; a seed that diverges is taken out."""
    began = time.monotonic()
    drawn: dict[int, tuple[Pairs, Negatives]] = {}
    for seed, loop in loops.items():
        drawn[seed] = _draw(loop, pairs, objective)
    if not loops:
        return
    chains = run_chains(
        objective.sampler,  # type: ignore[arg-type]
        [loop.model.score(drawn[seed][1].states) for seed, loop in loops.items()],
        [negatives.start for _, negatives in drawn.values()],
        generators=[loop.generator for loop in loops.values()],
    )
    seconds = (time.monotonic() - began) / len(loops)
    for (seed, loop), chain in zip(list(loops.items()), chains, strict=True):
        began = time.monotonic()
        try:
            _update(loop, *drawn[seed], chain, objective)
        except DivergenceError as error:
            results[seed] = single._stopped(error, loop, None)
            del loops[seed]
        loop.seconds += seconds + time.monotonic() - began


def _draw(
    loop: single._Loop, pairs: Pairs, objective: ContrastiveDivergence
) -> tuple[Pairs, Negatives]:
    """A seed's batch and where its chains start, drawn in the order of a training alone."""
    device, generator = pairs.states.device, loop.generator
    size = min(objective.batch_size, len(pairs.states))
    chosen = torch.randperm(len(pairs.states), generator=generator, device=device)[:size]
    batch = with_noise(
        Pairs(*(column[chosen] for column in pairs)), objective.data_noise, generator
    )
    drawn = objective.start.draw(
        batch, objective.sgld_dim, loop.carry, objective.sampler, generator=generator
    )
    return batch, drawn


def _update(
    loop: single._Loop,
    batch: Pairs,
    negatives: Negatives,
    chain: Chain,
    objective: ContrastiveDivergence,
) -> None:
    """A seed's loss, gradient and step, as in :mod:`ebmlib.training.loop`."""
    if not torch.isfinite(chain.actions).all():
        raise DivergenceError(
            f"The chain left the finite numbers within {chain.steps} steps at alpha = "
            f"{objective.sampler.alpha:g}; lower alpha or train with regularisation."
        )
    kept = objective.start.keep(loop.carry, negatives, chain.actions)
    loop.model.train()
    ends = (negatives.states, chain.actions)
    outcome = objective.outcome(loop.model, batch, ends, chain, kept)
    single._backward(outcome.losses, loop.trained)
    loop.model.eval()
    numbers = dict(outcome.report) | single.gradient_norms(loop.epoch, loop.model)
    single.check_finite(outcome.losses, loop.trained)
    loop.step(numbers, outcome.carry)
