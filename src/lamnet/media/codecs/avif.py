"""AVIF. libvips does not say which colours are stated by number, whether they are times alpha, or that there are frames.

libvips 8.19 reads and writes colours by number: then `_numbered_colours` can go (tests/media/test_libraries.py).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import pyvips

from lamnet.media import metadata, vips
from lamnet.media.contract import Extras, Format, PageExtras
from lamnet.media.picture import Picture

FORMAT = Format(
    "heif",
    (".avif",),
    re.compile(rb".{4}ftyp(avi[fs]|mif1|msf1|hei[cx])", re.DOTALL),
    {"Q": 90, "compression": "av1", "subsample_mode": "off"},
    side=16_384,
    dtypes=("uint8", "uint16"),
    profiled=(3,),
)

_SEQUENCES = (b"avis", b"msf1")  # brands of files with frames
_LIMIT = 2**24  # bytes of a description: more is none


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open the picture, of several the main one."""
    return vips.load("heif", path)


def extras(path: Path) -> Extras:
    """Learn whether there are frames, what the colours are, and whether they are lossy. Raises OSError."""
    with path.open("rb") as file:
        brand = file.read(12)[8:]
        description = _description(file)
    return Extras(
        (PageExtras(oriented=True),),  # libvips has turned the picture itself
        hidden_frames=brand in _SEQUENCES,
        colours=_numbered_colours(description),
        premultiplied=b"prem" in description.partition(b"iref")[2],
        lossy=None if _is_lossless(description) else "lossy HEIC" if brand.startswith(b"hei") else "lossy AVIF",
    )


def save(path: Path, results: Sequence[pyvips.Image], picture: Picture, target: Path) -> None:
    """Write a result, of 16 bits the upper 12."""
    bits = 8 if results[0].format == "uchar" else 12
    keep = metadata.kept(picture.pages[0])
    vips.write(FORMAT.name, path, results[0], bitdepth=bits, keep=keep, **FORMAT.options)


def _numbered_colours(description: bytes) -> tuple[int, int] | None:
    """Return the primaries and transfer characteristics of ITU-T H.273 that a description states."""
    _, found, numbers = description.partition(b"colrnclx")
    return struct.unpack_from(">HH", numbers) if found and len(numbers) >= 4 else None


def _is_lossless(description: bytes) -> bool:
    """Tell whether a description states RGB, the identity matrix of ITU-T H.273, which encoders use where they lose nothing."""
    _, found, numbers = description.partition(b"colrnclx")
    return bool(found) and numbers[4:6] == b"\0\0"


def _description(file: IO[bytes]) -> bytes:
    """Return the contents of the box that describes the pictures; nothing where there is none."""
    at = file.seek(0)
    while len(start := file.read(8)) == 8:
        size, kind = int.from_bytes(start[:4], "big"), start[4:]
        if kind == b"meta":
            return file.read(min(size, _LIMIT))
        at += int.from_bytes(file.read(8), "big") if size == 1 else size
        if size in (0, *range(2, 8)):
            break
        file.seek(min(at, 2**62))
    return b""
