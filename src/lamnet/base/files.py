"""Atomic writes of files, and errors that name them."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from lamnet.base.errors import BadDataError, BadImageError, LamnetError

_BLOCK = 2**24  # bytes moved at a time


def check_apart(source: Path, target: Path) -> None:
    """Check that a result is not its own source; raises BadImageError."""
    with naming_errors(target, "cannot be written"):
        if target.exists() and source.exists() and target.samefile(source):
            raise BadImageError(f"{target}: expected another name for the result than its source's")


@contextmanager
def naming_errors(path: Path, what: str, error: type[LamnetError] = BadImageError) -> Generator[None]:
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
    """Write a file atomically: yield a hidden path beside it, whose file takes the name at the end.

    After an error within, an earlier file of that name stays as it was and no other is left. A `durable` write reaches the
    disk before it takes the name, so that a power cut leaves one of the two whole. A link is followed to the file that it
    names; a FIFO or a device gets the whole content at the end. Raises `error` where it cannot be written.
    """
    if is_stream(path):
        with tempfile.TemporaryDirectory(prefix="lamnet-") as folder:
            partial = Path(folder, path.name)
            yield partial
            with naming_errors(path, "cannot be written", error), partial.open("rb") as made, path.open("wb") as stream:
                shutil.copyfileobj(made, stream)
        return
    with naming_errors(path, "cannot be written", error):
        final = path.resolve() if path.is_symlink() else path
        if final.is_dir():
            raise error(f"{path}: cannot be written: {os.strerror(errno.EISDIR)}")
    partial = partial_of(final)
    try:
        with naming_errors(path, "cannot be written", error):
            partial.unlink(missing_ok=True)  # it might be a link
            yield partial
            if durable:
                _sync(partial)
            os.replace(partial, final)
            if durable:
                with suppress(OSError):  # Windows opens no folders
                    _sync(final.parent)
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


def write_text(path: Path, text: str, error: type[LamnetError] = BadDataError, durable: bool = False) -> None:
    """Write text in UTF-8: a regular file atomically, as `appearing` does; a device, a pipe or a stream directly.

    Raises `error` where it cannot be written.
    """
    with naming_errors(path, "cannot be written", error):
        if (stream := _stream_at(path)) is not None:
            with open(stream, "w", encoding="utf-8", closefd=False) as file:
                file.write(text)
            return
    with appearing(path, error, durable) as partial, naming_errors(path, "cannot be written", error):
        partial.write_text(text, encoding="utf-8")


def read_text(path: Path, max_bytes: int = 2**28, errors: str = "strict") -> str:
    """Read a text file in UTF-8 of at most this many bytes, without waiting for a pipe that nobody writes to.

    A byte-order mark, which some editors write, is left out. Raises OSError where it cannot be read, ValueError where it
    is longer or no text.
    """
    opened = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if hasattr(os, "set_blocking"):
        os.set_blocking(opened, True)
    with os.fdopen(opened, "rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"more than {max_bytes:,} bytes")
    try:
        return content.decode("utf-8-sig", errors)
    except UnicodeDecodeError:
        raise ValueError("no text in UTF-8") from None


def check_place(path: Path, error: type[LamnetError] = BadDataError) -> None:
    """Check that `write_text` will be able to write there, before the work whose result goes there; raises `error`."""
    with naming_errors(path, "cannot be written", error):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        partial = partial_of(Path(os.path.realpath(path)))
        partial.touch()
        partial.unlink()


def _stream_at(path: Path) -> int | None:
    """Return the file descriptor of stdout or stderr where a path such as /dev/stdout stands for it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # closed, which Python has as None, or none of the system's
            if os.path.samestat(path.stat(), os.fstat(stream.fileno())):
                stream.flush()
                return stream.fileno()
    return None


def _sync(path: Path) -> None:
    """Bring a file, or a folder's names, to the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def partial_of(path: Path, suffix: str = "") -> Path:
    """Name the hidden file beside a file in which it is made; always the same one, so that leftovers do not pile up."""
    name = path.name if len(os.fsencode(path.name)) < 230 else hashlib.sha256(os.fsencode(path.name)).hexdigest()
    return path.with_name(f".{name}{suffix}.partial")


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
