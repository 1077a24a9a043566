"""BMP files that Pillow refuses: embedded PNG and JPEG, 24 bits in runs, colours in any bits such as 10-10-10-2."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet.base.errors import BadImageError
from lamnet.media.codecs import bmp, decoded

_FILE_HEADER, _INFO_HEADER, _OS2_HEADER = 14, 40, 64  # bytes
_MASKS_IN_HEADER, _ALPHA_IN_HEADER = 52, 56  # sizes of headers from which on they hold masks
_MASKS, _RUNS_OF_24_OR_JPEG, _PNG, _MASKS_AND_ALPHA = 3, 4, 5, 6  # codings
_RGB, _RGBA = 3, 4  # masks


@dataclass(frozen=True)
class Header:
    """The header of a BMP: `height` is negative where the first row is the upper one, `start` is where pixels begin."""

    header_size: int
    width: int
    height: int
    bits: int
    coding: int
    start: int
    masks: tuple[int, ...]

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.width, abs(self.height)


def header_of(file: IO[bytes]) -> Header | None:
    """Return the header of a file, None for none, or an older one that Pillow reads."""
    file.seek(0)
    data = file.read(_FILE_HEADER + _ALPHA_IN_HEADER)
    if data[:2] != b"BM" or len(data) < _FILE_HEADER + _INFO_HEADER:
        return None
    size, width, height, _, bits, coding = struct.unpack_from("<IiiHHI", data, _FILE_HEADER)
    alpha = coding == _MASKS_AND_ALPHA or size >= _ALPHA_IN_HEADER
    file.seek(_FILE_HEADER + _INFO_HEADER)
    masks = file.read(4 * (_RGBA if alpha else _RGB))
    if size < _INFO_HEADER or width < 1 or not height or len(masks) % 4:
        return None
    start = int.from_bytes(data[10:14], "little")
    return Header(size, width, height, bits, coding, start, struct.unpack(f"<{len(masks) // 4}I", masks))


def load(path: Path, file: IO[bytes]) -> pyvips.Image:
    """Decode a file that Pillow refuses. Raises BadImageError, pyvips.Error."""
    header = header_of(file)
    if header is None:
        raise BadImageError(f"{path}: expected a BMP, found one whose header makes no sense")
    decoded.check(path, *header.size)
    file.seek(header.start)
    if header.coding in (_RUNS_OF_24_OR_JPEG, _PNG) and header.bits == 0:
        kind = "png" if header.coding == _PNG else "jpeg"
        return pyvips.Operation.call(f"{kind}load_buffer", file.read(), fail_on="truncated")
    if header.coding == _RUNS_OF_24_OR_JPEG and header.bits == 24:
        try:
            return decoded.image_of(bmp.run_lengths(file.read(), header.size, bands=_RGB)[..., ::-1])
        except EOFError as error:
            raise BadImageError(f"{path}: expected a whole picture, found the end of its runs") from error
    if header.coding in (_MASKS, _MASKS_AND_ALPHA) and header.bits in (16, 32):
        return decoded.image_of(_masked(path, header, file))
    if header.header_size == _OS2_HEADER and header.coding == _MASKS:
        raise BadImageError(f"{path}: expected a BMP of pixels, runs or an embedded PNG or JPEG, found a fax's coding")
    raise BadImageError(
        f"{path}: expected a BMP of 1 to 32 bits in a known coding, found {header.bits} bits in coding {header.coding}"
    )


def _masked(path: Path, header: Header, file: IO[bytes]) -> NDArray[Any]:
    """Return (H, W, 3 or 4), of 16 bits where a colour has more than 8; an alpha that is the same everywhere is none."""
    (width, height), item = header.size, header.bits // 8
    stride = -(-width * item // 4) * 4
    data = file.read(stride * height)
    if len(data) < stride * height:
        raise BadImageError(f"{path}: expected a whole picture, found {len(data) // stride} of {height} rows")
    numbers = np.frombuffer(data, f"<u{item}").reshape(height, -1)[:, :width]
    most = max(_white(mask) for mask in header.masks)
    dtype = np.dtype(np.uint16 if most > 255 else np.uint8)
    bands = [_band(path, numbers, mask, dtype) for mask in header.masks]
    if len(bands) > _RGB and bands[_RGB].min() == bands[_RGB].max():
        bands = bands[:_RGB]
    return np.stack(bands, -1)[:: 1 if header.height < 0 else -1]


def _white(mask: int) -> int:
    """Return the largest number that the bits of a mask hold."""
    return mask // (mask & -mask) if mask else 0


def _band(path: Path, numbers: NDArray[Any], mask: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    white = _white(mask)
    if white & (white + 1):
        raise BadImageError(f"{path}: expected bits of a colour side by side, found them apart ({mask:#x})")
    if not mask:
        return np.zeros(numbers.shape, dtype)
    values = (numbers & np.uint32(mask)) // np.uint32(mask & -mask)
    return np.floor(values * (np.iinfo(dtype).max / white) + 0.5).astype(dtype)
