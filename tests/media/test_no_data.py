"""Numbers that stand for no data: kept out of the network and put back, whatever they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from lamnet import LAMNetConfig, Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import arrays, opening
from lamnet.media.levels import levels
from lamnet.upscale.goal import Goal
from support.pictures import Repeats, doubled, gradient

SLOPE = gradient(1, np.float32)[..., 0] * 2000 + 100  # metres
HOLES = [float("nan"), float("inf"), -float("inf"), -3.4028234663852886e38, 1e38, -9999.0, -32768.0]


@pytest.mark.parametrize("value", HOLES)
@pytest.mark.parametrize("tile", ["auto", 8])
def test_holes_stay_and_the_rest_is_as_without_them(tmp_path: Path, value: float, tile: Any) -> None:
    pixels = SLOPE.copy()
    pixels[5:9, 7:12] = value
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    network = Repeats(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2))
    Upscaler(network, "cpu", tile=tile).file(tmp_path / "a.tif", tmp_path / "b.tif")
    out = arrays.read_array(tmp_path / "b.tif")[..., 0]
    np.testing.assert_allclose(out, doubled(pixels[..., None])[..., 0], rtol=1e-5)


def test_the_numbers_that_are_left_have_their_own_range(tmp_path: Path) -> None:
    pixels = SLOPE.copy()
    pixels[0] = -9999
    for name, numbers in (("a", SLOPE[1:]), ("b", pixels)):
        tifffile.imwrite(tmp_path / f"{name}.tif", numbers, photometric="minisblack")
    without, found = (levels(opening.open_picture(tmp_path / f"{name}.tif"), 0) for name in "ab")
    assert (found.black, found.white) == pytest.approx((without.black, without.white))
    assert (found.no_data, found.missing) == (True, -9999)


@pytest.mark.parametrize(("dtype", "value"), [("float32", -1.5), ("int16", -5), ("uint8", 0), ("uint16", 7)])
def test_what_a_file_states(tmp_path: Path, upscaler: Upscaler, dtype: str, value: float) -> None:
    pixels = (SLOPE % 200 + 10).astype(dtype)
    pixels[3:6, 4:9] = value
    tag = (42113, 2, 0, f"{value:g}", True)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", extratags=[tag])
    assert levels(opening.open_picture(tmp_path / "a.tif"), 0).missing == value
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as out:
        np.testing.assert_array_equal(out.pages[0].asarray()[6:12, 8:18], np.float32(value))
        assert float(out.pages[0].tags[42113].value) == value


def test_numbers_near_the_others_are_numbers(tmp_path: Path) -> None:
    pixels = np.linspace(-9999, 20_000, 600, dtype=np.float32).reshape(20, 30)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    assert not levels(opening.open_picture(tmp_path / "a.tif"), 0).no_data


def test_nothing_but_holes_and_odd_factors_are_refused(tmp_path: Path) -> None:
    pixels = SLOPE.copy()
    pixels[0, 0] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tif", np.full((9, 9), np.nan, np.float32), photometric="minisblack")
    network = Repeats(LAMNetConfig(scale=2, channels=8, groups=1, blocks=1, heads=2))
    for name, words in (("a", "expected a whole factor"), ("b", "all stand for no data")):
        with pytest.raises(BadImageError, match=rf"{name}\.tif: expected .*{words}|{words}"):
            Upscaler(network, "cpu", goal=Goal(factor=1.5)).file(tmp_path / f"{name}.tif", tmp_path / "c.tif")


@pytest.mark.parametrize("value", [-100000.0, -99999.5, -1e20])
def test_a_number_far_below_all_others_stands_for_no_data_whatever_it_is(tmp_path: Path, value: float) -> None:
    pixels = SLOPE.copy()
    pixels[5:9, 7:12] = value
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    found = levels(opening.open_picture(tmp_path / "a.tif"), 0)
    assert (found.no_data, found.missing) == (True, pytest.approx(value))


@pytest.mark.parametrize("value", [-50.0, -5000.0])
def test_a_low_number_is_one_unless_it_is_far(tmp_path: Path, value: float) -> None:
    pixels = SLOPE.copy()
    pixels[5:9, 7:12] = value
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    assert not levels(opening.open_picture(tmp_path / "a.tif"), 0).no_data


def test_a_single_low_number_is_an_outlier(tmp_path: Path) -> None:
    pixels = SLOPE.copy()
    pixels[5, 7] = -100000.0
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    assert not levels(opening.open_picture(tmp_path / "a.tif"), 0).no_data
