"""The heap of the process, as far as the C library lets it be told what to do."""

from __future__ import annotations

import ctypes
import sys
from typing import Any


def of_c_library(name: str) -> Any:
    """A function of the C library, or None where it has none of that name."""
    return None if sys.platform == "win32" else getattr(ctypes.CDLL(None), name, None)


def trim() -> None:
    """Give back to the system what is free between pieces in use, as far as the C library can."""
    if malloc_trim := of_c_library("malloc_trim"):
        malloc_trim(0)
