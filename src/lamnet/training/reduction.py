"""Blur and downscaling of a patch, as one matrix for its rows and one for its columns.

Blur, resizing, and resizing in two parts are all linear. Where they are separable, their product is one small matrix for each
axis, so that a patch always costs two matrix products.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Filter = Literal["bicubic", "bilinear", "box", "lanczos"]
FILTERS: tuple[Filter, ...] = ("bicubic", "bilinear", "box", "lanczos")

Matrix = NDArray[np.float32]

_SUPPORT = {"bicubic": 2.0, "bilinear": 1.0, "box": 0.5, "lanczos": 3.0}
_NEGLIGIBLE = 0.01  # share of a kernel's greatest singular value


@lru_cache(maxsize=256)
def resizing(filter: Filter, length: int, new: int) -> Matrix:
    """Return the (new, length) matrix that resizes an axis; the ends of the axis stay aligned.

    The filter is widened when the axis shrinks (antialiased), as MATLAB's imresize and Pillow's resize do. Weights that
    fall outside are dropped and the others normalised. "bicubic" has a = -0.5 (Keys 1981), "lanczos" three lobes, "box"
    is the mean over an area.
    """
    squeeze = min(new / length, 1.0)
    centres = (np.arange(new) + 0.5) * (length / new) - 0.5
    distances = np.abs(np.arange(length) - centres[:, None]) * squeeze
    weights = np.where(distances < _SUPPORT[filter] + 1e-9, _response(filter, distances), 0.0)
    matrix = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    matrix.flags.writeable = False
    return matrix


def _response(filter: Filter, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Evaluate a filter at distances of at least 0; beyond its support the values are meaningless."""
    if filter == "box":  # a pixel on the border of two boxes belongs half to each
        return np.where(np.isclose(x, 0.5), 0.5, 1.0)
    if filter == "bilinear":
        return 1 - x
    if filter == "bicubic":
        return np.where(x <= 1, 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2)
    return np.sinc(x) * np.sinc(x / 3)


def gaussian(first: float, second: float, angle: float) -> NDArray[np.float64]:
    """Return a Gaussian kernel (k, k), k odd, of sum 1.

    Args:
        first, second: standard deviations along its two axes, pixels, above 0.
        angle: of the first axis against the horizontal, radians.
    """
    reach = max(1, math.ceil(3 * max(first, second)))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    kernel = np.exp(-0.5 * ((along / first) ** 2 + (across / second) ** 2))
    return kernel / kernel.sum()


def reduce(hr: NDArray[np.uint8], kernel: NDArray[np.float64] | None, matrix: Matrix) -> Matrix:
    """Blur (S, S, 3) by a kernel (None: not at all), the border repeated, then resize each axis by a matrix (s, S).

    A kernel that is not separable is taken as a sum of a few that are, from its singular value decomposition.

    Returns:
        (s, s, 3) in 0..255 or, where a filter overshoots, somewhat outside.
    """
    values = np.ascontiguousarray(hr.transpose(2, 0, 1), np.float32)
    result = np.zeros((3, len(matrix), len(matrix)), np.float32)
    for rows, columns in _separable(kernel, matrix):
        result += rows @ values @ columns.T
    return np.ascontiguousarray(result.transpose(1, 2, 0))


def _separable(kernel: NDArray[np.float64] | None, matrix: Matrix) -> list[tuple[Matrix, Matrix]]:
    """Return pairs of matrices for rows and columns whose results add up to blur and resizing."""
    if kernel is None:
        return [(matrix, matrix)]
    left, strengths, right = np.linalg.svd(kernel)
    kept = np.flatnonzero(strengths > _NEGLIGIBLE * strengths[0])
    gain = sum(strengths[i] * left[:, i].sum() * right[i].sum() for i in kept)
    return [(_blurred(matrix, strengths[i] / gain * left[:, i]), _blurred(matrix, right[i])) for i in kept]


def _blurred(matrix: Matrix, taps: NDArray[np.float64]) -> Matrix:
    """Return the matrix that correlates with an odd number of taps, the border repeated, and then applies `matrix`."""
    reach, length = len(taps) // 2, matrix.shape[1]
    wide = np.zeros((len(matrix), length + 2 * reach), np.float32)
    for offset, tap in enumerate(taps.astype(np.float32)):
        wide[:, offset : offset + length] += tap * matrix
    result = wide[:, reach : reach + length].copy()
    result[:, 0] += wide[:, :reach].sum(1)
    result[:, -1] += wide[:, reach + length :].sum(1)
    return result
