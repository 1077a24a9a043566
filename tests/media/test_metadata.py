"""Metadata from a file of any format into one of any other."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import pytest
import pyvips
import tifffile
from PIL import Image, IptcImagePlugin
from PIL.PngImagePlugin import PngInfo

from lamnet import Upscaler
from lamnet.media import xmp
from support.pictures import gradient


def _with_exif(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0100], exif[0x0101] = 6, "Maker", 36, 24
    details = exif.get_ifd(0x8769)
    details[0x9003], details[0xA002], details[0xA003] = "2020:01:02 03:04:05", 36, 24
    details[0x9286] = b"UNICODE\0j\0\xf6\0"
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (52.0, 31.0, 12.5)
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6" tiff:ImageWidth="36" note="kept"/></x:xmpmeta>'
    )
    if path.suffix == ".tif":
        exif[700], exif[0x8769], exif[0x8825] = xmp, details, place
    Image.fromarray(gradient(3)).save(path, exif=exif, dpi=(300, 300), xmp=xmp)


@pytest.mark.parametrize("source_suffix", [".jpg", ".tif"])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_exif_xmp_orientation_size_and_resolution(
    upscaler: Upscaler, tmp_path: Path, source_suffix: str, suffix: str
) -> None:
    source = tmp_path / f"a{source_suffix}"
    _with_exif(source)
    upscaler.file(source, tmp_path / f"b{suffix}")
    out = Image.open(tmp_path / f"b{suffix}")
    assert out.size == (48, 72)
    exif = out.getexif()
    assert exif.get(0x0112, 1) == 1
    assert exif[0x010F] == "Maker"
    details = exif.get_ifd(0x8769)
    assert details[0x9003] == "2020:01:02 03:04:05"
    assert (details[0xA002], details[0xA003]) == (48, 72)
    assert exif.get_ifd(0x8825) == {1: "N", 2: (52.0, 31.0, 12.5)}
    assert details[0x9286] == b"UNICODE\0j\0\xf6\0"
    if source_suffix == ".jpg" or suffix == ".tif":
        assert (exif[0x0100], exif[0x0101]) == (48, 72)
    assert float(exif[0x011A]) == pytest.approx(600, abs=1)
    if suffix in (".jpg", ".png", ".tif"):
        assert out.info["dpi"][0] == pytest.approx(600, abs=1)
    xmp = pyvips.Image.new_from_file(str(tmp_path / f"b{suffix}")).get("xmp-data")
    assert b'tiff:Orientation="1" tiff:ImageWidth="48" note="kept"' in xmp


def test_a_thumbnail_shows_the_upright_picture(upscaler: Upscaler, tmp_path: Path) -> None:
    plain = pyvips.Image.new_from_array(gradient(3, size=(240, 360)), interpretation="srgb")
    tagged = plain.copy()
    tagged.set_type(pyvips.GValue.gint_type, "orientation", 6)
    tagged.set_type(pyvips.GValue.blob_type, "jpeg-thumbnail-data", plain.thumbnail_image(90).jpegsave_buffer())
    tagged.jpegsave(str(tmp_path / "a.jpg"))
    upscaler.file(tmp_path / "a.jpg", tmp_path / "b.jpg")
    out = pyvips.Image.new_from_file(str(tmp_path / "b.jpg"))
    thumbnail = Image.open(io.BytesIO(out.get("jpeg-thumbnail-data")))
    assert thumbnail.height / thumbnail.width == pytest.approx(out.height / out.width, rel=0.05)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
def test_the_resolution_turns_with_the_picture(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x011A], exif[0x011B], exif[0x0128] = 6, 300.0, 150.0, 2
    Image.fromarray(gradient(3)).save(tmp_path / "a.jpg", exif=exif, dpi=(300, 150))
    upscaler.file(tmp_path / "a.jpg", tmp_path / f"b{suffix}")
    with Image.open(tmp_path / f"b{suffix}") as out:
        assert out.size == (48, 72)
        found = out.getexif()
        assert (found[0x011A], found[0x011B]) == pytest.approx((300, 600), abs=0.01)
        stated = out.info.get("dpi", (300, 600)) if suffix != ".jpg" else (300, 600)  # made of EXIF's first by Pillow
        assert stated == pytest.approx((300, 600), abs=0.02)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".avif", ".tif"])
@pytest.mark.parametrize("stated", [True, False])
def test_the_resolution_of_exif(upscaler: Upscaler, tmp_path: Path, suffix: str, stated: bool) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    if stated:
        exif[0x011A], exif[0x011B], exif[0x0128] = 240.0, 120.0, 2
    source = tmp_path / f"a{suffix}"
    Image.fromarray(gradient(3)).save(source, exif=exif)
    upscaler.file(source, tmp_path / "b.jpg")
    exif = Image.open(tmp_path / "b.jpg").getexif()
    found = exif.get(0x011A), exif.get(0x011B)
    assert found == (pytest.approx((480, 240), abs=0.01) if stated else (None, None))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_without_a_resolution_none_grows(upscaler: Upscaler, tmp_path: Path, suffix: str) -> None:
    Image.fromarray(gradient(3)).save(tmp_path / f"a{suffix}")
    upscaler.file(tmp_path / f"a{suffix}", tmp_path / "b.jpg")
    out = Image.open(tmp_path / "b.jpg")
    assert out.info.get("dpi", (72, 72)) == (72, 72)
    assert not out.getexif()


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
@pytest.mark.parametrize("source_suffix", [".jpg", ".tif"])
def test_iptc(upscaler: Upscaler, tmp_path: Path, source_suffix: str, suffix: str) -> None:
    source, records = tmp_path / f"a{source_suffix}", b"\x1c\x02\x05\x00\x05Title"
    if source_suffix == ".tif":
        tags = [(33723, 7, len(records), records, True)]
        tifffile.imwrite(source, gradient(3), photometric="rgb", extratags=tags, metadata=None)
    else:
        Image.fromarray(gradient(3)).save(source)
        resources = [(0x040C, b"thumbnail"), (0x0404, records)]
        body = b"".join(b"8BIM" + struct.pack(">HHI", i, 0, len(d)) + d + b"\0" * (len(d) % 2) for i, d in resources)
        segment = b"Photoshop 3.0\0" + body
        data = source.read_bytes()
        source.write_bytes(data[:2] + b"\xff\xed" + struct.pack(">H", len(segment) + 2) + segment + data[2:])
    assert IptcImagePlugin.getiptcinfo(Image.open(source)) == {(2, 5): b"Title"}
    upscaler.file(source, tmp_path / f"b{suffix}")
    assert IptcImagePlugin.getiptcinfo(Image.open(tmp_path / f"b{suffix}")) == {(2, 5): b"Title"}
    assert b"thumbnail" not in (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("exif", [False, True])
def test_an_orientation_in_xmp_counts_where_exif_has_none(
    upscaler: Upscaler, tmp_path: Path, suffix: str, exif: bool
) -> None:
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    tags = Image.Exif()
    tags[0x0112] = 1
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet.decode())
    options: dict[str, Any] = {"xmp": packet, "pnginfo": info, "tiffinfo": {700: packet}}
    if exif:
        options |= {"exif": tags, "tiffinfo": {700: packet, 0x0112: 1}}
    if suffix == ".tif":
        options = {"tiffinfo": options["tiffinfo"]}
    Image.fromarray(gradient(3)).save(tmp_path / f"a{suffix}", **options)
    upscaler.file(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    out = Image.open(tmp_path / f"b{suffix}")
    assert out.size == ((72, 48) if exif else (48, 72))
    xmp: Any = pyvips.Image.new_from_file(str(tmp_path / f"b{suffix}")).get("xmp-data")
    assert b'tiff:Orientation="1"' in xmp


def test_xmp_in_elements() -> None:
    packet = b"<a><tiff:Orientation>8</tiff:Orientation><exif:PixelXDimension> 12</exif:PixelXDimension></a>"
    expected = b"<a><tiff:Orientation>1</tiff:Orientation><exif:PixelXDimension> 48</exif:PixelXDimension></a>"
    assert xmp.corrected(packet, (48, 20)) == expected
    packet = b"<tiff:XResolution>3000/10</tiff:XResolution><a tiff:YResolution='72/1'/>"
    expected = b"<tiff:XResolution>6000/10</tiff:XResolution><a tiff:YResolution='180/1'/>"
    assert xmp.corrected(packet, (1, 1), (2, 2.5)) == expected
    packet = b"<a GPano:FullPanoWidthPixels='40' GPano:CroppedAreaTopPixels='2' GPano:PoseHeadingDegrees='90'/>"
    expected = b"<a GPano:FullPanoWidthPixels='80' GPano:CroppedAreaTopPixels='5' GPano:PoseHeadingDegrees='90'/>"
    assert xmp.corrected(packet, (1, 1), (2, 2.5)) == expected
