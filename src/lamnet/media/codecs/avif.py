"""What libvips does not say of AVIF files: colours stated by number, colours times alpha, frames."""

from __future__ import annotations

import struct
from pathlib import Path

_SEQUENCES = (b"avis", b"msf1")  # how files with frames begin
_MOST = 2**24  # bytes of a description: more is none


def is_animated(path: Path) -> bool:
    """Whether there are frames, of which libvips would give the first alone. Raises OSError."""
    with path.open("rb") as file:
        return file.read(12)[8:] in _SEQUENCES


def colours(path: Path) -> tuple[int, int] | None:
    """The primaries and transfer characteristics of ITU-T H.273 that the file states. Raises OSError."""
    _, found, said = _description(path).partition(b"colrnclx")
    return struct.unpack_from(">HH", said) if found and len(said) >= 4 else None


def is_premultiplied(path: Path) -> bool:
    """Whether colours have been multiplied by their alpha. Raises OSError."""
    return b"prem" in _description(path).partition(b"iref")[2]


def _description(path: Path) -> bytes:
    """What is in the box that describes the pictures."""
    with path.open("rb") as file:
        at = 0
        while len(start := file.read(8)) == 8:
            size, kind = int.from_bytes(start[:4], "big"), start[4:]
            if kind == b"meta":
                return file.read(min(size, _MOST))
            at += int.from_bytes(file.read(8), "big") if size == 1 else size
            if size in (0, *range(2, 8)):
                break
            file.seek(min(at, 2**62))
    return b""
