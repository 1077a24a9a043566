"""Metadata in libvips images: blocks of bytes such as "exif-data" and "xmp-data", and single numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyvips

from lamnet.media.exif import corrected


def blob(image: Any, name: str) -> bytes | None:
    """Return a block of metadata by libvips' name, None where the image has none."""
    return image.get(name) if image.get_typeof(name) else None


def with_blobs(image: pyvips.Image, blobs: Mapping[str, bytes]) -> pyvips.Image:
    """Return the image with blocks of metadata, as if libvips had read them from the image's file; empty ones are none."""
    described = image.copy()
    for name, data in ((name, data) for name, data in blobs.items() if data):
        value: Any = data
        described.set_type(pyvips.GValue.blob_type, name, value)
    return described


def exif_of(image: Any) -> bytes | None:
    """Return the EXIF block as the file held it."""
    return blob(image, "exif-data")


def upright_exif(exif: bytes, size: tuple[int, int]) -> bytes | None:
    """Return an EXIF block of a picture that its decoder has turned upright, to this (width, height); None for a broken one."""
    made = corrected(exif, size, (1, 1), None, None)
    return made and b"Exif\0\0" + made


def xmp_of(image: Any) -> bytes | None:
    """Return the XMP packet."""
    return blob(image, "xmp-data")


def has_profile(image: Any) -> bool:
    """Tell whether the image has a colour profile."""
    return bool(image.get_typeof("icc-profile-data"))
