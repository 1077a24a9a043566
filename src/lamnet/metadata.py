"""What goes with a picture's pixels from its file into the result's: profile, EXIF, XMP, IPTC, resolution, timing."""

from __future__ import annotations

import re
import struct
import zlib
from typing import Any

import pyvips

# What describes the old file's pixels or coding rather than the picture.
_LEFT_BEHIND = re.compile(
    r"width|height|bands|format|coding|interpretation|[xy]offset|[xy]res|filename|vips-.*|jpeg-.*|heif-.*|palette.*"
    r"|bits-per-sample|interlaced|n-pages|page-height|n-subifds|orientation|exif-ifd0-Orientation|exif-ifd1-.*"
    r"|gif-.*|webp-.*|loop|delay|background"
)
_SIZE_TAGS = {"ImageWidth": 0, "ImageLength": 1, "PixelXDimension": 0, "PixelYDimension": 1}
_PNG_HEADER = 33  # bytes of a PNG before its second chunk
_NO_RESOLUTION = (1.0, 2.834)  # libvips' pixels per millimetre of files that state none, PNG having its own


def carry(
    source: pyvips.Image, result: pyvips.Image, factor: tuple[float, float], size: tuple[int, int]
) -> pyvips.Image:
    """The result with the source's metadata, made true for the result.

    Args:
        source: upright, as opened; its orientation tag is not carried, since it has been applied.
        factor: how many times as wide and as high the result is: the resolution grows so that the print size stays.
        size: (width, height) of the result, written where EXIF and XMP state a size.
    """
    fields: dict[str, Any] = {
        name: source.get(name) for name in source.get_fields() if not _LEFT_BEHIND.fullmatch(name)
    }
    types = {name: source.get_typeof(name) for name in fields}
    for name in fields:
        tag = name.removeprefix("exif-ifd0-").removeprefix("exif-ifd2-")
        if name.startswith("exif-ifd") and tag in _SIZE_TAGS:
            fields[name] = f"{size[_SIZE_TAGS[tag]]} (, Long, 1 components, 4 bytes)"
    if "xmp-data" in fields:
        fields["xmp-data"] = correct_xmp(fields["xmp-data"], size)
    if "jpeg-thumbnail-data" in source.get_fields():
        fields["jpeg-thumbnail-data"] = _thumbnail(source)
        types["jpeg-thumbnail-data"] = source.get_typeof("jpeg-thumbnail-data")

    if "exif-data" in fields:
        fields["orientation"], types["orientation"] = 1, pyvips.GValue.gint_type
    xres, yres = source.xres, source.yres
    if xres not in _NO_RESOLUTION:
        xres, yres = xres * factor[0], yres * factor[1]
    carried = result.copy(xres=xres, yres=yres)
    for name, value in fields.items():
        carried.set_type(types[name], name, value)
    return carried


def kept(source: pyvips.Image) -> str:
    """libvips' `keep` for a result: no EXIF where the source had none and it would state nothing."""
    if "exif-data" in source.get_fields() or source.xres not in _NO_RESOLUTION:
        return "all"
    return "xmp:iptc:icc:other"


def exif_of(image: Any) -> bytes | None:
    """A picture's EXIF as its file held it."""
    return image.get("exif-data") if image.get_typeof("exif-data") else None


def with_exif(image: pyvips.Image, exif: bytes) -> pyvips.Image:
    """The image with this EXIF, as if libvips had read it from the image's file."""
    black: Any = pyvips.Image.black(1, 1)
    tiny: bytes = black.pngsave_buffer(keep="none")
    chunk = b"eXIf" + exif
    chunk = struct.pack(">I", len(exif)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    carrier = pyvips.Image.pngload_buffer(tiny[:_PNG_HEADER] + chunk + tiny[_PNG_HEADER:])
    described = image.copy()
    for name in carrier.get_fields():
        if name.startswith("exif-"):
            described.set_type(carrier.get_typeof(name), name, carrier.get(name))
    return described


def correct_xmp(packet: bytes, size: tuple[int, int]) -> bytes:
    """An XMP packet with orientation 1 and the given (width, height) where it states them, without thumbnails."""
    for name, value in (
        (b"tiff:Orientation", 1),
        (b"tiff:ImageWidth", size[0]),
        (b"tiff:ImageLength", size[1]),
        (b"exif:PixelXDimension", size[0]),
        (b"exif:PixelYDimension", size[1]),
    ):
        text = str(value).encode()
        packet = re.sub(rb"(" + name + rb"\s*=\s*[\"'])\d+", rb"\g<1>" + text, packet)
        packet = re.sub(rb"(<" + name + rb"\s*>\s*)\d+", rb"\g<1>" + text, packet)
    return re.sub(rb"<xmp:Thumbnails>.*?</xmp:Thumbnails>", b"", packet, flags=re.DOTALL)


def _thumbnail(source: pyvips.Image) -> bytes:
    small: Any = source.thumbnail_image(160, height=160, size="down")
    if small.hasalpha():
        small = small.flatten(background=255)
    return small.jpegsave_buffer(Q=80, keep="none")
