"""Ctrl-C and SIGTERM: exit codes, one line, nothing left behind, whenever they come."""

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


@pytest.fixture(autouse=True)
def _signals_are_not_ignored() -> Iterator[None]:
    """A shell starts what runs in its background with SIGINT ignored, and we leave that so."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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


@pytest.mark.slow
@pytest.mark.parametrize("case", range(30))
def test_at_any_moment(tmp_path: Path, case: int) -> None:
    chance = random.Random(case)
    number = chance.choice([signal.SIGINT, signal.SIGTERM])
    arrays.write_array(tmp_path / "a.png", np.random.default_rng(0).integers(0, 255, (1200, 1600, 3), np.uint8))
    (tmp_path / "a_x2.png").write_text("mine")
    process = subprocess.Popen(
        [sys.executable, "-m", "lamnet", "upscale", tmp_path / "a.png", "--scale", "2", "--overwrite"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
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
