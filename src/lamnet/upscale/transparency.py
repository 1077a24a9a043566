"""Alpha: colours for pixels that are transparent, and the range within which an upscaled alpha stays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

REACH = 20  # pixels from a transparent one within which colours of visible ones are looked for
_NO_ALPHA = np.float32(1e-6)  # a mean of alpha up to here counts as none

Pixels = NDArray[np.float32]


def with_colours_spread(colour: Pixels, alpha: Pixels) -> Pixels:
    """Spread the colours of visible pixels into fully transparent ones, whose own nobody was meant to see."""
    hidden = alpha <= 0
    if not hidden.any():
        return colour
    filled = colour
    for reach in (REACH, 2):  # the nearest last, so that it wins
        near = _box_mean(alpha, reach)
        spread = _box_mean(colour * alpha, reach) / np.maximum(near, _NO_ALPHA)
        filled = np.where(hidden & (near > _NO_ALPHA), spread, filled)
    return filled


def within_neighbours(out: Pixels, alpha: Pixels, scale: int) -> Pixels:
    """Hold an upscaled alpha (3, sH, sW) within the range of each pixel of `alpha` (1, H, W) and its eight neighbours.

    What is opaque or empty all around stays exactly so.
    """
    low, high = (bound.repeat(scale, 1).repeat(scale, 2) for bound in (-_local_maximum(-alpha), _local_maximum(alpha)))
    return np.minimum(np.maximum(out, low), high)


def _box_mean(x: Pixels, reach: int) -> Pixels:
    """Mean of the square of `reach` pixels around each one of (C, H, W), with zeros beyond the edges."""
    for axis in (1, 2):
        x = _moving_sum(x, reach, axis) / np.float32(2 * reach + 1)
    return x


def _moving_sum(x: Pixels, reach: int, axis: int) -> Pixels:
    """Sum of the pixels from -reach to +reach along an axis, added in this order."""
    x = np.moveaxis(x, axis, 0)
    total, length = np.zeros_like(x), len(x)
    for offset in range(max(-reach, 1 - length), min(reach, length - 1) + 1):
        total[max(0, -offset) : length - max(0, offset)] += x[max(0, offset) : length - max(0, -offset)]
    return np.moveaxis(total, 0, axis)


def _local_maximum(x: Pixels) -> Pixels:
    """Maximum of each pixel of (C, H, W) and its eight neighbours."""
    x = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    x = np.maximum(np.maximum(x[:, :-2], x[:, 1:-1]), x[:, 2:])
    return np.maximum(np.maximum(x[:, :, :-2], x[:, :, 1:-1]), x[:, :, 2:])
