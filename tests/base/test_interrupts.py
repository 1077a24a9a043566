"""Ctrl-C, SIGTERM and SIGHUP: exit codes, one line, nothing left behind, whenever they come."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lamnet.base import interrupts
from lamnet.media import arrays
from support.sets import photographs, prepared


@pytest.fixture(autouse=True)
def _signals_are_not_ignored() -> Iterator[None]:
    """A shell starts what runs in its background with SIGINT ignored, nohup with SIGHUP, and we leave that so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGINT, before)
    signal.signal(signal.SIGHUP, hangup)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_an_exception_and_again_after_a_destructor(number: signal.Signals) -> None:
    class Swallows:
        def __del__(self) -> None:
            signal.raise_signal(number)

    def work() -> None:
        with interrupts.by_exception():
            Swallows()
            for _ in range(1000):
                time.sleep(0.01)

    before = signal.getsignal(number)
    with pytest.raises(interrupts.Stopped) as stop:
        work()
    assert stop.value.args == (number,)
    assert signal.getsignal(number) is before


@pytest.mark.thorough
def test_a_signal_that_comes_while_another_is_repeated_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(threading.Timer):
        started = 0

        def start(self) -> None:
            super().start()
            Slow.started += 1
            time.sleep(0.5 if Slow.started == 1 else 0)  # the first one's signal arrives in here

    class Swallows:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    def work() -> None:
        with interrupts.by_exception():
            Swallows()
            for _ in range(500):
                time.sleep(0.01)

    monkeypatch.setattr(threading, "Timer", Slow)
    with pytest.raises(interrupts.Stopped):
        work()
    assert Slow.started == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_at_once_is_at_once(number: signal.Signals) -> None:
    code = f"""
import signal
from lamnet.base import interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)
with interrupts.at_once():
    try:
        signal.raise_signal({int(number)})
    except BaseException:
        print("swallowed")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "lamnet: interrupted\n")


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.by_exception(), interrupts.at_once():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_handler_that_native_code_replaced_is_renewed() -> None:
    with interrupts.by_exception():
        libc = ctypes.CDLL(None)
        libc.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
        libc.signal(signal.SIGTERM, 1)  # SIG_IGN, which Python does not get to know
        signal.raise_signal(signal.SIGTERM)
        interrupts.renew()
        with pytest.raises(interrupts.Stopped):
            signal.raise_signal(signal.SIGTERM)


def _heeding_signals() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _ended(command: list[str | Path], number: int, after_s: float) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that got a signal, once Python itself had started."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lamnet", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=_heeding_signals,
    )
    handled = Path(f"/proc/{process.pid}/status")
    while not int(handled.read_text().split("SigCgt:")[1].split()[0], 16) & 1 << (signal.SIGTERM - 1):
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(after_s)
    process.send_signal(number)
    out, err = process.communicate()
    return process.returncode, out, err


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("after_s", [0, 0.4, 1.5, 4])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_training_ends_with_one_line(tmp_path: Path, number: signal.Signals, after_s: float) -> None:
    command = ["train", "tiny_x4_short", "--data", prepared(tmp_path), "--out", tmp_path / "run", "--batch", "1"]
    code, out, err = _ended([*command, "--patch", "8"], number, after_s)
    lines = [line for line in err.splitlines() if line.startswith("lamnet: ")]
    assert (code, out, lines) == (128 + number, "", ["lamnet: interrupted"])
    assert "Traceback" not in err
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_preparing_ends_with_one_line_and_goes_on(tmp_path: Path, number: signal.Signals) -> None:
    photos = photographs(tmp_path / "in", [(1200, 1200)] * 60)
    ended = _ended(["prepare", photos, tmp_path / "out"], number, 1)
    assert ended == (128 + number, "", "lamnet: interrupted\n")
    assert not (tmp_path / "out" / "index.json").exists()
    assert not (tmp_path / "out" / ".lock").exists()


@pytest.mark.slow
@pytest.mark.parametrize("case", range(30))
def test_at_any_moment(tmp_path: Path, case: int) -> None:
    chance = random.Random(case)
    number = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    arrays.write_array(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (1200, 1600, 3), np.uint8))
    (tmp_path / "a_x2.png").write_text("mine")
    process = subprocess.Popen(
        [sys.executable, "-m", "lamnet", "upscale", tmp_path / "a.png", "--scale", "2", "--overwrite"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=_heeding_signals,
    )
    try:
        process.wait(chance.uniform(0.5, 8))  # Python itself takes the first tenths
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    out, err = process.communicate()
    if process.returncode == 0:  # a faster machine
        assert arrays.read_array(tmp_path / "a_x2.png").shape == (2400, 3200, 3)
    else:
        assert (process.returncode, out, err) == (128 + number, "", "lamnet: interrupted\n")
        assert (tmp_path / "a_x2.png").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a_x2.png"]
