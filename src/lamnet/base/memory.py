"""The memory that is still free for a process, by the system and the container around it."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from lamnet.base import cgroups

_NO_LIMIT = 2**60  # bytes; cgroups of version 1 state about 2**63 where there is none
# Of cgroups 2 and 1: the limit, what is taken, and what of that the kernel gives back when asked.
_CGROUPS = (
    ("memory.max", "memory.current", r"^(?:in)?active_file (\d+)"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", r"^total_(?:in)?active_file (\d+)"),
)
_GIVEN_BACK = r"Pages (?:free|inactive|speculative|purgeable):\s+(\d+)\."  # in vm_stat's words


def available() -> int | None:
    """Return the bytes that a process can take before the system swaps; None where the system does not say."""
    with suppress(OSError, ValueError, AttributeError, subprocess.SubprocessError):
        if sys.platform == "win32":
            return _on_windows()
        if sys.platform == "darwin":
            command = ["/usr/bin/vm_stat"]
            return of_vm_stat(subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout)
    if (found := on_linux(Path("/"))) is not None:
        return found
    names = getattr(os, "sysconf_names", {})
    if "SC_AVPHYS_PAGES" in names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def on_linux(root: Path) -> int | None:
    """Return the smallest of MemAvailable, which counts what the page cache gives back, and what each cgroup leaves.

    Args:
        root: holds proc and sys.
    """
    found: list[int] = []
    with suppress(OSError):
        stated = re.search(r"^MemAvailable:\s+(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE)
        found += [int(stated[1]) * 1024] if stated else []
    for folder in cgroups.folders(root, "memory"):
        for limit, taken, given_back in _CGROUPS:
            with suppress(OSError, ValueError):  # the root has no limit, and "max" is no number
                allowed = int((folder / limit).read_text())
                back = sum(map(int, re.findall(given_back, (folder / "memory.stat").read_text(), re.MULTILINE)))
                if allowed < _NO_LIMIT:
                    found.append(max(0, allowed - int((folder / taken).read_text()) + back))
    return min(found, default=None)


def of_vm_stat(text: str) -> int:
    """Read the bytes that are free, or given back on demand, from macOS' vm_stat. Raises ValueError for other text."""
    page = re.search(r"page size of (\d+) bytes", text)
    pages = re.findall(_GIVEN_BACK, text)
    if not page or not pages:
        raise ValueError("unknown words of vm_stat")
    return int(page[1]) * sum(map(int, pages))


class _Status(ctypes.Structure):
    """Windows' MEMORYSTATUSEX."""

    _fields_ = (
        ("length", ctypes.c_uint32),
        ("load", ctypes.c_uint32),
        ("total", ctypes.c_uint64),
        ("available", ctypes.c_uint64),
        ("total_page", ctypes.c_uint64),
        ("page", ctypes.c_uint64),
        ("total_virtual", ctypes.c_uint64),
        ("virtual", ctypes.c_uint64),
        ("extended", ctypes.c_uint64),
    )


def _on_windows() -> int:
    status = _Status(ctypes.sizeof(_Status))
    kernel32 = getattr(ctypes, "windll").kernel32  # noqa: B009 - there on Windows alone
    if not kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        raise OSError("GlobalMemoryStatusEx failed")
    return min(status.available, status.page)
