"""IPTC records: bare in TIFF files, among Photoshop's resources in JPEG files."""

from __future__ import annotations

import struct
from typing import Any

import pyvips

from lamnet.media.blobs import blob, with_blobs

_PHOTOSHOP, _RESOURCE = b"Photoshop 3.0\0", 0x0404


def iptc_of(image: Any) -> bytes | None:
    """Return the bare IPTC records of an image."""
    data = blob(image, "iptc-data")
    if data is None or not data.startswith(_PHOTOSHOP):
        return data
    at = len(_PHOTOSHOP)
    while data[at : at + 4] == b"8BIM" and len(data) >= at + 12:
        number, name = int.from_bytes(data[at + 4 : at + 6], "big"), data[at + 6] // 2 * 2 + 2
        start = at + 6 + name + 4
        size = int.from_bytes(data[start - 4 : start], "big")
        if number == _RESOURCE:
            return data[start : start + size]
        at = start + size + size % 2
    return None


def with_iptc(image: pyvips.Image, iptc: bytes) -> pyvips.Image:
    """Return the image with IPTC records as a JPEG has them, and none of Photoshop's other resources, such as thumbnails."""
    resource = b"8BIM" + struct.pack(">HHI", _RESOURCE, 0, len(iptc)) + iptc + b"\0" * (len(iptc) % 2)
    return with_blobs(image, {"iptc-data": _PHOTOSHOP + resource})
