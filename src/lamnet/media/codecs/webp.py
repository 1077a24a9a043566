"""What libvips neither says of WebP files nor puts into them: whether they are lossless, EXIF as it was, transparency of frames."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import IO

from lamnet.base.files import insert

_ALPHA, _EXIF = 0x10, 0x08  # flags of the extended header
_FLAGS_AT = 20
_FRAME_HEADER, _FRAME_DELAY = 16, 12  # bytes; where in it


def is_lossless(path: Path) -> bool:
    """Whether the first frame is. Raises OSError."""
    with path.open("rb") as file:
        at = 12
        while len(start := _chunk_at(file, at)) == 8:
            kind, size = start[:4], int.from_bytes(start[4:], "little")
            if kind in (b"VP8L", b"VP8 "):
                return kind == b"VP8L"
            at += 8 + (_FRAME_HEADER if kind == b"ANMF" else size + size % 2)
    return False


def say_alpha(path: Path) -> None:
    """In the header, where libwebp says none if each frame is opaque in a part of the canvas."""
    _say(path, _ALPHA)


def put_exif(path: Path, exif: bytes, size: tuple[int, int], alpha: bool) -> None:
    """An EXIF block at the end of a file of this (width, height), with the extended header that this wants."""
    with path.open("r+b") as file:
        file.seek(0, 2)
        file.write(b"EXIF" + struct.pack("<L", len(exif)) + exif + b"\0" * (len(exif) % 2))
    with path.open("rb") as file:
        extended = _chunk_at(file, 12).startswith(b"VP8X")
    if not extended:
        corner = b"".join((side - 1).to_bytes(3, "little") for side in size)
        insert(path, 12, b"VP8X" + struct.pack("<LL", 10, _ALPHA if alpha else 0) + corner)
    with path.open("r+b") as file:
        end = file.seek(0, 2)
        file.seek(4)
        file.write(struct.pack("<L", end - 8))
    _say(path, _EXIF)


def put_delays(path: Path, delays: list[int]) -> None:
    """How many milliseconds frames stay, where libvips makes 100 of 10 and less; where equal frames are one, that stays."""
    places: list[int] = []
    with path.open("r+b") as file:
        at = 12
        while len(start := _chunk_at(file, at)) == 8:
            if start[:4] == b"ANMF":
                places.append(at + 8 + _FRAME_DELAY)
            size = int.from_bytes(start[4:], "little")
            at += 8 + size + size % 2
        for place, delay in zip(places, delays, strict=False) if len(places) == len(delays) else ():
            file.seek(place)
            file.write(delay.to_bytes(3, "little"))


def _chunk_at(file: IO[bytes], at: int) -> bytes:
    file.seek(at)
    return file.read(8)


def _say(path: Path, flag: int) -> None:
    """Set a flag of the extended header, where there is one."""
    with path.open("r+b") as file:
        start = file.read(_FLAGS_AT + 1)
        if start[12:16] == b"VP8X":
            file.seek(_FLAGS_AT)
            file.write(bytes([start[_FLAGS_AT] | flag]))
