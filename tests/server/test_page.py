"""The page in Chromium: files in, results out, cancel, nothing refused by its own policy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamnet.server.settings import Settings
from support.server import ENDLESS, FAULTY, Running, Start, picture

api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
TOKEN = "a-token-of-23-letters-x"


@pytest.fixture
def page() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.set_default_timeout(120_000)
        opened.complaints = []
        opened.on("console", lambda message: opened.complaints.append(message.text))
        opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
        yield opened
        browser.close()


def test_files_in_and_results_out(start: Start, page: Any, tmp_path: Path) -> None:
    server: Running = start(Settings(port=0, token=TOKEN), FAULTY)
    page.goto(f"http://127.0.0.1:{server.port}/#{TOKEN}")
    page.wait_for_function("document.querySelectorAll('#scale option').length > 0")
    assert TOKEN not in page.url
    page.select_option("#model", "tiny")
    page.select_option("#scale", "2")
    good, bad = picture(tmp_path), tmp_path / "text.png"
    bad.write_text("no picture")
    endless = picture(tmp_path, ENDLESS, 9, "endless.png")
    page.set_input_files("#files", [endless, good, bad])
    page.wait_for_selector("text=waits, 1 before it")
    page.get_by_role("button", name="Cancel endless.png").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Save photo_x2.png").click()
    page.wait_for_selector(".job.failed")
    assert page.locator(".job.failed .what").inner_text().startswith("text.png: expected a picture")
    assert page.get_by_role("status").inner_text() == "1 done, 1 failed, 1 cancelled"
    server.headers["Authorization"] = f"Bearer {TOKEN}"
    assert download.value.suggested_filename == "photo_x2.png"
    assert Path(download.value.path()).read_bytes() == server.upscaled(good)[1]
    assert page.complaints == []


def test_a_page_that_is_left_leaves_nothing(start: Start, page: Any, tmp_path: Path) -> None:
    server = start(Settings(port=0), FAULTY)
    page.goto(f"http://127.0.0.1:{server.port}/")
    page.wait_for_function("document.querySelectorAll('#scale option').length > 0")
    page.set_input_files("#files", [picture(tmp_path, ENDLESS)])
    page.wait_for_selector("text=/at work, .* left/")
    page.goto("about:blank")
    server.until(lambda: not server.files())
