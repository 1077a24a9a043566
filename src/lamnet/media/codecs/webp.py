"""WebP. libvips neither says whether a file is lossless nor writes EXIF as it was, short delays, transparency of frames."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyvips

from lamnet.base.files import insert
from lamnet.media import metadata, vips
from lamnet.media.contract import Extras, Format
from lamnet.media.picture import Picture

FORMAT = Format(
    "webp",
    (".webp",),
    re.compile(rb".{8}WEBP", re.DOTALL),
    {"Q": 95, "smart_subsample": True},
    side=16_383,
    frames=True,
    profiled=(3,),
    substitute=True,
)

_ALPHA, _EXIF = 0x10, 0x08  # flags of the extended header
_FLAGS_AT = 20
_KEY_FRAME = 10  # bytes at the start of VP8's frame, which end in two sides of 14 bits: RFC 6386, 9.1
_FRAME_HEADER, _FRAME_DELAY = 16, 12  # bytes; where in it


@dataclass(frozen=True)
class WebpExtras(Extras):
    """The coding that a result in WebP keeps: whether the first frame is `lossless`."""

    lossless: bool = False


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open frames, one below the other."""
    return vips.load("webp", path, page=page, n=n)


def extras(path: Path) -> WebpExtras:
    """Learn whether the file is lossless. Raises OSError."""
    with path.open("rb") as file:
        at = 12
        while len(start := _chunk_at(file, at)) == 8:
            kind, size = start[:4], int.from_bytes(start[4:], "little")
            if kind in (b"VP8L", b"VP8 "):
                if kind == b"VP8L":
                    return WebpExtras(lossless=True)
                return WebpExtras(lossy="lossy WebP", bits=_bits(size, file.read(_KEY_FRAME)))
            at += 8 + (_FRAME_HEADER if kind == b"ANMF" else size + size % 2)
    return WebpExtras()


def _bits(size: int, start: bytes) -> float | None:
    """Bits for each pixel of a frame in VP8 of so many bytes, which starts so."""
    if len(start) < _KEY_FRAME:
        return None
    width, height = (side & 0x3FFF for side in struct.unpack("<HH", start[6:]))
    return 8 * size / (width * height) if width * height else None


def save(path: Path, results: Sequence[pyvips.Image], picture: Picture, target: Path) -> None:
    """Write a result or all frames, lossless where the source is a lossless WebP."""
    image: Any = results[0]
    size = image.width, image.get_page_height()
    exif = metadata.corrected_exif(picture.pages[0], size)
    lossless = isinstance(picture.extras, WebpExtras) and picture.extras.lossless and picture.quality is None
    keep = metadata.kept(picture.pages[0], with_exif=exif is None)
    vips.write(FORMAT.name, path, image, lossless=lossless, keep=keep, **FORMAT.saved_with(picture.quality))
    if image.hasalpha():
        _set_flag(path, _ALPHA)  # libwebp sets none if each frame is opaque in a part of the canvas
    if image.get_typeof("delay"):
        _put_delays(path, image.get("delay"))
    if exif:
        _put_exif(path, exif, size, image.hasalpha())


def _put_exif(path: Path, exif: bytes, size: tuple[int, int], alpha: bool) -> None:
    """Put an EXIF block at the end of a file of this (width, height), with the extended header that it needs."""
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
    _set_flag(path, _EXIF)


def _put_delays(path: Path, delays: list[int]) -> None:
    """Set how many milliseconds frames stay, unless equal frames have become one: libvips makes 100 of 10 and less."""
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


def _set_flag(path: Path, flag: int) -> None:
    """Set a flag of the extended header, where there is one."""
    with path.open("r+b") as file:
        start = file.read(_FLAGS_AT + 1)
        if start[12:16] == b"VP8X":
            file.seek(_FLAGS_AT)
            file.write(bytes([start[_FLAGS_AT] | flag]))
