"""PNG. libvips does not see to texts as they were, XMP where readers look for it, colours by number, frames, late EXIF.

libvips 8.19 reads and writes cICP and reads EXIF among zipped texts: then `colours_chunk` and half of `_raw_exif` can go
(tests/libraries).
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyvips

from lamnet.base.files import insert
from lamnet.media import metadata, vips
from lamnet.media.blobs import xmp_of
from lamnet.media.contract import Extras, Format, PageExtras
from lamnet.media.picture import Picture

FORMAT = Format(
    "png",
    (".png",),
    re.compile(rb"\x89PNG\r\n\x1a\n"),
    dtypes=("uint8", "uint16"),
    numbered_colours=True,
    substitute=True,
    comments=True,
    salvageable=True,
)

_COLOURS = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"})  # stated without a profile
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_XMP = b"XML:com.adobe.xmp\0"
_RAW_EXIF = (b"Raw profile type exif\0", b"Raw profile type APP1\0")
_RESOLUTION, _RESOLUTION_SIZE, _METRES = b"pHYs", 9, 1  # in other units it is the shape of pixels
_SIZES = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"mDCV": 24, b"cLLI": 8}  # bytes of chunks about colours
_MOST_CHUNKS = 10_000  # that a result keeps
_CARRIED = _COLOURS | _TEXTS | {b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"pHYs", b"iCCP", b"eXIf"}
_OF_THE_FILE = frozenset(
    {b"tIME", b"iDOT", b"acTL", b"fcTL", b"fdAT"}
)  # true of the source alone, or told of elsewhere
_MOST_NAMED = 8  # kinds of chunks in a line
_MOST_TEXTS = 2**18  # bytes of texts that libvips reads: packed, each can be a thousand times as long
_LIMIT = 2**26  # bytes of a chunk: more is no description
_MOST_DIGITS = 2**20  # bytes of EXIF in hex digits that are unpacked of each of many texts
_BEHIND_HEADER = 8 + 25
_ONE_FRAME = b"\0\0\0\1"  # an animation's, which is a picture


@dataclass(frozen=True)
class PngExtras(Extras):
    """Chunks of a PNG that a result in PNG keeps as they were: texts but for XMP and EXIF, and colours."""

    chunks: bytes = b""


def load(path: Path, page: int = 0, n: int = 1) -> pyvips.Image:
    """Open the picture, of an animated one the first frame; libvips does not see texts that can unpack to much."""
    if (data := _without_texts(path)) is None:
        return vips.load("png", path)
    vips.check_not_forked(path)
    return pyvips.Operation.call("pngload_buffer", data, fail_on="truncated")


def extras(path: Path) -> PngExtras:
    """Learn texts, colours, profile, EXIF and XMP wherever they are, and whether there are frames, in one pass. Raises OSError."""
    kept: list[bytes] = []
    notes: set[str] = set()
    others: dict[str, None] = {}
    blobs: dict[str, bytes] = {}
    colours, animated, behind_pixels, resolved = None, False, False, False
    with path.open("rb") as file:
        for kind, size in _chunks(file):
            if kind == _RESOLUTION and size == _RESOLUTION_SIZE:
                across, down, unit = struct.unpack(">IIB", file.read(size))
                resolved = unit == _METRES
                if not resolved and across != down:
                    notes.add(f"without the shape of its pixels, {across} to {down}")
            if kind == b"acTL" and not behind_pixels:
                animated |= file.read(4) != _ONE_FRAME
            behind_pixels |= kind == b"IDAT"
            if kind not in _CARRIED | _OF_THE_FILE and kind.isalpha() and len(others) < _MOST_NAMED:
                others[kind.decode()] = None
            if size > _LIMIT or kind not in _COLOURS | _TEXTS | {b"eXIf", b"iCCP"}:
                continue
            data = file.read(size)
            if kind == b"iCCP":
                blobs.setdefault("icc-profile-data", _profile(data))
                continue
            if kind == b"eXIf":
                blobs["exif-data"] = b"Exif\0\0" + data
            elif "exif-data" not in blobs and (raw := _raw_exif(kind, data)):
                blobs["exif-data"] = raw
            elif kind == b"iTXt" and data.startswith(_XMP):
                if "xmp-data" not in blobs:  # there is to be one; many that unpack to much take long
                    with suppress(ValueError, zlib.error):
                        blobs["xmp-data"] = _text(data[len(_XMP) :])
            elif kind in _COLOURS and not _is_whole(kind, size):
                notes.add(f"without a {kind.decode()} chunk of {size} bytes, which has another size")
            elif not data.startswith(_XMP) and not data.startswith(_RAW_EXIF) and len(kept) < _MOST_CHUNKS:
                kept.append(_chunk(kind, data))
            elif len(kept) == _MOST_CHUNKS:
                notes.add(f"without texts behind the first {_MOST_CHUNKS:,}")
            if kind == b"cICP" and size == 4 and not (behind_pixels or colours):
                primaries, transfer, _, _ = data
                colours = primaries, transfer
    if others:
        notes.add(f"without what other programs keep in {', '.join(others)}")
    page = PageExtras(blobs, resolved=resolved)
    own = "the texts of its PNG" if any(chunk[4:8] in _TEXTS for chunk in kept) else None
    return PngExtras(
        (page,), hidden_frames=animated, colours=colours, chunks=b"".join(kept), own=own, notes=tuple(sorted(notes))
    )


def save(path: Path, results: Sequence[pyvips.Image], picture: Picture, target: Path) -> None:
    """Write a result; XMP, EXIF and texts as chunks of our own, since libvips packs XMP and spoils texts beyond ASCII."""
    image: Any = results[0]
    exif = metadata.corrected_exif(picture.pages[0], (image.width, image.height))
    chunks = b"".join(_comment_chunk(text) for text in picture.extras.comments)
    if isinstance(picture.extras, PngExtras):
        chunks = picture.extras.chunks
    if xmp := xmp_of(image):
        chunks += xmp_chunk(xmp)
        image.remove("xmp-data")
    if exif:
        chunks += _chunk(b"eXIf", exif)
    if picture.colours and not isinstance(picture.extras, PngExtras):
        chunks += colours_chunk(*picture.colours)
    keep = metadata.kept(picture.pages[0], with_exif=exif is None)
    vips.write(FORMAT.name, path, image, keep=keep, **FORMAT.options)
    insert(path, _BEHIND_HEADER, chunks)


def _profile(data: bytes) -> bytes:
    """Return the profile of a chunk, behind its name and how it is packed; what does not unpack as it is, for it is none."""
    with suppress(zlib.error):
        return zlib.decompressobj().decompress(data.partition(b"\0")[2][1:], _LIMIT) or data
    return data


def _is_whole(kind: bytes, size: int) -> bool:
    """Tell whether a chunk about colours has the size that it must have: Pillow opens no PNG with another."""
    return _SIZES[kind] == size


def xmp_chunk(packet: bytes) -> bytes:
    """Return an XMP packet as its specification puts it into a PNG."""
    return _chunk(b"iTXt", _XMP + b"\0\0\0\0" + packet)


def _comment_chunk(text: bytes) -> bytes:
    """Return a comment of another format, taken for UTF-8 where it is that, as a text of PNG's."""
    try:
        words = text.decode("utf-8")
    except UnicodeDecodeError:
        words = text.decode("latin-1")
    return _chunk(b"iTXt", b"Comment\0\0\0\0\0" + words.replace("\0", "").encode())


def colours_chunk(primaries: int, transfer: int) -> bytes:
    """Return the chunk for primaries and transfer characteristics of ITU-T H.273, of RGB of the full range."""
    return _chunk(b"cICP", bytes([primaries, transfer, 0, 1]))


def _raw_exif(kind: bytes, data: bytes) -> bytes | None:
    """Return EXIF as ImageMagick and others wrote it before PNG had a chunk for it: a text of its kind, length, hex digits."""
    keyword, _, text = data.partition(b"\0")
    if kind not in (b"tEXt", b"zTXt") or keyword not in (b"Raw profile type exif", b"Raw profile type APP1"):
        return None
    with suppress(ValueError, zlib.error):
        if kind == b"zTXt":
            text = zlib.decompressobj().decompress(text[1:], _MOST_DIGITS)
        _, _, digits = text.split(maxsplit=2)
        exif = bytes.fromhex(digits.decode("ascii"))
        return exif if exif.startswith(b"Exif\0\0") else None
    return None


def _text(data: bytes) -> bytes:
    """Return the text of an iTXt without its keyword: it follows two flags of its compression and two names of its language."""
    _, _, text = data[2:].split(b"\0", 2)
    if not data[0]:
        return text
    return zlib.decompressobj().decompress(text, _LIMIT)


def _without_texts(path: Path) -> bytes | None:
    """Return a file without its texts where these are long; None where they are not."""
    with path.open("rb") as file:
        texts = [(file.tell() - 8, size) for kind, size in _chunks(file) if kind in _TEXTS]
    if sum(size for _, size in texts) <= _MOST_TEXTS:
        return None
    data, parts, end = path.read_bytes(), list[bytes](), 0
    for at, size in texts:
        parts.append(data[end:at])
        end = at + 12 + size
    return b"".join([*parts, data[end:]])


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Yield kind and size of each chunk, the file standing at its data."""
    at = file.seek(8)
    while len(start := file.read(8)) == 8 and start[4:] != b"IEND":
        size = int.from_bytes(start[:4], "big")
        yield start[4:], size
        at = file.seek(at + 12 + size)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
