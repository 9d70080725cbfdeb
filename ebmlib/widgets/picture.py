"""What every widget has: its script and style, and a picture that stands in for it."""

from __future__ import annotations

import base64
import html
import io
import struct
from typing import TYPE_CHECKING, Any

import anywidget
from IPython.display import display

from ebmlib.widgets import bundle

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


class Pictured(anywidget.AnyWidget):
    """A widget with a picture for print, and for pages and notebooks that run no widgets."""

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
