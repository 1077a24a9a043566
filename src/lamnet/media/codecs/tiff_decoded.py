"""TIFF pages that libvips does not decode: by tifffile and imagecodecs (extra "formats"), whole and in memory.

Depths of 10, 12, 14, 24 and 64 bits, colours of fewer than 8, ZSTD, LZMA, LERC, JPEG 2000, JPEG XL and others, planes in tiles, YCbCr with less
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
from lamnet.media import tags
from lamnet.media.blobs import with_blobs
from lamnet.media.codecs import decoded
from lamnet.media.codecs.tiff_pages import Page
from lamnet.media.ifd import Directory

_IN_LIBVIPS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50001})  # compressions
_OLD_JPEG, _JPEG = 6, 7
_ODD_BITS = frozenset({3, 5, 6, 7, *range(9, 16), *range(17, 32), 64})
_PACKED_ALONE = (1, 2, 4)  # bits that libvips unpacks where a pixel has one sample
_WHITE_AT_0, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_FIRST_DEPTHS = ("uint8", "uint16")  # others become floats
_UNSIGNED = 1  # sample formats
_KINDS = {_UNSIGNED: "{bits} bits", 2: "{bits} bits with a sign", 3: "floats of {bits} bits"}
_HELD = {_UNSIGNED: (8, 16), 2: (), 3: (16, 24, 32)}  # bits that one of our depths holds as they are
_BLOBS = {tags.PROFILE: "icc-profile-data", tags.XMP: "xmp-data", tags.IPTC: "iptc-data"}
_MILLIMETRES = {2: 25.4, 3: 10.0}  # in a unit of resolution

Decoder = Literal["tifffile", "libtiff"]


def decoder_for(page: Page) -> Decoder | None:
    """Return what decodes a page, None where libvips does."""
    compression, planes = page.number(tags.COMPRESSION, 1), page.number(tags.PLANAR, 1) == 2
    subsampled = tags.numbers_of(page.fields, tags.SUBSAMPLING) not in ([], [1, 1])
    ycbcr = page.number(tags.PHOTOMETRIC, _GREY) == _YCBCR and compression != _JPEG
    if compression == _OLD_JPEG or (ycbcr and subsampled):
        return "libtiff"
    odd = _is_odd(page) or (planes and tags.TILE_WIDTH in page.fields)
    return "tifffile" if odd or compression not in _IN_LIBVIPS else None


def _is_odd(page: Page) -> bool:
    bits = tags.numbers_of(page.fields, tags.BITS) or [1]
    several = page.number(tags.SAMPLES, 1) > 1
    return bits[0] in _ODD_BITS or (several and bits[0] in _PACKED_ALONE) or len(set(bits)) > 1


def change_of(fields: Directory) -> str | None:
    """Say in a line what becomes of a page's numbers that none of our depths holds as they are; None where one does."""
    kind = fields.number(tags.SAMPLE_FORMAT) or 1
    bits = fields.number(tags.BITS) or 1
    if kind in _KINDS and bits in range(1, 65) and bits not in _HELD[kind]:
        if kind == _UNSIGNED and bits < 16:
            palette = fields.number(tags.PHOTOMETRIC) == _PALETTE
            how = "with the same numbers" if tags.NO_DATA in fields else "white stays white"
            return None if bits == 1 or palette else f"{bits} bits became {_held_in(bits)} bits, {how}"
        return f"{_KINDS[kind].format(bits=bits)} became floats of 32 bits"
    return None


def _held_in(bits: int) -> int:
    return 8 if bits <= 8 else 16


def load(path: Path, page: Page, number: int, decoder: Decoder) -> pyvips.Image:
    """Decode a page. Raises BadImageError, MissingExtraError."""
    decoded.check(path, page.number(tags.WIDTH), page.number(tags.HEIGHT))
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
            f"{path}: expected grey, RGB, a palette or CMYK, found {page.photometric.name} of {pixels.dtype}"
        )
    pixels = pixels.astype(np.uint8) if pixels.dtype.kind == "b" else pixels
    first, extra = (pixels, None) if pixels.ndim == 2 else (pixels[..., 0], pixels[..., 1:])
    # Samples of different depths have been made alike by tifffile.
    bits = page.bitspersample if isinstance(page.bitspersample, int) else 8 * pixels.dtype.itemsize
    if photometric == _PALETTE:
        return _with_bands(_looked_up(np.asarray(page.colormap), first), extra)
    if photometric == _WHITE_AT_0:
        white = 1 if pixels.dtype.kind == "f" else 2**bits - 1
        pixels = _with_bands((white - first)[..., None], extra)
    if pixels.dtype.name not in _FIRST_DEPTHS:
        return pixels.astype(np.float32)
    return pixels if tags.NO_DATA in page.tags else _spread(pixels, bits)  # with it they are measurements


def _spread(pixels: NDArray[Any], bits: int) -> NDArray[Any]:
    """Return numbers of so many bits over all of 8 or 16, so that white stays white."""
    white, most = 2**bits - 1, 2 ** _held_in(bits) - 1
    return pixels if white == most else ((pixels.astype(np.uint32) * most + white // 2) // white).astype(pixels.dtype)


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
    unit = _MILLIMETRES.get(int(page.tags[tags.UNIT].value) if tags.UNIT in page.tags else 2)
    if unit and tags.X_RESOLUTION in page.tags and tags.Y_RESOLUTION in page.tags:
        per = [page.tags[tag].value for tag in (tags.X_RESOLUTION, tags.Y_RESOLUTION)]
        if all(number and unit_of for number, unit_of in per):
            image = image.copy(xres=per[0][0] / per[0][1] / unit, yres=per[1][0] / per[1][1] / unit)
    image = with_blobs(image, blobs)
    turn = int(page.tags[tags.ORIENTATION].value) if tags.ORIENTATION in page.tags else 1
    if turn in range(2, 9):
        image.set_type(pyvips.GValue.gint_type, "orientation", turn)
    return image
