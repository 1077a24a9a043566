"""AVIF files: depths, colours by number, colours times alpha."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import opening, saving
from support.pictures import doubled, gradient


def avif_stating(path: Path, pixels: np.ndarray, primaries: int, transfer: int) -> None:
    Image.fromarray(pixels).save(path, quality=100, subsampling="4:4:4")
    data = bytearray(path.read_bytes())
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", primaries, transfer)
    path.write_bytes(data)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".avif", ".tif"])
def test_display_p3_said_by_number_becomes_a_profile(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    avif_stating(tmp_path / "a.avif", gradient(3), 12, 13)
    upscaler.file(tmp_path / "a.avif", tmp_path / f"b{suffix}")
    out = Image.open(tmp_path / f"b{suffix}")
    p3: Any = pyvips.Operation.call("profile_load", "p3")
    assert out.info["icc_profile"] == p3
    assert np.abs(np.asarray(out).astype(int) - doubled(gradient(3))).mean() < 3


def test_other_colours_said_by_number_go_where_they_can_be_said(upscaler: Upscaler, tmp_path: Path) -> None:
    avif_stating(tmp_path / "a.avif", gradient(3), 9, 16)
    picture = opening.open_picture(tmp_path / "a.avif")
    assert saving.suffix_for(picture, (72, 48)) == ".png"
    upscaler.file(tmp_path / "a.avif", tmp_path / "b.png")
    assert b"cICP\x09\x10\x00\x01" in (tmp_path / "b.png").read_bytes()
    again = opening.open_picture(tmp_path / "b.png")
    assert again.colours == picture.colours == (9, 16)
    with pytest.raises(BadImageError, match=r"c\.jpg: expected a format that holds colours of primaries 9"):
        upscaler.file(tmp_path / "a.avif", tmp_path / "c.jpg")


@pytest.mark.parametrize("colours", [(1, 13), (2, 2), (1, 1)])
def test_srgb_said_by_number_needs_no_profile(upscaler: Upscaler, tmp_path: Path, colours: tuple[int, int]) -> None:
    avif_stating(tmp_path / "a.avif", gradient(3), *colours)
    upscaler.file(tmp_path / "a.avif", tmp_path / "b.jpg")
    assert "icc_profile" not in Image.open(tmp_path / "b.jpg").info


def test_colours_times_alpha_are_divided_by_it(upscaler: Upscaler, tmp_path: Path) -> None:
    pixels = np.full((32, 32, 4), (200, 100, 50, 128), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.avif", quality=100, subsampling="4:4:4", alpha_premultiplied=True)
    upscaler.file(tmp_path / "a.avif", tmp_path / "b.png")
    assert np.abs(np.asarray(Image.open(tmp_path / "b.png")).astype(int) - doubled(pixels)).max() <= 2


@pytest.mark.parametrize("bits", [10, 12])
def test_white_and_opaque_of_10_and_12_bits(upscaler: Upscaler, tmp_path: Path, bits: int) -> None:
    white: Any = pyvips.Image.new_from_array(np.full((16, 16, 4), 65535, np.uint16), interpretation="rgb16")
    white.heifsave(str(tmp_path / "a.avif"), compression="av1", bitdepth=bits, lossless=True)
    upscaler.file(tmp_path / "a.avif", tmp_path / "b.tif")
    assert (tifffile.imread(tmp_path / "b.tif") == 65535).all()
