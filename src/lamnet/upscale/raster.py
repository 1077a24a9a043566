"""Pixels of any depth and number of bands <-> the pictures in RGB that the network takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyvips
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lamnet.base.errors import BadArgumentError
from lamnet.media import picture as pictures_
from lamnet.media.levels import Levels, levels_of
from lamnet.media.levels import levels as levels_of_page
from lamnet.media.picture import Picture, dtype_of
from lamnet.upscale.plan import Box

REACH = 20  # pixels from a transparent one within which colours of visible ones are looked for


@dataclass(frozen=True)
class Raster:
    """Pixels that can be read box by box: an array, or a page of a file of any size.

    `read` gives (height, width, bands) of the dtype (uint8, uint16, float32).
    """

    height: int
    width: int
    bands: int
    dtype: np.dtype[Any]
    levels: Levels
    read: Callable[[Box], NDArray[Any]]


def raster_of_array(pixels: NDArray[Any], white: float | None = None) -> Raster:
    """(H, W, bands) as a raster, its numbers as in `pictures.levels_of` unless it is said what is white.

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

    def read(box: Box) -> NDArray[Any]:
        return pixels[box.top : box.top + box.height, box.left : box.left + box.width]

    height, width, bands = pixels.shape
    return Raster(height, width, bands, pixels.dtype, levels, read)


def raster_of_page(picture: Picture, number: int) -> Raster:
    """A page of a picture as a raster. Raises BadImageError for a truncated file."""
    page = picture.pages[number]
    levels = levels_of_page(picture, number)

    def read(box: Box) -> NDArray[Any]:
        return pictures_.read(picture, number, box.top, box.left, box.height, box.width)

    return Raster(page.height, page.width, page.bands, np.dtype(dtype_of(page)), levels, read)


def planes_at(raster: Raster, box: Box) -> list[Tensor]:
    """A box of a raster for the network: colour, and alpha where there is one, (1, 3, H, W) float32 in [0, 1] each.

    One band is repeated three times. What a box holds does not depend on where it ends: hidden colours are looked for
    beyond its edges.
    """
    outer = box.grown(REACH, raster.height, raster.width) if raster.bands in (2, 4) else box
    top, left = box.top - outer.top, box.left - outer.left
    colour, alpha = _split(raster, outer)
    colour = colour.clamp_(0, 1)
    planes = [colour] if alpha is None else [_extended(colour, alpha), alpha]
    return [plane[..., top : top + box.height, left : left + box.width].expand(-1, 3, -1, -1) for plane in planes]


def beyond_at(raster: Raster, box: Box) -> Tensor | None:
    """By how much the visible colours of a box go beyond black and white, (1, 1 or 3, H, W), where any of a raster do."""
    if not raster.levels.beyond:
        return None
    colour, alpha = _split(raster, box)
    rest = colour - colour.clamp(0, 1)
    return rest if alpha is None else torch.where(alpha > 0, rest, 0)


def _split(raster: Raster, box: Box) -> tuple[Tensor, Tensor | None]:
    """Colour (1, 1 or 3, H, W), black at 0 and white at 1, and alpha (1, 1, H, W)."""
    levels, colours = raster.levels, 1 if raster.bands < 3 else 3
    wide = np.ascontiguousarray(np.moveaxis(raster.read(box), 2, 0).astype(np.float32))
    planes = torch.from_numpy(wide)[None]
    colour = planes[:, :colours].sub_(levels.black).div_(levels.white - levels.black)
    return colour, planes[:, colours:].div_(levels.opaque) if raster.bands > colours else None


def join(planes: list[Tensor], beyond: Tensor | None, raster: Raster) -> NDArray[Any]:
    """Back from planes (1, 3, H, W) as `planes_at` gives them to (H, W, bands); a repeated band is the mean of its three.

    `beyond`, of the same size, is what goes beyond black and white.
    """
    levels = raster.levels
    colour = (planes[0] if raster.bands >= 3 else planes[0].mean(1, keepdim=True)).clamp(0, 1)
    colour = (colour if beyond is None else colour + beyond).mul_(levels.white - levels.black).add_(levels.black)
    alphas = [plane.mean(1, keepdim=True).clamp_(0, 1).mul_(levels.opaque) for plane in planes[1:]]
    pixels = torch.cat([colour, *alphas], 1)[0].permute(1, 2, 0).contiguous().numpy()
    return pixels if raster.dtype == np.float32 else np.floor(pixels + np.float32(0.5)).astype(raster.dtype)


def within_neighbours(out: Tensor, alpha: Tensor, scale: int) -> Tensor:
    """An upscaled alpha (1, 3, sH, sW) held between the least and the most of each LR pixel and its eight neighbours.

    What is opaque or empty all around stays exactly so.
    """
    most = F.max_pool2d(alpha, 3, 1, 1)
    least = -F.max_pool2d(-alpha, 3, 1, 1)
    low, high = (F.interpolate(bound, scale_factor=scale, mode="nearest") for bound in (least, most))
    return torch.minimum(torch.maximum(out, low), high)


def _extended(colour: Tensor, alpha: Tensor) -> Tensor:
    """Colours with those of visible pixels spread into fully transparent ones, whose own nobody was meant to see."""
    hidden = alpha <= 0
    if not hidden.any():
        return colour
    filled = colour
    for reach in (REACH, 2):  # the nearest last, so that it wins
        near = _box_mean(alpha, reach)
        spread = _box_mean(colour * alpha, reach) / near.clamp_min(1e-6)
        filled = torch.where(hidden & (near > 1e-6), spread, filled)
    return filled


def _box_mean(x: Tensor, reach: int) -> Tensor:
    side = 2 * reach + 1
    rows = F.avg_pool2d(x, (side, 1), 1, (reach, 0))
    return F.avg_pool2d(rows, (1, side), 1, (0, reach))
