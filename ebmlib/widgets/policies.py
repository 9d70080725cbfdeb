"""The trained policies of a page, in one model that several widgets refer to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets
import traitlets

from ebmlib.errors import InputError
from ebmlib.training.store import Trained
from ebmlib.widgets import bundle
from ebmlib.widgets.export import export_demonstrations, export_policy


class PolicySet(ipywidgets.Widget):
    """Trained policies and their demonstrations; give one to every widget of a page.

    It has no view. Its state holds the weights once, however many widgets show them:

        policies = PolicySet(store.train_or_load(run), store.train_or_load(run.with_(sgld_K=256)))
        ParticleExplorer(policies); RolloutExplorer(policies)

    Args:
        trained: trained runs on data of two dimensions. Policies for the same data must differ in
            the K or the alpha they were trained with, and have the same demonstrations.

    Raises:
        InputError: no policy, data not of two dimensions, or two policies for one choice.
    """

    policies = traitlets.List(traitlets.Dict()).tag(sync=True)
    datasets = traitlets.List(traitlets.Dict()).tag(sync=True)
    engine = traitlets.Unicode().tag(sync=True)

    def __init__(self, *trained: Trained) -> None:
        if not trained:
            raise InputError(
                "A policy set needs at least one trained policy; pass what a store gave."
            )
        policies: list[dict[str, Any]] = []
        datasets: dict[str, dict[str, Any]] = {}
        for one in trained:
            name = one.demonstrations.name
            if one.demonstrations.dim != 2:
                raise InputError(
                    f"The widgets draw data of 2 dimensions, and {name} has "
                    f"{one.demonstrations.dim}; leave it out."
                )
            exported = export_demonstrations(one.demonstrations)
            if datasets.setdefault(name, exported) != exported:
                raise InputError(f"Two policies have different demonstrations called {name}.")
            policy = export_policy(one.model, one.demonstrations, one.run)
            choice = self._choice(one)
            if choice in [self._choice(other) for other in trained[: len(policies)]]:
                raise InputError(
                    f"Two policies for {name} were trained with K = {choice[1]} and alpha "
                    f"{choice[2]:g}; pass one of them."
                )
            policies.append(policy)
        super().__init__(
            policies=policies,
            datasets=list(datasets.values()),
            engine=bundle.joined("engine.js"),
        )
        self.trained = tuple(trained)

    def of(self, dataset: str, trained_k: int, trained_alpha: float | None = None) -> Trained:
        """The policy for a data set that was trained with K steps, and noise level alpha.

        Args:
            dataset: name of its demonstrations.
            trained_k: K.
            trained_alpha: alpha; the first policy of that K if None or if there is no such alpha.

        Raises:
            InputError: there is none; those there are are listed.
        """
        found = [one for one in self.trained if self._choice(one)[:2] == (dataset, trained_k)]
        exact = [one for one in found if self._choice(one)[2] == trained_alpha]
        if found:
            return (exact or found)[0]
        known = ", ".join(f"{name} with K = {k}" for name, k, _ in map(self._choice, self.trained))
        raise InputError(f"No policy for {dataset} with K = {trained_k} is here, only {known}.")

    def trained_ks(self, dataset: str) -> list[int]:
        """The K of the policies for a data set, in the order given."""
        choices = map(self._choice, self.trained)
        return list(dict.fromkeys(k for name, k, _ in choices if name == dataset))

    @staticmethod
    def _choice(one: Trained) -> tuple[str, int, float]:
        sampler = one.inference.kernel
        return one.demonstrations.name, sampler.steps, sampler.alpha


def as_policy_set(policies: PolicySet | Trained | Sequence[Trained]) -> PolicySet:
    """A policy set of one trained policy or several."""
    if isinstance(policies, PolicySet):
        return policies
    return PolicySet(policies) if isinstance(policies, Trained) else PolicySet(*policies)
