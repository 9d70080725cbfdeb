"""The icons of the theme's notes and links, which it draws with a font of 1400 icons.

Their codes stand in the style sheets, so the font can be cut to them, and lie in the style sheet.
"""

from __future__ import annotations

import base64
import re
import tempfile
from pathlib import Path

ICON_FONT = "_static/vendor/fontawesome/webfonts/fa-solid-900.ttf"

# A character of the range that icons use, itself or as an escape.
_CODE = re.compile(r"\\(f[0-9a-f]{3})\b|([\uf000-\uf8ff])", re.IGNORECASE)


def icon_face(book: Path, css: str) -> str:
    """Return a rule that holds the icon font, as far as a style sheet uses it."""
    from fontTools import subset

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
