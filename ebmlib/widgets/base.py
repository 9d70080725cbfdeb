"""What the explorers share: script, policies, and the picture that stands in for them."""

from __future__ import annotations

import base64
import html
import io
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets
from IPython.display import display
from ipywidgets import widget_serialization

from ebmlib.store import Trained
from ebmlib.widgets import bundle
from ebmlib.widgets.policies import PolicySet, as_policy_set

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Where scripts run, the picture is for print only; where they do not, it is all there is.
_PICTURE = """<figure class="ebmlib-picture"><style>
.ebmlib-picture {{ display: none; margin: 1rem 0; }}
.ebmlib-picture img {{ background: #fff; height: auto; max-width: 100%; }}
@media print {{ .ebmlib-picture {{ break-inside: avoid; display: block; }} }}
</style><noscript><style>.ebmlib-picture {{ display: block; }}</style></noscript>
<img alt="{alt}" width="{width}" height="{height}" src="data:image/png;base64,{png}"></figure>"""
_DPI = 110


def script(entry: str) -> str:
    """A widget's ES module: the joined modules and their default export."""
    return bundle.module_source(entry)


def style() -> str:
    """The style sheet of the widgets."""
    return (bundle.FOLDER / "widgets.css").read_text(encoding="utf-8")


class Explorer(anywidget.AnyWidget):
    """A widget over a policy set, with a picture for print and for pages without scripts."""

    policies = traitlets.Instance(PolicySet).tag(sync=True, **widget_serialization)
    dataset = traitlets.Unicode().tag(sync=True)
    trained_k = traitlets.Int().tag(sync=True)
    numbers = traitlets.Dict().tag(sync=True)

    def __init__(self, policies: PolicySet | Trained | Sequence[Trained], **traits: Any) -> None:
        policies = as_policy_set(policies)
        dataset = traits.pop("dataset", policies.datasets[0]["name"])
        known = policies.trained_ks(dataset)
        trained_k = traits.pop("trained_k", known[0] if known else 0)
        trained = policies.of(dataset, trained_k)
        sampler = trained.run.objective.sampler
        chosen = {"alpha": sampler.alpha, "k": sampler.steps} | traits
        super().__init__(
            policies=policies,
            dataset=dataset,
            trained_k=trained_k,
            **self._defaults(trained, chosen) | chosen,
        )

    def _defaults(self, trained: Trained, chosen: Mapping[str, Any]) -> dict[str, Any]:
        """Traits that follow from the policy, where they are not among those ``chosen``."""
        return {}

    @property
    def trained(self) -> Trained:
        """The policy on display."""
        return self.policies.of(self.dataset, self.trained_k)

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

    def picture(self) -> Figure:
        """A matplotlib figure of the same content."""
        raise NotImplementedError

    def description(self) -> str:
        """The picture in words."""
        raise NotImplementedError

    def _png(self) -> tuple[bytes, int, int]:
        figure, content = self.picture(), io.BytesIO()
        figure.savefig(content, format="png", dpi=_DPI, bbox_inches="tight")
        png = content.getvalue()
        width, height = struct.unpack(">II", png[16:24])  # where a PNG file has its size
        return png, width, height

    def fallback(self) -> str:
        """HTML of the picture: shown in print, and where no script runs."""
        png, width, height = self._png()
        return _PICTURE.format(
            alt=html.escape(self.description()),
            width=width,
            height=height,
            png=base64.b64encode(png).decode(),
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The widget, and its picture for readers of notebooks that run no widgets."""
        bundled = super()._repr_mimebundle_(**kwargs)
        if bundled is None:
            return None
        data, metadata = bundled
        return {**data, "image/png": base64.b64encode(self._png()[0]).decode()}, metadata

    def _ipython_display_(self, **kwargs: Any) -> None:
        """Two outputs: the picture for print and for pages without scripts, then the widget.

        A page takes one representation of an output, so one output cannot hold both.
        """
        display({"text/html": self.fallback(), "text/plain": self.description()}, raw=True)
        bundled = self._repr_mimebundle_()
        if bundled is not None:
            display(bundled[0], metadata=bundled[1], raw=True)
