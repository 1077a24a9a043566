"""The memory that a process can still have: MemAvailable, limits of containers, macOS."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamnet.base import memory
from support.systems import write

MEMINFO = "MemTotal: 32000000 kB\nMemFree: 8400000 kB\nMemAvailable:   21300000 kB\n"


def test_what_the_page_cache_gives_back_counts(tmp_path: Path) -> None:
    write(tmp_path, proc__meminfo=MEMINFO)
    assert memory.on_linux(tmp_path) == 21_300_000 * 1024


def test_no_words_no_number(tmp_path: Path) -> None:
    assert memory.on_linux(tmp_path) is None


@pytest.mark.parametrize("folder", ["sys__fs__cgroup", "sys__fs__cgroup__a", "sys__fs__cgroup__a__b"])
def test_a_limit_of_any_cgroup_around_counts(tmp_path: Path, folder: str) -> None:
    write(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="0::/a/b\n",
        **{
            f"{folder}__memory_DOT_max": "1000000000\n",
            f"{folder}__memory_DOT_current": "700000000\n",
            f"{folder}__memory_DOT_stat": "anon 1\ninactive_file 100000000\nactive_file 50000000\n",
        },
    )
    assert memory.on_linux(tmp_path) == 450_000_000


@pytest.mark.parametrize(("limit", "expected"), [("800000000", 300_000_000), (str(2**63 - 4096), 21_300_000 * 1024)])
def test_cgroups_of_version_1(tmp_path: Path, limit: str, expected: int) -> None:
    write(
        tmp_path,
        proc__meminfo=MEMINFO,
        proc__self__cgroup="5:cpu,memory:/docker/not-here\n1:name=systemd:/\n",
        sys__fs__cgroup__memory__memory_DOT_limit_in_bytes=limit,
        sys__fs__cgroup__memory__memory_DOT_usage_in_bytes="600000000",
        sys__fs__cgroup__memory__memory_DOT_stat="total_inactive_file 100000000\ninactive_file 7\n",
    )
    assert memory.on_linux(tmp_path) == expected


def test_a_cgroup_without_a_limit(tmp_path: Path) -> None:
    write(tmp_path, proc__meminfo=MEMINFO, sys__fs__cgroup__memory_DOT_max="max\n")
    assert memory.on_linux(tmp_path) == 21_300_000 * 1024


def test_words_of_macos() -> None:
    text = (
        "Mach Virtual Memory Statistics: (page size of 16384 bytes)\n"
        "Pages free:                               10.\nPages active:                            900.\n"
        "Pages inactive:                           20.\nPages speculative:                         3.\n"
        "Pages throttled:                           0.\nPages purgeable:                           4.\n"
    )
    assert memory.of_vm_stat(text) == 37 * 16384
    with pytest.raises(ValueError, match="unknown"):
        memory.of_vm_stat("nothing")


def test_this_machine_says_something() -> None:
    found = memory.available()
    assert found is None or found > 0
