"""PSNR and SSIM on Y, as papers on super-resolution report them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError

Convention = Literal["float", "matlab"]

# BT.601, limited range, as MATLAB's rgb2ycbcr documents them: Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255.
_Y_OF_RGB = np.array([65.481, 128.553, 24.966]) / 255
_PEAK = 255.0
_C1, _C2 = (0.01 * _PEAK) ** 2, (0.03 * _PEAK) ** 2
_BELL = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
_GAUSSIAN = _BELL / _BELL.sum()


def to_y(image: NDArray[Any], convention: Convention = "float") -> NDArray[np.float64]:
    """Make the plane that is measured, (H, W) in 0..255, from (H, W, 3) or grey (H, W, 1), uint8 or floating in 0..255.

    "float" (Python frameworks, most recent papers): Y unrounded, 16..235; a grey picture counts as RGB with equal channels.
    "matlab": Y rounded half up; a grey picture is measured on its own values.
    """
    if image.ndim != 3 or image.shape[2] not in (1, 3):
        raise BadArgumentError(f"image: expected (H, W, 3) or (H, W, 1), got {image.shape}")
    if convention not in ("float", "matlab"):
        raise BadArgumentError(f'convention: expected "float" or "matlab", got {convention!r}')
    values = image.astype(np.float64)
    if image.shape[2] == 1 and convention == "matlab":
        return values[..., 0]
    y = (values @ _Y_OF_RGB if image.shape[2] == 3 else values[..., 0] * _Y_OF_RGB.sum()) + 16
    return np.floor(y + 0.5) if convention == "matlab" else y


def psnr(first: NDArray[Any], second: NDArray[Any], border: int = 0) -> float:
    """Compute the peak signal-to-noise ratio in dB of two pictures or planes in 0..255; inf when they are equal.

    All values count alike, so RGB gives the PSNR of the mean error over the channels. `border` pixels are left out on each
    side.

    >>> black = np.zeros((4, 6, 3), np.uint8)
    >>> psnr(black, black + np.uint8(51))  # a fifth of the peak
    13.979400086720377
    >>> psnr(black, black)
    inf
    """
    first, second = _cropped(first, second, border, smallest=1)
    error = np.mean((first - second) ** 2)
    return float(10 * np.log10(_PEAK**2 / error)) if error else float("inf")


def ssim(first: NDArray[Any], second: NDArray[Any], border: int = 0) -> float:
    """Compute the structural similarity (Wang et al. 2004) of two pictures or planes in 0..255; over channels, the mean.

    The window is an 11x11 Gaussian of sigma 1.5, only where it fits (valid region); K1 = 0.01, K2 = 0.03, L = 255.

    >>> ramp = np.arange(0, 240, 20)[None, :, None] + np.zeros((12, 12, 3))
    >>> ssim(ramp, ramp), round(ssim(ramp, ramp[:, ::-1]), 3)
    (1.0, -0.921)
    """
    first, second = _cropped(first, second, border, smallest=len(_GAUSSIAN))
    mean1, mean2 = _blurred(first), _blurred(second)
    variance1 = _blurred(first * first) - mean1 * mean1
    variance2 = _blurred(second * second) - mean2 * mean2
    covariance = _blurred(first * second) - mean1 * mean2
    similarity = (2 * mean1 * mean2 + _C1) * (2 * covariance + _C2)
    similarity /= (mean1 * mean1 + mean2 * mean2 + _C1) * (variance1 + variance2 + _C2)
    return float(similarity.mean())


def _cropped(
    first: NDArray[Any], second: NDArray[Any], border: int, smallest: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if first.shape != second.shape or first.ndim not in (2, 3):
        raise BadArgumentError(
            f"pictures to compare: expected two (H, W) or (H, W, C), got {first.shape} and {second.shape}"
        )
    inside = (slice(border, first.shape[0] - border), slice(border, first.shape[1] - border))
    height, width = first.shape[0] - 2 * border, first.shape[1] - 2 * border
    if border < 0 or min(height, width) < smallest:
        raise BadArgumentError(
            f"border: expected at least 0 and {smallest} pixels left each way, got {border} for {first.shape}"
        )
    return first[inside].astype(np.float64), second[inside].astype(np.float64)


def _blurred(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    for axis in (0, 1):
        plane = sliding_window_view(plane, len(_GAUSSIAN), axis) @ _GAUSSIAN
    return plane
