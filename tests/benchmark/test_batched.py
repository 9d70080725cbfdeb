"""A stack of trainings is the trainings one by one."""

from dataclasses import replace

import pytest
import torch

from ebmlib import SGLD, seeding
from ebmlib.models.energy import EnergyConfig, EnergyModel
from ebmlib.objectives.contrastive_divergence import ContrastiveDivergence
from ebmlib.objectives.denoising import DenoisingScoreMatching
from ebmlib.objectives.diffusion_recovery import DiffusionRecovery
from ebmlib.objectives.f_divergence import FDivergence
from ebmlib.objectives.improved_contrastive_divergence import ImprovedContrastiveDivergence
from ebmlib.objectives.joint import JointContrastiveDivergence
from ebmlib.objectives.learned_ranking_nce import LearnedRankingNCE
from ebmlib.objectives.learned_stein import LearnedSteinDiscrepancy
from ebmlib.objectives.nce import NCE
from ebmlib.objectives.ranking_nce import RankingNCE
from ebmlib.objectives.stein_generator import SteinGenerator
from ebmlib.sampling.proposals import MixtureProposal
from ebmlib.sampling.starts import ReplayStart
from ebmlib.training.loop import TrainingConfig, train
from thesis.benchmark.batched import Slice, stacked, train_slices, train_stack
from thesis.benchmark.problems import problem

ENERGY = EnergyConfig(z_dim=6, h_dim=10, hidden_layers=1, activation="silu")
SIZE = 8
OBJECTIVES = {
    "ranking": RankingNCE(batch_size=SIZE, negatives=4, proposal=MixtureProposal(centres=8)),
    "nce": NCE(batch_size=SIZE, negatives=4, log_z_dim=5),
    "learned": LearnedRankingNCE(batch_size=SIZE, negatives=4, components=2, proposal_dim=5),
    "denoising": DenoisingScoreMatching(batch_size=SIZE),
    "stein": LearnedSteinDiscrepancy(batch_size=SIZE, critic_steps=2, critic_dim=5),
    "generator": SteinGenerator(batch_size=SIZE, particles=3, generator_dim=5, latent_dim=2),
    "diffusion": DiffusionRecovery(batch_size=SIZE, recovery_steps=3, level_dim=5),
    "improved": ImprovedContrastiveDivergence(
        sgld_dim=SIZE * 4, sampler=SGLD(alpha=0.1, steps=4), chains_per_state=4, neighbour=2
    ),
    "persistent": ContrastiveDivergence(
        sgld_dim=SIZE, sampler=SGLD(alpha=0.1, steps=4), start=ReplayStart()
    ),
    "joint": JointContrastiveDivergence(sgld_dim=SIZE, sampler=SGLD(alpha=0.1, steps=4)),
    "divergence": FDivergence(batch_size=SIZE, negatives=4, critic_dim=5, critic_steps=2),
    "chains": ContrastiveDivergence(sgld_dim=SIZE, sampler=SGLD(alpha=0.1, steps=4)),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_stack_gives_each_slice_what_it_gets_alone(name):
    # alone is the library's own loop: another optimiser, another way of drawing, no stack
    objective = OBJECTIVES[name]
    known = problem("fork")
    reference = known.pairs(64, generator=seeding.generator(0, "reference"))
    slices = [
        Slice(known.pairs(n, generator=seeding.generator(n, "pairs")), seed, lr)
        for n, seed, lr in ((40, 3, 1e-2), (16, 5, 3e-3), (40, 7, 1e-2))
    ]
    training = TrainingConfig(epochs=12, lr=1e-2, final_lr=1e-3, decay="cosine")
    size = "sgld_dim" if hasattr(objective, "sgld_dim") else "batch_size"
    together = replace(objective, **{size: getattr(objective, size) * len(slices)})
    stack = train_stack(slices, together, ENERGY, training, reference, seeding.generator)
    states, actions = reference.states, reference.actions
    for each, learned in zip(slices, stack, strict=True):
        weights = seeding.generator(each.seed, "weights")
        model = EnergyModel(ENERGY, 2, 2, generator=weights)
        parts = objective.parts(2, 2, generator=weights)
        start = model(states, actions).detach()
        fitted = _Fitted(objective, reference)
        own = replace(training, lr=each.lr, final_lr=each.lr / 10)
        train(
            model,
            each.pairs,
            fitted,
            own,
            generator=seeding.generator(each.seed, "training"),
            parts=parts,
        )
        alone = model(states, actions)
        moved = (alone - start).abs().max()
        # float32 sums in another order, twelve updates of Adam later
        assert (learned.model(states, actions) - alone).abs().max() < 2e-3 * moved + 1e-6
        assert moved > 1e-3


class _Fitted:
    """An objective that takes its scales from other pairs than those it is trained on."""

    def __init__(self, objective, reference):
        self.objective, self.reference = objective, reference

    def __getattr__(self, name):
        return getattr(self.objective, name)

    def __call__(self, *arguments, **named):
        return self.objective(*arguments, **named)

    def begin(self, pairs, *, generator):
        if hasattr(self.objective, "start"):
            return self.objective.begin(pairs, generator=generator)
        return self.objective.begin(self.reference, generator=generator)


def test_score_of_a_stack_is_each_models_own():
    models = [EnergyModel(ENERGY, 2, 2, generator=seeding.generator(i)) for i in range(3)]
    stack = stacked(models)
    stack.rows = 12
    generator = seeding.generator(9)
    x, a = torch.empty((2, 24, 2)).normal_(generator=generator)  # two blocks of three times four
    target = stack.score(x)
    for s, model in enumerate(models):
        rows = torch.cat([torch.arange(4 * s, 4 * s + 4), torch.arange(12 + 4 * s, 16 + 4 * s)])
        own = model.score(x[rows])
        assert torch.allclose(target.score(a)[rows], own.score(a[rows]), atol=1e-6)
        assert torch.allclose(target.value(a)[rows], model(x[rows], a[rows]), atol=1e-6)


def test_slices_do_not_touch_each_other():
    # one slice's data are infinite: its weights are lost, the other's are not
    known = problem("fork")
    reference = known.pairs(64, generator=seeding.generator(0, "reference"))
    good = Slice(known.pairs(16, generator=seeding.generator(1, "pairs")), 3, 1e-2)
    bad = replace(good, seed=4, pairs=good.pairs._replace(actions=good.pairs.actions * torch.inf))
    objective = RankingNCE(batch_size=2 * SIZE, negatives=4)
    training = TrainingConfig(epochs=3)
    learned = train_stack([good, bad], objective, ENERGY, training, reference, seeding.generator)
    assert [each.finite for each in learned] == [True, False]


class _Breaking(_Fitted):
    """An objective that does to its batch what it is made with, and is else another one."""

    def __init__(self, objective, reference, act):
        super().__init__(objective, reference)
        self.act = act

    def __call__(self, model, parts, batch, carry, *, generator):
        self.act(batch, generator)
        return super().__call__(model, parts, batch, carry, generator=generator)


def test_a_slice_that_is_not_finite_is_lost_and_a_mistake_in_the_code_is_not_called_that():
    known = problem("fork")
    reference = known.pairs(64, generator=seeding.generator(0, "reference"))
    good = Slice(known.pairs(16, generator=seeding.generator(1, "pairs")), 3, 1e-2)
    bad = replace(good, seed=4, pairs=good.pairs._replace(actions=good.pairs.actions * torch.nan))

    def train(act):
        return train_slices(
            [good, bad],
            lambda n: _Breaking(RankingNCE(batch_size=n * SIZE, negatives=4), reference, act),
            False,
            energy=ENERGY,
            training=TrainingConfig(epochs=2),
            reference=reference,
            generators=seeding.generator,
        )

    first, second = train(lambda batch, g: torch.multinomial(batch.actions.abs(), 1, generator=g))
    assert first is not None and first.finite and second is None
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        train(lambda batch, g: batch.actions @ batch.states)
