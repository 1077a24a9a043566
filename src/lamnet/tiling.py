"""The plan for a picture of any size: whole where it fits in the memory allowed, overlapping tiles where it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamnet.errors import BadArgumentError
from lamnet.model import LAMNetConfig

OVERLAP = 32  # LR pixels that a tile sees beyond those it owns
TILES = (2048, 1024, 512, 256, 128, 64)  # fixed steps, so that the plan does not follow every byte of free memory


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    def grown(self, by: int, height: int, width: int) -> Box:
        """With `by` more pixels on each side, as far as a picture of (height, width) reaches."""
        top, left = max(0, self.top - by), max(0, self.left - by)
        bottom, right = min(height, self.top + self.height + by), min(width, self.left + self.width + by)
        return Box(top, left, bottom - top, right - left)


@dataclass(frozen=True)
class Raster:
    """Pixels that can be read box by box: an array, or a page of a file of any size.

    `read` gives (height, width, bands) of the dtype (uint8, uint16, float32); `low` and `high` are black and white.
    """

    height: int
    width: int
    bands: int
    dtype: np.dtype[Any]
    low: float
    high: float
    read: Callable[[Box], NDArray[Any]]


@dataclass(frozen=True)
class Plan:
    """How a picture of (height, width) goes through the network: parts of equal size that each see `overlap` more."""

    height: int
    width: int
    tile: int | None  # None: whole
    overlap: int = OVERLAP

    def rows(self) -> Iterator[list[Box]]:
        """The parts, row by row, left to right: they cover every pixel once."""
        tops, lefts = _cuts(self.height, self.tile), _cuts(self.width, self.tile)
        for top, height in tops:
            yield [Box(top, left, height, width) for left, width in lefts]

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return len(_cuts(self.height, self.tile)) * len(_cuts(self.width, self.tile))


def choose(config: LAMNetConfig, height: int, width: int, memory: int) -> Plan:
    """The largest parts whose run through the network stays within `memory` bytes.

    Raises BadArgumentError when not even the smallest tile does.
    """
    each = bytes_per_pixel(config)
    if height * width * each <= memory:
        return Plan(height, width, None)
    for tile in TILES:
        if (tile + 2 * OVERLAP) ** 2 * each <= memory:
            return Plan(height, width, tile)
    least = (TILES[-1] + 2 * OVERLAP) ** 2 * each
    raise BadArgumentError(
        f"memory: expected at least {least / 1e6:.0f} MB for this network, got {memory / 1e6:.0f} MB"
    )


def bytes_per_pixel(config: LAMNetConfig) -> int:
    """Peak memory of a float32 forward for each LR pixel, measured and rounded up; 16-bit precisions need less."""
    return 4 * (14 * config.channels + 9 * config.scale**2)


def _cuts(size: int, tile: int | None) -> list[tuple[int, int]]:
    """(start, length) of the fewest parts of at most `tile` pixels, as equal as can be."""
    count = 1 if tile is None else -(-size // tile)
    edges = [size * i // count for i in range(count + 1)]
    return [(a, b - a) for a, b in pairwise(edges)]
