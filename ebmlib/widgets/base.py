"""What the explorers share: policies and what is chosen from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import traitlets
from ipywidgets import widget_serialization

from ebmlib.training.store import Trained
from ebmlib.widgets.picture import Pictured
from ebmlib.widgets.policies import PolicySet, as_policy_set


class Explorer(Pictured):
    """A widget over a policy set."""

    policies = traitlets.Instance(PolicySet).tag(sync=True, **widget_serialization)
    dataset = traitlets.Unicode().tag(sync=True)
    trained_k = traitlets.Int().tag(sync=True)
    trained_alpha = traitlets.Float().tag(sync=True)
    numbers = traitlets.Dict().tag(sync=True)

    def __init__(self, policies: PolicySet | Trained | Sequence[Trained], **traits: Any) -> None:
        policies = as_policy_set(policies)
        dataset = traits.pop("dataset", policies.datasets[0]["name"])
        known = policies.trained_ks(dataset)
        trained_k = traits.pop("trained_k", known[0] if known else 0)
        trained = policies.of(dataset, trained_k, traits.pop("trained_alpha", None))
        sampler = trained.inference.kernel
        chosen = {"alpha": sampler.alpha, "k": sampler.steps} | traits
        super().__init__(
            policies=policies,
            dataset=dataset,
            trained_k=trained_k,
            trained_alpha=sampler.alpha,
            **self._defaults(trained, chosen) | chosen,
        )

    def _defaults(self, trained: Trained, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Traits that follow from the policy, where they are not among those ``chosen``."""
        return {}

    @property
    def trained(self) -> Trained:
        """The policy on display."""
        return self.policies.of(self.dataset, self.trained_k, self.trained_alpha)

    @traitlets.validate("dataset")
    def _known_dataset(self, proposal: Any) -> str:
        names = [data["name"] for data in self.policies.datasets]
        if proposal["value"] not in names:
            raise traitlets.TraitError(
                f"dataset must be one of {', '.join(names)}, got {proposal['value']!r}."
            )
        return str(proposal["value"])

    @traitlets.observe("dataset")
    def _policy_for_dataset(self, change: Any) -> None:
        known = self.policies.trained_ks(self.dataset)
        if known and self.trained_k not in known:
            self.trained_k = known[0]
