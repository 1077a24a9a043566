"""The memory that a process takes by default."""

from __future__ import annotations

from lamnet.base import memory

_MAX = 2_500_000_000  # more gains nothing, and machines with less would give other tiles


def free_on_processor(own: int) -> int:
    """Return the bytes that a process may use: its `own`, which it already has, and half of what is free, at most 2.5 GB."""
    found = memory.available()
    return _MAX if found is None else min(_MAX, own + found // 2)
