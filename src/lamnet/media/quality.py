"""Damage of a picture, measured on its pixels alone: traces of JPEG, noise, a soft lens or an enlargement; and graphics.

All compare a picture with itself, so that they need no original.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BLOCK = 8  # of JPEG
SAMPLES = 3  # crops along each side of a large picture
SIDE = 160  # of a crop; a multiple of BLOCK
LEAST = 32  # pixels a side without which nothing can be measured

Pixels = NDArray[np.float32]

_NUMBERS = np.arange(BLOCK)
_COSINES: NDArray[np.float64] = np.cos(np.pi * (2 * _NUMBERS[None] + 1) * _NUMBERS[:, None] / (2 * BLOCK))
_NORMS: NDArray[np.float64] = np.sqrt(np.array([1] + [2] * (BLOCK - 1)) / BLOCK)
_DCT: Pixels = (_COSINES * _NORMS[:, None]).astype(np.float32)
_HALF, _QUARTER = np.array([0.5, 0.25], np.float32)[:, None]
_HIGH = _NUMBERS[:, None] + _NUMBERS[None] >= 5  # coefficients that JPEG rounds to zero first
ZERO, ZERO_IN_JPEG = 1.5, 4.0  # what rounding to 8 bits, and a good JPEG, leave of a coefficient that was zero
_ACTIVE = 40.0  # sum of a block's coefficients below which it would have zeros anyway
_IMMERKAER = np.sqrt(np.pi / 2) / 6
_CALMEST = 10  # per cent of blocks with the least detail, in which noise is measured
_EQUAL = 0.5  # share of neighbours that are equal, which they are not under noise
_RISE, _HIGHEST = 5, 97  # pixels that an edge may take; per cent of places that rise less
_LOW, _FINE = (  # coefficients of noise and picture, of noise mostly
    (_NUMBERS[:, None] + _NUMBERS >= 2) & (_NUMBERS[:, None] + _NUMBERS <= 4),
    _NUMBERS[:, None] + _NUMBERS >= 10,
)
_TEXTURE = 0.3  # fine by low coefficients of textures
_DARKEST, _LIGHTEST = 4, 251  # beyond which noise is cut off
_FEW = 32  # levels of luma in a crop of pixel art; damage leaves many more
_DETAIL = 1.0  # levels; with less at half the size there is nothing to be sharp
_STRONG = (
    4  # power of the mean of details: a lens shows in the strongest, smooth surfaces are no worse for being smooth
)


@dataclass(frozen=True)
class Measured:
    """Measures of a picture.

    Attributes:
        blocks: share of high coefficients that are zero on the best grid of 8x8 blocks, above that on other grids, 0 to 1.
        one_grid: how far the best grid is above the second best: a JPEG's one grid, not the smaller blocks of WebP.
        noise: standard deviation of noise that differs between channels, of 255.
        grain: standard deviation of noise in luma, of 255, above what texture would leave.
        fineness: the strongest details of single pixels by those of twice the size; None where there is too little of either.
        steepness: the largest step between two pixels by the rise over six, in the middle of the highest edges: 1 where
            they are drawn, about 0.5 in photographs.
        equal: share of neighbours that have the same luma: of the areas of graphics, and of what is cut off at black or white.
        few_levels: whether luma has only a few levels, as in pixel art and palettes of up to 32 colours, and more than one.
    """

    blocks: float = 0.0
    one_grid: float = 0.0
    noise: float = 0.0
    grain: float = 0.0
    fineness: float | None = None
    steepness: float = 0.5
    equal: float = 0.0
    few_levels: bool = False


def places(length: int) -> list[tuple[int, int]]:
    """(start, length) along a side of the crops to measure; all of a short side. Starts are on one grid of blocks."""
    if length <= SAMPLES * SIDE:
        return [(0, length)]
    return [((length - SIDE) * i // (SAMPLES - 1) // BLOCK * BLOCK, SIDE) for i in range(SAMPLES)]


def measure(crops: Sequence[Pixels], zero: float = ZERO) -> Measured | None:
    """Measure a picture by crops (h, w, 1 or 3) in 0..255, from `places`; None where they are too small.

    Coefficients below `zero` count as zero for its blocks. In a picture of few levels nothing else is measured: its own
    squares would look like blocks.

    Noise: Immerkaer, "Fast noise variance estimation", CVIU 1996, on the calmest blocks, of the differences between
    channels, which hold less of the picture. Grain is equal in all channels: it is told from texture by its spectrum.
    """
    crops = [crop for crop in crops if min(crop.shape[:2]) >= LEAST]
    if not crops:
        return None
    grey = all(crop.shape[2] == 1 or bool((crop == crop[..., :1]).all()) for crop in crops)
    luma = [_luma(crop) for crop in crops]
    levels = [len(np.unique(y)) for y in luma]
    if max(levels) <= _FEW:
        return Measured(few_levels=max(levels) > 1)
    equal = float(np.mean([(np.diff(y, axis=axis) == 0).mean() for y in luma for axis in (0, 1)]))
    noise = grain = 0.0
    if equal <= _EQUAL:
        grain = _grain(luma)
        if not grey:
            differences = ([(crop[..., i] - crop[..., 1]) / np.float32(2**0.5) for crop in crops] for i in (0, 2))
            noise = min(map(_noise, differences))
    return Measured(*_blocks(luma, zero), noise, grain, _fineness(luma), _steepness(luma), equal)


def _luma(crop: Pixels) -> Pixels:
    return crop[..., 0] if crop.shape[2] == 1 else crop[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)


def _blocks(crops: Sequence[Pixels], zero: float) -> tuple[float, float]:
    """The best grid's zeros above the median grid's, as a share of what is not zero, and above the second best's."""
    shares = np.sort([_zeros(crops, top, left, zero) for top in range(BLOCK) for left in range(BLOCK)])
    usual = float(np.median(shares))
    return float(shares[-1] - usual) / (1.02 - usual), float(shares[-1] - shares[-2])


def _zeros(crops: Sequence[Pixels], top: int, left: int, zero: float) -> float:
    """Share of zeros among the high coefficients of blocks that have other coefficients."""
    zeros = count = 0
    for crop in crops:
        coefficients = np.abs(_DCT @ _blocked(crop[top:, left:]) @ _DCT.T)
        active = coefficients.sum((2, 3)) - coefficients[..., 0, 0] > _ACTIVE
        high = coefficients[active][:, _HIGH]
        zeros, count = zeros + int((high < zero).sum()), count + high.size
    return zeros / count if count >= 10 * int(_HIGH.sum()) else 0.0


def _noise(planes: Sequence[Pixels]) -> float:
    parts: list[Pixels] = []
    for y in planes:
        rows = y[:-2] - 2 * y[1:-1] + y[2:]
        parts.append(_blocked(np.abs(rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:])).mean((2, 3)).ravel())
    return float(_IMMERKAER * np.percentile(np.concatenate(parts), _CALMEST))


def _grain(planes: Sequence[Pixels]) -> float:
    """Deviation of fine coefficients in the calmest blocks, above what texture has there by its lower coefficients."""
    blocks = np.concatenate([_blocked(y).reshape(-1, BLOCK, BLOCK) for y in planes])
    blocks = blocks[(blocks.min((1, 2)) > _DARKEST) & (blocks.max((1, 2)) < _LIGHTEST)]
    if not len(blocks):
        return 0.0
    power = np.square(_DCT @ blocks @ _DCT.T)
    low, fine = power[:, _LOW].mean(1), power[:, _FINE].mean(1)
    calm = low <= np.percentile(low, _CALMEST)
    return float(max(0.0, np.median(fine[calm]) - _TEXTURE**2 * np.median(low[calm])) ** 0.5)


def _fineness(crops: Sequence[Pixels]) -> float | None:
    fine, coarse = ([_diagonals(crop) for crop in some] for some in (crops, [_halved(crop) for crop in crops]))
    below = _power_mean(coarse)
    return _power_mean(fine) / below if below > _DETAIL else None


def _power_mean(parts: Sequence[Pixels]) -> float:
    return float((np.concatenate(parts).astype(np.float64) ** _STRONG).mean() ** (1 / _STRONG))


def _steepness(crops: Sequence[Pixels]) -> float:
    rises: list[Pixels] = []
    steps: list[Pixels] = []
    for y in [*crops, *(crop.T for crop in crops)]:
        step = np.abs(np.diff(y, axis=1))
        rises.append(np.abs(y[:, _RISE:] - y[:, :-_RISE]).ravel())
        steps.append(np.lib.stride_tricks.sliding_window_view(step, _RISE, axis=1).max(-1).ravel())
    rise, step = np.concatenate(rises), np.concatenate(steps)
    highest = rise >= max(1.0, float(np.percentile(rise, _HIGHEST)))
    return float(np.median(step[highest] / rise[highest])) if highest.any() else 0.5


def _diagonals(y: Pixels) -> Pixels:
    """The diagonal coefficients of a Haar transform."""
    y = y[: y.shape[0] // 2 * 2, : y.shape[1] // 2 * 2]
    return np.abs(y[::2, ::2] - y[1::2, ::2] - y[::2, 1::2] + y[1::2, 1::2]).ravel() * _HALF


def _halved(y: Pixels) -> Pixels:
    y = y[: y.shape[0] // 2 * 2, : y.shape[1] // 2 * 2]
    return (y[::2, ::2] + y[1::2, ::2] + y[::2, 1::2] + y[1::2, 1::2]) * _QUARTER


def _blocked(y: Pixels) -> Pixels:
    """The whole blocks of (h, w): (rows, columns, 8, 8)."""
    rows, columns = y.shape[0] // BLOCK, y.shape[1] // BLOCK
    cut = y[: rows * BLOCK, : columns * BLOCK]
    return cut.reshape(rows, BLOCK, columns, BLOCK).transpose(0, 2, 1, 3)
