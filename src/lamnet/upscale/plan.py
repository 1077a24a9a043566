"""The plan for a picture of any size: whole where it fits in the memory allowed, overlapping tiles where it does not.

This is arithmetic on pixels and bytes, without arrays and PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from lamnet.base.errors import BadArgumentError
from lamnet.core.config import EDGE, LAMNetConfig

OVERLAP = 32  # LR pixels that a tile sees beyond those it owns
TILES = (2048, 1024, 768, 512, 384, 256, 192, 128, 64)  # few steps: the plan does not follow every byte of free memory


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels."""

    top: int
    left: int
    height: int
    width: int

    def grown(self, by: int, height: int, width: int, edge: int = 0) -> Box:
        """Grow by `by` pixels on each side, but not beyond a picture of (height, width) with `edge` pixels around it."""
        top, left = max(-edge, self.top - by), max(-edge, self.left - by)
        bottom = min(height + edge, self.top + self.height + by)
        right = min(width + edge, self.left + self.width + by)
        return Box(top, left, bottom - top, right - left)

    def within(self, outer: Box, scale: int = 1) -> tuple[slice, slice]:
        """Slice this box out of the rows and columns of a larger one, whose pixels are enlarged `scale` times."""
        top, left = (self.top - outer.top) * scale, (self.left - outer.left) * scale
        return slice(top, top + self.height * scale), slice(left, left + self.width * scale)


@dataclass(frozen=True)
class Footprint:
    """Memory of a process besides that of the plan's parts.

    Attributes:
        base: bytes before its first picture.
        images: number of images of C channels that the network holds at once.
        held: bytes of other things, such as an encoder.
    """

    base: int
    images: int
    held: int = 0


@dataclass(frozen=True)
class Plan:
    """The way of a picture of (height, width) through the network.

    It goes whole when `tile` is None. Else it goes in parts of at most `tile` pixels a side that each see `overlap` pixels
    more: each part by itself or, when `exact`, layer by layer with the exchange means of the whole picture. `memory` is an
    estimate in bytes.
    """

    height: int
    width: int
    tile: int | None
    overlap: int
    exact: bool
    memory: int

    def rows(self) -> Iterator[list[Box]]:
        """Yield the parts, row by row, left to right: they cover every pixel once."""
        tops, lefts = _cuts(self.height, self.tile), _cuts(self.width, self.tile)
        for top, height in tops:
            yield [Box(top, left, height, width) for left, width in lefts]

    def boxes(self) -> Iterator[Box]:
        """Yield the same parts one by one."""
        for row in self.rows():
            yield from row

    def with_edge(self, box: Box) -> Box:
        """Grow a part by EDGE pixels beyond the picture on the sides where it touches its border."""
        top, left = box.top - EDGE * (box.top == 0), box.left - EDGE * (box.left == 0)
        bottom = box.top + box.height + EDGE * (box.top + box.height == self.height)
        right = box.left + box.width + EDGE * (box.left + box.width == self.width)
        return Box(top, left, bottom - top, right - left)

    def seen(self, box: Box) -> Box:
        """Grow a part to the box that the network sees for it, with EDGE pixels beyond the picture's borders."""
        return self.with_edge(box).grown(self.overlap, self.height, self.width, EDGE)

    @property
    def parts(self) -> int:
        """Number of parts."""
        return len(_cuts(self.height, self.tile)) * len(_cuts(self.width, self.tile))

    @property
    def pixels(self) -> int:
        """Number of pixels that go through the network; those that parts share count for each part."""
        return sum(seen.height * seen.width for seen in map(self.seen, self.boxes()))

    def __str__(self) -> str:
        if self.tile is None:
            return "whole"
        return f"{self.parts} tiles of up to {self.tile}" + (", exact, layer by layer" if self.exact else "")


def fixed(
    config: LAMNetConfig,
    height: int,
    width: int,
    tile: int | None,
    footprint: Footprint,
    exact: bool = False,
) -> Plan:
    """Plan tiles of at most `tile` pixels a side; a picture that fits into one goes whole, as does any without `tile`.

    Raises BadArgumentError for a tile below 1.
    """
    if tile is not None and tile < 1:
        raise BadArgumentError(f"tile: expected at least 1 pixel, got {tile}")
    if tile is None or (height <= tile and width <= tile):
        grown = height + 2 * EDGE, width + 2 * EDGE
        return Plan(height, width, None, 0, False, _memory(config, footprint, *grown, height, width))
    overlap = config.window.reach + 1 if exact else OVERLAP
    rows, columns = (min(size + 2 * EDGE, tile + 2 * overlap) for size in (height, width))
    return Plan(height, width, tile, overlap, exact, _memory(config, footprint, rows, columns, rows, width))


def choose(
    config: LAMNetConfig,
    height: int,
    width: int,
    memory: int,
    footprint: Footprint,
    exact: bool = False,
) -> Plan:
    """Plan the largest parts that keep the process within `memory` bytes.

    Raises BadArgumentError when not even the smallest tiles do.
    """
    plans = [fixed(config, height, width, tile, footprint, exact) for tile in (None, *TILES)]
    for plan in plans:
        if plan.memory <= memory:
            return plan
    raise BadArgumentError(
        f"memory: expected at least {math.ceil(plans[-1].memory / 1e6)} MB for this network and {width} x {height}, "
        f"got {int(memory / 1e6)} MB"
    )


def _memory(config: LAMNetConfig, footprint: Footprint, height: int, width: int, rows: int, row_width: int) -> int:
    """Estimate the bytes of a process that runs (height, width) at once and holds a band of the result.

    The factors were measured and rounded up.
    """
    network = 4 * (footprint.images * config.channels + 16 * config.scale**2) * height * width
    return footprint.base + footprint.held + network + 36 * config.scale**2 * rows * row_width


def _cuts(size: int, tile: int | None) -> list[tuple[int, int]]:
    """Cut a length into (start, length) of the fewest parts of at most `tile` pixels, as equal as can be."""
    count = 1 if tile is None else -(-size // tile)
    edges = [size * i // count for i in range(count + 1)]
    return [(a, b - a) for a, b in pairwise(edges)]
