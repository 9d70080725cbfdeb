"""Pages made lighter: nothing that the reader sees may get lost on the way."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from PIL import Image
from pydata_sphinx_theme import __file__ as theme

from workflow import slim, styles
from workflow.paths import FRONTEND, WorkflowError

pytestmark = pytest.mark.skipif(
    not (FRONTEND / "node_modules" / "purgecss").is_dir(),
    reason="the front-end packages are missing: ./run_all.sh setup installs them",
)

SCRIPTS = """\
  <script defer src="{up}_static/scripts/fontawesome.js?digest=55"></script>
  <link rel="preload" as="script" href="{up}_static/scripts/bootstrap.js" />
    <script src="{up}_static/documentation_options.js?v=9"></script>
    <script>let toggleHintShow = 'Click to show';</script>
    <script>window.MathJax = {{"options": {{}}}}</script>
    <script defer="defer" src="{up}_static/vendor/mathjax/tex-mml-chtml.js?v=ca"></script>
    <script>DOCUMENTATION_OPTIONS.pagename = 'page';</script>
    <script src="{up}_static/searchtools.js"></script>
    <script src="{up}searchindex.js"></script>
"""
PAGE = """<!DOCTYPE html>
<html><head><title>A page</title>
  <link href="{up}_static/styles/theme.css?digest=55" rel="stylesheet" />
  <link rel="stylesheet" type="text/css" href="{up}_static/own.css" />
{scripts}</head><body>{body}</body></html>
"""
INLINE = r'<span class="math notranslate nohighlight">\(a &lt; \theta\)</span>'
DISPLAYED = (
    r'<div class="math notranslate nohighlight" id="equation-e">'
    r'<span class="eqno">(1)<a href="#equation-e">#</a></span>'
    r"\[\begin{split}x &amp;= 1\\[2pt] y &amp;= 2\end{split}\]</div>"
)
STYLES = {
    "styles/theme.css": '@charset "UTF-8";@import "../basic.css";'
    "@font-face{font-family:F;src:url(../vendor/fontawesome/webfonts/fa-solid-900.woff2)}"
    '.note:after{content:"\\f05a"}.nobody{color:red}',
    "basic.css": "/* a remark */ .seen{background:url(minus.png)} .made-later{color:blue}",
    "own.css": ".seen{margin:0}",
    "vendor/.keep": "",
}


class Book:
    """A rendered book of a page, a page in a folder and the search page."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name, text in STYLES.items():
            path = root / "_static" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for name in ("documentation_options", "searchtools", "scripts/bootstrap"):
            path = root / "_static" / f"{name}.js"
            path.parent.mkdir(exist_ok=True)
            path.write_text("element.className = 'made-later';")
        (root / "searchindex.js").write_text("")
        own = Path(theme).parent / "theme" / "pydata_sphinx_theme" / "static"
        for name in ("scripts/fontawesome.js", "vendor/fontawesome/webfonts/fa-solid-900.ttf"):
            (root / "_static" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "_static" / name).symlink_to(own / name)
        self.add("index.html", "<p class='seen note'></p>")

    def add(self, name: str, body: str, head: str = "") -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * name.count("/")
        path.write_text(PAGE.format(up=up, scripts=SCRIPTS.format(up=up) + head, body=body))

    def slim(self) -> None:
        slim.slim(self.root)

    def text(self, name: str = "index.html") -> str:
        return (self.root / name).read_text()


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "book")


def test_no_line_breaks_between_a_formula_and_its_punctuation(book: Book) -> None:
    book.add("page.html", f"<p>see ({INLINE}), “{INLINE}”, {INLINE} and {INLINE}.</p>{DISPLAYED},")
    book.slim()
    text = book.text("page.html")
    kept = re.findall(r'<span class="unbroken">(\W?)<span.*?</mjx-container></span>([^<]*)', text)
    assert kept == [("(", "),"), ("“", "”,"), ("", ".")]
    assert text.count("<mjx-container") == 5
    assert ".unbroken{white-space:nowrap}" in book.text("_static/math.css")


def test_equations_are_set_and_keep_their_numbers(book: Book) -> None:
    book.add("part/page.html", f"<p>{INLINE}, again {INLINE}</p>{DISPLAYED}")
    book.slim()
    text = book.text("part/page.html")
    assert text.count("<mjx-container") == 3
    assert r"\theta" not in text and r"\begin" not in text
    assert text.count("<mi>θ</mi>") == 2  # for who hears the page
    assert '<span class="eqno">(1)<a href="#equation-e">#</a></span><mjx-container' in text
    assert "../_static/math.css" in text and "mathjax" not in text.lower().replace(
        'class="mathjax"', ""
    )
    style = book.text("_static/math.css")
    assert "mjx-c1D703" in style  # the theta, in the fonts of the book
    fonts = re.findall(r'url\("?([^")]+)', style)
    assert fonts and all(font.startswith("vendor/mathjax/output/chtml/fonts/") for font in fonts)
    assert "math.css" not in book.text("index.html")


def test_an_unknown_command_stops_the_build(book: Book) -> None:
    book.add("page.html", INLINE.replace(r"\theta", r"\thetta"))
    with pytest.raises(WorkflowError, match=r"page.html: MathJax .*thetta.*Undefined control seq"):
        book.slim()


def test_icons_are_drawn_in_the_page(book: Book) -> None:
    book.add(
        "page.html",
        '<i class="fa-solid fa-magnifying-glass fa-lg"></i><span class="fas fa-search"></span>'
        '<i class="theme-switch fa-solid fa-moon" data-mode="dark"></i>',
    )
    book.slim()
    text = book.text("page.html")
    (one, two, moon) = re.findall(r"<svg[^>]*>.*?</svg>", text)
    assert 'class="svg-inline--fa fa-magnifying-glass fa-lg" aria-hidden="true"' in one
    assert one.partition("viewBox")[2] == two.partition("viewBox")[2]  # a name and its other name
    assert 'data-mode="dark"' in moon and "theme-switch" in moon
    assert "fontawesome" not in text and not (book.root / slim.FONTAWESOME).exists()
    book.add("index.html", '<i class="fas fa-no-such-icon"></i>')
    Path(book.root / slim.FONTAWESOME).write_text("window.___FONT_AWESOME___ = {styles: {fas: {}}}")
    with pytest.raises(WorkflowError, match="no icon 'fas fa-no-such-icon'"):
        book.slim()


def test_the_style_sheet_holds_what_pages_and_scripts_can_use(book: Book) -> None:
    book.add("part/page.html", "<p class='seen'></p>")
    book.slim()
    assert re.findall(r'stylesheet" href="([^?]*)', book.text("part/page.html")) == [
        "../_static/slim.css"
    ]
    css = book.text(styles.STYLE)
    assert ".nobody" not in css and "a remark" not in css and "@import" not in css
    assert ".made-later{color:blue}" in css
    assert css.index("url(minus.png)") < css.index(".note:after") < css.index(".seen{margin:0}")
    data = re.search(r"url\(data:font/woff;base64,([^)]*)\)", css)
    assert data is not None and "webfonts" not in css
    font = TTFont(io.BytesIO(base64.b64decode(data[1])))
    assert set(font.getBestCmap()) == {0xF05A}


def test_addresses_in_a_style_sheet_are_moved_with_it(tmp_path: Path) -> None:
    sheets = {
        "_static/deep/a.css": "@import url('../b.css'); a{background:url('../x.svg')}",
        "_static/b.css": 'b{background:url(y.svg)} c{background:url("data:image/svg+xml,u")}',
    }
    for name, text in sheets.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    joined = styles.joined(tmp_path, ["_static/deep/a.css"])
    assert re.findall(r"url\(([^)]*)\)", joined) == ["y.svg", '"data:image/svg+xml,u"', "x.svg"]


def test_no_script_holds_up_a_page(book: Book) -> None:
    book.add("search.html", "")
    book.slim()
    for name in ("index.html", "search.html"):
        scripts = re.findall(r"<script\b([^>]*)>(.*?)</script>", book.text(name))
        assert all("defer" in given for given, _ in scripts if "src=" in given)
        # in their order: what one sets the next may need
        kept = [given + text for given, text in scripts if "Hint" not in text]
        assert "documentation_options.js" in kept[0]
        assert 'type="module"' in kept[1] and "DOCUMENTATION_OPTIONS.pagename" in kept[1]
        searching = [given for given, _ in scripts if "search" in given]
        assert len(searching) == (2 if name == "search.html" else 0)
        assert "preload" not in book.text(name)


def test_what_widgets_show_comes_after_the_text(book: Book) -> None:
    state = '{"state": {"a": "<\\/script> \\" ü"}}'
    head = f'<script type="application/vnd.jupyter.widget-state+json">{state}</script>\n'
    book.add("part/page.html", "", head + '<script defer src="../_static/embed-amd.js"></script>')
    book.slim()
    text = book.text("part/page.html")
    assert "widget-state" not in text
    assert text.index("_static/widgets/part-page.js") < text.index("embed-amd.js")
    script = book.text("_static/widgets/part-page.js")
    literal = re.search(r"JSON\.stringify\((.*)\) \}\)\);", script)
    assert literal is not None and json.loads(literal[1]) == json.loads(state)


def test_figures_of_several_panels_are_told_apart(book: Book) -> None:
    (book.root / "_images").mkdir()
    Image.new("RGB", (8, 6)).save(book.root / "_images" / "a.png")
    widths = (700, slim.WIDE - 1, slim.WIDE, 1000)
    book.add("page.html", "".join(
        f'<img alt="A" src="_images/a.png" style="width: {w}px;" />' for w in widths
    ))  # fmt: skip
    book.slim()
    told = ['class="wide"' in image for image in re.findall(r"<img[^>]*>", book.text("page.html"))]
    assert told == [False, False, True, True]


def test_pictures_keep_every_pixel_and_say_their_size(book: Book) -> None:
    image = Image.radial_gradient("L").convert("RGBA").resize((64, 48))
    (book.root / "_images").mkdir()
    image.save(book.root / "_images" / "a.png")
    one = (
        '<a href="../_images/a.png"><img alt="A" src="../_images/a.png" style="width: 30px;" /></a>'
    )
    book.add("part/page.html", one + '<img alt="B" src="../_images/a.png" width="10" />')
    book.slim()
    first, second = re.findall(r"<img[^>]*>", book.text("part/page.html"))
    assert 'width="64" height="48"' in first and "lazy" not in first
    assert 'width="10"' in second and "height" not in second and 'loading="lazy"' in second
    assert 'href="../_images/a.png"' in book.text("part/page.html")
    with Image.open(book.root / "_images" / "a.webp") as small:
        assert small.convert("RGBA").tobytes() == image.tobytes()
