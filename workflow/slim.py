"""Make the rendered pages light enough for a telephone on a slow line.

The theme gives every page 1.5 MB of icons, 400 kB of style and a dozen scripts that hold up the
first paint, and Sphinx leaves the setting of equations to the reader's browser, with 1.2 MB more.
What is the same for every reader is done here, once:

- equations are set by MathJax, the fonts stay;
- icons become the outlines that are used, in the page;
- style sheets become one, without the rules that no page can use (PurgeCSS);
- scripts wait until the page has been read, and the search index until somebody searches;
- pictures say their size, take a third of the bytes and are fetched when the reader comes near;
- what widgets show is a file of its own, after the text;
- the code behind a figure or a verdict is fetched when its box is opened.

Pages are read and written by Beautiful Soup.
"""

from __future__ import annotations

import base64
import json
import os
import posixpath
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from bs4 import BeautifulSoup
from bs4.dammit import EntitySubstitution
from bs4.element import NavigableString, PreformattedString, Tag
from bs4.formatter import HTMLFormatter
from fontTools import subset
from PIL import Image

from workflow.node import NODE
from workflow.paths import CONFIG, FRONTEND, WorkflowError

STYLE = "_static/slim.css"
SOURCES = "_static/sources"
FONTAWESOME = "_static/scripts/fontawesome.js"
MATH_STYLE = "_static/math.css"
ICON_FONT = "_static/vendor/fontawesome/webfonts/fa-solid-900.ttf"
# Set in the page, or cut to what is used: nothing asks for these any more.
SUPERSEDED = (FONTAWESOME, "_static/vendor/fontawesome", "_static/vendor/mathjax/tex-mml-chtml.js")
SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")
STATE = "application/vnd.jupyter.widget-state+json"

_TEX = re.compile(r"\\(?:\((?P<inline>.*)\\\)|\[(?P<display>.*)\\\])", re.DOTALL)
_BEFORE, _AFTER = "([‘“", ".,;:!?)]’”"
_STYLES = {"fa": "fas", "fa-solid": "fas", "fa-regular": "far", "fa-brands": "fab"}
_FAMILIES = {*_STYLES, *_STYLES.values()}
_ICONS = ",".join(f"i.{family}:empty, span.{family}:empty" for family in sorted(_FAMILIES))
_NOT_A_NAME = re.compile(r"fa-(lg|sm|xs|xl|2xl|2xs|\d+x|fw)$")
# A character of the range that icons use, itself or as an escape.
_CODE = re.compile(r"\\(f[0-9a-f]{3})\b|([\uf000-\uf8ff])", re.IGNORECASE)
_OWN_WIDTH = re.compile(r"\bwidth: (\d+)px")
# How Font Awesome's own script would have its outlines stand in the line.
ICONS = (
    ".svg-inline--fa{box-sizing:content-box;display:inline-block;height:1em;overflow:visible;"
    "vertical-align:-.125em}.svg-inline--fa.fa-lg{vertical-align:-.2em}"
)
WIDE = 800  # px: figures of one panel are narrower
# MathJax in a page measures the height of the text's x, to make its own as high; style can do that.
_MATH_SIZE = 'mjx-container[jax="CHTML"]{font-size:calc(1ex/.442)}'
UNBROKEN = "unbroken"
_MATH_LINES = f".{UNBROKEN}{{white-space:nowrap}}"


# HTML 5, with characters as they are.
_HTML = HTMLFormatter(
    entity_substitution=EntitySubstitution.substitute_xml,
    void_element_close_prefix="",
    empty_attributes_are_booleans=True,
)


@dataclass
class Page:
    """A page of the rendered book."""

    book: Path
    name: str
    text: str = field(repr=False)  # as rendered
    soup: BeautifulSoup = field(repr=False)

    @classmethod
    def read(cls, book: Path, path: Path) -> Page:
        """Read a page of the book at ``book``."""
        text = path.read_text(encoding="utf-8")
        # An attribute's text is left as it is; by default a class is split into a list.
        soup = BeautifulSoup(text, "html.parser", multi_valued_attributes=None)
        return cls(book, path.relative_to(book).as_posix(), text, soup)

    def write(self) -> None:
        """Put the page in the place where it was read."""
        text = self.soup.decode(formatter=_HTML)
        (self.book / self.name).write_text(text, encoding="utf-8")

    def place(self, address: str) -> str:
        """Return where in the book an address on this page leads."""
        path = re.split("[?#]", address)[0]
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.name), path))

    def address(self, place: str) -> str:
        """Return a place in the book as seen from this page, with a digest of what is there."""
        digest = sha256((self.book / place).read_bytes()).hexdigest()[:8]
        return f"{posixpath.relpath(place, posixpath.dirname(self.name) or '.')}?v={digest}"

    def select(self, selector: str) -> list[Tag]:
        """Return the elements that a CSS selector finds."""
        return list(self.soup.select(selector))

    def sheets(self) -> list[tuple[Tag, str]]:
        """Return the links to style sheets, each with the sheet's place in the book."""
        links = self.select('head link[rel="stylesheet"]')
        return [(link, self.place(str(link["href"]))) for link in links]


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
    pages = [page for page in pages if page.sheets()]  # the top only leads on
    first, *others = ([place for _, place in page.sheets()] for page in pages)
    common = [sheet for sheet in first if all(sheet in other for other in others)]
    told = _ask_node(book, pages, common)
    css = _icon_face(book, told["css"]) + told["css"] + ICONS
    (book / STYLE).write_text(css, encoding="utf-8")
    (book / MATH_STYLE).write_text(told["mathCss"] + _MATH_SIZE + _MATH_LINES, encoding="utf-8")
    for page in pages:
        has_math = _set_math(page, told["math"])
        _draw_icons(page, told["icons"])
        _name_what_has_no_text(page)
        _postpone_sources(page)
        _join_sheets(page, common, [STYLE, MATH_STYLE] if has_math else [STYLE])
        _postpone_scripts(page)
        _lighten_images(page)
        page.write()
    for place in SUPERSEDED:
        path = book / place
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _equations(page: Page) -> Iterator[tuple[Tag, NavigableString, re.Match[str]]]:
    """Find the page's equations: the element, the text in it that holds TeX, and the TeX."""
    for element in page.select(".math.notranslate"):
        for text in element.find_all(string=_TEX, recursive=False):
            found = _TEX.search(text)
            assert found is not None
            yield element, text, found


def _equation(found: re.Match[str]) -> tuple[str, bool]:
    """Return an equation as TeX, and whether it stands on its own."""
    inline = found["inline"]
    return (found["display"], True) if inline is None else (inline, False)


def _set_math(page: Page, containers: dict[tuple[str, bool], str]) -> bool:
    """Put what MathJax made in the place of TeX; tell whether there was any."""
    equations = list(_equations(page))
    for element, text, found in equations:
        # Preformatted: it goes into the page as it is.
        container = PreformattedString(containers[_equation(found)])
        text.replace_with(text[: found.start()], container, text[found.end() :])
        if element.name == "span":
            _keep_together(page, element)
    return bool(equations)


def _keep_together(page: Page, formula: Tag) -> None:
    """Bind a formula to the brackets and quotation marks before it and the marks behind it.

    To the browser a formula is a box, and a line may break between it and a comma.
    """
    beside = [formula.previous_sibling, formula.next_sibling]
    left, right = (str(text) if type(text) is NavigableString else "" for text in beside)
    before, after = left[len(left.rstrip(_BEFORE)) :], right[: -len(right.lstrip(_AFTER)) or None]
    if before or after:
        for text, rest in zip(beside, (left.rstrip(_BEFORE), right.lstrip(_AFTER)), strict=True):
            if type(text) is NavigableString:
                text.replace_with(rest)
        formula.wrap(page.soup.new_tag("span", attrs={"class": UNBROKEN}))
        formula.insert_before(before)
        formula.insert_after(after)


def _icon(classes: str) -> str:
    """Return an icon's name in Font Awesome's script: style and name."""
    names = classes.split()
    style = next(_STYLES.get(name, name) for name in names if name in _FAMILIES)
    others = [name for name in names if name.startswith("fa-") and name not in _FAMILIES]
    return f"{style} {next(name[3:] for name in others if not _NOT_A_NAME.match(name))}"


def _postpone_sources(page: Page) -> None:
    """Move the code in closed boxes to a file that page-fixes.js fetches when one is opened.

    It is a script, since a page that was opened from a folder may load nothing else.
    """
    blocks = page.select("details.ebmlib-source > div")
    if not blocks:
        return
    place = posixpath.splitext(f"{SOURCES}/{page.name}")[0] + ".js"
    (page.book / place).parent.mkdir(parents=True, exist_ok=True)
    codes = json.dumps([str(block) for block in blocks])
    (page.book / place).write_text(f"ebmlibSources({codes});\n", encoding="utf-8")
    for number, block in enumerate(blocks):
        box = block.parent
        assert isinstance(box, Tag)
        box["data-code"] = page.address(place)
        block.replace_with(page.soup.new_tag("div", attrs={"data-code-number": str(number)}))


def _name_what_has_no_text(page: Page) -> None:
    """Name what unfolds a list of pages; take wrong meanings from corners and signatures."""
    for summary in page.select(".has-children > details > summary"):
        summary["aria-label"] = "Show or hide the pages of this chapter"
    for corner in page.select("th"):
        if not corner.get_text(strip=True) and not corner.find("img"):
            corner.name = "td"
    # Sphinx breaks a long signature into a list whose items explain nothing.
    for element in page.select("dt.sig > dl, dt.sig > dl > dd"):
        element["class"] = "parameters" if element.name == "dl" else "parameter"
        element.name = "div"


def _draw_icons(page: Page, outlines: dict[str, Any]) -> None:
    for element in page.select(_ICONS):
        classes = str(element.attrs.pop("class"))
        outline = outlines[_icon(classes)]
        if outline is None:
            raise WorkflowError(f"{page.name}: Font Awesome has no icon '{classes}'")
        width, height, path = outline
        kept = " ".join(name for name in classes.split() if name not in _FAMILIES)
        drawn = page.soup.new_tag("svg")
        drawn.attrs = {"class": f"svg-inline--fa {kept}", "aria-hidden": "true", **element.attrs}
        drawn["viewBox"] = f"0 0 {width} {height}"
        drawn.append(PreformattedString(f'<path fill="currentColor" d="{path}"/>'))
        element.replace_with(drawn)


def _icon_face(book: Path, css: str) -> str:
    """Return a rule that holds the icon font, as far as a style sheet uses it.

    The theme draws the icons of its notes and links with a font of 1400 icons; their codes stand in
    the style sheets.
    """
    codes = {int(escape, 16) if escape else ord(sign) for escape, sign in _CODE.findall(css)}
    if not codes or not (book / ICON_FONT).is_file():
        return ""
    wanted = f"--unicodes={','.join(f'{code:x}' for code in sorted(codes))}"
    with tempfile.NamedTemporaryFile(suffix=".woff") as cut:
        options = ["--no-hinting", "--flavor=woff", f"--output-file={cut.name}"]
        subset.main([str(book / ICON_FONT), wanted, *options])
        font = base64.b64encode(Path(cut.name).read_bytes()).decode()
    return (
        '@font-face{font-family:"Font Awesome 6 Free";font-style:normal;font-weight:900;'
        f"src:url(data:font/woff;base64,{font})}}"
    )


def _join_sheets(page: Page, common: list[str], ours: list[str]) -> None:
    links = [link for link, place in page.sheets() if place in common]
    for place in ours:
        own = {"rel": "stylesheet", "href": page.address(place)}
        links[0].insert_before(page.soup.new_tag("link", attrs=own), "\n")
    for link in links:
        link.decompose()


def _postpone_scripts(page: Page) -> None:
    for preload in page.select('head link[rel="preload"][as="script"]'):
        preload.decompose()
    for script in page.select("head script"):
        source, content = str(script.get("src", "")), script.string or ""
        place = page.place(source) if source else ""
        unsearched = page.name != "search.html" and place.endswith(SEARCH)
        if place in SUPERSEDED or unsearched or content.startswith("window.MathJax ="):
            script.decompose()
        elif script.get("type") == STATE:
            script.attrs = {"defer": "", "src": _outsourced(page, content)}
            script.clear()
        elif source:
            script.attrs.setdefault("defer", "")
        elif "DOCUMENTATION_OPTIONS" in content:  # a module waits its turn among deferred scripts
            script["type"] = "module"


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
    return page.address(place)


def _lighten_images(page: Page) -> None:
    """Show the same pixels in fewer bytes, and say how large they are: the text then stands still.

    A link on a picture still leads to the original. Figures of several panels are told apart by the
    class `wide`: a phone does not shrink them until nothing can be read (book/assets/book.css).
    """
    seen = 0
    for image in page.select("img[src]"):
        source = str(image["src"])
        path = page.book / page.place(source)
        if path.suffix != ".png" or not path.is_file():
            continue
        seen += 1
        small = path.with_suffix(".webp")
        with Image.open(path) as picture:
            width, height = picture.size
            if not small.exists():
                picture.save(small, lossless=True)
        image["src"] = source.removesuffix(".png") + ".webp"
        if not {"width", "height"} & image.attrs.keys():  # a style may still make it smaller
            image.attrs |= {"width": str(width), "height": str(height)}
        own = _OWN_WIDTH.search(str(image.get("style", "")))
        if own and int(own[1]) >= WIDE and not image.get("class"):
            image["class"] = "wide"
        if seen > 1:  # the first may be in sight at once
            image["loading"] = "lazy"


def _ask_node(book: Path, pages: list[Page], sheets: list[str]) -> dict[str, Any]:
    shown_on: dict[tuple[str, bool], str] = {}
    for page in reversed(pages):  # in the end the first page that shows an equation
        shown_on |= {_equation(found): page.name for _, _, found in _equations(page)}
    icons = sorted({_icon(str(icon["class"])) for page in pages for icon in page.select(_ICONS)})
    scripts = [
        path for path in (book / "_static").rglob("*.js")
        if path.relative_to(book).parts[1] != "vendor" and path.name != "fontawesome.js"
    ]  # fmt: skip
    settings = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["sphinx"]["config"]
    wanted = {
        "modules": str(FRONTEND),
        "math": [
            {"tex": tex, "display": display, "page": page}
            for (tex, display), page in shown_on.items()
        ],
        "tex": settings.get("mathjax3_config", {}).get("tex", {}),
        "fonts": "vendor/mathjax/output/chtml/fonts/woff-v2",
        "icons": icons,
        "fontawesome": str(book / FONTAWESOME),
        "sheets": [str(book / sheet) for sheet in sheets],
        "style": str(book / STYLE),
        "content": [page.text for page in pages] + [s.read_text(encoding="utf-8") for s in scripts],
    }
    done = subprocess.run(
        [str(NODE), str(Path(__file__).with_suffix(".mjs"))],
        input=json.dumps(wanted), capture_output=True, encoding="utf-8",
        env={**os.environ, "NODE_PATH": ""},
    )  # fmt: skip
    if done.returncode:
        raise WorkflowError(f"the pages could not be made lighter: {done.stderr.strip()[-400:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    if "error" in told:
        raise WorkflowError(told["error"])
    told["math"] = dict(zip(shown_on, told["math"], strict=True))
    return told
