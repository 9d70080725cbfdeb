"""``run_all.sh pdf``: one tagged PDF with every chapter in it."""

from __future__ import annotations

import re
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from build_support import ROOT, Result, environment

from workflow import chapters, options, pdf

browser = pytest.mark.browser


def run(*arguments: str, **variables: str) -> Result:
    done = subprocess.run(
        [sys.executable, "-m", "workflow", "pdf", "--no-setup", "--device", "cpu", *arguments],
        cwd=ROOT, env={**environment(), **variables}, capture_output=True, text=True,
    )  # fmt: skip
    return Result(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def printed(smoke_book: Path) -> bytes:
    """Print the smoke book; the PDF's bytes with every compressed stream unpacked."""
    place = pdf.pdf("smoke")
    place.unlink(missing_ok=True)
    done = run("--profile", "smoke")
    assert done.code == 0, done
    assert str(place.relative_to(ROOT)) in done.out
    return unpacked(place.read_bytes())


def unpacked(content: bytes) -> bytes:
    streams = []
    for match in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", content, re.DOTALL):
        try:
            streams.append(zlib.decompress(match[1]))
        except zlib.error:
            continue
    return content + b"\n".join(streams)


@browser
def test_the_pdf_is_tagged_and_has_an_outline(printed: bytes) -> None:
    assert re.search(rb"/MarkInfo\s*<<[^>]*/Marked\s+true", printed)
    for part in (b"/StructTreeRoot", b"/Outlines", b"/S /H1", b"/S /Figure", b"/Lang"):
        assert part in printed, part


@browser
def test_every_chapter_is_in_the_pdf(printed: bytes) -> None:
    # The outline holds the headings, in UTF-16 or in Latin 1.
    for chapter in chapters.load():
        source = (ROOT / chapter.source).read_text(encoding="utf-8")
        for heading in re.findall(r"(?m)^#{1,2} +(.+)$", source.split("---\n", 2)[2]):
            if re.fullmatch(r"[\w ,-]+", heading):
                kinds = (heading.encode("latin-1"), heading.encode("utf-16-be"))
                assert any(kind in printed for kind in kinds), (chapter.name, heading)


@browser
def test_pictures_keep_their_descriptions_and_widgets_become_pictures(printed: bytes) -> None:
    described = re.findall(rb"/Alt\s*[(<]", printed)
    assert len(described) >= 8  # seven figures and three widgets, as of the first chapters


@browser
def test_no_folder_of_this_machine_is_in_the_pdf(printed: bytes) -> None:
    assert str(ROOT).encode() not in printed
    assert b"file:" not in printed


@browser
def test_the_pages_link_to_the_pdf_beside_them(printed: bytes, smoke_book: Path) -> None:
    assert (smoke_book / "book.pdf").is_file()
    for name, address in (("intro", "../book.pdf"), ("method/policy", "../../book.pdf")):
        page = (smoke_book / f"book/{name}.html").read_text(encoding="utf-8")
        assert page.count(f'href="{address}"') == 1


@browser
def test_no_bookmark_stands_twice_and_the_book_has_contents(printed: bytes) -> None:
    titles = re.findall(rb"/Title\s*(\((?:[^()\\]|\\.)*\)|<[0-9A-Fa-f]+>)", printed)
    names = [title for title in titles if len(title) > 20]  # "Exercises" may stand in every chapter
    assert len(names) > 100
    twice = {
        name
        for name in names
        if names.count(name) > 2 or pdf.mended(b"/Title " + name) != b"/Title " + name
    }
    assert not twice, twice
    assert b"Contents of the book" in printed or b"Contents" in printed


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (b"/Title (1. 1. StartStart)", b"/Title (1. Start        )"),
        (b"/Title <FEFF0041004200410042>", b"/Title <FEFF0041004200200020>"),
        (
            b"/Title (2. Whether aLine has gone.Line has gone.)",
            b"/Title (2. Whether a Line has gone.             )",
        ),
        (b"/Title (Five findings)", b"/Title (Five findings)"),
        (b"/Title (Training)", b"/Title (Training)"),
        (b"/Title ()", b"/Title ()"),
    ],
)
def test_a_bookmark_says_every_word_once_and_no_offset_moves(written: bytes, kept: bytes) -> None:
    assert pdf.mended(written) == kept
    assert len(kept) == len(written)


def test_a_pdf_is_offered_once_however_often_it_is_printed(tmp_path: Path) -> None:
    page = tmp_path / "html/book/part/page.html"
    page.parent.mkdir(parents=True)
    page.write_text('<main></main><footer class="bd-footer-content"></footer>')
    (tmp_path / "book.pdf").write_bytes(b"%PDF")
    for _ in range(2):
        pdf.offer(tmp_path / "book.pdf", tmp_path / "html")
    assert page.read_text().count('href="../../book.pdf"') == 1
    assert (tmp_path / "html/book.pdf").is_file()


def test_without_a_browser_one_sentence_says_what_to_do() -> None:
    done = run("--profile", "smoke", CHROME_PATH="/nowhere/chrome")
    assert done.code == 1
    assert re.fullmatch(r"run_all.sh: .*no program /nowhere/chrome.*install.*\n", done.err), done
    assert not done.out  # nothing was built first


def test_the_pdf_takes_the_options_of_a_build(capsys: pytest.CaptureFixture[str]) -> None:
    given = options.parse(["pdf", "--profile", "smoke", "--jobs", "2"])
    assert (given.command, given.profile, given.jobs, given.book) == ("pdf", "smoke", 2, True)
    with pytest.raises(SystemExit):
        options.parse(["pdf", "--no-book"])
    assert "--no-book" in capsys.readouterr().err
