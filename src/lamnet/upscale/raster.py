"""Pixels of any depth and number of bands <-> the planes in RGB that the network takes, all of them NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyvips
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError
from lamnet.core.borders import continued
from lamnet.core.config import EDGE
from lamnet.media import picture as picture_files
from lamnet.media.levels import Levels, levels_of
from lamnet.media.levels import levels as levels_of_page
from lamnet.media.picture import Picture, dtype_of
from lamnet.upscale.plan import Box
from lamnet.upscale.transparency import REACH, Pixels, with_colours_spread

_AT_ONCE = 2**20  # pixels read at a time to find a colour


@dataclass(frozen=True)
class ArrayRaster:
    """Pixels of an array (H, W, bands), whose numbers `levels` explains."""

    pixels: NDArray[Any]
    levels: Levels

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.pixels.shape[1]

    @property
    def bands(self) -> int:
        """Number of bands, 1 to 4."""
        return self.pixels.shape[2]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers: uint8, uint16 or float32."""
        return self.pixels.dtype

    @cached_property
    def grey(self) -> bool:
        """True for one colour band, or three that are equal."""
        return self.bands < 3 or _is_grey(self.pixels)

    def read(self, box: Box) -> NDArray[Any]:
        """Take a box, (height, width, bands)."""
        return self.pixels[box.top : box.top + box.height, box.left : box.left + box.width]


@dataclass(frozen=True)
class PageRaster:
    """Pixels of a page of a picture file, read box by box. Reading raises BadImageError for a truncated file."""

    picture: Picture
    number: int

    @cached_property
    def levels(self) -> Levels:
        """Numbers that stand for black, white and opaque."""
        return levels_of_page(self.picture, self.number)

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.picture.pages[self.number].height

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.picture.pages[self.number].width

    @property
    def bands(self) -> int:
        """Number of bands, 1 to 4."""
        return self.picture.pages[self.number].bands

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers: uint8, uint16 or float32."""
        return np.dtype(dtype_of(self.picture.pages[self.number]))

    @cached_property
    def grey(self) -> bool:
        """True for one colour band, or three that are equal; read as far as needed to know."""
        if self.bands < 3:
            return True
        rows = max(1, _AT_ONCE // self.width)
        strips = (Box(top, 0, min(rows, self.height - top), self.width) for top in range(0, self.height, rows))
        return all(_is_grey(self.read(strip)) for strip in strips)

    def read(self, box: Box) -> NDArray[Any]:
        """Read a box, (height, width, bands)."""
        return picture_files.read(self.picture, self.number, box.top, box.left, box.height, box.width)


Raster = ArrayRaster | PageRaster


@dataclass(frozen=True)
class Plane:
    """One of the pictures that a raster goes through the network as: 0 is its colours, 1 its alpha."""

    raster: Raster
    number: int

    def read(self, box: Box) -> Pixels:
        """Read a box, (1 or 3, height, width) in [0, 1]."""
        return planes_at(self.raster, box)[self.number]


def raster_of_array(pixels: NDArray[Any], white: float | None = None) -> ArrayRaster:
    """Check (H, W, bands) and find its levels, as `media.levels.levels_of` does unless `white` is given.

    Raises BadArgumentError for another shape, dtype, NaN or infinity.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        raise BadArgumentError(f"array: expected (H, W) or (H, W, 1 to 4) with pixels, got shape {pixels.shape}")
    if pixels.dtype.name not in ("uint8", "uint16", "float32"):
        raise BadArgumentError(f"array: expected uint8, uint16 or float32, got {pixels.dtype}")
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
        raise BadArgumentError("array: expected finite numbers, got NaN or infinity")
    try:
        levels = levels_of(pyvips.Image.new_from_array(pixels)) if white is None else Levels(0, white, white)
    except BadArgumentError as error:
        raise BadArgumentError(f"array: {error}") from error
    return ArrayRaster(pixels, levels)


def planes_of(raster: Raster) -> list[Plane]:
    """List the planes of a raster: its colours, and its alpha where it has one."""
    return [Plane(raster, number) for number in range(2 if has_alpha(raster) else 1)]


def has_alpha(raster: Raster) -> bool:
    """Tell whether the last band is an alpha."""
    return raster.bands in (2, 4)


def planes_at(raster: Raster, box: Box) -> list[Pixels]:
    """Read a box for the network: colours, (1 or 3, H, W), and alpha where there is one, (1, H, W), both in [0, 1].

    It may reach up to EDGE pixels beyond the picture, which is continued there, see `continued`. What a box holds does not
    depend on where it ends: colours to take the place of hidden ones are looked for beyond its edges.
    """
    inner = box.grown(0, raster.height, raster.width)
    reach = REACH if has_alpha(raster) or raster.levels.no_data else EDGE if inner != box else 0
    outer = inner.grown(reach, raster.height, raster.width)
    colour, alpha = _split(raster, outer)
    np.clip(colour, 0, 1, out=colour)
    if raster.levels.no_data:
        colour = with_colours_spread(colour, (~raster.levels.holes(raster.read(outer))[None]).astype(np.float32))
    planes = [colour] if alpha is None else [with_colours_spread(colour, alpha), alpha]
    planes = [_continued_to(plane, outer, box) for plane in planes]
    return [np.clip(plane, 0, 1, out=plane) for plane in planes]


def beyond_at(raster: Raster, box: Box) -> Pixels | None:
    """Excess of the visible colours of a box over black and white, (1 or 3, H, W); None where none of the raster go beyond."""
    if not raster.levels.beyond:
        return None
    outer = box.grown(0, raster.height, raster.width).grown(EDGE, raster.height, raster.width)
    colour, alpha = _split(raster, outer)
    rest = colour - colour.clip(0, 1)
    return _continued_to(rest if alpha is None else np.where(alpha > 0, rest, np.float32(0)), outer, box)


def join(planes: list[Pixels], beyond: Pixels | None, raster: Raster) -> NDArray[Any]:
    """Turn the network's planes (3, H, W) back into (H, W, bands); grey is the mean of its plane's three.

    `beyond`, of the same size, is what goes beyond black and white.
    """
    levels = raster.levels
    colour = (planes[0].mean(0, keepdims=True) if raster.grey else planes[0]).clip(0, 1)
    if beyond is not None:
        colour += beyond
    colour *= np.float32(levels.white - levels.black)
    colour += np.float32(levels.black)
    if raster.grey and raster.bands >= 3:
        colour = np.broadcast_to(colour, (3, *colour.shape[1:]))
    alphas = [plane.mean(0, keepdims=True).clip(0, 1) * np.float32(levels.opaque) for plane in planes[1:]]
    pixels = np.ascontiguousarray(np.moveaxis(np.concatenate([colour, *alphas]), 0, 2))
    return pixels if raster.dtype == np.float32 else np.floor(pixels + np.float32(0.5)).astype(raster.dtype)


def put_back(pixels: NDArray[Any], raster: Raster, box: Box, scale: int) -> NDArray[Any]:
    """Return the result of a box (scale*H, scale*W, bands) with what stands for no data as it was."""
    if not raster.levels.no_data:
        return pixels
    source = raster.read(box)
    holes, source = (one.repeat(scale, 0).repeat(scale, 1) for one in (raster.levels.holes(source), source))
    return np.where(holes[..., None], source, pixels)


def _split(raster: Raster, box: Box) -> tuple[Pixels, Pixels | None]:
    """Read the colours (1 or 3, H, W), black at 0 and white at 1, and the alpha (1, H, W)."""
    levels, colours = raster.levels, 1 if raster.bands < 3 else 3
    planes = np.ascontiguousarray(np.moveaxis(raster.read(box), 2, 0).astype(np.float32))
    if levels.no_data:
        planes[:, levels.holes(raster.read(box))] = np.float32(levels.black)
    # Scaled in place, so that the planes keep their strides: PyTorch's convolutions round by them.
    colour, alpha = planes[: 1 if raster.grey else 3], planes[colours:]
    colour -= np.float32(levels.black)
    colour /= np.float32(levels.white - levels.black)
    alpha /= np.float32(levels.opaque)
    return colour, alpha if len(alpha) else None


def _continued_to(plane: Pixels, outer: Box, box: Box) -> Pixels:
    """Cut a box out of the plane (C, H, W) of another one, and continue it where the box reaches beyond that, at borders of the picture."""
    above, before = max(0, outer.top - box.top), max(0, outer.left - box.left)
    below = max(0, box.top + box.height - outer.top - outer.height)
    behind = max(0, box.left + box.width - outer.left - outer.width)
    if above or below or before or behind:
        plane = continued(plane, above, below, before, behind)
    top, left = box.top - outer.top + above, box.left - outer.left + before
    return plane[:, top : top + box.height, left : left + box.width]


def _is_grey(pixels: NDArray[Any]) -> bool:
    """Tell whether the first three bands of (H, W, 3 or 4) are equal."""
    first = pixels[..., 0]
    return bool((first == pixels[..., 1]).all() and (first == pixels[..., 2]).all())
