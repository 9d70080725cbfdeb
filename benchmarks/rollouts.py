"""How long the explorer's trajectories take, in Chromium.

    .venv/bin/python -m benchmarks.rollouts [--runs 3]

EXP, 150 actions, 16 chains for each, from the two starts that the explorer begins with, on networks
of the thesis's size (z 64, h 128) for circle (K = 100) and mouse1 (K = 256). Seconds from a change
to the first action drawn and to the end of all, the explorer's own delay of 0.25 s included, and
both as multiples of a reference taken in the same run: plain JavaScript for a thousandth of the
multiplications of one trajectory. The networks are trained for three updates only: the time depends
on their size and, by units that are 0, a little on their weights.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.measuring import provenance, warn_if_busy, write
from ebmlib import Store, preset
from workflow.node import NODE
from workflow.paths import FRONTEND, ROOT
from workflow.pdf import chromium

PAGE = """<!DOCTYPE html><html lang="en" data-content_root="./"><head><meta charset="utf-8">
<title>Rollouts</title><script src="_static/page-fixes.js"></script>
<script src="_static/vendor/require.js" defer></script>
<script src="_static/require-config.js" defer></script>
<script src="_static/vendor/html-manager/embed-amd.js" defer
  data-jupyter-widgets-cdn="./none/"></script></head><body><main>
<script type="application/vnd.jupyter.widget-view+json">{view}</script>
<script type="application/vnd.jupyter.widget-state+json">{state}</script></main></body></html>"""


def page(folder: Path) -> tuple[Path, list[tuple[str, int, float]]]:
    """A page with the explorer, and what can be chosen in it."""
    from ipywidgets.embed import embed_data

    from ebmlib.widgets import PolicySet, RolloutExplorer

    store = Store(folder / "store")
    runs = [preset(name).with_(epochs=3, sgld_dim=32) for name in ("circle", "mouse1")]
    trained = [store.train_or_load(run) for run in runs]
    explorer = RolloutExplorer(PolicySet(*trained), population=16, steps=150)
    data = embed_data(views=[explorer], drop_defaults=False)
    shutil.copytree(FRONTEND / "vendor", folder / "_static" / "vendor")
    for name in ("page-fixes.js", "require-config.js"):
        shutil.copy(ROOT / "book" / "assets" / name, folder / "_static")
    state = json.dumps(data["manager_state"]).replace("</", "<\\/")
    path = folder / "rollouts.html"
    path.write_text(PAGE.format(view=json.dumps(data["view_specs"][0]), state=state))
    kernels = [one.inference.kernel for one in trained]
    names = [one.demonstrations.name for one in trained]
    return path, [(name, k.steps, k.alpha) for name, k in zip(names, kernels, strict=True)]


def main() -> None:
    """Print and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    warn_if_busy()
    with tempfile.TemporaryDirectory() as name:
        path, choices = page(Path(name))
        wanted = {"address": path.as_uri(), "choices": choices, "runs": given.runs,
                  "chromium": chromium(), "modules": str(FRONTEND)}  # fmt: skip
        done = subprocess.run(
            [str(NODE), str(Path(__file__).with_name("rollouts.mjs"))],
            input=json.dumps(wanted), capture_output=True, text=True, check=True,
        )  # fmt: skip
    told = json.loads(done.stdout)
    results = {}
    for dataset, *_ in choices:
        rows = [row for row in told if row["dataset"] == dataset]
        results[dataset] = {
            "starts": rows[0]["starts"],
            **{f"{key} (s)": round(median(row[key] for row in rows), 3)
               for key in ("first", "all")},
            **{f"{key} / reference": round(median(row[key] / row["reference"] for row in rows), 1)
               for key in ("first", "all")},
        }  # fmt: skip
        print(dataset, results[dataset])
    write("rollouts", {**provenance(), "settings": {"runs": given.runs}, "results": results})


if __name__ == "__main__":
    main()
