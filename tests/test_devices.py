"""Every tensor that the library makes is on the device of its inputs.

Seen without a card: PyTorch's device "meta" has tensors with a shape and a dtype and no numbers,
and stands for the card. (A build of PyTorch for the CPU cannot index a fake tensor of a CUDA
device.) Each test runs a part of the library on tensors of that device and notes every operation
that leaves a tensor on the CPU or mixes the two devices.

Covered: a model's scores and its standardisation (it is made on the CPU and moved); two updates of
training by every objective, with each start, each proposal and each kernel, and by every kind of
network; chains of every kernel with lengths and recorded positions; rollouts of every policy with
and without features; densities on a grid and their likelihoods; long chains of the diagnostics;
the exact law of a chain; the fused chain of a captured update; chains of several seeds together.

Excluded, and reviewed by hand (CONTRIBUTING, "Devices"): generators, which are made on the device
by their owner (here their argument is dropped, as a CUDA generator needs a card); reads of single
values, which give a Python number and wait for the card; what is left on the CPU on purpose
(snapshots, files, numpy for figures and statistics); PyTorch's optimisers, whose step counter is on
the CPU; the Triton kernel, which needs addresses (``tests/sampling/test_triton.py``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

import ebmlib
from ebmlib import MALA, SGLD, EnergyConfig, EnergyModel, Pairs, TrainingConfig, rollout
from ebmlib.demonstrations.features import StateFeatures
from ebmlib.evaluation.chain_law import ChainLaw
from ebmlib.evaluation.diagnostics import long_run
from ebmlib.evaluation.exact import Grid, likelihood_gradient, log_likelihood, model_density
from ebmlib.objectives import ContrastiveDivergence
from ebmlib.objectives.joint import JointContrastiveDivergence
from ebmlib.objectives.names import NAMES
from ebmlib.objectives.nce import NCE
from ebmlib.objectives.ranking_nce import RankingNCE
from ebmlib.policies.inference import CHAIN_POLICIES
from ebmlib.sampling import proposals, starts
from ebmlib.sampling.captured import Captured
from ebmlib.training import together
from ebmlib.training.loop import train

LIBRARY = str(Path(ebmlib.__file__).parent)
aten = torch.ops.aten
CARD = "meta"


def _three_of(index: Tensor | None) -> Tensor | None:
    """A mask is as good as three numbers: how many it chooses depends on numbers."""
    if index is None or index.dtype != torch.bool:
        return index
    return index.new_empty(3, dtype=torch.int64)


def is_matrix(leaf: object) -> bool:
    """Whether it is a tensor of more than one number; PyTorch takes a single one from anywhere."""
    return isinstance(leaf, Tensor) and leaf.ndim > 0


class OnOneDevice(TorchDispatchMode):
    """Notes where the library makes a tensor on the CPU; gives single values that let it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[str] = []
        self.single_values: list[tuple[Tensor, bool]] = []

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if kwargs.get("generator") is not None:
            kwargs["generator"] = None
        if operation is aten._local_scalar_dense.default:
            if args[0].dtype == torch.bool:  # all(...) holds, any(...) does not
                return next((v for t, v in self.single_values if t is args[0]), True)
            return 1.0 if args[0].is_floating_point() else 1
        if {t.device.type for t in tree_leaves((args, kwargs)) if is_matrix(t)} > {CARD}:
            self._note(f"{operation} of two devices")
        if operation is aten.bincount.default:  # of these two the shape depends on numbers
            return torch.empty(args[2], dtype=torch.int64, device=args[0].device)
        if operation in (aten.index.Tensor, aten.index_put_.default, aten.index_put.default):
            args = (args[0], [_three_of(index) for index in args[1]], *args[2:])
        made = operation(*args, **kwargs)
        if operation in (aten.any.default, aten.any.dim):
            self.single_values.append((made, False))
        for tensor in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(tensor, Tensor) and tensor.device.type == "cpu":
                self._note(str(operation))
        return made

    def _note(self, operation: str) -> None:
        frame = sys._getframe(2)
        while frame.f_back is not None:
            file = frame.f_code.co_filename
            if "/torch/optim/" in file:
                return
            if file.startswith(LIBRARY):
                self.left.append(f"{file[len(LIBRARY) + 1 :]}:{frame.f_lineno} {operation}")
                return
            frame = frame.f_back


def on_the_card(module: nn.Module) -> Any:
    """The module with tensors of the card in place of its own."""
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            made = torch.empty(parameter.shape, device=CARD)
            part._parameters[name] = nn.Parameter(made)
        for name, buffer in part.named_buffers(recurse=False):
            part._buffers[name] = torch.empty(buffer.shape, device=CARD)
    return module


@contextmanager
def on_a_card() -> Iterator[list[str]]:
    with OnOneDevice() as seen:
        yield seen.left
    assert not seen.left, "left on the CPU: " + "; ".join(dict.fromkeys(seen.left))


G = torch.Generator()


def model_of(config: EnergyConfig, state_dim: int = 2) -> EnergyModel:
    with _disable_current_modes():
        made = EnergyModel(config, state_dim, 2, generator=torch.Generator())
    model = on_the_card(made)
    if config.standardise:
        model.fit_standardisation(*pairs_of(state_dim)[:2])
    return model


def pairs_of(state_dim: int = 2) -> Pairs:
    states, actions = torch.empty(40, state_dim, device=CARD), torch.empty(40, 2, device=CARD)
    return Pairs(states, actions, torch.arange(40, device=CARD))


SMALL = EnergyConfig(z_dim=5, h_dim=8)
NETWORKS = {
    "figure 3.2": SMALL,
    "plain, tanh": EnergyConfig.plain(8, first_activation="tanh"),
    "silu": replace(SMALL, activation="silu"),
    "normalised": replace(SMALL, spectral_norm="fcn_and_fe_x"),
    "standardised": replace(SMALL, standardise=True),
    "standardised, plain": EnergyConfig.plain(8, standardise=True, output_bias=False),
}
CHAIN = SGLD(alpha=0.05, steps=3, final_alpha=0.02)
OBJECTIVES = {name: kind() for name, kind in NAMES.items()}
OBJECTIVES |= {
    f"contrastive divergence, {start}": ContrastiveDivergence(
        sampler=CHAIN, sgld_dim=16, start=getattr(starts, start)(), data_noise=0.1
    )
    for start in ("NoiseStart", "DataStart", "PersistentStart", "ReplayStart")
}
OBJECTIVES |= {
    "contrastive divergence, MALA": ContrastiveDivergence(sampler=MALA(steps=3), sgld_dim=16),
    "joint, MALA": JointContrastiveDivergence(sampler=MALA(steps=3), sgld_dim=16),
}
OBJECTIVES |= {
    f"{kind.__name__}, {proposal}": kind(
        proposal=getattr(proposals, proposal)(), negatives=4, data_noise=0.1
    )
    for kind in (NCE, RankingNCE)
    for proposal in ("GaussianProposal", "UniformProposal", "MixtureProposal")
}


def short(objective: Any) -> Any:
    """The same objective with chains of three updates."""
    if hasattr(objective, "sampler") and objective.sampler.steps > 3:
        return replace(objective, sampler=replace(objective.sampler, steps=3))
    return objective


def trained(config: EnergyConfig, objective: Any) -> None:
    with on_a_card():
        model = model_of(config)
        with _disable_current_modes():
            made = objective.parts(2, 2, generator=torch.Generator())
        parts = on_the_card(made)
        training = TrainingConfig(epochs=2)
        train(model, pairs_of(), objective, training, generator=G, parts=parts)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())
def test_training_by_every_objective(objective):
    trained(EnergyConfig(z_dim=5, h_dim=8, activation="silu"), short(objective))


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS.keys())
def test_training_of_every_network(config):
    trained(config, short(OBJECTIVES["contrastive-divergence"]))


KERNELS = {"SGLD": CHAIN, "MALA": MALA(steps=3), "ascent": CHAIN.ascent()}


@pytest.mark.parametrize("kernel", KERNELS.values(), ids=KERNELS.keys())
@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS.keys())
def test_chains_of_every_kernel(kernel, config):
    with on_a_card():
        score = model_of(config).score(pairs_of().states)
        start = kernel.start(40, 2, generator=G, like=score.context)
        kernel.chain(score, start, generator=G, length=True, record=[0, 2])
        if not isinstance(kernel, MALA):  # which needs a value
            kernel.chain(lambda a: -a, start, generator=G, length=True)


FEATURES = {
    "positions": StateFeatures(),
    "history": StateFeatures(history=2),
    "mean of the history, clock": StateFeatures(history=3, history_mean=True, clock=True),
}


@pytest.mark.parametrize("features", FEATURES.values(), ids=FEATURES.keys())
@pytest.mark.parametrize("kind", CHAIN_POLICIES)
def test_rollouts_of_every_policy(kind, features):
    with on_a_card():
        policy = CHAIN_POLICIES[kind](model_of(SMALL, features.dim(2, 2)), CHAIN)
        starting = torch.empty(3, 2, device=CARD)
        rollout(policy, starting, 3, generator=G, features=features)


def test_densities_on_a_grid():
    with on_a_card():
        model, pairs, grid = model_of(SMALL), pairs_of(), Grid(1.0, points=11)
        density = model_density(model, pairs.states, grid)
        for read in ("mean", "covariance", "mode", "entropy", "border_mass"):
            getattr(density, read)()
        density.kl(density)
        log_likelihood(model, pairs, grid)
        likelihood_gradient(model, pairs, grid)


def test_diagnostics_of_long_chains():
    with on_a_card():
        pairs = pairs_of()
        long_run(model_of(SMALL), *pairs[:2], CHAIN, (1, 3), generator=G, population=4)


def test_the_exact_law_of_a_chain():
    with on_a_card():
        score = model_of(SMALL).score(torch.empty(1, 2, device=CARD))

        def of_all(a: Tensor) -> Tensor:
            return score.repeat(len(a))(a.float())

        law = ChainLaw(of_all, Grid(1.0, points=11), SGLD(alpha=0.3), device=CARD)
        law.after(law.start(), 2)


def test_a_captured_update():
    with on_a_card():
        score = model_of(SMALL).score(pairs_of().states)
        chain = Captured(lambda update, device: update)(score, CHAIN)
        length = torch.zeros(40, dtype=torch.float64, device=CARD)
        chain(torch.empty(40, 2, device=CARD), 0, 3, generator=G, length=length)


@pytest.mark.parametrize("config", NETWORKS.values(), ids=NETWORKS.keys())
def test_chains_of_several_seeds_in_one_batch(config):
    with on_a_card():
        models = [model_of(config) for _ in range(2)]
        data = pairs_of()
        scores = [model.score(data.states) for model in models]
        both = [data.actions, data.actions]
        chains = together.run_chains(CHAIN, scores, both, generators=[G, G])
    assert {chain.mean_step.device.type for chain in chains} == {CARD}
    assert {chain.actions.device.type for chain in chains} == {CARD}


def test_a_tensor_left_on_the_cpu_is_found(monkeypatch):
    def start(n: int, d: int, *, generator: Any, like: Any = None) -> Tensor:
        return torch.zeros(n, d).to(like.device)

    where: Callable[..., Tensor] = start
    code = where.__code__.replace(co_filename=f"{LIBRARY}/sampling/planted.py")
    monkeypatch.setattr(where, "__code__", code)
    with pytest.raises(AssertionError, match=r"sampling/planted\.py"), on_a_card():
        where(3, 2, generator=G, like=torch.empty(2, device=CARD))
