"""The processors that a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lamnet.base import processors
from support.systems import write


@pytest.fixture(autouse=True)
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("200000 100000", 2), ("250000 100000", 3), ("5000 100000", 1), ("max 100000", 16), ("", 16)],
)
def test_a_quota_counts(tmp_path: Path, quota: str, expected: int) -> None:
    write(tmp_path, sys__fs__cgroup__cpu_DOT_max=quota)
    assert processors.available(tmp_path) == expected


def test_the_quota_of_a_cgroup_around_counts(tmp_path: Path) -> None:
    write(tmp_path, proc__self__cgroup="0::/a/b\n", sys__fs__cgroup__a__cpu_DOT_max="300000 100000")
    write(tmp_path, sys__fs__cgroup__a__b__cpu_DOT_max="800000 100000")
    assert processors.available(tmp_path) == 3


@pytest.mark.parametrize(("quota", "expected"), [("400000", 4), ("-1", 16)])
def test_cgroups_of_version_1(tmp_path: Path, quota: str, expected: int) -> None:
    write(
        tmp_path, sys__fs__cgroup__cpu__cpu_DOT_cfs_quota_us=quota, sys__fs__cgroup__cpu__cpu_DOT_cfs_period_us="100000"
    )
    assert processors.available(tmp_path) == expected


def test_without_cgroups_all_count(tmp_path: Path) -> None:
    assert processors.available(tmp_path) == 16
