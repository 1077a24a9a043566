"""Segments of JPEG files that libvips does not see to: EXIF as it was, comments."""

from __future__ import annotations

import struct
from pathlib import Path

from lamnet.embed import insert

_MOST = 65_533  # bytes of a segment
_EXIF = b"Exif\0\0"
MOST_EXIF = _MOST - len(_EXIF)
MOST_XMP = _MOST - len(b"http://ns.adobe.com/xap/1.0/\0")
_APP0, _APP1, _COMMENT, _SCAN = 0xE0, 0xE1, 0xFE, 0xDA


def comments(path: Path) -> list[bytes]:
    """The texts of a file's comments. Raises OSError."""
    found: list[bytes] = []
    with path.open("rb") as file:
        file.seek(2)
        while len(start := file.read(4)) == 4 and start[0] == 0xFF and start[1] != _SCAN:
            if start[1] == 0xFF:  # padding
                file.seek(-3, 1)
                continue
            data = file.read(int.from_bytes(start[2:], "big") - 2) if start[2:] > b"\0\1" else b""
            if start[1] == _COMMENT:
                found.append(data)
    return found


def put(path: Path, exif: bytes | None, texts: list[bytes]) -> None:
    """An EXIF block of at most MOST_EXIF bytes, and comments, behind the JFIF header."""
    with path.open("rb") as file:
        start = file.read(6)
    at = 4 + int.from_bytes(start[4:6], "big") if start[3] == _APP0 else 2
    segments = ([_segment(_APP1, _EXIF + exif)] if exif else []) + [_segment(_COMMENT, text) for text in texts]
    insert(path, at, b"".join(segments))


def _segment(kind: int, data: bytes) -> bytes:
    return bytes([0xFF, kind]) + struct.pack(">H", len(data) + 2) + data
