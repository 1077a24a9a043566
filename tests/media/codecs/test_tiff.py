"""EXIF and pages of TIFFs in all their layouts, held against tifffile and Pillow."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from PIL import Image

from lamnet.media.codecs import tiff, tiff_fields
from lamnet.media.contract import PageExtras


def exif_in(order: str) -> bytes:
    """EXIF of a byte order, with what a TIFF must not take over: its size, orientation and strips."""
    exif = Image.Exif()
    exif.endian = order
    exif[0x010F], exif[0x013B], exif[0x0112], exif[0x0100] = "Maker", "J\xf6rg".encode(), 6, 12345
    details, place = exif.get_ifd(0x8769), exif.get_ifd(0x8825)
    details[0x829A], details[0xA002], details[0x927C] = 0.004, 12345, b"\x01\x02maker note\xff"
    details[0xA005] = {1: "R98"}
    place[2] = (52.0, 31.0, 12.5)
    return exif.tobytes()


def exif_of(path: Path) -> bytes | None:
    """EXIF of the only page."""
    (page,) = tiff.extras(path).known
    return page.blobs.get("exif-data")


def facts(exif: bytes) -> tuple[Any, ...]:
    read = Image.Exif()
    read.load(exif)
    names = {tag: value for tag, value in read.items() if tag not in (0x8769, 0x8825)}
    return names, {**read.get_ifd(0x8769), 0xA005: None}, dict(read.get_ifd(0x8825)), dict(read.get_ifd(0xA005))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("layout", ["<", ">"])
def test_exif_goes_in_and_out(tmp_path: Path, order: str, big: bool, layout: Literal["<", ">"]) -> None:
    path, pixels = tmp_path / "a.tif", np.arange(5 * 7 * 3, dtype=np.uint16).reshape(5, 7, 3)
    tifffile.imwrite(path, pixels, bigtiff=big, byteorder=layout, photometric="rgb", metadata=None)
    assert exif_of(path) is not None  # tifffile states its name
    exif = exif_in(order)
    tiff.add_page(path, path, tiff_fields.of_exif(exif, (7, 5)))
    with tifffile.TiffFile(path) as file:
        np.testing.assert_array_equal(file.asarray(), pixels)
        assert file.is_bigtiff == big
        tags = file.pages[0].tags
        assert (tags["Make"].value, tags["ImageWidth"].value) == ("Maker", 7)
        assert "Orientation" not in tags
        assert tags["ExifTag"].value["PixelXDimension"] == 7
    written = exif_of(path)
    assert written is not None
    names, details, place, other = facts(written)
    before = facts(exif)
    assert names[0x013B].encode("latin-1") == "J\xf6rg".encode()
    assert details == {**before[1], 0xA002: 7}
    assert (place, other) == before[2:]


@pytest.mark.parametrize("big", [False, True])
def test_pages_follow_each_other(tmp_path: Path, big: bool) -> None:
    pages = [np.full((4 + i, 9 - i), i, np.uint8) for i in range(4)]
    for number, pixels in enumerate(pages):
        tile = (16, 16) if number % 2 else None
        tifffile.imwrite(tmp_path / f"{number}.tif", pixels, bigtiff=big, tile=tile, rowsperstrip=2, metadata=None)
    for number in range(1, 4):
        exif = exif_in("<") if number == 2 else None
        tiff.add_page(tmp_path / "0.tif", tmp_path / f"{number}.tif", tiff_fields.of_exif(exif, (9, 4)))
    with tifffile.TiffFile(tmp_path / "0.tif") as file:
        assert len(file.pages) == 4
        for page, pixels in zip(file.pages, pages, strict=True):
            np.testing.assert_array_equal(page.asarray(), pixels)
        assert [34665 in page.tags for page in file.pages] == [False, False, True, False]


@pytest.mark.parametrize("data", [b"", b"II*\0", b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0\xff\xff" + b"\x69\x87\4\0" * 9])
def test_of_broken_files_nothing_is_known(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(data)
    assert tiff.extras(tmp_path / "a.tif").known in ((), (PageExtras(oriented=False),))


def test_broken_exif_is_left_out(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 4), np.uint8), metadata=None)
    tiff.add_page(tmp_path / "a.tif", tmp_path / "a.tif", tiff_fields.of_exif(exif_in("<")[:40], (4, 4)))
    assert tifffile.imread(tmp_path / "a.tif").shape == (4, 4)


def test_an_offset_beyond_any_file_says_nothing_of_the_page(tmp_path: Path) -> None:
    path = tmp_path / "far.tif"
    path.write_bytes(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 2**63 + 8) + bytes(64))
    assert tiff.extras(path).known == ()


def test_fields_without_end_take_no_memory(tmp_path: Path) -> None:
    """400 entries of an EXIF directory that all point to the same 4 MiB: 64 MiB of them are read."""
    entries = b"".join(struct.pack("<HHLL", 37500 + i, 7, 2**22, 4096 * 4) for i in range(400))
    directory = struct.pack("<H", 400) + entries + b"\0\0\0\0"
    start = 8 + 2 + 12 + 4
    data = b"II*\0" + struct.pack("<LHHHLLL", 8, 1, 34665, 4, 1, start, 0) + directory
    (tmp_path / "a.tif").write_bytes(data.ljust(4096 * 4, b"\0") + bytes(2**22))
    exif = exif_of(tmp_path / "a.tif")
    assert exif is not None
    assert len(exif) < 2**26 + 2**16
