"""Atomic writes of files, and locks on them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from lamnet.base.errors import BadDataError, BadImageError, LamnetError

if sys.platform != "win32":
    import fcntl

_BLOCK = 2**24  # bytes moved at a time


def check_apart(source: Path, target: Path) -> None:
    """Check that a result is not its own source; raises BadImageError."""
    with named(target, "cannot be written"):
        if target.exists() and source.exists() and target.samefile(source):
            raise BadImageError(f"{target}: expected another name for the result than its source's")


@contextmanager
def named(path: Path, what: str, error: type[LamnetError] = BadImageError) -> Generator[None]:
    """Turn an OSError within into one error that names a file.

    Args:
        what: the problem, such as "cannot be read".
    """
    try:
        yield
    except OSError as problem:
        raise error(f"{path}: {what}: {problem.strerror or problem}") from problem


@contextmanager
def appearing(path: Path, error: type[LamnetError] = BadImageError, durable: bool = False) -> Generator[Path]:
    """Write a file atomically: what is written to the path given within takes the file's name at the end.

    After an error within, the file that was there stays, and nothing else. A `durable` write reaches the disk before it
    takes the name, so that a power cut leaves one of the two whole. What is no regular file stays what it is: a link leads
    to the file that is written, a FIFO or device gets all at the end. Raises `error` where it cannot be written.
    """
    if is_stream(path):
        with tempfile.TemporaryDirectory(prefix="lamnet-") as folder:
            partial = Path(folder, path.name)
            yield partial
            with named(path, "cannot be written", error), partial.open("rb") as made, path.open("wb") as stream:
                shutil.copyfileobj(made, stream)
        return
    with named(path, "cannot be written", error):
        final = path.resolve() if path.is_symlink() else path
        if final.is_dir():
            raise error(f"{path}: cannot be written: expected a file, found a folder")
    partial = partial_of(final)
    try:
        with named(path, "cannot be written", error):
            partial.unlink(missing_ok=True)  # it might be a link
            yield partial
            if durable:
                _sync(partial)
            os.replace(partial, final)
    finally:
        with suppress(OSError):
            partial.unlink()


def is_stream(path: Path) -> bool:
    """Tell whether a path leads to a FIFO, a socket or a device."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def write_text(path: Path, text: str, error: type[LamnetError] = BadDataError) -> None:
    """Write a text file in UTF-8 atomically. Raises `error` where it cannot be written."""
    with appearing(path, error) as partial:
        partial.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def alone(path: Path) -> Generator[None]:
    """Hold a lock on a result within, having waited for other processes and threads that hold it. Raises BadImageError.

    Where the file system has no locks there is nothing to wait for.
    """
    lock = partial_of(path, ".lock")
    with named(path, "cannot be written"):
        file = _locked(lock)
    try:
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        file.close()


def _locked(path: Path) -> IO[bytes]:
    while True:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666), "wb")
        if sys.platform != "win32":
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):  # whoever had it before has removed it
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()


def partial_of(path: Path, what: str = "") -> Path:
    """The hidden path, in the same folder, at which a file is made; always the same, so that no remains pile up."""
    name = path.name if len(os.fsencode(path.name)) < 230 else hashlib.sha256(os.fsencode(path.name)).hexdigest()
    return path.with_name(f".{name}{what}.partial")


def insert(path: Path, at: int, data: bytes) -> None:
    """Insert bytes into a file; what followed there follows them."""
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        while end > at:
            start = max(at, end - _BLOCK)
            file.seek(start)
            block = file.read(end - start)
            file.seek(start + len(data))
            file.write(block)
            end = start
        file.seek(at)
        file.write(data)
