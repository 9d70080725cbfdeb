"""Make the rendered pages light enough for a telephone on a slow line.

The theme gives every page 1.5 MB of icons, 400 kB of style and a dozen scripts that hold up the
first paint, and Sphinx leaves the setting of equations to the reader's browser, with 1.2 MB more.
What is the same for every reader is done here, once:

- equations are set by MathJax, the fonts stay;
- icons become the outlines that are used, in the page;
- style sheets become one, without the rules that no page can use;
- scripts wait until the page has been read, and the search index until somebody searches;
- pictures say their size, take a third of the bytes and are fetched when the reader comes near;
- what widgets show is a file of its own, after the text.
"""

from __future__ import annotations

import html
import json
import os
import posixpath
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from workflow import styles
from workflow.node import NODE
from workflow.paths import CONFIG, FRONTEND, WorkflowError
from workflow.styles import STYLE

FONTAWESOME = "_static/scripts/fontawesome.js"
MATH_STYLE = "_static/math.css"
# Set in the page, or cut to what is used: nothing asks for these any more.
SUPERSEDED = (FONTAWESOME, "_static/vendor/fontawesome", "_static/vendor/mathjax/tex-mml-chtml.js")
SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
STATE = "application/vnd.jupyter.widget-state+json"

_MATH = re.compile(
    r'(?P<begin><(?P<tag>span|div) class="[^"]*\bmath notranslate[^"]*"[^>]*>)'
    r"(?P<content>.*?)(?P<end></(?P=tag)>)",
    re.DOTALL,
)
# A formula with the brackets and quotation marks before it and the marks behind it.
_PUNCTUATED = re.compile(
    rf"(?P<before>[(\[‘“]*){_MATH.pattern}(?P<after>[.,;:!?)\]’”]*)", re.DOTALL
)
_TEX = re.compile(r"\\(?:\((?P<inline>.*)\\\)|\[(?P<display>.*)\\\])", re.DOTALL)
_ICON = re.compile(
    r'<(i|span) class="([^"]*\b(?:fa[srb]? fa-|fa-(?:solid|regular|brands) )[^"]*)"([^>]*)></\1>'
)
_SCRIPT = re.compile(r"[ \t]*<script\b([^>]*)>(.*?)</script>\n?", re.DOTALL)
_STYLESHEET = re.compile(r'[ \t]*<link\b[^>]*rel="stylesheet"[^>]*>\n?')
_PRELOAD = re.compile(r'[ \t]*<link rel="preload" as="script"[^>]*>\n?')
_IMAGE = re.compile(r"<img\b([^>]*?)\s*/?>")
_OWN_WIDTH = re.compile(r'style="[^"]*\bwidth: (\d+)px')
WIDE = 800  # px: figures of one panel are narrower
_STYLES = {"fa": "fas", "fa-solid": "fas", "fa-regular": "far", "fa-brands": "fab"}
# MathJax in a page measures the height of the text's x, to make its own as high; style can do that.
_MATH_SIZE = 'mjx-container[jax="CHTML"]{font-size:calc(1ex/.442)}'
UNBROKEN = "unbroken"
_MATH_LINES = f".{UNBROKEN}{{white-space:nowrap}}"


def _attribute(tag: str, name: str) -> str:
    found = re.search(rf'(?<![\w-]){name}="([^"]*)"', tag)
    return html.unescape(found[1]) if found else ""


@dataclass
class Page:
    """A page of the rendered book."""

    book: Path
    name: str
    text: str = field(repr=False)

    @classmethod
    def read(cls, book: Path, path: Path) -> Page:
        """Read a page of the book at ``book``."""
        return cls(book, path.relative_to(book).as_posix(), path.read_text(encoding="utf-8"))

    def place(self, address: str) -> str:
        """Return where in the book an address on this page leads."""
        path = re.split("[?#]", address)[0]
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.name), path))

    def address(self, place: str) -> str:
        """Return a place in the book as seen from this page, with a digest of what is there."""
        digest = sha256((self.book / place).read_bytes()).hexdigest()[:8]
        return f"{posixpath.relpath(place, posixpath.dirname(self.name) or '.')}?v={digest}"

    def change(self, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str]) -> None:
        """Replace all that a pattern finds."""
        self.text = pattern.sub(by, self.text)

    def change_head(self, pattern: re.Pattern[str], by: Callable[[re.Match[str]], str]) -> None:
        """Replace all that a pattern finds in the head."""
        head, end, body = self.text.partition("</head>")
        self.text = pattern.sub(by, head) + end + body


def slim(book: Path) -> None:
    """Make the pages of a rendered book lighter, in place.

    Args:
        book: the folder of the book's HTML. Without the front-end packages it is left as it is.

    Raises:
        WorkflowError: an equation that MathJax does not understand, or node failed.
    """
    if not (FRONTEND / "node_modules" / "purgecss").is_dir():
        return
    paths = [path for path in sorted(book.rglob("*.html")) if "_static" not in path.parts]
    pages = [Page.read(book, path) for path in paths]
    pages = [page for page in pages if _STYLESHEET.search(page.text)]  # the top only leads on
    sheets = _common_sheets(pages)
    told = _ask_node(book, pages, sheets)
    css = styles.icon_face(book, told["css"]) + told["css"] + styles.ICONS
    (book / STYLE).write_text(css, encoding="utf-8")
    (book / MATH_STYLE).write_text(told["mathCss"] + _MATH_SIZE + _MATH_LINES, encoding="utf-8")
    for page in pages:
        _set_math(page, told["math"])
        _draw_icons(page, told["icons"])
        _join_sheets(page, sheets)
        _postpone_scripts(page)
        _lighten_images(page)
        (book / page.name).write_text(page.text, encoding="utf-8")
    _remove_superseded(book)


def _equations(page: Page) -> list[tuple[str, bool]]:
    """Return the page's equations as TeX, and whether each stands on its own."""
    found = []
    for element in _MATH.finditer(page.text):
        tex = _TEX.search(element["content"])
        if tex:
            inline = tex["inline"]
            found.append((html.unescape(inline or tex["display"]), inline is None))
    return found


def _set_math(page: Page, equations: dict[tuple[str, bool], str]) -> None:
    def set_one(element: re.Match[str]) -> str:
        def container(tex: re.Match[str]) -> str:
            inline = tex["inline"]
            return equations[html.unescape(inline or tex["display"]), inline is None]

        before, after = element["before"], element["after"]
        formula = element["begin"] + _TEX.sub(container, element["content"]) + element["end"]
        if element["tag"] == "span" and (before or after):
            # to the browser a formula is a box, and a line may break between it and a comma
            return f'<span class="{UNBROKEN}">{before}{formula}{after}</span>'
        return before + formula + after

    page.change(_PUNCTUATED, set_one)


def _icon(classes: str) -> str:
    """Return an icon's name in Font Awesome's script: style and name."""
    names = classes.split()
    style = next(_STYLES.get(name, name) for name in names if name in _STYLES or len(name) == 3)
    sizes = re.compile(r"fa-(lg|sm|xs|xl|2xl|2xs|\d+x|fw|solid|regular|brands)$")
    return f"{style} {next(n[3:] for n in names if n.startswith('fa-') and not sizes.match(n))}"


def _draw_icons(page: Page, outlines: dict[str, Any]) -> None:
    def draw(found: re.Match[str]) -> str:
        outline = outlines[_icon(found[2])]
        if outline is None:
            raise WorkflowError(f"{page.name}: Font Awesome has no icon '{found[2]}'")
        width, height, path = outline
        classes = " ".join(n for n in found[2].split() if n not in _STYLES and len(n) != 3)
        return (
            f'<svg class="svg-inline--fa {classes}" aria-hidden="true"{found[3]} '
            f'viewBox="0 0 {width} {height}"><path fill="currentColor" d="{path}"/></svg>'
        )

    page.change(_ICON, draw)


def _common_sheets(pages: list[Page]) -> list[str]:
    """Return the style sheets that all pages share, in their order."""

    def sheets(page: Page) -> list[str]:
        return [page.place(_attribute(tag, "href")) for tag in _STYLESHEET.findall(page.text)]

    first, *rest = map(sheets, pages)
    return [sheet for sheet in first if all(sheet in other for other in rest)]


def _join_sheets(page: Page, common: list[str]) -> None:
    ours = [STYLE, *([MATH_STYLE] if "<mjx-container" in page.text else [])]
    links = "".join(f'  <link rel="stylesheet" href="{page.address(place)}">\n' for place in ours)

    def keep(found: re.Match[str]) -> str:
        nonlocal links
        if page.place(_attribute(found[0], "href")) not in common:
            return found[0]
        first, links = links, ""
        return first

    page.change_head(_STYLESHEET, keep)


def _postpone_scripts(page: Page) -> None:
    searching = page.name == "search.html"
    math_is_set = "<mjx-container" in page.text or not _equations(page)

    def later(found: re.Match[str]) -> str:
        attributes, content = found[1], found[2]
        source = _attribute(attributes, "src")
        place = page.place(source) if source else ""
        if place in SUPERSEDED or (not searching and place.endswith(SEARCH)):
            return ""
        if math_is_set and content.startswith("window.MathJax ="):
            return ""
        if _attribute(attributes, "type") == STATE:
            return _outsourced(page, content)
        if source and "defer" not in attributes:
            return found[0].replace("<script", "<script defer", 1)
        if "DOCUMENTATION_OPTIONS" in content:  # a module waits its turn among deferred scripts
            return found[0].replace("<script", '<script type="module"', 1)
        return found[0]

    page.change_head(_PRELOAD, lambda _: "")
    page.change_head(_SCRIPT, later)


def _outsourced(page: Page, state: str) -> str:
    """Put the state of a page's widgets in a script: a page can read that even from a file."""
    place = f"_static/widgets/{page.name.removesuffix('.html').replace('/', '-')}.js"
    path = page.book / place
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        'document.head.append(Object.assign(document.createElement("script"), '
        f"{{ type: {json.dumps(STATE)}, text: JSON.stringify({state}) }}));\n",
        encoding="utf-8",
    )
    return f'    <script defer src="{page.address(place)}"></script>\n'


def _lighten_images(page: Page) -> None:
    """Show the same pixels in fewer bytes, and say how large they are: the text then stands still.

    A link on a picture still leads to the original. Figures of several panels are told apart by the
    class `wide`: a phone does not shrink them until nothing can be read (book/assets/book.css).
    """
    seen = 0

    def lighter(found: re.Match[str]) -> str:
        nonlocal seen
        attributes, source = found[1], _attribute(found[1], "src")
        path = page.book / page.place(source)
        if path.suffix != ".png" or not path.is_file():
            return found[0]
        seen += 1
        small = path.with_suffix(".webp")
        with Image.open(path) as image:
            width, height = image.size
            if not small.exists():
                image.save(small, lossless=True)
        attributes = attributes.replace(source, source.removesuffix(".png") + ".webp")
        if not re.search(r"\b(width|height)=", attributes):  # a style may still make it smaller
            attributes += f' width="{width}" height="{height}"'
        own = _OWN_WIDTH.search(attributes)
        if own and int(own[1]) >= WIDE and not _attribute(attributes, "class"):
            attributes += ' class="wide"'
        lazy = ' loading="lazy"' if seen > 1 else ""  # the first may be in sight at once
        return f"<img{attributes}{lazy}>"

    page.change(_IMAGE, lighter)


def _ask_node(book: Path, pages: list[Page], sheets: list[str]) -> dict[str, Any]:
    equations = list(dict.fromkeys(e for page in pages for e in _equations(page)))
    icons = sorted({_icon(found[2]) for page in pages for found in _ICON.finditer(page.text)})
    scripts = [
        path for path in (book / "_static").rglob("*.js")
        if path.relative_to(book).parts[1] != "vendor" and path.name != "fontawesome.js"
    ]  # fmt: skip
    settings = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["sphinx"]["config"]
    wanted = {
        "modules": str(FRONTEND),
        "math": [{"tex": tex, "display": display} for tex, display in equations],
        "tex": settings.get("mathjax3_config", {}).get("tex", {}),
        "fonts": "vendor/mathjax/output/chtml/fonts/woff-v2",
        "icons": icons,
        "fontawesome": str(book / FONTAWESOME),
        "css": styles.joined(book, sheets),
        "content": [p.text for p in pages] + [s.read_text(encoding="utf-8") for s in scripts],
    }
    done = subprocess.run(
        [str(NODE), str(Path(__file__).with_suffix(".mjs"))],
        input=json.dumps(wanted), capture_output=True, text=True,
        env={**os.environ, "NODE_PATH": ""},
    )  # fmt: skip
    if done.returncode:
        raise WorkflowError(f"the pages could not be made lighter: {done.stderr.strip()[-400:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    for equation, answer in zip(equations, told["math"], strict=True):
        if "error" in answer:
            page = next(page.name for page in pages if equation in _equations(page))
            raise WorkflowError(
                f"{page}: MathJax does not understand {equation[0].strip()!r}: {answer['error']}"
            )
    told["math"] = {e: answer["html"] for e, answer in zip(equations, told["math"], strict=True)}
    return told


def _remove_superseded(book: Path) -> None:
    import shutil

    for place in SUPERSEDED:
        path = book / place
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
