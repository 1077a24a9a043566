"""Damaged pictures: what a JPEG or PNG whose file breaks off, or is spoilt within, still holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyvips

from lamnet.base.errors import BadImageError
from lamnet.media import vips
from lamnet.media.contract import Format

_LIBPNG_READS = 8192  # bytes at a time; where fewer are left it takes none of them
HINT = " (--damaged takes what there is)"  # behind what a refusal expected


def load(path: Path, format: Format) -> pyvips.Image:
    """Open what there is of a picture. Raises pyvips.Error where its header is broken, OSError."""
    if format.name == "png":
        vips.check_not_forked(path)
        return pyvips.Operation.call("pngload_buffer", path.read_bytes() + bytes(_LIBPNG_READS), fail_on="none")
    return vips.load(format.name, path, fail_on="none")


def loss(path: Path, strictly: Callable[[Path], pyvips.Image], image: pyvips.Image) -> str | None:
    """Return what is missing of a file that `load` has opened, in a line; None where it is whole. All of it is decoded.

    Raises BadImageError where there is nothing.

    Args:
        strictly: opens the file so that damage is an error.
    """
    found: Any = image
    try:
        whole: Any = strictly(path)
        whole.avg()
        return None
    except pyvips.Error:
        rows = _plain_rows(found)
        if rows == found.height:
            raise BadImageError(f"{path}: expected a part of a picture, found none of its rows") from None
        if rows:
            return f"its file is damaged: the last {rows:,} of {found.height:,} rows are missing, and filled in"
    return "its file is damaged: parts of the picture are coarse, wrong or filled in"


def _plain_rows(image: Any) -> int:
    """Return how many rows at the lower end are of one colour, as decoders leave those that they have nothing for."""
    last = image.getpoint(image.width - 1, image.height - 1)
    _, by_row = (image == last).bandand().project()
    plain = vips.pixels_of(by_row)[::-1, 0, 0] == 255 * image.width
    return len(plain) if plain.all() else int(plain.argmin())
