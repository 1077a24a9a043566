"""Formats that libvips does not read and Pillow does safely: BMP, TGA, ICO, PCX, JPEG 2000, PSD's flat picture and others.

Pixels are decoded at once and held in memory; depths are those that Pillow gives. Nothing is written in these formats.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pyvips
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.DdsImagePlugin import DdsImageFile
from PIL.IcoImagePlugin import IcoImageFile
from PIL.ImageFile import ImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.PcxImagePlugin import PcxImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.PsdImagePlugin import PsdImageFile
from PIL.QoiImagePlugin import QoiImageFile
from PIL.SgiImagePlugin import SgiImageFile
from PIL.SunImagePlugin import SunImageFile
from PIL.TgaImagePlugin import TgaImageFile

from lamnet.base.errors import BadImageError, LamnetError
from lamnet.media.blobs import with_blobs
from lamnet.media.codecs import bmp, bmp_rare, decoded, pfm
from lamnet.media.contract import Extras, Format
from lamnet.media.reasons import plain


class _Reader(NamedTuple):
    """A class of Pillow's, and how its files are named and begin."""

    suffixes: tuple[str, ...]
    signature: bytes
    open: Callable[[IO[bytes]], ImageFile]


# Opened as such and not by Image.open, Pillow's limit of pixels does not get in the way of ours.
_READERS = (
    _Reader((".bmp", ".dib"), rb"BM", BmpImageFile),
    _Reader((".ico",), rb"\x00\x00\x01\x00", IcoImageFile),
    _Reader((".jp2", ".j2k", ".jpx"), rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", Jpeg2KImageFile),
    _Reader((".psd",), rb"8BPS\x00\x01", PsdImageFile),
    _Reader((".pbm", ".pgm", ".ppm", ".pnm", ".pfm"), rb"P[1-6Ff][ \t\r\n#]", PpmImageFile),
    _Reader((".pcx",), rb"\x0a[\x00\x02\x03\x05]\x01[\x01\x02\x04\x08]", PcxImageFile),
    _Reader((".dds",), rb"DDS ", DdsImageFile),
    _Reader((".qoi",), rb"qoif", QoiImageFile),
    _Reader((".sgi",), rb"\x01\xda[\x00\x01][\x01\x02]", SgiImageFile),
    _Reader((".ras",), rb"\x59\xa6\x6a\x95", SunImageFile),
    # TGA has no signature proper: a palette or none, a type that goes with it, bits.
    _Reader((".tga",), rb".(?:\x01[\x01\x09]|\x00[\x02\x03\x0a\x0b]).{13}[\x08\x10\x18\x20]", TgaImageFile),
)
FORMAT = Format(
    "pillow",
    tuple(suffix for reader in _READERS for suffix in reader.suffixes),
    re.compile(b"|".join(b"(?:" + reader.signature + b")" for reader in _READERS), re.DOTALL),
)

_DIRECT = {"L", "LA", "RGB", "RGBA", "CMYK", "F", "I;16", "I;16L", "I;16B"}  # modes whose numbers are taken as they are
_BY_WAY_OF = {"1": "L", "PA": "RGBA", "RGBa": "RGBA", "La": "LA", "RGBX": "RGB", "YCbCr": "RGB"}
_INCH = 25.4  # millimetres


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open the picture, of several the largest or first, and decode it. Raises BadImageError, OSError."""
    with path.open("rb") as file:
        if header := pfm.header_of(file):
            decoded.check(path, *header.size)
            return decoded.image_of(pfm.pixels_of(path, file, header))
        try:
            image = _opened(file)
        except Exception as error:  # of a broken header Pillow raises whatever its parsing meets
            if bmp_rare.header_of(file):
                return bmp_rare.load(path, file)
            raise BadImageError(f"{path}: expected a picture: {_reason(error)}") from error
        decoded.check(path, *image.size)
        try:
            pixels = _pixels(path, image, file)
        except LamnetError:
            raise
        except Exception as error:
            raise BadImageError(f"{path}: expected a whole picture: {_reason(error)}") from error
        return _described(decoded.image_of(pixels, cmyk=image.mode == "CMYK"), image, file)


def extras(path: Path) -> Extras:
    """Learn the size that the header claims, unless it is broken. Raises OSError."""
    with path.open("rb") as file:
        try:
            header = pfm.header_of(file)
            return Extras(size=header.size if header else _opened(file).size)
        except Exception:  # load says what is wrong
            rare = bmp_rare.header_of(file)
            return Extras(size=rare.size if rare else None)


def _opened(file: IO[bytes]) -> ImageFile:
    """Return Pillow's image of a file, in most formats its pixels not yet decoded."""
    start = file.read(32)
    file.seek(0)
    for reader in _READERS:
        if re.match(reader.signature, start, re.DOTALL):
            return reader.open(file)
    raise ValueError("unknown signature")


def _pixels(path: Path, image: ImageFile, file: IO[bytes]) -> NDArray[Any]:
    """Return (H, W, bands) in a depth of ours."""
    if isinstance(image, BmpImageFile):
        taken = bmp.decoded(path, image, file)
    elif isinstance(image, PpmImageFile):
        taken = _deep_colours(image, file)
    else:
        taken = image
    pixels = _numbers(path, taken) if isinstance(taken, Image.Image) else taken
    return np.ascontiguousarray(pixels if pixels.ndim == 3 else pixels[..., None])


def _numbers(path: Path, image: Image.Image) -> NDArray[Any]:
    """Return what an image of Pillow's holds, (H, W) or (H, W, bands)."""
    image.load()
    if image.mode == "P":
        return np.asarray(image.convert("RGBA")) if image.has_transparency_data else _coloured(image)
    if image.mode == "I":
        numbers = np.asarray(image)
        if numbers.min() >= 0 and numbers.max() <= 65535:
            return numbers.astype(np.uint16)
    mode = _BY_WAY_OF.get(image.mode, image.mode)
    if mode not in _DIRECT:
        raise BadImageError(f"{path}: expected grey, RGB or CMYK of 8 or 16 bits or float, found Pillow's {image.mode}")
    numbers = np.asarray(image if mode == image.mode else image.convert(mode))
    return numbers.astype(numbers.dtype.newbyteorder("="), copy=False)


def _coloured(image: Image.Image) -> NDArray[np.uint8]:
    """Return the colours of indices, one band where all the palette is grey; colours beyond its end are black."""
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    grey = bool((palette == palette[:, :1]).all())
    table = np.zeros((256, 1 if grey else 3), np.uint8)
    table[: len(palette)] = palette[:, : table.shape[1]]
    return table[np.asarray(image)]


def _deep_colours(image: PpmImageFile, file: IO[bytes]) -> NDArray[np.uint16] | Image.Image:
    """Return the 16 bits of a binary PPM, of which Pillow gives 8."""
    (tile,) = image.tile
    arguments: Any = tile.args
    if tile.codec_name != "ppm" or image.mode != "RGB" or (white := int(arguments[1])) < 256:
        return image
    file.seek(tile.offset)
    data = file.read(image.width * image.height * 6)
    numbers = np.frombuffer(data, ">u2").reshape(image.height, image.width, 3)
    return np.floor(numbers * (65535 / white) + 0.5).clip(max=65535).astype(np.uint16)


def _described(image: pyvips.Image, source: ImageFile, file: IO[bytes]) -> pyvips.Image:
    """Return the image with resolution, profile, EXIF and XMP."""
    found = {"icc-profile-data": "icc_profile", "exif-data": "exif", "xmp-data": "xmp"}
    blobs = {name: source.info[key] for name, key in found.items() if isinstance(source.info.get(key), bytes)}
    if isinstance(source, BmpImageFile):
        if profile := bmp.profile_of(file):
            blobs["icc-profile-data"] = profile
        xres, yres = bmp.resolution_of(source)
    else:
        across, down = source.info.get("dpi", (0, 0))
        xres, yres = (across / _INCH or 1.0, down / _INCH or 1.0)
    return with_blobs(image.copy(xres=xres, yres=yres), blobs)


def _reason(error: Exception) -> str:
    if KeyError in (type(error), type(error.__cause__)):  # by a table of Pillow's, of modes or compressions
        return "found a kind of it that is not read"
    return plain(" ".join(str(error).split()) or type(error).__name__)
