"""Streams as sources and targets: "-" for stdin and stdout, FIFOs, process substitution, devices.

Sources must be files that can be read twice, and results appear whole, so both go through files of a temporary folder.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO

from lamnet.base import files
from lamnet.base.errors import BadImageError

STANDARD = "-"


@contextmanager
def folder() -> Generator[Path]:
    """Make a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="lamnet-") as name:
        yield Path(name)


def is_stream(name: str | Path) -> bool:
    """Tell whether a name is "-", or that of a FIFO, a socket or a device."""
    return str(name) == STANDARD or files.is_stream(Path(name))


def drain(source: Path, file: Path) -> None:
    """Read a stream to its end into a file. Raises BadImageError."""
    with files.naming_errors(source, "cannot be read"), file.open("wb") as copy:
        if str(source) == STANDARD:
            _check_open(sys.stdin, source)
            if sys.stdin.isatty():
                raise BadImageError(f"{source}: expected a picture on stdin, found a terminal")
            shutil.copyfileobj(sys.stdin.buffer, copy)
        else:
            with source.open("rb") as stream:
                shutil.copyfileobj(stream, copy)


def pour(file: Path, target: Path) -> None:
    """Write a file into a stream. Raises BadImageError."""
    with files.naming_errors(target, "cannot be written"), file.open("rb") as result:
        if str(target) != STANDARD:
            with target.open("wb") as stream:
                shutil.copyfileobj(result, stream)
            return
        _check_open(sys.stdout, target)
        if sys.stdout.isatty():
            raise BadImageError(f"{target}: expected a file or a pipe as stdout, found a terminal")
        _copy_to_stdout(result)


def _check_open(stream: TextIO | None, name: Path) -> None:
    """Raise BadImageError where the caller has closed stdin or stdout (`>&-`)."""
    if stream is None:
        raise BadImageError(f"{name}: expected it to be open, found it closed")


def _copy_to_stdout(result: IO[bytes]) -> None:
    try:
        shutil.copyfileobj(result, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError as error:  # what is left in the buffer would raise again when Python ends
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        raise BadImageError(f"{STANDARD}: cannot be written: nobody reads on") from error
