"""Chunks of PNG files that libvips does not see to: texts as they were, XMP where readers look for it, colours, frames."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

from lamnet.base.files import insert

_COLOURS = frozenset({b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"})  # said without a profile
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_XMP = b"XML:com.adobe.xmp\0"
_MOST = 2**26  # bytes of a chunk: more is no description
_AFTER_HEADER = 8 + 25


def is_animated(path: Path) -> bool:
    """Whether there is a chunk that says so: libvips would give the first frame alone."""
    with path.open("rb") as file:
        for kind, _ in _chunks(file):
            if kind in (b"acTL", b"IDAT"):
                return kind == b"acTL"
    return False


def described(path: Path) -> bytes:
    """The chunks that say what the colours are, and the texts but for XMP, as they are in a file."""
    found: list[bytes] = []
    with path.open("rb") as file:
        for kind, size in _chunks(file):
            if (kind in _COLOURS or kind in _TEXTS) and size <= _MOST:
                data = file.read(size)
                if not data.startswith(_XMP) and not _raw_exif(kind, data):
                    found.append(_chunk(kind, data))
    return b"".join(found)


def colours(path: Path) -> tuple[int, int] | None:
    """The primaries and transfer characteristics of ITU-T H.273 that the file states."""
    with path.open("rb") as file:
        for kind, size in _chunks(file):
            if kind == b"IDAT":
                break
            if kind == b"cICP" and size == 4:
                primaries, transfer, _, _ = file.read(4).ljust(4, b"\0")
                return primaries, transfer
    return None


def metadata_of(path: Path) -> dict[str, bytes]:
    """EXIF and XMP by libvips' names for them, wherever they are: libvips sees none behind the pixels."""
    found: dict[str, bytes] = {}
    with path.open("rb") as file:
        for kind, size in _chunks(file):
            if kind == b"eXIf" and size <= _MOST:
                found["exif-data"] = b"Exif\0\0" + file.read(size)
            elif kind in (b"tEXt", b"zTXt") and size <= _MOST:
                if (raw := _raw_exif(kind, file.read(size))) and "exif-data" not in found:
                    found["exif-data"] = raw
            elif kind == b"iTXt" and size <= _MOST and file.read(len(_XMP)) == _XMP:
                with suppress(ValueError, zlib.error):
                    found["xmp-data"] = _text(file.read(size - len(_XMP)))
    return found


def _raw_exif(kind: bytes, data: bytes) -> bytes | None:
    """EXIF as ImageMagick and others wrote it before PNG had a chunk for it: a text of its kind, length and hex digits."""
    keyword, _, text = data.partition(b"\0")
    if kind not in (b"tEXt", b"zTXt") or keyword not in (b"Raw profile type exif", b"Raw profile type APP1"):
        return None
    with suppress(ValueError, zlib.error):
        if kind == b"zTXt":
            text = zlib.decompressobj().decompress(text[1:], _MOST)
        _, _, digits = text.split(maxsplit=2)
        exif = bytes.fromhex(digits.decode("ascii"))
        return exif if exif.startswith(b"Exif\0\0") else None
    return None


def _text(data: bytes) -> bytes:
    """Of an iTXt what follows its keyword: whether it is compressed and how, language and translated keyword, the text."""
    _, _, text = data[2:].split(b"\0", 2)
    if not data[0]:
        return text
    return zlib.decompressobj().decompress(text, _MOST)


def xmp_chunk(packet: bytes) -> bytes:
    """An XMP packet as its specification puts it into a PNG."""
    return _chunk(b"iTXt", _XMP + b"\0\0\0\0" + packet)


def colours_chunk(primaries: int, transfer: int) -> bytes:
    """The primaries and transfer characteristics of ITU-T H.273, of RGB of the full range."""
    return _chunk(b"cICP", bytes([primaries, transfer, 0, 1]))


def exif_chunk(exif: bytes) -> bytes:
    """An EXIF block as it stands in a PNG."""
    return _chunk(b"eXIf", exif)


def add(path: Path, chunks: bytes) -> None:
    """Put chunks behind the header of a PNG file."""
    insert(path, _AFTER_HEADER, chunks)


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """Kind and size of each, the file standing at its data."""
    at = file.seek(8)
    while len(start := file.read(8)) == 8 and start[4:] != b"IEND":
        size = int.from_bytes(start[:4], "big")
        yield start[4:], size
        at = file.seek(at + 12 + size)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
