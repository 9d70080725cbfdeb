"""Print the book to one tagged PDF: ``python -m workflow.pdf --profile P``.

Sphinx sets the staged book as one page of HTML, and Chromium prints it. The PDF carries the
structure of the HTML: headings, lists, tables and the descriptions of pictures. The file appears
under its name only when it is complete. A copy then lies beside the pages, and they link to it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from workflow import locks, surroundings
from workflow.paths import (
    BUILD,
    CONFIG,
    FRONTEND,
    ROOT,
    TOC,
    WorkflowError,
    html,
    logs,
    replace_file,
)

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def pdf(profile: str) -> Path:
    """Return where a profile's PDF lies."""
    return BUILD / profile / "book.pdf"


def chromium() -> str:
    """Return the browser that prints: $CHROME_PATH, or the first one found.

    Raises:
        WorkflowError: there is none.
    """
    named = os.environ.get("CHROME_PATH", "")
    found = filter(None, map(shutil.which, (named,) if named else CHROMIUM))
    try:
        return next(found)
    except StopIteration:
        what = f"no program {named}, which CHROME_PATH names" if named else "no Chromium or Chrome"
        raise WorkflowError(
            f"the PDF is printed by a browser, and there is {what}; install one (on Debian: "
            "apt install chromium) or name it: CHROME_PATH=/path/to/chrome ./run_all.sh pdf"
        ) from None


def up_to_date(profile: str) -> bool:
    """Tell whether the PDF is younger than the book."""
    try:
        return pdf(profile).stat().st_mtime > html(profile).with_name("book.done").stat().st_mtime
    except OSError:
        return False


def print_book(profile: str) -> None:
    """Print a profile's book, which has been built.

    Raises:
        WorkflowError: something failed; the log says more.
    """
    from workflow.node import NODE

    browser = chromium()
    log = logs(profile) / "pdf.log"
    aside = BUILD / profile / ".printing"
    shutil.rmtree(aside, ignore_errors=True)
    single = aside / "_build" / "singlehtml"
    page, printed = single / "print.html", aside / "book.pdf"
    source = BUILD / profile / "src"
    wanted = {
        "page": page.as_uri(), "pdf": str(printed), "chromium": browser, "modules": str(FRONTEND),
    }  # fmt: skip
    with log.open("w") as told:
        set_page = subprocess.run(
            [*(sys.executable, "-c", locks.JUPYTER_BOOK, "build"),
             *(str(source), "--config", str(CONFIG), "--toc", str(TOC)),
             *("--path-output", str(aside), "--builder", "singlehtml")],
            cwd=ROOT, stdout=told, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )  # fmt: skip
        if set_page.returncode:
            raise WorkflowError(f"the page for print failed (log: {log.relative_to(ROOT)})")
        # Sphinx writes the page where the book's first page is, with addresses as from the top.
        (written,) = single.glob("book/*.html")
        text = written.read_text(encoding="utf-8")
        own = written.relative_to(single).as_posix()
        page.write_text(text.replace(f'href="{own}#', 'href="#'), encoding="utf-8")
        printing = subprocess.run(
            [str(NODE), str(Path(__file__).with_name("print.mjs"))],
            input=json.dumps(wanted), encoding="utf-8", stdout=told, stderr=subprocess.STDOUT,
        )  # fmt: skip
    if printing.returncode or not printed.is_file():
        raise WorkflowError(f"{browser} could not print the book (log: {log.relative_to(ROOT)})")
    printed.write_bytes(mended(printed.read_bytes()))
    os.replace(printed, pdf(profile))
    shutil.rmtree(aside, ignore_errors=True)
    offer(pdf(profile), html(profile))


_TITLE = re.compile(rb"(/Title\s*)(\((?:[^()\\]|\\.)*\)|<(?:FEFF|feff)?[0-9A-Fa-f]*>)")
_TWICE = re.compile(rb"(.+?)\1", re.DOTALL)
_TWICE_IN_HEX = re.compile(rb"((?:[0-9A-Fa-f]{4})+?)\1")
# The last lines of a heading: nothing shorter, for a word may end as it begins.
_LINES_TWICE = re.compile(rb"(.+?)(.{8,})\2", re.DOTALL)
_LINES_TWICE_IN_HEX = re.compile(rb"((?:[0-9A-Fa-f]{4})+?)((?:[0-9A-Fa-f]{4}){8,})\2")


def mended(content: bytes) -> bytes:
    """A PDF whose bookmarks say each word once.

    Chromium writes a heading beside a page's end twice into its bookmark ("1. 1. TitleTitle"), and
    of one that takes several lines the last ones only, with no blank before them. What is left
    over becomes blanks, so that every offset in the file stays what it was.
    """

    def once(found: re.Match[bytes]) -> bytes:
        text = found[2]
        hexadecimal = text.startswith(b"<")
        start = 5 if hexadecimal and text[1:5].upper() == b"FEFF" else 1
        inner, twice = text[start:-1], _TWICE_IN_HEX if hexadecimal else _TWICE
        blank = b"0020" if hexadecimal else b" "
        if re.fullmatch(b"(?:" + twice.pattern + b")+", inner, re.DOTALL):
            kept = twice.sub(rb"\1", inner)
        elif lines := (_LINES_TWICE_IN_HEX if hexadecimal else _LINES_TWICE).fullmatch(inner):
            kept = lines[1] + (b"" if lines[1].endswith(blank) else blank) + lines[2]
        else:
            return found[0]
        return (
            found[1]
            + text[:start]
            + kept
            + blank * ((len(inner) - len(kept)) // len(blank))
            + text[-1:]
        )

    return _TITLE.sub(once, content)


_FOOTER = '<footer class="bd-footer-content">'


def offer(printed: Path, book: Path) -> None:
    """Put the PDF beside the pages of a built book, and a link to it on each of them."""
    shutil.copy(printed, book / printed.name)
    for path in list((book / "book").rglob("*.html")):
        page = path.read_text(encoding="utf-8")
        top = "../" * (len(path.relative_to(book).parts) - 1)
        link = f'<p class="pdf-link"><a href="{top}{printed.name}">The whole book as a PDF</a></p>'
        if _FOOTER in page and "pdf-link" not in page:
            replace_file(path, page.replace(_FOOTER, f"{_FOOTER}\n{link}").encode())


def main(arguments: list[str]) -> int:
    """Print the book; return 0, or 1 with one sentence that says why not."""
    parser = argparse.ArgumentParser(prog="python -m workflow.pdf")
    parser.add_argument("--profile", required=True)
    given = parser.parse_args(arguments)
    surroundings.adopt()
    locks.die_with_parent(lambda: None)
    try:
        if not up_to_date(given.profile):
            print_book(given.profile)
    except (WorkflowError, OSError) as error:
        print(f"run_all.sh: {error}", file=sys.stderr)
        return 1
    print(f"The PDF is {pdf(given.profile).relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
