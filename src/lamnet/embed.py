"""Bytes put into files that are written."""

from __future__ import annotations

from pathlib import Path

_BLOCK = 2**24


def insert(path: Path, at: int, data: bytes) -> None:
    """Put bytes into a file, what follows behind them."""
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
