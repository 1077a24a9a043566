"""The heap of the process: functions of the C library that manage it."""

from __future__ import annotations

import ctypes
import sys
from typing import Any


def c_function(name: str) -> Any:
    """Find a function of the C library by its name; None where it has no such function."""
    return None if sys.platform == "win32" else getattr(ctypes.CDLL(None), name, None)


def trim() -> None:
    """Give free memory between pieces in use back to the system, where the C library can."""
    if malloc_trim := c_function("malloc_trim"):
        malloc_trim(0)
