"""IPTC records: bare in TIFF files, among Photoshop's resources in JPEG files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pyvips

from lamnet.media.blobs import blob, with_blobs

_PHOTOSHOP, _RESOURCE = b"Photoshop 3.0\0", 0x0404
# Resolution, quality, two thumbnails, the profile, EXIF twice, XMP and a digest of IPTC: they go other ways or are of the file.
_MADE_ANEW = frozenset({0x03ED, 0x0406, 0x0409, 0x040C, 0x040F, 0x0422, 0x0423, 0x0424, 0x0425})
_PATHS = frozenset({0x0401, *range(0x07D0, 0x0BB8)})
_NAMES = {0x0408: "guides", 0x040A: "the copyright flag", 0x040B: "an address", 0x041A: "slices", 0x03F0: "a caption"}


def iptc_of(image: Any) -> bytes | None:
    """Return the bare IPTC records of an image."""
    data = blob(image, "iptc-data")
    if data is None or not data.startswith(_PHOTOSHOP):
        return data
    return next((data[start:end] for number, start, end in _resources(data) if number == _RESOURCE), None)


def other_resources(segment: bytes) -> list[str]:
    """Name what a JPEG's segment of Photoshop's has besides IPTC records, and besides what is made anew of each picture."""
    numbers = [number for number, _, _ in _resources(segment)] if segment.startswith(_PHOTOSHOP) else []
    return [_words(number) for number in numbers if number != _RESOURCE and number not in _MADE_ANEW]


def _words(number: int) -> str:
    return "paths" if number in _PATHS else _NAMES.get(number, f"resource {number}")


def _resources(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (number, start, end) of each resource in a segment."""
    at = len(_PHOTOSHOP)
    while data[at : at + 4] == b"8BIM" and len(data) >= at + 12:
        number, name = int.from_bytes(data[at + 4 : at + 6], "big"), data[at + 6] // 2 * 2 + 2
        start = at + 6 + name + 4
        size = int.from_bytes(data[start - 4 : start], "big")
        yield number, start, start + size
        at = start + size + size % 2


def with_iptc(image: pyvips.Image, iptc: bytes) -> pyvips.Image:
    """Return the image with IPTC records as a JPEG has them, and none of Photoshop's other resources, such as thumbnails."""
    resource = b"8BIM" + struct.pack(">HHI", _RESOURCE, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    return with_blobs(image, {"iptc-data": _PHOTOSHOP + resource})
