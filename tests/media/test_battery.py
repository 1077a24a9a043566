"""The battery: every codec, each number of bands and depth that it holds, with profile, orientation, EXIF and resolution."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image

from lamnet import Upscaler
from lamnet.media import arrays, formats, opening, saving
from lamnet.media.contract import Format
from lamnet.media.depths import depth_named
from support.pictures import doubled, gradient

WRITTEN = [writer.FORMAT for writer in formats.WRITERS]
LOSSY = {"jpeg": 2.0, "webp": 3.0, "heif": 3.0, "gif": 10.0}  # levels of 255 by which pixels may differ on average
CASES = [
    (format, bands, dtype)
    for format in WRITTEN
    for bands, dtype in product((1, 2, 3, 4), format.dtypes)
    if format.alpha or bands in (1, 3)
]


def picture(bands: int, dtype: str) -> Any:
    pixels = gradient(bands, np.dtype(dtype).type)
    image = pyvips.Image.new_from_array(pixels, interpretation=depth_named(dtype).space(bands))
    return image.copy(xres=10, yres=5)


def expected(pixels: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Grey in as many bands as the format has, opaque where it has none of our alpha."""
    if pixels.shape[2] == out.shape[2]:
        return pixels
    grey, alpha = pixels[..., :1], pixels[..., 1:]
    colour = grey.repeat(3, 2) if pixels.shape[2] < 3 else pixels[..., :3]
    alpha = alpha if pixels.shape[2] == 2 else np.full_like(grey, np.iinfo(pixels.dtype).max)
    return np.concatenate([colour, alpha], -1)[..., : out.shape[2]]


@pytest.mark.parametrize(("format", "bands", "dtype"), CASES, ids=lambda case: getattr(case, "name", str(case)))
def test_pixels(upscaler: Upscaler, tmp_path: Path, format: Format, bands: int, dtype: str) -> None:
    """From a TIFF, which holds all, into each format, and from that into itself."""
    arrays.save(tmp_path / "a.tif", picture(bands, dtype))
    pixels, suffix = gradient(bands, np.dtype(dtype).type), format.suffixes[0]
    upscaler.file(tmp_path / "a.tif", tmp_path / f"b{suffix}")
    out = arrays.read_array(tmp_path / f"b{suffix}")
    rounding = {"uint8": 0, "uint16": 16 * (format.name == "heif"), "float32": 1e-6}[dtype]  # AVIF has 12 bits
    assert out.dtype == dtype
    wanted = expected(doubled(pixels), out)
    shown = wanted[..., -1] > 0 if out.shape[2] in (2, 4) else np.ones(out.shape[:2], bool)
    if format.palette and out.shape[2] == 4:  # pixels are opaque or clear
        shown = out[..., -1] == 255
        wanted[shown, -1] = 255
    error = np.abs(out[shown].astype(float) - wanted[shown]).mean()
    assert error <= LOSSY.get(format.name, 0.0) * depth_named(dtype).white / 255 + rounding
    if format.name not in LOSSY:
        np.testing.assert_allclose(out[..., -1], wanted[..., -1], rtol=0, atol=rounding)
    again = opening.open_picture(tmp_path / f"b{suffix}")
    assert [(page.width, page.height) for page in again.pages] == [(72, 48)]


@pytest.mark.parametrize("format", [one for one in WRITTEN if not one.palette], ids=lambda format: format.name)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("profile", [False, True])
def test_orientation_exif_profile_and_resolution(
    upscaler: Upscaler, tmp_path: Path, format: Format, orientation: int, profile: bool
) -> None:
    """A result of the same format as its source is upright, says so, and has the rest."""
    tags, suffix = Image.Exif(), format.suffixes[0]
    tags[0x0112], tags[0x010F], tags[0x011A], tags[0x011B], tags[0x0128] = orientation, "Maker", 300.0, 150.0, 2
    p3: Any = pyvips.Operation.call("profile_load", "p3")
    Image.fromarray(gradient(3)).save(
        tmp_path / f"a{suffix}", exif=tags, quality=95, dpi=(300, 150), icc_profile=p3 if profile else None
    )
    upscaler.file(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    before, after = (opening.open_picture(tmp_path / f"{name}{suffix}") for name in "ab")
    lying = orientation >= 5
    swapped = lying and format.name != "heif"  # libvips turns AVIFs, their resolution stays as it is
    assert (after.pages[0].width, after.pages[0].height) == ((48, 72) if lying else (72, 48))
    small, large = (arrays.read_array(tmp_path / f"{name}{suffix}").astype(float) for name in "ab")
    assert np.abs(large - doubled(small)).mean() < (5 if format.name in LOSSY else 0.001)
    with Image.open(tmp_path / f"b{suffix}") as out:
        found = out.getexif()
        assert (found.get(0x0112, 1), found[0x010F]) == (1, "Maker")
        assert (found[0x011A], found[0x011B]) == pytest.approx((300, 600) if swapped else (600, 300), abs=0.01)
        assert (out.info.get("icc_profile") == p3) == profile
    assert saving.suffix_for(before, (72, 48)) == suffix


@pytest.mark.parametrize("codec", formats.CODECS, ids=lambda codec: codec.FORMAT.name)
def test_of_a_broken_file_extras_are_learned_or_not_but_nothing_is_raised(tmp_path: Path, codec: formats.Codec) -> None:
    for number in range(40):
        noise = np.random.default_rng(number).integers(0, 256, 4 * number, np.uint8).tobytes()
        start = {"png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff", "tiff": b"II*\0\x08\0\0\0"}.get(
            codec.FORMAT.name, b"BM"
        )
        (tmp_path / "a").write_bytes(start + noise)
        codec.extras(tmp_path / "a")


@pytest.mark.parametrize("format", [one for one in WRITTEN if not one.palette], ids=lambda format: format.name)
def test_saving_does_not_open_the_source_again(tmp_path: Path, format: Format) -> None:
    tags, suffix = Image.Exif(), format.suffixes[0]
    tags[0x010F] = "Maker"
    Image.fromarray(gradient(3)).save(tmp_path / f"a{suffix}", exif=tags)
    opened = opening.open_picture(tmp_path / f"a{suffix}")
    (tmp_path / f"a{suffix}").unlink()
    saving.save(opened, [picture(3, "uint8")], tmp_path / f"b{suffix}")
    assert Image.open(tmp_path / f"b{suffix}").getexif()[0x010F] == "Maker"
