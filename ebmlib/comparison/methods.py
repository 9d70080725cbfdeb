"""The recipe, kernel densities and the usual peers, all behind one interface."""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor, nn

from ebmlib import recipe, seeding
from ebmlib.comparison.protocol import Fitted, Method, Split
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.demonstrations.features import StateFeatures
from ebmlib.demonstrations.polyline import FloatArray
from ebmlib.errors import InputError
from ebmlib.models.initial import initialise
from ebmlib.policies.base import Policy
from ebmlib.policies.trained import TrainedPolicy
from ebmlib.policies.trajectories import rollout
from ebmlib.training.store import Store


class Conditional(Protocol):
    """What a method says of actions, given states."""

    def mean(self, states: Tensor) -> Tensor:
        """The best action (n, d)."""
        ...

    def sample(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """One draw (n, d)."""
        ...

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor | None:
        """Log density (n,), nats; None where there is none."""
        ...


@dataclass(frozen=True, eq=False)
class _Acting:
    of: Conditional
    draws: bool

    def act(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        """See :class:`~ebmlib.policies.base.Policy`."""
        return self.of.sample(states, generator=generator) if self.draws else self.of.mean(states)


@dataclass(frozen=True, eq=False)
class ByConditional:
    """A fitted method, from what it says of actions."""

    of: Conditional
    features: StateFeatures
    choice: str = ""

    def log_prob(self, kept: Split) -> Tensor | None:
        """See :class:`~ebmlib.comparison.protocol.Fitted`."""
        return self.of.log_prob(*kept.kept_pairs(self.features))

    def paths(self, n: int, steps: int, draws: bool, *, generator: torch.Generator) -> FloatArray:
        """See :class:`~ebmlib.comparison.protocol.Fitted`."""
        return _paths(_Acting(self.of, draws), self.features, n, steps, 2, steps, generator)


def _paths(
    policy: Policy,
    features: StateFeatures,
    n: int,
    steps: int,
    dim: int,
    horizon: int,
    generator: torch.Generator,
) -> FloatArray:
    made = rollout(
        policy,
        torch.zeros(n, dim),
        steps,
        generator=generator,
        features=features,
        horizon=horizon,
    )
    return made.states.double().numpy()


@dataclass(frozen=True)
class Recipe:
    """The recipe for drawings (:mod:`ebmlib.recipe`).

    Attributes:
        features: of the state, in words; chosen from the data if None.
        estimate: of the best action; the recipe's own (``road``) if None.
        epochs: updates; chosen by a kept demonstration if None.
    """

    features: str | None = None
    estimate: str | None = None
    epochs: int | None = None

    def fit(self, demonstrations: Demonstrations, seed: int) -> Fitted:
        """See :class:`~ebmlib.comparison.protocol.Method`."""
        asked = {"features": self.features, "epochs": self.epochs}
        changes: dict[str, Any] = {k: v for k, v in asked.items() if v is not None}
        with tempfile.TemporaryDirectory() as folder:
            trained, choice = recipe.train(
                demonstrations, store=Store(folder), seed=seed, **changes
            )
            policy = TrainedPolicy.of(trained)
        words = f"{policy.features.words}, {trained.run.training.epochs} updates"
        return _FittedRecipe(policy, self.estimate, words, choice.line)


@dataclass(frozen=True, eq=False)
class _FittedRecipe:
    policy: TrainedPolicy
    estimate: str | None
    choice: str
    line: str

    def log_prob(self, kept: Split) -> Tensor | None:
        """By importance sampling from a broad kernel on a fine grid: see ``fine_log_prob``."""
        return fine_log_prob(self.policy, *kept.kept_pairs(self.policy.features))

    def paths(self, n: int, steps: int, draws: bool, *, generator: torch.Generator) -> FloatArray:
        """See :class:`~ebmlib.comparison.protocol.Fitted`."""
        policy = self.policy.policy("draw" if draws else self.estimate)
        dim, horizon = self.policy.model.action_dim, self.policy.end.horizon
        return _paths(policy, self.policy.features, n, steps, dim, horizon, generator)


@torch.no_grad()
def fine_log_prob(policy: TrainedPolicy, states: Tensor, actions: Tensor) -> Tensor:
    """Log p(a | x), (n,), with Z(x) summed over the whole plane, not over the policy's cells.

    The sum reaches one half farther than any of the policy's cells: mass far from all
    demonstrations counts against the model. Around the cells it has their spacing, elsewhere three
    times that.
    """
    if policy.grid is None:
        raise InputError("A density by a grid was asked for, and this policy has chains.")
    h, known = policy.grid.spacing, policy.grid.points
    reach = 1.5 * float(known.abs().max())
    d = actions.shape[1]
    lines = [_line(float(known[0, i]), h, reach).to(known) for i in range(d)]
    cells = torch.stack(torch.meshgrid(*lines, indexing="ij"), dim=-1)  # sides of 3 k cells
    for i in range(d):
        cells = cells.unflatten(2 * i, (-1, 3))
    order = [*range(0, 2 * d, 2), *range(1, 2 * d, 2), 2 * d]
    blocks = cells.permute(order).reshape(-1, 3**d, d)
    centres = blocks[:, 3**d // 2]
    touched = torch.cdist(centres, known, p=math.inf).amin(dim=1) < 1.6 * h
    points = torch.cat([blocks[touched].reshape(-1, d), centres[~touched]])
    log_area = torch.full((len(points),), d * math.log(3 * h)).to(points)
    log_area[: int(touched.sum()) * 3**d] = d * math.log(h)
    found = []
    for x, a in zip(states.split(64), actions.split(64), strict=True):
        log_z = (policy.model(x[:, None], points[None]) + log_area).logsumexp(dim=1)
        found.append(policy.model(x, a) - log_z)
    return torch.cat(found)


def _line(through: float, h: float, reach: float) -> Tensor:
    """A multiple of three numbers, h apart, from -reach to reach at least, one of them given."""
    below = math.ceil((through + reach) / h)
    count = below + math.ceil((reach - through) / h) + 1
    return through + h * (torch.arange(count + -count % 3) - below)


@dataclass(frozen=True)
class Kernels:
    """A kernel density with widths by leave-one-demonstration-out.

    Attributes:
        features: of the state, in words; the recipe's choice if None.
        oriented: with widths along and across the action.
    """

    features: str | None = "position"
    oriented: bool = False

    def fit(self, demonstrations: Demonstrations, seed: int) -> Fitted:
        """See :class:`~ebmlib.comparison.protocol.Method`."""
        features = _features(self.features, demonstrations)
        kernel = recipe.kernel_density(demonstrations, features, self.oriented)
        widths = f"h {kernel.state_width:.2f}, s {kernel.action_width:.2f}"
        return ByConditional(kernel, features, f"{features.words}, {widths}")


def _features(words: str | None, demonstrations: Demonstrations) -> StateFeatures:
    if words is None:
        return recipe.features_of(demonstrations)[0]
    return StateFeatures.from_words(words)


@dataclass(frozen=True, eq=False)
class _Standard:
    """Units in which networks and mixtures work."""

    x_mean: Tensor
    x_scale: Tensor
    a_mean: Tensor
    a_scale: Tensor

    @classmethod
    def of(cls, x: Tensor, a: Tensor) -> _Standard:
        x_scale = x.std(dim=0, correction=0)
        spread = a.var(dim=0, correction=0).mean().sqrt()
        return cls(x.mean(dim=0), torch.where(x_scale > 0, x_scale, 1.0), a.mean(dim=0), spread)

    def states(self, x: Tensor) -> Tensor:
        return (x - self.x_mean) / self.x_scale

    def actions(self, a: Tensor) -> Tensor:
        return (a - self.a_mean) / self.a_scale

    def back(self, a: Tensor) -> Tensor:
        return a * self.a_scale + self.a_mean


@dataclass(frozen=True)
class Cloning:
    """Behaviour cloning: a network from state to action, squared error (Pomerleau 1991).

    The network has two hidden layers of 64 SiLU features and is trained with Adam and a cosine
    decay on standardised data, with the recipe's batch.

    Attributes:
        features: see :class:`Kernels`.
        mixture: components of a mixture density network (Bishop 1994) with the recipe's own noise
            on states and actions; 0 for one action.
        epochs: updates.
    """

    features: str | None = "position"
    mixture: int = 0
    epochs: int = 1000

    def fit(self, demonstrations: Demonstrations, seed: int) -> Fitted:
        """See :class:`~ebmlib.comparison.protocol.Method`."""
        features = _features(self.features, demonstrations)
        states, actions = demonstrations.tensors(features=features)
        units = _Standard.of(states, actions)
        kernel = recipe.kernel_density(demonstrations, features)
        noise = (kernel.state_width, kernel.action_width if self.mixture else 0.0)
        x, a, d = units.states(states), units.actions(actions), actions.shape[1]
        outputs = self.mixture * (2 * d + 1) if self.mixture else d
        network = _network(x.shape[1], outputs, seeding.generator(seed, "weights"))
        fitted = _Network(network, units, self.mixture, d)
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.epochs)
        generator = seeding.generator(seed, "training")
        for _ in range(self.epochs):
            rows = torch.randint(len(x), (recipe.BATCH,), generator=generator)
            xi = torch.empty(len(rows), x.shape[1]).normal_(generator=generator)
            eta = torch.empty(len(rows), d).normal_(generator=generator)
            loss = fitted.loss(x[rows] + noise[0] * xi, a[rows] + noise[1] * eta)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            decay.step()
        return ByConditional(fitted, features, features.words)


def _network(inputs: int, outputs: int, generator: torch.Generator) -> nn.Sequential:
    layers = [
        nn.utils.skip_init(nn.Linear, m, n) for m, n in ((inputs, 64), (64, 64), (64, outputs))
    ]
    for layer in layers:
        initialise(layer, generator)
    return nn.Sequential(layers[0], nn.SiLU(), layers[1], nn.SiLU(), layers[2])


@dataclass(frozen=True, eq=False)
class _Network:
    network: nn.Sequential
    units: _Standard
    mixture: int
    d: int

    def loss(self, x: Tensor, a: Tensor) -> Tensor:
        if not self.mixture:
            return (self.network(x) - a).square().sum(dim=1).mean()
        return -self._log_prob(x, a).mean()

    def _parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        out = self.network(x)
        m, d = self.mixture, self.d
        log_w = torch.log_softmax(out[:, :m], dim=1)
        log_s = out[:, m : m * (1 + d)].reshape(-1, m, d).clamp(-4, 3)
        return log_w, out[:, m * (1 + d) :].reshape(-1, m, d), log_s

    def _log_prob(self, x: Tensor, a: Tensor) -> Tensor:
        log_w, mean, log_s = self._parts(x)
        z = (a[:, None] - mean) * (-log_s).exp()
        log_n = (-z.square() / 2 - log_s).sum(dim=2) - self.d / 2 * math.log(2 * math.pi)
        return (log_w + log_n).logsumexp(dim=1)

    @torch.no_grad()
    def mean(self, states: Tensor) -> Tensor:
        x = self.units.states(states)
        if not self.mixture:
            return self.units.back(self.network(x))
        log_w, mean, _ = self._parts(x)
        return self.units.back((log_w.exp()[..., None] * mean).sum(dim=1))

    @torch.no_grad()
    def sample(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        if not self.mixture:
            return self.mean(states)
        log_w, mean, log_s = self._parts(self.units.states(states))
        which = torch.multinomial(log_w.exp(), 1, generator=generator)[:, 0]
        rows = torch.arange(len(which))
        xi = torch.empty(len(which), self.d).normal_(generator=generator)
        return self.units.back(mean[rows, which] + log_s[rows, which].exp() * xi)

    @torch.no_grad()
    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor | None:
        if not self.mixture:
            return None
        found = self._log_prob(self.units.states(states), self.units.actions(actions))
        return found - self.d * self.units.a_scale.log()


@dataclass(frozen=True)
class Neighbours:
    """The mean action of the nearest demonstrated states (Cover and Hart 1967).

    Attributes:
        features: see :class:`Kernels`.
        count: how many.
    """

    features: str | None = "position"
    count: int = 5

    def fit(self, demonstrations: Demonstrations, seed: int) -> Fitted:
        """See :class:`~ebmlib.comparison.protocol.Method`."""
        features = _features(self.features, demonstrations)
        states, actions = demonstrations.tensors(features=features)
        units = _Standard.of(states, actions)
        tree = cKDTree(units.states(states).numpy())
        return ByConditional(_Nearest(tree, actions, units, self.count), features, features.words)


@dataclass(frozen=True, eq=False)
class _Nearest:
    tree: cKDTree
    actions: Tensor
    units: _Standard
    count: int

    def _near(self, states: Tensor) -> Tensor:
        k = min(self.count, len(self.actions))
        found = self.tree.query(self.units.states(states).numpy(), k=range(1, k + 1))[1]
        return self.actions[torch.from_numpy(np.asarray(found))]

    def mean(self, states: Tensor) -> Tensor:
        return self._near(states).mean(dim=1)

    def sample(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        near = self._near(states)
        which = torch.randint(near.shape[1], (len(near),), generator=generator)
        return near[torch.arange(len(near)), which]

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor | None:
        return None


@dataclass(frozen=True)
class GaussianMixture:
    """Gaussian mixture regression (Calinon, Guenter and Billard 2007), by scikit-learn's EM.

    Attributes:
        features: see :class:`Kernels`.
        components: candidates; the one of lowest BIC is taken.
    """

    features: str | None = "position"
    components: tuple[int, ...] = (3, 6, 10)

    def fit(self, demonstrations: Demonstrations, seed: int) -> Fitted:
        """See :class:`~ebmlib.comparison.protocol.Method`.

        Raises:
            InputError: scikit-learn is not installed.
        """
        try:
            from sklearn import mixture
        except ImportError as error:
            raise InputError(
                "Gaussian mixture regression needs scikit-learn, which is not installed: pip "
                "install 'ebmlib[compare]'."
            ) from error
        features = _features(self.features, demonstrations)
        states, actions = demonstrations.tensors(features=features)
        units = _Standard.of(states, actions)
        joint = torch.cat([units.states(states), units.actions(actions)], dim=1).double().numpy()
        fits = [
            mixture.GaussianMixture(k, reg_covar=1e-3, random_state=seed, n_init=2).fit(joint)
            for k in self.components
        ]
        best = min(fits, key=lambda fit: fit.bic(joint))
        weights, means, covariances = (
            torch.tensor(x) for x in (best.weights_, best.means_, best.covariances_)
        )
        of = _Regression(weights, means, covariances, units=units, k=states.shape[1])
        return ByConditional(of, features, f"{features.words}, {len(best.weights_)} components")


@dataclass(frozen=True, eq=False)
class _Regression:
    """A Gaussian mixture of (x, a), conditioned on x."""

    weights: Tensor
    means: Tensor
    covariances: Tensor
    units: _Standard
    k: int

    def _given(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights (n, c), means (n, c, d) and Cholesky factors (c, d, d)."""
        x, k = self.units.states(states).double(), self.k
        xx, ax = self.covariances[:, :k, :k], self.covariances[:, k:, :k]
        away = x[:, None] - self.means[:, :k]
        marginal = torch.distributions.MultivariateNormal(self.means[:, :k], xx)
        log_w = torch.log_softmax(self.weights.log() + marginal.log_prob(x[:, None]), dim=1)
        gain = torch.linalg.solve(xx, ax.mT).mT
        mean = self.means[:, k:] + torch.einsum("cij,ncj->nci", gain, away)
        covariance = self.covariances[:, k:, k:] - gain @ ax.mT
        return log_w, mean, torch.linalg.cholesky(covariance)

    def mean(self, states: Tensor) -> Tensor:
        log_w, mean, _ = self._given(states)
        return self.units.back((log_w.exp()[..., None] * mean).sum(dim=1).to(states.dtype))

    def sample(self, states: Tensor, *, generator: torch.Generator) -> Tensor:
        log_w, mean, factor = self._given(states)
        which = torch.multinomial(log_w.exp(), 1, generator=generator)[:, 0]
        xi = torch.empty(len(which), mean.shape[2], dtype=mean.dtype).normal_(generator=generator)
        drawn = mean[torch.arange(len(which)), which]
        drawn = drawn + torch.einsum("nij,nj->ni", factor[which], xi)
        return self.units.back(drawn.to(states.dtype))

    def log_prob(self, states: Tensor, actions: Tensor) -> Tensor | None:
        log_w, mean, factor = self._given(states)
        of_each = torch.distributions.MultivariateNormal(mean, scale_tril=factor)
        log_n = of_each.log_prob(self.units.actions(actions).double()[:, None])
        return (log_w + log_n).logsumexp(dim=1) - mean.shape[2] * self.units.a_scale.double().log()


RECIPE = "recipe"
METHODS: dict[str, Method] = {
    RECIPE: Recipe(),
    "kernel density": Kernels(None),
    "kernel density, oriented": Kernels(None, oriented=True),
    "gaussian mixture regression": GaussianMixture(None),
    "mixture density network": Cloning(None, mixture=5),
    "behaviour cloning": Cloning(None),
    "nearest neighbours": Neighbours(None),
}
"""What ``python -m ebmlib compare`` compares: all with the features that the recipe chooses."""
