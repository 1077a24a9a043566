"""EXIF put into files that libvips has written without: JPEG and WebP."""

from __future__ import annotations

import struct
from pathlib import Path

MOST_IN_JPEG = 65_533 - len(b"Exif\0\0")  # bytes, of a segment
_BLOCK = 2**24
_ALPHA, _EXIF = 0x10, 0x08  # what a WebP's extended header says


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


def into_webp(path: Path, exif: bytes, size: tuple[int, int], alpha: bool) -> None:
    """An EXIF block at the end of a WebP of this (width, height), with the extended header that this wants."""
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.write(b"EXIF" + struct.pack("<L", len(exif)) + exif + b"\0" * (len(exif) % 2))
        file.seek(12)
        extended = file.read(4) == b"VP8X"
    if not extended:
        corner = b"".join((side - 1).to_bytes(3, "little") for side in size)
        insert(path, 12, b"VP8X" + struct.pack("<LL", 10, _ALPHA if alpha else 0) + corner)
    with path.open("r+b") as file:
        file.seek(20)
        flags = file.read(1)[0]
        file.seek(20)
        file.write(bytes([flags | _EXIF]))
        end = file.seek(0, 2)
        file.seek(4)
        file.write(struct.pack("<L", end - 8))
