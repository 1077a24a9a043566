"""EXIF corrected in place, held against Pillow."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from lamnet import Upscaler
from lamnet.base.errors import BadImageError
from lamnet.media import arrays, exif
from lamnet.media.exif import Thumbnail
from support.pictures import gradient

MAKER_NOTE = bytes(range(256)) * 3
UNKNOWN = {0x013C: "iPhone", 0x4746: 4, 0xC614: "unique", 0xFDE8: "Owner's"}  # to libexif
UNKNOWN_DETAILS = {0x9400: 21.5, 0xA436: "title", 0xA438: "editor"}


def block_in(order: str = "<", **tags: int) -> Image.Exif:
    block = Image.Exif()
    block.endian = order
    for tag, value in UNKNOWN.items():
        block[tag] = value
    block[0x0112], block[0x0100], block[0x011A], block[0x011B], block[0x0128] = 6, 36, 300.0, 240.0, 2
    details = block.get_ifd(0x8769)
    details[0x927C], details[0xA002], details[0xA003] = MAKER_NOTE, 36, 24
    for tag, value in UNKNOWN_DETAILS.items():
        details[tag] = value
    return block


def jpeg_of(size: tuple[int, int], quality: int = 75) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)).save(
        file, "JPEG", quality=quality
    )
    return file.getvalue()


def with_thumbnail(block: bytes, thumbnail: bytes) -> bytes:
    """A second directory with an orientation and a thumbnail at the end of a little-endian block."""
    first = int.from_bytes(block[4:8], "little")
    link = first + 2 + 12 * int.from_bytes(block[first : first + 2], "little")
    second = len(block) + len(block) % 2
    fields = [(0x0103, 3, 6), (0x0112, 3, 6), (0x0201, 4, second + 54), (0x0202, 4, len(thumbnail))]
    directory = b"".join(
        tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + b"\1\0\0\0" + value.to_bytes(4, "little")
        for tag, kind, value in fields
    )
    body = b"\4\0" + directory + b"\0\0\0\0"
    return (
        block[:link]
        + second.to_bytes(4, "little")
        + block[link + 4 :].ljust(second - link - 4, b"\0")
        + body
        + thumbnail
    )


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_change_where_they_stand(order: str) -> None:
    block = block_in(order).tobytes().removeprefix(b"Exif\0\0")
    made = exif.corrected(block, (70_000, 48), (2, 2.5), None, None)
    assert made is not None
    assert len(made) == len(block)
    assert made.index(MAKER_NOTE) == block.index(MAKER_NOTE)
    read = Image.Exif()
    read.load(made)
    assert {tag: read[tag] for tag in UNKNOWN} == UNKNOWN
    assert (read[0x0112], read[0x0100], read[0x011A], read[0x011B]) == (1, 70_000, 480, 750)  # turned
    details = read.get_ifd(0x8769)
    assert {tag: details[tag] for tag in UNKNOWN_DETAILS} == UNKNOWN_DETAILS
    assert (details[0xA002], details[0xA003]) == (70_000, 48)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_resolution_is_added(order: str) -> None:
    block = Image.Exif()
    block.endian = order
    block[0x010F], block[0xC614] = "Maker", "unique"
    made = exif.corrected(block.tobytes(), (8, 8), (2, 2), (600, 300.25), None)
    read = Image.Exif()
    assert made is not None
    read.load(made)
    assert dict(read) == {0x010F: "Maker", 0x011A: 600, 0x011B: 300.25, 0x0128: 2, 0xC614: "unique"}


def test_the_thumbnail_is_replaced_or_goes() -> None:
    block = block_in().tobytes().removeprefix(b"Exif\0\0")
    old = with_thumbnail(block, b"\xff\xd8old\xff\xd9")
    made = exif.corrected(old, (8, 8), (2, 2), None, Thumbnail(b"\xff\xd8new one\xff\xd9", 160, 120))
    assert made is not None
    assert b"old" not in made
    read = Image.Exif()
    read.load(made)
    second = read.get_ifd(ExifTags.IFD.IFD1)
    assert second[0x0112] == 1
    assert made[second[0x0201] :][: second[0x0202]] == b"\xff\xd8new one\xff\xd9"
    made = exif.corrected(old, (8, 8), (2, 2), None, None)
    assert made is not None
    assert b"old" not in made
    read.load(made)
    assert not read.get_ifd(ExifTags.IFD.IFD1)


@pytest.mark.parametrize("data", [b"", b"II*\0", b"II*\0\x08\0\0\0", b"II*\0\x08\0\0\0\xff\xff", b"no EXIF at all"])
def test_of_broken_blocks_none_is_made(data: bytes) -> None:
    assert exif.corrected(data, (8, 8), (2, 2), None, None) is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("bands", [3, 4])
def test_tags_unknown_to_libexif_are_kept(upscaler: Upscaler, tmp_path: Path, suffix: str, bands: int) -> None:
    Image.fromarray(gradient(bands)[..., : 3 if suffix == ".jpg" else 4]).save(tmp_path / "a.png", exif=block_in())
    upscaler.file(tmp_path / "a.png", tmp_path / f"b{suffix}")
    out = Image.open(tmp_path / f"b{suffix}")
    out.load()
    assert out.size == (48, 72)
    assert out.mode == ("RGB" if suffix == ".jpg" or bands == 3 else "RGBA")
    read = out.getexif()
    assert {tag: read[tag] for tag in UNKNOWN} == UNKNOWN
    assert {tag: read.get_ifd(0x8769)[tag] for tag in UNKNOWN_DETAILS} == UNKNOWN_DETAILS
    assert arrays.read_array(tmp_path / f"b{suffix}").shape == (72, 48, bands if suffix != ".jpg" else 3)


def test_frames_of_a_webp_keep_theirs(upscaler: Upscaler, tmp_path: Path) -> None:
    frames = [Image.fromarray(gradient(3) // part) for part in (1, 2, 3)]
    block = block_in()
    del block[0x0112]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], exif=block)
    upscaler.file(tmp_path / "a.webp", tmp_path / "b.webp")
    out = Image.open(tmp_path / "b.webp")
    assert out.n_frames == 3
    assert {tag: out.getexif()[tag] for tag in UNKNOWN} == UNKNOWN


@pytest.mark.parametrize("note", [40_000, 60_000])
def test_a_jpeg_does_without_a_thumbnail_rather_than_exif(upscaler: Upscaler, tmp_path: Path, note: int) -> None:
    block = block_in()
    block.get_ifd(0x8769)[0x927C] = bytes(note)
    exif = with_thumbnail(block.tobytes().removeprefix(b"Exif\0\0"), jpeg_of((60, 40), quality=20))
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + exif)
    upscaler.file(tmp_path / "a.jpg", tmp_path / "b.jpg")
    read = Image.open(tmp_path / "b.jpg").getexif()
    assert len(read.get_ifd(0x8769)[0x927C]) == note
    assert bool(read.get_ifd(ExifTags.IFD.IFD1)) == (note == 40_000)


def test_more_exif_than_a_jpeg_holds_is_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    block = block_in()
    block.get_ifd(0x8769)[0x927C] = bytes(70_000)
    Image.fromarray(gradient(3)).save(tmp_path / "a.png", exif=block)
    with pytest.raises(BadImageError, match=r"b\.jpg: expected a format that holds 7\d,\d+ bytes of EXIF"):
        upscaler.file(tmp_path / "a.png", tmp_path / "b.jpg")
    assert not (tmp_path / "b.jpg").exists()


def test_more_xmp_than_a_jpeg_holds_is_refused(upscaler: Upscaler, tmp_path: Path) -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">' + b"z" * 70_000 + b"</x:xmpmeta>"
    Image.fromarray(gradient(3)).save(tmp_path / "a.webp", xmp=packet)
    with pytest.raises(BadImageError, match=r"b\.jpg: expected a format that holds 70,048 bytes of XMP"):
        upscaler.file(tmp_path / "a.webp", tmp_path / "b.jpg")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [4, 8, 9, 3, 2])
def test_sizes_of_any_type_are_set(order: str, kind: int) -> None:
    """Numbers with a sign, as some cameras write, do not send a block through libexif, which drops what it does not know."""
    block = block_in(order)
    made = bytearray(block.tobytes().removeprefix(b"Exif\0\0"))
    for tag, old in ((0xA002, 36), (0xA003, 24)):
        at = made.index(struct.pack(order + "HH", tag, 4 if struct.pack(order + "HH", tag, 4) in made else 3))
        made[at : at + 12] = struct.pack(order + "HHLL", tag, kind, 1, old)
    read = Image.Exif()
    read.load(exif.corrected(bytes(made), (72, 48), (2, 2), None, None))
    details = read.get_ifd(0x8769)
    assert (details[0xA002], details[0xA003]) == (72, 48)
    assert {tag: read[tag] for tag in UNKNOWN} == UNKNOWN


@pytest.mark.parametrize("order", ["<", ">"])
def test_an_orientation_with_a_sign(order: str) -> None:
    made = bytearray(block_in(order).tobytes().removeprefix(b"Exif\0\0"))
    at = made.index(struct.pack(order + "HH", 0x0112, 3))
    made[at : at + 12] = struct.pack(order + "HHLl", 0x0112, 9, 1, 6)
    read = Image.Exif()
    read.load(exif.corrected(bytes(made), (48, 72), (1, 1), None, None))
    assert (read[0x0112], read[0x011A], read[0x011B]) == (1, 240, 300)  # turned


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_fields_that_libexif_does_not_know(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    block = block_in()
    block[0x000B] = "Processor"
    Image.fromarray(gradient(3)).save(tmp_path / "a.jpg", exif=block)
    upscaler.file(tmp_path / "a.jpg", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as out:
        found = out.getexif()
        assert {tag: found[tag] for tag in UNKNOWN} == UNKNOWN
        assert found[0x000B] == "Processor"
        assert found.get(0x0112, 1) == 1
        details = found.get_ifd(0x8769)
        assert {tag: details[tag] for tag in UNKNOWN_DETAILS} == UNKNOWN_DETAILS
        assert details[0x927C] == MAKER_NOTE
        assert 0x010E not in found
