"""TIFF pages that libvips does not decode: by tifffile and imagecodecs (extra "formats"), whole and in memory.

Depths of 10, 12, 14, 24 and 64 bits, ZSTD, LZMA, LERC, JPEG 2000, JPEG XL and others, planes in tiles, YCbCr with less
colour than brightness, the old kind of JPEG.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet.base.errors import BadImageError
from lamnet.base.extras import require
from lamnet.media.blobs import with_blobs
from lamnet.media.codecs import decoded, tiff_pages
from lamnet.media.codecs.tiff_pages import Page

_IN_LIBVIPS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50001})  # compressions
_OLD_JPEG, _JPEG = 6, 7
_ODD_BITS = frozenset({*range(9, 16), *range(17, 32), 64})
_WHITE_AT_0, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_FIRST_DEPTHS = ("uint8", "uint16")  # others become floats
_BLOBS = {34675: "icc-profile-data", 700: "xmp-data", 33723: "iptc-data"}
_MILLIMETRES = {2: 25.4, 3: 10.0}  # in a unit of resolution

Decoder = Literal["tifffile", "libtiff"]


def decoder_for(page: Page) -> Decoder | None:
    """Return what decodes a page, None where libvips does."""
    compression, planes = page.number(tiff_pages.COMPRESSION, 1), page.number(tiff_pages.PLANAR, 1) == 2
    subsampled = tiff_pages.numbers_of(page.fields, tiff_pages.SUBSAMPLING) not in ([], [1, 1])
    ycbcr = page.number(tiff_pages.PHOTOMETRIC, _GREY) == _YCBCR and compression != _JPEG
    if compression == _OLD_JPEG or (ycbcr and subsampled):
        return "libtiff"
    odd = page.number(tiff_pages.BITS, 1) in _ODD_BITS or (planes and tiff_pages.TILE_WIDTH in page.fields)
    return "tifffile" if odd or compression not in _IN_LIBVIPS else None


def load(path: Path, page: Page, number: int, decoder: Decoder) -> pyvips.Image:
    """Decode a page. Raises BadImageError, MissingExtraError."""
    decoded.check(path, page.number(tiff_pages.WIDTH), page.number(tiff_pages.HEIGHT))
    tifffile = require("tifffile", "formats", f"{path}: this kind of TIFF")
    codecs = require("imagecodecs", "formats", f"{path}: this kind of TIFF")
    with decoded.refusing(path), tifffile.TiffFile(path) as file:
        one = file.pages[number]
        if decoder == "libtiff":
            data = path.read_bytes()
            pixels: Any = codecs.tiff_decode(data, index=number, asrgb=True)[..., : max(3, one.samplesperpixel)]
            return _described(decoded.image_of(pixels), one)
        pixels = one.asarray()
        if one.planarconfig == 2 and one.samplesperpixel > 1:
            pixels = np.moveaxis(pixels, 0, -1)
        photometric = int(one.photometric)
        return _described(decoded.image_of(_in_our_depth(path, pixels, one, photometric), photometric == _CMYK), one)


def _in_our_depth(path: Path, pixels: NDArray[Any], page: Any, photometric: int) -> NDArray[Any]:
    if photometric not in (_WHITE_AT_0, _GREY, _RGB, _PALETTE, _CMYK) or pixels.dtype.kind == "c":
        raise BadImageError(
            f"{path}: expected grey, RGB, a palette or CMYK, found {page.photometric!s} of {pixels.dtype}"
        )
    if pixels.dtype.kind == "b":
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    first, extra = (pixels, None) if pixels.ndim == 2 else (pixels[..., 0], pixels[..., 1:])
    if photometric == _PALETTE:
        pixels = _with_bands(_looked_up(np.asarray(page.colormap), first), extra)
    if photometric == _WHITE_AT_0:
        white = 1 if pixels.dtype.kind == "f" else 2**page.bitspersample - 1
        pixels = _with_bands((white - first)[..., None], extra)
    return pixels if pixels.dtype.name in _FIRST_DEPTHS else pixels.astype(np.float32)


def _with_bands(colours: NDArray[Any], others: NDArray[Any] | None) -> NDArray[Any]:
    return colours if others is None else np.concatenate([colours, others.astype(colours.dtype)], -1)


def _looked_up(colours: NDArray[Any], indices: NDArray[Any]) -> NDArray[Any]:
    """Return (H, W, 3) of a palette (3, n), in 8 bits where these hold it."""
    table = (colours >> 8).astype(np.uint8) if (colours >> 8 == colours & 255).all() else colours.astype(np.uint16)
    return np.moveaxis(table[:, indices], 0, -1)


def _described(image: pyvips.Image, page: Any) -> pyvips.Image:
    """Return the image with profile, XMP, IPTC, orientation and resolution."""
    blobs: dict[str, bytes] = {}
    for tag, name in _BLOBS.items():
        value = page.tags[tag].value if tag in page.tags else None
        if isinstance(value, bytes):
            blobs[name] = value
    unit = _MILLIMETRES.get(int(page.tags[296].value) if 296 in page.tags else 2)
    if unit and 282 in page.tags and 283 in page.tags:
        per = [page.tags[tag].value for tag in (282, 283)]
        if all(number and unit_of for number, unit_of in per):
            image = image.copy(xres=per[0][0] / per[0][1] / unit, yres=per[1][0] / per[1][1] / unit)
    image = with_blobs(image, blobs)
    turn = int(page.tags[274].value) if 274 in page.tags else 1
    if turn in range(2, 9):
        image.set_type(pyvips.GValue.gint_type, "orientation", turn)
    return image
