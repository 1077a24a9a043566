"""A picture is continued beyond its borders for the network and cropped afterwards; grey stays grey."""

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


def test_boxes_reach_beyond_the_borders() -> None:
    plan = fixed(Nearest.config, 100, 300, 100, Nearest().footprint())
    (left, middle, right), whole = plan.boxes(), fixed(Nearest.config, 100, 300, None, Nearest().footprint())
    assert whole.seen(Box(0, 0, 100, 300)) == Box(-EDGE, -EDGE, 100 + 2 * EDGE, 300 + 2 * EDGE)
    assert plan.with_edge(left) == Box(-EDGE, -EDGE, 100 + 2 * EDGE, 100 + EDGE)
    assert plan.with_edge(middle) == Box(-EDGE, 100, 100 + 2 * EDGE, 100)
    assert plan.seen(right) == Box(-EDGE, 200 - 32, 100 + 2 * EDGE, 132 + EDGE)


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(9, 2), (1, 3), (40, 17)])
def test_beyond_the_picture_slopes_go_on(bands: int, size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).uniform(0.1, 1, (*size, bands)).astype(np.float32)
    raster, (height, width) = raster_of_array(pixels), size
    own = planes_at(raster, Box(0, 0, height, width))
    whole = planes_at(raster, Box(-EDGE, -EDGE, height + 2 * EDGE, width + 2 * EDGE))
    for plane, grown in zip(own, whole, strict=True):
        wide = np.pad(plane, ((0, 0), (EDGE, EDGE), (EDGE, EDGE)), "reflect", reflect_type="odd").clip(0, 1)
        np.testing.assert_allclose(grown, wide, atol=1e-6)
    for part in (Box(-EDGE, 0, EDGE + 1, 1), Box(height - 1, width - 1, 1 + EDGE, 1 + EDGE), Box(-EDGE, -2, 9, 3)):
        rows, columns = part.within(Box(-EDGE, -EDGE, height + 2 * EDGE, width + 2 * EDGE))
        for plane, grown in zip(planes_at(raster, part), whole, strict=True):  # the same from any part of it
            np.testing.assert_allclose(plane, grown[:, rows, columns], atol=1e-6)


def test_a_slope_goes_on_beyond_the_picture() -> None:
    rows, columns = np.mgrid[0:12, 0:9]
    plane = (rows * 0.02 + columns * 0.03 + 0.2).astype(np.float32)[..., None]
    (grown,) = planes_at(raster_of_array(plane), Box(-EDGE, -EDGE, 12 + 2 * EDGE, 9 + 2 * EDGE))
    rows, columns = np.mgrid[-EDGE : 12 + EDGE, -EDGE : 9 + EDGE]
    np.testing.assert_allclose(grown[0], (rows * 0.02 + columns * 0.03 + 0.2).clip(0, 1), atol=1e-6)


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
    def gradient(scale: int) -> np.ndarray:
        rows, columns = ((np.arange(length * scale) + 0.5) / scale - 0.5 for length in (24, 40))
        bands = np.broadcast_arrays(rows[:, None] * 5 + 60, columns * 4 + 40, 220 - rows[:, None] * 3)
        return np.floor(np.stack(bands, -1) + 0.5).astype(np.uint8)

    result = Upscaler(_load(one), "cpu")(gradient(1)).astype(int)
    assert np.abs(result - gradient(one.scale)).max() <= 3


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
