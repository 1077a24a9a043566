"""BMP files as images of libvips, which has no loader for them: headers of all kinds; only run lengths are held in memory."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet.base.errors import BadImageError

_RAW, _RLE8, _RLE4, _MASKS, _ALPHA_MASKS = 0, 1, 2, 3, 6
_DEPTHS = {_RAW: (1, 2, 4, 8, 16, 24, 32), _RLE8: (8,), _RLE4: (4,), _MASKS: (16, 32), _ALPHA_MASKS: (16, 32)}
_DEFAULT_MASKS = {16: (0x7C00, 0x03E0, 0x001F, 0), 32: (0xFF0000, 0xFF00, 0xFF, 0)}
_BYTES = (0xFF, 0xFF00, 0xFF0000, 0xFF000000)
_MOST_HELD = 2**28  # pixels in run lengths
_EMBEDDED_PROFILE = 0x4D424544


@dataclass(frozen=True)
class _Header:
    width: int
    height: int
    upside_down: bool  # rows from bottom to top, as usual
    depth: int  # bits a pixel
    coding: int
    masks: tuple[int, ...]
    palette: NDArray[np.uint8]  # (colours, 3)
    pixels: int  # where they begin
    pixels_per_metre: tuple[int, int]
    profile: tuple[int, int]  # where it begins, its length

    @property
    def stride(self) -> int:
        """Bytes of a row."""
        return (self.width * self.depth + 31) // 32 * 4


def load(path: Path) -> pyvips.Image:
    """A BMP file upright, in grey, RGB or RGBA; pixels not yet read unless they are coded in run lengths.

    A fourth byte of which the header says nothing is alpha where it varies. Raises BadImageError, OSError, pyvips.Error.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        try:
            header = _header(file.read(2**16))
        except (struct.error, ValueError) as error:
            raise BadImageError(f"{path}: expected a picture: broken BMP header") from error
        file.seek(header.profile[0])
        profile: Any = file.read(header.profile[1])
    if header.coding in (_RLE8, _RLE4):
        if header.width * header.height > _MOST_HELD:
            raise BadImageError(f"{path}: expected at most {_MOST_HELD:,} pixels in run lengths")
        with path.open("rb") as file:
            file.seek(header.pixels)
            try:
                indices = pyvips.Image.new_from_array(_run_lengths(file.read(), header))
            except EOFError as error:
                raise BadImageError(f"{path}: expected a whole picture, found the end of its runs") from error
        image = _coloured(indices, header.palette)
    else:
        if header.pixels + header.stride * header.height > size:
            raise BadImageError(f"{path}: expected a whole picture, found {size:,} bytes of it")
        image = _decoded(path, header)
    if header.upside_down:
        image = image.flipver()
    across, down = header.pixels_per_metre
    image = image.copy(
        interpretation="srgb" if image.bands > 2 else "b-w",
        xres=across / 1000 if across > 0 else 1.0,
        yres=down / 1000 if down > 0 else 1.0,
    )
    if profile:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def _header(start: bytes) -> _Header:
    (pixels, size) = struct.unpack_from("<II", start, 10)
    if size == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", start, 18)
        coding, per_metre, colours, entry = _RAW, (0, 0), 0, 3
    else:
        width, height, _, depth, coding, _, *resolution, colours = struct.unpack_from("<iiHHIIiiI", start, 18)
        per_metre, entry = (resolution[0], resolution[1]), 4
    if width <= 0 or height == 0 or depth not in _DEPTHS.get(coding, ()):
        raise ValueError
    masks, after = _DEFAULT_MASKS.get(depth, (0, 0, 0, 0)), 14 + size
    if coding in (_MASKS, _ALPHA_MASKS):
        number = 4 if coding == _ALPHA_MASKS or size >= 56 else 3
        masks = (*struct.unpack_from(f"<{number}I", start, 54), 0)[:4]
        after += 4 * number if size == 40 else 0
    if depth in (16, 32) and not (all(masks[:3]) and (depth != 32 or set(masks) <= {0, *_BYTES})):
        raise ValueError
    palette = np.empty((0, 3), np.uint8)
    if depth <= 8:
        number = max(0, min(colours or 2**depth, 256, (pixels - after) // entry))
        entries = np.frombuffer(start, np.uint8, number * entry, after).reshape(number, entry)
        palette = entries[:, 2::-1]
    profile = (0, 0)
    if size >= 124 and struct.unpack_from("<I", start, 70) == (_EMBEDDED_PROFILE,):
        at, length = struct.unpack_from("<II", start, 126)
        profile = 14 + at, length
    return _Header(width, abs(height), height > 0, depth, coding, masks, palette, pixels, per_metre, profile)


def _decoded(path: Path, header: _Header) -> pyvips.Image:
    def raw(width: int, kind: str) -> pyvips.Image:
        name: Any = os.fsencode(path)
        return pyvips.Image.rawload(name, width, header.height, 1, offset=header.pixels, format=kind, revalidate=True)

    if header.depth <= 8:
        packed = raw(header.stride, "uchar")
        shifts = range(8 - header.depth, -1, -header.depth)
        indices = [(packed >> shift) & (2**header.depth - 1) for shift in shifts]
        unpacked = _joined(indices).bandunfold() if len(indices) > 1 else packed
        return _coloured(unpacked.crop(0, 0, header.width, header.height).cast("uchar"), header.palette)
    if header.depth == 16:
        words = raw(header.stride // 2, "ushort").crop(0, 0, header.width, header.height)
        bands = [_by_mask(words, mask) for mask in header.masks if mask]
        return _joined(bands)
    count = header.depth // 8
    stored = raw(header.stride, "uchar").crop(0, 0, header.width * count, header.height).bandfold(factor=count)
    if count == 3:
        return _joined([stored[2], stored[1], stored[0]])
    places = [_BYTES.index(mask) for mask in header.masks[:3]]
    colours = _joined([stored[place] for place in places])
    rest = stored[6 - sum(places)]
    alpha = header.masks[3] or (header.coding == _RAW and rest.min() != rest.max())
    return colours.bandjoin(rest) if alpha else colours


def _joined(bands: Sequence[Any]) -> pyvips.Image:
    return bands[0].bandjoin(list(bands[1:]))


def _coloured(indices: pyvips.Image, palette: NDArray[np.uint8]) -> pyvips.Image:
    """Grey where the palette is, else RGB; colours beyond its end are black."""
    grey = bool((palette == palette[:, :1]).all())
    table = np.zeros((1, 256, 1 if grey else 3), np.uint8)
    table[0, : len(palette)] = palette[:, : table.shape[2]]
    return indices.maplut(pyvips.Image.new_from_array(table))


def _by_mask(words: pyvips.Image, mask: int) -> pyvips.Image:
    """The bits of a mask, stretched to 0 to 255."""
    shift = (mask & -mask).bit_length() - 1
    return (((words & mask) >> shift) * (255 / (mask >> shift)) + 0.5).floor().cast("uchar")


def _run_lengths(data: bytes, header: _Header) -> NDArray[np.uint8]:
    """(H, W) of palette indices; what the runs leave out is 0. Raises EOFError when they end before the picture."""
    out = np.zeros((header.height, header.width), np.uint8)
    two = header.coding == _RLE4  # pixels a byte
    x = y = at = 0
    while y < header.height and (y, x) < (header.height - 1, header.width):
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
            length = -(-count // 2) if two else count
            codes = np.frombuffer(data[at : at + length] if literal else bytes([value]) * length, np.uint8)
            if len(codes) < length:
                raise EOFError
            at += length + length % 2 if literal else 0
            run = np.stack([codes >> 4, codes & 15], 1).ravel()[:count] if two else codes
            out[y, x : x + count] = run[: max(0, header.width - x)]
            x += count
    return out
