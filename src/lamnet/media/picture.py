"""An opened picture file, pixels not yet read."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyvips
from numpy.typing import NDArray

from lamnet.media import vips
from lamnet.media.contract import Extras, Format
from lamnet.media.depths import DEPTHS, depth_of
from lamnet.media.extra_bands import ExtraBands


@dataclass(frozen=True)
class Picture:
    """An opened file: its pages (frames, if `animated`), upright, 1 to 4 bands each, pixels not yet read.

    The numbers stay in the file's own colour space: a network trained on sRGB works on any gamma-coded RGB, and what a
    wider gamut holds survives. CMYK and Lab alone are converted, to sRGB.

    Attributes:
        colours: primaries and transfer characteristics by number (ITU-T H.273), where no profile states them.
        orientation: of the first page in the file, 1 to 8 as in EXIF; the pages here have been turned by it.
        extras: what else was learned of the file, so that saving a result need not open it again.
        quality: asked of its result, 1 to 100; None is the format's own.
        notes: what of the file is not in the pages, a line each.
        extra_bands: what each page holds beside its colours and its alpha.
        hint: what a refusal of damaged pixels adds, empty for nothing.
    """

    path: Path
    format: Format
    pages: tuple[pyvips.Image, ...]
    animated: bool
    colours: tuple[int, int] | None = None
    orientation: int = 1
    extras: Extras = field(default_factory=Extras)
    quality: int | None = None
    notes: tuple[str, ...] = ()
    extra_bands: tuple[ExtraBands | None, ...] = ()
    hint: str = ""

    @property
    def dtype(self) -> str:
        """NumPy's name of the pixels' type: uint8, uint16 or float32; the deepest of all pages."""
        return max((depth_of(page) for page in self.pages), key=DEPTHS.index).dtype

    def extra_bands_of(self, page: int) -> ExtraBands | None:
        """Return what a page holds beside its colours and its alpha."""
        return self.extra_bands[page] if self.extra_bands else None

    def in_grey(self, page: int) -> Picture:
        """Return the extra bands of a page as a picture of so many grey pages, none where there are none."""
        extra = self.extra_bands_of(page)
        bands: Any = extra.image if extra else None
        pages = tuple(bands[number] for number in range(bands.bands)) if extra else ()
        return replace(self, pages=pages, extra_bands=())


def dtype_of(page: pyvips.Image) -> str:
    """Return NumPy's name of the type of a page's pixels: uint8, uint16 or float32."""
    return depth_of(page).dtype


def naming_damage(picture: Picture) -> AbstractContextManager[None]:
    """Turn errors of reading pixels into a BadImageError, which says what reads damaged files where anything does."""
    return vips.naming_errors(picture.path, f"expected a whole picture{picture.hint}")


def read(picture: Picture, page: int, top: int, left: int, height: int, width: int) -> NDArray[Any]:
    """Read a rectangle of a page, (height, width, bands).

    Raises BadImageError when the file is truncated.
    """
    with naming_damage(picture):
        return vips.pixels_of(picture.pages[page].crop(left, top, width, height))
