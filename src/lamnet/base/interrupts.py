"""Ctrl-C and SIGTERM: at once where nothing has begun, as an exception where there is something to clean up."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(KeyboardInterrupt):
    """A signal asked the process to end; the first argument is its number."""


@contextmanager
def at_once() -> Generator[None]:
    """A signal ends the process within: while PyTorch is imported, it takes an exception for a missing NumPy and goes on."""
    with _answered(_leave):
        yield


@contextmanager
def by_exception() -> Generator[None]:
    """A signal raises Stopped within, and again if that was in a destructor, where Python only prints exceptions."""
    hook = sys.unraisablehook

    def again(unraisable: UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Stopped):
            return hook(unraisable)
        while True:
            try:
                return threading.Timer(0.05, signal.raise_signal, unraisable.exc_value.args).start()
            except Stopped:  # on a busy machine the time is over before the thread has started
                continue

    sys.unraisablehook = again
    try:
        with _answered(_raise):
            yield
    finally:
        sys.unraisablehook = hook


def renew() -> None:
    """Python's handlers again, where a library's native code has put its own over them."""
    if threading.current_thread() is threading.main_thread():  # others may not
        for number in _SIGNALS:
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)


@contextmanager
def _answered(how: Callable[[int, FrameType | None], NoReturn]) -> Generator[None]:
    """Signals answered so within, but for those that the process was started to ignore."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, how)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"lamnet: interrupted\n")
    os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    raise Stopped(number)
