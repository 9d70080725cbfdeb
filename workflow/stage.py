"""Lay out what Sphinx reads: pages, executed notebooks, references, assets, front-end files.

The staged tree has the layout of the project (book/...), so that one _toc.yml serves both.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workflow import chapters
from workflow.paths import BOOK, BUILD, ROOT, TOC, VENDOR, WorkflowError, notebook

# Parts of book/ that are not pages, nor files that a page may show.
NOT_STAGED = (BOOK / "frontend", BOOK / "chapters.toml")


def toc_pages(toc: Path = TOC) -> list[str]:
    """Return the pages that the table of contents names, in order, without suffix."""
    import yaml

    def pages(entry: Any) -> Iterator[str]:
        if isinstance(entry, dict):
            for key, value in entry.items():
                if key in ("root", "file"):
                    yield value
                elif isinstance(value, list):
                    yield from pages(value)
        elif isinstance(entry, list):
            for item in entry:
                yield from pages(item)

    return list(pages(yaml.safe_load(toc.read_text(encoding="utf-8"))))


def check(chapter_list: chapters.ChapterList) -> None:
    """Check that the table of contents, the chapter list and the sources agree.

    Raises:
        WorkflowError: a page without a source, a chapter without a page, a page twice.
    """
    listed = toc_pages()
    executed = {chapter.page: chapter for chapter in chapter_list}
    if len(executed) < len(chapter_list.chapters):
        raise WorkflowError("chapters.toml gives two chapters the same page")
    sources = {chapter.source.with_suffix("").as_posix() for chapter in chapter_list}
    for page in listed:
        if listed.count(page) > 1:
            raise WorkflowError(f"_toc.yml names {page} twice")
        if page in executed:
            continue
        if page in sources:
            raise WorkflowError(
                f"_toc.yml names {page}, the source of a chapter whose page has another name"
            )
        if not (ROOT / page).with_suffix(".md").is_file():
            raise WorkflowError(f"_toc.yml names {page}, and there is no {page}.md")
        if "{code-cell}" in (ROOT / page).with_suffix(".md").read_text(encoding="utf-8"):
            raise WorkflowError(f"{page}.md holds code; give it a chapter in book/chapters.toml")
    for page, chapter in executed.items():
        if page not in listed:
            raise WorkflowError(f"_toc.yml lacks {page}, the page of chapter '{chapter.name}'")


def stage(profile: str, target: Path, draft: bool = False) -> list[str]:
    """Lay out the tree at ``target``; return the chapters that have not been executed yet.

    Args:
        profile: whose executed notebooks are taken.
        target: the folder to make, in place of what is there.
        draft: take a chapter that has not been executed as it is, without outputs.

    Raises:
        WorkflowError: the lists disagree, or a chapter has not been executed.
    """
    import nbformat

    from workflow.execute import prepare

    chapter_list = chapters.load()
    check(chapter_list)
    shutil.rmtree(target, ignore_errors=True)
    sources = {ROOT / chapter.source for chapter in chapter_list}
    for path in sorted(BOOK.rglob("*")):
        skipped = any(path == part or part in path.parents for part in NOT_STAGED)
        if path.is_file() and path not in sources and not skipped:
            _copy(path, target / path.relative_to(ROOT))
    for path in sorted((ROOT / "data").glob("*.svg")):
        _copy(path, target / path.relative_to(ROOT))
    if VENDOR.is_dir():
        shutil.copytree(VENDOR, target / "book" / "assets" / "vendor")
    missing = []
    for chapter in chapter_list:
        page = target / f"{chapter.page}.ipynb"
        page.parent.mkdir(parents=True, exist_ok=True)
        executed = notebook(profile, chapter.name)
        if executed.is_file():
            shutil.copy(executed, page)
            continue
        if not draft:
            place = executed.relative_to(BUILD.parent)
            raise WorkflowError(f"chapter '{chapter.name}' has not been executed: no {place}")
        missing.append(chapter.name)
        nbformat.write(prepare(chapter), page)
    return missing


def _copy(origin: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(origin, target)
