"""The processors that a process may use, by the system and the container around it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from lamnet.base import cgroups


def available(root: Path = Path("/")) -> int:
    """Return how many processors' time a process gets, at least 1: of those that it may run on, as many as its cgroups allow.

    Args:
        root: holds proc and sys.
    """
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in cgroups.folders(root, "cpu"):
        with suppress(OSError, ValueError, ZeroDivisionError):  # "max" is no number
            quota, period = map(int, (folder / "cpu.max").read_text().split())
            here = min(here, -(-quota // period))
        with suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
            here = min(here, -(-quota // period)) if quota > 0 else here  # -1 is none
    return max(here, 1)
