"""TIFFs that libvips does not decode: odd depths, compressions, planes in tiles, YCbCr with less colour."""

from __future__ import annotations

import io
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from lamnet import Upscaler
from lamnet.base.errors import MissingExtraError
from lamnet.media import arrays, opening
from support.pictures import gradient

PIXELS = gradient(3, size=(32, 48))
GREY = PIXELS[..., 0]


@pytest.mark.parametrize("compression", ["lzma", "zstd", "jpegxl", "jpeg2000", "lerc", "png"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_compressions(tmp_path: Path, compression: str, dtype: str) -> None:
    pixels = PIXELS.astype(dtype) * (257 if dtype == "uint16" else 1)
    options = {"compressionargs": {"level": 0}} if compression == "jpeg2000" else {}
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", compression=compression, **options)
    found = arrays.read_array(tmp_path / "a.tif")
    assert found.dtype == dtype
    np.testing.assert_allclose(found, pixels, atol=2 * pixels.max() / 255 if compression == "jpegxl" else 0)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_odd_depths(tmp_path: Path, bits: int) -> None:
    pixels = GREY.astype(np.uint16) << (bits - 8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", bitspersample=bits)
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.tif")[..., 0], pixels)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32", "float64"])
def test_numbers_of_other_kinds_become_floats(tmp_path: Path, upscaler: Upscaler, dtype: str) -> None:
    pixels = (GREY.astype(float) - (0 if dtype == "uint32" else 100)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    found = arrays.read_array(tmp_path / "b.tif")[::2, ::2, 0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, pixels.astype(np.float32), atol=1e-3)


def test_what_changes_is_said(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(np.int32), photometric="minisblack")
    assert opening.open_picture(tmp_path / "a.tif").notes == ("32 bits with a sign became floats of 32 bits",)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_planes_in_tiles(tmp_path: Path, dtype: str) -> None:
    pixels = PIXELS.astype(dtype)
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate", tile=(16, 16))
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.tif"), pixels)


def ycbcr(subsampling: tuple[int, int], cut: int = 0) -> bytes:
    """An uncompressed TIFF of 8 x 4 whose colour is red, packed as TIFF 6.0 has it: the brightness of a block, Cb, Cr."""
    across, down = subsampling
    blocks = (8 // across) * (4 // down)
    data = (bytes([76] * (across * down)) + bytes([85, 255])) * blocks
    fields = [
        (256, 3, 1, 8),
        (257, 3, 1, 4),
        (258, 3, 3, 8 + 2 + 12 * 11 + 4),
        (259, 3, 1, 1),
        (262, 3, 1, 6),
        (273, 4, 1, 8 + 2 + 12 * 11 + 4 + 6),
        (277, 3, 1, 3),
        (278, 3, 1, 4),
        (279, 4, 1, len(data)),
        (284, 3, 1, 1),
        (530, 3, 2, across | down << 16),
    ]
    table = b"".join(struct.pack("<HHLL", *field) for field in fields)
    return struct.pack("<2sHLH", b"II", 42, 8, len(fields)) + table + bytes(4) + struct.pack("<3H", 8, 8, 8) + data


@pytest.mark.parametrize("subsampling", [(2, 2), (2, 1), (4, 1)])
def test_ycbcr_with_less_colour(tmp_path: Path, subsampling: tuple[int, int]) -> None:
    (tmp_path / "a.tif").write_bytes(ycbcr(subsampling))
    found = arrays.read_array(tmp_path / "a.tif")
    assert found.shape == (4, 8, 3)
    np.testing.assert_allclose(found, np.broadcast_to([254, 0, 0], found.shape), atol=3)


def test_without_the_extra_one_line_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, photometric="rgb", compression="zstd")
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    with pytest.raises(MissingExtraError, match=r"a\.tif: this kind of TIFF needs imagecodecs.*lamnet-sr\[formats\]"):
        arrays.read_array(tmp_path / "a.tif")


def test_a_palette_and_white_at_0(tmp_path: Path) -> None:
    colours: Any = (np.arange(3 * 256).reshape(3, 256) % 256 * 257).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="palette", colormap=colours, compression="zstd")
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.tif")[..., 1], GREY)
    tifffile.imwrite(tmp_path / "b.tif", GREY, photometric="miniswhite", compression="zstd")
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "b.tif")[..., 0], 255 - GREY)
    two = np.dstack([GREY, GREY[::-1]])
    tifffile.imwrite(
        tmp_path / "c.tif", two, photometric="miniswhite", compression="zstd", extrasamples=["unspecified"]
    )
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "c.tif"), np.dstack([255 - GREY, GREY[::-1]]))


@pytest.mark.parametrize(("mode", "subsampling"), [("RGB", 2), ("RGB", 0), ("L", 0)])
def test_the_old_kind_of_jpeg(tmp_path: Path, mode: str, subsampling: int) -> None:
    """TIFF 6.0's section 22, withdrawn since: a whole JPEG, to which JPEGInterchangeFormat points."""
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, "JPEG", quality=95, subsampling=subsampling)
    data, count = file.getvalue(), len(mode)
    fields = [
        (256, 3, 1, 48),
        (257, 3, 1, 32),
        (258, 3, 1, 8) if count == 1 else (258, 3, 3, 8 + len(data) + len(data) % 2),
        (259, 3, 1, 6),
        (262, 3, 1, 6 if count == 3 else 1),
        (273, 4, 1, 8),
        (277, 3, 1, count),
        (278, 3, 1, 32),
        (279, 4, 1, len(data)),
        (512, 3, 1, 1),
        (513, 4, 1, 8),
        (514, 4, 1, len(data)),
        (530, 3, 2, 0x20002 if subsampling else 0x10001),
    ]
    bits = bytes(len(data) % 2) + struct.pack("<3H", 8, 8, 8)
    table = struct.pack("<H", len(fields)) + b"".join(struct.pack("<HHLL", *field) for field in fields) + bytes(4)
    start = struct.pack("<2sHL", b"II", 42, 8 + len(data) + len(bits))
    (tmp_path / "a.tif").write_bytes(start + data + bits + table)
    found = arrays.read_array(tmp_path / "a.tif")
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))  # grey ones come with three equal bands
    np.testing.assert_allclose(found.astype(int), expected, atol=8 if subsampling else 1)
