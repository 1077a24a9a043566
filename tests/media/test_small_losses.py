"""Keywords of other letters, chunks and segments without end, chunks of a wrong size, and reasons in plain words."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import arrays, opening, saving
from lamnet.media.reasons import plain
from support.pictures import gradient


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(path: Path, *chunks: bytes) -> None:
    Image.fromarray(gradient(3)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:33] + b"".join(chunks) + data[33:])


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_a_keyword_that_is_not_ascii(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    png_with(tmp_path / "a.png", chunk(b"tEXt", "Größe\0klein".encode("latin-1")))
    upscaler.file(tmp_path / "a.png", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as out:
        assert out.size == (72, 48)
        assert suffix != ".png" or out.info["Größe"] == "klein"


@pytest.mark.parametrize(
    ("per_metre", "unit", "expected"), [(2834, 1, 5668), (2835, 1, 5670), (None, 1, 2835), (7, 0, 2835)]
)
def test_a_resolution_doubles_whatever_it_is(
    upscaler: Upscaler, tmp_path: Path, per_metre: int | None, unit: int, expected: int
) -> None:
    stated = [] if per_metre is None else [chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, unit))]
    png_with(tmp_path / "a.png", *stated)
    upscaler.file(tmp_path / "a.png", tmp_path / "b.png")
    data = (tmp_path / "b.png").read_bytes()
    assert struct.unpack_from(">IIB", data, data.index(b"pHYs") + 4) == (expected, expected, 1)


def test_the_shape_of_pixels_is_said_to_be_lost(tmp_path: Path) -> None:
    png_with(tmp_path / "a.png", chunk(b"pHYs", struct.pack(">IIB", 2, 1, 0)))
    assert opening.open_picture(tmp_path / "a.png").notes == ("without the shape of its pixels, 2 to 1",)


@pytest.mark.thorough
def test_many_chunks_that_unpack_to_much(upscaler: Upscaler, tmp_path: Path) -> None:
    packed = b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b" " * 10_000_000)
    png_with(tmp_path / "a.png", *[chunk(b"iTXt", packed)] * 50)
    assert len(opening.open_picture(tmp_path / "a.png").extras.page(0).blobs["xmp-data"]) == 10_000_000


@pytest.mark.thorough
def test_many_texts_that_unpack_to_much_and_are_no_exif(tmp_path: Path) -> None:
    packed = b"Raw profile type exif\0\0" + zlib.compress(b" " * 2_000_000)
    png_with(tmp_path / "a.png", *[chunk(b"zTXt", packed)] * 50)
    assert "exif-data" not in opening.open_picture(tmp_path / "a.png").extras.page(0).blobs


def test_a_million_segments(tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[:2] + b"\xff\xe5\0\2" * 20_000 + data[2:])
    found = opening.open_picture(tmp_path / "a.jpg")
    assert found.notes == ("without the segments behind the first 10,000",)


def test_a_chunk_of_a_wrong_size_is_left_out_and_said(upscaler: Upscaler, tmp_path: Path) -> None:
    png_with(tmp_path / "a.png", chunk(b"cHRM", bytes(20)))
    upscaler.file(tmp_path / "a.png", tmp_path / "b.png")
    Image.open(tmp_path / "b.png").load()
    [note] = opening.open_picture(tmp_path / "a.png").notes
    assert note == "without a cHRM chunk of 20 bytes, which has another size"


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("unable to call pngload", "found the header of a PNG that makes no sense"),
        (
            "tiff2vips: Read error at scanline 4294967295; got 7610 bytes, expected 8160",
            "found its data broken off or spoilt",
        ),
        ("tiff2vips: samples_per_pixel not a whole number of bytes", "found numbers of a kind that is not read"),
        ("unable to write to memory", "found its data spoilt"),
        ("Invalid argument", "found something that the system refuses"),
    ],
)
def test_reasons_in_plain_words(reason: str, words: str) -> None:
    said = plain(reason)
    assert said.startswith(words)
    assert "4294967295" not in said
    assert "tiff2vips" not in said
    assert plain("something new") == "something new"


def test_what_another_format_does_not_hold_is_said(tmp_path: Path) -> None:
    png_with(tmp_path / "a.png", chunk(b"tEXt", b"Title\0a"))
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    Image.fromarray(gradient(3)).save(tmp_path / "b.jpg", exif=exif)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "b.jpg").read_bytes() + bytes(200))
    png, jpeg = (opening.open_picture(tmp_path / name) for name in ("a.png", "b.jpg"))
    film = "without what follows the picture in its file, such as a film or a gain map"
    assert saving.losses(png, Path("b.png")) == saving.losses(jpeg, Path("b.jpg")) == ()
    assert saving.losses(png, Path("b.webp")) == ("without the texts of its PNG",)
    assert saving.losses(jpeg, Path("b.png")) == (film,)
    assert saving.losses(jpeg, Path("b.gif")) == (film, "without EXIF, which .gif does not hold")


def test_iptc_xmp_and_makers_segments_are_said_where_they_are_lost(tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "a.jpg", xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    whole, record = (tmp_path / "a.jpg").read_bytes(), b"\x1c\x02\x50\x00\x03Ann\0"
    iptc = b"Photoshop 3.0\08BIM\x04\x04\0\0\0\0\0\x08" + record
    segments = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc + b"\xff\xe5\0\x05own"
    (tmp_path / "a.jpg").write_bytes(whole[:2] + segments + whole[2:])
    jpeg, own = opening.open_picture(tmp_path / "a.jpg"), "without makers' segments of its JPEG"
    assert saving.losses(jpeg, Path("b.jpg")) == ()
    assert saving.losses(jpeg, Path("b.tif")) == (own,)
    for suffix in (".png", ".webp", ".avif"):
        assert saving.losses(jpeg, Path(f"b{suffix}")) == (own, f"without IPTC, which {suffix} does not hold")
    assert saving.losses(jpeg, Path("b.gif")) == (own, "without XMP, IPTC, which .gif does not hold")


def test_a_broken_header_says_so(tmp_path: Path) -> None:
    png_with(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[16:20] = bytes(4)
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(BadImageError, match=re.escape("a.png: expected a picture, found the header of a PNG")):
        opening.open_picture(tmp_path / "a.png")


def test_what_photoshop_leaves_in_a_jpeg_is_said_to_be_lost(upscaler: Upscaler, tmp_path: Path) -> None:
    def resource(number: int, data: bytes) -> bytes:
        return (
            b"8BIM" + number.to_bytes(2, "big") + bytes(2) + len(data).to_bytes(4, "big") + data + bytes(len(data) % 2)
        )

    Image.new("RGB", (9, 7)).save(tmp_path / "a.jpg")
    record = b"\x1c\x02\x50\x00\x03Ann"  # a byline
    for resources, said in (
        ([resource(0x0404, record), resource(0x03ED, bytes(16)), resource(0x040C, bytes(28))], ()),
        ([resource(0x0404, record), resource(0x07D0, bytes(26)), resource(0x0408, bytes(16))], ("paths, guides",)),
        ([resource(0x1234, b"x")], ("resource 4660",)),
    ):
        data = b"Photoshop 3.0\0" + b"".join(resources)
        segment = b"\xff\xed" + (len(data) + 2).to_bytes(2, "big") + data
        whole = (tmp_path / "a.jpg").read_bytes()
        (tmp_path / "b.jpg").write_bytes(whole[:2] + segment + whole[2:])
        notes = upscaler.file(tmp_path / "b.jpg", tmp_path / "c.jpg")
        assert notes == tuple(f"without {what} of Photoshop's" for what in said)
        assert (record in (tmp_path / "c.jpg").read_bytes()) == (record in data)


def test_libvips_does_not_unpack_long_texts(upscaler: Upscaler, tmp_path: Path) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / "plain.png")
    packed = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 10_000_000))
    png_with(tmp_path / "a.png", *[packed] * 50)
    picture = opening.open_picture(tmp_path / "a.png")
    assert not [name for name in picture.pages[0].get_fields() if name.startswith("png-comment")]
    for name in ("plain", "a"):
        upscaler.file(tmp_path / f"{name}.png", tmp_path / f"{name}_x2.png")
    out, expected = (arrays.read_array(tmp_path / f"{name}_x2.png") for name in ("a", "plain"))
    assert (out == expected).all()
    assert (tmp_path / "a_x2.png").read_bytes().count(packed) == 50


def test_chunks_of_other_programs_are_said_to_be_lost(tmp_path: Path) -> None:
    png_with(
        tmp_path / "a.png", chunk(b"prVt", b"own"), chunk(b"tIME", b"\x07\xe8\1\1\1\1\1"), chunk(b"sBIT", b"\5\6\5")
    )
    assert opening.open_picture(tmp_path / "a.png").notes == ("without what other programs keep in prVt, sBIT",)


@pytest.mark.parametrize(("per_metre", "lost"), [(3000, True), (None, False)])
def test_a_gif_does_not_hold_a_resolution(tmp_path: Path, per_metre: int | None, lost: bool) -> None:
    stated = [] if per_metre is None else [chunk(b"pHYs", struct.pack(">IIB", per_metre, per_metre, 1))]
    png_with(tmp_path / "a.png", *stated)
    said = saving.losses(opening.open_picture(tmp_path / "a.png"), tmp_path / "b.gif")
    assert said == (("without its resolution, which .gif does not hold",) if lost else ())
