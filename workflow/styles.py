"""The book's style sheets as one text: imports in their place, only the icons that are used.

The theme draws the icons of its notes and links with a font of 1400 icons. Their codes stand in the
style sheets, so the font can be cut to them here, and lie in the style sheet itself.
"""

from __future__ import annotations

import base64
import io
import posixpath
import re
from pathlib import Path

STYLE = "_static/slim.css"
ICON_FONT = "_static/vendor/fontawesome/webfonts/fa-solid-900.ttf"

_URL = re.compile(r"url\(\s*(['\"]?)(?!data:|#)([^'\")]+)\1\s*\)")
_IMPORT = re.compile(r"@import\s+(?:url\()?\s*['\"]?([^'\")\s;]+)['\"]?\)?\s*;")
_ICON_FACE = re.compile(r"@font-face\s*\{[^}]*fontawesome[^}]*\}")
# A character of the range that icons use, itself or as an escape.
_CODE = re.compile(r"\\(f[0-9a-f]{3})\b|([\uf000-\uf8ff])", re.IGNORECASE)
# How Font Awesome's own script would have its outlines stand in the line.
ICONS = (
    ".svg-inline--fa{box-sizing:content-box;display:inline-block;height:1em;overflow:visible;"
    "vertical-align:-.125em}.svg-inline--fa.fa-lg{vertical-align:-.2em}"
)


def joined(book: Path, sheets: list[str]) -> str:
    """Return style sheets as one text, in their order, without the faces of the icon font.

    Args:
        book: the folder of the book's HTML.
        sheets: their places in it. Addresses in the result are as seen from ``STYLE``.
    """
    return _ICON_FACE.sub("", "\n".join(_sheet(book, sheet) for sheet in sheets))


def _sheet(book: Path, place: str) -> str:
    def seen_from(found: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(place), found))

    def moved(found: re.Match[str]) -> str:
        return f"url({posixpath.relpath(seen_from(found[2]), posixpath.dirname(STYLE))})"

    text = (book / place).read_text(encoding="utf-8")
    text = re.sub(r'@charset "[^"]*";', "", text, flags=re.IGNORECASE)
    text = re.sub(r"/\*(?!!).*?\*/\s*", "", text, flags=re.DOTALL)  # /*! holds a licence
    text = _IMPORT.sub(lambda found: f"@import '{found[1]}';", text)  # no url() to be moved
    text = _URL.sub(moved, text)
    return _IMPORT.sub(lambda found: _sheet(book, seen_from(found[1])), text)


def icon_face(book: Path, css: str) -> str:
    """Return a rule that holds the icon font, as far as a style sheet uses it."""
    from fontTools import subset
    from fontTools.ttLib import TTFont

    codes = {int(escape, 16) if escape else ord(sign) for escape, sign in _CODE.findall(css)}
    if not codes or not (book / ICON_FONT).is_file():
        return ""
    font = TTFont(book / ICON_FONT, recalcTimestamp=False)
    chosen = subset.Subsetter(subset.Options(hinting=False))
    chosen.populate(unicodes=codes)
    chosen.subset(font)
    font.flavor = "woff"
    content = io.BytesIO()
    font.save(content)
    return (
        '@font-face{font-family:"Font Awesome 6 Free";font-style:normal;font-weight:900;'
        f"src:url(data:font/woff;base64,{base64.b64encode(content.getvalue()).decode()})}}"
    )
