"""As test_population.py, for objectives that train parts beside the model or run chains."""

import math

import pytest
import torch
from objective_support import (
    MEAN,
    OFF,
    Bump,
    S,
    assert_gradient,
    begun,
    hermite,
    normal_pairs,
    population_gradient,
    quadrature,
    sampled,
    within_errors,
)
from torch import nn
from torch.distributions import Normal

from ebmlib import (
    SGLD,
    VERA,
    DiffusionRecovery,
    FDivergence,
    ImprovedContrastiveDivergence,
    KernelSteinDiscrepancy,
    LearnedImportanceLikelihood,
    LearnedRankingNCE,
    LearnedSteinDiscrepancy,
    SteinGenerator,
)
from ebmlib.objectives import mixture
from ebmlib.objectives.base import MODEL
from ebmlib.objectives.f_divergence import DIVERGENCES
from ebmlib.objectives.kernel_stein import stein_kernel
from ebmlib.objectives.levels import LEVELS
from ebmlib.objectives.scales import in_action_units, scaled_actions, scales_of

ORIGIN = torch.zeros(1, 1, dtype=torch.float64)


def made(objective, generator, d=1):
    return objective.parts(1, d, generator=generator("parts")).double(), begun(
        objective, generator, d
    )


def f_of(m, v):
    return lambda a: -((a - m) ** 2) / (2 * v)


# ---- learned proposals


def test_the_mixture_is_normalised_and_its_draws_are_its_own(generator):
    parts, carry = made(LearnedRankingNCE(components=3, proposal_dim=8), generator)
    with torch.no_grad():
        q = parts["proposal"](carry, ORIGIN)
        q = q._replace(means=q.means * 5, log_widths=q.log_widths - 0.7)

    def p(a):
        return mixture.log_prob(carry, q, a[None, :, None])[0].exp()

    assert float(quadrature(p)) == pytest.approx(1.0, abs=1e-6)
    mean = float(quadrature(lambda a: a * p(a)))
    variance = float(quadrature(lambda a: (a - mean) ** 2 * p(a)))
    draws = mixture.sample(carry, q, 40_000, generator=generator())[0, :, 0]
    assert abs(float(draws.mean()) - mean) < 5.5 * (variance / 40_000) ** 0.5
    fourth = float(quadrature(lambda a: (a - mean) ** 4 * p(a)))
    error = ((fourth - variance**2) / 40_000) ** 0.5
    assert abs(float((draws - mean).square().mean()) - variance) < 5.5 * error


def test_the_mixture_depends_on_the_state_and_is_of_every_dimension(generator):
    g = generator("x")
    x = torch.randn(2, 3, generator=g).double() * 4
    pairs = normal_pairs(50, MEAN, S, generator, 2)._replace(states=x[[0, 1]].repeat(25, 1))
    carry = scales_of(pairs)
    objective = LearnedRankingNCE(components=2, proposal_dim=8)
    q = objective.parts(3, 2, generator=generator("parts")).double()["proposal"](carry, x)
    axis = torch.linspace(-6, 7, 260).double()
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), dim=-1).reshape(1, -1, 2)
    p = mixture.log_prob(carry, q, grid.expand(2, -1, -1)).exp()
    cell = float(axis[1] - axis[0]) ** 2
    torch.testing.assert_close(p.sum(dim=1) * cell, torch.ones(2).double(), atol=1e-3, rtol=0)
    assert 0.5 * float((p[0] - p[1]).detach().abs().sum()) * cell > 0.02
    # each dimension has a width of its own
    one = mixture.log_prob(carry, q, torch.tensor([[[1.0, 0.0]]]).double().expand(2, 1, 2))
    other = mixture.log_prob(carry, q, torch.tensor([[[0.0, 1.0]]]).double().expand(2, 1, 2))
    assert not torch.allclose(one, other, atol=1e-3)


def proposal_table(objective, generator):
    """Parts, carry, a grid of actions, log q there and the mass of each cell."""
    parts, carry = made(objective, generator)
    a = torch.linspace(-9, 9, 901).double()
    log_q = mixture.log_prob(carry, parts["proposal"](carry, ORIGIN), a[None, :, None])[0]
    return parts, carry, a, log_q, log_q.detach().exp() * (a[1] - a[0])


def test_likelihood_with_a_learned_proposal_has_the_gradient_of_two_draws(generator):
    objective = LearnedImportanceLikelihood(negatives=2, components=2, proposal_dim=4)
    parts, carry, a, log_q, mass = proposal_table(objective, generator)
    pairs_mass = mass[:, None] * mass[None]

    def loss(m, v):
        w = f_of(m, v)(a) - log_q.detach()
        log_z = torch.logaddexp(w[:, None], w[None]) - math.log(2)
        return (S**2 + (MEAN - m) ** 2) / (2 * v) + (pairs_mass * log_z).sum()

    exact, value = population_gradient(loss, *OFF)
    found, losses = sampled(objective, generator, *OFF, carry=carry, parts=parts, n=3000)
    assert_gradient(found, exact)
    assert within_errors(losses, value)


@pytest.mark.parametrize("kind", [LearnedImportanceLikelihood, LearnedRankingNCE])
def test_the_proposal_follows_the_model_by_the_weights_of_its_draws(kind, generator):
    """-2 E[ w_1 / (w_1 + w_2) grad log q(a_1) ] over two draws, and none of the data."""
    objective = kind(negatives=2, components=2, proposal_dim=4)
    parts, carry, a, log_q, mass = proposal_table(objective, generator)
    w = (f_of(*OFF)(a) - log_q).detach()
    share = (w[:, None] - torch.logaddexp(w[:, None], w[None])).exp()
    bias = parts["proposal"].output.bias
    population = -2 * ((mass[:, None] * mass[None] * share).sum(dim=1) * log_q).sum()
    exact = torch.autograd.grad(population, bias)[0]
    of = ("proposal", [bias])
    found, _ = sampled(objective, generator, *OFF, carry=carry, parts=parts, n=2000, of=of)
    assert_gradient(found, exact)


def test_ranking_with_a_learned_proposal_is_right_whatever_the_proposal(generator):
    objective = LearnedRankingNCE(negatives=1, components=2, proposal_dim=4)
    parts, carry, a, log_q, mass = proposal_table(objective, generator)
    p_mass = Normal(MEAN, S).log_prob(a).exp() * (a[1] - a[0])

    def loss(m, v):
        g = f_of(m, v)(a) - log_q.detach()
        return (p_mass[:, None] * mass[None] * nn.functional.softplus(g[None] - g[:, None])).sum()

    exact, value = population_gradient(loss, *OFF)
    found, losses = sampled(objective, generator, *OFF, carry=carry, parts=parts, n=3000)
    assert_gradient(found, exact)
    assert within_errors(losses, value)
    at_truth, _ = sampled(objective, generator, MEAN, S**2, carry=carry, parts=parts, n=3000)
    assert within_errors(at_truth, 0.0)


# ---- Stein


def test_the_stein_kernel_is_the_operator_applied_to_both_arguments(generator):
    g = generator()
    a, s = torch.randn(2, 5, 3, generator=g).double()
    for i in range(5):
        for j in range(5):
            one, other = a[i].clone().requires_grad_(), a[j].clone().requires_grad_()
            k = (-(one - other).square().sum() / (2 * 0.7**2)).exp()
            by_one, by_other = torch.autograd.grad(k, [one, other], create_graph=True)
            trace = sum(
                torch.autograd.grad(by_one[n], other, retain_graph=True)[0][n] for n in range(3)
            )
            h = s[i] @ s[j] * k + s[i] @ by_other + s[j] @ by_one + trace
            torch.testing.assert_close(stein_kernel(s, a, 0.7)[i, j], h.detach())


def test_kernel_stein_has_the_gradient_of_its_own_loss_and_none_at_the_truth(generator):
    objective = KernelSteinDiscrepancy(action_width=0.8)
    carry = begun(objective, generator)
    (x, y), weights = hermite(60, 2)
    scale = float(carry["action_scale"])
    a, b = MEAN + S * x, MEAN + S * y
    h = 0.8 * scale
    k = (-((a - b) ** 2) / (2 * h**2)).exp()

    def loss(m, v):
        s_a, s_b, r = -(a - m) / v, -(b - m) / v, a - b
        u = s_a * s_b + (s_a - s_b) * r / h**2 + 1 / h**2 - r**2 / h**4
        return scale**2 * (weights * k * u).sum()

    exact, value = population_gradient(loss, *OFF)
    found, losses = sampled(objective, generator, *OFF, carry=carry, n=20, repeats=1500)
    assert_gradient(found, exact)
    assert within_errors(losses, value)
    at_truth, _ = sampled(objective, generator, MEAN, S**2, carry=carry, n=20, repeats=1500)
    assert within_errors(at_truth, 0.0)


def test_kernel_stein_compares_pairs_at_states_that_are_near(generator):
    """Two groups of states a long way from each other: the loss is that of the groups alone."""
    objective = KernelSteinDiscrepancy(state_width=0.1)
    near = normal_pairs(20, MEAN, S, generator)
    x = torch.cat([torch.full((10, 1), -5.0), torch.full((10, 1), 5.0)]).double()
    both = near._replace(states=x)
    carry = objective.begin(both, generator=generator())

    def h(batch):
        n = len(batch.actions)
        outcome = objective(Bump(*OFF), nn.ModuleDict(), batch, carry, generator=generator())
        return outcome.losses[MODEL] * n * (n - 1)

    halves = [type(both)(*(c[i : i + 10] for c in both)) for i in (0, 10)]
    torch.testing.assert_close(h(both), h(halves[0]) + h(halves[1]))
    assert not torch.allclose(h(both), h(both._replace(states=near.states)))


def test_learned_stein_has_the_gradients_of_both_its_losses(generator):
    objective = LearnedSteinDiscrepancy(critic_steps=1, penalty=0.7, critic_dim=5)
    parts, carry = made(objective, generator)
    scale = float(carry["action_scale"])
    (x,), weights = hermite(90, 1)
    a = MEAN + S * x
    scaled = scaled_actions(carry, a[:, None]).requires_grad_()
    c = parts["critic"](torch.zeros(len(a), 1).double(), scaled)[:, 0]
    slope = torch.autograd.grad(c.sum(), scaled, create_graph=True)[0][:, 0]

    def discrepancy(m, v, critic=None):
        return (weights * (-scale * (a - m) / v * c + slope)).sum()

    exact, value = population_gradient(lambda m, v: discrepancy(m, v), *OFF)
    found, values = sampled(objective, generator, *OFF, carry=carry, parts=parts)
    assert_gradient(found, exact)
    assert within_errors(values, value)
    bias = [parts["critic"].output.bias, parts["critic"].output.weight]
    loss = -discrepancy(*OFF) + 0.7 * (weights * c.square()).sum()
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(loss, bias)])
    found, _ = sampled(objective, generator, *OFF, carry=carry, parts=parts, of=("critic", bias))
    assert_gradient(found, exact)


def test_learned_stein_is_zero_at_the_truth_for_any_critic(generator):
    objective = LearnedSteinDiscrepancy(critic_steps=1, critic_dim=5)
    parts, carry = made(objective, generator, d=2)
    _, values = sampled(objective, generator, MEAN, S**2, carry=carry, parts=parts, d=2)
    assert within_errors(values, 0.0)


@pytest.mark.parametrize("kind", [LearnedSteinDiscrepancy, FDivergence])
def test_between_the_critic_s_turns_the_model_stays(kind, generator):
    objective = kind(critic_steps=3, critic_dim=5)
    parts, carry = made(objective, generator)
    model, batch, moved = Bump(*OFF), normal_pairs(8, MEAN, S, generator), []
    for _ in range(7):
        outcome = objective(model, parts, batch, carry, generator=generator())
        carry = outcome.carry
        of_model = torch.autograd.grad(
            outcome.losses[MODEL], [model.m], allow_unused=True, retain_graph=True
        )
        moved.append(of_model[0] is not None)
        assert torch.autograd.grad(outcome.losses["critic"], parts["critic"].first.bias)[0].any()
    assert moved == [False, False, True, False, False, True, False]


# ---- f-divergences


@pytest.mark.parametrize("name", DIVERGENCES)
def test_at_the_best_critic_the_bound_is_the_divergence(name):
    p, q = Normal(0.4, 0.8), Normal(0.7, 1.05)

    def h(a):
        return p.log_prob(a) - q.log_prob(a)

    phi = {
        "kl": lambda r: r * r.log(),
        "reverse-kl": lambda r: -r.log(),
        "jensen-shannon": lambda r: r * r.log() - (1 + r) * ((1 + r) / 2).log(),
        "squared-hellinger": lambda r: (r.sqrt() - 1) ** 2,
    }[name]
    a = torch.linspace(-5, 6, 40_001).double()
    divergence = torch.trapezoid(q.log_prob(a).exp() * phi(h(a).exp()), a)

    def bound(h_of):
        data = p.log_prob(a).exp() * DIVERGENCES[name].on_data(h_of)
        return torch.trapezoid(data - q.log_prob(a).exp() * DIVERGENCES[name].on_model(h_of), a)

    assert float(divergence) > 0.01
    torch.testing.assert_close(bound(h(a)), divergence, rtol=1e-4, atol=1e-6)
    for other in (h(a) + 0.2, h(a) * 0.8, h(a) + 0.2 * a):
        assert bound(other) < divergence


@pytest.mark.parametrize("name", DIVERGENCES)
def test_f_divergence_has_the_gradients_of_its_bound(name, generator):
    objective = FDivergence(divergence=name, negatives=400, critic_dim=5, critic_steps=1)
    parts, carry = made(objective, generator)
    with torch.no_grad():
        parts["critic"].output.weight.mul_(4.0)
    a = torch.linspace(-7, 8, 3001).double()
    h = parts["critic"](torch.zeros(3001, 1).double(), scaled_actions(carry, a[:, None]))[:, 0]
    p = Normal(MEAN, S).log_prob(a).exp()
    phi = DIVERGENCES[name]

    def bound(m, v):
        model = f_of(m, v)(a).softmax(dim=0)
        return torch.trapezoid(p * phi.on_data(h), a) - (model * phi.on_model(h)).sum()

    exact, value = population_gradient(bound, *OFF)
    found, values = sampled(objective, generator, *OFF, carry=carry, parts=parts, n=100)
    error = found.std(dim=0) / len(found) ** 0.5
    assert ((found.mean(dim=0) - exact).abs() < 5.5 * error + 0.02 * exact.norm()).all()
    assert exact.norm() > 10 * error.norm(), "a test that could not fail"
    assert abs(float(values.mean()) - value) < 5.5 * float(values.std()) / 60**0.5 + 0.002
    bias = [parts["critic"].output.weight]
    m, v = (torch.tensor(value).double() for value in OFF)
    exact = torch.autograd.grad(-bound(m, v), bias)[0][0]
    found, _ = sampled(
        objective, generator, *OFF, carry=carry, parts=parts, n=100, of=("critic", bias)
    )
    error = found.std(dim=0) / len(found) ** 0.5
    assert ((found.mean(dim=0) - exact).abs() < 5.5 * error + 0.02 * exact.norm()).all()


# ---- generators


def test_vera_s_three_losses_have_their_closed_forms_where_the_generator_is_linear(generator):
    objective = VERA(latent_dim=2, generator_dim=4, posterior_draws=400, entropy=0.8)
    parts, carry = made(objective, generator)
    centre, scale = float(carry["action_mean"]), float(carry["action_scale"])
    q, posterior = parts["generator"], parts["posterior"]
    w, log_sigma = q.mean.linear.weight, q.log_sigma
    with torch.no_grad():
        w.copy_(torch.tensor([[0.9, -0.5]]))
        log_sigma.fill_(math.log(0.7))
        posterior.log_eta.copy_(torch.tensor([0.1, 0.3]))

    def spread():
        return scale**2 * (w.square().sum() + (2 * log_sigma).exp())

    def contrast(m, v):
        data = (S**2 + (MEAN - m) ** 2) / (2 * v)
        return data - (spread().detach() + (centre - m) ** 2) / (2 * v)

    options = {"carry": carry, "parts": parts, "n": 200}
    exact, value = population_gradient(contrast, *OFF)
    found, losses = sampled(objective, generator, *OFF, **options)
    assert_gradient(found, exact)
    assert within_errors(losses, value)

    m, v = OFF
    divergence = (spread() + (centre - m) ** 2) / (2 * v) - 0.8 * 0.5 * spread().log()
    of = [w, log_sigma]
    exact = torch.cat([g.flatten() for g in torch.autograd.grad(divergence, of)])
    found, _ = sampled(objective, generator, *OFF, of=("generator", of), **options)
    error = found.std(dim=0) / len(found) ** 0.5
    assert ((found.mean(dim=0) - exact).abs() < 5.5 * error + 0.01 * exact.norm()).all()
    assert (exact.abs() > 10 * error).any()

    eta = posterior.log_eta.detach().exp()
    exact = eta**2 * (1 + w.detach()[0].square() / 0.7**2) - 1
    of = ("posterior", [posterior.log_eta])
    found, _ = sampled(objective, generator, *OFF, of=of, **options)
    assert_gradient(found, exact)


def test_the_stein_generator_follows_its_direction(generator):
    objective = SteinGenerator(particles=3, latent_dim=1, generator_dim=4, kernel_width=0.6)
    parts, carry = made(objective, generator)
    w = parts["generator"].linear.weight
    with torch.no_grad():
        w.fill_(1.4)
    (z, other), weights = hermite(40, 2)
    m, v = OFF
    scale, h = float(carry["action_scale"]), 0.6

    def score(a):
        return -scale * (in_action_units(carry, a[:, None])[:, 0] - m) / v

    a, b = 1.4 * z, 1.4 * other
    k = (-((a - b) ** 2) / (2 * h**2)).exp()
    towards = score(a) / 3 + 2 / 3 * k * (score(b) + (a - b) / h**2)
    exact = -(weights * towards * z).sum()[None]
    of = ("generator", [w])
    found, _ = sampled(objective, generator, m, v, carry=carry, parts=parts, of=of)
    assert_gradient(found, exact)

    spread, centre = (scale * 1.4) ** 2, float(carry["action_mean"])

    def contrast(m, v):
        data = (S**2 + (MEAN - m) ** 2) / (2 * v)
        return data - (spread + (centre - m) ** 2) / (2 * v)

    exact, value = population_gradient(contrast, m, v)
    found, losses = sampled(objective, generator, m, v, carry=carry, parts=parts)
    assert_gradient(found, exact)
    assert within_errors(losses, value)


# ---- chains


def test_diffusion_recovery_has_the_gradient_of_the_law_of_its_chains(generator):
    """The ends of K steps on a Gaussian conditional have a closed form, its step size included."""
    objective = DiffusionRecovery(
        smallest=0.5, largest=1.5, levels=2, recovery_steps=6, recovery_alpha=0.8, level_dim=4
    )
    parts, carry = made(objective, generator)
    with torch.no_grad():
        parts[LEVELS].network.fcn[-1].weight.zero_()  # every level's density is the model's
    m0, v0 = OFF
    scale = float(carry["action_scale"])

    def level(m, v, sigma, gathered):
        clean = S**2 + gathered**2
        rate = 1 + sigma**2 / v0  # of the conditional, in units of sigma
        rho, c = 1 - 0.8**2 * rate / 2, 0.8**2 * rate / 4
        kept = 1 - sigma**2 / (v0 * rate) * (1 - rho**6)
        variance = (1 - rho**12) / (rate * (1 - c))
        mean = m0 + (MEAN - m0) * kept
        ends = kept**2 * (clean + sigma**2) + sigma**2 * variance
        return (clean + (MEAN - m) ** 2 - ends - (mean - m) ** 2) / (2 * v)

    def loss(m, v):
        low, high = 0.5 * scale, 1.5 * scale
        return (level(m, v, low, 0.0) + level(m, v, high, low) / 3) / 2  # weights 1 and 1 / 3

    exact, value = population_gradient(loss, m0, v0)
    found, losses = sampled(objective, generator, m0, v0, carry=carry, parts=parts, n=1500)
    assert_gradient(found, exact)
    assert within_errors(losses, value)


def test_the_levels_of_diffusion_recovery_gather_their_noise(generator):
    step, gathered = DiffusionRecovery(smallest=0.05, levels=12).sigmas(torch.zeros(1).double())
    assert len(step) == 12 and gathered[0] == 0
    assert float(step[0]) == pytest.approx(0.05) and float(step[-1]) == pytest.approx(2.0)
    torch.testing.assert_close(gathered[1:], step[:-1].square().cumsum(dim=0).sqrt())


def test_improved_divergence_adds_the_gradient_through_the_last_step(generator):
    """L_CD's own gradient, and that of KL(q || p) by the law of the chains' ends."""
    drift, first, last = 0.4, 0.5, 0.05
    objective = ImprovedContrastiveDivergence(
        SGLD(first, 2, drift=drift, final_alpha=last),
        sgld_dim=800,
        chains_per_state=100,
        kl_weight=1.7,
    )
    m0, v0 = OFF
    rho0 = 1 - drift / v0
    before = (m0 * (1 - rho0), rho0**2 * first**2 + first**2)  # after the first of two steps

    def law(m, v):
        """Mean and variance of the ends as functions of the last step alone."""
        rho = 1 - drift / v
        return rho * before[0] + (1 - rho) * m, rho**2 * before[1] + last**2

    mean0, variance0 = (float(x) for x in law(torch.tensor(m0), torch.tensor(v0)))

    def loss(m, v):
        mean, variance = law(m, v)
        kl = (variance + (mean - m0) ** 2) / (2 * v0) - 0.5 * variance.log()
        data = (S**2 + (MEAN - m) ** 2) / (2 * v)
        return data - (variance0 + (mean0 - m) ** 2) / (2 * v) + 1.7 * kl

    exact, _ = population_gradient(loss, m0, v0)
    found, _ = sampled(objective, generator, m0, v0, n=8, repeats=500)
    error = found.std(dim=0) / len(found) ** 0.5
    assert ((found.mean(dim=0) - exact).abs() < 5.5 * error + 0.01 * exact.norm()).all()
    assert exact.norm() > 8 * error.norm(), "a test that could not fail"


def test_improved_divergence_keeps_to_chains_of_one_state(generator):
    """Two states far apart in their chains: neighbours are looked for at each by itself."""
    objective = ImprovedContrastiveDivergence(SGLD(0.1, 2), sgld_dim=16, chains_per_state=8)
    model = Bump(*OFF)
    g = generator()
    own = torch.randn(8, 2, 1, generator=g).double()
    ends = own.reshape(16, 1)  # row i is a chain of state i % 2
    x = torch.zeros(16, 1).double()
    together = objective.divergence(model, x, ends, 2)
    each = [objective.divergence(model, x[:8], ends[i::2], 1) for i in (0, 1)]
    torch.testing.assert_close(together, (each[0] + each[1]) / 2)
