"""The page in a browser under hands: several pictures, ways in, cancelling, the keyboard, small screens."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from support.heic import heic
from support.page import picture, until

pytestmark = pytest.mark.slow

Visit = Any  # of conftest.py


def test_several_pictures_one_of_them_broken(visit: Visit, tmp_path: Path, photograph: np.ndarray) -> None:
    for number in range(3):
        Image.fromarray(photograph[: 40 + number, :50]).save(tmp_path / f"{number}.png")
    (tmp_path / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    visit.give(*(tmp_path / f"{number}.png" for number in range(3)))
    for name in ("0.png, done", "1.png, failed", "2.png, done"):
        visit.page.get_by_role("button", name=name).wait_for()
    visit.page.get_by_role("button", name="1.png, failed").click()
    assert "cannot read" in visit.page.locator("#facts").inner_text()
    names: list[str] = []
    visit.page.on("download", lambda download: names.append(download.suggested_filename))
    visit.page.click("#save-all")
    until(visit.page, lambda: len(names) == 2)
    assert names == ["0_x2.png", "2_x2.png"]


def test_pictures_that_are_dropped_or_pasted(visit: Visit, photograph: np.ndarray) -> None:
    stream = io.BytesIO()
    Image.fromarray(photograph[:30, :40]).save(stream, "PNG")
    give = """([kind, name, numbers]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(numbers)], name, { type: "image/png" }));
        dispatchEvent(kind === "drop" ? new DragEvent(kind, { dataTransfer: transfer }) : new ClipboardEvent(kind, { clipboardData: transfer }));
    }"""
    visit.page.evaluate(give, ["drop", "dropped.png", list(stream.getvalue())])
    visit.page.evaluate(give, ["paste", "pasted.png", list(stream.getvalue())])
    for name in ("dropped.png, done", "pasted.png, done"):
        visit.page.get_by_role("button", name=name).wait_for()


def test_the_pixels_of_one_picture_are_held(visit: Visit, tmp_path: Path, photograph: np.ndarray) -> None:
    """Others' are let go and come back; and the keyboard's place in the list is kept while pictures end."""
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        Image.fromarray(photograph[:, : 60 + number]).save(path)
    page = visit.page
    visit.give(*paths)
    page.get_by_role("button", name="2.png").focus()
    page.get_by_role("button", name="2.png, done").wait_for()
    assert page.evaluate("() => document.activeElement.title") == "2.png"
    shots = []
    for name in ("1.png", "0.png", "1.png"):
        page.get_by_role("button", name=name).click()
        page.locator("#facts", has_text=f"→ {2 * (60 + int(name[0]))}").wait_for()
        page.wait_for_timeout(1000)
        shots.append(page.locator("#canvas").screenshot())
    assert shots[0] == shots[2] != shots[1]
    page.get_by_role("button", name="Clear").click()
    page.get_by_text("Drop pictures or folders here").wait_for()


def test_what_the_page_takes_a_part_of_and_what_it_cannot_read(
    visit: Visit, tmp_path: Path, photograph: np.ndarray
) -> None:
    first, second = Image.fromarray(photograph[:40, :50]), Image.fromarray(photograph[20:60, :50])
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second], loop=0)
    first.save(tmp_path / "scan.tif")
    (tmp_path / "photo.heic").write_bytes(heic("8"))
    (tmp_path / "notes.txt").write_text("no picture")
    assert "the first picture of an animation" in visit.enlarge(tmp_path / "moving.gif")
    page = visit.page
    for name, said in (
        ("scan.tif", "this browser cannot read TIFF; save it as JPEG or PNG first"),
        ("photo.heic", "this browser cannot read HEIC; save it as JPEG or PNG first"),
        ("notes.txt", "this browser cannot read it as a picture"),
    ):
        visit.give(tmp_path / name)
        page.get_by_role("button", name=f"{name}, failed").click()
        for place in ("#facts", "#unseen"):
            assert page.locator(place).inner_text() == f"{name}: {said}"


def test_cancel_and_enlarge_again(visit: Visit, tmp_path: Path, photograph: np.ndarray) -> None:
    large, small = tmp_path / "large.png", tmp_path / "small.png"
    Image.fromarray(np.tile(photograph, (8, 8, 1))).save(large)
    Image.fromarray(photograph[:40, :50]).save(small)
    page = visit.page
    visit.give(large)
    page.locator("#progress-text", has_text="left").wait_for()
    assert len(page.workers) == 1
    page.click("#cancel")
    page.locator("#status", has_text="Cancelled").wait_for()
    assert page.locator("#cancel").is_hidden()
    until(page, lambda: not page.workers)
    visit.give(small)
    page.get_by_role("button", name="small.png, done").wait_for()
    page.get_by_role("button", name="large.png, cancelled").wait_for()


def test_keyboard_alone(visit: Visit, tmp_path: Path, photograph: np.ndarray) -> None:
    visit.enlarge(picture("plain", tmp_path, photograph))
    page = visit.page
    page.locator("#line").focus()
    before = float(page.locator("#line").input_value())
    page.keyboard.press("ArrowRight")
    assert float(page.locator("#line").input_value()) > before
    page.locator("#canvas").focus()
    for key, shown in (("1", "100 %"), ("+", "125 %"), ("-", "100 %")):
        page.keyboard.press(key)
        page.locator("#zoom", has_text=shown).wait_for()
    page.locator("input[name=scale][value='2']").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("input[name=scale][value='3']").is_checked()
    page.get_by_role("button", name="Enlarge again").press("Enter")
    page.locator("#facts", has_text="453").wait_for()


def test_clean_weights_have_nothing_to_restore(visit: Visit) -> None:
    visit.set("weights", "clean")
    visit.set("scale", "1")
    assert visit.page.locator("input[name=weights][value=auto]").is_checked()
    assert visit.page.locator("input[name=weights][value=clean]").is_disabled()
    visit.set("scale", "2")
    assert visit.page.locator("input[name=weights][value=clean]").is_enabled()


def test_every_control_has_a_name(visit: Visit, tmp_path: Path, photograph: np.ndarray) -> None:
    visit.enlarge(picture("plain", tmp_path, photograph))
    unnamed = visit.page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, canvas, progress, output")].filter((one) =>
            !one.hidden && !one.ariaLabel && !one.getAttribute("aria-labelledby") && !one.labels?.length &&
            !one.textContent.trim()).map((one) => one.outerHTML)"""
    )
    assert unnamed == []
    assert visit.page.get_by_role("slider", name="Compare before and after").count() == 1
    assert "now 302 by 206" in visit.page.locator("#status[role=status]").inner_text()


@pytest.mark.parametrize("width", [320, 390, 768])
def test_narrow_screens_scroll_in_one_direction(
    visit: Visit, tmp_path: Path, photograph: np.ndarray, width: int
) -> None:
    visit.page.set_viewport_size({"width": width, "height": 700})
    visit.enlarge(picture("plain", tmp_path, photograph))
    assert visit.page.evaluate("() => document.documentElement.scrollWidth") <= width
