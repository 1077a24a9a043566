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
from numpy.typing import NDArray
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
def test_odd_depths_reach_from_black_to_white(tmp_path: Path, bits: int) -> None:
    white = 2**bits - 1
    pixels = (GREY.astype(np.uint16) * (white // 255)).clip(0, white)
    pixels[0, :2] = 0, white
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", bitspersample=bits)
    found = arrays.read_array(tmp_path / "a.tif")[..., 0]
    np.testing.assert_allclose(found, pixels * (65535 / white), atol=0.5)
    assert opening.open_picture(tmp_path / "a.tif").notes == (f"{bits} bits became 16 bits, white stays white",)


def test_measurements_of_odd_depths_keep_their_numbers(tmp_path: Path) -> None:
    pixels = GREY.astype(np.uint16) * 16
    extra = [(42113, "s", 0, "0", True)]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", bitspersample=12, extratags=extra)
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.tif")[..., 0], pixels)
    assert "12 bits became 16 bits, with the same numbers" in opening.open_picture(tmp_path / "a.tif").notes


@pytest.mark.parametrize("bits", range(1, 8))
@pytest.mark.parametrize(("photometric", "samples"), [(0, 1), (1, 1), (1, 2), (2, 3), (2, 4), (3, 1)], ids=str)
def test_fewer_than_8_bits(tmp_path: Path, bits: int, photometric: int, samples: int) -> None:
    most = 2**bits - 1
    numbers = np.random.default_rng(bits).integers(0, most + 1, (5, 11, samples))
    palette = np.linspace(0, 65535, 3 * (most + 1)).astype(int).tolist() if photometric == 3 else []
    (tmp_path / "a.tif").write_bytes(packed(numbers, bits, photometric, palette))
    expected = numbers / most
    if photometric == 0:
        expected = 1 - expected
    if palette:
        expected = np.reshape(palette, (3, -1)).T[numbers[..., 0]] / 65535
    found = arrays.read_array(tmp_path / "a.tif")
    white = 255 if found.dtype == np.uint8 else 65535
    np.testing.assert_allclose(found, expected * white, atol=1 if palette else 0.5)


def packed(numbers: NDArray[Any], bits: int, photometric: int, palette: list[int]) -> bytes:
    """A TIFF of numbers (H, W, samples) of so many bits each, rows filled up to whole bytes."""
    height, width, samples = numbers.shape
    rows = ["".join(f"{number:0{bits}b}" for number in row) for row in numbers.reshape(height, -1)]
    rows = [row + "0" * (-len(row) % 8) for row in rows]
    data = b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)
    fields: list[tuple[int, int, list[int]]] = [
        *((tag, 3, [number]) for tag, number in ((256, width), (257, height))),
        (258, 3, [bits] * samples),
        *((tag, 3, [number]) for tag, number in ((259, 1), (262, photometric))),
        (273, 4, [8]),
        *((tag, 3, [number]) for tag, number in ((277, samples), (278, height), (279, len(data)), (284, 1))),
        *([(320, 3, palette)] if palette else []),
    ]
    behind = 8 + len(data)
    table, more = struct.pack("<H", len(fields)), b""
    for tag, kind, values in fields:
        value = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'L'}", *values)
        if len(value) > 4:
            at = behind + 2 + 12 * len(fields) + 4 + len(more)
            more += value
            value = struct.pack("<L", at)
        table += struct.pack("<HHL", tag, kind, len(values)) + value.ljust(4, b"\0")
    return struct.pack("<2sHL", b"II", 42, behind) + data + table + bytes(4) + more


def test_one_bit_in_a_compression_of_its_own(tmp_path: Path) -> None:
    black = GREY > 128
    for name, photometric in (("a", "minisblack"), ("b", "miniswhite")):
        tifffile.imwrite(tmp_path / f"{name}.tif", black, photometric=photometric, compression="lzma")
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "a.tif")[..., 0], black * 255)
    np.testing.assert_array_equal(arrays.read_array(tmp_path / "b.tif")[..., 0], ~black * 255)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint32", "float64"])
def test_numbers_of_other_kinds_become_floats(tmp_path: Path, upscaler: Upscaler, dtype: str) -> None:
    pixels = (GREY.astype(float) - (0 if dtype == "uint32" else 100)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    upscaler.file(tmp_path / "a.tif", tmp_path / "b.tif")
    found = arrays.read_array(tmp_path / "b.tif")[::2, ::2, 0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, pixels.astype(np.float32), atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "words"),
    [
        ("int32", "32 bits with a sign"),
        ("int8", "8 bits with a sign"),
        ("uint32", "32 bits"),
        ("uint64", "64 bits"),
        ("float64", "floats of 64 bits"),
    ],
)
def test_what_changes_is_said(tmp_path: Path, dtype: str, words: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(dtype), photometric="minisblack")
    assert opening.open_picture(tmp_path / "a.tif").notes == (f"{words} became floats of 32 bits",)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
def test_what_stays_is_not_said(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(dtype), photometric="minisblack")
    assert opening.open_picture(tmp_path / "a.tif").notes == ()


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
