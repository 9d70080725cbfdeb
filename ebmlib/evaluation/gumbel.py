"""Closed forms of a skewed energy, to check inference and training against.

Energy and density of one action a, for k > 0 (``shape``) and temperature T,

    E(a) = exp(a) - k a,        p(a) = exp(-E(a) / T) / Z(T).

With u = exp(a) / T the integral is a Gamma function, so that

    Z(T) = T^(k/T) Gamma(k/T),   mode = log k,
    mean = log T + psi(k/T),     variance = psi'(k/T).

For k = T = 1 this is the Gumbel density (of minus a standard Gumbel variable): mode 0, mean
-0.577, variance pi^2 / 6. A symmetric target would hide a sign error, and all estimators of section
2.1 would agree.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from ebmlib import checks

Array = NDArray[np.float64]


def energy(a: ArrayLike, shape: float = 1.0) -> Array:
    """E(a) = exp(a) - k a."""
    actions = np.asarray(a, dtype=np.float64)
    return np.asarray(np.exp(actions) - checks.positive("shape", shape) * actions)


def partition(shape: float = 1.0, temperature: float = 1.0) -> float:
    """Z(T) = T^(k/T) Gamma(k/T), Eq 2.1's denominator."""
    ratio = checks.positive("shape", shape) / checks.positive("temperature", temperature)
    return float(temperature**ratio * special.gamma(ratio))


def density(a: ArrayLike, shape: float = 1.0, temperature: float = 1.0) -> Array:
    """p(a) = exp(-E(a) / T) / Z(T)."""
    unnormalised = np.exp(-energy(a, shape) / temperature)
    return np.asarray(unnormalised / partition(shape, temperature))


def mode(shape: float = 1.0) -> float:
    """The ML estimate, log k, at every temperature."""
    return math.log(checks.positive("shape", shape))


def mean(shape: float = 1.0, temperature: float = 1.0) -> float:
    """The EXP estimate, log T + psi(k/T)."""
    return math.log(temperature) + float(special.psi(shape / temperature))


def variance(shape: float = 1.0, temperature: float = 1.0) -> float:
    """psi'(k/T)."""
    return float(special.polygamma(1, shape / temperature))


def map_estimate(prior_mean: float, prior_std: float, shape: float = 1.0) -> float:
    """argmax_a p(a) N(a; m, s^2) at T = 1: c - W(s^2 exp c), c = m + k s^2, Lambert's W."""
    square = checks.positive("prior_std", prior_std) ** 2
    c = prior_mean + shape * square
    return c - float(special.lambertw(square * math.exp(c)).real)
