"""The rectangle of a picture that a figure shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadArgumentError


@dataclass(frozen=True)
class Region:
    """A rectangle in pixels of the HR picture, from its top left corner."""

    left: int
    top: int
    width: int
    height: int

    def check_inside(self, shape: tuple[int, ...]) -> None:
        """Check that the region is not empty and inside an (H, W, ...) picture. Raises BadArgumentError."""
        inside = self.left >= 0 and self.top >= 0 and self.width > 0 and self.height > 0
        if not inside or self.left + self.width > shape[1] or self.top + self.height > shape[0]:
            raise BadArgumentError(
                f"region: expected LEFT TOP WIDTH HEIGHT inside {shape[1]}x{shape[0]} pixels, "
                f"got {self.left} {self.top} {self.width} {self.height}"
            )

    def of(self, picture: NDArray[Any]) -> NDArray[Any]:
        """Crop an (H, W, ...) picture to the region (a view)."""
        return picture[self.top : self.top + self.height, self.left : self.left + self.width]


def most_different(planes: Sequence[NDArray[np.floating]], width: int, height: int) -> Region:
    """Find the region of this size where planes (H, W) of the same picture have the greatest variance between them."""
    variance: NDArray[np.float64] = np.var(np.stack(planes), axis=0, dtype=np.float64)
    sums = np.zeros((variance.shape[0] + 1, variance.shape[1] + 1))
    sums[1:, 1:] = variance.cumsum(0).cumsum(1)
    totals = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = np.unravel_index(int(totals.argmax()), totals.shape)
    return Region(int(left), int(top), width, height)
