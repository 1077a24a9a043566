"""Pictures made by code, and a network whose results show exactly what the files do around it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from lamnet import LAMNet


class Repeats(LAMNet):
    """Every pixel becomes scale x scale of the same: what the files do around the network shows exactly."""

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.config.scale, 2).repeat_interleave(self.config.scale, 3)


def gradient(bands: int, dtype: type = np.uint8, size: tuple[int, int] = (24, 36)) -> np.ndarray:
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    most = 1.0 if dtype == np.float32 else np.iinfo(dtype).max
    parts = [rows / size[0], columns / size[1], (rows + columns) / sum(size), 1 - rows / size[0] / 2][:bands]
    return (np.stack(parts, -1) * most).astype(dtype)


def doubled(pixels: np.ndarray) -> np.ndarray:
    """Repeat pixels (H, W, ...) as `Repeats` does at scale 2."""
    return pixels.repeat(2, 0).repeat(2, 1)
