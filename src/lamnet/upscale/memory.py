"""The memory that a process may take unasked."""

from __future__ import annotations

import os

_MOST = 2_500_000_000  # more gains nothing, and machines with less would differ


def free_on_processor() -> int:
    """Half of the bytes that are free in this machine now, at most 2.5 GB."""
    if "SC_AVPHYS_PAGES" not in getattr(os, "sysconf_names", {}):  # macOS and Windows do not say
        return _MOST
    return min(_MOST, os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
