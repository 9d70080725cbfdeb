"""What a training's history says: loss, R, gradient norms (sections 4.3.2 and 4.3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import curve_fit
from scipy.stats import spearmanr

from ebmlib.evaluation import diagnostics
from thesis.study import Cell, Study

POINTS = 100
"""Curves are kept as means over so many equal parts of the training."""

BLOCK, SHORT_BLOCK = 10, 3
"""Loss and gradient norms are averaged over so many epochs before they are ranked: over the whole
training, and over its first phase, which is short."""


def parts(column: Sequence[float], points: int = POINTS) -> list[float]:
    """A history column as at most ``points`` means over consecutive parts."""
    values = np.asarray(column, dtype=float)
    return [float(part.mean()) for part in np.array_split(values, min(points, len(values)))]


class FirstOrderLag(NamedTuple):
    """A first-order lag (PT1) fitted to a curve over epochs.

    Attributes:
        start: value at epoch 0.
        rise: how far it goes, end value minus ``start``.
        time_constant: tau, in epochs; after 3 tau 95 % of the rise is done.
        explained: share of the curve's variance that the fit explains.
    """

    start: float
    rise: float
    time_constant: float
    explained: float

    def __call__(self, epoch: ArrayLike) -> NDArray[np.float64]:
        """The fit at an epoch: start + rise (1 - exp(-epoch / tau))."""
        return self.start + self.rise * -np.expm1(-np.asarray(epoch, float) / self.time_constant)

    @property
    def settled(self) -> float:
        """3 tau: the epoch after which less than 5 % of the rise is left."""
        return 3 * self.time_constant


def first_order_lag(curve: Sequence[float]) -> FirstOrderLag:
    """Least-squares fit of y(t) = y_0 + A (1 - exp(-t / tau)) to one value per epoch.

    tau is sought between one epoch and ten times the curve's length: a straight line, or a curve
    that no lag describes, ends at the upper bound.
    """
    y = np.asarray(curve, dtype=float)
    epochs = np.arange(len(y), dtype=float)

    def lag(t: NDArray[np.float64], start: float, rise: float, tau: float) -> NDArray[np.float64]:
        return FirstOrderLag(start, rise, tau, 0.0)(t)

    guess = (y[:3].mean(), y[-max(1, len(y) // 5) :].mean() - y[:3].mean(), len(y) / 5)
    bounds = ([-np.inf, -np.inf, 1.0], [np.inf, np.inf, 10.0 * len(y)])
    try:
        found, _ = curve_fit(lag, epochs, y, p0=guess, bounds=bounds, max_nfev=2000)
    except RuntimeError:  # no convergence: a handful of epochs, or nothing but noise
        found = np.array([guess[0], guess[1], bounds[1][2]])
    explained = 1 - float(np.var(y - lag(epochs, *found)) / max(np.var(y), 1e-300))
    start, rise, tau = map(float, found)
    return FirstOrderLag(start, rise, tau, explained)


def last_change(curve: Sequence[float]) -> float:
    """How much the curve's last fifth rises from its begin to its end, by a fitted line."""
    y = np.asarray(curve, dtype=float)
    last = y[-max(2, len(y) // 5) :]
    return float(np.polyfit(np.arange(len(last)), last, 1)[0] * (len(last) - 1))


def loss_gradient_correlations(
    history: Mapping[str, Sequence[float]], end: int | None = None, block: int = BLOCK
) -> dict[str, float]:
    """Spearman's rank correlation of |L| with the gradient norm of every layer.

    Both are averaged over ``block`` epochs, since a single loss is one draw of a difference that
    fluctuates around 0. Only epochs before ``end`` count. Keys: the layers' names.
    """
    size = np.abs(np.asarray(history["loss"], dtype=float))[:end]
    blocks = max(3, len(size) // block)
    means = parts(list(size), blocks)
    return {
        name.removeprefix("gradient_norm/"): float(
            spearmanr(means, parts(norms[:end], blocks)).statistic
        )
        for name, norms in history.items()
        if name.startswith("gradient_norm/")
    }


def measure(cell: Cell) -> dict[str, Any]:
    """Loss, R and gradient norms of one training.

    Returns:
        ``loss_first`` (mean of three epochs), ``loss_lowest`` and its epoch, and of the second half
        ``loss_late_mean``, ``loss_late_spread`` and ``loss_late_negative`` (share of epochs below
        0); R over its noise floor: ``R_first``, ``R_plateau`` (last fifth), ``R`` (the curve),
        ``R_change`` (over the last fifth, a fitted line) and the fitted lag ``lag_rise``,
        ``lag_settled`` (3 tau, epochs), ``lag_explained``; ``correlation/<layer>`` of |L| with the
        gradient norm, and ``falling/<layer>`` the same up to the epoch of the lowest loss.
    """
    history = cell.trained.history
    loss = np.asarray(history["loss"])
    alpha = cell.sampler.alpha
    R = diagnostics.relative_mean_step(history["R"], alpha, cell.trained.demonstrations.dim)
    late = loss[len(loss) // 2 :]
    lag = first_order_lag(list(R))
    whole = loss_gradient_correlations(history)
    lowest = max(int(loss.argmin()), 3 * SHORT_BLOCK)
    falling = loss_gradient_correlations(history, lowest + 1, SHORT_BLOCK)
    return {
        "loss_first": loss[:3].mean(),
        "loss_lowest": loss.min(),
        "loss_lowest_epoch": int(loss.argmin()),
        "loss_late_mean": late.mean(),
        "loss_late_spread": late.std(),
        "loss_late_negative": (late < 0).mean(),
        "R_first": R[:5].mean(),
        "R_plateau": R[-len(R) // 5 :].mean(),
        "R": parts(list(R)),
        "R_change": last_change(list(R)),
        "lag_rise": lag.rise,
        "lag_settled": lag.settled,
        "lag_explained": lag.explained,
        **{f"correlation/{layer}": value for layer, value in whole.items()},
        **{f"falling/{layer}": value for layer, value in falling.items()},
    }


STUDIES = (Study("dynamics", ("path1", "circle", "mouse1", "mouse2", "mouse1-K-100"), measure),)
