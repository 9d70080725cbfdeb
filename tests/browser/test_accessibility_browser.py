"""axe-core finds nothing on any page of the built book, in light and in dark mode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser_support import assert_clean, run_script

pytestmark = pytest.mark.browser


def look(addresses: list[str], mode: str, width: int = 1280) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = run_script(
        "axe.mjs", timeout=900, pages=addresses, modes=[mode], width=width
    )
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
        if "_static" not in path.parts
        and path != smoke_book / "index.html"
        # Pages of the library's source are all alike.
        and ("_modules" not in path.parts or path.stem in ("index", "errors"))
    ]
    assert names
    pages = look([top + name for name in names], mode, width)
    for page in pages:
        assert page["mode"] == mode
        assert page["passes"] > 20  # axe has looked at something
        assert_clean(page, top)
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
