"""MATLAB's `imresize(..., 'bicubic')`: the degradation that super-resolution is defined by."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError

Border = Literal["edge", "mirror"]
Pixel = TypeVar("Pixel", bound=np.generic)

_PAD_MODES: dict[str, Literal["edge", "symmetric"]] = {"edge": "edge", "mirror": "symmetric"}
_MAX_PHASES = 256
# Far above the error of a float64 sum of 16-bit values, far below the distance of any other value to a half.
_TIE = 1e-9


def imresize(image: NDArray[Pixel], scale: float | Fraction, border: Border = "edge") -> NDArray[Pixel]:
    """Resize by MATLAB's antialiased bicubic (a = -0.5), rows first, then columns.

    Args:
        image: (H, W) or (H, W, C), uint8, uint16 or floating.
        scale: the factor, a ratio of whole numbers up to 256 such as 4 or 1 / 3.
        border: the pixels beyond the border. "edge" repeats the last pixel (the LR files of Set5, Set14, B100, ...);
            "mirror" reflects with the last pixel repeated (newer MATLAB, DIV2K's LR files).

    Returns:
        (ceil(H * scale), ceil(W * scale)[, C]) of the same type. Integers are rounded half up and clipped after each of
        the two passes, as MATLAB does; floating values are neither.

    Raises BadArgumentError for another border, shape, type or scale.

    >>> edge = np.array([[0, 0, 0, 0, 200, 200, 200, 200]], np.uint8)
    >>> imresize(edge, 1 / 2)
    array([[  0,  13, 187, 202]], dtype=uint8)
    """
    if border not in _PAD_MODES:
        raise BadArgumentError(f'border: expected "edge" or "mirror", got {border!r}')
    if image.ndim not in (2, 3) or 0 in image.shape or image.dtype.kind not in "uf":
        raise BadArgumentError(
            f"image: expected (H, W) or (H, W, C) of unsigned or floating numbers, got {image.shape} {image.dtype}"
        )
    rows = _resize_rows(image, _ratio(scale), border)
    columns = _resize_rows(rows.swapaxes(0, 1), _ratio(scale), border)
    return np.ascontiguousarray(columns.swapaxes(0, 1))


def crop_to_multiple(image: NDArray[Pixel], scale: int) -> NDArray[Pixel]:
    """Crop (H, W[, C]) at the right and the bottom to multiples of `scale`, for an LR image to be made from it (a view)."""
    height, width = image.shape[:2]
    return image[: height - height % scale, : width - width % scale]


def rounded(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Round values in 0..255 half up and clip them to 8 bits."""
    return np.floor(values + 0.5).clip(0, 255).astype(np.uint8)


def _ratio(scale: float | Fraction) -> Fraction:
    if not 1 / _MAX_PHASES <= scale <= _MAX_PHASES:
        raise BadArgumentError(f"scale: expected a factor from 1/{_MAX_PHASES} to {_MAX_PHASES}, got {scale}")
    return Fraction(scale).limit_denominator(_MAX_PHASES)


def _cubic(x: Fraction) -> Fraction:
    x = abs(x)
    if x <= 1:
        return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
    return -Fraction(1, 2) * x**3 + Fraction(5, 2) * x**2 - 4 * x + 2 if x < 2 else Fraction(0)


@lru_cache(maxsize=16)
def _phases(scale: Fraction) -> tuple[int, NDArray[np.float64]]:
    """Compute the weights of one period: (first, w) with out[p*m + r] = sum_t w[r, t] * in[q*m + first + t], scale = p/q.

    They are exact fractions, so that for powers of two the float64 sums of the resize are exact as well.
    """
    squeeze = min(scale, Fraction(1))
    centres = [(Fraction(2 * r + 1, 2) / scale) - Fraction(1, 2) for r in range(scale.numerator)]
    first = math.ceil(centres[0] - 2 / squeeze)
    last = math.floor(centres[-1] + 2 / squeeze)
    rows = [[_cubic(squeeze * (centre - tap)) for tap in range(first, last + 1)] for centre in centres]
    return first, np.array([[float(weight / sum(row)) for weight in row] for row in rows])


def _resize_rows(image: NDArray[Pixel], scale: Fraction, border: Border) -> NDArray[Pixel]:
    height = image.shape[0]
    new_height = math.ceil(height * scale)
    first, weights = _phases(scale)
    phases, taps = weights.shape
    step = scale.denominator
    periods = -(-new_height // phases)
    after = step * (periods - 1) + first + taps - height
    flat = np.ascontiguousarray(image).reshape(height, -1)
    padded = np.pad(flat, ((-first, max(after, 0)), (0, 0)), _PAD_MODES[border]).astype(np.float64)
    windows = np.lib.stride_tricks.as_strided(  # (periods, taps, W*C), overlapping views
        padded,
        (periods, taps, padded.shape[1]),
        (step * padded.strides[0], *padded.strides),
        writeable=False,
    )
    resized = np.matmul(weights, windows).reshape(-1, *image.shape[1:])[:new_height]
    return _as(resized, image.dtype)


def _as(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    if dtype.kind == "u":
        values = np.floor(values + (0.5 + _TIE)).clip(0, np.iinfo(dtype).max)
    return values.astype(dtype)
