"""The explorers in Chromium, on a page without a kernel."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import pytest
import torch
from browser_support import assert_clean, run_script, serving
from build_support import ROOT
from ipywidgets.embed import embed_data

from ebmlib import EXP, SGLD, Store, preset, rollout, seeding
from ebmlib.evaluation.gaussian import noise_floor
from ebmlib.evaluation.metrics import distance_to_polyline
from workflow.paths import FRONTEND

widgets = pytest.importorskip("ebmlib.widgets", reason="needs anywidget")
demonstrated_near = pytest.importorskip("ebmlib.widgets.sgld").demonstrated_near

SHOTS = ROOT / "build" / "screenshots"
Use = Callable[..., dict[str, Any]]

pytestmark = pytest.mark.browser

PAGE = """<!DOCTYPE html>
<html lang="en" data-content_root="./"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Explorers</title>
<link rel="icon" href="data:,">
<script src="_static/page-fixes.js"></script>
<script src="_static/vendor/require.js" defer></script>
<script src="_static/require-config.js" defer></script>
<script src="_static/vendor/html-manager/embed-amd.js" defer
  data-jupyter-widgets-cdn="./none/"></script>
<style>body {{ font: 16px/1.5 sans-serif; margin: 0 auto; max-width: 48rem; padding: 0 1rem }}
html[data-theme="dark"] body {{ background: #121212; color: #ddd }}</style></head>
<body><main><h1>Explorers</h1>{body}
<script type="application/vnd.jupyter.widget-state+json">{state}</script></main></body></html>
"""


class Built:
    """The page, and the Python objects that it was made of."""

    def __init__(self, folder: Path) -> None:
        small = {"z_dim": 16, "h_dim": 32, "epochs": 150, "lr": 0.003, "sgld_dim": 128}
        store = Store(folder / "store")
        circle, mouse1 = (preset(name).with_(**small, sgld_K=30) for name in ("circle", "mouse1"))
        self.trained = [
            store.train_or_load(run)
            for run in (circle, circle.with_(sgld_K=50), mouse1, mouse1.with_(alpha=0.004))
        ]
        self.policies = widgets.PolicySet(*self.trained)
        self.particles = widgets.ParticleExplorer(self.policies)
        self.rollouts = widgets.RolloutExplorer(self.policies, steps=40, population=8)
        alpha = ipywidgets.FloatLogSlider(value=0.01, min=-3, max=-1, description="linked alpha")
        steps = ipywidgets.IntSlider(value=30, min=0, max=200, description="linked K")
        ipywidgets.jslink((alpha, "value"), (self.particles, "alpha"))
        ipywidgets.jslink((steps, "value"), (self.particles, "k"))
        views = [self.particles, self.rollouts, alpha, steps]
        data = embed_data(views=views, drop_defaults=False)
        shutil.copytree(FRONTEND / "vendor", folder / "_static" / "vendor")
        for name in ("page-fixes.js", "require-config.js"):
            shutil.copy(ROOT / "book" / "assets" / name, folder / "_static")
        body = "".join(
            f'{picture}<script type="application/vnd.jupyter.widget-view+json">{json.dumps(view)}'
            "</script>"
            for picture, view in zip(
                [self.particles.fallback(), self.rollouts.fallback(), "", ""],
                data["view_specs"],
                strict=True,
            )
        )
        self.state = json.dumps(data["manager_state"]).replace("</", "<\\/")
        self.page = folder / "explorers.html"
        self.page.write_text(PAGE.format(body=body, state=self.state), encoding="utf-8")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def served(built: Built) -> Iterator[str]:
    with serving(built.page.parent) as address:
        yield address


@pytest.fixture
def use(built: Built, served: str) -> Use:
    """Do the steps of explore.mjs on the page; nothing may go wrong on it, whatever they are."""

    def run(*steps: dict[str, Any], http: bool = False, **options: Any) -> dict[str, Any]:
        site = f"{built.page.parent.as_uri()}/"
        address = f"{served if http else site}explorers.html"
        told: dict[str, Any] = run_script(
            "explore.mjs", timeout=900, address=address, steps=steps, **options
        )
        assert_clean(told, site, served)
        return told

    return run


SETTLE: dict[str, Any] = {"settle": True}


def look(label: str) -> dict[str, str]:
    return {"look": label}


@pytest.mark.parametrize("http", [False, True])
def test_both_widgets_run_in_a_worker(use: Use, http: bool) -> None:
    told = use(
        SETTLE, look("particles"), {"widget": "rollouts"}, SETTLE, look("rollouts"), http=http
    )
    for name in ("particles", "rollouts"):
        assert told["looks"][name]["engine"] == "worker"
        assert told["looks"][name]["overflow"] <= 0
    assert len(told["looks"]["rollouts"]["traits"]["trajectories"]) == 2


def test_numbers_agree_with_the_library(use: Use, built: Built) -> None:
    """What the page tells against 6,000 particles of the library, within standard errors."""
    looks = use(
        SETTLE,
        look("one"),
        {"radio": "all along"},
        SETTLE,
        look("along"),
        {"radio": "one state"},
        {"slider": "noise level α", "to": -180},
        {"slider": "steps K", "to": 60},
        SETTLE,
        look("hot"),
    )["looks"]
    trained = built.trained[0]
    for name, alpha, k in (("one", 0.01, 30), ("hot", 0.0158, 60)):
        traits = looks[name]["traits"]
        assert (traits["alpha"], traits["k"], traits["step"]) == (alpha, k, k)
        n, sampler = 6000, SGLD(alpha=alpha, steps=k)
        states = torch.tensor([traits["state"]]).expand(n, 2)
        source = seeding.generator(1, "test")
        chain = sampler.chain(
            trained.model.score(states),
            sampler.start(n, 2, generator=source),
            generator=source,
            length=True,
        )
        energy = -trained.model(states, chain.actions).detach()
        shown, count = traits["numbers"], len(traits["actions"]) // 2
        assert count == 300

        def close(found: float, values: torch.Tensor, count: int = count) -> bool:
            tolerance = 5 * float(values.std()) * (1 / count + 1 / len(values)) ** 0.5
            return abs(found - float(values.mean())) < tolerance

        assert close(shown["mean_energy"], energy)
        assert close(shown["r_over_floor"], chain.mean_step / noise_floor(alpha, 2))
        found = np.reshape(traits["actions"], (-1, 2))
        for i in (0, 1):
            assert close(found[:, i].mean(), chain.actions[:, i])
        # and to the last digit on the particles themselves
        x = torch.tensor([traits["state"]]).expand(count, 2)
        exact = -trained.model(x, torch.tensor(found, dtype=torch.float32)).detach().mean()
        assert shown["mean_energy"] == pytest.approx(float(exact), abs=1e-4)
        near = demonstrated_near(trained.demonstrations, traits["state"]).mean(axis=0)
        distance = np.linalg.norm(found.mean(axis=0) - near)
        assert shown["distance"] == pytest.approx(distance, abs=1e-6)
    along = looks["along"]["traits"]
    assert len(along["actions"]) == 600
    # one action per state of the circle: their mean is near 0, that of one state is a step away
    one = np.reshape(looks["one"]["traits"]["actions"], (-1, 2)).mean(axis=0)
    assert np.linalg.norm(np.reshape(along["actions"], (-1, 2)).mean(axis=0)) < 0.01
    assert np.linalg.norm(one) > 0.02


def test_every_control_changes_the_picture(use: Use) -> None:
    changes = [
        {"slider": "noise level α", "to": -170},
        {"slider": "steps K", "to": 45},
        {"select": "policy trained with K", "to": "50"},
        {"number": "seed", "to": 7},
        {"press": "Another seed"},
        {"radio": "density"},
        {"radio": "none"},
        {"radio": "all along"},
        {"radio": "one state"},
        {"tick": "trails"},
        {"press": "Step"},
        {"press": "Restart"},
        {"drag": [40, 25]},
        {"keys": ["ArrowRight", "Shift+ArrowDown"], "on": ".ebm-handle"},
        {"click": [0.4, 0.4]},
        {"select": "demonstrations", "to": "mouse1"},
    ]
    steps: list[dict[str, Any]] = [SETTLE, look("0")]
    for number, change in enumerate(changes, 1):
        steps += [change, SETTLE, look(str(number))]
    looks = use(*steps)["looks"]
    pictures = [looks[str(number)]["pictures"] for number in range(len(changes) + 1)]
    for number, change in enumerate(changes, 1):
        assert pictures[number] != pictures[number - 1], change
    last = looks[str(len(changes))]["traits"]
    assert (last["dataset"], last["trained_k"], last["k"], last["step"]) == ("mouse1", 30, 30, 30)
    moved = [looks[str(n)]["traits"]["state"] for n in (12, 13, 14, 15)]
    assert moved[1][0] > moved[0][0]  # dragged to the right and down
    assert moved[1][1] < moved[0][1]
    assert moved[2][0] > moved[1][0]  # arrow keys, the same
    assert moved[2][1] < moved[1][1]
    assert moved[3] != moved[2]
    assert looks["11"]["traits"]["k"] == 46  # a step past the end makes the chain longer
    assert looks["12"]["traits"]["step"] == 0


def test_a_policy_brings_the_noise_level_it_was_trained_with(use: Use) -> None:
    told = use(
        {"select": "demonstrations", "to": "mouse1"}, SETTLE, look("first"),
        {"select": "policy trained with K", "to": "30, at α 0.004"}, SETTLE, look("second"),
    )  # fmt: skip
    first, second = (told["looks"][name] for name in ("first", "second"))
    assert [shown["traits"]["alpha"] for shown in (first, second)] == [0.01, 0.004]
    assert first["traits"]["numbers"] != second["traits"]["numbers"]
    assert first["pictures"] != second["pictures"]


def test_the_same_settings_show_the_same_picture(use: Use) -> None:
    """The K slider goes through one and the same chain; a restarted one repeats it."""
    looks = use(
        SETTLE,
        look("30"),
        {"slider": "steps K", "to": 60},
        SETTLE,
        look("60"),
        {"slider": "steps K", "to": 30},
        SETTLE,
        look("30 again"),
        {"number": "seed", "to": 1},
        SETTLE,
        {"number": "seed", "to": 0},
        SETTLE,
        look("30 afresh"),
    )["looks"]
    assert looks["30"]["pictures"] != looks["60"]["pictures"]
    for name in ("30 again", "30 afresh"):
        assert looks[name]["pictures"] == looks["30"]["pictures"]
        assert looks[name]["traits"]["actions"] == looks["30"]["traits"]["actions"]


def test_answers_that_come_too_late_are_dropped(use: Use) -> None:
    looks = use(SETTLE, look("before"), {"stale": 9}, look("after"))["looks"]
    assert looks["after"]["pictures"] == looks["before"]["pictures"]


def test_play_goes_to_the_end(use: Use) -> None:
    looks = use(
        SETTLE, {"press": "Restart"}, SETTLE, look("start"), {"press": "Play"}, SETTLE, look("end")
    )["looks"]
    start, end = looks["start"]["traits"], looks["end"]["traits"]
    assert (start["step"], start["numbers"]["r_over_floor"]) == (0, None)
    assert (end["step"], end["playing"]) == (30, False)
    still = use(SETTLE, {"press": "Restart"}, {"press": "Play"}, look("end"), still=True)
    assert still["looks"]["end"]["traits"]["step"] == 30  # at once: no movement is wanted


def test_linked_sliders_drive_the_widget(use: Use) -> None:
    """Sliders of ipywidgets, joined by jslink, moved with the keyboard."""
    looks = use(
        SETTLE,
        look("before"),
        {"keys": ["ArrowRight"], "on": ".noUi-handle", "outside": 0},
        SETTLE,
        look("alpha"),
        {"keys": ["ArrowRight"], "on": ".noUi-handle", "outside": 1},
        SETTLE,
        look("k"),
    )["looks"]
    before, alpha, k = (looks[name]["traits"] for name in ("before", "alpha", "k"))
    assert alpha["alpha"] > before["alpha"]
    assert (before["k"], k["k"], k["step"]) == (30, 31, 31)
    assert looks["k"]["pictures"] != looks["alpha"]["pictures"] != looks["before"]["pictures"]


def test_without_workers_the_page_computes_the_same(use: Use) -> None:
    steps = (SETTLE, {"slider": "steps K", "to": 50}, SETTLE, look("end"))
    worker, page = (use(*steps, workers=w)["looks"]["end"] for w in (True, False))
    assert (worker["engine"], page["engine"]) == ("worker", "page")
    assert page["traits"]["actions"] == worker["traits"]["actions"]
    assert page["traits"]["numbers"] == worker["traits"]["numbers"]


def test_trajectories_start_where_the_reader_clicks(use: Use, built: Built) -> None:
    looks = use(
        {"widget": "rollouts"},
        SETTLE,
        look("before"),
        {"press": "Clear"},
        SETTLE,
        look("clear"),
        {"click": [0.62, 0.4]},
        SETTLE,
        look("one"),
        {"keys": ["ArrowLeft", "ArrowLeft", "Enter"], "on": ".ebm-handle"},
        SETTLE,
        look("two"),
        {"press": "Start here"},
        SETTLE,
        look("three"),
        {"radio": "ML"},
        SETTLE,
        look("ML"),
    )["looks"]
    assert len(looks["before"]["traits"]["trajectories"]) == 2
    assert looks["clear"]["traits"]["trajectories"] == []
    one, two = looks["one"]["traits"], looks["two"]["traits"]
    assert [len(t) for t in two["trajectories"]] == [41, 41]
    assert two["trajectories"][0] == one["trajectories"][0]  # a new start leaves the others alone
    assert two["trajectories"][1][0] == two["starts"][1]
    assert two["starts"][1][0] < two["starts"][0][0]
    again = looks["three"]["traits"]  # at the same place, with noise of its own
    assert again["starts"][2] == again["starts"][1]
    assert again["trajectories"][2] != again["trajectories"][1]
    assert looks["ML"]["traits"]["trajectories"][0] != two["trajectories"][0]
    assert len({json.dumps(seen["pictures"]) for seen in looks.values()}) == 6
    # the library from the same starts: the same distances to the demonstrations, noise apart
    trained = built.trained[0]
    policy = EXP(trained.model, SGLD(alpha=0.01, steps=30), population=8)
    starts = torch.tensor(two["starts"]).repeat_interleave(20, dim=0)
    sampled = rollout(policy, starts, 40, generator=seeding.generator(0, "test")).states
    for number, found in enumerate(two["trajectories"]):
        ends = sampled[20 * number : 20 * number + 20, -1].numpy()
        spread = np.linalg.norm(ends.std(axis=0)) + 1e-3
        assert np.linalg.norm(ends.mean(axis=0) - found[-1]) < 5 * spread
    shown = two["numbers"]
    distances = np.stack(
        [distance_to_polyline(np.array(two["trajectories"][1]), x)
         for x in trained.demonstrations.trajectories]
    ).min(axis=0)  # fmt: skip
    assert shown["mean_distance"] == pytest.approx(distances.mean(), abs=1e-4)
    assert shown["end_distance"] == pytest.approx(distances[-1], abs=1e-4)


@pytest.mark.parametrize("widget", ["particles", "rollouts"])
def test_axe_finds_nothing_in_either_mode(use: Use, widget: str) -> None:
    told = use(
        {"widget": widget},
        SETTLE,
        {"axe": "light"},
        look("light"),
        {"theme": "dark"},
        {"axe": "dark"},
        look("dark"),
        {"theme": "light"},
        look("light again"),
    )
    assert told["axe"] == {"light": [], "dark": []}
    looks = told["looks"]
    assert [looks[n]["mode"] for n in looks] == ["light", "dark", "light"]
    assert looks["dark"]["pictures"] != looks["light"]["pictures"]
    assert looks["light again"]["pictures"] == looks["light"]["pictures"]


def test_the_system_s_dark_mode_is_followed(use: Use) -> None:
    assert use(SETTLE, look("dark"), dark=True)["looks"]["dark"]["mode"] == "dark"


def test_every_control_is_reached_by_keyboard(use: Use) -> None:
    told = use(SETTLE, {"keys": [], "on": ".ebm-handle"}, {"tab": 12})
    reached = [re.sub(r"\s+", " ", name) for name in told["stops"]]
    assert reached == [
        "Play",
        "Step",
        "Restart",
        "noise level α",
        "steps K",
        "one state",
        "energy",
        "demonstrations",
        "policy trained with K",
        "seed",
        "Another seed",
        "trails",
    ]


def test_phone_width_and_pictures_of_the_page(use: Use) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    rollouts = [{"widget": "rollouts"}, SETTLE]
    for name, options in {
        "light": {},
        "dark": {"dark": True},
        "phone": {"width": 360},
    }.items():
        told = use(
            SETTLE,
            look("particles"),
            *rollouts,
            look("rollouts"),
            {"shoot": str(SHOTS / f"explorers-{name}.png")},
            **options,
        )
        for seen in told["looks"].values():
            assert seen["overflow"] <= 0


def test_print_and_pages_without_scripts_show_a_picture(use: Use) -> None:
    screen = use(SETTLE)["visible"]
    assert [shown for kind, shown, _ in screen if kind == "ebm"] == [True, True]
    assert [shown for kind, shown, _ in screen if kind == "ebmlib-picture"] == [False, False]
    printed = use(SETTLE, {"media": "print"})["visible"]
    assert [shown for kind, shown, _ in printed if kind == "ebm"] == [False, False]
    pictures = [(shown, width) for kind, shown, width in printed if kind == "ebmlib-picture"]
    assert all(shown and width > 300 for shown, width in pictures)
    assert len(pictures) == 2
    bare = use(javascript=False)["visible"]
    assert [(kind, shown) for kind, shown, _ in bare] == [("ebmlib-picture", True)] * 2


def test_weights_are_on_the_page_once(built: Built) -> None:
    for policy in built.policies.policies:
        weight = policy["network"]["layers"]["FCN[1]"]["weight"]
        assert built.state.count(weight) == 1
