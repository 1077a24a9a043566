"""Geometric self-ensemble (x8): the mean over the eight symmetries of the square."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def self_ensemble(network: Callable[[Floats], Floats], pixels: Floats) -> Floats:
    """Average a network's outputs over the eight flips and rotations of (H, W, C), each turned back."""
    total: Floats | None = None
    for mirrored in (False, True):
        for quarter in range(4):
            turned = np.rot90(pixels[:, ::-1] if mirrored else pixels, quarter)
            back = np.rot90(network(turned), -quarter)
            back = back[:, ::-1] if mirrored else back
            total = back if total is None else total + back
    assert total is not None
    return total / np.float32(8)
