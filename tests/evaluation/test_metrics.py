from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import color, metrics

from lamnet.base.errors import BadArgumentError
from lamnet.evaluation.metrics import psnr, ssim, to_y


def pair(shape: tuple[int, ...], seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two different but similar pictures."""
    rng = np.random.default_rng(seed)
    smooth = 127 + 90 * np.sin(np.arange(np.prod(shape)).reshape(shape) / 17) + rng.normal(0, 12, shape)
    noisy = smooth + rng.normal(0, 15, shape)
    return smooth.clip(0, 255).astype(np.uint8), noisy.clip(0, 255).astype(np.uint8)


def skimage_ssim(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    return metrics.structural_similarity(
        first, second, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )


@pytest.mark.parametrize("shape", [(40, 61, 3), (97, 33, 1), (19, 19, 3)])
@pytest.mark.parametrize("border", [0, 2, 4])
@pytest.mark.thorough
def test_y_metrics_agree_with_scikit_image(shape: tuple[int, ...], border: int) -> None:
    first, second = (to_y(picture) for picture in pair(shape))
    inside = np.s_[border : shape[0] - border, border : shape[1] - border]
    expected = metrics.peak_signal_noise_ratio(first[inside], second[inside], data_range=255)
    assert psnr(first, second, border) == pytest.approx(expected, abs=1e-9)
    assert ssim(first, second, border) == pytest.approx(skimage_ssim(first[inside], second[inside]), abs=1e-9)


@pytest.mark.thorough
def test_rgb_metrics_agree_with_scikit_image() -> None:
    first, second = pair((30, 41, 3))
    assert psnr(first, second) == pytest.approx(metrics.peak_signal_noise_ratio(first, second, data_range=255))
    channels = [skimage_ssim(first[..., c].astype(float), second[..., c].astype(float)) for c in range(3)]
    assert ssim(first, second) == pytest.approx(np.mean(channels), abs=1e-9)


@pytest.mark.parametrize(
    ("rgb", "y"),
    [
        ((0, 0, 0), 16),
        ((255, 255, 255), 235),
        ((255, 0, 0), 81.481),
        ((0, 255, 0), 144.553),
        ((0, 0, 255), 40.966),
    ],
)
def test_y_is_the_one_of_matlab(rgb: tuple[int, int, int], y: float) -> None:
    """The coefficients in MATLAB's documentation of rgb2ycbcr: 65.481, 128.553, 24.966 and the offset 16."""
    pixel = np.array(rgb, np.uint8).reshape(1, 1, 3)
    assert to_y(pixel).item() == pytest.approx(y, abs=1e-9)
    assert to_y(pixel, "matlab").item() == np.floor(y + 0.5)
    assert color.rgb2ycbcr(pixel)[..., 0].item() == pytest.approx(y, abs=1e-9)


def test_grey_counts_as_equal_channels_or_as_itself() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    np.testing.assert_allclose(to_y(grey), to_y(grey.repeat(3, 2)), atol=1e-9)
    np.testing.assert_array_equal(to_y(grey, "matlab"), grey[..., 0])


def test_equal_pictures() -> None:
    first, _ = pair((16, 16, 3))
    assert psnr(first, first) == float("inf")
    assert ssim(first, first) == pytest.approx(1)


def test_what_cannot_be_compared_is_refused() -> None:
    first = np.zeros((20, 20))
    with pytest.raises(BadArgumentError, match=r"\(20, 20\) and \(20, 19\)"):
        psnr(first, first[:, 1:])
    with pytest.raises(BadArgumentError, match="11 pixels left each way, got 5"):
        ssim(first, first, border=5)
    with pytest.raises(BadArgumentError, match="border"):
        psnr(first, first, border=-1)
    with pytest.raises(BadArgumentError, match=r"expected \(H, W, 3\)"):
        to_y(first)
    with pytest.raises(BadArgumentError, match="convention"):
        to_y(first[..., None], "octave")  # pyright: ignore[reportArgumentType]
