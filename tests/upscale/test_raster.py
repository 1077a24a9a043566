"""Pixels to planes and back: hidden colours, alpha, boxes of any place, arrays and pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lamnet.media import arrays, opening
from lamnet.upscale.plan import Box
from lamnet.upscale.raster import (
    PageRaster,
    Plane,
    beyond_at,
    join,
    planes_at,
    planes_of,
    raster_of_array,
)
from lamnet.upscale.transparency import within_neighbours

BOXES = [Box(0, 0, 60, 80), Box(0, 0, 7, 80), Box(13, 21, 30, 40), Box(59, 79, 1, 1)]


def half_transparent(bands: int) -> np.ndarray:
    """Noise whose alpha is 0, something or 1 in stripes."""
    pixels = np.random.default_rng(0).random((60, 80, bands), np.float32)
    pixels[..., -1] = np.clip(np.sin(np.arange(80) / 6) * 1.5, 0, 1)
    return pixels


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("box", BOXES)
def test_a_box_is_the_same_part_of_the_whole(bands: int, box: Box) -> None:
    raster = raster_of_array(half_transparent(bands))
    whole = Box(0, 0, 60, 80)
    for number, plane in enumerate(planes_of(raster)):
        assert plane == Plane(raster, number)
        assert plane.read(box).shape == (3 if bands > 2 and not number else 1, box.height, box.width)
        np.testing.assert_array_equal(plane.read(box), plane.read(whole)[:, *box.within(whole)])


@pytest.mark.parametrize("bands", [2, 4])
def test_hidden_colours_become_the_mean_of_visible_ones_nearby(bands: int) -> None:
    pixels = half_transparent(bands)
    colour, alpha = pixels[..., :-1].astype(float), pixels[..., -1].astype(float)
    got = planes_at(raster_of_array(pixels), Box(0, 0, 60, 80))[0]
    checked = 0
    for row, column in zip(*np.nonzero(alpha == 0), strict=True):
        near = next(
            near
            for reach in (2, 20)
            if alpha[
                near := (slice(max(0, row - reach), row + reach + 1), slice(max(0, column - reach), column + reach + 1))
            ].any()
        )
        expected = (colour[near] * alpha[near][..., None]).sum((0, 1)) / alpha[near].sum()
        np.testing.assert_allclose(got[: bands - 1, row, column], expected, atol=1e-5)
        checked += 1
    assert checked > 1000
    np.testing.assert_array_equal(got[: bands - 1, alpha > 0], np.moveaxis(pixels[..., :-1], 2, 0)[:, alpha > 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_planes_joined_are_the_pixels(bands: int, dtype: type) -> None:
    pixels = half_transparent(bands)
    pixels[..., -1] = pixels[..., -1].clip(0.01, 1)  # no colour is hidden
    if dtype == np.float32:
        pixels = pixels * 3 - 1
        pixels[..., -1] = 0.5
    else:
        pixels = (pixels * np.iinfo(dtype).max).astype(dtype)
    raster, box = raster_of_array(pixels), BOXES[2]
    back = join([plane.repeat(3 // len(plane), 0) for plane in planes_at(raster, box)], beyond_at(raster, box), raster)
    assert back.dtype == dtype
    np.testing.assert_allclose(back, pixels[13:43, 21:61], atol=2e-6 if dtype == np.float32 else 0)


def test_an_alpha_stays_within_its_neighbours() -> None:
    alpha = np.random.default_rng(0).random((1, 9, 11), np.float32)
    out = np.random.default_rng(1).normal(0.5, 2, (3, 18, 22)).astype(np.float32)
    got = within_neighbours(out, alpha, 2)
    for row in range(9):
        for column in range(11):
            near = alpha[0, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
            some = (slice(None), slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2))
            np.testing.assert_array_equal(got[some], out[some].clip(near.min(), near.max()))


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_a_page_is_read_as_its_array(tmp_path: Path, bands: int) -> None:
    pixels = (half_transparent(bands) * 255).astype(np.uint8)
    arrays.write_array(tmp_path / "a.png", pixels)
    page, array = PageRaster(opening.open_picture(tmp_path / "a.png"), 0), raster_of_array(pixels)
    for raster in (page, array):
        assert (raster.height, raster.width, raster.bands, raster.dtype) == (60, 80, bands, np.uint8)
    assert page.levels == array.levels
    for box in BOXES:
        np.testing.assert_array_equal(page.read(box), array.read(box))


def test_a_box_within_a_larger_one() -> None:
    numbers = np.arange(40 * 60).reshape(40, 60)
    outer, box = Box(5, 7, 20, 30), Box(9, 17, 3, 4)
    seen = numbers[5:25, 7:37]
    np.testing.assert_array_equal(seen[box.within(outer)], numbers[9:12, 17:21])
    large = seen.repeat(3, 0).repeat(3, 1)
    np.testing.assert_array_equal(large[box.within(outer, 3)], numbers[9:12, 17:21].repeat(3, 0).repeat(3, 1))
