"""BMP files where Pillow gives less than they hold: run lengths that leave rows out, 16 bits, alpha in unused bytes, profiles.

Seen in Pillow 13.0 (tests/libraries).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile

from lamnet.base.errors import BadImageError

_RAW, _RUNS_OF_8, _RUNS_OF_4 = 0, 1, 2  # codings
_EMBEDDED_PROFILE, _PROFILED_HEADER = 0x4D424544, 124
_INCHES_A_METRE = 39.3701  # in Pillow


def decoded(path: Path, image: BmpImageFile, file: IO[bytes]) -> NDArray[Any] | Image.Image:
    """Return (H, W, 3 or 4), or an image of Pillow's. Raises BadImageError when run lengths end early, or as Pillow does."""
    (tile,) = image.tile
    file.seek(14)
    behind = 14 + int.from_bytes(file.read(4), "little")
    if tile.offset < behind:
        raise BadImageError(
            f"{path}: expected pixels behind the header, at {behind} or later, found them at {tile.offset}"
        )
    coding = image.info["compression"]
    if coding in (_RUNS_OF_8, _RUNS_OF_4):
        file.seek(tile.offset)
        try:
            indices = run_lengths(file.read(), image.size, two=coding == _RUNS_OF_4)
            return _with_indices(image, indices[..., 0])
        except EOFError as error:
            raise BadImageError(f"{path}: expected a whole picture, found the end of its runs") from error
    arguments: Any = tile.args
    raw_mode, stride, direction = arguments
    if raw_mode in ("BGR;15", "BGR;16"):
        return _rounded(np.asarray(image), green=6 if raw_mode == "BGR;16" else 5)
    if raw_mode == "BGRX" and coding == _RAW:
        file.seek(tile.offset)
        rows = np.frombuffer(file.read(stride * image.height), np.uint8).reshape(image.height, image.width, 4)
        fourth = rows[::direction, :, 3:]
        if fourth.min() != fourth.max():
            return np.concatenate([np.asarray(image), fourth], -1)
    return image


def profile_of(file: IO[bytes]) -> bytes | None:
    """Return the embedded profile, where the header is of the kind that has one."""
    file.seek(0)
    start = file.read(14 + _PROFILED_HEADER)
    if len(start) < 14 + _PROFILED_HEADER or struct.unpack_from("<I", start, 14)[0] < _PROFILED_HEADER:
        return None
    if struct.unpack_from("<I", start, 70) != (_EMBEDDED_PROFILE,):
        return None
    at, length = struct.unpack_from("<II", start, 126)
    file.seek(14 + at)
    return file.read(length) or None


def resolution_of(image: BmpImageFile) -> tuple[float, float]:
    """Return pixels per millimetre; 1 where none is stated."""
    per_metre = [round(per_inch * _INCHES_A_METRE) for per_inch in image.info.get("dpi", (0, 0))]
    across, down = (number / 1000 if 0 < number < 2**31 else 1.0 for number in per_metre)
    return across, down


def _rounded(pixels: NDArray[np.uint8], green: int) -> NDArray[np.uint8]:
    """Return numbers of 5 bits, or so many of `green`, stretched to 255 and rounded, where Pillow has cut them off."""
    out = pixels.copy()
    for band, white in enumerate((31, 2**green - 1, 31)):
        table = np.arange(256, dtype=np.uint8)
        numbers = np.arange(white + 1)
        table[numbers * 255 // white] = np.floor(numbers * (255 / white) + 0.5)
        out[..., band] = table[pixels[..., band]]
    return out


def _with_indices(image: BmpImageFile, indices: NDArray[np.uint8]) -> Image.Image:
    """Return an image of these numbers, of the colours that the header gives them."""
    made = Image.fromarray(indices.clip(max=1) * np.uint8(255) if image.mode == "1" else indices)
    if image.mode == "P":
        assert image.palette is not None
        made.putpalette(image.palette.palette, image.palette.rawmode or "RGB")
    return made


def run_lengths(data: bytes, size: tuple[int, int], two: bool = False, bands: int = 1) -> NDArray[np.uint8]:
    """Return (H, W, bands) of bytes that are palette indices, `two` to a byte or one, or colours; 0 where runs leave them out.

    Raises EOFError when the data end early.
    """
    width, height = size
    out = np.zeros((height, width, bands), np.uint8)
    x = y = at = 0
    while y < height and (y, x) < (height - 1, width):
        if at + 1 >= len(data):
            raise EOFError
        count, value = data[at], data[at + 1]
        at += 2
        if count == 0 and value == 1:
            break
        if count == 0 and value == 0:
            x, y = 0, y + 1
        elif count == 0 and value == 2:
            if at + 1 >= len(data):
                raise EOFError
            x, y, at = x + data[at], y + data[at + 1], at + 2
        else:
            literal = count == 0
            count = value if literal else count
            length = -(-count // 2) if two else count * bands
            source = data[at : at + length] if literal else data[at - 1 : at - 1 + bands] * (length // bands)
            if len(source) < length:
                raise EOFError
            at += length + length % 2 if literal else bands - 1
            codes = np.frombuffer(source, np.uint8).reshape(-1, bands)
            run = np.concatenate([codes >> 4, codes & 15], 1).reshape(-1, 1)[:count] if two else codes
            out[y, x : x + count] = run[: max(0, width - x)]
            x += count
    return out[::-1]
