"""AVIF. libvips does not see to colours by number, colours times alpha, frames, EXIF that libexif does not know.

libvips 8.19 reads and writes colours by number: then `numbered_colours` can go (tests/libraries).
"""

from __future__ import annotations

import mmap
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import pyvips
from PIL import Image

from lamnet.base.errors import BadImageError
from lamnet.media import metadata, tags, vips
from lamnet.media.blobs import with_blobs
from lamnet.media.contract import Extras, Format, PageExtras
from lamnet.media.picture import Picture

FORMAT = Format(
    "heif",
    (".avif",),
    re.compile(rb".{4}ftyp(avi[fs]|mif1|msf1)", re.DOTALL),
    {"Q": 90, "compression": "av1", "subsample_mode": "off"},
    side=16_384,
    dtypes=("uint8", "uint16"),
    profiled=(3,),
)

_SIDES = re.compile(rb"ispe.{4}(.{8})", re.DOTALL)
_SEQUENCES = (b"avis", b"msf1")  # brands of files with frames
_EXIF, _ROOM = b"Exif\0\0", b"a place of 32 bytes for our EXIF."
_LIMIT = 2**24  # bytes of a description: more is none


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open the picture, of several the main one."""
    return vips.load("heif", path)


def extras(path: Path) -> Extras:
    """Learn whether there are frames, what the colours are, and whether they are lossy. Raises OSError."""
    with path.open("rb") as file:
        brand = file.read(12)[8:]
        described, coded = description(file), _box(file, b"mdat")
    lossless = is_lossless(described)
    return Extras(
        (PageExtras(oriented=True),),  # libvips has turned the picture itself
        hidden_frames=brand in _SEQUENCES,
        colours=numbered_colours(described),
        premultiplied=b"prem" in described.partition(b"iref")[2],
        lossy=None if lossless else "lossy AVIF",
        bits=None if lossless else _bits(coded, described),
    )


def save(path: Path, results: Sequence[pyvips.Image], picture: Picture, target: Path) -> None:
    """Write a result, of 16 bits the upper 12."""
    image, source = results[0], picture.pages[0]
    exif = metadata.corrected_exif(source, (image.width, image.height))
    bits = 8 if image.format == "uchar" else 12
    image = _with_room_for(exif, image) if exif else image
    vips.write(
        FORMAT.name, path, image, bitdepth=bits, keep=metadata.kept(source), **FORMAT.saved_with(picture.quality)
    )
    if exif:
        _fill_room(path, exif)


def _with_room_for(exif: bytes, image: Any) -> pyvips.Image:
    """Return the image with an EXIF block that libexif does know, longer than the one that is to be there."""
    room = Image.Exif()
    room[tags.DESCRIPTION] = (_ROOM * (len(exif) // len(_ROOM) + 1)).decode()
    image = image.copy()
    for name in image.get_fields():
        if name.startswith("exif-"):
            image.remove(name)
    return with_blobs(image, {"exif-data": room.tobytes()})


def _fill_room(path: Path, exif: bytes) -> None:
    """Put an EXIF block where a file has the longer one of `_with_room_for`, and zeros behind it."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as data:
        room = data.find(_ROOM)
        start = data.rfind(_EXIF, 0, room) + len(_EXIF)
        end = data.rfind(_ROOM) + len(_ROOM)
        if room < 0 or start < len(_EXIF) or end - start < len(exif):
            raise BadImageError(f"{path}: expected room for EXIF in what libvips has written, found none")
        data[start:end] = exif.ljust(end - start, b"\0")


def numbered_colours(described: bytes) -> tuple[int, int] | None:
    """Return the primaries and transfer characteristics of ITU-T H.273 that a description states."""
    _, found, numbers = described.partition(b"colrnclx")
    return struct.unpack_from(">HH", numbers) if found and len(numbers) >= 4 else None


def is_lossless(description: bytes) -> bool:
    """Tell whether a description states RGB, the identity matrix of ITU-T H.273, which encoders use where they lose nothing."""
    _, found, numbers = description.partition(b"colrnclx")
    return bool(found) and numbers[4:6] == b"\0\0"


def description(file: IO[bytes]) -> bytes:
    """Return the contents of the box that describes the pictures; nothing where there is none."""
    return file.read(min(_box(file, b"meta"), _LIMIT))


def _bits(coded: int, description: bytes) -> float | None:
    """Bits for each pixel of the largest picture of a description, of so many bytes in all."""
    sides = (struct.unpack_from(">LL", found[1]) for found in _SIDES.finditer(description))
    most = max((width * height for width, height in sides), default=0)
    return 8 * coded / most if coded and most else None


def _box(file: IO[bytes], name: bytes) -> int:
    """Go to the contents of the first box of a name; return the size that it states, 0 where there is none."""
    at = file.seek(0)
    while len(start := file.read(8)) == 8:
        size, kind = int.from_bytes(start[:4], "big"), start[4:]
        if kind == name:
            return size
        header = 16 if size == 1 else 8
        length = int.from_bytes(file.read(8), "big") if size == 1 else size
        if length < header:  # 0: to the end of the file; others are wrong, and would lead back here
            break
        at += length
        file.seek(min(at, 2**62))
    return 0
