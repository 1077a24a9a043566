"""Pixels of any depth and number of bands <-> the pictures in RGB that the network takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from lamnet import pictures
from lamnet.errors import BadArgumentError
from lamnet.pictures import Picture
from lamnet.tiling import Box

REACH = 20  # pixels from a transparent one within which colours of visible ones are looked for


@dataclass(frozen=True)
class Raster:
    """Pixels that can be read box by box: an array, or a page of a file of any size.

    `read` gives (height, width, bands) of the dtype (uint8, uint16, float32); `low` and `high` are black and white.
    """

    height: int
    width: int
    bands: int
    dtype: np.dtype[Any]
    low: float
    high: float
    read: Callable[[Box], NDArray[Any]]


def raster_of_array(pixels: NDArray[Any]) -> Raster:
    """(H, W, bands) as a raster. Raises BadArgumentError for another shape, dtype, NaN or infinity."""
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 2, 3, 4) or 0 in pixels.shape:
        raise BadArgumentError(f"array: expected (H, W) or (H, W, 1 to 4) with pixels, got shape {pixels.shape}")
    if pixels.dtype.name not in ("uint8", "uint16", "float32"):
        raise BadArgumentError(f"array: expected uint8, uint16 or float32, got {pixels.dtype}")
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if pixels.dtype != np.float32:
        low, high = 0.0, float(np.iinfo(pixels.dtype).max)
    elif np.isfinite(pixels).all():
        low, high = min(0.0, float(pixels.min())), max(1.0, float(pixels.max()))
    else:
        raise BadArgumentError("array: expected finite numbers, got NaN or infinity")
    if high - low > pictures.WIDEST:
        raise BadArgumentError(f"array: expected numbers at most {pictures.WIDEST:.3g} apart, got {low:g} to {high:g}")

    def read(box: Box) -> NDArray[Any]:
        return pixels[box.top : box.top + box.height, box.left : box.left + box.width]

    height, width, bands = pixels.shape
    return Raster(height, width, bands, pixels.dtype, low, high, read)


def raster_of_page(picture: Picture, number: int) -> Raster:
    """A page of a picture as a raster. Raises BadImageError for a truncated file."""
    page = picture.pages[number]
    low, high = pictures.value_range(picture, number)

    def read(box: Box) -> NDArray[Any]:
        return pictures.read(picture, number, box.top, box.left, box.height, box.width)

    return Raster(page.height, page.width, page.bands, np.dtype(pictures.dtype_of(page)), low, high, read)


def planes_at(raster: Raster, box: Box) -> list[Tensor]:
    """A box of a raster for the network: colour, and alpha where there is one, as `split` gives them.

    What a box holds does not depend on where it ends: hidden colours are looked for beyond its edges.
    """
    outer = box.grown(REACH, raster.height, raster.width) if raster.bands in (2, 4) else box
    top, left = box.top - outer.top, box.left - outer.left
    planes = split(raster.read(outer), raster.low, raster.high)
    return [plane[..., top : top + box.height, left : left + box.width] for plane in planes]


def split(pixels: NDArray[Any], low: float, high: float) -> list[Tensor]:
    """Colour, and alpha where there is one, as (1, 3, H, W) float32 in [0, 1] each; one band is repeated three times.

    Args:
        pixels: (H, W, bands): grey, grey and alpha, RGB, RGB and alpha.
        low, high: the numbers that stand for black and white.
    """
    wide = np.ascontiguousarray(np.moveaxis(pixels, 2, 0).astype(np.float32))
    planes = torch.from_numpy(wide)[None].sub_(low).div_(high - low)
    colours = 1 if pixels.shape[2] < 3 else 3
    colour, alpha = planes[:, :colours], planes[:, colours:]
    if not alpha.shape[1]:
        return [colour.expand(-1, 3, -1, -1)]
    return [_extended(colour, alpha).expand(-1, 3, -1, -1), alpha.expand(-1, 3, -1, -1)]


def join(planes: list[Tensor], bands: int, dtype: np.dtype[Any], low: float, high: float) -> NDArray[Any]:
    """Back from planes (1, 3, H, W) as `split` gives them to (H, W, bands); a repeated band is the mean of its three."""
    colour = planes[0] if bands >= 3 else planes[0].mean(1, keepdim=True)
    alphas = [plane.mean(1, keepdim=True) for plane in planes[1:]]
    whole = torch.cat([colour, *alphas], 1)[0].permute(1, 2, 0).clamp_(0, 1).mul_(high - low).add_(low)
    pixels = whole.contiguous().numpy()
    return pixels if dtype == np.float32 else np.floor(pixels + np.float32(0.5)).astype(dtype)


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
