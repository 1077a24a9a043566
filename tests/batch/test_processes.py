"""`lamnet upscale` as a process: signals, full disks, other processes, readers that leave."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lamnet import Upscaler
from lamnet.base import locks
from lamnet.media import arrays
from lamnet.network import weights
from support.commands import Start


@pytest.mark.thorough
def test_ctrl_c_leaves_no_part_of_a_result(start: Start, folder: Path) -> None:
    arrays.write_array(folder / "large.png", np.zeros((2000, 3000, 3), np.uint8))
    listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    process = start(folder / "large.png", "--tile", "64", before=listen)
    while not [path for path in folder.iterdir() if path.name.endswith(".partial") and path.stat().st_size]:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert not [path for path in folder.iterdir() if "large" in path.name and path.name != "large.png"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="other systems count memory in other units")
@pytest.mark.parametrize(("size", "scale", "tile"), [("tiny", 2, 384), ("base", 4, 160)])
def test_a_process_stays_within_its_plan(start: Start, folder: Path, size: str, scale: int, tile: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (5 * tile, 6 * tile, 3), np.uint8)
    arrays.write_array(folder / "large.png", noise)
    plan = Upscaler(weights.load(size, scale), tile=tile).plan(*noise.shape[:2])
    process = start(folder / "large.png", "--model", size, "--scale", str(scale), "--tile", str(tile))
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert 1024 * usage.ru_maxrss <= plan.memory


@pytest.mark.thorough
def test_a_disk_that_fills_up_is_one_line(start: Start, folder: Path) -> None:
    arrays.write_array(folder / "large.png", np.zeros((200, 200, 3), np.uint8))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))"
    process = start(folder / "large.png", folder / "good.png", before=limit)
    out, err = process.communicate()
    assert process.returncode == 1
    assert out.splitlines() == [str(folder / "good_x4.png")]
    [line] = err.splitlines()
    assert "large_x4.png: cannot be written" in line
    assert not [path for path in folder.iterdir() if "partial" in path.name or path.name == "large_x4.png"]


@pytest.mark.thorough
def test_two_calls_at_once_do_nothing_twice(start: Start, folder: Path) -> None:
    target = folder / "out" / "good_x4.png"
    target.parent.mkdir()
    with locks.in_turn(target):
        other = start(folder, "-o", folder / "out")
        while not (folder / "out" / "good_x4.jpg").exists():
            assert other.poll() is None
            time.sleep(0.05)
        target.write_text("ours")
    _, err = other.communicate()
    assert target.read_text() == "ours"
    assert f"lamnet: {target}: was there already and is kept; --overwrite replaces it" in err.splitlines()
    assert sorted(path.name for path in target.parent.iterdir()) == ["good_x4.jpg", "good_x4.png"]


@pytest.mark.thorough
def test_readers_that_leave_end_nothing(start: Start, folder: Path) -> None:
    process = start(folder / "good.png", folder / "text.png", folder / "good.jpg")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == f"{folder / 'good_x4.png'}\n"
    process.stdout.close()
    process.stderr.close()
    assert process.wait() == 1
    assert arrays.read_array(folder / "good_x4.jpg").shape == (80, 120, 3)


@pytest.mark.thorough
def test_a_reader_that_leaves_is_no_error(start: Start, folder: Path) -> None:
    process = start(folder / "good.png")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert (process.stderr.read(), process.wait()) == ("", 0)
    assert arrays.read_array(folder / "good_x4.png").shape == (80, 120, 3)
