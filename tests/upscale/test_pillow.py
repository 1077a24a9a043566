"""Pillow's images are what their mode says."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from lamnet import LAMNet, LAMNetConfig, Upscaler
from lamnet.base.errors import BadArgumentError
from lamnet.upscale.pillow import array_of

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 7, 4), np.uint8)
RGBA = Image.fromarray(PIXELS)
RGB = RGBA.convert("RGB")


def _paletted(**info: object) -> Image.Image:
    image = RGB.quantize(8)
    image.info.update(info)
    return image


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (RGB, np.asarray(RGB)),
        (RGBA, PIXELS),
        (RGB.convert("L"), np.asarray(RGB.convert("L"))),
        (RGBA.convert("LA"), np.asarray(RGBA.convert("LA"))),
        (RGB.convert("1"), np.asarray(RGB.convert("1")).astype(np.uint8) * 255),
        (_paletted(), np.asarray(_paletted().convert("RGB"))),
        (_paletted(transparency=3), np.asarray(_paletted(transparency=3).convert("RGBA"))),
        (RGB.convert("CMYK"), np.asarray(RGB)),
        (RGB.convert("HSV"), np.asarray(RGB.convert("HSV").convert("RGB"))),
        (RGB.convert("YCbCr"), np.asarray(RGB.convert("YCbCr").convert("RGB"))),
        (RGB.convert("F"), np.asarray(RGB.convert("F"))),
        (Image.fromarray(PIXELS[..., 0].astype(np.int32) * 200), PIXELS[..., 0].astype(np.uint16) * 200),
        (Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 200), PIXELS[..., 0].astype(np.uint16) * 200),
    ],
)
def test_modes(image: Image.Image, expected: np.ndarray) -> None:
    array = array_of(image)
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)


def _profiled() -> Image.Image:
    image = RGB.convert("CMYK")
    image.info["icc_profile"] = b"a profile"
    return image


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (Image.new("LAB", (3, 3)), "mode LAB"),
        (_profiled(), "CMYK with a profile"),
        (Image.fromarray(np.full((3, 3), 70_000, np.int32)), "to 70000"),
    ],
)
def test_what_cannot_be_known_is_refused(image: Image.Image, says: str) -> None:
    with pytest.raises(BadArgumentError, match=f"array: .*{says}"):
        array_of(image)


def test_an_upscaler_takes_a_palette_for_its_colours() -> None:
    up = Upscaler(LAMNet(LAMNetConfig(2, 16, 1, 1, 2)), "cpu")
    assert np.array_equal(up(_paletted()), up(np.asarray(_paletted().convert("RGB"))))


def test_what_says_transparent_is_alpha() -> None:
    palette = Image.new("P", (3, 2), 1)
    palette.putpalette([9, 9, 9, 255, 200, 100, 50, 70], "RGBA")
    assert array_of(palette).tolist() == [[[200, 100, 50, 70]] * 3] * 2
    for kind in (np.uint16, np.int32):
        grey = Image.fromarray(np.array([[500, 7], [9, 500]], kind))
        grey.info["transparency"] = 500
        assert array_of(grey).tolist() == [[[500, 0], [7, 65535]], [[9, 65535], [500, 0]]]


def test_images_that_are_not_whole_and_masks_are_refused() -> None:
    written = io.BytesIO()
    RGB.resize((60, 60)).save(written, "PNG")
    with pytest.raises(BadArgumentError, match=r"^array: expected a whole image of Pillow's, found"):
        array_of(Image.open(io.BytesIO(written.getvalue()[:-200])))
    up = Upscaler(LAMNet(LAMNetConfig(2, channels=16, groups=1, blocks=1, heads=2)))
    with pytest.raises(BadArgumentError, match=r"^array: expected one without masked pixels"):
        up(np.ma.masked_equal(PIXELS[..., 0], PIXELS[0, 0, 0]))
