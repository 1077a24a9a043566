"""Orientation: how a picture is to be turned, and turning it."""

from __future__ import annotations

from typing import Any

import pyvips

from lamnet.media import xmp
from lamnet.media.blobs import xmp_of

_TRANSPOSED_FROM = 5  # orientations that exchange width and height


def orientation_of(image: Any) -> int:
    """Return the orientation of a picture as loaded, 1 to 8 as in EXIF; XMP counts where nothing else states one."""
    return image.get("orientation") if image.get_typeof("orientation") else xmp.orientation_in(xmp_of(image) or b"")


def upright(image: pyvips.Image, stated: bool) -> pyvips.Image:
    """Return the image turned upright; by its XMP where no orientation is `stated` elsewhere."""
    if not stated and (turn := xmp.orientation_in(xmp_of(image) or b"")) > 1:
        image = image.copy()
        image.set_type(pyvips.GValue.gint_type, "orientation", turn)
    known: Any = image
    turned = image.autorot()
    transposed = known.get_typeof("orientation") and known.get("orientation") >= _TRANSPOSED_FROM
    return turned.copy(xres=image.yres, yres=image.xres) if transposed else turned
