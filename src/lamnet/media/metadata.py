"""Metadata carried from a picture's file into its result's: profile, EXIF, XMP, IPTC, resolution, timing."""

from __future__ import annotations

import math
import re
from typing import Any

import pyvips

from lamnet.media import exif, xmp
from lamnet.media.blobs import exif_of, has_profile, with_blobs

# What describes the old file's pixels or coding rather than the picture.
_LEFT_BEHIND = re.compile(
    r"width|height|bands|format|coding|interpretation|[xy]offset|[xy]res|filename|vips-.*|jpeg-.*|heif-.*|palette.*"
    r"|bits-per-sample|interlaced|n-pages|page-height|n-subifds|orientation|exif-ifd0-Orientation|exif-ifd1-.*"
    r"|lamnet-.*|gif-.*|webp-.*|png-comment-.*|photoshop-data|image-description|loop|delay|background"
)
_KNOWN = ("icc-profile-data", "exif-data", "xmp-data", "iptc-data", "resolution-unit", "bits-per-sample")
_SIZE_TAGS = {"ImageWidth": 0, "ImageLength": 1, "PixelXDimension": 0, "PixelYDimension": 1}
_NO_RESOLUTION = (1.0, 1.0)  # libvips' pixels per millimetre of files that state none
_PROFILE_HEADER = 128  # bytes
_OTHER_COLOURS = ("lab", "labs", "xyz", "hsv")  # libvips' names of those that become RGB
_INCH = 25.4  # millimetres
_JPEG_DEFAULT = 72 / _INCH  # libvips' pixels per millimetre where a JPEG states none


def carry(source: pyvips.Image, result: pyvips.Image, size: tuple[int, int]) -> pyvips.Image:
    """Return the result with the source's metadata, made true for the result.

    Args:
        source: upright, as opened; its orientation tag is not carried, since it has been applied. The resolution grows
            with the picture, so that its print size stays.
        size: (width, height) of the result, of one frame; written where EXIF and XMP state a size.
    """
    factor = _factor(source, size)
    fields: dict[str, Any] = {name: source.get(name) for name in _fields_of(source) if not _LEFT_BEHIND.fullmatch(name)}
    types = {name: source.get_typeof(name) for name in fields}
    for name in fields:
        tag = name.removeprefix("exif-ifd0-").removeprefix("exif-ifd2-")
        if name.startswith("exif-ifd") and tag in _SIZE_TAGS:
            fields[name] = f"{size[_SIZE_TAGS[tag]]} (, Long, 1 components, 4 bytes)"
    if "xmp-data" in fields:
        fields["xmp-data"] = xmp.corrected(fields["xmp-data"], size, factor)
    if source.get_typeof("jpeg-thumbnail-data"):
        fields["jpeg-thumbnail-data"] = _thumbnail(source).data
        types["jpeg-thumbnail-data"] = source.get_typeof("jpeg-thumbnail-data")

    carried = result.copy()
    if "exif-data" in fields:
        fields["orientation"], types["orientation"] = 1, pyvips.GValue.gint_type
        # First, since libvips sets other fields and the resolution from it.
        carried.set_type(types.pop("exif-data"), "exif-data", fields.pop("exif-data"))
    for name, value in fields.items():
        carried.set_type(types[name], name, value)
    stated = _resolution(source)
    xres, yres = (stated[0] * factor[0], stated[1] * factor[1]) if stated else (_JPEG_DEFAULT, _JPEG_DEFAULT)
    return carried.copy(xres=xres, yres=yres)


def _fields_of(source: pyvips.Image) -> list[str]:
    """Return the names of an image's metadata, those we know alone where libvips has made one of other letters than UTF-8."""
    try:
        return source.get_fields()
    except UnicodeDecodeError:  # from a keyword of a PNG
        return [name for name in _KNOWN if source.get_typeof(name)]


def corrected_exif(source: pyvips.Image, size: tuple[int, int], limit: int | None = None) -> bytes | None:
    """Return the source's EXIF true for a result of this (width, height); None where it has none that can be read.

    Its thumbnail is left out where the block would otherwise have more than `limit` bytes.
    """
    if not (block := exif_of(source)):
        return None
    factor, stated = _factor(source, size), _resolution(source)
    per_inch = (stated[0] * factor[0] * _INCH, stated[1] * factor[1] * _INCH) if stated else None
    thumbnail = _thumbnail(source) if source.get_typeof("jpeg-thumbnail-data") else None
    made = exif.corrected(block, size, factor, per_inch, thumbnail)
    if made and limit and len(made) > limit:
        made = exif.corrected(block, size, factor, per_inch, None)
    return made


def kept(source: pyvips.Image, with_exif: bool = True) -> str:
    """Return libvips' `keep` for a result.

    libvips writes no EXIF where that is not wanted from it, or where the source had none and states no resolution.
    """
    return "all" if with_exif and (exif_of(source) or _resolution(source)) else "xmp:iptc:icc:other"


def unusable_profile(image: Any) -> bool:
    """Tell whether an image has a profile that no reader can use: cut, or of other colours than the image's."""
    if not has_profile(image) or image.interpretation in _OTHER_COLOURS:
        return False
    profile: bytes = image.get("icc-profile-data")
    whole = len(profile) >= _PROFILE_HEADER and int.from_bytes(profile[:4], "big") <= len(profile)
    colours = b"CMYK" if image.interpretation == "cmyk" else b"GRAY" if image.bands < 3 else b"RGB "
    return not (whole and profile[36:40] == b"acsp" and profile[16:20] == colours)


def without_unusable_profile(image: Any) -> pyvips.Image:
    """Return the image without a profile that no reader can use."""
    if not unusable_profile(image):
        return image
    bare = image.copy()
    bare.remove("icc-profile-data")
    return bare


def _factor(source: pyvips.Image, size: tuple[int, int]) -> tuple[float, float]:
    """Return how many times as wide and as high as its source a result is."""
    return size[0] / source.width, size[1] / source.height


def _resolution(source: pyvips.Image) -> tuple[float, float] | None:
    """Return the pixels per millimetre that a file states; also in EXIF, where libvips sees them in some formats only."""
    stated, block = (source.xres, source.yres), exif_of(source)
    if stated == _NO_RESOLUTION and block:
        other = with_blobs(pyvips.Image.black(1, 1), {"exif-data": block})
        stated = (other.xres, other.yres)
    assumed = math.isclose(stated[0], _JPEG_DEFAULT) and not source.get_typeof("resolution-unit")
    return None if stated == _NO_RESOLUTION or assumed else stated


def _thumbnail(source: pyvips.Image) -> exif.Thumbnail:
    small: Any = source.thumbnail_image(160, height=160, size="down")
    if small.hasalpha():
        small = small.flatten(background=255)
    return exif.Thumbnail(small.jpegsave_buffer(Q=80, keep="none"), small.width, small.height)
