"""What the page in a browser saves is what the command writes, to one level in every pixel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from skimage import data

from support.page import by_command, check_equal, picture, pixels_of

pytestmark = pytest.mark.slow

Visit = Any  # of conftest.py


@pytest.mark.parametrize("site", [False, True], indirect=True, ids=["one thread", "threads"])
@pytest.mark.parametrize(
    ("scale", "weights"), [("1", "photo"), ("2", "clean"), ("2", "photo"), ("4", "clean"), ("4", "photo")]
)
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
        ("grey", "1"),
        ("grey", "2"),
        ("palette", "3"),
        ("alpha", "2"),
        ("alpha", "4"),
        ("webp", "2"),
        ("jpeg 6 60", "1"),
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
    ("kind", "scale", "options"),
    [
        ("plain", "3", "photo"),
        ("alpha", "3", "mix"),
        ("plain", "2", "mix"),
        ("plain", "1", "mix"),
        ("alpha", "1", "photo"),
    ],
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


@pytest.mark.parametrize("site", [True], indirect=True, ids=["threads"])
@pytest.mark.parametrize("scale", ["2", "4"])
def test_twelve_megapixels(lasting_visit: Visit, tmp_path: Path, scale: str) -> None:
    path, rng = tmp_path / "picture.jpg", np.random.default_rng(0)
    image, parts = (
        Image.new("RGB", (4000, 3000)),
        [Image.fromarray(one()) for one in (data.astronaut, data.coffee, data.chelsea)],
    )
    for number in range(300):
        image.paste(parts[number % 3], (int(rng.integers(-200, 3900)), int(rng.integers(-200, 2900))))
    image.save(path, quality=90)
    lasting_visit.set("scale", scale)
    lasting_visit.enlarge(path, seconds=4 * 3600)  # on a machine that has much else to do
    saved = lasting_visit.save(tmp_path / "page.png")
    Image.MAX_IMAGE_PIXELS = None
    expected, _ = by_command(path, tmp_path / "command.png", "--scale", scale, "--memory", "2.5GB")
    check_equal(pixels_of(saved), expected)
