"""What a caller asks for in words: how large a result shall be, how much memory it may take."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lamnet.errors import BadArgumentError


@dataclass(frozen=True)
class Goal:
    """A factor, or the most that a result may have of width and height, its shape kept; a missing side is free."""

    factor: float | None = None
    width: int | None = None
    height: int | None = None

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the result of a picture of this size."""
        factor = self.factor_for(width, height)
        return max(1, round(width * factor)), max(1, round(height * factor))

    def factor_for(self, width: int, height: int) -> float:
        """How many times as wide and high the result is."""
        if self.factor is not None:
            return self.factor
        sides = ((self.width, width), (self.height, height))
        return min(most / own for most, own in sides if most is not None)

    def __str__(self) -> str:
        if self.factor is not None:
            return f"x{self.factor:g}"
        return f"{self.width or ''}x{self.height or ''}"


def goal_of(scale: float | None, to: str | None) -> Goal | None:
    """The goal of `--scale` and `--to`, None for neither. Raises BadArgumentError for both, or what is no size."""
    if to is None:
        if scale is not None and not 1 < scale <= 100:
            raise BadArgumentError(f"scale: expected a factor above 1 and at most 100, got {scale:g}")
        return None if scale is None else Goal(factor=scale)
    if scale is not None:
        raise BadArgumentError("to: expected it without scale, got both")
    found = re.fullmatch(r"(\d{0,6})x(\d{0,6})", to)
    if not found or not any(int(side or 0) for side in found.groups()):
        raise BadArgumentError(f"to: expected a size such as 3840x2160, 3840x or x2160, got {to}")
    width, height = (int(side) if side else None for side in found.groups())
    if 0 in (width, height):
        raise BadArgumentError(f"to: expected a size such as 3840x2160, 3840x or x2160, got {to}")
    return Goal(width=width, height=height)


def bytes_of(text: str) -> int:
    """ "2GB", "1.5 GiB", "800M" in bytes. Raises BadArgumentError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", text.strip().upper())
    if not found or not float(found[1]):
        raise BadArgumentError(f"memory: expected a size such as 2GB or 800MB, got {text}")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** " KMGT".index(found[2] or " "))
