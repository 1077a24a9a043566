"""A picture's own edge is repeated for the network and cropped afterwards; grey stays grey."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import lamnet
from lamnet import LAMNet, Upscaler
from lamnet.core import shipped
from lamnet.core.config import EDGE
from lamnet.upscale.plan import Box, fixed
from lamnet.upscale.raster import planes_at, raster_of_array
from support.engines import Nearest

SHIPPED = [pytest.param(one, id=f"{one.model}_x{one.scale}") for one in shipped.shipped()]


def _load(one: shipped.Shipped) -> LAMNet:
    return lamnet.load(one.size, one.scale, one.variant)


def test_boxes_reach_into_the_repeated_edge() -> None:
    plan = fixed(Nearest.config, 100, 300, 100, Nearest().footprint())
    (left, middle, right), whole = plan.boxes(), fixed(Nearest.config, 100, 300, None, Nearest().footprint())
    assert whole.seen(Box(0, 0, 100, 300)) == Box(-EDGE, -EDGE, 100 + 2 * EDGE, 300 + 2 * EDGE)
    assert plan.with_edge(left) == Box(-EDGE, -EDGE, 100 + 2 * EDGE, 100 + EDGE)
    assert plan.with_edge(middle) == Box(-EDGE, 100, 100 + 2 * EDGE, 100)
    assert plan.seen(right) == Box(-EDGE, 200 - 32, 100 + 2 * EDGE, 132 + EDGE)


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_beyond_the_picture_its_edge_is_repeated(bands: int) -> None:
    pixels = np.random.default_rng(0).uniform(0.1, 1, (9, 2, bands)).astype(np.float32)
    raster = raster_of_array(pixels)
    own = planes_at(raster, Box(0, 0, 9, 2))
    for plane, grown in zip(own, planes_at(raster, Box(-EDGE, -EDGE, 9 + 2 * EDGE, 2 + 2 * EDGE)), strict=True):
        np.testing.assert_array_equal(grown, np.pad(plane, ((0, 0), (EDGE, EDGE), (EDGE, EDGE)), "edge"))


@pytest.mark.thorough
@pytest.mark.parametrize("one", SHIPPED)
def test_flat_colours_stay_flat(one: shipped.Shipped) -> None:
    upscaler, worst = Upscaler(_load(one), "cpu"), 0
    for colour in itertools.product((0, 64, 128, 191, 255), repeat=3):
        pixels = np.broadcast_to(np.array(colour, np.uint8), (9, 12, 3))
        worst = max(worst, int(np.abs(upscaler(pixels).astype(int) - colour).max()))
    print(f"{one.model} x{one.scale}: at most {worst} of 255 off")  # noqa: T201 (a figure for docs/log)
    assert worst <= 3


@pytest.mark.thorough
@pytest.mark.parametrize("one", SHIPPED)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 30), (9, 1)])
def test_pictures_of_a_pixel_or_two(one: shipped.Shipped, size: tuple[int, int]) -> None:
    pixels = np.full((*size, 3), (200, 30, 90), np.uint8)
    result = Upscaler(_load(one), "cpu")(pixels)
    assert result.shape == (size[0] * one.scale, size[1] * one.scale, 3)
    assert np.abs(result.astype(int) - pixels[0, 0]).max() <= 3


@pytest.mark.thorough
@pytest.mark.parametrize("one", SHIPPED)
def test_a_gradient_goes_on_to_its_edge(one: shipped.Shipped) -> None:
    rows, columns = np.mgrid[0:24, 0:40]
    pixels = np.stack([rows * 5 + 60, columns * 4 + 40, 220 - rows * 3], -1).astype(np.uint8)
    result = Upscaler(_load(one), "cpu")(pixels).astype(int)
    expected = pixels.repeat(one.scale, 0).repeat(one.scale, 1)
    assert np.abs(result - expected).max() <= 8  # half a step and how far the last pixel's own half lies


@pytest.mark.thorough
@pytest.mark.parametrize("one", SHIPPED)
def test_a_logo_at_the_edge_has_its_colours(one: shipped.Shipped) -> None:
    image = Image.new("RGB", (48, 32), (230, 20, 40))
    ImageDraw.Draw(image).rectangle((0, 0, 20, 31), fill=(20, 40, 200))
    result = np.asarray(Upscaler(_load(one), "cpu")(np.asarray(image))).astype(int)
    assert np.abs(result[:, : 10 * one.scale] - (20, 40, 200)).max() <= 8
    assert np.abs(result[:, -15 * one.scale :] - (230, 20, 40)).max() <= 8


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("alpha", [False, True])
def test_equal_bands_stay_equal(dtype: type, alpha: bool) -> None:
    numbers = np.random.default_rng(0).random((24, 31, 1))
    grey = (numbers if dtype == np.float32 else numbers * np.iinfo(dtype).max).astype(dtype)
    opaque = np.full_like(grey, 1 if dtype == np.float32 else np.iinfo(dtype).max)
    rgb = np.concatenate([grey, grey, grey, *([opaque] if alpha else [])], -1)
    upscaler = Upscaler(lamnet.load("tiny", 2), "cpu")
    result, single = upscaler(rgb), upscaler(grey)
    for band in range(3):
        np.testing.assert_array_equal(result[..., band], single[..., 0])
    coloured = rgb.copy()
    coloured[3, 4, 1] = 0
    assert (upscaler(coloured)[..., 0] != upscaler(coloured)[..., 2]).any()


def test_a_grey_palette_gives_grey(tmp_path: Path) -> None:
    rgb = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30), np.uint8)).convert("RGB")
    rgb.quantize(16).save(tmp_path / "grey.png")
    assert Image.open(tmp_path / "grey.png").mode == "P"
    Upscaler(lamnet.load("tiny", 2), "cpu").file(tmp_path / "grey.png", tmp_path / "out.png")
    result = np.asarray(Image.open(tmp_path / "out.png").convert("RGB"))
    assert result.shape == (40, 60, 3)
    assert (result == result[..., :1]).all()
