"""Numbers over seeds: interquartile mean and bootstrap interval.

The convention of Agarwal et al., "Deep reinforcement learning at the edge of the statistical
precipice" (2021): a few seeds are summarised by the mean of their middle half, which one failed
run does not move much, with a percentile bootstrap interval over the seeds.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ebmlib.errors import InputError
from thesis import evidence
from thesis.evidence import Evidence

CONFIDENCE = 0.95
_RESAMPLES = 2000


class Estimate(NamedTuple):
    """An interquartile mean over n seeds and its 95 % bootstrap interval [low, high].

    ``values`` are the numbers of the seeds that it summarises. What is asked of it (:meth:`above`,
    say) is open where the interval holds the bound.
    """

    value: float
    low: float
    high: float
    n: int
    values: tuple[float, ...] = ()

    def above(self, bound: float) -> Evidence:
        """Its interval lies above the bound."""
        return evidence.above(self.values, self.low, self.high, bound)

    def at_least(self, bound: float) -> Evidence:
        """Its interval lies at the bound or above."""
        return evidence.above(self.values, self.low, self.high, bound, equal=True)

    def below(self, bound: float) -> Evidence:
        """Its interval lies below the bound."""
        return ~self.at_least(bound)

    def at_most(self, bound: float) -> Evidence:
        """Its interval lies at the bound or below."""
        return ~self.above(bound)

    def within(self, low: float, high: float) -> Evidence:
        """Its interval lies within two bounds: two one-sided tests of equivalence."""
        return self.at_least(low) & self.at_most(high)

    def times(self, factor: float) -> Estimate:
        """The same in another unit; the factor is positive."""
        value, low, high = (factor * number for number in self[:3])
        return Estimate(value, low, high, self.n, tuple(factor * each for each in self.values))

    def text(self, digits: int = 3) -> str:
        """``0.0134 [0.0131, 0.0138]``, to significant digits; no interval from one seed."""
        number = short(self.value, digits)
        if self.n < 2:
            return number
        return f"{number} [{short(self.low, digits)}, {short(self.high, digits)}]"


def short(value: float, digits: int = 3) -> str:
    """To significant digits; from 0.0001 up to a million written out, 1090 and not 1.09e+03."""
    rounded = f"{value:.{digits}g}"
    if "e+0" in rounded and abs(value) < 1e6:
        return f"{float(rounded):.0f}"
    if "e" in rounded:
        front, power = rounded.split("e")
        raised = str(int(power)).translate(_RAISED)
        return f"10{raised}" if front == "1" else f"{front}·10{raised}"
    return rounded


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def interquartile_mean(values: ArrayLike, axis: int = -1) -> np.ndarray:
    """Mean of the middle half: a quarter of the values, rounded down, is cut from each end."""
    ordered = np.moveaxis(np.asarray(values, dtype=float), axis, -1)
    n = ordered.shape[-1]
    cut = n // 4
    middle = np.partition(ordered, (cut, n - cut - 1), axis=-1)[..., cut : n - cut]
    return middle.mean(axis=-1)


def estimate(values: ArrayLike) -> Estimate:
    """Interquartile mean over seeds with its interval; the resampling has a fixed seed.

    Raises:
        InputError: no value, or one that is not finite (a study says itself what a failed run
            counts as).
    """
    numbers = np.asarray(values, dtype=float).ravel()
    if not len(numbers) or not np.isfinite(numbers).all():
        raise InputError(f"An estimate over seeds needs finite numbers, got {numbers.tolist()}.")
    return _estimate(tuple(numbers.tolist()))


@lru_cache(maxsize=1 << 14)
def _estimate(values: tuple[float, ...]) -> Estimate:
    """Judges ask for the same numbers again and again."""
    numbers = np.array(values)
    centre, n = float(interquartile_mean(numbers)), len(numbers)
    if n == 1 or np.ptp(numbers) == 0:
        return Estimate(centre, centre, centre, n, values)
    resampled = np.sort(interquartile_mean(numbers[_resampling(n)]))
    tail = (1 - CONFIDENCE) / 2
    low, high = _quantile(resampled, tail), _quantile(resampled, 1 - tail)
    return Estimate(centre, low, high, n, values)


@cache
def _resampling(n: int) -> np.ndarray:
    """Which of n values each resample has, (resamples, n): the same for all of n values."""
    return np.random.default_rng(0).integers(0, n, (_RESAMPLES, n))


def _quantile(ordered: np.ndarray, p: float) -> float:
    """The p-quantile of ascending values, linear between neighbours.

    Written out, because libraries differ in the last bits and committed verdicts should not.
    """
    place = p * len(ordered) + (1 - p)  # counted from 1
    below, share = int(place) - 1, place % 1
    return float((1 - share) * ordered[below] + share * ordered[below + 1])


def epochs_until(epochs: ArrayLike, values: ArrayLike, threshold: float, *, hold: int = 1) -> float:
    """Epochs until positive ``values`` fall to ``threshold``; infinite if they never do.

    Between the measurements on either side the logarithm of the values is taken as linear.

    Args:
        epochs: (n,) when it was measured, rising.
        values: (n,) what was measured.
        threshold: what they must not exceed.
        hold: for how many measurements in a row; the end of the training counts as kept.
    """
    epochs, values = np.asarray(epochs, dtype=float), np.asarray(values, dtype=float)
    below = values <= threshold
    settled = below.copy()
    for later in range(1, hold):
        settled[:-later] &= below[later:]
    if not settled.any():
        return float("inf")
    k = int(settled.argmax())
    if k == 0 or below[k - 1]:
        return float(epochs[k])
    before, after = np.log(values[k - 1 : k + 1])
    share = (before - np.log(threshold)) / (before - after)
    return float(epochs[k - 1] + share * (epochs[k] - epochs[k - 1]))
