"""Values of options on the command line: sizes, memory, times."""

from __future__ import annotations

import re

from lamnet.base.errors import BadArgumentError
from lamnet.upscale.goal import Goal


def goal_of(scale: float | None, to: str | None) -> Goal | None:
    """Make the goal of `--scale` and `--to`, None for neither. Raises BadArgumentError for both, or a bad value."""
    if to is None:
        if scale is not None and not 1 <= scale <= 100:
            raise BadArgumentError(f"scale: expected a factor from 1 to 100, got {scale:g}")
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


def bytes_of(text: str, name: str = "memory") -> int:
    """Read the bytes of a size such as "2GB", "1.5 GiB" or "800M". Raises BadArgumentError, which says `name`, for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", text.strip().upper())
    if not found or not float(found[1]):
        raise BadArgumentError(f"{name}: expected a size such as 2GB or 800MB, got {text}")
    return int(float(found[1]) * (1024 if found[3] else 1000) ** " KMGT".index(found[2] or " "))


def seconds(budget: str, name: str = "budget") -> float:
    """Read the seconds of a time such as 90s, 25m or 1h30m. Raises BadArgumentError, with this `name`, for anything else."""
    found = re.fullmatch(r"(?=.)(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", budget)
    total = sum(int(part or 0) * unit for part, unit in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0
    if total == 0:
        raise BadArgumentError(f"{name}: expected a time such as 90s, 25m or 1h30m, got {budget}")
    return float(total)
