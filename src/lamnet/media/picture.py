"""An opened picture file, pixels not yet read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet.base.errors import BadImageError
from lamnet.media import vips
from lamnet.media.formats import Format

DTYPES = {"uchar": "uint8", "ushort": "uint16", "float": "float32", "double": "float32"}


@dataclass(frozen=True)
class Picture:
    """An opened file: its pages (frames, if `animated`), upright, 1 to 4 bands each, pixels not yet read.

    The numbers stay in the file's own colour space: a network trained on sRGB works on any gamma-coded RGB, and what a
    wider gamut holds survives. CMYK and Lab alone are converted, to sRGB.
    """

    path: Path
    format: Format
    pages: tuple[pyvips.Image, ...]
    animated: bool
    colours: tuple[int, int] | None = (
        None  # primaries and transfer characteristics by number, where no profile says them
    )

    @property
    def dtype(self) -> str:
        """Of the pixels: uint8, uint16 or float32; the deepest of all pages."""
        return max((dtype_of(page) for page in self.pages), key=["uint8", "uint16", "float32"].index)


def dtype_of(page: pyvips.Image) -> str:
    """Of a page's pixels: uint8, uint16 or float32."""
    return DTYPES[str(page.format)]


def read(picture: Picture, page: int, top: int, left: int, height: int, width: int) -> NDArray[Any]:
    """(height, width, bands) of a page. Raises BadImageError when the file is truncated or holds NaN or infinity."""
    with vips.named(picture.path, "expected a whole picture"):
        pixels = vips.pixels_of(picture.pages[page].crop(left, top, width, height))
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise BadImageError(f"{picture.path}: expected finite numbers, found NaN or infinity")
    return pixels
