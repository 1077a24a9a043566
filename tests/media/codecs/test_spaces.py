"""Colour spaces of TIFF files that libvips takes for others."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import arrays
from support.pictures import doubled, gradient


@pytest.mark.parametrize("kind", [8, 9])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("bits", "alpha"), [(8, False), (8, True), (16, True)])
def test_lab(upscaler: Upscaler, tmp_path: Path, kind: int, order: Literal["<", ">"], bits: int, alpha: bool) -> None:
    """The white of D50, as ICC has it; a profile of Lab does not stay with pixels that are none."""
    colours = Image.fromarray(gradient(3))
    spaces = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    lab = np.asarray(ImageCms.profileToProfile(colours, *spaces, renderingIntent=1, outputMode="LAB")).astype(float)
    lab[..., 1:] = lab[..., 1:].astype(np.uint8).view(np.int8)
    unit, lightest = 2 ** (bits - 8), 65280 / 255 if kind == 9 and bits == 16 else (2**bits - 1) / 255
    stored = np.concatenate([lab[..., :1] * lightest, (lab[..., 1:] + (0 if kind == 8 else 128)) * unit], -1).round()
    see_through = np.full((24, 36, 1), 100 * unit)
    pixels = np.concatenate([stored, see_through] if alpha else [stored], -1).astype(int).astype(f"u{bits // 8}")
    profile = ImageCms.ImageCmsProfile(spaces[1]).tobytes()
    extra = {"extrasamples": ["unassalpha"]} if alpha else {}
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=kind, byteorder=order, iccprofile=profile, **extra)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    out = arrays.read_array(tmp_path / "b.tif")
    assert np.abs(out[..., :3] / 257 ** (bits // 16) - doubled(gradient(3))).mean() < 1.5
    assert (out[..., 3:] == 100 * unit).all()
    assert out.shape[2] == 3 + alpha
    assert tifffile.TiffFile(tmp_path / "b.tif").pages[0].iccprofile[16:20] == b"RGB "


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_ycbcr_without_jpeg(upscaler: Upscaler, tmp_path: Path, compression: str | None) -> None:
    Image.fromarray(gradient(3)).convert("YCbCr").save(tmp_path / "a.tif", compression=compression)
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.png")
    out = np.asarray(Image.open(tmp_path / "b.png")).astype(int)
    assert np.abs(out - doubled(gradient(3))).max() <= 3


def test_floats_whose_white_is_0_and_those_of_inks(upscaler: Upscaler, tmp_path: Path) -> None:
    pixels = gradient(1, np.float32)[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    np.testing.assert_allclose(arrays.read_array(tmp_path / "b.tif")[..., 0], 1 - doubled(pixels), atol=1e-6)
    tifffile.imwrite(tmp_path / "c.tif", gradient(4, np.float32), photometric="separated")
    with pytest.raises(BadImageError, match=r"c\.tif: expected CMYK in 8 or 16 bits, found float"):
        upscaler.file(tmp_path / "c.tif", tmp_path / "d.tif")
