"""Live in JupyterLab: the recorder, "Run all" on a downloaded page, sliders that train and draw."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
import numpy as np
import pytest
from browser_support import run_script
from build_support import ROOT

from ebmlib.demonstrations.svg import read_svg
from workflow import chapters, execute

PLACES = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
LAB = shutil.which("jupyter-lab", path=PLACES)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(LAB is None, reason="no JupyterLab: pip install -e '.[lab]' brings it"),
]
CELLS = (
    "from ebmlib.widgets import DrawingRecorder\nrecorder = DrawingRecorder()\nrecorder",
    "recorder.save_svg('drawn.svg')\nprint('SAVED')",
    "recorder.strokes = []\nprint('EMPTIED')",
)


@contextmanager
def jupyterlab(folder: Path, *options: str) -> Iterator[str]:
    """JupyterLab on a folder; the address to which the name of a notebook is added."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"JUPYTER_CONFIG_DIR": str(folder / "config"), "IPYTHONDIR": str(folder / "ipython")}
    # A kernel of the Python that the tests run with, whatever else is registered on this machine.
    kernel = folder / "data" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    about = {"argv": command, "display_name": "Python 3", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(about))
    own["JUPYTER_DATA_DIR"] = str(folder / "data")
    with (folder / "lab.log").open("w") as log:
        process = subprocess.Popen(
            [str(LAB), "--no-browser", "--allow-root", f"--ServerApp.port={port}",
             "--IdentityProvider.token=", f"--ServerApp.root_dir={folder}", *options],
            stdout=log, stderr=subprocess.STDOUT,
            env={**os.environ, **own, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=1)
                    break
                except OSError:
                    assert process.poll() is None, (folder / "lab.log").read_text()
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/lab/tree/"
        finally:
            process.terminate()
            process.wait(timeout=30)


def shot(name: str) -> str:
    """Where a picture of the page goes."""
    shots = ROOT / "build" / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    return str(shots / f"{name}.png")


def test_a_stroke_drawn_in_jupyterlab_reaches_python_and_back(tmp_path: Path) -> None:
    cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "draw.ipynb")
    hook = [(0.2, 0.8), (0.2, 0.3), (0.7, 0.3)]
    with jupyterlab(tmp_path) as lab:
        told = run_script("lab.mjs", timeout=400, address=f"{lab}draw.ipynb", mouse=hook,
                          shot=shot("jupyterlab"))  # fmt: skip
    assert told["errors"] == []
    assert told["before"] == told["EMPTIED"] == "No stroke yet."
    assert told["drawn"].startswith("1 stroke,") and told["SAVED"] == told["drawn"]
    (stroke,), (clock,) = read_svg(tmp_path / "drawn.svg")
    assert clock is not None and (np.diff(clock) > 0).all()
    for end, share in ((0, hook[0]), (-1, hook[-1])):
        assert stroke[end] == pytest.approx(np.array(share) * (600, -576), abs=2)


def downloaded(name: str, folder: Path, **values: str) -> None:
    """The notebook that a page offers for download, tiny, in a folder that is not the project's."""
    notebook = execute.prepare(chapters.load()[name])
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            given = {"profile": "smoke", "device": "cpu", **values}
            cell.source += "".join(f"\n{key} = {value!r}" for key, value in given.items())
    nbformat.write(notebook, folder / f"{name}.ipynb")


def test_run_all_on_a_downloaded_page_and_its_sliders(tmp_path: Path) -> None:
    downloaded("lab", tmp_path)
    with jupyterlab(tmp_path, "--LabApp.expose_app_in_browser=True") as lab:
        told = run_script("run_all.mjs", timeout=580, address=f"{lab}lab.ipynb", sliders=True,
                          shot=shot("sliders"))  # fmt: skip
    assert told["failed"] == [] and told["run"] == told["cells"] > 10, told
    assert told["first"].startswith("Choose, then press")
    assert float(told["readouts"][0]) > 0.01 and told["readouts"][1] == "17"  # K was 20, tiny
    alpha = re.fullmatch(r"Drawn: circle, alpha = ([\d.]+), K = 17, 20 epochs\.", told["drawn"])
    assert alpha and float(alpha[1]) == pytest.approx(float(told["readouts"][0]), abs=1e-4), told
    assert told["pictures"] == 2
    assert told["training"].startswith("Training: epoch") and "of 3000" in told["stopped"]
    assert told["stopped"].startswith("Stopped at epoch") and told["errors"] == []
