"""Locks: a folder in which one process alone works, the error of a second names the first; a result that others wait for."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from lamnet.base.errors import BadDataError
from lamnet.base.files import naming_errors, partial_of

if sys.platform != "win32":
    import fcntl

_LOCK = ".lock"


@contextmanager
def exclusive(folder: Path) -> Generator[None]:
    """Lock a folder for this process and thread alone; it is made where there is none.

    The system gives the lock back when its process ends, however it ends: the lock of a dead process is taken over. Where
    the file system has no locks, nobody is kept out.

    Raises BadDataError at once, with process, machine and time, while another process or thread works there.
    """
    made = not folder.exists()
    with naming_errors(folder, "cannot be written", BadDataError):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with naming_errors(folder, "cannot be written", BadDataError):
            file = _open_or_refuse(folder / _LOCK)
        try:
            yield
        finally:
            _remove(folder / _LOCK, file)
    finally:
        if made:
            with suppress(OSError):  # not empty, as a rule
                folder.rmdir()


@contextmanager
def in_turn(path: Path) -> Generator[None]:
    """Hold a lock on a result, after waiting for other processes and threads that hold it. Raises BadImageError.

    A file system without locks makes nobody wait.
    """
    lock = partial_of(path, ".lock")
    with naming_errors(path, "cannot be written"):
        file = _open_after_others(lock)
    try:
        yield
    finally:
        _remove(lock, file)


def _remove(path: Path, file: IO[bytes]) -> None:
    """Remove a lock's file while it is held, so that whoever waits for it sees that it is gone; Windows removes no open file."""
    if os.name == "nt":
        file.close()
    with suppress(OSError):
        path.unlink()
    file.close()


def _open_or_refuse(path: Path) -> IO[bytes]:
    """Open the lock's file, lock it and write the name of this process into it."""
    while True:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        file = os.fdopen(os.open(path, flags, 0o666), "r+b")
        try:
            _lock(file)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                file.truncate()
                file.write(_this_process().encode())
                file.flush()
                return file
            file.close()
        except FileNotFoundError:  # whoever had it before has removed it
            file.close()
        except BlockingIOError:
            holder = file.read(200).decode(errors="replace").strip() or "another process"
            file.close()
            raise BadDataError(
                f"{path.parent}: expected a folder that nobody works in, found it in use by {' '.join(holder.split())}"
            ) from None
        except BaseException:
            file.close()
            raise


def _open_after_others(path: Path) -> IO[bytes]:
    while True:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666), "wb")
        if sys.platform != "win32":
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):  # whoever had it before has removed it
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def _lock(file: IO[bytes]) -> None:
    """Lock a file without waiting. Raises BlockingIOError where somebody has it."""
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return


def _this_process() -> str:
    since = datetime.now().astimezone().isoformat(" ", "seconds")
    return f"process {os.getpid()} on {socket.gethostname()} since {since}\n"
