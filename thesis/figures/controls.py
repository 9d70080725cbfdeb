"""Sliders that train and draw again in the kernel: the laboratory page in JupyterLab.

A training runs in a thread, so that the kernel still hears the stop button. What is stopped goes on
from its last checkpoint when it is asked for again.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ebmlib import progress
from ebmlib.demonstrations.bundled import names
from ebmlib.errors import EbmlibError
from ebmlib.training.run import Run
from ebmlib.training.store import Trained
from thesis import laboratory
from thesis.figures import laboratory as panels

if TYPE_CHECKING:
    import torch
    from matplotlib.figure import Figure

Drawing = Callable[[Trained], "Figure | panels.LeftOut"]

DRAWN: tuple[Drawing, ...] = (panels.training, panels.particles_over_steps)
"""What is drawn of a trained run, below each other."""


SETTLED = 0.3
"""Seconds between the button and the reading of sliders: a page sends a slider's last value only
when the kernel has answered the one before.
"""


class Stopped(Exception):
    """The stop button was pressed."""


class Controls:
    """Sliders for alpha, K, epochs and data set, a button that trains with them, one that stops.

    Shown by a notebook as the last value of a cell. :attr:`alpha`, :attr:`K`, :attr:`epochs` and
    :attr:`dataset` are widgets of ipywidgets, :meth:`start` and :meth:`stop` what the buttons do.

    Args:
        run: what is not set here is this run's.
        device: where to train.
        draw: trained run -> figure, one picture each.
    """

    def __init__(
        self, run: Run, device: torch.device | str = "cpu", draw: Sequence[Drawing] = DRAWN
    ) -> None:
        import ipywidgets as widgets  # loads what draws in a page

        self.run, self.device, self.draw = run, device, tuple(draw)
        chain, source = run.effective_inference.kernel, run.data.source
        at, wide = {"description_width": "5em"}, widgets.Layout(width="28em")
        self.alpha = widgets.FloatLogSlider(
            chain.alpha, min=-3.5, max=-1, step=0.01, description="alpha", readout_format=".4f",
            style=at, layout=wide,
        )  # fmt: skip
        self.K = widgets.IntSlider(
            chain.steps, min=1, max=max(400, chain.steps), description="K", style=at, layout=wide
        )
        most = max(3000, run.training.epochs)
        self.epochs = widgets.IntSlider(
            run.training.epochs, min=1, max=most, description="epochs", style=at, layout=wide
        )
        self.dataset = widgets.Dropdown(
            options=list(dict.fromkeys([source, *names()])), value=source, description="data set",
            style=at, layout=wide,
        )  # fmt: skip
        self.train_button = widgets.Button(description="Train and draw", button_style="primary")
        self.stop_button = widgets.Button(description="Stop", disabled=True)
        self.bar = widgets.IntProgress(0, min=0, max=1, layout=wide)
        self.status = widgets.HTML("Choose, then press <b>Train and draw</b>.")
        self.pictures = widgets.VBox([])
        self.train_button.on_click(lambda _: self.start(SETTLED))
        self.stop_button.on_click(lambda _: self.stop())
        self.trained: Trained | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.box = widgets.VBox(
            [
                *(self.alpha, self.K, self.epochs, self.dataset),
                widgets.HBox([self.train_button, self.stop_button]),
                *(self.bar, self.status, self.pictures),
            ]
        )

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.box._repr_mimebundle_(**options)

    @property
    def chosen(self) -> Run:
        """The run at the values of the sliders.

        Raises:
            InputError: values that the run cannot have.
        """
        run = self.run.with_(
            dataset=self.dataset.value, alpha=round(self.alpha.value, 6), K=self.K.value,
            epochs=self.epochs.value,
        )  # fmt: skip
        if run.inference is None or run.sampler is None:
            return run
        # actions are drawn with the chain of the training
        return replace(run, inference=replace(run.inference, kernel=run.sampler))

    def start(self, after: float = 0.0) -> None:
        """Train at the chosen values and draw, in a thread; nothing where one is at work.

        Args:
            after: seconds to wait before the values are read.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        self._stopping.clear()
        self.train_button.disabled, self.stop_button.disabled = True, False
        self._thread = threading.Thread(target=self._work, args=(after,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop at the next epoch."""
        self._stopping.set()
        self._say("Stopping.")

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until what was started has ended; whether it has."""
        if self._thread is not None:
            self._thread.join(seconds)
        return self._thread is None or not self._thread.is_alive()

    def _say(self, text: str) -> None:
        self.status.value = text

    def _heard(self, done: int, total: int, unit: str) -> None:
        if self._stopping.is_set():
            raise Stopped
        if unit == "epoch":
            self.bar.max, self.bar.value = max(total, 1), done
            self._say(f"Training: epoch {done} of {total}.")

    def _work(self, after: float) -> None:
        try:
            self._stopping.wait(after)
            run = self.chosen
            with progress.listening(self._heard):
                self._say(f"Training on {self.dataset.value}.")
                self.trained = laboratory.train(run, laboratory.split(run).train, self.device)
                self._say("Drawing.")
                self.pictures.children = [self._picture(draw) for draw in self.draw]
            chain = run.effective_inference.kernel
            told = f"{chain.alpha:g}, K = {chain.steps}"
            self._say(
                f"Drawn: {self.trained.demonstrations.name}, alpha = {told}, "
                f"{run.training.epochs} epochs."
            )
        except Stopped:
            self._say(f"Stopped at epoch {self.bar.value} of {self.bar.max}.")
        except EbmlibError as error:
            self._say(str(error))
        finally:
            self.train_button.disabled, self.stop_button.disabled = False, True

    def _picture(self, draw: Drawing) -> Any:
        import ipywidgets as widgets

        if self._stopping.is_set():
            raise Stopped
        assert self.trained is not None
        content = io.BytesIO()
        drawn = draw(self.trained)
        if isinstance(drawn, panels.LeftOut):
            return widgets.HTML(str(drawn))
        drawn.savefig(content, format="png")
        width = f"{round(drawn.get_figwidth() * 100)}px"
        return widgets.Image(value=content.getvalue(), format="png", layout={"max_width": width})
