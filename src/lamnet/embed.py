"""Bytes put into files that libvips has written; EXIF into a JPEG."""

from __future__ import annotations

import struct
from pathlib import Path

MOST_IN_JPEG = 65_533 - len(b"Exif\0\0")  # bytes of EXIF, of a segment
MOST_XMP_IN_JPEG = 65_533 - len(b"http://ns.adobe.com/xap/1.0/\0")
_BLOCK = 2**24


def insert(path: Path, at: int, data: bytes) -> None:
    """Put bytes into a file, what follows behind them."""
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        while end > at:
            start = max(at, end - _BLOCK)
            file.seek(start)
            block = file.read(end - start)
            file.seek(start + len(data))
            file.write(block)
            end = start
        file.seek(at)
        file.write(data)


def into_jpeg(path: Path, exif: bytes) -> None:
    """An EXIF block of at most MOST_IN_JPEG bytes behind the JFIF header."""
    with path.open("rb") as file:
        start = file.read(6)
    at = 4 + int.from_bytes(start[4:6], "big") if start[2:4] == b"\xff\xe0" else 2
    segment = b"Exif\0\0" + exif
    insert(path, at, b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment)
