"""Tap geometry of focal separable attention: which pixels each tap of a window averages. Pure Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lamnet.base.errors import BadArgumentError


@dataclass(frozen=True)
class Window:
    """An ordered list of taps along one axis.

    Tap k averages the `lengths[k]` pixels `starts[k] .. starts[k] + lengths[k] - 1`, counted from the centre pixel.
    Raises BadArgumentError when the lists differ in length, are empty, hold anything but whole numbers, or a length
    below 1.
    """

    starts: tuple[int, ...]
    lengths: tuple[int, ...]

    def __post_init__(self) -> None:
        if not type(self.starts) is type(self.lengths) is tuple:
            raise BadArgumentError("window: expected starts and lengths as tuples of whole numbers")
        if not self.starts or len(self.starts) != len(self.lengths):
            raise BadArgumentError(
                f"window: expected as many starts as lengths, at least one; got {len(self.starts)} and {len(self.lengths)}"
            )
        if any(type(one) is not int for one in (*self.starts, *self.lengths)):
            raise BadArgumentError("window: expected whole numbers of pixels")
        if min(self.lengths) < 1:
            raise BadArgumentError(f"window: expected every length to be at least 1, got {list(self.lengths)}")

    @classmethod
    def focal(cls, taps: int, ends: Sequence[int], strides: Sequence[int]) -> Window:
        """Lay out the paper's window: `taps` (odd) taps, fine near the centre and coarse far away.

        Around the centre tap of length 1 each side has (taps-1)/2 taps, laid outwards without gaps: taps 1 .. ends[0]-1
        have length strides[0], taps ends[0] .. ends[1]-1 have strides[1], and so on. The last end must be taps//2 + 1.
        """
        if taps < 1 or taps % 2 == 0:
            raise BadArgumentError(f"window: expected an odd number of taps, got {taps}")
        if len(ends) != len(strides) or not ends or ends[-1] != taps // 2 + 1:
            raise BadArgumentError(
                f"window: expected one stride per end and a last end of {taps // 2 + 1}, got {list(ends)}, {list(strides)}"
            )
        side: list[tuple[int, int]] = []
        tap, pixel = 1, 1
        for end, stride in zip(ends, strides, strict=True):
            while tap < end:
                side.append((pixel, stride))
                tap, pixel = tap + 1, pixel + stride
        return cls.from_kernel_map([(-near, n) for near, n in reversed(side)] + [(0, 1)] + side)

    @classmethod
    def from_kernel_map(cls, rows: Sequence[Sequence[int]]) -> Window:
        """Make a window from the rows of a published `kernel_map`: [place of the tap's pixel nearest the centre, length]."""
        taps = [(int(near), int(length)) for near, length in rows]
        starts = tuple(near if near >= 0 else near - length + 1 for near, length in taps)
        return cls(starts, tuple(length for _, length in taps))

    @property
    def taps(self) -> int:
        """K, the number of taps."""
        return len(self.starts)

    @property
    def reach(self) -> int:
        """Distance in pixels from the centre to the farthest pixel covered, on the longer side."""
        ends = [start + length - 1 for start, length in zip(self.starts, self.lengths, strict=True)]
        return max(0, -min(self.starts), max(ends))

    @property
    def span(self) -> int:
        """S, the number of pixels that a symmetric window covers, the centre included."""
        return 2 * self.reach + 1


PAPER_WINDOW = Window.focal(13, ends=(4, 6, 7), strides=(1, 2, 4))
