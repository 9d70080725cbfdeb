"""What holds for every objective: a row in the table is all that a new one needs here."""

import math
from dataclasses import dataclass, replace

import pytest
import torch
from objective_support import Bump, normal_pairs, quadrature, within_errors
from torch import nn

from ebmlib import (
    MALA,
    NCE,
    SGLD,
    VERA,
    ContrastiveDivergence,
    DataStart,
    DemonstrationConfig,
    DenoisingScoreMatching,
    DiffusionRecovery,
    EnergyConfig,
    EnergyDiscrepancy,
    EnergyModel,
    ExactLikelihood,
    FDivergence,
    ImportanceLikelihood,
    ImprovedContrastiveDivergence,
    InfoNCE,
    InputError,
    JointContrastiveDivergence,
    KernelSteinDiscrepancy,
    LearnedImportanceLikelihood,
    LearnedRankingNCE,
    LearnedSteinDiscrepancy,
    MixtureProposal,
    MultiLevelDenoising,
    NCEPlus,
    Pairs,
    PersistentStart,
    RankingNCE,
    ReplayStart,
    Run,
    ScoreMatching,
    SelfNormalisedLikelihood,
    SlicedScoreMatching,
    SteinGenerator,
    Store,
    TrainingConfig,
    UniformProposal,
    cli,
    seeding,
    train,
)
from ebmlib.objectives.base import MODEL, Objective, Outcome, PartOptimizer, WithoutParts
from ebmlib.objectives.names import NAMES
from ebmlib.objectives.nce import LOG_Z
from ebmlib.objectives.noise import NoiseContrast
from ebmlib.objectives.scales import scaled_states
from ebmlib.training import loop

SHORT = SGLD(alpha=0.05, steps=4)
OBJECTIVES = {
    "contrastive divergence": ContrastiveDivergence(SHORT, sgld_dim=16, data_noise=0.01),
    "from data": ContrastiveDivergence(SHORT, sgld_dim=16, start=DataStart()),
    "persistent": ContrastiveDivergence(SHORT, sgld_dim=16, start=PersistentStart(), reg_l2=0.1),
    "replay": ContrastiveDivergence(SHORT, sgld_dim=16, start=ReplayStart(2, 0.3), reg_l1=0.1),
    "adjusted chains": ContrastiveDivergence(MALA(0.05, 4), sgld_dim=16),
    "joint": JointContrastiveDivergence(SHORT, sgld_dim=16),
    "nce": NCE(negatives=6, batch_size=16, log_z_dim=4, data_noise=0.01),
    "nce, one constant": NCE(UniformProposal(), negatives=3, batch_size=16, log_z_dim=0),
    "ranking nce": RankingNCE(MixtureProposal(centres=8), negatives=6, batch_size=16, reg_l2=0.01),
    "exact likelihood": ExactLikelihood(batch_size=8, cells=64, data_noise=0.01),
    "importance likelihood": ImportanceLikelihood(negatives=6, batch_size=16, reg_l2=0.01),
    "info nce": InfoNCE(negatives=6, batch_size=16),
    "nce plus": NCEPlus(batch_size=16, negatives=6, data_noise=0.01, reg_l2=0.01),
    "self-normalised": SelfNormalisedLikelihood(negatives=6, batch_size=16, log_z_dim=4),
    "energy discrepancy": EnergyDiscrepancy(batch_size=16, negatives=4, reg_l2=0.01),
    "score matching": ScoreMatching(batch_size=16, data_noise=0.01),
    "sliced score matching": SlicedScoreMatching(batch_size=16, slices=2),
    "denoising": DenoisingScoreMatching(batch_size=16),
    "denoising, several levels": MultiLevelDenoising(batch_size=16, levels=3, level_dim=4),
    "learned importance": LearnedImportanceLikelihood(
        batch_size=16, negatives=6, components=2, proposal_dim=4
    ),
    "learned ranking": LearnedRankingNCE(
        batch_size=16, negatives=6, components=1, proposal_dim=4, data_noise=0.01
    ),
    "kernel stein": KernelSteinDiscrepancy(batch_size=16),
    "learned stein": LearnedSteinDiscrepancy(batch_size=16, critic_steps=3, critic_dim=4),
    "vera": VERA(batch_size=16, latent_dim=3, generator_dim=4, posterior_draws=5, reg_l2=0.01),
    "improved divergence": ImprovedContrastiveDivergence(SHORT, sgld_dim=16, chains_per_state=4),
    "improved, persistent": ImprovedContrastiveDivergence(
        SHORT, sgld_dim=16, chains_per_state=4, start=PersistentStart(), through=2, reg_l2=0.1
    ),
    "diffusion recovery": DiffusionRecovery(
        batch_size=16, levels=3, recovery_steps=4, level_dim=4, reg_l2=0.01
    ),
    "f-divergence": FDivergence(
        batch_size=16, negatives=6, critic_dim=4, critic_steps=2, reg_l2=0.01
    ),
    "stein generator": SteinGenerator(
        batch_size=8, particles=4, latent_dim=3, generator_dim=4, reg_l2=0.01
    ),
}


def activation(objective):
    """What the objective needs, by what it says to the usual network."""
    relu = EnergyModel(EnergyConfig(z_dim=1, h_dim=1), 2, 2, generator=torch.Generator())
    try:
        objective.check(relu)
    except InputError:
        return "silu"
    return "relu"


def fitted(objective, pairs, generator, *, epochs=8, path=None, observers=None, norm="none"):
    config = EnergyConfig(z_dim=4, h_dim=6, spectral_norm=norm, activation=activation(objective))
    model = EnergyModel(config, 2, 2, generator=generator("weights"))
    return train(
        model,
        pairs,
        objective,
        TrainingConfig(epochs=epochs, lr=0.01, final_lr=0.002, snapshot_every=4),
        generator=generator("training"),
        observers=observers,
        checkpoint_path=path,
    )


def tensors_of(result):
    return {
        **result.model.state_dict(),
        **{f"parts.{k}": v for k, v in result.parts.state_dict().items()},
    }


def test_every_named_objective_is_in_the_table():
    assert set(NAMES.values()) == {type(objective) for objective in OBJECTIVES.values()}
    for name, kind in NAMES.items():
        assert isinstance(kind(), Objective), name


@pytest.mark.parametrize("name", OBJECTIVES)
def test_it_trains_and_its_history_is_finite(name, tiny_pairs, generator):
    result = fitted(OBJECTIVES[name], tiny_pairs, generator)
    assert "loss" in result.history and {len(c) for c in result.history.values()} == {8}
    assert all(math.isfinite(value) for column in result.history.values() for value in column)
    start = fitted(OBJECTIVES[name], tiny_pairs, generator, epochs=1).snapshots[0]
    moved = [not torch.equal(start[k], w) for k, w in result.model.state_dict().items()]
    assert all(moved), "every parameter of the model is trained"


class Interrupted(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("norm", ["none", "fcn_and_fe_x"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_resumed_is_uninterrupted_parts_and_carry_included(
    name, norm, tiny_pairs, generator, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    path = tmp_path / "checkpoint.safetensors"

    def stop(epoch, model):
        if epoch == 5:
            raise Interrupted
        return {}

    whole = fitted(OBJECTIVES[name], tiny_pairs, generator, norm=norm)
    with pytest.raises(Interrupted):
        fitted(OBJECTIVES[name], tiny_pairs, generator, norm=norm, path=path, observers={"o": stop})
    resumed = fitted(OBJECTIVES[name], tiny_pairs, generator, norm=norm, path=path)
    ours, theirs = tensors_of(resumed), tensors_of(whole)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[k], theirs[k]) for k in ours)
    assert resumed.history == whole.history


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_store_keeps_parts_and_loads_them(name, tmp_path):
    run = Run(
        DemonstrationConfig("circle", steps=12, repetitions=4, sigma=0.05),
        EnergyConfig(z_dim=4, h_dim=6, activation=activation(OBJECTIVES[name])),
        OBJECTIVES[name],
        TrainingConfig(epochs=3),
    )
    fresh = Store(tmp_path).train_or_load(run)
    loaded = Store(tmp_path).train_or_load(run)
    assert not fresh.loaded and loaded.loaded
    ours, theirs = tensors_of(loaded.result), tensors_of(fresh.result)
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)
    assert Store(tmp_path).load(fresh.record["key"]).run == run


def gradients(objective, model, pairs, generator, log_z=None, repeats=60, n=400):
    """Gradients of many batches by (m, v) and, with NCE, by the constant; (repeats, 2 or 3)."""
    parts = objective.parts(1, 1, generator=generator("parts")).double()
    if log_z is not None:
        with torch.no_grad():
            parts[LOG_Z].constant.fill_(log_z)
    carry = objective.begin(pairs, generator=generator("begin"))
    found = []
    for k in range(repeats):
        g = generator("batch", k)
        batch = Pairs(*(c[torch.randint(len(pairs.ids), (n,), generator=g)] for c in pairs))
        outcome = objective(model, parts, batch, carry, generator=g)
        by = [model.m, model.v] + ([parts[LOG_Z].constant] if log_z is not None else [])
        loss = outcome.losses[LOG_Z if log_z is not None else MODEL]
        found.append(torch.stack(torch.autograd.grad(loss, by)))
    return torch.stack(found)


@pytest.mark.parametrize("proposal", [UniformProposal(0.6), MixtureProposal((0.5, 1.5), 40)])
@pytest.mark.parametrize("kind", [NCE, RankingNCE])
def test_at_the_truth_the_gradient_is_zero_and_off_it_it_is_not(kind, proposal, generator):
    """At f = log p + constant both are at their optimum, whatever the proposal and its number.

    Without log q in the loss, with log q of another density, with the sign of the noise's part
    turned, or with c not subtracted, the gradient is not zero there.
    """
    mean, s = 0.4, 0.8
    pairs = normal_pairs(200_000, mean, s, generator)
    objective = kind(proposal, negatives=3)
    log_z = 0.5 * math.log(2 * math.pi * s**2) if kind is NCE else None
    at_truth = gradients(objective, Bump(mean, s**2), pairs, generator, log_z)
    # the finite data have their own mean and variance: standard errors of theirs are added
    slack = 3 / len(pairs.ids) ** 0.5
    assert within_errors(at_truth, 0.0) or (at_truth.mean(0).abs() < 6 * slack).all()
    off = gradients(objective, Bump(mean + 0.3, s**2), pairs, generator, log_z)
    assert not within_errors(off, 0.0) and off.mean(0)[0].abs() > 20 * slack


def test_nce_has_the_gradient_of_its_population_loss(generator):
    """-E log sigma(g) - k E_q log sigma(-g), integrated, at an f and c that are not the optimum."""
    mean, s, k, c = 0.4, 0.8, 3, 0.5
    pairs = normal_pairs(200_000, mean, s, generator)
    objective = NCE(negatives=k)
    fitted_ = objective.begin(pairs, generator=generator())
    model = Bump(0.7, 1.1)
    constant = torch.tensor(c, dtype=torch.float64, requires_grad=True)
    p = torch.distributions.Normal(mean, s)
    q = torch.distributions.Normal(fitted_["mean"][0], fitted_["factor"][0, 0])

    def g(a):
        f = -((a - model.m) ** 2) / (2 * model.v)
        return f - constant - q.log_prob(a) - math.log(k)

    log_sigma = nn.functional.logsigmoid
    data = quadrature(lambda a: p.log_prob(a).exp() * log_sigma(g(a)))
    noise = quadrature(lambda a: q.log_prob(a).exp() * log_sigma(-g(a)))
    exact = torch.stack(torch.autograd.grad(-data - k * noise, [model.m, model.v, constant]))
    found = gradients(objective, model, pairs, generator, log_z=c)
    assert within_errors(found, exact) or ((found.mean(0) - exact).abs() < 0.02 * exact.abs()).all()
    assert exact.abs().min() > 0.02


def test_ranking_nce_tends_to_the_likelihood_s_gradient_as_draws_grow(generator):
    mean, s = 0.4, 0.8
    pairs = normal_pairs(200_000, mean, s, generator)
    m, v = 0.7, 1.1
    likelihood = torch.tensor(  # of -E log N(a; m, v)
        [(m - mean) / v, 1 / (2 * v) - (s**2 + (mean - m) ** 2) / (2 * v**2)], dtype=torch.float64
    )
    gaps = []
    for draws in (2, 20, 200):
        objective = RankingNCE(negatives=draws)
        found = gradients(objective, Bump(m, v), pairs, generator, repeats=30, n=200)
        gaps.append(float((found.mean(dim=0) - likelihood).norm() / likelihood.norm()))
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 0.06


@pytest.mark.slow
def test_nce_finds_the_density_and_its_normaliser(generator):
    """p(a | x) = N(x / 2, 0.5^2): f - c is its log, so c(x) is log Z(x) of the f that was found."""
    g = generator("data")
    x = 2 * torch.rand(4000, 1, generator=g) - 1
    actions = x / 2 + 0.5 * torch.randn(4000, 1, generator=g)
    pairs = Pairs(x, actions, torch.arange(4000))
    model = EnergyModel(EnergyConfig(z_dim=16, h_dim=32), 1, 1, generator=generator("weights"))
    result = train(
        model,
        pairs,
        NCE(negatives=16, batch_size=512, log_z_dim=16),
        TrainingConfig(epochs=700, lr=0.005, final_lr=0.0005),
        generator=generator("training"),
    )
    grid = torch.linspace(-4, 4, 2001)
    at = torch.tensor([[-0.8], [0.0], [0.8]])
    with torch.no_grad():
        f = result.model(at[:, None], grid[None, :, None])
        log_z = torch.logsumexp(f, dim=1) + math.log(8 / 2000)
        c = result.parts[LOG_Z](at)
        p = (f - log_z[:, None]).exp()
    truth = torch.distributions.Normal(at / 2, 0.5).log_prob(grid[None]).exp()
    assert 0.5 * (p - truth).abs().sum(dim=1).max() * 8 / 2000 < 0.06, "total variation"
    assert (c - log_z).abs().max() < 0.12


@pytest.mark.slow
def test_ranking_nce_finds_the_density(generator):
    g = generator("data")
    x = 2 * torch.rand(4000, 1, generator=g) - 1
    actions = x / 2 + 0.5 * torch.randn(4000, 1, generator=g)
    pairs = Pairs(x, actions, torch.arange(4000))
    model = EnergyModel(EnergyConfig(z_dim=16, h_dim=32), 1, 1, generator=generator("weights"))
    config = TrainingConfig(epochs=700, lr=0.005, final_lr=0.0005)
    objective = RankingNCE(negatives=16, batch_size=512)
    train(model, pairs, objective, config, generator=generator("training"))
    grid = torch.linspace(-4, 4, 2001)
    at = torch.tensor([[-0.8], [0.0], [0.8]])
    with torch.no_grad():
        p = model(at[:, None], grid[None, :, None]).softmax(dim=1) / (8 / 2000)
    truth = torch.distributions.Normal(at / 2, 0.5).log_prob(grid[None]).exp()
    assert 0.5 * (p - truth).abs().sum(dim=1).max() * 8 / 2000 < 0.06, "total variation"


@pytest.mark.parametrize(
    "objective",
    [
        ScoreMatching(batch_size=128),
        EnergyDiscrepancy(batch_size=128),
        LearnedImportanceLikelihood(batch_size=128, negatives=16),
    ],
)
def test_one_of_each_family_finds_the_density_in_a_few_updates(objective, generator):
    g = generator("data")
    x = 2 * torch.rand(4000, 1, generator=g) - 1
    actions = x / 2 + 0.5 * torch.randn(4000, 1, generator=g)
    config = EnergyConfig(z_dim=16, h_dim=32, activation="silu")
    model = EnergyModel(config, 1, 1, generator=generator("weights"))
    train(
        model,
        Pairs(x, actions, torch.arange(4000)),
        objective,
        TrainingConfig(epochs=400, lr=0.005, final_lr=0.0005),
        generator=generator("training"),
    )
    grid = torch.linspace(-4, 4, 801)
    at = torch.tensor([[-0.8], [0.0], [0.8]])
    with torch.no_grad():
        p = model(at[:, None], grid[None, :, None]).softmax(dim=1) / (8 / 800)
    truth = torch.distributions.Normal(at / 2, 0.5).log_prob(grid[None]).exp()
    assert 0.5 * (p - truth).abs().sum(dim=1).max() * 8 / 800 < 0.09, "total variation"


@dataclass(frozen=True)
class TwoParts(WithoutParts):
    """Every loss is the sum of all parameters there are; each must move only its own."""

    batch_size: int = 4
    chain_steps: int = 0
    missing: bool = False

    def parts(self, state_dim, action_dim, *, generator):
        return nn.ModuleDict({"critic": nn.Linear(1, 1), "proposal": nn.Linear(1, 1)})

    def part_optimizers(self):
        return {"critic": PartOptimizer(lr=0.5, optimizer="sgd")}

    def __call__(self, model, parts, batch, carry, *, generator):
        every = [*model.parameters(), *parts.parameters()]
        total = sum(p.sum() for p in every)
        losses = {MODEL: total, "critic": -2 * total, "proposal": 3 * total}
        if self.missing:
            losses.pop("critic")
        return Outcome(losses, carry, {"loss": total.detach()})


def test_each_loss_moves_its_own_part_by_its_own_optimiser(tiny_pairs, generator):
    model = EnergyModel(EnergyConfig(z_dim=4, h_dim=6), 2, 2, generator=generator("weights"))
    objective = TwoParts()
    parts = objective.parts(2, 2, generator=generator())
    before = {k: v.clone() for k, v in [*model.state_dict().items(), *parts.state_dict().items()]}
    config = TrainingConfig(epochs=2, lr=0.01, optimizer="sgd", final_lr=0.001)
    train(model, tiny_pairs, objective, config, generator=generator(), parts=parts)
    steps = {"critic": -2 * (0.5 + 0.05), "proposal": 3 * (0.01 + 0.001), "fcn": 0.01 + 0.001}
    for name, value in [*model.state_dict().items(), *parts.state_dict().items()]:
        step = next((s for part, s in steps.items() if name.startswith(part)), steps["fcn"])
        torch.testing.assert_close(before[name] - value, torch.full_like(value, step), msg=name)


def test_an_objective_without_a_loss_for_one_of_its_parts_is_refused(tiny_pairs, generator):
    with pytest.raises(
        InputError, match="one loss for each of model, critic, proposal, got model, p"
    ):
        fitted(TwoParts(missing=True), tiny_pairs, generator)


def test_an_objective_without_chains_has_a_policy_by_the_run_s_inference(tiny_run, tmp_path):
    bare = replace(tiny_run, objective=OBJECTIVES["ranking nce"])
    with pytest.raises(
        InputError, match="RankingNCE trains without chains, so the run must say how"
    ):
        _ = bare.effective_inference
    changed = tiny_run.with_(objective="ranking-nce", negatives=5, sgld_dim=16)
    assert changed.objective == RankingNCE(negatives=5, batch_size=16)
    assert changed.effective_inference.kernel == tiny_run.objective.sampler, (
        "how actions are drawn is kept"
    )
    assert changed.with_(alpha=0.3, K=7).effective_inference.kernel == SGLD(0.3, 7)
    trained = Store(tmp_path).train_or_load(changed)
    assert trained.inference == changed.effective_inference


def test_seeds_of_parts_leave_the_model_s_own_alone(tiny_run):
    one = EnergyModel(tiny_run.energy, 2, 2, generator=seeding.generator(0, "weights"))
    two = EnergyModel(tiny_run.energy, 2, 2, generator=seeding.generator(0, "weights"))
    NCE().parts(2, 2, generator=seeding.generator(0, "parts"))
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))


REPORTING = (ContrastiveDivergence, JointContrastiveDivergence, NCE, RankingNCE)


@pytest.mark.parametrize("level", [3.0, -3.0])
@pytest.mark.parametrize("name", [n for n, o in OBJECTIVES.items() if type(o) in REPORTING])
def test_what_an_objective_reports_is_what_f_was(name, level, tiny_pairs, generator):
    """Every level of f computed again from what the network gave; f is above 0, or below it."""
    config = EnergyConfig(z_dim=4, h_dim=6, output_bias=True)
    model = EnergyModel(config, 2, 2, generator=generator("weights"))
    with torch.no_grad():
        model.fcn[-1].bias.fill_(level)
    objective, batch = OBJECTIVES[name], Pairs(*(column[:16] for column in tiny_pairs))
    parts = objective.parts(2, 2, generator=generator("parts"))
    carry = objective.begin(tiny_pairs, generator=generator("bank"))
    seen = []
    model.register_forward_hook(lambda *call: seen.append(call[2]) if model.training else None)
    model.train()
    outcome = objective(model, parts, batch, carry, generator=generator("noise"))
    report = {k: float(v) for k, v in outcome.report.items()}
    (f,) = [values.detach() for values in seen if values.requires_grad]
    assert report.pop("f_magnitude") == pytest.approx(float(f.abs().max()))
    if "f_noise" in report:
        assert report.pop("f_data") == pytest.approx(float(f[:, 0].mean()))
        assert report.pop("f_noise") == pytest.approx(float(f[:, 1:].mean()))
    else:
        data, chain = f[:16], f[16:]
        assert report.pop("f_data") == pytest.approx(float(data.mean()))
        assert report.pop("f_chain") == pytest.approx(float(chain.mean()))
        assert report["loss"] == pytest.approx(float(chain.mean() - data.mean()), abs=1e-6)
        assert report.pop("R") > 0
    if "log_z" in report:
        with torch.no_grad():
            c = parts[LOG_Z](batch.states)
        assert report.pop("log_z") == pytest.approx(float(c.mean()))
    loss = report.pop("loss")
    plain = all(getattr(objective, weight, 0.0) == 0 for weight in ("reg_l1", "reg_l2"))
    if plain:
        assert loss == pytest.approx(float(outcome.losses[MODEL]), abs=1e-6)
    assert not report, "a number that is reported and not tested here"


SILU = {name for name, kind in NAMES.items() if activation(kind()) == "silu"}
TINY = ["z_dim=4", "h_dim=6", "epochs=2", "steps=12", "repetitions=4", "sigma=0.05", "K=3"]


@pytest.mark.parametrize("name", NAMES)
def test_every_objective_is_a_word_away_on_the_command_line(name, tmp_path, capsys):
    words = [*TINY, "batch_size=16"] + (["activation=silu"] if name in SILU else [])
    out = tmp_path / "it.policy"
    arguments = ["train", "circle", "--objective", name, "--out", str(out), "--set", *words]
    assert cli.main([*arguments, "--device", "cpu"]) == 0
    assert "after 2 epochs" in capsys.readouterr().out and out.stat().st_size > 0


def test_what_differentiates_the_score_needs_a_smooth_one():
    assert SILU >= {
        *("score-matching", "sliced-score-matching", "denoising-score-matching"),
        *("multi-level-denoising", "kernel-stein-discrepancy", "learned-stein-discrepancy"),
        "improved-contrastive-divergence",
    }


@pytest.mark.parametrize("name", sorted(SILU))
def test_what_needs_a_smooth_score_refuses_relu_and_says_what_to_use(name, capsys):
    assert cli.main(["train", "circle", "--objective", name, "--set", *TINY]) != 0
    said = capsys.readouterr().err.strip().splitlines()[-1]  # after what was read
    assert said.endswith('needs a network with a differentiable score, got activation="relu"; '
                         'use activation="silu".')  # fmt: skip


@pytest.mark.parametrize(
    ("objective", "advice"),
    [
        (ExactLikelihood(), 'at most 3 dimensions, got 4; use objective="ranking-nce".'),
        (ScoreMatching(), 'up to 3 dimensions, got 4; use objective="sliced-score-matching".'),
    ],
)
def test_what_grows_with_the_dimension_refuses_four(objective, advice, generator):
    config = EnergyConfig(z_dim=4, h_dim=6, activation="silu")
    model = EnergyModel(config, 2, 4, generator=generator())
    pairs = Pairs(torch.zeros(5, 2), torch.zeros(5, 4), torch.arange(5))
    with pytest.raises(InputError) as caught:
        train(model, pairs, objective, TrainingConfig(epochs=1), generator=generator())
    assert str(caught.value).endswith(advice)
    objective.check(EnergyModel(config, 2, 3, generator=generator()))


def test_an_objective_without_a_check_takes_any_model(generator):
    for relu in (True, False):
        config = EnergyConfig(z_dim=4, h_dim=6, activation="relu" if relu else "silu")
        RankingNCE().check(EnergyModel(config, 2, 9, generator=generator()))


@pytest.mark.parametrize("objective", [RankingNCE, NCE])
def test_noise_in_units_of_the_spread_is_the_same_for_data_in_any_units(objective):
    """A model that standardises sees the same losses, whatever the units of states and actions."""
    losses = []
    for states, actions in ((1.0, 1.0), (1e3, 1e-2)):
        g = seeding.generator(0, "data")
        pairs = Pairs(
            states * torch.empty(64, 2).normal_(generator=g),
            actions * torch.empty(64, 2).normal_(generator=g),
            torch.arange(64),
        )
        model = EnergyModel(EnergyConfig(4, 6, standardise=True), 2, 2, generator=g)
        model.fit_standardisation(pairs.states, pairs.actions)
        of = objective(
            negatives=6, batch_size=64, data_noise=0.4, state_noise=0.7, noise_unit="spread"
        )
        parts = of.parts(2, 2, generator=g)
        carry = of.begin(pairs, generator=g)
        g = seeding.generator(1, "noise")
        at = of.contrasted(model, of.noisy(pairs, carry, g), carry, g)
        del parts
        losses.append(at.f)
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [n for n, o in OBJECTIVES.items() if isinstance(o, NoiseContrast)])
def test_everything_that_is_trained_sees_the_same_noisy_states(name, tiny_pairs, generator):
    objective = replace(OBJECTIVES[name], state_noise=0.5, noise_unit="spread")
    batch = Pairs(*(column[:16] for column in tiny_pairs))
    model = EnergyModel(EnergyConfig(z_dim=4, h_dim=6), 2, 2, generator=generator("weights"))
    parts = objective.parts(2, 2, generator=generator("parts"))
    carry = objective.begin(tiny_pairs, generator=generator("bank"))
    seen = []
    for module in (model, *parts.values()):
        module.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    objective(model, parts, batch, carry, generator=generator("noise"))
    noisy = objective.noisy(batch, carry, generator("noise")).states
    assert not torch.allclose(noisy, batch.states)
    assert len(seen) == 1 + len(parts)
    torch.testing.assert_close(seen[0].reshape(16, -1, 2)[:, 0], noisy)
    for states in seen[1:]:  # a critic's are scaled
        if states.ndim == 3:
            states = states[:, 0] * 1.0
            noisy = scaled_states(carry, noisy)
        torch.testing.assert_close(states, noisy)


def test_noise_on_states_has_its_width():
    g = seeding.generator(0, "data")
    n = 4000
    pairs = Pairs(torch.full((n, 1), 3.0), torch.empty(n, 1).normal_(generator=g), torch.arange(n))

    def linear(x, a):  # f = x, so that what comes back are the states
        return x.squeeze(-1).expand(a.shape[:-1])

    of = RankingNCE(negatives=1, batch_size=n, state_noise=0.5)
    carry = of.begin(pairs, generator=g)
    seen = of.contrasted(linear, of.noisy(pairs, carry, g), carry, g).f[:, 0]
    assert abs(float(seen.std()) - 0.5) < 5.5 * 0.5 / math.sqrt(2 * n)
    assert abs(float(seen.mean()) - 3.0) < 5.5 * 0.5 / math.sqrt(n)


def test_cosine_decay_starts_at_lr_ends_at_final_lr_and_is_half_way_in_the_middle():
    config = TrainingConfig(epochs=101, lr=1.0, final_lr=0.1, decay="cosine")
    assert config.rate(0) == pytest.approx(1.0) and config.rate(100) == pytest.approx(0.1)
    assert config.rate(50) == pytest.approx(0.55) and config.rate(25) == pytest.approx(
        0.1 + 0.9 * (1 + math.sqrt(0.5)) / 2
    )
    assert config.rate(0, 0.5) == pytest.approx(0.5)


def test_noise_on_actions_has_one_width_along_the_action_and_one_across():
    """In units of the spread, along and across each action, whatever its direction."""
    g, n = seeding.generator(0, "data"), 6000
    angle = 6.28 * torch.rand(n, generator=g)
    actions = torch.stack([angle.cos(), angle.sin()], dim=1) * (0.5 + torch.rand(n, 1, generator=g))
    pairs = Pairs(torch.zeros(n, 1), actions, torch.arange(n))
    of = RankingNCE(data_noise=0.4, noise_across=0.1, noise_unit="spread")
    moved = of.noisy(pairs, of.begin(pairs, generator=g), g).actions - actions
    unit = float(actions.var(dim=0, correction=0).mean().sqrt())
    along = actions / actions.norm(dim=1, keepdim=True)
    across = torch.stack([-along[:, 1], along[:, 0]], dim=1)
    for direction, width in ((along, 0.4), (across, 0.1)):
        part = (moved * direction).sum(dim=1) / unit
        assert abs(float(part.std()) - width) < 5.5 * width / math.sqrt(2 * n)
        assert abs(float(part.mean())) < 5.5 * width / math.sqrt(n)
