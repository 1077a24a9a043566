"""JPEG files as the segments that they consist of (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
import struct
from collections.abc import Generator
from typing import Any

LIMIT = 65_533  # bytes of contents
END, SCAN, TABLES, COMMENT = 0xD9, 0xDA, 0xDB, 0xFE  # markers
_APP0, APP1, APP2, APP13 = 0xE0, 0xE1, 0xE2, 0xED
EXIF, XMP, MPF = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"MPF\0"  # what contents open with
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # headers that give the size
_WITHOUT_CONTENTS = (0x01, *range(0xD0, 0xD9))
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # that ends a scan's data
_OF_THE_CODING = (_APP0, 0xE8, 0xEB, 0xEC, 0xED, 0xEE)  # JFIF, SPIFF, JPEG XT and seals, Ducky, Photoshop, Adobe
_CARRIED_ELSEWHERE = (EXIF, XMP, b"ICC_PROFILE\0", MPF)
_STEPS = (  # for luma at quality 50: ITU-T T.81, table K.1, in any order, since they are added
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


def segments_of(data: Any) -> Generator[tuple[int, int, int]]:
    """Yield (marker, start, end) of each segment's contents, to the end of the picture; of a cut file no more than is there."""
    at = 2
    while data[at : at + 1] == b"\xff" and at + 1 < len(data):
        kind = data[at + 1]
        at += 1 if kind == 0xFF else 2
        if kind == END:
            yield kind, at, at
            return
        if kind == 0xFF or kind in _WITHOUT_CONTENTS:
            continue
        end = min(at + int.from_bytes(data[at : at + 2], "big"), len(data))
        yield kind, at + 2, end
        at = max(end, at + 2)
        if kind == SCAN:
            found = _MARKER.search(data, at)
            at = found.start() if found else len(data)


def size_of(data: Any) -> tuple[int, int] | None:
    """Return the (width, height) of a JPEG by its frame's header; None without one."""
    for kind, start, stop in segments_of(data):
        if kind in _FRAMES and stop - start > 5:
            height, width = struct.unpack(">HH", data[start + 1 : start + 5])
            return width, height
    return None


def quality_of(tables: bytes) -> int | None:
    """Return the quality that the steps for luma stand for, as libjpeg makes them; of other encoders one that is like it."""
    at = 0
    while at < len(tables):
        size, number = 1 + (tables[at] >> 4), tables[at] & 15
        steps = tables[at + 1 : at + 1 + 64 * size]
        if number == 0 and len(steps) == 64 * size:
            total = sum(steps if size == 1 else struct.unpack(">64H", steps))
            return min(range(1, 101), key=lambda quality: abs(_sum_of_steps(quality, 256**size - 1) - total))
        at += 1 + 64 * size
    return None


def _sum_of_steps(quality: int, most: int) -> int:
    """Add the steps for luma that libjpeg makes of a quality."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return sum(min(most, max(1, (step * scale + 50) // 100)) for step in _STEPS)


def is_attached(kind: int) -> bool:
    """Tell whether this is a segment of an application, and no part of the coding of the pixels."""
    return _APP0 <= kind < 0xF0 and kind not in _OF_THE_CODING


def is_carried(kind: int, contents: bytes) -> bool:
    """Tell whether a result takes this segment over as it is: comments, and what applications attached."""
    return kind == COMMENT or (is_attached(kind) and not contents.startswith(_CARRIED_ELSEWHERE))


def behind_header(start: bytes) -> int:
    """Return the place of the segment that follows the header, from the first six bytes of a file."""
    return 4 + int.from_bytes(start[4:6], "big") if start[3] == _APP0 else 2


def segment(kind: int, data: bytes) -> bytes:
    """Make the bytes of a segment, at most LIMIT of them data."""
    return bytes([0xFF, kind]) + struct.pack(">H", len(data) + 2) + data
