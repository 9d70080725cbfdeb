"""Sliders that train and draw again: what the buttons do, without a page."""

from __future__ import annotations

import pytest

from ebmlib import progress
from ebmlib.training.presets import preset
from ebmlib.training.store import Store
from thesis import laboratory
from thesis.figures.controls import Controls
from thesis.runs import tiny


@pytest.fixture
def controls() -> Controls:
    return Controls(tiny(preset("circle")))


@pytest.mark.slow
def test_the_button_trains_at_the_sliders_values_and_draws(controls: Controls) -> None:
    controls.alpha.value, controls.K.value, controls.epochs.value = 0.02, 7, 9
    controls.dataset.value = "path1"
    controls.start()
    controls.start()  # nothing: one is at work
    assert controls.wait(120)
    assert controls.trained is not None and len(controls.trained.history["loss"]) == 9
    run = controls.trained.run
    assert (run.data.source, run.sampler.alpha, run.sampler.steps) == ("path1", 0.02, 7)
    assert controls.status.value == "Drawn: path1, alpha = 0.02, K = 7, 9 epochs."
    assert [picture.value[:4] for picture in controls.pictures.children] == [b"\x89PNG"] * 2
    assert (controls.bar.value, controls.bar.max) == (9, 9)
    assert controls.stop_button.disabled and not controls.train_button.disabled
    assert len(Store().keys()) == 1  # as the page itself trains it


@pytest.mark.parametrize("objective", ["contrastive-divergence", "nce"])
def test_actions_are_drawn_with_the_chain_that_the_sliders_say(objective: str) -> None:
    controls = Controls(laboratory.run_of("circle", objective=objective, policy="ml", K=20))
    controls.alpha.value, controls.K.value = 0.02, 7
    chosen = controls.chosen
    assert (chosen.effective_inference.kernel.alpha, chosen.effective_inference.kernel.steps) == (
        0.02,
        7,
    )
    assert chosen.effective_inference.estimate == "ml"


def test_what_is_stopped_is_not_drawn_and_goes_on(controls: Controls) -> None:
    controls.epochs.value = 3000
    waited = []

    def see(change: dict[str, object]) -> None:
        waited.append(change["new"])
        if change["new"] == 5:
            controls.stop()

    controls.bar.observe(see, "value")
    controls.start()
    assert controls.wait(120)
    assert controls.status.value == "Stopped at epoch 5 of 3000." and controls.trained is None
    assert max(waited) == 5 and not Store().keys()
    controls.bar.unobserve_all()
    controls.epochs.value = 12
    controls.start()
    assert controls.wait(120)
    assert controls.status.value.startswith("Drawn: circle")
    whole = laboratory.train(controls.chosen, laboratory.split(controls.chosen).train, "cpu")
    assert whole.history["loss"] == controls.trained.history["loss"]


def test_a_value_that_cannot_be_is_one_sentence(controls: Controls) -> None:
    controls.dataset.options = [*controls.dataset.options, "missing.svg"]
    controls.dataset.value = "missing.svg"
    controls.start()
    assert controls.wait(60)
    assert "missing.svg" in controls.status.value and not controls.train_button.disabled


def test_a_listener_hears_its_own_work_alone() -> None:
    heard: list[tuple[int, int, str]] = []
    with (
        progress.listening(lambda *told: heard.append(told)),
        progress.Progress("one", 3) as work,
    ):
        work.update(2)
    with progress.Progress("two", 3) as work:
        work.update(1)
    assert heard == [(2, 3, "epoch")]
