"""The recorder in JupyterLab: strokes reach Python, and what Python sets reaches the page."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import numpy as np
import pytest
from browser_support import run_script
from build_support import ROOT

from ebmlib.demonstrations.svg import read_svg

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


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Start JupyterLab on a notebook; the notebook's address."""
    cells = [nbformat.v4.new_code_cell(text) for text in CELLS]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), tmp_path / "draw.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "IPYTHONDIR": str(tmp_path / "ipython")}
    with (tmp_path / "lab.log").open("w") as log:
        process = subprocess.Popen(
            [str(LAB), "--no-browser", "--allow-root", f"--ServerApp.port={port}",
             "--IdentityProvider.token=", f"--ServerApp.root_dir={tmp_path}"],
            stdout=log, stderr=subprocess.STDOUT,
            env={**os.environ, **own, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=1)
                    break
                except OSError:
                    assert process.poll() is None, (tmp_path / "lab.log").read_text()
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/lab/tree/draw.ipynb"
        finally:
            process.terminate()
            process.wait(timeout=30)


def test_a_stroke_drawn_in_jupyterlab_reaches_python_and_back(lab: str, tmp_path: Path) -> None:
    hook = [(0.2, 0.8), (0.2, 0.3), (0.7, 0.3)]
    shots = ROOT / "build" / "screenshots"
    shots.mkdir(parents=True, exist_ok=True)
    shot = str(shots / "jupyterlab.png")
    told = run_script("lab.mjs", timeout=400, address=lab, mouse=hook, shot=shot)
    assert told["errors"] == []
    assert told["before"] == told["EMPTIED"] == "No stroke yet."
    assert told["drawn"].startswith("1 stroke,") and told["SAVED"] == told["drawn"]
    (stroke,), (clock,) = read_svg(tmp_path / "drawn.svg")
    assert clock is not None and (np.diff(clock) > 0).all()
    for end, share in ((0, hook[0]), (-1, hook[-1])):
        assert stroke[end] == pytest.approx(np.array(share) * (600, -576), abs=2)
