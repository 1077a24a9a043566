"""The memory that a process may take unasked."""

from __future__ import annotations

from lamnet.base import memory

_MOST = 2_500_000_000  # more gains nothing, and machines with less would differ


def free_on_processor(own: int) -> int:
    """Bytes that a process may use: its `own`, which it has already, and half of what it can still have, at most 2.5 GB."""
    found = memory.available()
    return _MOST if found is None else min(_MOST, own + found // 2)
