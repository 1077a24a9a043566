"""The page in Chromium: files in, results out, cancel, nothing refused by its own policy."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from lamnet.server.settings import Engine, Settings
from support.page import until
from support.server import ENDLESS, FAULTY, Running, Start, picture

api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
TOKEN = "a-token-of-23-letters-x"


Page = Any  # of playwright


@pytest.fixture
def page() -> Iterator[Page]:
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        opened = browser.new_page()
        opened.set_default_timeout(600_000)
        opened.complaints = []
        opened.on("console", lambda message: opened.complaints.append(message.text))
        opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
        yield opened
        browser.close()


def opened(page: Page, server: Running, token: str = "") -> None:
    page.goto(f"http://127.0.0.1:{server.port}/{token}")
    page.locator("#format option").first.wait_for(state="attached")


def button(page: Page, name: str) -> Any:
    """A file's in the list; its name says how it is doing."""
    return page.get_by_role("list", name="Pictures").get_by_role("button", name=name)


def saved(page: Page) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save", exact=True).click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_files_in_and_results_out(start: Start, page: Page, tmp_path: Path) -> None:
    server: Running = start(Settings(port=0, token=TOKEN), FAULTY)
    opened(page, server, f"#{TOKEN}")
    assert TOKEN not in page.url
    good, bad = picture(tmp_path), tmp_path / "text.png"
    bad.write_text("no picture")
    endless = picture(tmp_path, ENDLESS, 9, "endless.png")
    page.set_input_files("#files", [endless, good, bad])
    button(page, "text.png, being enlarged").click()
    page.locator("#progress-text", has_text="waits, 1 before it").wait_for()
    button(page, "endless.png, being enlarged").click()
    page.locator("#progress-text", has_text="left").wait_for()
    page.get_by_role("button", name="Cancel", exact=True).click()
    button(page, "endless.png, cancelled").wait_for()
    button(page, "text.png, failed").click()
    assert page.locator("#facts").inner_text().startswith("text.png: expected a picture")
    button(page, "photo.png, done").click()
    page.locator("#facts", has_text="photo_x2.png").wait_for()
    server.headers["Authorization"] = f"Bearer {TOKEN}"
    assert saved(page) == ("photo_x2.png", server.upscaled(good)[1])
    server.until(lambda: not server.files())
    assert page.complaints == []


def test_depth_that_no_browser_has_and_what_it_cannot_show(start: Start, page: Page, tmp_path: Path) -> None:
    server, deep = start(Settings(port=0)), tmp_path / "deep.png"
    values = np.arange(20 * 24, dtype=np.uint16).reshape(20, 24) * 130
    Image.fromarray(values).save(deep)
    opened(page, server)
    page.set_input_files("#files", deep)
    page.locator("#save:enabled").wait_for()
    name, made = saved(page)
    assert (name, made) == ("deep_x2.png", server.upscaled(deep, "deep.png")[1])
    assert np.asarray(Image.open(io.BytesIO(made))).dtype == np.uint16
    page.select_option("#format", "tif")
    page.get_by_role("button", name="Enlarge again").click()
    page.locator("#facts", has_text="deep_x2.tif").wait_for()
    assert page.locator("#compare").is_hidden()
    page.locator("input[name=scale][value='1']").check(force=True)
    page.select_option("#format", "")
    page.get_by_role("button", name="Enlarge again").click()
    page.locator("#facts", has_text="24 × 20 → 24 × 20").wait_for()  # noqa: RUF001
    assert saved(page)[1] == server.upscaled(deep, "deep.png", scale="1")[1]
    assert page.complaints == []


def test_a_video(start: Start, page: Page, tmp_path: Path) -> None:
    clips = pytest.importorskip("support.clips", reason='needs PyAV: pip install "lamnet-sr[video]"')
    server, clip = start(Settings(port=0)), clips.clip(tmp_path, "clip.mp4")
    opened(page, server)
    page.set_input_files("#files", clip)
    page.locator("#unseen", has_text="It can be enlarged and saved all the same").wait_for()
    page.locator("#facts", has_text="clip_x2.mp4").wait_for()
    assert saved(page) == ("clip_x2.mp4", server.upscaled(clip, "clip.mp4")[1])
    assert page.complaints == []


def test_a_picture_in_tiles_whose_result_is_more_than_a_screen_shows(start: Start, page: Page, tmp_path: Path) -> None:
    """As one of 12 megapixels is, on a machine with so little memory and a page with so small previews."""
    server, path = start(Settings(port=0, engine=Engine(memory=300_000_000))), tmp_path / "large.png"
    Image.fromarray(data.astronaut()[:300, :400]).save(path)
    page.route(
        "**/whole.js",
        lambda route: route.fulfill(response=(got := route.fetch()), body=with_small_previews(got.text())),
    )
    opened(page, server)
    page.locator("input[name=scale][value='4']").check(force=True)
    page.set_input_files("#files", path)
    shares: list[int] = []
    while page.locator("#save:enabled").count() == 0:
        shares += [int(found) for found in re.findall(r": (\d+) %.* left", page.locator("#progress-text").inner_text())]
    assert shares == sorted(shares)
    assert len(set(shares)) > 2
    name, made = saved(page)
    assert (name, made) == ("large_x4.png", server.upscaled(path, "large.png", scale="4")[1])
    page.locator("#line").fill("0")
    page.get_by_role("button", name="Pixels").click()
    until(page, lambda: shows_the_middle(page, np.asarray(Image.open(io.BytesIO(made)))))


def with_small_previews(script: str) -> str:
    assert "const PREVIEW = 16e6" in script
    return script.replace("const PREVIEW = 16e6", "const PREVIEW = 1e5")


def shows_the_middle(page: Page, result: np.ndarray) -> bool:
    """Whether the stage shows the middle of a result, pixel by pixel."""
    shot = np.asarray(Image.open(io.BytesIO(page.locator("#canvas").screenshot())).convert("RGB")).astype(int)
    (y, x), (v, u) = (np.array(image.shape[:2]) // 2 - 50 for image in (shot, result))
    seen = shot[y : y + 100, x : x + 100]
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return any(np.abs(seen - result[v + down :, u + right :][:100, :100]).max() <= 1 for down, right in shifts)


def test_a_page_that_is_left_leaves_nothing(start: Start, page: Page, tmp_path: Path) -> None:
    server = start(Settings(port=0), FAULTY)
    opened(page, server)
    page.set_input_files("#files", [picture(tmp_path, ENDLESS)])
    page.locator("#progress-text", has_text="left").wait_for()
    page.goto("about:blank")
    server.until(lambda: not server.files())


def test_a_server_that_ends_is_told(start: Start, page: Page, tmp_path: Path) -> None:
    server = start(Settings(port=0), FAULTY)
    opened(page, server)
    page.set_input_files("#files", [picture(tmp_path, ENDLESS)])
    page.locator("#progress-text", has_text="left").wait_for()
    server.process.terminate()
    page.locator("#facts", has_text="photo.png: the server cannot be reached").wait_for()


def test_a_page_without_the_token_says_so(start: Start, page: Page) -> None:
    server = start(Settings(port=0, token=TOKEN))
    page.goto(f"http://127.0.0.1:{server.port}/")
    page.get_by_role("alert").filter(has_text="token").wait_for()
