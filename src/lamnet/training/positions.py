"""The places of a set's pictures that patches are cut from, and the symmetries of the square that they are turned by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lamnet.base.errors import BadDataError
from lamnet.training.prepared import PreparedSet

TURNS = 8


class Positions:
    """All positions of patches in the pictures of a set, numbered one after the other.

    Args:
        data: the set.
        scale, patch: of LR patches, (patch, patch) pixels.
        unit: the HR pixels from one position to the next: `scale` where patches lie at whole pixels of LR, 1 anywhere.

    Attributes:
        sizes: (N, 2), heights and widths of the pictures in units.
        free: (N, 2), the rows and columns at which a patch can begin, 0 of a picture that holds none.
        ends: (N,), the number of positions in a picture and those before it.

    Raises BadDataError when the set has no picture that holds a patch.
    """

    def __init__(self, data: PreparedSet, scale: int, patch: int, unit: int) -> None:
        self.sizes = np.array([(photo.height, photo.width) for photo in data.photos], np.int64) // unit
        self.free: NDArray[np.int64] = np.maximum(self.sizes - patch * scale // unit + 1, 0)
        self.ends: NDArray[np.int64] = np.cumsum(self.free.prod(1))
        if self.count == 0:
            side, largest = patch * scale, int(self.sizes.min(1).max()) * unit // scale
            raise BadDataError(
                f"{data.folder}: expected a picture of at least {side}x{side} pixels for LR patches of "
                f"{patch}x{patch} at x{scale}, the largest allows {largest}x{largest}"
            )

    @property
    def count(self) -> int:
        """The number of positions."""
        return int(self.ends[-1])

    def at(self, position: int) -> tuple[int, int, int]:
        """Return picture, top and left of a position, in units."""
        index = int(np.searchsorted(self.ends, position, "right"))
        within = position - (int(self.ends[index - 1]) if index else 0)
        return index, *divmod(within, int(self.free[index, 1]))


def turned(patch: NDArray[np.uint8], turn: int) -> NDArray[np.uint8]:
    """Apply one of the 8 symmetries of the square to (S, S, 3): quarters of a turn, from 4 on mirrored afterwards."""
    quarters = np.rot90(patch, turn % 4)
    return quarters[:, ::-1] if turn >= 4 else quarters
