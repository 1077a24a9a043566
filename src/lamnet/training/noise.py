"""White noise for patches, in colour or in grey."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LUMA = np.array([0.299, 0.587, 0.114])  # BT.601


def gaussian(
    pixels: NDArray[np.uint8], deviation: float, grey: bool, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Add Gaussian noise of a standard deviation in 8-bit levels to (H, W, 3); "grey" adds the same to all channels."""
    height, width, channels = pixels.shape
    return pixels + generator.normal(0, deviation, (height, width, 1 if grey else channels))


def poisson(
    pixels: NDArray[np.uint8], deviation: float, grey: bool, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Add the noise of counted photons to (H, W, 3): its variance is proportional to the value.

    Args:
        deviation: standard deviation at white (255), in 8-bit levels, above 0.
        grey: noise of the luma, the same in all channels.
    """
    level = deviation**2 / 255  # of one photon
    clean = (pixels @ _LUMA)[..., None] if grey else pixels
    return pixels + (generator.poisson(clean / level) * level - clean)
