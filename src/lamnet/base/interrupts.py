"""Ctrl-C, SIGTERM and SIGHUP: three ways to answer them.

They end the process at once; they raise an exception, where there is something to clean up; or they are noted, for a loop
that ends at a better moment.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_SIGNALS = (signal.SIGINT, signal.SIGTERM, *((signal.SIGHUP,) if sys.platform != "win32" else ()))


class Stopped(KeyboardInterrupt):
    """The exception for a signal that asks the process to end; its first argument is the signal's number."""


@contextmanager
def at_once() -> Generator[None]:
    """End the process at once on a signal within: an import of PyTorch would take an exception for a missing NumPy."""
    with _handled(_leave):
        yield


@contextmanager
def by_exception() -> Generator[None]:
    """Raise Stopped on a signal within; a second time where it came in a destructor, in which Python only prints it."""
    hook = sys.unraisablehook

    def raise_again(unraisable: UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Stopped):
            return hook(unraisable)
        while True:
            try:
                return threading.Timer(0.05, signal.raise_signal, unraisable.exc_value.args).start()
            except Stopped:  # on a busy machine the time is over before the thread has started
                continue

    sys.unraisablehook = raise_again
    try:
        with _handled(_raise):
            yield
    finally:
        sys.unraisablehook = hook


@dataclass
class Request:
    """A signal that asked the process to end; 0 as long as there was none."""

    number: int = 0


@contextmanager
def noted() -> Generator[Request]:
    """Note the first signal within, so that a loop can end at a better moment; the next one raises Stopped.

    Threads other than the main one cannot handle signals; in them no signal is noted.
    """
    request = Request()

    def note(number: int, frame: FrameType | None) -> None:
        if request.number:
            raise Stopped(number)
        request.number = number

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    with _handled(note):
        yield request


def renew() -> None:
    """Set Python's handlers again, where a library's native code has put its own in their place."""
    if threading.current_thread() is threading.main_thread():  # other threads may not set them
        for number in _SIGNALS:
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Generator[None]:
    """Answer signals within with a handler, except those that the process was started to ignore."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handler)
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
