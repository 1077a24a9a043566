"""What goes with a picture's pixels from its file into the result's: profile, EXIF, XMP, IPTC, resolution, timing."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from typing import Any

import pyvips

from lamnet.media import exif

# What describes the old file's pixels or coding rather than the picture.
_LEFT_BEHIND = re.compile(
    r"width|height|bands|format|coding|interpretation|[xy]offset|[xy]res|filename|vips-.*|jpeg-.*|heif-.*|palette.*"
    r"|bits-per-sample|interlaced|n-pages|page-height|n-subifds|orientation|exif-ifd0-Orientation|exif-ifd1-.*"
    r"|gif-.*|webp-.*|png-comment-.*|photoshop-data|loop|delay|background"
)
_SIZE_TAGS = {"ImageWidth": 0, "ImageLength": 1, "PixelXDimension": 0, "PixelYDimension": 1}
_PHOTOSHOP, _IPTC_RESOURCE = b"Photoshop 3.0\0", 0x0404
_XMP_NUMBER = rb"(%s\s*(?:=\s*[\"']|>)\s*)(\d+)"  # as an attribute or an element
# What grows with the picture: its resolution, and the numbers by which viewers wrap panoramas around.
_XMP_ACROSS = rb"(?:tiff:XResolution|GPano:(?:FullPanoWidth|CroppedAreaImageWidth|CroppedAreaLeft)Pixels)"
_XMP_DOWN = rb"(?:tiff:YResolution|GPano:(?:FullPanoHeight|CroppedAreaImageHeight|CroppedAreaTop)Pixels)"
_NO_RESOLUTION = (1.0, 1.0)  # libvips' pixels per millimetre of files that state none,
_LIES_FROM = 5  # orientations that exchange width and height
_PROFILE_HEADER = 128  # bytes
_INCH = 25.4  # millimetres
_PNG_DEFAULT, _JPEG_DEFAULT = 2.834, 72 / _INCH  # these formats having their own


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
        fields["xmp-data"] = correct_xmp(fields["xmp-data"], size, factor)
    if source.get_typeof("jpeg-thumbnail-data"):
        fields["jpeg-thumbnail-data"] = _thumbnail(source).data
        types["jpeg-thumbnail-data"] = source.get_typeof("jpeg-thumbnail-data")

    if "exif-data" in fields:
        fields["orientation"], types["orientation"] = 1, pyvips.GValue.gint_type
    carried = result.copy()
    for name in sorted(fields, key="exif-data".__ne__):  # from which libvips sets others, and the resolution
        carried.set_type(types[name], name, fields[name])
    stated = _resolution(source)
    xres, yres = (stated[0] * factor[0], stated[1] * factor[1]) if stated else (_JPEG_DEFAULT, _JPEG_DEFAULT)
    return carried.copy(xres=xres, yres=yres)


def carried_exif(
    source: pyvips.Image, factor: tuple[float, float], size: tuple[int, int], most: int | None = None
) -> bytes | None:
    """The source's EXIF as it was, true for a result as in `carry`; None where there is none, or none that can be read.

    Its thumbnail is left out where the block would have more than so many bytes.
    """
    if not (block := exif_of(source)):
        return None
    stated = _resolution(source)
    per_inch = (stated[0] * factor[0] * _INCH, stated[1] * factor[1] * _INCH) if stated else None
    thumbnail = _thumbnail(source) if source.get_typeof("jpeg-thumbnail-data") else None
    made = exif.corrected(block, size, factor, per_inch, thumbnail)
    if made and most and len(made) > most:
        made = exif.corrected(block, size, factor, per_inch, None)
    return made


def kept(source: pyvips.Image, with_exif: bool = True) -> str:
    """libvips' `keep` for a result: no EXIF where the source had none and it would state nothing, or not wanted from it."""
    return "all" if with_exif and (exif_of(source) or _resolution(source)) else "xmp:iptc:icc:other"


def profiled(image: Any) -> bool:
    """Whether a picture has a colour profile."""
    return bool(image.get_typeof("icc-profile-data"))


def exif_of(image: Any) -> bytes | None:
    """A picture's EXIF as its file held it."""
    return image.get("exif-data") if image.get_typeof("exif-data") else None


def with_blobs(image: pyvips.Image, blobs: Mapping[str, bytes]) -> pyvips.Image:
    """The image with EXIF, XMP by libvips' names for them, as if libvips had read them from the image's file."""
    described = image.copy()
    for name, blob in blobs.items():
        value: Any = blob
        described.set_type(pyvips.GValue.blob_type, name, value)
    return described


def upright(image: pyvips.Image, stated: bool) -> pyvips.Image:
    """The image turned as it says: in XMP, where no orientation is `stated` besides."""
    if not stated and (turn := _orientation_in_xmp(image)) > 1:
        image = image.copy()
        image.set_type(pyvips.GValue.gint_type, "orientation", turn)
    known: Any = image
    turned = image.autorot()
    lies = known.get_typeof("orientation") and known.get("orientation") >= _LIES_FROM
    return turned.copy(xres=image.yres, yres=image.xres) if lies else turned


def without_strange_profile(image: Any) -> pyvips.Image:
    """The image without a profile that is cut or of other colours than its own, which no reader can use."""
    if not profiled(image):
        return image
    profile: bytes = image.get("icc-profile-data")
    whole = len(profile) >= _PROFILE_HEADER and int.from_bytes(profile[:4], "big") <= len(profile)
    if whole and profile[36:40] == b"acsp" and profile[16:20] == (b"GRAY" if image.bands < 3 else b"RGB "):
        return image
    bare = image.copy()
    bare.remove("icc-profile-data")
    return bare


def orientation(image: Any) -> int:
    """How a picture as loaded is to be turned, 1 to 8 as in EXIF; XMP counts where nothing else says."""
    return image.get("orientation") if image.get_typeof("orientation") else _orientation_in_xmp(image)


def _orientation_in_xmp(image: Any) -> int:
    packet: bytes = image.get("xmp-data") if image.get_typeof("xmp-data") else b""
    found = re.search(_XMP_NUMBER % b"tiff:Orientation", packet)
    return int(found[2]) if found and int(found[2]) in range(2, 9) else 1


def with_item_lengths(image: Any, lengths: Mapping[int, int]) -> pyvips.Image:
    """The image with other lengths of the pictures that its XMP says follow it, by the lengths before."""
    if not (lengths and image.get_typeof("xmp-data")):
        return image

    def changed(found: re.Match[bytes]) -> bytes:
        return found[1] + b"%d" % lengths.get(int(found[2]), int(found[2]))

    return with_blobs(image, {"xmp-data": re.sub(_XMP_NUMBER % b"Item:Length", changed, image.get("xmp-data"))})


def iptc_of(image: Any) -> bytes | None:
    """A picture's IPTC records; JPEG files have them among Photoshop's resources."""
    if not image.get_typeof("iptc-data"):
        return None
    data: bytes = image.get("iptc-data")
    if not data.startswith(_PHOTOSHOP):
        return data
    at = len(_PHOTOSHOP)
    while data[at : at + 4] == b"8BIM" and len(data) >= at + 12:
        number, named = int.from_bytes(data[at + 4 : at + 6], "big"), data[at + 6] // 2 * 2 + 2
        start = at + 6 + named + 4
        size = int.from_bytes(data[start - 4 : start], "big")
        if number == _IPTC_RESOURCE:
            return data[start : start + size]
        at = start + size + size % 2
    return None


def with_iptc(image: pyvips.Image, iptc: bytes) -> pyvips.Image:
    """The image with IPTC records as a JPEG has them; of Photoshop's other resources, thumbnails for one, none."""
    resource = b"8BIM" + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    return with_blobs(image, {"iptc-data": _PHOTOSHOP + resource})


def correct_xmp(packet: bytes, size: tuple[int, int], factor: tuple[float, float] = (1, 1)) -> bytes:
    """An XMP packet true for a result, in what it states: orientation 1, (width, height), resolution; no thumbnails."""
    for name, value in (
        (b"tiff:Orientation", 1),
        (b"tiff:ImageWidth", size[0]),
        (b"tiff:ImageLength", size[1]),
        (b"exif:PixelXDimension", size[0]),
        (b"exif:PixelYDimension", size[1]),
    ):
        packet = re.sub(_XMP_NUMBER % name, rb"\g<1>%d" % value, packet)
    for name, by in ((_XMP_ACROSS, factor[0]), (_XMP_DOWN, factor[1])):

        def scaled(found: re.Match[bytes], by: float = by) -> bytes:
            return found[1] + b"%d" % round(int(found[2]) * by)

        packet = re.sub(_XMP_NUMBER % name, scaled, packet)
    return re.sub(rb"<xmp:Thumbnails>.*?</xmp:Thumbnails>", b"", packet, flags=re.DOTALL)


def _resolution(source: pyvips.Image) -> tuple[float, float] | None:
    """The pixels per millimetre that a file states, be it in EXIF, where libvips sees them in some formats only."""
    stated, block = (source.xres, source.yres), exif_of(source)
    if stated == _NO_RESOLUTION and block:
        other = with_blobs(pyvips.Image.black(1, 1), {"exif-data": block})
        stated = (other.xres, other.yres)
    assumed = math.isclose(stated[0], _JPEG_DEFAULT) and not source.get_typeof("resolution-unit")
    return None if stated == _NO_RESOLUTION or stated[0] == _PNG_DEFAULT or assumed else stated


def _thumbnail(source: pyvips.Image) -> exif.Thumbnail:
    small: Any = source.thumbnail_image(160, height=160, size="down")
    if small.hasalpha():
        small = small.flatten(background=255)
    return exif.Thumbnail(small.jpegsave_buffer(Q=80, keep="none"), small.width, small.height)
