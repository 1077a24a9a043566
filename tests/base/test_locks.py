"""Folders that one process alone works in."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lamnet.base import locks
from lamnet.base.errors import BadDataError

_HOLD = """
import sys, time
from pathlib import Path
from lamnet.base import locks
with locks.exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def _taken_twice(folder: Path) -> None:
    with locks.exclusive(folder), locks.exclusive(folder):
        pass


def test_the_second_learns_who_is_first(tmp_path: Path) -> None:
    who = rf"run: .* in use by process {os.getpid()} on {re.escape(socket.gethostname())} since 20\d\d-\d\d-\d\d \d\d:"
    with pytest.raises(BadDataError, match=who) as caught:
        _taken_twice(tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_nothing_is_left_and_the_folder_stays_where_it_is_used(tmp_path: Path) -> None:
    with locks.exclusive(tmp_path / "a"):
        pass
    assert list(tmp_path.iterdir()) == []
    with locks.exclusive(tmp_path / "a"):
        (tmp_path / "a" / "file").touch()
    (tmp_path / "b").mkdir()
    with locks.exclusive(tmp_path / "b"):
        pass
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["a", "a/file", "b"]


def test_what_a_killed_process_leaves_is_taken_over(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", _HOLD, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(BadDataError, match=f"in use by process {process.pid} "), locks.exclusive(tmp_path):
        pass
    process.kill()
    process.communicate()
    assert (tmp_path / ".lock").exists()
    with locks.exclusive(tmp_path):
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.thorough
def test_of_many_at_once_one_works_at_a_time(tmp_path: Path) -> None:
    code = _HOLD.replace('print("held", flush=True)', "(Path(sys.argv[1]) / 'mark').mkdir()").replace(
        "time.sleep(60)", "time.sleep(0.05); (Path(sys.argv[1]) / 'mark').rmdir()"
    )
    several = [subprocess.Popen([sys.executable, "-c", code, tmp_path], stderr=subprocess.PIPE) for _ in range(6)]
    errors = [process.communicate()[1].decode() for process in several]
    assert all("FileExistsError" not in error for error in errors), errors
    assert any(process.returncode == 0 for process in several)
    assert all("in use by" in error for error, process in zip(errors, several, strict=True) if process.returncode)


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadDataError, match="file: cannot be written"), locks.exclusive(tmp_path / "file"):
        pass
