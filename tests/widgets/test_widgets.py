"""The explorers from Python: traits, errors, pictures, and what a page must carry."""

from __future__ import annotations

import gzip
import io
import json
import re
from typing import Any

import pytest
import torch

from ebmlib import Demonstrations, EnergyConfig, EnergyModel, Run, execute, preset
from ebmlib.errors import InputError
from ebmlib.training.loop import TrainingResult
from ebmlib.training.presets import presets
from ebmlib.training.store import Trained

widgets = pytest.importorskip("ebmlib.widgets", reason="needs anywidget")
traitlets = pytest.importorskip("traitlets")

from ebmlib.widgets import ParticleExplorer, PolicySet, RolloutExplorer, bundle  # noqa: E402


def trained(run: Run, epochs: int = 2) -> Trained:
    """A run trained a little, as a store hands it out."""
    run = run.with_(epochs=epochs, sgld_dim=8)
    demonstrations = run.demonstrations()
    return Trained(run, execute(run, demonstrations), {}, loaded=False, given=demonstrations)


SMALL = {"z_dim": 4, "h_dim": 8, "sgld_K": 3}


@pytest.fixture(scope="module")
def policies() -> PolicySet:
    runs = [preset("circle").with_(**SMALL), preset("mouse1").with_(**SMALL)]
    return PolicySet(*map(trained, [*runs, runs[0].with_(sgld_K=5)]))


def test_a_policy_set_holds_data_once_and_weights_each(policies: PolicySet) -> None:
    assert [data["name"] for data in policies.datasets] == ["circle", "mouse1"]
    assert policies.trained_ks("circle") == [3, 5]
    weights = {p["network"]["layers"]["FCN[0]"]["weight"] for p in policies.policies}
    assert len(weights) == 3
    state = json.dumps(ParticleExplorer(policies).get_state(), default=str)
    assert not any(weight in state for weight in weights)  # a widget refers to the set


def test_what_cannot_be_shown_is_said_in_one_sentence(policies: PolicySet) -> None:
    run = preset("circle").with_(**SMALL)
    with pytest.raises(InputError, match="at least one"):
        PolicySet()
    with pytest.raises(InputError, match=r"K = 3 and alpha 0\.01; pass one"):
        PolicySet(trained(run), trained(run.with_(seed=1)))
    with pytest.raises(InputError, match="different demonstrations called circle"):
        PolicySet(trained(run), trained(run.with_(sigma=0.02, sgld_K=4)))
    with pytest.raises(InputError, match="only circle with K = 3, mouse1 with K = 3"):
        ParticleExplorer(policies, trained_k=77)
    line = Demonstrations.from_arrays([[[0.0], [1.0], [2.5]]], name="line")
    model = EnergyModel(EnergyConfig(), 1, 1, generator=torch.Generator())
    one = Trained(run, TrainingResult(model, {}), {}, loaded=False, given=line)
    with pytest.raises(InputError, match="2 dimensions, and line has 1"):
        PolicySet(one)


def test_particles_begin_with_the_policy_s_own_sampler(policies: PolicySet) -> None:
    explorer = ParticleExplorer(policies, trained_k=5)
    assert (explorer.alpha, explorer.k, explorer.step) == (0.01, 5, 5)
    path = policies.trained[0].demonstrations.trajectories[0]
    assert explorer.state == pytest.approx(path[len(path) // 4], abs=1e-4)
    assert ParticleExplorer(policies, k=8, step=2).step == 2
    assert ParticleExplorer(policies.trained[0]).policies.trained_ks("circle") == [3]


def test_policies_of_one_k_are_told_apart_by_their_noise_level() -> None:
    run = preset("circle").with_(**SMALL)
    both = PolicySet(trained(run), trained(run.with_(alpha=0.002)))
    assert both.trained_ks("circle") == [3]
    first, second = ParticleExplorer(both), ParticleExplorer(both, trained_alpha=0.002)
    assert (first.trained_alpha, first.alpha) == (0.01, 0.01)
    assert (second.trained_alpha, second.alpha) == (0.002, 0.002)
    assert first.trained is both.trained[0] and second.trained is both.trained[1]
    first.trained_alpha = 0.002
    assert first.trained is both.trained[1]
    assert both.of("circle", 3) is both.trained[0]


def test_another_data_set_brings_a_policy_that_it_has(policies: PolicySet) -> None:
    explorer = ParticleExplorer(policies, trained_k=5)
    explorer.dataset = "mouse1"
    assert explorer.trained_k == 3
    assert explorer.trained.demonstrations.name == "mouse1"
    with pytest.raises(traitlets.TraitError, match="circle, mouse1"):
        explorer.dataset = "mouse3"
    with pytest.raises(traitlets.TraitError, match="finite"):
        explorer.state = [0.0, float("nan")]
    for name, value in {"alpha": 0.0, "k": -1, "background": "red", "state": [1.0]}.items():
        with pytest.raises(traitlets.TraitError):
            setattr(explorer, name, value)


def test_pictures_and_their_words_follow_the_traits(policies: PolicySet) -> None:
    explorer = ParticleExplorer(policies)
    pictures = [explorer._png()[0]]
    for changes in (
        {"step": 9},
        {"background": "density"},
        {"where": "demonstrations"},
        {"dataset": "mouse1"},
        {"seed": 3},
    ):
        for name, value in changes.items():
            setattr(explorer, name, value)
        pictures.append(explorer._png()[0])
    assert len(set(pictures)) == len(pictures)
    assert all(png.startswith(b"\x89PNG") for png in pictures)
    words = explorer.description()
    assert "mouse1" in words
    assert "9 steps" in words
    rollouts = RolloutExplorer(policies, steps=3, population=2)
    exp = rollouts._png()[0]
    rollouts.estimate = "ML"
    assert rollouts._png()[0] != exp
    assert "ML" in rollouts.description()


def test_a_notebook_gets_the_picture_and_then_the_widget(
    policies: PolicySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("ebmlib.widgets.picture.display", lambda data, **_: shown.append(data))
    explorer = RolloutExplorer(policies, steps=3, population=2)
    explorer._ipython_display_()
    fallback, widget = shown
    assert set(fallback) == {"text/html", "text/plain"}
    image = r'<img alt="2 trajectories [^"]+" width="\d+" height="\d+" src="data:image/png'
    assert re.search(image, fallback["text/html"])
    assert widget["application/vnd.jupyter.widget-view+json"]["model_id"] == explorer.model_id
    assert widget["image/png"] in fallback["text/html"]


def test_a_page_of_both_widgets_and_eight_policies_stays_small() -> None:
    """Full-size networks, two for every data set, in the state that a page embeds."""
    from ipywidgets.embed import dependency_state, embed_data

    ready = []
    for run in presets().values():
        demonstrations = run.demonstrations()
        for k in (50, 100):
            model = EnergyModel(run.energy, 2, 2, generator=torch.Generator().manual_seed(k))
            changed = run.with_(sgld_K=k)
            ready.append(Trained(changed, TrainingResult(model, {}), {}, False, demonstrations))
    shared = PolicySet(*ready)
    views = [ParticleExplorer(shared), RolloutExplorer(shared)]
    ours = dependency_state(views, drop_defaults=False)  # not the widgets that other tests made
    state = json.dumps(embed_data(views=views, state=ours)["manager_state"])
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as file:
        file.write(state.encode())
    assert len(packed.getvalue()) < 2.5e6


def test_joined_modules_must_not_declare_a_name_twice(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\n\nexport const a = b + 1;\n')
    (tmp_path / "b.js").write_text("export const b = 1;\nconst inner = 2;\n")
    monkeypatch.setattr(bundle, "FOLDER", tmp_path)
    bundle.joined.cache_clear()
    text = bundle.module_source("a.js")
    assert text.index("const b = 1") < text.index("const a = b + 1")
    assert "import" not in text
    assert text.endswith("export { a };\n")
    (tmp_path / "a.js").write_text('import { b } from "./b.js";\nconst inner = b;\n')
    bundle.joined.cache_clear()
    with pytest.raises(ValueError, match=r"b\.js and a\.js both declare inner"):
        bundle.joined("a.js")
    bundle.joined.cache_clear()
