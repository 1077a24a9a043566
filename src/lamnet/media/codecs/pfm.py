"""PFM in colour, floats of which the bottom row comes first. Pillow reads it in grey alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadImageError

_HEADER = re.compile(rb"PF\s+(\d{1,9})\s+(\d{1,9})\s+(-?)[+.\deE-]{1,32}\s")
_LONGEST = 128  # bytes of a header


class Header(NamedTuple):
    """A header: (width, height), where the numbers begin, and the order of their bytes."""

    size: tuple[int, int]
    at: int
    order: str


def header_of(file: IO[bytes]) -> Header | None:
    """Read the header of a file in colour; None for any other file. The file stands at its start again."""
    file.seek(0)
    found = _HEADER.match(file.read(_LONGEST))
    file.seek(0)
    return Header((int(found[1]), int(found[2])), found.end(), "<" if found[3] else ">") if found else None


def pixels_of(path: Path, file: IO[bytes], header: Header) -> NDArray[np.float32]:
    """Read (H, W, 3), the top row first. Raises BadImageError for a file that is too short, or has no pixels."""
    width, height = header.size
    file.seek(header.at)
    data = file.read(width * height * 12)
    if not data or len(data) < width * height * 12:
        raise BadImageError(f"{path}: expected a whole picture, found its data broken off")
    pixels = np.frombuffer(data, f"{header.order}f4").reshape(height, width, 3)[::-1]
    return np.ascontiguousarray(pixels, np.float32)
