"""What PNG files say beside their pixels, read back with Pillow."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from lamnet.base import files as embed
from lamnet.media import arrays, opening, saving
from lamnet.media.codecs import png
from lamnet.media.codecs.png import PngExtras
from lamnet.media.contract import PageExtras
from lamnet.media.picture import Picture

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6" note="kept"/>'


def written(source: Path, target: Path) -> PngImageFile:
    """A picture written as its own result."""
    picture: Picture = opening.open_picture(source)
    saving.save(picture, [pyvips.Image.new_from_array(page.numpy()) for page in picture.pages], target)
    out = Image.open(target)
    assert isinstance(out, PngImageFile)
    return out


@pytest.mark.parametrize("packed", [False, True])
def test_exif_among_the_texts(tmp_path: Path, packed: bool) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "title"
    block = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    info = PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=packed)
    Image.new("RGB", (8, 4), "red").save(tmp_path / "a.png", pnginfo=info)
    out = written(tmp_path / "a.png", tmp_path / "b.png")
    assert out.size == (4, 8)
    assert (out.getexif()[0x0112], out.getexif()[0x010E]) == (1, "title")
    assert b"Raw profile" not in (tmp_path / "b.png").read_bytes()


def test_texts_in_any_script_and_coding(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_text("Title", "T\xeftle")
    info.add_itxt("Comment", "\xfcn\xef\u65e5\u672c", "de")
    info.add_text("Software", "long " * 500, zip=True)
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.png", pnginfo=info)
    out = written(tmp_path / "a.png", tmp_path / "b.png")
    assert out.info["Title"] == "T\xeftle"
    assert out.info["Comment"] == "\xfcn\xef\u65e5\u672c"
    assert b"Comment\0\0\0de\0" in (tmp_path / "b.png").read_bytes()
    assert out.info["Software"] == "long " * 500
    assert out.info["xmp"] == XMP.replace(b"6", b"1")
    out.load()
    assert len(out.text) == 4
    assert out.convert("RGB").getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".avif"])
def test_xmp_of_other_formats_is_found(tmp_path: Path, suffix: str) -> None:
    packet = {700: XMP} if suffix == ".tif" else None
    Image.new("RGB", (8, 8), "red").save(tmp_path / f"a{suffix}", xmp=XMP, tiffinfo=packet)
    assert written(tmp_path / f"a{suffix}", tmp_path / "b.png").info["xmp"] == XMP.replace(b"6", b"1")


@pytest.mark.parametrize("compressed", [False, True])
def test_what_stands_behind_the_pixels_is_found(tmp_path: Path, compressed: bool) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "Maker", 6
    text = zlib.compress(XMP) if compressed else XMP
    xmp = b"XML:com.adobe.xmp\0" + bytes([compressed, 0]) + b"\0\0" + text
    Image.new("RGB", (12, 8), "red").save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    for kind, body in ((b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")), (b"iTXt", xmp)):
        chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        data = data[:-12] + chunk + data[-12:]
    (tmp_path / "a.png").write_bytes(data)
    out = written(tmp_path / "a.png", tmp_path / "b.png")
    assert out.size == (8, 12)
    assert out.getexif()[0x010F] == "Maker"
    assert out.getexif()[0x0112] == 1
    assert out.info["xmp"] == XMP.replace(b"6", b"1")


def test_colours_said_without_a_profile(tmp_path: Path) -> None:
    gamma, primaries = struct.pack(">I", 100_000), struct.pack(">8I", *range(30_000, 38_000, 1_000))
    info = PngInfo()
    info.add(b"gAMA", gamma)
    info.add(b"cHRM", primaries)
    info.add(b"cICP", b"\x09\x10\x00\x01")
    Image.new("L", (8, 8), 77).save(tmp_path / "a.png", pnginfo=info)
    out = written(tmp_path / "a.png", tmp_path / "b.png")
    assert out.info["gamma"] == 1.0
    assert out.info["chromaticity"] == tuple(number / 100_000 for number in range(30_000, 38_000, 1_000))
    assert b"cICP\x09\x10\x00\x01" in (tmp_path / "b.png").read_bytes()


def test_chunks_move_what_is_behind_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "_BLOCK", 100)
    pixels = np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)
    arrays.write_array(tmp_path / "a.png", pixels)
    before = (tmp_path / "a.png").stat().st_size
    chunk = png.xmp_chunk(XMP * 10)
    embed.insert(tmp_path / "a.png", 33, chunk)
    assert (tmp_path / "a.png").stat().st_size == before + len(chunk)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)


def test_a_chunk_that_claims_too_much_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 2**31) + b"tEXtComment\0cut")
    assert png.extras(tmp_path / "a.png") == PngExtras((PageExtras(resolved=False),))
