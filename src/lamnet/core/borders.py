"""What lies beyond the borders of a picture, where the network would see black."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]


def continued(pixels: Pixels, above: int, below: int, before: int, behind: int) -> Pixels:
    """Continue planes (C, H, W) beyond their borders by so many pixels, as smoothly as slopes go on; also beyond black and white.

    Each pixel beyond is as far from the border's as the one that it mirrors, on the other side (odd reflection).
    """
    return np.pad(pixels, ((0, 0), (above, below), (before, behind)), "reflect", reflect_type="odd")
