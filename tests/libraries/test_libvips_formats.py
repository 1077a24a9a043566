"""What libvips 8.18, and its binary in pyvips-binary, still do not read: a test that fails here names code to delete.

Each names the version that is known to end its work-around, "none known" otherwise, and the code.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import tifffile

from support.heic import heic
from support.pictures import gradient


def opened(path: Path) -> Any:
    return pyvips.Image.new_from_file(str(path), fail_on="error")


def tiff(path: Path, dtype: str = "uint8", **options: Any) -> None:
    pixels = gradient(3, size=(32, 48)).astype(dtype)
    tifffile.imwrite(path, pixels, photometric="rgb", **options)


@pytest.mark.parametrize("compression", ["lzma", "zstd", "lerc", "jpeg2000", "jpegxl", "png"])
def test_libvips_still_does_not_unpack_a_tiff(tmp_path: Path, compression: str) -> None:
    """None known. codecs/tiff_decoded.py: `_IN_LIBVIPS`."""
    tiff(tmp_path / "a.tif", compression=compression)
    with pytest.raises(pyvips.Error):
        opened(tmp_path / "a.tif").avg()


@pytest.mark.parametrize(
    "options",
    [
        {"dtype": "uint16", "bitspersample": 10},
        {"dtype": "uint16", "bitspersample": 12},
        {"dtype": "float64"},
        {"planarconfig": "separate", "tile": (16, 16)},
    ],
    ids=str,
)
def test_libvips_still_does_not_read_numbers_of_a_tiff(tmp_path: Path, options: dict[str, Any]) -> None:
    """None known. codecs/tiff_decoded.py: `_ODD_BITS`, planes in tiles in `decoder_for`."""
    if options.get("planarconfig"):
        pixels = np.moveaxis(gradient(3, size=(32, 48)), -1, 0)
        tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", **options)
    else:
        tiff(tmp_path / "a.tif", **options)
    with pytest.raises(pyvips.Error):
        opened(tmp_path / "a.tif").avg()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_libvips_still_reads_no_colours_of_fewer_than_8_bits(tmp_path: Path, bits: int) -> None:
    """None known. codecs/tiff_decoded.py: `_PACKED_ALONE`."""
    fields = ((256, 8), (257, 1), (258, bits), (259, 1), (262, 2), (273, 8), (277, 3), (278, 1), (279, 3 * bits))
    start = struct.pack("<2sHL", b"II", 42, 8 + 3 * bits + bits % 2) + bytes(3 * bits + bits % 2)
    table = b"".join(struct.pack("<HHLHH", tag, 3, 1, number, 0) for tag, number in fields)
    (tmp_path / "a.tif").write_bytes(start + struct.pack("<H", len(fields)) + table + bytes(4))
    with pytest.raises(pyvips.Error, match="whole number of bytes"):
        opened(tmp_path / "a.tif").avg()


def test_the_binary_libvips_still_lacks_hevc(tmp_path: Path) -> None:
    """None known: HEVC has patents. codecs/heic.py."""
    (tmp_path / "a.heic").write_bytes(heic("8"))
    with pytest.raises(pyvips.Error, match="HEVC"):
        opened(tmp_path / "a.heic").avg()


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("bmpload", "pillow.py"),
        ("jp2kload", "pillow.py"),
        ("ppmload", "pillow.py"),
        ("jxlload", "jxl.py"),
        ("openexrload", "hdr.py"),
        ("radload", "hdr.py"),
    ],
)
def test_the_binary_libvips_still_lacks(name: str, module: str) -> None:
    """None known. The module of codecs/."""
    assert not pyvips.type_find("VipsOperation", name), module
