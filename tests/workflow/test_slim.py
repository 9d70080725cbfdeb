"""Pages made lighter: nothing that the reader sees may get lost on the way."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from bs4.element import Tag
from fontTools.ttLib import TTFont
from PIL import Image
from pydata_sphinx_theme import __file__ as theme

from workflow import slim
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

    def select(self, selector: str, name: str = "index.html") -> list[Tag]:
        return list(BeautifulSoup(self.text(name), "html.parser").select(selector))


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


def test_code_in_closed_boxes_is_a_file_of_its_own(book: Book) -> None:
    box = "<details class='ebmlib-source'><summary>What</summary><div class='highlight'>"
    box += "<pre><span class='k'>def</span> f{0}</pre></div><p>whole</p></details>"
    book.add("part/page.html", box.format(1) + "<pre>own</pre>" + box.format(2))
    book.slim()
    text = book.text("part/page.html")
    assert (
        "f1" not in text
        and "f2" not in text
        and "<pre>own</pre>" in text
        and text.count("<p>whole</p>") == 2
    )
    boxes = book.select("details", "part/page.html")
    (address,) = {re.split(r"[?]", str(each["data-code"]))[0] for each in boxes}
    kept = (book.root / "part" / address).read_text()
    codes = json.loads(kept.removeprefix("ebmlibSources(").rstrip().removesuffix(");"))
    places = book.select("details [data-code-number]", "part/page.html")
    shown = [codes[int(str(place["data-code-number"]))] for place in places]
    assert [BeautifulSoup(code, "html.parser").get_text() for code in shown] == ["def f1", "def f2"]


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
    one, two, moon = book.select("svg", "page.html")
    assert one["class"] == ["svg-inline--fa", "fa-magnifying-glass", "fa-lg"]
    assert one["aria-hidden"] == "true"
    assert one["viewbox"] == two["viewbox"] and one.path == two.path  # a name and its other name
    assert moon["data-mode"] == "dark" and "theme-switch" in moon["class"] and moon.path != one.path
    assert "viewBox=" in book.text("page.html")
    assert "fontawesome" not in book.text("page.html")
    assert not (book.root / slim.FONTAWESOME).exists()
    book.add("index.html", '<i class="fas fa-no-such-icon"></i>')
    Path(book.root / slim.FONTAWESOME).write_text("window.___FONT_AWESOME___ = {styles: {fas: {}}}")
    with pytest.raises(WorkflowError, match="no icon 'fas fa-no-such-icon'"):
        book.slim()


def test_the_style_sheet_holds_what_pages_and_scripts_can_use(book: Book) -> None:
    book.add("part/page.html", "<p class='seen'></p>")
    book.slim()
    (link,) = book.select('link[rel="stylesheet"]', "part/page.html")
    assert str(link["href"]).partition("?")[0] == "../_static/slim.css"
    css = book.text(slim.STYLE)
    assert ".nobody" not in css and "a remark" not in css and "@import" not in css
    assert ".made-later{color:blue}" in css
    assert css.index("url(minus.png)") < css.index(".note:after") < css.index(".seen{margin:0}")
    data = re.search(r"url\(data:font/woff;base64,([^)]*)\)", css)
    assert data is not None and "webfonts" not in css
    font = TTFont(io.BytesIO(base64.b64decode(data[1])))
    assert set(font.getBestCmap()) == {0xF05A}


def test_addresses_in_a_style_sheet_are_moved_with_it(book: Book) -> None:
    sheets = {
        "styles/theme.css": "@import url('../deep/b.css'); .seen{background:url('../deep/x.svg')}",
        "deep/b.css": '/*! mine */.seen{src:url(y.svg)} .note{background:url("data:image/u")}',
    }
    for name, text in sheets.items():
        (book.root / "_static" / name).parent.mkdir(exist_ok=True)
        (book.root / "_static" / name).write_text(text)
    book.slim()
    css = book.text(slim.STYLE)
    found = [address.strip("'\"") for address in re.findall(r"url\(([^)]*)\)", css)]
    assert found == ["deep/y.svg", "data:image/u", "deep/x.svg"]
    assert "/*! mine */" in css  # a licence


def test_no_script_holds_up_a_page(book: Book) -> None:
    book.add("search.html", "")
    book.slim()
    for name in ("index.html", "search.html"):
        scripts = book.select("script", name)
        assert all("defer" in script.attrs for script in scripts if "src" in script.attrs)
        # in their order: what one sets the next may need
        first, second, *rest = [script for script in scripts if "Hint" not in script.text]
        assert "documentation_options.js" in first["src"]
        assert second["type"] == "module" and "DOCUMENTATION_OPTIONS.pagename" in second.text
        searching = [script for script in rest if "search" in script["src"]]
        assert len(searching) == len(rest) == (2 if name == "search.html" else 0)
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
    told = [image.get("class") == ["wide"] for image in book.select("img", "page.html")]
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
    first, second = book.select("img", "part/page.html")
    assert (first["width"], first["height"]) == ("64", "48") and "loading" not in first.attrs
    assert second["width"] == "10" and "height" not in second.attrs and second["loading"] == "lazy"
    assert first["src"] == second["src"] == "../_images/a.webp"
    assert 'href="../_images/a.png"' in book.text("part/page.html")
    with Image.open(book.root / "_images" / "a.webp") as small:
        assert small.convert("RGBA").tobytes() == image.tobytes()


def test_what_is_not_made_lighter_stays_as_it_was(book: Book) -> None:
    """Text, attributes, code and scripts, whatever characters they hold."""
    body = (
        '<pre class="a  b">if a &lt; b &amp;&amp; c:\n    "é" &copy; &amp;lt;</pre>'
        "<p title='say \"1 &lt; 2\"' hidden>&nbsp;a<br>b<wbr>c</p>"
        '<svg viewBox="0 0 1 1"><linearGradient id="g"/><text>&lt;</text></svg><!-- a remark -->'
        '<script>if (a < b && "</p>") { f(`&amp;`); }</script><textarea>&lt;p&gt;</textarea>'
    )
    book.add("page.html", body)
    book.slim()
    before, after = (BeautifulSoup(text, "html.parser") for text in (body, book.text("page.html")))
    assert after.body is not None and after.body.decode_contents() == before.decode_contents()
    for kept in ("if (a < b && ", "f(`&amp;`)", "&amp;lt;", '"é" ©', "<br>b<wbr>c"):
        assert kept in book.text("page.html")
