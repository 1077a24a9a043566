"""The size of result that a caller asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real

from lamnet.base.errors import BadArgumentError


@dataclass(frozen=True)
class Goal:
    """A factor, or limits to the width and the height of a result that keeps its shape; a missing side is free.

    Raises BadArgumentError for no factor and no side, both, a factor that is not above 0, or a side that is no whole number of
    pixels from 1 on.
    """

    factor: float | None = None
    width: int | None = None
    height: int | None = None

    def __post_init__(self) -> None:
        sides = [side for side in (self.width, self.height) if side is not None]
        if (self.factor is None) == (not sides):
            raise BadArgumentError(
                f"goal: expected a factor or a width and a height, got {'both' if sides else 'none'}"
            )
        if self.factor is not None and not (isinstance(self.factor, Real) and 0 < self.factor < math.inf):
            raise BadArgumentError(f"goal: expected a factor above 0, got {self.factor!r}")
        for side in sides:
            if not (isinstance(side, Integral) and side > 0):
                raise BadArgumentError(f"goal: expected sides in whole pixels, got {side!r}")

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Compute the (width, height) of the result of a picture of this size."""
        factor = self.factor_for(width, height)
        return max(1, round(width * factor)), max(1, round(height * factor))

    def factor_for(self, width: int, height: int) -> float:
        """Factor by which a picture of this size grows, along both sides."""
        if self.factor is not None:
            return self.factor
        sides = ((self.width, width), (self.height, height))
        return min(limit / side for limit, side in sides if limit is not None)

    def __str__(self) -> str:
        if self.factor is not None:
            return f"x{self.factor:g}"
        return f"{self.width or ''}x{self.height or ''}"
