"""Closed forms of SGLD on a Gaussian target: what a correct sampler must do.

Target: independent components of standard deviation s, f(a) = -|a|^2 / 2 s^2. With the thesis's
update a' = a + (alpha^2 / 2) grad f(a) + alpha xi every component is an autoregression of order
one with coefficient rho = 1 - alpha^2 / (2 s^2); everything below follows from that. For a general
Gaussian apply the formulas along each eigen-direction.
"""

from __future__ import annotations

import math

from ebmlib import checks


def _coefficient(alpha: float, s: float) -> float:
    return 1 - checks.positive("alpha", alpha) ** 2 / (2 * checks.positive("s", s) ** 2)


def largest_stable_alpha(s: float) -> float:
    """The chain is stable if and only if alpha < 2 s (|rho| < 1)."""
    return 2 * checks.positive("s", s)


def mean_after(steps: int, alpha: float, s: float, mean: float) -> float:
    """m_K = rho^K m_0."""
    return _coefficient(alpha, s) ** steps * mean


def stationary_variance(alpha: float, s: float) -> float:
    """v_inf = s^2 / (1 - c), c = alpha^2 / (4 s^2); infinite at and beyond the stable alpha."""
    c = alpha**2 / (4 * s**2)
    return s**2 / (1 - c) if c < 1 else math.inf


def variance_after(steps: int, alpha: float, s: float, variance: float) -> float:
    """v_K = v_inf + (v_0 - v_inf) rho^(2 K), for alpha < 2 s."""
    limit = stationary_variance(alpha, s)
    return limit + (variance - limit) * _coefficient(alpha, s) ** (2 * steps)


def variance_with_drift(drift: float, noise: float, s: float) -> float:
    """Stationary variance of a' = a + drift grad f + noise xi: n^2 s^4 / (l (2 s^2 - l))."""
    return noise**2 * s**4 / (drift * (2 * s**2 - drift))


def integrated_autocorrelation_time(alpha: float, s: float) -> float:
    """(1 + rho) / (1 - rho) = 4 s^2 / alpha^2 - 1, in steps."""
    return 4 * s**2 / alpha**2 - 1


def noise_floor(alpha: float, d: int) -> float:
    """R of a flat energy: alpha sqrt(2) Gamma((d+1)/2) / Gamma(d/2); alpha sqrt(pi/2) in 2-D."""
    checks.count("d", d)
    return alpha * math.sqrt(2) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))


def stationary_mean_step(alpha: float, s: float, d: int) -> float:
    """R of the stationary chain: the noise floor over sqrt(1 - c), c = alpha^2 / (4 s^2)."""
    c = alpha**2 / (4 * s**2)
    return noise_floor(alpha, d) / math.sqrt(1 - c) if c < 1 else math.inf
