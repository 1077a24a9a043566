"""The size of result that a caller asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A factor, or limits to the width and the height of a result that keeps its shape; a missing side is free."""

    factor: float | None = None
    width: int | None = None
    height: int | None = None

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
