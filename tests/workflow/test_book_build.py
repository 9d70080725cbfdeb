"""The built book: complete, served from itself alone, described for who cannot see it."""

from __future__ import annotations

import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from browser_support import assert_clean, run_script
from build_support import ROOT

from workflow import chapters, stage

ELSEWHERE = re.compile(r"^\s*(https?:)?//", re.IGNORECASE)
# What a browser fetches by itself, by tag: the attributes that say from where.
FETCHED = {
    "script": ("src",), "img": ("src", "srcset"), "source": ("src", "srcset"), "iframe": ("src",),
    "video": ("src", "poster"), "audio": ("src",), "embed": ("src",), "object": ("data",),
    "input": ("src",), "track": ("src",), "image": ("href", "xlink:href"), "use": ("href",),
}  # fmt: skip
FETCHING_LINKS = {
    "stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload",
    "manifest", "apple-touch-icon",
}  # fmt: skip


class Page(HTMLParser):
    """What a page fetches, and its images without a description."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.without_alt: list[str] = []
        self.images = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Collect from one tag."""
        given = {name: value or "" for name, value in attributes}
        self.fetched += [given[name] for name in FETCHED.get(tag, ()) if name in given]
        if tag == "link" and FETCHING_LINKS & set(given.get("rel", "").lower().split()):
            self.fetched.append(given.get("href", ""))
        self.fetched += re.findall(r"url\(\s*['\"]?([^'\")]+)", given.get("style", ""))
        if tag == "img":
            self.images += 1
            described = given.get("alt", "").strip()
            # Sphinx falls back on the file name, which describes nothing.
            if len(described) < 15 or described.startswith("_images/"):
                self.without_alt.append(given.get("src", ""))


def pages(book: Path) -> list[Path]:
    found = [path for path in book.rglob("*.html") if "_static" not in path.parts]
    assert len(found) > len(stage.toc_pages())
    return found


def test_every_page_of_the_contents_is_built(smoke_book: Path) -> None:
    for page in stage.toc_pages():
        assert (smoke_book / f"{page}.html").is_file(), page
    assert "book/intro.html" in (smoke_book / "index.html").read_text()


def test_every_image_is_described(smoke_book: Path) -> None:
    seen = 0
    for path in pages(smoke_book):
        page = Page(path)
        seen += page.images
        assert not page.without_alt, f"{path.name}: no alternative text for {page.without_alt}"
    assert seen >= 5  # the datasets and the circle chapter


def test_no_page_fetches_from_elsewhere(smoke_book: Path) -> None:
    by_page = {path.name: Page(path).fetched for path in pages(smoke_book)}
    assert all(by_page[f"{page.rpartition('/')[2]}.html"] for page in stage.toc_pages())
    for name, fetched in by_page.items():
        assert not [address for address in fetched if ELSEWHERE.match(address)], name
    for path in smoke_book.rglob("*.css"):
        text = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        addresses = re.findall(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)", text)
        assert not [a for pair in addresses for a in pair if ELSEWHERE.match(a)], path.name


def test_what_a_page_fetches_is_in_the_book(smoke_book: Path) -> None:
    for path in pages(smoke_book):
        for address in Page(path).fetched:
            place = re.split(r"[?#]", address)[0]
            if place and not place.startswith("data:"):
                assert (path.parent / place).exists(), f"{path.name} fetches {address}"


def test_a_page_of_text_is_light_and_nothing_holds_up_its_first_paint(smoke_book: Path) -> None:
    """What Lighthouse measures as time, in bytes: scripts, style and page, compressed."""
    # Pages with widgets.
    heavy = {f"book/{name}.html" for name in ("explore", "draw", "lab")}
    for path in pages(smoke_book):
        text = path.read_text(encoding="utf-8")
        for script in re.findall(r"<script\b[^>]*\bsrc=[^>]*>", text):
            assert "defer" in script, f"{path.name}: {script}"
        if path.relative_to(smoke_book).as_posix() in heavy or path.parent == smoke_book:
            continue
        fetched = {path.parent / re.split("[?#]", address)[0] for address in Page(path).fetched}
        parts = [path, *(place for place in fetched if place.suffix in (".js", ".css"))]
        size = sum(len(gzip.compress(part.read_bytes())) for part in parts)
        assert size < 120_000, f"{path.name} brings {size} bytes before its pictures"


def test_every_chapter_can_be_downloaded_as_an_executed_notebook(smoke_book: Path) -> None:
    for chapter in chapters.load():
        path = smoke_book / "_sources" / f"{chapter.page}.ipynb"
        notebook = json.loads(path.read_text(encoding="utf-8"))
        assert "./run_all.sh setup" in "".join(notebook["cells"][0]["source"])
        cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
        assert all(cell["execution_count"] for cell in cells if cell["source"])
        assert any(cell["outputs"] for cell in cells)
        assert notebook["metadata"]["ebmlib"]["profile"] == "smoke"
        assert str(ROOT) not in path.read_text(encoding="utf-8")
        streams = [o for cell in cells for o in cell["outputs"] if o.get("name") == "stderr"]
        assert not streams, f"{chapter.name} complains: {streams}"


def test_the_reference_has_an_index_and_shows_sources(smoke_book: Path) -> None:
    index = (smoke_book / "genindex.html").read_text(encoding="utf-8")
    page = (smoke_book / "book/reference/sampling.html").read_text(encoding="utf-8")
    for name in ("SGLD", "MALA", "run_chain"):
        assert f"ebmlib.{name}" in index, name
        assert f'id="ebmlib.{name}"' in page, name
    assert re.search(r'href="[./]*_modules/ebmlib/sampling/sgld\.html#SGLD"', page)
    assert (smoke_book / "_modules/ebmlib/sampling/sgld.html").is_file()


def test_words_of_the_glossary_and_citations_lead_there_and_back(smoke_book: Path) -> None:
    page = (smoke_book / "book/foundations/sgld.html").read_text(encoding="utf-8")
    glossary = (smoke_book / "book/glossary.html").read_text(encoding="utf-8")
    anchors = re.findall(r'glossary-word[^>]*href="[^"]*glossary\.html#([^"]+)"', page)
    assert len(anchors) >= 5
    assert all(f'id="{anchor}"' in glossary for anchor in anchors), anchors
    entries = (smoke_book / "book/bibliography.html").read_text(encoding="utf-8")
    assert entries.count('class="cited-in"') == entries.count('role="doc-biblioentry"') > 40


def test_a_downloaded_notebook_runs_in_the_projects_folder(
    smoke_book: Path, tmp_path: Path
) -> None:
    import papermill

    loaded, run = smoke_book / "_sources/book/map.ipynb", tmp_path / "map.ipynb"
    papermill.execute_notebook(
        str(loaded), str(run), cwd=str(ROOT), kernel_name="python3", progress_bar=False
    )
    assert "thesis 4.3.3" in run.read_text(encoding="utf-8")


# --- in a browser -----------------------------------------------------------------------------


def visit(addresses: list[str], **wishes: Any) -> list[dict[str, Any]]:
    """Visit pages in Chromium; what each of them did."""
    told: list[dict[str, Any]] = run_script("visit.mjs", timeout=300, pages=addresses, **wishes)
    assert len(told) == len(addresses)
    return told


def names(book: Path) -> list[str]:
    return [path.relative_to(book).as_posix() for path in pages(book)]


@pytest.mark.browser
@pytest.mark.parametrize("way", ["http", "file"])
def test_no_request_leaves_the_book_and_the_console_is_clean(
    smoke_book: Path, served: str, way: str
) -> None:
    top = served if way == "http" else f"file://{smoke_book}/"
    for page in visit([top + name for name in [*names(smoke_book), "search.html?q=energy"]]):
        assert_clean(page, top)
        assert not page["broken"] and not page["unrendered"], page


@pytest.mark.browser
def test_equations_are_set_without_scripts(smoke_book: Path) -> None:
    (page,) = visit([f"file://{smoke_book}/book/introduction.html"], javascript=False)
    assert page["math"] > 5 and not page["unrendered"]
    assert not page["errors"]


MAIN = ("intro", "introduction", "experiments/circle", "explore", "draw")


@pytest.mark.browser
@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, False), (1280, True)])
def test_pages_fit_every_screen_and_mode(smoke_book: Path, width: int, dark: bool) -> None:
    """Pictures of the main pages stay in build/screenshots."""
    shots = ROOT / "build" / "screenshots" / f"{width}-{'dark' if dark else 'light'}"
    shots.mkdir(parents=True, exist_ok=True)
    top = f"file://{smoke_book}"
    wanted = {
        f"{top}/book/{name}.html": str(shots / f"{name.replace('/', '-')}.png") for name in MAIN
    }
    addresses = [f"{top}/{page}.html" for page in stage.toc_pages()]
    several = 0
    for page in visit(addresses, width=width, dark=dark, screenshots=wanted):
        assert not page["tooWide"], page["address"]
        assert page["dark"] == dark, page["address"]
        for panel in page["panels"]:  # text of 13 px must not fall below 9
            assert panel["reached"] and 0.65 < panel["shown"] < 1.01, (page["address"], panel)
        several += len(page["panels"])
    assert several > 20
    assert all(Path(place).stat().st_size > 10_000 for place in wanted.values())
