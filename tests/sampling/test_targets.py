"""SGLD.chain on targets that are skewed, bent or have many modes, and the exact grid on them.

Perfect samples and moments are known (ORACLES: Rosenbrock, ring, eight Gaussians; log-gamma).
"""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from support import Target, assert_mean, assert_variance, mala

from ebmlib import SGLD, Grid
from ebmlib.evaluation.exact import density

N = 6000


@dataclass(frozen=True)
class LogGamma(Target):
    """f(a) = k a - e^a, the logarithm of a gamma variable: skewed to the left."""

    k: float = 2.0


LOG_GAMMA = LogGamma(lambda a: (2.0 * a - a.exp()).sum(dim=-1))


def discretised_law(alpha: float, steps: int, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Density of a^K by quadrature of a' = a + (alpha^2 / 2)(k - e^a) + alpha xi, K times."""
    a = np.linspace(-13, 5, 1801)
    h = a[1] - a[0]
    mean = a + alpha**2 / 2 * (LOG_GAMMA.k - np.exp(a))
    kernel = stats.norm.pdf(a[:, None], mean[None, :], alpha) * h
    first = start + alpha**2 / 2 * (LOG_GAMMA.k - math.exp(start))
    p = stats.norm.pdf(a, first, alpha)
    for _ in range(steps - 1):
        p = kernel @ p
    assert abs(p.sum() * h - 1) < 1e-6, "the chain leaves the quadrature's range"
    return a, p * h


@pytest.mark.parametrize("steps", [1, 3, 40])
def test_chain_on_a_skewed_target_has_the_law_of_its_own_kernel(steps, generator):
    alpha, start = 0.5, 0.8
    a, p = discretised_law(alpha, steps, start)
    chain = SGLD(alpha, steps).chain(
        LOG_GAMMA, torch.full((60_000, 1), start, dtype=torch.float64), generator=generator()
    )
    ends = chain.actions[:, 0]
    mean = float(a @ p)
    assert_mean(ends, mean)
    for power in (2, 3):
        moment = float(((a - mean) ** power) @ p)
        assert_mean((ends - mean) ** power, moment, f"central moment {power}")
    cumulative = np.cumsum(p) - p / 2
    test = stats.kstest(ends.numpy(), lambda x: np.interp(x, a, cumulative))
    assert test.pvalue > 1e-7
    if steps == 40:  # long enough to be stationary: skewed as the target, and not yet its moments
        assert ((a - mean) ** 3) @ p < -0.3
        assert abs(mean - special.digamma(2.0)) > 10 * float(ends.std()) / math.sqrt(60_000)


def test_metropolis_adjusted_steps_have_the_moments_of_the_skewed_target(generator):
    start = torch.zeros(N, 1, dtype=torch.float64)
    ends = mala(LOG_GAMMA, start, 1.0, 60, generator())[:, 0]
    mean, variance = special.digamma(2.0), special.polygamma(1, 2.0)
    assert_mean(ends, float(mean))
    assert_variance(ends, float(variance))
    assert_mean((ends - mean) ** 3, float(special.polygamma(2, 2.0)), "third central moment")


P, Q, M = 2.0, 2.0, 0.5  # Rosenbrock
R0, S = 1.0, 0.12  # ring, and circle of eight Gaussians


def log_ring(a):
    return -((a.norm(dim=-1) - R0) ** 2) / (2 * S**2)


def log_rosenbrock(a):
    u, w = a.unbind(dim=-1)
    return -P * (u - M) ** 2 - Q * (w - u**2) ** 2


def centres(dtype=torch.float64):
    angle = torch.arange(8, dtype=dtype) * math.pi / 4
    return R0 * torch.stack([angle.cos(), angle.sin()], dim=1)


def log_eight(a):
    away = a[..., None, :] - centres(a.dtype)
    return (-away.square().sum(dim=-1) / (2 * S**2)).logsumexp(dim=-1) - math.log(8)


def normal(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def perfect_rosenbrock(n, generator):
    u = M + normal(generator, n) / math.sqrt(2 * P)
    return torch.stack([u, u**2 + normal(generator, n) / math.sqrt(2 * Q)], dim=1)


def perfect_ring(n, generator):
    """Radius from its density r exp(-(r - r0)^2 / 2 s^2) by its inverse cumulative sum."""
    r = torch.linspace(0, R0 + 9 * S, 40_001, dtype=torch.float64)
    cumulative = (r * (-((r - R0) ** 2) / (2 * S**2)).exp()).cumsum(0)
    uniform = torch.rand(2, n, generator=generator, dtype=torch.float64)
    radius = r[torch.searchsorted(cumulative, uniform[0] * cumulative[-1]).clamp(max=40_000)]
    angle = 2 * math.pi * uniform[1]
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)


def perfect_eight(n, generator):
    which = torch.randint(8, (n,), generator=generator)
    return centres()[which] + S * normal(generator, n, 2)


def assert_rosenbrock(a):
    u, w = a.unbind(dim=1)
    assert_mean(u, M)
    assert_variance(u, 1 / (2 * P))
    assert_mean(w, M**2 + 1 / (2 * P))
    assert_variance(w, 1 / (2 * Q) + 2 * M**2 / P + 1 / (2 * P**2))
    assert_variance(w - u**2, 1 / (2 * Q))


def ring_moment(power):
    """E r^power by quadrature of r exp(-(r - r0)^2 / 2 s^2)."""

    def weight(r, k):
        return r ** (1 + k) * math.exp(-((r - R0) ** 2) / (2 * S**2))

    top, bottom = (
        integrate.quad(weight, 0, R0 + 12 * S, (k,), points=[R0], epsabs=0, epsrel=1e-12)[0]
        for k in (power, 0)
    )
    return top / bottom


def assert_ring(a):
    radius = a.norm(dim=1)
    assert_mean(a, 0.0)
    assert_mean(radius**2, ring_moment(2))
    assert_mean(radius, ring_moment(1))
    assert_variance(radius, ring_moment(2) - ring_moment(1) ** 2)


def assert_eight(a):
    assert_mean(a, 0.0)
    assert_variance(a, S**2 + R0**2 / 2)
    assert_mean(a.prod(dim=1), 0.0, "covariance")
    nearest = torch.cdist(a, centres()).argmin(dim=1)
    away = (a - centres()[nearest]).square().sum(dim=1)
    assert_mean(away, 2 * S**2)
    assert_mean(torch.nn.functional.one_hot(nearest, 8).double(), 1 / 8, "share of a mode")


CASES = {
    "rosenbrock": (log_rosenbrock, perfect_rosenbrock, assert_rosenbrock, 0.05, 0.45),
    "ring": (log_ring, perfect_ring, assert_ring, 0.015, 0.15),
    "eight": (log_eight, perfect_eight, assert_eight, 0.015, 0.15),
}
cases = pytest.mark.parametrize("case", CASES)


@cases
def test_small_steps_leave_a_perfect_sample_as_it_is(case, generator):
    """At c = alpha^2 / 4 s^2 below 0.005 the discretisation is within a standard error."""
    value, perfect, check, alpha, _ = CASES[case]
    start = perfect(N, generator("start"))
    check(start)
    check(SGLD(alpha, 300).chain(Target(value), start, generator=generator("chain")).actions)


@cases
def test_metropolis_adjusted_steps_leave_a_perfect_sample_as_it_is(case, generator):
    value, perfect, check, _, alpha = CASES[case]
    start = perfect(N, generator("start"))
    check(mala(Target(value), start, alpha, 40, generator("mala")))


@cases
def test_chains_find_the_target_from_elsewhere(case, generator):
    """Squeezed or blown-up starts come back to the moments that mix (all but the shares)."""
    value, perfect, check, _, alpha = CASES[case]
    start = perfect(2000, generator("start"))
    if case == "rosenbrock":
        start = start * 0.3
    else:  # along the radius only: modes and angles hardly mix
        start = start * (R0 + 4 * S) / start.norm(dim=1, keepdim=True)
    check(mala(Target(value), start, alpha, 200, generator("mala")))


def test_ring_constant_on_the_grid():
    grid = Grid(radius=R0 + 9 * S, points=200)
    assert grid.spacing < S / 2
    found = density(log_ring, grid, torch.empty(0, dtype=torch.float64))
    tail = R0 * S * math.sqrt(2 * math.pi) * stats.norm.cdf(R0 / S)
    expected = 2 * math.pi * (S**2 * math.exp(-(R0**2) / (2 * S**2)) + tail)
    assert float(found.log_z) == pytest.approx(math.log(expected), abs=1e-7)
    radius = grid.actions(found.log_p).norm(dim=1)
    second = float(found.mass[0] @ radius**2)
    assert second == pytest.approx(ring_moment(2), rel=1e-7)
    assert second == pytest.approx(R0**2 + 3 * S**2, rel=1e-6)


def test_rosenbrock_and_eight_gaussians_on_the_grid():
    grid = Grid(radius=14.0, points=700)
    like = torch.empty(0, dtype=torch.float64)
    found = density(log_rosenbrock, grid, like)
    assert float(found.log_z) == pytest.approx(math.log(math.pi / math.sqrt(P * Q)), abs=1e-9)
    assert found.mean()[0].tolist() == pytest.approx([M, M**2 + 1 / (2 * P)], abs=1e-6)
    w = float(found.covariance()[0, 1, 1])
    assert w == pytest.approx(1 / (2 * Q) + 2 * M**2 / P + 1 / (2 * P**2), rel=1e-4)
    eight = density(log_eight, Grid(radius=R0 + 9 * S, points=120), like)
    assert float(eight.log_z) == pytest.approx(math.log(2 * math.pi * S**2), abs=1e-9)
    torch.testing.assert_close(eight.covariance()[0], (S**2 + R0**2 / 2) * torch.eye(2).double())
