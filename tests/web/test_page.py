"""The page in a browser: what it saves is what the command writes, to one level in every pixel."""

from __future__ import annotations

import io
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image
from skimage import data

pytestmark = pytest.mark.slow
PATIENCE = 600  # seconds

Visit = Any  # of conftest.py
Site = Any


def pixels_of(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGBA")).astype(np.int16)


def by_command(path: Path, target: Path, *options: str) -> tuple[np.ndarray, str]:
    """What the command makes of a picture, and what it says."""
    call = [sys.executable, "-m", "lamnet", "upscale", path, "--model", "tiny", *options, "-o", target]
    done = subprocess.run([str(word) for word in call], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return pixels_of(target), done.stderr


def check_equal(page: np.ndarray, command: np.ndarray) -> None:
    """To one level in every pixel; the colours of what is not there at all do not count."""
    assert page.shape == command.shape
    assert np.array_equal(page[..., 3], command[..., 3]) or np.abs(page[..., 3] - command[..., 3]).max() <= 1
    assert np.abs(page - command)[command[..., 3] > 0].max() <= 1


def until(page: Any, true: Callable[[], bool]) -> None:
    """Wait for what no element of the page shows."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        page.wait_for_timeout(100)


def picture(kind: str, folder: Path, photograph: np.ndarray) -> Path:
    image, path = Image.fromarray(photograph), folder / "picture.png"
    if kind == "grey":
        image = image.convert("L")
    elif kind == "palette":
        image = image.convert("P")
    elif kind in ("alpha", "webp"):
        rows, columns = np.mgrid[: image.height, : image.width]
        alpha = (np.hypot(rows - 50, columns - 70) * 6 - 120).clip(0, 255).astype(np.uint8)
        image.putalpha(Image.fromarray(alpha))
        path = path.with_suffix(".webp") if kind == "webp" else path
    elif kind.startswith("jpeg"):
        path, exif = path.with_suffix(".jpg"), Image.Exif()
        exif[0x112] = int(kind.split()[1])
        image.save(path, quality=int(kind.split()[2]), exif=exif)
        return path
    image.save(path)
    return path


@pytest.mark.parametrize("site", [False, True], indirect=True, ids=["one thread", "threads"])
@pytest.mark.parametrize(("scale", "weights"), [("2", "clean"), ("2", "photo"), ("4", "clean"), ("4", "photo")])
def test_each_of_the_weights(visit: Visit, tmp_path: Path, photograph: np.ndarray, scale: str, weights: str) -> None:
    path = picture("plain", tmp_path, photograph)
    visit.set("scale", scale)
    visit.set("weights", weights)
    visit.enlarge(path)
    saved = visit.save(tmp_path / "page.png")
    expected, _ = by_command(path, tmp_path / "command.png", "--scale", scale, "--weights", weights)
    check_equal(pixels_of(saved), expected)


@pytest.mark.parametrize(
    ("kind", "scale"),
    [
        ("grey", "2"),
        ("palette", "3"),
        ("alpha", "2"),
        ("alpha", "4"),
        ("webp", "2"),
        ("jpeg 6 96", "2"),
        ("jpeg 3 70", "4"),
    ],
)
def test_pictures_of_all_kinds(visit: Visit, tmp_path: Path, photograph: np.ndarray, kind: str, scale: str) -> None:
    path = picture(kind, tmp_path, photograph)
    visit.set("scale", scale)
    facts = visit.enlarge(path)
    saved = visit.save(tmp_path / "page.png")
    expected, said = by_command(path, tmp_path / "command.png", "--scale", scale)
    check_equal(pixels_of(saved), expected)
    if "weights" in said:  # which the command chose, and why
        assert said.strip().rpartition(": ")[2] in facts
        assert ("photo weights" in said) == ("photo weights" in facts)


@pytest.mark.parametrize(
    ("kind", "scale", "options"), [("plain", "3", "photo"), ("alpha", "3", "mix"), ("plain", "2", "mix")]
)
def test_a_mix_and_a_scale_between(
    visit: Visit, tmp_path: Path, photograph: np.ndarray, kind: str, scale: str, options: str
) -> None:
    path = picture(kind, tmp_path, photograph)
    visit.set("scale", scale)
    visit.set("weights", options)
    if options == "mix":
        visit.page.locator("#strength").fill("30")
    visit.enlarge(path)
    saved = visit.save(tmp_path / "page.png")
    words = ("--strength", "0.3") if options == "mix" else ("--weights", options)
    expected, _ = by_command(path, tmp_path / "command.png", "--scale", scale, *words)
    check_equal(pixels_of(saved), expected)


@pytest.mark.parametrize("kind", ["photograph", "noise beside it", "alpha and noise"])
def test_tiles_are_the_commands(visit: Visit, tmp_path: Path, photograph: np.ndarray, kind: str) -> None:
    """On a machine with so little memory; noise has means that its neighbours would see, so it goes layer by layer."""
    path, pixels = tmp_path / "picture.png", np.tile(photograph, (2, 3, 1))[:171, :401]
    if kind != "photograph":
        pixels[:, :200] = np.random.default_rng(0).integers(0, 256, (171, 200, 1))
    if kind == "alpha and noise":
        pixels = np.dstack([pixels, np.tile(np.linspace(0, 300, 401).clip(0, 255).astype(np.uint8), (171, 1))])
    Image.fromarray(pixels).save(path)
    page = visit.page
    page.route(
        "**/engine.js", lambda route: route.fulfill(response=(got := route.fetch()), body=in_little_memory(got.text()))
    )
    visit.reload()
    visit.set("weights", "photo")
    visit.enlarge(path)
    saved = visit.save(tmp_path / "page.png")
    expected, _ = by_command(path, tmp_path / "command.png", "--scale", "2", "--weights", "photo", "--memory", "200MB")
    check_equal(pixels_of(saved), expected)


def in_little_memory(script: str) -> str:
    assert "const MEMORY = 2.5e9" in script
    return script.replace("const MEMORY = 2.5e9", "const MEMORY = 2e8")


@pytest.mark.parametrize(("kind", "suffix"), [("image/jpeg", "jpg"), ("image/webp", "webp")])
def test_other_formats(visit: Visit, tmp_path: Path, photograph: np.ndarray, kind: str, suffix: str) -> None:
    path = picture("plain", tmp_path, photograph)
    visit.page.select_option("#format", kind)
    visit.enlarge(path)
    with visit.page.expect_download() as download:
        visit.page.click("#save")
    assert download.value.suggested_filename == f"picture_x2.{suffix}"
    image = Image.open(download.value.path())
    expected, _ = by_command(path, tmp_path / "command.png", "--scale", "2")
    assert image.format == {"jpg": "JPEG", "webp": "WEBP"}[suffix]
    assert np.abs(np.asarray(image.convert("RGBA")).astype(int) - expected).mean() < 3


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


def test_nothing_is_asked_of_another_host_and_nothing_can_be(
    visit: Visit, tmp_path: Path, photograph: np.ndarray, site: Site
) -> None:
    visit.enlarge(picture("plain", tmp_path, photograph))
    host = urlparse(site.address).netloc
    assert {urlparse(url).netloc for url in visit.requests if not url.startswith(("blob:", "data:"))} == {host}
    send = "fetch('http://127.0.0.2:9/').then(() => 'sent', (error) => 'held')"
    blocked = visit.page.evaluate(
        f"""() => new Promise((done) => {{
            document.addEventListener('securitypolicyviolation', (event) => done(event.effectiveDirective));
            {send};
        }})"""
    )
    assert blocked == "connect-src"


def test_workers_are_held_by_the_policy_too(visit: Visit) -> None:
    page = visit.page
    page.evaluate("() => navigator.serviceWorker.ready.then(() => 1)")
    visit.reload()
    policy = page.evaluate(
        "() => fetch('worker.js').then((response) => response.headers.get('Content-Security-Policy'))"
    )
    assert "connect-src 'self'" in policy


def test_a_worker_of_the_first_visit_can_ask_no_other_host(
    browser: Any, site: Site, tmp_path: Path, photograph: np.ndarray
) -> None:
    """No service worker is there yet to give it a policy, and a static host gives none."""
    context = browser.new_context(service_workers="block")
    page = context.new_page()
    attempt = """
        addEventListener("securitypolicyviolation", ({ effectiveDirective }) => postMessage({ kind: "failed", reason: effectiveDirective }));
        onmessage = () => fetch("http://127.0.0.2:9/").catch(() => {});"""
    page.route("**/worker.js", lambda route: route.fulfill(content_type="text/javascript", body=attempt))
    page.goto(site.address)
    page.locator("#format option").first.wait_for(state="attached")
    page.set_input_files("#files", str(picture("plain", tmp_path, photograph)))
    page.locator("#status", has_text="connect-src").wait_for()
    context.close()


def test_it_loads_less_than_100_kb_before_a_picture(visit: Visit, folder: Path, site: Site) -> None:
    visit.page.evaluate("() => navigator.serviceWorker.ready.then(() => 1)")
    names = {urlparse(url).path.lstrip("/") or "index.html" for url in visit.requests}
    assert {"index.html", "app.js", "style.css", "sw.js"} <= names
    assert sum((folder / name).stat().st_size for name in names) < 100_000
    assert not any("weights" in name or name.endswith(".wasm") for name in names)


def test_it_works_without_a_network(
    visit: Visit, tmp_path: Path, photograph: np.ndarray, site: Site, folder: Path
) -> None:
    page, path = visit.page, picture("plain", tmp_path, photograph)
    page.evaluate("() => navigator.serviceWorker.ready.then(() => 1)")
    visit.enlarge(path)
    base = list((folder / "weights/base").iterdir())
    all_of_it = (
        sum(one.is_file() for one in folder.rglob("*")) - len(base) - 1
    )  # nor the worker itself, nor both modules, but "./"
    kept = "() => caches.keys().then(([name]) => caches.open(name)).then((cache) => cache.keys()).then((all) => all.length)"
    until(page, lambda: page.evaluate(kept) >= all_of_it)
    site.stop()
    visit.reload()
    visit.set("scale", "4")
    visit.set("weights", "photo")
    visit.enlarge(path)
    saved = visit.save(tmp_path / "page.png")
    expected, _ = by_command(path, tmp_path / "command.png", "--scale", "4", "--weights", "photo")
    check_equal(pixels_of(saved), expected)


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


@pytest.mark.parametrize("site", [True], indirect=True, ids=["threads"])
@pytest.mark.parametrize("scale", ["2", "4"])
def test_twelve_megapixels(visit: Visit, tmp_path: Path, scale: str) -> None:
    path, rng = tmp_path / "picture.jpg", np.random.default_rng(0)
    image, parts = (
        Image.new("RGB", (4000, 3000)),
        [Image.fromarray(one()) for one in (data.astronaut, data.coffee, data.chelsea)],
    )
    for number in range(300):
        image.paste(parts[number % 3], (int(rng.integers(-200, 3900)), int(rng.integers(-200, 2900))))
    image.save(path, quality=90)
    visit.set("scale", scale)
    visit.enlarge(path, seconds=3000)
    saved = visit.save(tmp_path / "page.png")
    Image.MAX_IMAGE_PIXELS = None
    expected, _ = by_command(path, tmp_path / "command.png", "--scale", scale, "--memory", "2.5GB")
    check_equal(pixels_of(saved), expected)
