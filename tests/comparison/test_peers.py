"""The peers of compare against scikit-learn's implementations; skipped without it."""

import numpy as np
import pytest
import torch

from data import make_mouse
from ebmlib import StateFeatures, recipe
from ebmlib.comparison.methods import GaussianMixture, Neighbours
from ebmlib.comparison.protocol import Split

mixture = pytest.importorskip("sklearn.mixture")
neighbors = pytest.importorskip("sklearn.neighbors")

SPLIT = Split.of("crossing", make_mouse.drawing("crossing", 5, np.random.default_rng(0)))
CLOCK = StateFeatures(clock=True)


def test_the_mixture_of_actions_is_the_joint_over_the_marginal_one():
    of = GaussianMixture("position+clock", components=(4,)).fit(SPLIT.train, 0).of
    states, actions = (column.double() for column in SPLIT.kept_pairs(CLOCK))
    joint = mixture.GaussianMixture(len(of.weights))
    marginal = mixture.GaussianMixture(len(of.weights))
    for which, k in ((joint, None), (marginal, of.k)):
        which.weights_, which.means_ = of.weights.numpy(), of.means[:, :k].numpy()
        which.covariances_ = of.covariances[:, :k, :k].numpy()
        which.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(which.covariances_))
    x, a = of.units.states(states), of.units.actions(actions)
    expected = joint.score_samples(torch.cat([x, a], dim=1).numpy())
    expected -= marginal.score_samples(x.numpy()) + 2 * np.log(float(of.units.a_scale))
    np.testing.assert_allclose(of.log_prob(states, actions).numpy(), expected, atol=1e-3)


def test_the_kernel_density_of_actions_is_the_joint_over_the_marginal_one():
    kernel = recipe.kernel_density(SPLIT.train, CLOCK)
    states, actions = SPLIT.kept_pairs(CLOCK)
    h, s, scale = kernel.state_width, kernel.action_width, kernel.action_scale
    z = ((states.double() - kernel.state_mean) / kernel.state_scale / h).numpy()
    own = (kernel.states / h).numpy()
    both = np.concatenate([own, (kernel.actions / s).numpy()], axis=1)
    joint = neighbors.KernelDensity(bandwidth=1.0).fit(both)
    marginal = neighbors.KernelDensity(bandwidth=1.0).fit(own)
    a = actions.double().numpy() / scale / s
    expected = joint.score_samples(np.concatenate([z, a], axis=1)) - marginal.score_samples(z)
    found = kernel.log_prob(states, actions).numpy() + 2 * np.log(scale * s)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_nearest_neighbours_are_scikit_learns():
    fitted = Neighbours("position+clock", count=5).fit(SPLIT.train, 0)
    states, actions = SPLIT.train.tensors(features=CLOCK)
    units = fitted.of.units
    peer = neighbors.KNeighborsRegressor(5).fit(units.states(states).numpy(), actions.numpy())
    kept, _ = SPLIT.kept_pairs(CLOCK)
    np.testing.assert_allclose(
        fitted.of.mean(kept).numpy(), peer.predict(units.states(kept).numpy()), atol=1e-5
    )
